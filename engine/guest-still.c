/* SPDX-License-Identifier: MIT */
/* Whether any thread is in the middle of our code, in a program that did not ask for it; see guest.h. */
#include <time.h>

#include "arch.h"
#include "guest.h"
#include "object.h"
#include "ops.h"
#include "scratch.h"
#include "stop.h"
#include "thread.h"
#include "trampoline.h"
#include "unwind-stack.h"

#define STILL_TRIES	40u

struct still {
	unsigned long in[2];			/* an address in each piece of code ... */
	struct {
		unsigned long lo, size;
	} code[2];				/* ... which is this */
	struct unwind_objects *objects;		/* what is loaded, for unwinding; NULL: not needed yet */
};

static int find_code(const struct ft_mapping *m, void *data)
{
	struct still *s = data;

	for (u32 i = 0; i < ARRAY_SIZE(s->in); i++)
		if (s->in[i] - m->lo < m->hi - m->lo) {
			s->code[i].lo = m->lo;
			s->code[i].size = m->hi - m->lo;
		}
	return 0;
}

static bool in_code(const struct still *s, unsigned long addr)
{
	return addr - s->code[0].lo < s->code[0].size || addr - s->code[1].lo < s->code[1].size ||
	       ftrace_in_trampoline(addr);
}

static bool in_stubs(unsigned long addr)
{
	for (const struct ftrace_region *r = ftrace_regions; smp_load_acquire(&r->size); r++)
		if (addr - r->lo < r->size)
			return true;
	return false;
}

static bool open_objects(struct still *s)
{
	if (s->objects)
		return true;
	s->objects = scratch_alloc(sizeof(*s->objects));
	if (s->objects && !unwind_objects_open(s->objects))
		return true;
	scratch_free(s->objects, sizeof(*s->objects));
	s->objects = NULL;
	return false;
}

/* Can every call under way in the thread be told, and is none of them of our code? */
static bool unwinds_well(struct still *s, const struct ftrace_stopped *t)
{
	struct unwind_regs regs;
	struct unwind_walk w;
	unsigned long tcb;

	if (t->fixed || !open_objects(s) || arch_unwind_stopped(t->tid, &regs, &tcb))
		return false;
	unwind_begin(&w, s->objects, &regs, t->sp, t->stack_end);
	for (;;) {
		if (in_code(s, unwind_pc(&w)))
			return false;
		switch (unwind_step(&w)) {
		case UNWIND_FRAME:
			continue;
		case UNWIND_START:
			return true;
		case UNWIND_LOST:
			return false;
		}
	}
}

/*
 * What is under way has its place on the stack. A word there may also be left over from a call that has
 * ended: then it is unwinding that tells.
 */
static bool stack_is_used(struct still *s, const struct ftrace_stopped *t)
{
	const unsigned long *p = (const unsigned long *)ALIGN_UP(t->sp, sizeof(long));
	const unsigned long *end = (const unsigned long *)ALIGN_DOWN(t->stack_end, sizeof(long));

	for (; p < end; p++)
		if (unlikely(in_code(s, *p)))
			return !unwinds_well(s, t);
	return false;
}

/* Ours is the calling thread. */
static bool is_used(struct still *s, const struct ftrace_stopped *threads, u32 n, bool stubs)
{
	bool used = false;

	for (u32 i = 0; i < n && !used; i++) {
		const struct ftrace_stopped *t = &threads[i];

		if (t->pc)
			used = in_code(s, t->pc) || (stubs && in_stubs(t->pc)) || stack_is_used(s, t);
	}
	if (s->objects)
		scratch_free(s->objects, sizeof(*s->objects));
	s->objects = NULL;
	return used;
}

bool ftrace_guest_code_is_used(const struct ftrace_stopped *threads, u32 n, bool stubs)
{
	struct still s = { .in = { (unsigned long)ftrace_guest_drop_streams } };

	ft_for_each_mapping(find_code, &s);
	return !s.code[0].size || is_used(&s, threads, n, stubs);
}

static int drop_if_still(struct ftrace_stopped *threads, u32 n, void *data)
{
	if (is_used(data, threads, n, false))
		return -EAGAIN;
	ftrace_threads_drop_streams();
	return 0;
}

FTRACE_INTERNAL int ftrace_guest_drop_streams(void (*caller)(void))
{
	struct still s = { .in = { (unsigned long)ftrace_guest_drop_streams, (unsigned long)caller } };
	struct timespec pause = { 0, 250000 };
	const char *why;
	int err;

	ft_for_each_mapping(find_code, &s);
	if (!s.code[0].size || !s.code[1].size)
		return -ENOENT;
	for (unsigned int i = 0;; i++) {
		err = ftrace_stop_threads(drop_if_still, &s, &why);
		if (err != -EAGAIN || i == STILL_TRIES)
			return err;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
		if (pause.tv_nsec < 50000000)
			pause.tv_nsec *= 2;
	}
}

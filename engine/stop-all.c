/* SPDX-License-Identifier: MIT */
/* Making all threads stand still at once; in the helper. See stop-inner.h. */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/ptrace.h>
#include <time.h>

#include "arch.h"
#include "scratch.h"
#include "stop-inner.h"

#define SLOW_NS		20000000ull	/* who is not there by then may be in the kernel for long */
#define TIMEOUT_NS	5000000000ull	/* for all threads to stand still */

/* ---- who there is ---- */

static bool note_seen(struct stop *s, s32 tid)
{
	u8 *byte, bit = (u8)(1u << (tid & 7));

	if (tid < 0 || (u32)tid >= STOP_MAX_TID)
		return true;
	byte = &s->seen[tid / 8];
	if (*byte & bit)
		return true;
	*byte |= bit;
	return false;
}

/*
 * Seize the threads that were not there before; how many were found, or -errno. One that ends meanwhile counts: the
 * kernel's list ends at a thread that is gone by the time it goes on from there, with others behind.
 */
static int seize_new(struct stop *s, int dir)
{
	char buf[4096] __attribute__((aligned(8)));
	int found = 0;
	bool caller_there = false;
	long n;
	int err;

	if (arch_syscall(SYS_lseek, dir, 0, SEEK_SET, 0, 0, 0) < 0)
		return stop_refuse(s, -EIO, "its threads cannot be listed: /proc cannot be read");
	while ((n = arch_syscall(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n;) {
			/* struct linux_dirent64: ino, off, 16 bits of length, type, name */
			const char *entry = buf + at, *p = entry + 19;
			s32 tid = (s32)stop_number(&p, 10);

			at += *(const u16 *)(entry + 16);
			if (!tid)
				continue;
			caller_there |= tid == s->caller;
			if (tid == s->caller || note_seen(s, tid))
				continue;
			found++;
			err = stop_seize(s, tid);
			if (err)
				return err;
		}
	}
	if (n < 0 || !caller_there)
		return stop_refuse(s, -EIO, "its threads cannot be listed: /proc is another namespace's");
	return found;
}

/* ---- waiting for them ---- */

/*
 * A thread that does not come is in the kernel for long (a disk, vfork): it will stand still as soon
 * as it would be back, and until then its place is told by the kernel. False: it is not there.
 */
static bool stands_in_kernel(struct stop *s, struct ftrace_stopped *t)
{
	unsigned long value = 0;
	char buf[256];
	const char *p = buf;
	long nr = -1;

	if (!stop_task_file(s, t->tid, "syscall", buf, sizeof(buf)) || *p == 'r')
		return false;
	if (*p != '-')
		nr = (long)stop_number(&p, 10);
	/* Up to the last two words: sp and pc. */
	while (*p) {
		if (*p == '0' && p[1] == 'x') {
			p += 2;
			t->sp = value;
			value = (unsigned long)stop_number(&p, 16);
		} else {
			p++;
		}
	}
	t->pc = value;
	t->restarts = nr >= 0;
	t->fixed = true;
	/* The child of a vfork runs meanwhile, in our memory. */
	switch (nr) {
#ifdef SYS_vfork
	case SYS_vfork:
#endif
#ifdef SYS_clone3
	case SYS_clone3:
#endif
	case SYS_clone:
		return false;
	}
	return t->pc;
}

/*
 * Those that have not come: 1: they can be counted as standing, 0: they are on their way and want to be
 * waited for, -errno.
 */
static int look_at_pending(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];
		char state;

		if (!t->pending || t->fixed)
			continue;
		state = stop_task_state(s, t->tid);
		if (state == 'Z' || state == 'X')
			continue;
		if (state != 'D')
			return 0;
		if (!stands_in_kernel(s, t))
			return stop_refuse(s, -EAGAIN, "a thread does not stop: it is in vfork(), or busy in "
				      "the kernel");
	}
	return 1;
}

/*
 * Threads that could run are waited for much longer than others: a system call of theirs that was
 * interrupted is only seen to when they stand.
 */
static int wait_for_all(struct stop *s, u64 began)
{
	struct ftrace_stopped *t;

	for (;;) {
		u64 waited = stop_now_ns() - began;

		while (stop_take_event(s, &t))
			;
		if (!s->npending)
			return 0;
		if (waited > SLOW_NS) {
			int ret = look_at_pending(s);

			if (ret)
				return ret < 0 ? ret : 0;
		}
		if (waited > TIMEOUT_NS)
			return stop_refuse(s, -EAGAIN, "a thread does not stop");
		stop_wait(1000000);
	}
}

/* Is one of those that have not come neither ended nor in the kernel for long? */
static bool on_the_way(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		const struct ftrace_stopped *t = &s->threads[i];
		char state = t->pending && !t->fixed ? stop_task_state(s, t->tid) : 'X';

		if (state != 'Z' && state != 'X' && state != 'D')
			return true;
	}
	return false;
}

/*
 * The stop comes to nothing. Whoever was interrupted has to stand all the same before he is let go: only then is
 * seen to that his system call does not end with EINTR.
 */
static void settle(struct stop *s)
{
	u64 began = stop_now_ns();
	struct ftrace_stopped *t;

	for (;;) {
		while (stop_take_event(s, &t))
			;
		if (!s->npending || stop_now_ns() - began > TIMEOUT_NS || !on_the_way(s))
			return;
		stop_wait(1000000);
	}
}

/* Is there a process that runs in our memory and is none of our threads? */
static bool memory_is_shared(struct stop *s, s32 tid)
{
	char buf[1024];
	const char *p = buf;

	if (!stop_task_file(s, tid, "children", buf, sizeof(buf)))
		return false;
	while (*p) {
		s32 child = (s32)stop_number(&p, 10);

		if (child && child != s->helper &&
		    arch_syscall(SYS_kcmp, s->pid, child, KCMP_VM, 0, 0, 0) == 0)
			return true;
		while (*p && (*p < '0' || *p > '9'))
			p++;
	}
	return false;
}

static int seize_all(struct stop *s)
{
	char path[32];
	int dir, err, fresh;

	ft_snprintf(path, sizeof(path), "/proc/%d/task", s->pid);
	dir = ft_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return stop_refuse(s, dir, "its threads cannot be listed: there is no /proc");
	s->began = stop_now_ns();
	/* Threads that had not stopped yet may have made others: until nobody new is there. */
	do {
		fresh = seize_new(s, dir);
		err = fresh < 0 ? fresh : wait_for_all(s, s->began);
	} while (!err && fresh);
	ft_close(dir);
	return err;
}

/* ---- in the helper: where they stand ---- */

struct by_sp {
	u64 sp;
	struct ftrace_stopped *t;
};

struct stack_walk {
	struct by_sp *next, *end;
};

static int find_stack_end(const struct ft_mapping *m, void *data)
{
	struct stack_walk *w = data;

	while (w->next < w->end && w->next->sp < m->lo)
		w->next++;
	while (w->next < w->end && w->next->sp < m->hi) {
		w->next->t->stack_end = m->hi;
		w->next++;
	}
	return w->next == w->end;
}

static int look_at_all(struct stop *s)
{
	struct stack_walk w;
	struct by_sp *order;
	u32 n = 0;
	int err;

	/* The caller waits in the kernel; its stack is as good as any other. */
	s->threads[s->n++] = (struct ftrace_stopped){ .tid = s->caller, .sp = s->caller_sp };
	order = scratch_alloc(s->n * sizeof(*order));
	if (!order)
		return stop_refuse(s, -ENOMEM, "no memory");
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];

		if (!t->sp)			/* a zombie, or killed meanwhile */
			continue;
		order[n++] = (struct by_sp){ t->sp, t };
	}
	err = n > 1 ? ft_sort(order, n, sizeof(*order)) : 0;
	if (!err) {
		w = (struct stack_walk){ order, order + n };
		err = ft_for_each_mapping(find_stack_end, &w);
		err = err < 0 ? err : 0;
	}
	scratch_free(order, s->n * sizeof(*order));
	return err ? stop_refuse(s, err, "the threads' stacks cannot be found") : 0;
}

static void let_go(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];

		if (t->tid == s->caller)
			continue;
		if (t->new_pc)
			arch_stopped_set_pc(t->tid, t->new_pc);
		arch_syscall(SYS_ptrace, PTRACE_DETACH, t->tid, 0, t->signal, 0, 0);
	}
	s->ended = stop_now_ns();
}

int stop_all(struct stop *s)
{
	int err = seize_all(s);

	for (u32 i = 0; !err && i < s->n; i++)
		if (memory_is_shared(s, s->threads[i].tid))
			err = stop_refuse(s, -EAGAIN, "another process runs in its memory (vfork)");
	if (!err && memory_is_shared(s, s->caller))
		err = stop_refuse(s, -EAGAIN, "another process runs in its memory (vfork)");
	if (!err)
		err = look_at_all(s);
	if (!err)
		s->err = s->work(s->threads, s->n, s->data);
	else
		settle(s);
	let_go(s);
	return err;
}

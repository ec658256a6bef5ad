/* SPDX-License-Identifier: MIT */
/*
 * Where a thread must not be borrowed: in the loader, in malloc, in what makes and ends threads or
 * processes. dlopen(), which it is made to call, takes the locks these may hold.
 *
 * A function under way has its return address, or that of what it calls, on the stack: so all words there
 * are looked at. What is only left over from an earlier call is taken for one that is
 * under way, unless call frame information shows what really is (borrow-unwind.c); else the thread is
 * tried again when it has moved.
 */
#include "cmd/borrow-place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/inject.h"
#include "cmd/cmd.h"

#define MAX_STACK	(64ul << 20)

/* Of libc, or of whoever else defines malloc(). */
static const char *const bad_functions[] = {
	"malloc", "free", "calloc", "realloc", "reallocarray", "memalign", "aligned_alloc",
	"posix_memalign", "valloc", "pvalloc", "malloc_trim", "malloc_info", "malloc_stats", "mallopt",
	"mallinfo", "mallinfo2", "malloc_usable_size", "cfree", "fork", "_Fork", "vfork", "daemon",
	"dl_iterate_phdr", "dlopen", "dlmopen", "dlclose", "dlsym", "dlvsym", "dladdr", "dladdr1",
	"dlerror", "dlinfo", "pthread_create", "pthread_join", "pthread_detach", "pthread_exit",
	"pthread_getattr_np", "pthread_setattr_default_np", "thrd_create", "thrd_join", "thrd_exit",
	"__libc_freeres", "clone", "__clone", "posix_spawn", "posix_spawnp", "pthread_atfork",
	"__register_atfork",
};

static bool is_wait(const struct target *t, long nr)
{
	for (size_t i = 0; i < t->abi->calls->nwaits; i++)
		if (t->abi->calls->waits[i] == nr)
			return true;
	return false;
}

static bool is_bad_function(const char *name)
{
	for (size_t i = 0; i < sizeof(bad_functions) / sizeof(bad_functions[0]); i++)
		if (!strcmp(bad_functions[i], name))
			return true;
	return false;
}

static bool in_range(const struct target_range *r, unsigned long addr)
{
	return addr - r->lo < r->hi - r->lo;
}

static void add(struct places *p, unsigned long lo, unsigned long hi)
{
	if (p->n < MAX_PLACES && hi > lo)
		p->bad[p->n++] = (struct target_range){ lo, hi };
}

static bool is_named(const struct target_object *obj, const char *prefix)
{
	const char *slash = strrchr(obj->name, '/');

	return !strncmp(slash ? slash + 1 : obj->name, prefix, strlen(prefix));
}

int places_find(struct places *p, struct target *t)
{
	p->n = 0;
	for (size_t i = 0; i < t->nobjects; i++) {
		struct target_object *obj = &t->objects[i];
		bool libc = is_named(obj, "libc.so") || is_named(obj, "libc-2.");

		target_find_text(t, obj);
		if (libc)
			p->libc = obj->text;
		if (obj->base == t->loader) {
			add(p, obj->text.lo, obj->text.hi);
			continue;
		}
		/* Who else allocates has a lock of its own somewhere. */
		if (!target_function(t, obj, "malloc") && !is_named(obj, "libpthread"))
			continue;
		if (!libc && i && !is_named(obj, "libpthread")) {
			add(p, obj->text.lo, obj->text.hi);
			continue;
		}
		/* All versions of each. */
		for (size_t k = 0; k < obj->nsymbols; k++)
			if (is_bad_function(obj->symbols[k].name))
				add(p, obj->symbols[k].addr,
				    obj->symbols[k].addr + obj->symbols[k].size);
	}
	if (!p->n || !p->libc.hi) {
		cmd_error("process %d (%s): its C library was not found in its memory; attach needs glibc",
			  t->pid, t->comm);
		return -1;
	}
	return 0;
}

void places_free(struct places *p)
{
	place_unwind_end(p);
	p->n = 0;
}

bool places_have(const struct places *p, unsigned long addr)
{
	for (size_t i = 0; i < p->n; i++)
		if (in_range(&p->bad[i], addr))
			return true;
	return false;
}

/* The end of the mapping that @sp is in. */
static unsigned long stack_end(pid_t pid, unsigned long sp)
{
	unsigned long lo, hi, end = 0;
	char path[64], line[4300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && !end && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &lo, &hi) == 2 && sp >= lo && sp < hi)
			end = hi;
	if (f)
		fclose(f);
	return end;
}

/* The word at @at on the stack: is it where a bad function goes on, or was interrupted? */
static bool is_bad_word(const struct places *p, const struct target *t, unsigned long word,
			unsigned long at)
{
	uint8_t before[INJECT_CALL_CODE], code[INJECT_RETURN_CODE];
	unsigned long interrupted = 0;
	size_t frame_pc;

	if (places_have(p, word) && (target_read(t, word - sizeof(before), before, sizeof(before)) ||
				inject_is_behind_call(before)))
		return true;
	if ((!in_range(&p->libc, word) && !in_range(&t->vdso, word)) ||
	    target_read(t, word, code, sizeof(code)))
		return false;
	frame_pc = inject_frame_pc(t->abi, code);
	if (!frame_pc)
		return false;
	/* Little-endian: the lower half of a word is its first. */
	return target_read(t, at + frame_pc, &interrupted, t->abi->wide ? 8 : 4) ||
	       places_have(p, interrupted) || in_range(&p->libc, interrupted);
}

static bool stack_is_bad(const struct places *p, const struct target *t, unsigned long sp)
{
	const unsigned int word = t->abi->wide ? 8 : 4;
	unsigned long end = stack_end(t->pid, sp);
	uint8_t bytes[16384];

	sp &= ~(unsigned long)(word - 1);
	if (!end || end - sp > MAX_STACK)
		return true;
	while (sp < end) {
		size_t len = end - sp < sizeof(bytes) ? end - sp : sizeof(bytes);

		if (target_read(t, sp, bytes, len))
			return true;
		for (size_t i = 0; i < len; i += word) {
			unsigned long value = 0;

			memcpy(&value, bytes + i, word);
			if (value > 0xffff && is_bad_word(p, t, value, sp + i))
				return true;
		}
		sp += len;
	}
	return false;
}

bool places_are_good(struct places *p, struct target *t, pid_t tid,
		     const struct inject_state *state, bool strict, const char **why)
{
	unsigned long pc, sp;
	long nr;

	inject_where(state, &pc, &sp, &nr);
	if (nr >= 0 && !is_wait(t, nr)) {
		*why = "its threads are always in the middle of a system call that changes something";
		return false;
	}
	if (places_have(p, pc) || (nr < 0 && strict && in_range(&p->libc, pc))) {
		*why = "its threads are always in the loader, in malloc or elsewhere in libc";
		return false;
	}
	if (stack_is_bad(p, t, sp) && !place_unwinds_well(p, t->pid, tid)) {
		*why = "its threads are always in functions that the loader or malloc called, or look so";
		return false;
	}
	return true;
}

bool place_is_waiting(const struct target *t, pid_t tid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", t->pid, tid);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return line[0] >= '0' && line[0] <= '9' && is_wait(t, atol(line));
}

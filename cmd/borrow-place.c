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

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch/inject.h"
#include "cmd/cmd.h"

#define MAX_STACK	(64ul << 20)

/* Calls that wait for something outside, and take no lock while they do. */
static const short waits[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_ppoll,
	SYS_pselect6, SYS_epoll_pwait, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_accept4,
	SYS_connect, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
	SYS_wait4, SYS_waitid, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_flock, SYS_fcntl,
	SYS_io_getevents, SYS_sendfile, SYS_splice, SYS_fsync, SYS_fdatasync,
#ifdef SYS_poll
	SYS_poll, SYS_select, SYS_epoll_wait, SYS_pause,
#endif
#ifdef SYS_accept
	SYS_accept,
#endif
#ifdef SYS_semop
	SYS_semop, SYS_semtimedop, SYS_msgrcv, SYS_msgsnd,
#endif
#ifdef SYS_epoll_pwait2
	SYS_epoll_pwait2,
#endif
#ifdef SYS_io_uring_enter
	SYS_io_uring_enter,
#endif
	SYS_restart_syscall,
};

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

static bool is_wait(long nr)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		if (waits[i] == nr)
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

/* The executable segment of the object whose ELF header is at its base. */
static void find_text(struct target *t, struct target_object *obj)
{
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph;

	if (target_read(t, obj->base, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return;
	for (int i = 0; i < eh.e_phnum; i++)
		if (!target_read(t, obj->base + eh.e_phoff + (unsigned long)i * sizeof(ph), &ph,
				 sizeof(ph)) && ph.p_type == PT_LOAD && ph.p_flags & PF_X)
			obj->text = (struct target_range){ obj->base + ph.p_vaddr,
							   obj->base + ph.p_vaddr + ph.p_memsz };
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
		size_t size;

		find_text(t, obj);
		if (libc)
			p->libc = obj->text;
		if (obj->base == t->loader) {
			add(p, obj->text.lo, obj->text.hi);
			continue;
		}
		/* Who else allocates has a lock of its own somewhere. */
		if (!target_function(t, obj, "malloc", NULL) && !is_named(obj, "libpthread"))
			continue;
		if (!libc && i && !is_named(obj, "libpthread")) {
			add(p, obj->text.lo, obj->text.hi);
			continue;
		}
		for (size_t k = 0; k < sizeof(bad_functions) / sizeof(bad_functions[0]); k++) {
			unsigned long func = target_function(t, obj, bad_functions[k], &size);

			if (func)
				add(p, func, func + size);
		}
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
	unsigned long interrupted;

	if (places_have(p, word) && (target_read(t, word - sizeof(before), before, sizeof(before)) ||
				inject_is_behind_call(before)))
		return true;
	if (!in_range(&p->libc, word) || target_read(t, word, code, sizeof(code)) ||
	    !inject_is_sigreturn(code))
		return false;
	return target_read(t, at + inject_frame_pc, &interrupted, sizeof(interrupted)) ||
	       places_have(p, interrupted) || in_range(&p->libc, interrupted);
}

static bool stack_is_bad(const struct places *p, const struct target *t, unsigned long sp)
{
	unsigned long words[2048], end = stack_end(t->pid, sp);

	sp &= ~(sizeof(long) - 1);
	if (!end || end - sp > MAX_STACK)
		return true;
	while (sp < end) {
		size_t len = end - sp < sizeof(words) ? end - sp : sizeof(words);

		if (target_read(t, sp, words, len))
			return true;
		for (size_t i = 0; i < len / sizeof(long); i++)
			if (words[i] > 0xffff && is_bad_word(p, t, words[i], sp + i * sizeof(long)))
				return true;
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
	if (nr >= 0 && !is_wait(nr)) {
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

bool place_is_waiting(pid_t pid, pid_t tid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return line[0] >= '0' && line[0] <= '9' && is_wait(atol(line));
}

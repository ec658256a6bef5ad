/* SPDX-License-Identifier: MIT */
/*
 * What the program says of SIGTRAP, kept for it while breakpoints may be met: a thread that meets one with the signal
 * blocked is killed by the kernel. So nobody really blocks it, handlers' masks leave it out, and its handler is
 * ours; the program is told what it has set. Without breakpoints all calls are passed on as they are.
 *
 * Not seen: masks set by system call instructions of the program's own (those by libc's syscall() are), those that
 * libc sets for itself (trap-windows.c), and what a new thread inherits of the wish. Only in the shared library; a
 * program that is linked with the static one has its own libc's functions.
 */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "arch.h"
#include "guest.h"
#include "trap.h"

/* This thread's wish, and whether the signal came meanwhile. */
static __thread bool blocked, pending;

/* Of whose handlers' masks it was taken: a bit a signal. */
static u64 hidden;

static void *next(void **func, const char *name)
{
	void *f = smp_load_acquire(func);

	if (unlikely(!f)) {
		f = dlsym(RTLD_NEXT, name);
		smp_store_release(func, f);
	}
	return f;
}

static void *next_sigaction, *next_signal, *next_sigprocmask, *next_pthread_sigmask, *next_sigsuspend,
	    *next_ppoll, *next_pselect, *next_epoll_pwait, *next_pthread_attr_setsigmask_np;

#define NEXT(name)	((__typeof__(&(name)))next(&next_##name, #name))

/* ---- libc's syscall(): what the architecture's stand-in asks for ---- */

typedef long syscall_t(long nr, ...);

syscall_t ftrace_syscall;			/* it; arch/.../interpose.S */
void *ftrace_next_syscall;			/* libc's */
void *ftrace_find_syscall(void);
long ftrace_mask_by_syscall(long nr, long how, const u64 *set, u64 *old, long size);

void *ftrace_find_syscall(void)
{
	return next(&ftrace_next_syscall, "syscall");
}

/* Looked up now: later it may be in a signal handler. */
__attribute__((constructor)) static void look_up(void)
{
	NEXT(sigaction);
	NEXT(signal);
	NEXT(sigprocmask);
	NEXT(pthread_sigmask);
	NEXT(sigsuspend);
	NEXT(ppoll);
	NEXT(pselect);
	NEXT(epoll_pwait);
	NEXT(pthread_attr_setsigmask_np);
	ftrace_find_syscall();
}

static u64 word_of(const sigset_t *set)
{
	u64 word;

	ft_memcpy(&word, set, sizeof(word));
	return word;
}

static void set_word(sigset_t *set, u64 word)
{
	ft_memcpy(set, &word, sizeof(word));
}

/* @set without the signal; @copy is for that. */
static const sigset_t *without(const sigset_t *set, sigset_t *copy)
{
	if (!set || !trap_is_active() || !(word_of(set) & TRAP_BIT))
		return set;
	*copy = *set;
	set_word(copy, word_of(set) & ~TRAP_BIT);
	return copy;
}

/* ---- handlers ---- */

static void note_hidden(int sig, bool in_mask)
{
	u64 bit = 1ull << (sig - 1);

	if (in_mask)
		__atomic_fetch_or(&hidden, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&hidden, ~bit, __ATOMIC_RELAXED);
}

void trap_hide_in_mask(int sig)
{
	note_hidden(sig, true);
}

static void own_action(const struct sigaction *act, struct sigaction *old)
{
	struct arch_sigaction new = { 0 }, before;

	if (act) {
		new.handler = (unsigned long)act->sa_handler;
		new.flags = (unsigned int)act->sa_flags;
		new.mask = word_of(&act->sa_mask);
	}
	trap_program_action(act ? &new : NULL, &before);
	if (!old)
		return;
	ft_memset(old, 0, sizeof(*old));
	old->sa_handler = (void (*)(int))before.handler;
	old->sa_flags = (int)(before.flags & ~0x04000000ul);	/* the kernel's SA_RESTORER */
	set_word(&old->sa_mask, before.mask);
}

static int trap_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	bool active = trap_is_active(), was_hidden, in_mask;
	struct sigaction copy;
	int ret;

	if (!active || sig < 1 || sig > 64)
		return NEXT(sigaction)(sig, act, old);
	if (sig == SIGTRAP) {
		own_action(act, old);
		return 0;
	}
	was_hidden = READ_ONCE(hidden) >> (sig - 1) & 1;
	in_mask = act && word_of(&act->sa_mask) & TRAP_BIT;
	if (in_mask) {
		copy = *act;
		set_word(&copy.sa_mask, word_of(&act->sa_mask) & ~TRAP_BIT);
		act = &copy;
	}
	ret = NEXT(sigaction)(sig, act, old);
	if (ret)
		return ret;
	if (act)
		note_hidden(sig, in_mask);
	if (old && was_hidden)
		set_word(&old->sa_mask, word_of(&old->sa_mask) | TRAP_BIT);
	return 0;
}

static sighandler_t trap_signal(int sig, sighandler_t handler)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (!trap_is_active() || sig != SIGTRAP)
		return NEXT(signal)(sig, handler);
	own_action(&act, &old);
	return old.sa_handler;
}

/* ---- masks ---- */

bool trap_is_held_back(void)
{
	if (blocked)
		pending = true;
	return blocked;
}

static void wish(int how, const sigset_t *set)
{
	bool has = word_of(set) & TRAP_BIT;

	if (how == SIG_SETMASK)
		blocked = has;
	else if (has)
		blocked = how == SIG_BLOCK;
	if (blocked || !pending)
		return;
	pending = false;
	arch_syscall(SYS_tgkill, ft_getpid(), ft_gettid(), SIGTRAP, 0, 0, 0);
}

static int mask(int (*func)(int, const sigset_t *, sigset_t *), int how, const sigset_t *set,
		sigset_t *old)
{
	bool was = blocked;
	sigset_t copy, given;
	int ret;

	if (!trap_is_active())
		return func(how, set, old);
	if (set)
		given = *set;		/* @old may be the same */
	ret = func(how, without(set, &copy), old);
	if (ret)
		return ret;
	if (old && was)
		set_word(old, word_of(old) | TRAP_BIT);
	if (set)
		wish(how, &given);
	return 0;
}

static int trap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return mask(NEXT(sigprocmask), how, set, old);
}

static int trap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return mask(NEXT(pthread_sigmask), how, set, old);
}

/* Masks for the length of a call: handlers run with them. */
static int trap_sigsuspend(const sigset_t *set)
{
	sigset_t copy;

	return NEXT(sigsuspend)(without(set, &copy));
}

static int trap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(ppoll)(fds, n, timeout, without(set, &copy));
}

static int trap_pselect(int n, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
			const sigset_t *set)
{
	sigset_t copy;

	return NEXT(pselect)(n, r, w, x, timeout, without(set, &copy));
}

static int trap_epoll_pwait(int fd, struct epoll_event *events, int max, int timeout, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(epoll_pwait)(fd, events, max, timeout, without(set, &copy));
}

/* What a thread that is made by @attr begins with. */
static int trap_pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(pthread_attr_setsigmask_np)(attr, without(set, &copy));
}

/* rt_sigprocmask: the kernel has found @set and @old readable and writable when they are looked at here. */
long ftrace_mask_by_syscall(long nr, long how, const u64 *set, u64 *old, long size)
{
	const u64 trap = TRAP_BIT;
	bool was = blocked, same = set && set == old;
	syscall_t *func = (syscall_t *)ftrace_find_syscall();
	u64 before;
	sigset_t given;
	long ret = func(nr, how, set, same ? &before : old, size);

	if (ret)
		return ret;
	if (set) {
		ft_memset(&given, 0, sizeof(given));
		set_word(&given, *set);
		if (*set & TRAP_BIT && how != SIG_UNBLOCK)
			arch_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&trap, 0, sizeof(trap), 0, 0);
		if (same) {
			ret = func(nr, SIG_BLOCK, NULL, old, size);	/* is it writable? */
			if (!ret)
				*old = before;
		}
	}
	if (old && was && !ret)
		*old |= TRAP_BIT;
	if (set)
		wish((int)how, &given);
	return ret;
}

#define STAND_IN(name) \
	FTRACE_PUBLIC __typeof__(name) name __attribute__((weak, alias("trap_" #name)))

STAND_IN(sigaction);
STAND_IN(signal);
STAND_IN(sigprocmask);
STAND_IN(pthread_sigmask);
STAND_IN(sigsuspend);
STAND_IN(ppoll);
STAND_IN(pselect);
STAND_IN(epoll_pwait);
STAND_IN(pthread_attr_setsigmask_np);

int trap_redirect(void)
{
#define SEND(name) { #name, (void *)trap_##name }
	static const struct ftrace_redirection list[] = {
		SEND(sigaction), SEND(signal), SEND(sigprocmask), SEND(pthread_sigmask),
		SEND(sigsuspend), SEND(ppoll), SEND(pselect), SEND(epoll_pwait),
		SEND(pthread_attr_setsigmask_np),
		{ "syscall", (void *)ftrace_syscall },
	};
#undef SEND

	return ftrace_redirect_locked(list, ARRAY_SIZE(list));
}

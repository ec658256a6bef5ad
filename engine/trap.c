/* SPDX-License-Identifier: MIT */
/* See trap.h. */
#include "trap.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "detour.h"
#include "guest.h"

#ifdef ARCH_HAS_DETOURS

/* By address; for good, as threads may be looking. */
struct trap {
	struct trap *next;
	unsigned long addr;
	struct probe_detour *detour;
	u32 planted;
};

#define BUCKETS	1024u

static struct trap *buckets[BUCKETS];

static struct trap **bucket(unsigned long addr)
{
	return &buckets[(addr ^ addr >> 10 ^ addr >> 20) % BUCKETS];
}

static struct trap *find(unsigned long addr)
{
	struct trap *t = smp_load_acquire(bucket(addr));

	while (t && t->addr != addr)
		t = t->next;
	return t;
}

int trap_prepare(unsigned long addr)
{
	struct trap *t = find(addr);

	if (t)
		return 0;
	t = ft_alloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->addr = addr;
	t->next = *bucket(addr);
	smp_store_release(bucket(addr), t);
	return 0;
}

void trap_set(unsigned long addr, struct probe_detour *d)
{
	struct trap *t = find(addr);

	smp_store_release(&t->detour, d);
	smp_store_release(&t->planted, 1);
}

void trap_clear(unsigned long addr)
{
	struct trap *t = find(addr);

	if (t)
		smp_store_release(&t->planted, 0);
}

/* ---- the handler ---- */

/* As <signal.h> of the C library has them, which is not included here. */
enum { SIG_TRAP = 5 };
enum { MASK_SET = 2 };		/* SIG_SETMASK */
enum { ACT_SIGINFO = 4, ACT_ONSTACK = 0x08000000, ACT_RESTART = 0x10000000, ACT_NODEFER = 0x40000000 };
#define ACT_RESETHAND	0x80000000ul
#define HANDLER_DEFAULT	0ul
#define HANDLER_IGNORE	1ul

struct siginfo_head {
	int signo, error, code;
};

typedef void handler_t(int sig, struct siginfo_head *info, void *uc);

static struct arch_sigaction programs;		/* what the program has for SIGTRAP */
u32 trap_active;

void trap_program_action(const struct arch_sigaction *act, struct arch_sigaction *old)
{
	*old = programs;
	if (act)
		programs = *act;
}

/* As if nobody were here: the process ends, with a core. */
static void die(struct siginfo_head *info)
{
	struct arch_sigaction none = { .handler = HANDLER_DEFAULT };

	arch_signal_action(SIG_TRAP, &none, NULL);
	arch_syscall(SYS_rt_tgsigqueueinfo, ft_getpid(), ft_gettid(), SIG_TRAP, (long)info, 0, 0);
}

/* A trap that is none of ours: as the program would have got it. */
static void pass_on(int sig, struct siginfo_head *info, void *uc)
{
	struct arch_sigaction act = programs;
	u64 mask = (*arch_signal_mask(uc) | act.mask) & ~TRAP_BIT;

	/* Sent by somebody, or an exception. */
	if (info->code <= 0 && (act.handler == HANDLER_IGNORE ||
				(trap_is_held_back && trap_is_held_back())))
		return;
	/* The kernel ends who ignores an exception. */
	if (act.handler == HANDLER_IGNORE || act.handler == HANDLER_DEFAULT) {
		die(info);
		return;
	}
	if (act.flags & ACT_RESETHAND)
		programs.handler = HANDLER_DEFAULT;
	arch_syscall(SYS_rt_sigprocmask, MASK_SET, (long)&mask, 0, sizeof(mask), 0, 0);
	((handler_t *)act.handler)(sig, info, uc);
}

static void handle(int sig, struct siginfo_head *info, void *uc)
{
	unsigned long addr = arch_signal_ip(uc) - ARCH_BREAKPOINT_SIZE;
	struct trap *t = find(addr);	/* whatever its code is: a debugger that passes it on changes that */

	if (t && smp_load_acquire(&t->planted))
		arch_signal_set_ip(uc, detour_code(smp_load_acquire(&t->detour)));
	else if (t && ft_memcmp((const void *)addr, arch_breakpoint, ARCH_BREAKPOINT_SIZE))
		arch_signal_set_ip(uc, detour_covers(addr));	/* it has been taken away meanwhile */
	else
		pass_on(sig, info, uc);
}

/* ---- who blocks the signal ---- */

/* "SigBlk:\t0123456789abcdef" */
static bool blocks(const char *status)
{
	u64 mask = 0;

	for (; *status; status++)
		if (ft_starts_with(status, "SigBlk:"))
			break;
	for (status += *status ? 7 : 0; *status == '\t' || *status == ' '; status++)
		;
	for (; (*status >= '0' && *status <= '9') || (*status >= 'a' && *status <= 'f'); status++)
		mask = mask << 4 | (u64)(*status <= '9' ? *status - '0' : *status - 'a' + 10);
	return mask & TRAP_BIT;
}

/* The thread that does, 0: none; -errno: it cannot be found out. */
static s32 blocking_thread(void)
{
	char buf[1024], path[64], status[2048];
	int dir = ft_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	s32 found = 0;
	long n;

	if (dir < 0)
		return dir;
	while (!found && (n = arch_syscall(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n && !found; at += *(const u16 *)(buf + at + 16)) {
			const char *name = buf + at + 19;

			if (*name == '.')
				continue;
			ft_snprintf(path, sizeof(path), "/proc/self/task/%s/status", name);
			if (ft_read_file(path, status, sizeof(status) - 1) <= 0 || !blocks(status))
				continue;
			for (; *name; name++)
				found = 10 * found + (*name - '0');
			/* It has all signals blocked, and meets no breakpoint. */
			if (guest_is_worker(found))
				found = 0;
		}
	}
	ft_close(dir);
	return found;
}

/* Handlers that the program has: they do not run with the signal blocked any more. */
static void clear_masks(void)
{
	for (int sig = 1; sig <= 64; sig++) {
		struct arch_sigaction act;

		if (sig == SIG_TRAP || arch_signal_action(sig, NULL, &act) ||
		    act.handler == HANDLER_DEFAULT || act.handler == HANDLER_IGNORE ||
		    !(act.mask & TRAP_BIT))
			continue;
		act.mask &= ~TRAP_BIT;
		arch_signal_action(sig, &act, NULL);
		if (trap_hide_in_mask)
			trap_hide_in_mask(sig);
	}
}

int trap_begin(void)
{
	struct arch_sigaction ours = { .handler = (unsigned long)handle,
				       .flags = ACT_SIGINFO | ACT_NODEFER | ACT_RESTART };
	struct timespec pause = { 0, 200000 };
	s32 tid;
	int err;

	if (!trap_active) {
		err = arch_signal_action(SIG_TRAP, NULL, &programs);
		ours.flags |= programs.flags & ACT_ONSTACK;
		smp_store_release(&trap_active, 1);
		if (!err)
			err = arch_signal_action(SIG_TRAP, &ours, NULL);
		if (err)
			return ft_log(err, "probes: SIGTRAP cannot be handled: error %d", -err);
		clear_masks();
		if (ftrace_is_guest() && trap_redirect)
			trap_redirect();
	}
	/* While libc makes a thread or ends one it blocks all signals for a moment. */
	for (tid = blocking_thread(); tid > 0 && pause.tv_nsec < 50000000; tid = blocking_thread()) {
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
		pause.tv_nsec *= 2;
	}
	if (tid > 0)
		return ft_log(-EBUSY, "probes: thread %d blocks SIGTRAP, and would be killed by a "
			      "breakpoint", tid);
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* prctl() and syscall(), watched for seccomp and for the end of rdtsc; interpose.h tells why. */
#include <dlfcn.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "agent/agent.h"
#include "agent/interpose.h"

#define SPARE_RINGS	4u		/* for threads that begin under the filter */
#define SPARE_TEXT	(1ul << 20)	/* for objects that are loaded under it */

typedef long syscall_t(long nr, long a, long b, long c, long d, long e, long f);
typedef int prctl_t(int option, long a, long b, long c, long d);

static syscall_t *real_syscall;
static prctl_t *real_prctl;

void interpose_init(void)
{
	real_syscall = (syscall_t *)dlsym(RTLD_NEXT, "syscall");
	real_prctl = (prctl_t *)dlsym(RTLD_NEXT, "prctl");
}

/* Take what may be needed while it can be had, then do without. */
static void before_seccomp(void)
{
	if (agent.map && !READ_ONCE(ftrace_no_syscalls)) {
		agent_rings_reserve(SPARE_RINGS);
		agent_map_reserve(SPARE_TEXT);
	}
	WRITE_ONCE(ftrace_no_syscalls, 1);
}

static void no_ticks(void)
{
	if (agent.map && !READ_ONCE(agent.off)) {
		ft_log(-EPERM, "the program forbids itself to read the clock: recording ends here");
		agent_stop();
	}
}

/* Variadic in the headers, which are therefore not included here; the same to the processor. */
FTRACE_PUBLIC int prctl(int option, long a, long b, long c, long d);
FTRACE_PUBLIC long syscall(long nr, long a, long b, long c, long d, long e, long f);

FTRACE_PUBLIC int prctl(int option, long a, long b, long c, long d)
{
	u32 before;
	int ret;

	/*
	 * Both of these make reading the tick counter a fault (SECCOMP_MODE_STRICT does, too: see
	 * seccomp(2) and prctl(2)): recording is over before that.
	 */
	if ((option == PR_SET_TSC && a == PR_TSC_SIGSEGV) ||
	    (option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT))
		no_ticks();
	if (likely(option != PR_SET_SECCOMP))
		return real_prctl(option, a, b, c, d);
	before = READ_ONCE(ftrace_no_syscalls);
	before_seccomp();
	ret = real_prctl(option, a, b, c, d);
	if (ret)
		WRITE_ONCE(ftrace_no_syscalls, before);
	return ret;
}

/*
 * Passed on by a jump: a system call that returns twice on one stack (vfork), or on another (clone),
 * finds nothing of ours there.
 */
FTRACE_PUBLIC long syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	/* Whether the kernel takes it is not known here: without system calls is the safe side. */
	if (unlikely(nr == SYS_seccomp) && a == SECCOMP_SET_MODE_STRICT)
		no_ticks();
	if (unlikely(nr == SYS_seccomp) &&
	    (a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER))
		before_seccomp();
	return real_syscall(nr, a, b, c, d, e, f);
}

/*
 * Without destructors; what they would have done is done here. Nothing else to pass it on to than
 * the kernel.
 */
FTRACE_PUBLIC void _exit(int status) __attribute__((noreturn));
FTRACE_PUBLIC void _Exit(int status) __attribute__((noreturn, alias("_exit")));

FTRACE_PUBLIC void _exit(int status)
{
	agent_end();
	for (;;)
		arch_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

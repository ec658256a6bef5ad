/* SPDX-License-Identifier: MIT */
/* What is watched for, and why, is in interpose.h. */
#include <dlfcn.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>

#include "agent/agent.h"
#include "agent/interpose.h"
#include "engine/guest.h"

#define SPARE_RINGS	8u		/* for threads that begin after the change */
#define SPARE_TEXT	(1ul << 20)	/* for objects that are loaded after it */

typedef long syscall_t(long nr, long a, long b, long c, long d, long e, long f);
typedef int function_t(long a, long b, long c, long d, long e);

/* The real ones, by the order of names. */
enum { PRCTL, CHROOT, SETRLIMIT, SETRLIMIT64, PRLIMIT, PRLIMIT64, SETUID, SETEUID, SETREUID,
       SETRESUID, EXIT, FUNCTIONS };

static const char *const names[FUNCTIONS] = {
	"prctl", "chroot", "setrlimit", "setrlimit64", "prlimit", "prlimit64", "setuid", "seteuid",
	"setreuid", "setresuid", "_exit",
};

static function_t *real[FUNCTIONS];
static syscall_t *real_syscall;

void interpose_init(void)
{
	u32 i;

	for (i = 0; i < FUNCTIONS; i++)
		real[i] = (function_t *)dlsym(RTLD_NEXT, names[i]);
	real_syscall = (syscall_t *)dlsym(RTLD_NEXT, "syscall");
}

/* Take what may be needed later while it can be had. */
static void reserve(void)
{
	if (!agent.map || READ_ONCE(agent.off) || READ_ONCE(ftrace_no_syscalls))
		return;
	agent_rings_reserve(SPARE_RINGS);
	agent_map_reserve(SPARE_TEXT);
}

static void no_ticks(void)
{
	if (agent.map && !READ_ONCE(agent.off)) {
		ft_log(-EPERM, "the program forbids itself to read the clock: recording ends here");
		agent_stop();
	}
}

static void before_seccomp(bool strict)
{
	reserve();
	WRITE_ONCE(ftrace_no_syscalls, 1);
	/* The strict mode forbids to read the time stamp counter, too. */
	if (strict && agent.map)
		agent_stop();
}

static int call(u32 which, long a, long b, long c, long d, long e)
{
	return real[which](a, b, c, d, e);
}

/*
 * Arguments are passed on as longs: the callers' pointers and small integers fit, and the callee looks
 * at those it has. The C library's headers, which declare otherwise, are not included here.
 */
#define STAND_IN FTRACE_PUBLIC __attribute__((used))

STAND_IN int prctl(int option, long a, long b, long c, long d);
STAND_IN long syscall(long nr, long a, long b, long c, long d, long e, long f);
STAND_IN int chroot(const char *path);
STAND_IN int setuid(int uid);
STAND_IN int seteuid(int uid);
STAND_IN int setreuid(int ruid, int euid);
STAND_IN int setresuid(int ruid, int euid, int suid);
STAND_IN int setrlimit(int resource, const struct rlimit *limit);
STAND_IN int prlimit(int pid, int resource, const struct rlimit *limit, struct rlimit *old);
#if __SIZEOF_LONG__ == 8
STAND_IN int setrlimit64(int resource, const struct rlimit *limit);
STAND_IN int prlimit64(int pid, int resource, const struct rlimit *limit, struct rlimit *old);
#else
STAND_IN int setrlimit64(int resource, const struct rlimit64 *limit);
STAND_IN int prlimit64(int pid, int resource, const struct rlimit64 *limit, struct rlimit64 *old);
#endif
STAND_IN void _exit(int status) __attribute__((noreturn));
STAND_IN void _Exit(int status) __attribute__((noreturn));

STAND_IN int prctl(int option, long a, long b, long c, long d)
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
		return call(PRCTL, option, a, b, c, d);
	before = READ_ONCE(ftrace_no_syscalls);
	before_seccomp(a == SECCOMP_MODE_STRICT);
	ret = call(PRCTL, option, a, b, c, d);
	if (ret)
		WRITE_ONCE(ftrace_no_syscalls, before);
	return ret;
}

/*
 * Passed on by a jump: a system call that returns twice on one stack (vfork), or on another (clone),
 * finds nothing of ours there.
 */
STAND_IN long syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	/* Whether the kernel takes it is not known here: without system calls is the safe side. */
	if (unlikely(nr == SYS_seccomp) && a == SECCOMP_SET_MODE_STRICT)
		no_ticks();
	if (unlikely(nr == SYS_seccomp) &&
	    (a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER))
		before_seccomp(a == SECCOMP_SET_MODE_STRICT);
	return real_syscall(nr, a, b, c, d, e, f);
}

/* Root's programs that give up being root, or go where the session cannot be seen. */
STAND_IN int chroot(const char *path)
{
	reserve();
	return call(CHROOT, (long)path, 0, 0, 0, 0);
}

STAND_IN int setuid(int uid)
{
	reserve();
	return call(SETUID, uid, 0, 0, 0, 0);
}

STAND_IN int seteuid(int uid)
{
	reserve();
	return call(SETEUID, uid, 0, 0, 0, 0);
}

STAND_IN int setreuid(int ruid, int euid)
{
	reserve();
	return call(SETREUID, ruid, euid, 0, 0, 0);
}

STAND_IN int setresuid(int ruid, int euid, int suid)
{
	reserve();
	return call(SETRESUID, ruid, euid, suid, 0, 0);
}

/* A limit that rings need is lowered. */
static void before_limit(int resource, const struct rlimit *limit)
{
	struct rlimit now;

	if (!limit || (resource != RLIMIT_NOFILE && resource != RLIMIT_FSIZE &&
		       resource != RLIMIT_AS && resource != RLIMIT_MEMLOCK))
		return;
	if (!arch_getrlimit(resource, &now) && limit->rlim_cur < now.rlim_cur)
		reserve();
}

STAND_IN int setrlimit(int resource, const struct rlimit *limit)
{
	before_limit(resource, limit);
	return call(SETRLIMIT, resource, (long)limit, 0, 0, 0);
}

STAND_IN int prlimit(int pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
	before_limit(resource, limit);
	return call(PRLIMIT, pid, resource, (long)limit, (long)old, 0);
}

#if __SIZEOF_LONG__ == 8	/* the same structure, by another name */
STAND_IN int setrlimit64(int resource, const struct rlimit *limit)
{
	before_limit(resource, limit);
	return call(SETRLIMIT64, resource, (long)limit, 0, 0, 0);
}

STAND_IN int prlimit64(int pid, int resource, const struct rlimit *limit, struct rlimit *old)
{
	before_limit(resource, limit);
	return call(PRLIMIT64, pid, resource, (long)limit, (long)old, 0);
}
#else	/* limits of 64 bits where the others have 32 */
static void before_limit64(int resource, const struct rlimit64 *limit)
{
	struct rlimit narrow;

	if (!limit)
		return;
	narrow.rlim_cur = limit->rlim_cur < ~0ul ? (unsigned long)limit->rlim_cur : ~0ul;
	before_limit(resource, &narrow);
}

STAND_IN int setrlimit64(int resource, const struct rlimit64 *limit)
{
	before_limit64(resource, limit);
	return call(SETRLIMIT64, resource, (long)limit, 0, 0, 0);
}

STAND_IN int prlimit64(int pid, int resource, const struct rlimit64 *limit, struct rlimit64 *old)
{
	before_limit64(resource, limit);
	return call(PRLIMIT64, pid, resource, (long)limit, (long)old, 0);
}
#endif

/* Without destructors, so that what they would have done is done here. */
STAND_IN void _exit(int status)
{
	agent_end();
	/* Other libraries may stand in for it, too (sanitizers). */
	call(EXIT, status, 0, 0, 0, 0);
	for (;;)
		arch_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

STAND_IN void _Exit(int status)
{
	_exit(status);
}

/* By names of our own: those above are libc's first, in a program that was there before us. */
#define OURS(name) \
	extern __typeof__(name) ours_##name __attribute__((alias(#name), visibility("hidden")))

OURS(prctl);
OURS(syscall);
OURS(chroot);
OURS(setuid);
OURS(seteuid);
OURS(setreuid);
OURS(setresuid);
OURS(setrlimit);
OURS(prlimit);
#if __SIZEOF_LONG__ == 8
OURS(setrlimit64);
OURS(prlimit64);
#endif

extern __typeof__(_exit) ours__exit
	__attribute__((alias("_exit"), visibility("hidden"), noreturn));
extern __typeof__(_Exit) ours__Exit
	__attribute__((alias("_Exit"), visibility("hidden"), noreturn));

int interpose_redirect(void)
{
#define SEND(name) { #name, (void *)ours_##name }
	static const struct ftrace_redirection list[] = {
		SEND(prctl),
		SEND(syscall),
		SEND(chroot),
		SEND(setuid),
		SEND(seteuid),
		SEND(setreuid),
		SEND(setresuid),
		SEND(setrlimit),
		SEND(prlimit),
		SEND(_exit),
		SEND(_Exit),
#if __SIZEOF_LONG__ == 8
		SEND(setrlimit64),
		SEND(prlimit64),
#endif
	};
#undef SEND

	return ftrace_redirect(list, ARRAY_SIZE(list));
}

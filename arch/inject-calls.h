/* SPDX-License-Identifier: MIT */
/*
 * The numbers of system calls, as inject.h needs them: included once for each kind of programs there is, by a
 * file that has that kind's <asm/unistd*.h>. INJECT_CALLS: the name of the result.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "inject.h"

#define CALL(name)	__NR_##name

/* Calls that wait for something outside, and take no lock while they do. */
static const short waits[] = {
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(ppoll),
	CALL(pselect6), CALL(epoll_pwait), CALL(nanosleep), CALL(clock_nanosleep), CALL(futex),
	CALL(accept4), CALL(connect), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg), CALL(sendto),
	CALL(sendmsg), CALL(sendmmsg), CALL(wait4), CALL(waitid), CALL(rt_sigsuspend),
	CALL(rt_sigtimedwait), CALL(flock), CALL(fcntl), CALL(io_getevents), CALL(sendfile),
	CALL(splice), CALL(fsync), CALL(fdatasync),
#ifdef __NR_poll
	CALL(poll), CALL(select), CALL(epoll_wait), CALL(pause),
#endif
#ifdef __NR_accept
	CALL(accept),
#endif
#ifdef __NR_semop
	CALL(semop), CALL(semtimedop), CALL(msgrcv), CALL(msgsnd),
#endif
#ifdef __NR_epoll_pwait2
	CALL(epoll_pwait2),
#endif
#ifdef __NR_io_uring_enter
	CALL(io_uring_enter),
#endif
#ifdef __NR_futex_waitv
	CALL(futex_waitv),
#endif
#ifdef __NR_ipc
	CALL(ipc), CALL(socketcall), CALL(_newselect), CALL(waitpid), CALL(sigsuspend), CALL(fcntl64),
	CALL(sendfile64),
#endif
#ifdef __NR_futex_time64
	CALL(futex_time64), CALL(ppoll_time64), CALL(pselect6_time64), CALL(clock_nanosleep_time64),
	CALL(rt_sigtimedwait_time64), CALL(recvmmsg_time64), CALL(semtimedop_time64),
	CALL(io_pgetevents_time64),
#endif
	CALL(restart_syscall),
};

static const short again[] = {
#include "start-again.h"
};

/* What dlopen(), the agent and its stops call, with the arguments that filters look at. */
static const struct inject_need needed[] = {
#define NEED(name, ...) { CALL(name), #name, { __VA_ARGS__ } }
#ifdef __NR_mmap2
#define NEED_MMAP(...)	NEED(mmap2, __VA_ARGS__)
#else
#define NEED_MMAP(...)	NEED(mmap, __VA_ARGS__)
#endif
	NEED_MMAP(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS),
	NEED_MMAP(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS),
	NEED_MMAP(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE | MAP_FIXED, 3),
	NEED_MMAP(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, 3),
	NEED(mprotect, 4096, 4096, PROT_READ), NEED(munmap, 4096, 4096),
	NEED(madvise, 4096, 4096, 16), NEED(brk, 0),
	NEED(openat, (unsigned long)AT_FDCWD, 4096, O_RDONLY | O_CLOEXEC),
	NEED(openat, (unsigned long)AT_FDCWD, 4096, O_RDWR | O_CREAT | O_EXCL, 0600),
	NEED(close, 3), NEED(read, 3, 4096, 64), NEED(pread64, 3, 4096, 64), NEED(pwrite64, 3, 4096, 64),
	NEED(write, 3, 4096, 64), NEED(lseek, 3, 0, 2),
	NEED(statx, (unsigned long)AT_FDCWD, 4096), NEED(readlinkat, (unsigned long)AT_FDCWD, 4096),
	NEED(faccessat, (unsigned long)AT_FDCWD, 4096), NEED(symlinkat, 4096, (unsigned long)AT_FDCWD),
	NEED(unlinkat, (unsigned long)AT_FDCWD, 4096), NEED(fallocate, 3, 0, 0, 4096),
	NEED(fstatfs, 3), NEED(getdents64, 3),
#ifdef __NR_stat64
	NEED(stat64, 4096), NEED(readlink, 4096), NEED(ugetrlimit, 1), NEED(clock_gettime64, 1),
#else
	NEED(fstat, 3), NEED(newfstatat, 3, 4096), NEED(getrlimit, 1), NEED(clock_gettime, 1),
#ifdef __NR_stat
	NEED(stat, 4096), NEED(readlink, 4096),
#endif
#endif
	NEED(uname), NEED(getpid), NEED(getppid), NEED(gettid), NEED(kill, 1, 0),
	NEED(tgkill, 1, 1, 0), NEED(futex, 4096, 1), NEED(nanosleep, 4096),
	NEED(membarrier, 1), NEED(prctl, 3), NEED(exit, 0),
	NEED(clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
	     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID),
	NEED(clone, CLONE_VM | CLONE_FILES | CLONE_UNTRACED),
	NEED(ptrace, PTRACE_SEIZE, 1), NEED(wait4, 1, 0, 0x40000000), NEED(kcmp, 1, 1, 1),
	NEED(rt_sigprocmask, 2), NEED(rt_sigaction, 17), NEED(rt_sigtimedwait, 4096),
	NEED(rt_sigreturn),
#undef NEED_MMAP
#undef NEED
};

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

const struct inject_calls INJECT_CALLS = {
#ifdef __NR_mmap2
	.mmap = CALL(mmap2),
#else
	.mmap = CALL(mmap),
#endif
	.munmap = CALL(munmap),
	.memfd_create = CALL(memfd_create),
	.close = CALL(close),
	.rt_sigaction = CALL(rt_sigaction),
	.waits = waits,
	.nwaits = COUNT(waits),
	.again = again,
	.nagain = COUNT(again),
	.needed = needed,
	.nneeded = COUNT(needed),
};

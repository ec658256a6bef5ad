/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls of x86_64 and i386. arch_syscall() returns what the kernel returns: a negative
 * errno for failure; it touches neither errno nor memory of its own and is async-signal-safe.
 *
 * The calls whose arguments differ between architectures have wrappers here.
 */
#ifndef FTRACE_ARCH_SYSCALL_H
#define FTRACE_ARCH_SYSCALL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifdef __x86_64__

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long arch_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t off)
{
	return arch_syscall(SYS_mmap, (long)addr, (long)len, prot, flags, fd, (long)off);
}

static inline long arch_pread(int fd, void *buf, size_t n, uint64_t off)
{
	return arch_syscall(SYS_pread64, fd, (long)buf, (long)n, (long)off, 0, 0);
}

static inline long arch_pwrite(int fd, const void *buf, size_t n, uint64_t off)
{
	return arch_syscall(SYS_pwrite64, fd, (long)buf, (long)n, (long)off, 0, 0);
}

static inline long arch_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	return arch_syscall(SYS_fallocate, fd, mode, (long)off, (long)len, 0, 0);
}

/* What identifies the file at @path: device and inode. */
static inline long arch_stat(const char *path, uint64_t *dev, uint64_t *ino)
{
	struct stat st;
	long err = arch_syscall(SYS_stat, (long)path, (long)&st, 0, 0, 0, 0);

	*dev = st.st_dev;
	*ino = st.st_ino;
	return err;
}

/* @limit: two longs, RLIM_INFINITY being all ones. */
static inline long arch_getrlimit(int resource, void *limit)
{
	return arch_syscall(SYS_getrlimit, resource, (long)limit, 0, 0, 0, 0);
}

/* @ts: seconds and nanoseconds, 64 bits each. */
static inline long arch_clock_gettime(int clock, int64_t ts[2])
{
	return arch_syscall(SYS_clock_gettime, clock, (long)ts, 0, 0, 0, 0);
}

#else /* i386 */

/*
 * The sixth argument goes in ebp, which the compiler may be using as its frame pointer: it is
 * passed on the stack and ebp put back. Unwind tables know nothing of that; so calls in which threads
 * wait, whose stacks somebody may look at meanwhile, do without where it is 0, as none of them looks at it then.
 */
static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;

	if (__builtin_constant_p(nr) && (nr == SYS_futex || nr == SYS_nanosleep) &&
	    __builtin_constant_p(f) && !f) {
		__asm__ volatile("int $0x80"
				 : "=a"(ret)
				 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
				 : "memory");
		return ret;
	}
	__asm__ volatile("pushl %[f]\n\t"
			 "pushl %%ebp\n\t"
			 "movl 4(%%esp), %%ebp\n\t"
			 "int $0x80\n\t"
			 "popl %%ebp\n\t"
			 "addl $4, %%esp"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "g"(f)
			 : "memory");
	return ret;
}

static inline long arch_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t off)
{
	return arch_syscall(SYS_mmap2, (long)addr, (long)len, prot, flags, fd, (long)(off >> 12));
}

static inline long arch_pread(int fd, void *buf, size_t n, uint64_t off)
{
	return arch_syscall(SYS_pread64, fd, (long)buf, (long)n, (long)off, (long)(off >> 32), 0);
}

static inline long arch_pwrite(int fd, const void *buf, size_t n, uint64_t off)
{
	return arch_syscall(SYS_pwrite64, fd, (long)buf, (long)n, (long)off, (long)(off >> 32), 0);
}

static inline long arch_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	return arch_syscall(SYS_fallocate, fd, mode, (long)off, (long)(off >> 32), (long)len,
			    (long)(len >> 32));
}

static inline long arch_stat(const char *path, uint64_t *dev, uint64_t *ino)
{
	struct stat64 st;
	long err = arch_syscall(SYS_stat64, (long)path, (long)&st, 0, 0, 0, 0);

	*dev = st.st_dev;
	*ino = st.st_ino;
	return err;
}

static inline long arch_getrlimit(int resource, void *limit)
{
	return arch_syscall(SYS_ugetrlimit, resource, (long)limit, 0, 0, 0, 0);
}

/* Kernels before 5.1 have the call with 32-bit seconds only. */
static inline long arch_clock_gettime(int clock, int64_t ts[2])
{
	long narrow[2] = { 0, 0 }, err;

	err = arch_syscall(SYS_clock_gettime64, clock, (long)ts, 0, 0, 0, 0);
	if (!err)
		return 0;
	err = arch_syscall(SYS_clock_gettime, clock, (long)narrow, 0, 0, 0, 0);
	ts[0] = narrow[0];
	ts[1] = narrow[1];
	return err;
}

#endif

#endif /* FTRACE_ARCH_SYSCALL_H */

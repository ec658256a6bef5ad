/* SPDX-License-Identifier: MIT */
/*
 * Raw system calls of s390, both widths. arch_syscall() returns what the kernel returns: a negative
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

static inline long arch_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r1 __asm__("r1") = nr;
	register long r2 __asm__("r2") = a;
	register long r3 __asm__("r3") = b;
	register long r4 __asm__("r4") = c;
	register long r5 __asm__("r5") = d;
	register long r6 __asm__("r6") = e;
	register long r7 __asm__("r7") = f;

	__asm__ volatile("svc 0"
			 : "+r"(r2)
			 : "r"(r1), "r"(r3), "r"(r4), "r"(r5), "r"(r6), "r"(r7)
			 : "cc", "memory");
	return r2;
}

/* The six arguments are handed over in memory. */
static inline long arch_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t off)
{
#ifdef __s390x__
	unsigned long args[6] = { (unsigned long)addr, len, (unsigned long)prot,
				  (unsigned long)flags, (unsigned long)(long)fd, off };

	return arch_syscall(SYS_mmap, (long)args, 0, 0, 0, 0, 0);
#else
	unsigned long args[6] = { (unsigned long)addr, len, (unsigned long)prot,
				  (unsigned long)flags, (unsigned long)fd,
				  (unsigned long)(off >> 12) };

	return arch_syscall(SYS_mmap2, (long)args, 0, 0, 0, 0, 0);
#endif
}

static inline long arch_pread(int fd, void *buf, size_t n, uint64_t off)
{
#ifdef __s390x__
	return arch_syscall(SYS_pread64, fd, (long)buf, (long)n, (long)off, 0, 0);
#else
	return arch_syscall(SYS_pread64, fd, (long)buf, (long)n, (long)(off >> 32), (long)off, 0);
#endif
}

static inline long arch_pwrite(int fd, const void *buf, size_t n, uint64_t off)
{
#ifdef __s390x__
	return arch_syscall(SYS_pwrite64, fd, (long)buf, (long)n, (long)off, 0, 0);
#else
	return arch_syscall(SYS_pwrite64, fd, (long)buf, (long)n, (long)(off >> 32), (long)off, 0);
#endif
}

static inline long arch_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
#ifdef __s390x__
	return arch_syscall(SYS_fallocate, fd, mode, (long)off, (long)len, 0, 0);
#else
	return arch_syscall(SYS_fallocate, fd, mode, (long)(off >> 32), (long)off,
			    (long)(len >> 32), (long)len);
#endif
}

/* What identifies the file at @path: device and inode. */
static inline long arch_stat(const char *path, uint64_t *dev, uint64_t *ino)
{
#ifdef __s390x__
	struct stat st;
	long err = arch_syscall(SYS_stat, (long)path, (long)&st, 0, 0, 0, 0);
#else
	struct stat64 st;
	long err = arch_syscall(SYS_stat64, (long)path, (long)&st, 0, 0, 0, 0);
#endif

	*dev = st.st_dev;
	*ino = st.st_ino;
	return err;
}

/* @limit: two longs, RLIM_INFINITY being all ones. */
static inline long arch_getrlimit(int resource, void *limit)
{
#ifdef __s390x__
	return arch_syscall(SYS_getrlimit, resource, (long)limit, 0, 0, 0, 0);
#else
	return arch_syscall(SYS_ugetrlimit, resource, (long)limit, 0, 0, 0, 0);
#endif
}

/* @ts: seconds and nanoseconds, 64 bits each. */
static inline long arch_clock_gettime(int clock, int64_t ts[2])
{
#ifdef __s390x__
	return arch_syscall(SYS_clock_gettime, clock, (long)ts, 0, 0, 0, 0);
#else
	long narrow[2] = { 0, 0 }, err;

	/* Kernels before 5.1 have the call with 32-bit seconds only. */
	err = arch_syscall(SYS_clock_gettime64, clock, (long)ts, 0, 0, 0, 0);
	if (!err)
		return 0;
	err = arch_syscall(SYS_clock_gettime, clock, (long)narrow, 0, 0, 0, 0);
	ts[0] = narrow[0];
	ts[1] = narrow[1];
	return err;
#endif
}

#endif /* FTRACE_ARCH_SYSCALL_H */

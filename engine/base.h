/* SPDX-License-Identifier: MIT */
/*
 * What the in-process code stands on instead of libc: it runs in the middle of other people's
 * calls, in processes whose libc may be traced, interposed or not initialised yet.
 *
 * Nothing here allocates through malloc(), touches errno, or calls into a shared object.
 */
#ifndef FTRACE_ENGINE_BASE_H
#define FTRACE_ENGINE_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syscall.h"		/* the architecture's: arch_syscall(nr, a, b, c, d, e, f) */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define container_of(p, t, m)	((t *)((char *)(p) - offsetof(t, m)))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define barrier()		__asm__ volatile("" ::: "memory")

#define ALIGN_UP(x, a)		(((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define FT_PAGE_SIZE		4096ul

/* Visible to the agent and the tracers, which are other shared objects; not public API. */
#define FTRACE_INTERNAL		__attribute__((visibility("default")))
#define FTRACE_PUBLIC		__attribute__((visibility("default")))

/*
 * Strings (string.c). gcc may still emit calls to memcpy and friends for structure copies; every
 * in-process file that includes this header sends those to ours, by name, in its own assembly.
 */
void *ft_memcpy(void *dst, const void *src, size_t n);
void *ft_memmove(void *dst, const void *src, size_t n);
void *ft_memset(void *dst, int c, size_t n);
int ft_memcmp(const void *a, const void *b, size_t n);
size_t ft_strlen(const char *s);
int ft_strcmp(const char *a, const char *b);
int ft_strncmp(const char *a, const char *b, size_t n);
char *ft_strchr(const char *s, int c);
char *ft_strrchr(const char *s, int c);
bool ft_starts_with(const char *s, const char *prefix);
const char *ft_base_name(const char *path);	/* behind its last slash */

/*
 * Words parted by blanks, commas, tabs, ends of lines or NULs: the next one between *@at and @end, which *@word points to
 * then and *@at behind. Its length; 0: there is none.
 */
size_t ft_next_word(const char **word, const char **at, const char *end);
__asm__("memcpy = ft_memcpy\nmemmove = ft_memmove\nmemset = ft_memset\nmemcmp = ft_memcmp");

/*
 * printf for log lines and text files: %s %c %d %u %x %lx %lu %ld %llu %p %%, with a width and 0 flag.
 * Returns the length the whole text has, as snprintf(); @size bytes hold it with its final NUL.
 */
int ft_snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int ft_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/* Memory (mem.c): zeroed, 16-aligned, from mmap; never returned to the system. NULL when refused. */
void *ft_alloc(size_t size);
void ft_free(void *p, size_t size);	/* @size as given to ft_alloc */
void *ft_mmap(void *addr, size_t len, int prot, int flags, int fd, u64 off);	/* or MAP_FAILED-like -errno */
static inline bool ft_is_err(const void *p)
{
	return (unsigned long)p >= -4095ul;
}

/*
 * Locks (lock.c): a futex mutex. Lives in memory that a fork wipes (ft_wipeonfork), so a child
 * never inherits a lock that some other thread of its parent held.
 */
struct ft_mutex {
	u32 word;		/* 0 free, 1 held, 2 held and somebody waits */
};
void ft_lock(struct ft_mutex *m);
bool ft_trylock(struct ft_mutex *m);
void ft_unlock(struct ft_mutex *m);
void *ft_wipeonfork(size_t len);	/* pages a child of fork sees zeroed; NULL when refused */

/* One line to the log callback; "what: why" without a newline. Returns @err for `return`. */
FTRACE_INTERNAL int ft_log(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Files, by raw system calls: the number of bytes, a descriptor, or -errno. */
int ft_open(const char *path, int flags, int mode);
int ft_close(int fd);
long ft_pread(int fd, void *buf, size_t n, u64 off);
long ft_pwrite(int fd, const void *buf, size_t n, u64 off);

/*
 * Memory for a part of a file in /dev/shm. Signals are held back meanwhile: one that arrives has the kernel
 * give it all back (EINTR), a timer that is faster than it does so each time.
 */
long ft_fallocate(int fd, u64 off, u64 len);
/* The whole of a file whose size is not known (/proc), up to @size bytes; its length or -errno. */
long ft_read_file(const char *path, char *buf, size_t size);
int ft_getpid(void);
int ft_gettid(void);
/* For /proc/self/maps-sized files: calls @line for each line (NUL-terminated, no newline). */
int ft_for_each_line(const char *path, int (*line)(char *text, void *data), void *data);

/* A mapping of this process. */
struct ft_mapping {
	unsigned long lo, hi;
	bool heap, stack;	/* the program's heap; the main thread's stack */
};
/* Calls @each for every one, by address, until it returns nonzero. -errno: no /proc/self/maps. */
int ft_for_each_mapping(int (*each)(const struct ft_mapping *m, void *data), void *data);

#endif /* FTRACE_ENGINE_BASE_H */

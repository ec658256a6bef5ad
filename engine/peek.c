/* SPDX-License-Identifier: MIT */
#include "peek.h"

#include <link.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "arch.h"
#include "callback.h"
#include "loader.h"
#include "thread.h"
#include "unwind-stack.h"

#define MAX_RANGES	128u
#define MAX_OBJECTS	64u
#define RED_ZONE	128u	/* what a function may use below its stack pointer */

/* Memory that is loaded for good, by address. Written once more by a later init: what was there stays. */
static struct range {
	unsigned long lo, hi;
} ranges[MAX_RANGES];
static u32 nranges;

static unsigned long main_top;	/* an address above all frames of the main thread */
static bool forbidden;		/* process_vm_readv() does not work here */

/* ---- what is loaded for good ---- */

static const char *strings_of(const struct link_map *map)
{
	const ElfW(Dyn) *d;

	for (d = map->l_ld; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB && d->d_un.d_ptr >= map->l_addr)
			return (const char *)d->d_un.d_ptr;
	return NULL;
}

static bool needs(const struct link_map *map, const char *name)
{
	const char *strings = strings_of(map);
	const ElfW(Dyn) *d;

	for (d = map->l_ld; strings && d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED && !ft_strcmp(ft_base_name(strings + d->d_un.d_val), name))
			return true;
	return false;
}

/*
 * The program and what it is linked with, in the loader's order, where each comes behind who needs it. What dlopen()
 * has loaded may go again, also while it is being read.
 */
static u32 find_permanent(const struct link_map **maps)
{
	const struct link_map *map = ftrace_loaded_objects();
	u32 n = 0, i;

	if (!map)
		return 0;
	maps[n++] = map;
	for (map = map->l_next; map && n < MAX_OBJECTS; map = map->l_next) {
		const char *name = map->l_name ? ft_base_name(map->l_name) : "";

		for (i = 0; i < n && !needs(maps[i], name); i++)
			;
		if (i < n)
			maps[n++] = map;
	}
	return n;
}

static void add_range(unsigned long lo, unsigned long hi)
{
	u32 n = nranges, i;

	for (i = 0; i < n; i++)
		if (ranges[i].lo == lo && ranges[i].hi == hi)
			return;
	if (n == MAX_RANGES || hi <= lo)
		return;
	ranges[n] = (struct range){ lo, hi };
	smp_store_release(&nranges, n + 1);
}

static void add_segments(unsigned long base, const ElfW(Phdr) *phdr, unsigned int phnum)
{
	for (unsigned int i = 0; i < phnum; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_flags & PF_R)
			add_range(ALIGN_DOWN(base + phdr[i].p_vaddr, FT_PAGE_SIZE),
				  ALIGN_UP(base + phdr[i].p_vaddr + phdr[i].p_memsz, FT_PAGE_SIZE));
}

/* The program's own headers are where the kernel says; a library's at its beginning. */
static void add_object(const struct link_map *map, bool program)
{
	ElfW(auxv_t) auxv[64];
	const ElfW(Phdr) *phdr = NULL;
	unsigned long phnum = 0;
	const ElfW(Ehdr) *ehdr;
	long n;

	if (program) {
		n = ft_read_file("/proc/self/auxv", (char *)auxv, sizeof(auxv));
		for (unsigned int i = 0; n > 0 && i < (unsigned long)n / sizeof(auxv[0]); i++) {
			if (auxv[i].a_type == AT_PHDR)
				phdr = (const ElfW(Phdr) *)auxv[i].a_un.a_val;
			if (auxv[i].a_type == AT_PHNUM)
				phnum = auxv[i].a_un.a_val;
		}
	} else if (map->l_addr) {
		struct ftrace_peek nothing = { 0, 0 };
		ElfW(Ehdr) head;

		/* Where its first segment is not at address 0 of the file's, this is somewhere else. */
		if (!ftrace_peek_read(&nothing, &head, map->l_addr, sizeof(head)) ||
		    ft_memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_phentsize != sizeof(*phdr) ||
		    head.e_phoff + head.e_phnum * sizeof(*phdr) > FT_PAGE_SIZE)
			return;
		ehdr = (const ElfW(Ehdr) *)map->l_addr;
		phdr = (const ElfW(Phdr) *)(map->l_addr + ehdr->e_phoff);
		phnum = head.e_phnum;
	}
	if (phdr)
		add_segments(map->l_addr, phdr, (unsigned int)phnum);
}

FTRACE_INTERNAL const char *ftrace_peek_init(void)
{
	const struct link_map *maps[MAX_OBJECTS];
	static u32 probe = 0x70656570;
	u32 n = find_permanent(maps), value = 0;
	struct iovec local = { &value, sizeof(value) }, remote = { &probe, sizeof(probe) };

	if (!READ_ONCE(ftrace_no_syscalls))
		forbidden = arch_syscall(SYS_process_vm_readv, ft_getpid(), (long)&local, 1,
					 (long)&remote, 1, 0) != sizeof(value) || value != probe;
	main_top = unwind_main_stack();
	for (u32 i = 0; i < n; i++)
		add_object(maps[i], i == 0);
	if (forbidden)
		return "the kernel does not let the process read its own memory "
		       "(process_vm_readv: a seccomp filter?)";
	return NULL;
}

/* ---- reading ---- */

FTRACE_INTERNAL void ftrace_peek_begin(struct ftrace_peek *peek, unsigned long sp)
{
	const struct ftrace_thread *t = ftrace_self;
	unsigned long tp = arch_thread_pointer();

	peek->lo = sp - RED_ZONE;
	peek->hi = ALIGN_DOWN(sp, FT_PAGE_SIZE) + FT_PAGE_SIZE;
	/*
	 * More is certain of the thread's own stack only: up to its control block, which the C library puts
	 * above it, and all of the main thread's.
	 */
	if (!t || !t->stack_own || !ftrace_is_on_stack(t, sp))
		return;
	if (sp < tp && tp < t->stack_lo + t->stack_size)
		peek->hi = tp;
	else if (sp < main_top && main_top <= t->stack_lo + t->stack_size)
		peek->hi = main_top;
}

static inline size_t within(unsigned long addr, unsigned long lo, unsigned long hi)
{
	return addr >= lo && addr < hi ? hi - addr : 0;
}

FTRACE_INTERNAL size_t ftrace_peek_direct(const struct ftrace_peek *peek, unsigned long addr)
{
	size_t n = within(addr, peek->lo, peek->hi);
	u32 count = smp_load_acquire(&nranges);

	for (u32 i = 0; !n && i < count; i++)
		n = within(addr, ranges[i].lo, ranges[i].hi);
	return n;
}

/* How much of it could be read, whole pages first; negative: nothing. */
static long by_kernel(void *to, unsigned long addr, size_t n)
{
	size_t first = FT_PAGE_SIZE - addr % FT_PAGE_SIZE;
	struct iovec local = { to, n }, remote[2] = { { (void *)addr, n } };
	long ret;

	if (unlikely(forbidden || READ_ONCE(ftrace_no_syscalls)))
		return -EFAULT;
	/* A transfer is partial between parts only. More than two pages are not asked for at once. */
	if (n > first) {
		remote[0].iov_len = first;
		remote[1] = (struct iovec){ (void *)(addr + first), n - first };
	}
	ret = arch_syscall(SYS_process_vm_readv, ftrace_process_pid(), (long)&local, 1, (long)remote,
			   n > first ? 2 : 1, 0);
	/* A child of vfork has our memory and another number. */
	if (unlikely(ret == -EPERM || ret == -ESRCH))
		ret = arch_syscall(SYS_process_vm_readv, ft_getpid(), (long)&local, 1, (long)remote,
				   n > first ? 2 : 1, 0);
	return ret;
}

FTRACE_INTERNAL bool ftrace_peek_read(const struct ftrace_peek *peek, void *to, unsigned long addr,
				      size_t n)
{
	if (addr + n < addr)
		return false;
	if (likely(ftrace_peek_direct(peek, addr) >= n)) {
		ft_memcpy(to, (const void *)addr, n);
		return true;
	}
	return by_kernel(to, addr, n) == (long)n;
}

/* Until the NUL or @n bytes; how many, the NUL included. */
static size_t copy_letters(char *to, const volatile char *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		to[i] = from[i];
		if (!to[i])
			return i + 1;
	}
	return n;
}

static const char *find_nul(const char *s, size_t n)
{
	for (; n; n--, s++)
		if (!*s)
			return s;
	return NULL;
}

FTRACE_INTERNAL long ftrace_peek_string(const struct ftrace_peek *peek, char *to, unsigned long addr,
					size_t size)
{
	size_t done = 0, most = size - 1;

	while (done < most) {
		size_t n = ftrace_peek_direct(peek, addr + done), want = most - done;
		const char *nul;
		long got;

		if (n) {
			n = copy_letters(to + done, (const char *)addr + done, n < want ? n : want);
			done += n;
			if (!to[done - 1])
				return (long)done;
			continue;
		}
		/* Small at first: most strings are short, and what is behind them may not be there. */
		n = done ? FT_PAGE_SIZE : 256;
		got = by_kernel(to + done, addr + done, n < want ? n : want);
		if (got <= 0)
			return -EFAULT;
		nul = find_nul(to + done, (size_t)got);
		if (nul)
			return nul + 1 - to;
		done += (size_t)got;
	}
	to[done] = '\0';
	return (long)done + 1;
}

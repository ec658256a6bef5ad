/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "site.h"
#include "text.h"

void ftrace_text_open(struct ftrace_text *text)
{
	text->max = arch_text_write_max();
	text->mem = text->max ? ft_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0) : -EOPNOTSUPP;
}

void ftrace_text_close(struct ftrace_text *text)
{
	if (text->mem >= 0)
		ft_close(text->mem);
	text->mem = -EBADF;
}

/*
 * Hardened kernels refuse writes to text through /proc/self/mem, a program may have no /proc or be
 * undumpable. Then a copy of the page, changed, in a memory file takes the page's place: mmap
 * with MAP_FIXED replaces it in one step, so a thread running there sees the old or the new one.
 */
static int replace_page(unsigned long page, size_t off, const void *bytes, size_t len)
{
	static const char name[] = "ftrace-text";
	u8 *copy;
	long fd, n;
	void *p;

	fd = arch_syscall(SYS_memfd_create, (long)name, 1 /* MFD_CLOEXEC */, 0, 0, 0, 0);
	if (fd < 0)
		return (int)fd;
	copy = ft_alloc(FT_PAGE_SIZE);
	if (!copy) {
		ft_close((int)fd);
		return -ENOMEM;
	}
	ft_memcpy(copy, (const void *)page, FT_PAGE_SIZE);
	ft_memcpy(copy + off, bytes, len);
	n = ft_pwrite((int)fd, copy, FT_PAGE_SIZE, 0);
	ft_free(copy, FT_PAGE_SIZE);
	if (n != (long)FT_PAGE_SIZE) {
		ft_close((int)fd);
		return n < 0 ? (int)n : -EIO;
	}
	p = ft_mmap((void *)page, FT_PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED,
		    (int)fd, 0);
	ft_close((int)fd);
	return ft_is_err(p) ? (int)(long)p : 0;
}

int ftrace_text_write(struct ftrace_text *text, unsigned long addr, const void *bytes, size_t len)
{
	const u8 *from = bytes;
	int err;

	if (text->mem >= 0) {
		size_t done = 0;

		while (done < len) {
			size_t part = len - done < text->max ? len - done : text->max;
			long n;

			/* In small pieces only what differs: most of a batch is the page as it was. */
			if (part < len && !ft_memcmp((const void *)(addr + done), from + done, part)) {
				done += part;
				continue;
			}
			n = ft_pwrite(text->mem, from + done, part, addr + done);

			if (n <= 0)
				break;
			done += n;
		}
		if (done == len && !ft_memcmp((const void *)addr, from, len))
			return 0;
	}
	while (len) {
		size_t off = addr % FT_PAGE_SIZE;
		size_t n = FT_PAGE_SIZE - off < len ? FT_PAGE_SIZE - off : len;

		err = replace_page(addr - off, off, from, n);
		if (err)
			return err;
		addr += n;
		from += n;
		len -= n;
	}
	return 0;
}

static unsigned long toggle_at(const struct dyn_ftrace *site)
{
	return site->ip + ARCH_SITE_TOGGLE;
}

int ftrace_text_toggle(struct dyn_ftrace **sites, u32 n)
{
	struct ftrace_text text;
	u8 *page;
	int err = 0, e;

	if (!n)
		return 0;
	page = ft_alloc(FT_PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	ftrace_text_open(&text);
	for (u32 i = 0; i < n;) {
		unsigned long lo = toggle_at(sites[i]), hi, base = ALIGN_DOWN(lo, FT_PAGE_SIZE);
		u32 k;

		/* The page's other bytes are rewritten with themselves: one call instead of many. */
		for (k = i; k < n && ALIGN_DOWN(toggle_at(sites[k]), FT_PAGE_SIZE) == base; k++)
			;
		hi = toggle_at(sites[k - 1]) + 1;
		ft_memcpy(page, (const void *)lo, hi - lo);
		for (u32 j = i; j < k; j++)
			page[toggle_at(sites[j]) - lo] =
				arch_site_byte(sites[j], sites[j]->flags & FTRACE_SITE_ON);
		e = ftrace_text_write(&text, lo, page, hi - lo);
		if (e) {
			for (u32 j = i; j < k; j++)
				sites[j]->flags ^= FTRACE_SITE_ON;
			if (!err)
				err = e;
		}
		i = k;
	}
	ftrace_text_close(&text);
	ft_free(page, FT_PAGE_SIZE);
	e = arch_poke_sync();
	return err ? err : e;
}

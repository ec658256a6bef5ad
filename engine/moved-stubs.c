/* SPDX-License-Identifier: MIT */
/* Stubs and copies of sites of FTRACE_FORM_MOVED, made when somebody first wants them; see moved.h. */
#include <linux/mman.h>

#include "arch.h"
#include "chunk.h"
#include "copy-frames.h"
#include "moved.h"
#include "plan.h"
#include "scratch.h"
#include "site.h"
#include "text.h"

#define GAP	16u		/* sites nobody wants yet that are written for the sake of one write */

/* Write @site's copy to @out; a site whose copy cannot be is refused. @site may be NULL. */
static void make_copy(struct dyn_ftrace *site, u8 *out)
{
	const struct ftrace_template *t = NULL;

	if (site)
		t = ftrace_plan_template(&site->obj->plan, ftrace_planned(site));
	if (t && !arch_copy_write(out, ftrace_copy(site->id), site->obj->base, t))
		return;
	ft_memset(out, ARCH_STUB_FILL, FTRACE_COPY_SIZE);
	if (site)
		site->flags = (site->flags | FTRACE_SITE_REFUSED) & ~(u32)FTRACE_SITE_ARMED;
}

static void note_made(u32 first, u32 end)
{
	for (u32 id = first; id < end; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (site)
			site->flags |= FTRACE_SITE_STUB;
	}
	ftrace_copies_used(ftrace_copy(first));
}

/* Make what sites [@first, @end) jump to, in one chunk. @buf: room for a chunk's copies. */
static int write_run(struct ftrace_text *text, u32 first, u32 end, u8 *buf)
{
	int err;

	for (u32 id = first; id < end; id++)
		make_copy(ftrace_site(id), buf + (id - first) * FTRACE_COPY_SIZE);
	err = ftrace_text_write(text, ftrace_copy(first), buf, (size_t)(end - first) * FTRACE_COPY_SIZE);
	if (!err)
		err = ftrace_chunk_write_stubs(text, first, end - first);
	if (!err)
		note_made(first, end);
	return err;
}

/* Fresh memory at @at to be written before it is executable again. */
static bool writable_again(unsigned long at, size_t size)
{
	return !ft_is_err(ft_mmap((void *)at, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0));
}

static bool executable_again(unsigned long at, size_t size)
{
	if (!arch_syscall(SYS_mprotect, (long)at, (long)size, PROT_READ | PROT_EXEC, 0, 0, 0))
		return true;
	/* Where memory that was written may not become executable: as it was before. */
	ft_mmap((void *)at, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		-1, 0);
	return false;
}

/*
 * The same for all of a chunk that nobody has used: in place, which takes a third of the time. False: it
 * cannot be.
 */
static bool build_chunk(u32 first, u32 end)
{
	const size_t size = FTRACE_CHUNK_CODE, copies_size = FTRACE_CHUNK_SITES * FTRACE_COPY_SIZE;
	u32 chunk = ALIGN_DOWN(first, FTRACE_CHUNK_SITES);
	unsigned long stubs = ftrace_stub(chunk), copies = ftrace_copy(chunk);
	bool good;

	for (u32 id = first; id < end; id++)
		if (ftrace_site(id)->flags & FTRACE_SITE_STUB)
			return false;
	good = writable_again(stubs, size);
	if (good && writable_again(copies, copies_size)) {
		ft_memset((void *)stubs, ARCH_STUB_FILL, (first - chunk) * FTRACE_STUB_SIZE);
		for (u32 id = first; id < end; id++) {
			struct dyn_ftrace *site = ftrace_site(id);

			arch_stub_write((u8 *)ftrace_stub(id), site, ftrace_stub(id));
			make_copy(site, (u8 *)ftrace_copy(id));
		}
		ft_memset((void *)ftrace_stub(end - 1) + FTRACE_STUB_SIZE, ARCH_STUB_FILL,
			  (chunk + FTRACE_CHUNK_SITES - end) * FTRACE_STUB_SIZE);
		good = executable_again(copies, copies_size);
	}
	good = executable_again(stubs, size) && good;
	if (good)
		note_made(first, end);
	return good;
}

#define MANY	256u		/* of a chunk's sites: worth making all */

/* Stubs and copies for those of the @n of @sites, of one object and one chunk, that have none. */
static int make_in_chunk(struct ftrace_text *text, struct dyn_ftrace **sites, u32 n, u8 *buf)
{
	const struct ftrace_object *obj = sites[0]->obj;
	u32 chunk = ALIGN_DOWN(sites[0]->id, FTRACE_CHUNK_SITES);
	u32 lo = obj->first_site > chunk ? obj->first_site : chunk;
	u32 hi = obj->first_site + obj->nsites, i, k;
	int err = 0;

	if (hi > chunk + FTRACE_CHUNK_SITES)
		hi = chunk + FTRACE_CHUNK_SITES;
	if (n >= MANY && build_chunk(lo, hi))
		return 0;
	for (i = 0; i < n && !err;) {
		u32 first = sites[i]->id, end = first + 1;

		if (sites[i++]->flags & FTRACE_SITE_STUB)
			continue;
		for (; i < n && sites[i]->id - end <= GAP; i++) {
			for (k = end; k <= sites[i]->id; k++)
				if (ftrace_site(k)->flags & FTRACE_SITE_STUB)
					break;
			if (k <= sites[i]->id)
				break;
			end = k;
		}
		err = write_run(text, first, end, buf);
	}
	return err;
}

int ftrace_moved_make_stubs(struct ftrace_text *text, struct dyn_ftrace **sites, u32 n)
{
	const size_t size = FTRACE_CHUNK_SITES * FTRACE_COPY_SIZE;
	u8 *buf = scratch_alloc(size);
	int err = buf ? 0 : -ENOMEM;

	for (u32 i = 0, k; i < n && !err; i = k) {
		bool missing = false;

		for (k = i; k < n && sites[k]->obj == sites[i]->obj &&
			    sites[k]->id / FTRACE_CHUNK_SITES == sites[i]->id / FTRACE_CHUNK_SITES; k++)
			missing |= !(sites[k]->flags & FTRACE_SITE_STUB);
		if (missing)
			err = make_in_chunk(text, sites + i, k - i, buf);
	}
	scratch_free(buf, size);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* Reading plans; see plan.h. Nothing in a plan is believed before it was looked at. */
#include "plan.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <sys/stat.h>

#include "arch.h"
#include "recognise.h"
#include "site.h"

/* Is [@at, @at + @count * @size) inside of the plan, behind its header? */
static bool inside(const struct ftrace_plan_header *h, u64 at, u64 count, u64 size)
{
	return at >= sizeof(*h) && at <= h->size && at % 8 == 0 && count <= (h->size - at) / size;
}

static bool check_header(const struct ftrace_plan_header *h, u64 file_size)
{
	u32 machine = ARCH_ELF_MACHINE | (ARCH_ELF_WIDE ? 1u << 31 : 0);

	if (h->magic != FTRACE_PLAN_MAGIC || h->version != FTRACE_PLAN_VERSION ||
	    h->machine != machine || h->size != file_size || h->size % 8)
		return false;
	return inside(h, h->funcs, h->nfuncs, sizeof(struct ftrace_planned)) &&
	       inside(h, h->ifuncs, h->nifuncs, sizeof(struct ftrace_planned_ifunc)) &&
	       inside(h, h->code, h->code_size, 1) &&
	       h->strings >= sizeof(*h) && h->strings <= h->size &&
	       h->strings_size && h->strings_size <= h->size - h->strings &&
	       h->build_id[sizeof(h->build_id) - 1] == 0;
}

/* Everything but the templates, which are looked at when they are needed. */
static bool check_tables(const struct ftrace_plan *plan)
{
	const struct ftrace_plan_header *h = plan->header;
	u64 end = 0;		/* of the moved bytes before */

	if (plan->strings[h->strings_size - 1])
		return false;
	for (u32 i = 0; i < h->nfuncs; i++) {
		const struct ftrace_planned *f = &plan->funcs[i];

		if (f->name >= h->strings_size || f->reason >= h->strings_size ||
		    (i && f->vaddr <= f[-1].vaddr) || f->vaddr > UINT64_MAX / 2)
			return false;
		if (f->form == FTRACE_FORM_NONE)
			continue;
		if (f->form != FTRACE_FORM_MOVED || f->len > FTRACE_MOVED_MAX ||
		    f->vaddr < f->before || f->vaddr - f->before < end)
			return false;
		if (f->before ? f->len < ARCH_SHORT_SIZE || f->before < ARCH_SITE_SIZE ||
				f->before > FTRACE_BEFORE_MAX ||
				f->len + (u32)ARCH_SITE_SIZE > FTRACE_MOVED_MAX : f->len < ARCH_SITE_SIZE)
			return false;
		end = f->vaddr + f->len;
	}
	for (u32 i = 0; i < h->nifuncs; i++)
		if (plan->ifuncs[i].name >= h->strings_size)
			return false;
	return true;
}

int ftrace_plan_open(struct ftrace_plan *plan, const char *path)
{
	const struct ftrace_plan_header *h;
	struct statx st;
	int fd, err;

	plan->header = NULL;
	fd = ft_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	err = (int)arch_syscall(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BASIC_STATS,
				(long)&st, 0);
	if (!err && (!S_ISREG(st.stx_mode) || st.stx_size < sizeof(*h) ||
		     st.stx_size > SIZE_MAX / 2))
		err = -EINVAL;
	h = err ? NULL : ft_mmap(NULL, (size_t)st.stx_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
				 fd, 0);
	ft_close(fd);
	if (err)
		return err;
	if (ft_is_err(h))
		return (int)(long)h;
	plan->size = (size_t)st.stx_size;
	plan->header = h;
	if (check_header(h, plan->size)) {
		plan->funcs = (const void *)((const char *)h + h->funcs);
		plan->ifuncs = (const void *)((const char *)h + h->ifuncs);
		plan->strings = (const char *)h + h->strings;
		if (h->checksum == ftrace_plan_checksum(h + 1, plan->size - sizeof(*h)) &&
		    check_tables(plan))
			return 0;
	}
	ftrace_plan_close(plan);
	return -EINVAL;
}

void ftrace_plan_close(struct ftrace_plan *plan)
{
	if (plan->header)
		arch_syscall(SYS_munmap, (long)plan->header, (long)plan->size, 0, 0, 0, 0);
	plan->header = NULL;
}

const struct ftrace_template *ftrace_plan_template(const struct ftrace_plan *plan,
						   const struct ftrace_planned *func)
{
	const struct ftrace_plan_header *h = plan->header;
	const struct ftrace_template *t;
	const struct ftrace_copied *copied;
	size_t left, size;

	if (func->code > h->code_size || func->code % 8)
		return NULL;
	left = h->code_size - func->code;
	t = (const void *)((const char *)h + h->code + func->code);
	if (left < sizeof(*t) || !t->ninsns || t->len > FTRACE_COPY_SIZE)
		return NULL;
	size = sizeof(*t) + t->nfixups * sizeof(struct ftrace_fixup) +
	       t->ninsns * sizeof(*copied) + t->len;
	if (size > left)
		return NULL;
	copied = ftrace_template_copied(t);
	for (u32 i = 0; i < t->ninsns; i++)
		if (copied[i].copy >= t->len || copied[i].original > func->len ||
		    (i && (copied[i].copy <= copied[i - 1].copy ||
			   copied[i].original < copied[i - 1].original)))
			return NULL;
	return t;
}

int ftrace_copied_to(const struct ftrace_template *t, unsigned int original)
{
	const struct ftrace_copied *copied = ftrace_template_copied(t);

	for (u32 i = 0; i < t->ninsns; i++)
		if (copied[i].original == original)
			return copied[i].pushed ? -ENOENT : copied[i].copy;
	return -ENOENT;
}

size_t ftrace_template_put(void *out, const struct probe_copy *c)
{
	size_t fixups = c->nfixups * sizeof(c->fixup[0]), insns = c->ninsns * sizeof(c->copied[0]);
	struct ftrace_template *t = out;

	if (t) {
		t->len = c->size;
		t->nfixups = c->nfixups;
		t->ninsns = c->ninsns;
		ft_memcpy(t + 1, c->fixup, fixups);
		ft_memcpy((u8 *)(t + 1) + fixups, c->copied, insns);
		ft_memcpy((u8 *)(t + 1) + fixups + insns, c->bytes, c->size);
	}
	return sizeof(*t) + fixups + insns + c->size;
}

int ftrace_plan_functions(const struct ftrace_plan *plan, const char *object,
			  struct ftrace_finding *find, u32 **planned)
{
	const u32 n = plan->header->nfuncs;
	struct ftrace_found *found;
	u32 nameless = 0, refused = 0, *number;
	size_t name_size = ft_strlen(object) + sizeof("+0x0123456789abcdef");
	char *names = NULL;

	for (u32 i = 0; i < n; i++) {
		nameless += !plan->funcs[i].name;
		refused += plan->funcs[i].form == FTRACE_FORM_NONE;
	}
	found = ft_alloc(n * sizeof(*found) + 1);
	number = ft_alloc((n - refused) * sizeof(*number) + 1);
	if (nameless)
		names = ft_alloc(nameless * name_size);
	if (!found || !number || (nameless && !names)) {
		ft_free(found, n * sizeof(*found) + 1);
		ft_free(number, (n - refused) * sizeof(*number) + 1);
		return -ENOMEM;
	}
	find->found = found;
	find->nfound = n;
	find->nrefused = refused;
	*planned = number;
	for (u32 i = 0; i < n; i++) {
		const struct ftrace_planned *f = &plan->funcs[i];

		found[i] = (struct ftrace_found){
			.vaddr = f->vaddr,
			.entry = f->vaddr,
			.size = f->size,
			.name = plan->strings + f->name,
			.form = f->form,
			.len = f->len,
			.flags = f->flags,
		};
		if (!f->name) {
			ft_snprintf(names, name_size, "%s+0x%llx", object,
				    (unsigned long long)f->vaddr);
			found[i].name = names;
			found[i].flags |= FTRACE_FOUND_NAMELESS;
			names += ft_strlen(names) + 1;
		}
		if (f->form == FTRACE_FORM_NONE)
			found[i].reason = plan->strings + f->reason;
		else
			*number++ = i;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * planner_make() plans for damaged files. Built with address and undefined-behaviour sanitizers. A plan
 * that is made must be sound whatever the file was: everything in it is looked at as the traced process would.
 */
#include "arch/arch.h"
#include "planner/planner.h"
#include "engine/find.h"
#include "tests/find/fuzz.h"

#define MUST(condition) do { if (!(condition)) { \
	fprintf(stderr, "planner-fuzz: line %d: %s\n", __LINE__, #condition); abort(); } } while (0)

static void check_function(const struct ftrace_plan_header *h, const struct ftrace_planned *f)
{
	const u8 *plan = (const u8 *)h;
	const struct ftrace_template *t;
	const struct ftrace_copied *c;
	u8 copy[FTRACE_COPY_SIZE];
	size_t size;
	int ret;

	MUST(f->name < h->strings_size && f->reason < h->strings_size);
	MUST((f->form == FTRACE_FORM_NONE) == (f->reason != 0));
	MUST(f->name || f->flags & FTRACE_FOUND_NAMELESS);
	if (f->form == FTRACE_FORM_NONE)
		return;
	found++;
	MUST(f->form == FTRACE_FORM_MOVED);
	MUST(f->len >= (f->before ? ARCH_SHORT_SIZE : ARCH_SITE_SIZE) && f->len <= FTRACE_MOVED_MAX);
	MUST(!f->before || (f->before >= ARCH_SITE_SIZE && f->before <= FTRACE_BEFORE_MAX &&
			    f->len + (u32)ARCH_SITE_SIZE <= FTRACE_MOVED_MAX));
	MUST(f->code % 8 == 0 && f->code + sizeof(*t) <= h->code_size);
	t = (const void *)(plan + h->code + f->code);
	size = sizeof(*t) + t->nfixups * sizeof(struct ftrace_fixup) +
	       t->ninsns * sizeof(*c) + t->len;
	MUST(t->len <= FTRACE_COPY_SIZE && t->ninsns && t->nfixups);
	MUST(size <= h->code_size - f->code);
	c = (const void *)((const struct ftrace_fixup *)(t + 1) + t->nfixups);
	for (unsigned int i = 0; i < t->ninsns; i++) {
		MUST(c[i].copy < t->len && c[i].original <= f->len);
		MUST(!i || (c[i].copy > c[i - 1].copy && c[i].original >= c[i - 1].original));
	}
	MUST(c[t->ninsns - 1].original == f->len);
	ret = arch_copy_write(copy, f->vaddr + 0x1000, 0, t);
	MUST(ret == 0 || ret == -ERANGE);
}

static void check(const void *plan, size_t size)
{
	const struct ftrace_plan_header *h = plan;
	const struct ftrace_planned *f;
	const struct ftrace_planned_ifunc *ifunc;
	u64 end = 0;

	MUST(size >= sizeof(*h) && h->size == size && size % 8 == 0);
	MUST(h->checksum == ftrace_plan_checksum(h + 1, size - sizeof(*h)));
	MUST(h->funcs % 8 == 0 && h->funcs + (u64)h->nfuncs * sizeof(*f) <= size);
	MUST(h->ifuncs % 8 == 0 && h->ifuncs + (u64)h->nifuncs * sizeof(*ifunc) <= size);
	MUST(h->code % 8 == 0 && (u64)h->code + h->code_size <= size);
	MUST((u64)h->strings + h->strings_size <= size && h->strings_size);
	MUST(!((const char *)plan)[h->strings + h->strings_size - 1]);
	f = (const void *)((const u8 *)plan + h->funcs);
	for (u32 i = 0; i < h->nfuncs; i++) {
		MUST(!i || f[i].vaddr > f[i - 1].vaddr);
		if (f[i].form != FTRACE_FORM_NONE) {
			MUST(f[i].vaddr - f[i].before >= end);
			end = f[i].vaddr + f[i].len;
		}
		check_function(h, &f[i]);
	}
	ifunc = (const void *)((const u8 *)plan + h->ifuncs);
	for (u32 i = 0; i < h->nifuncs; i++)
		MUST(ifunc[i].name && ifunc[i].name < h->strings_size);
}

static void look(const u8 *d, size_t size)
{
	u8 *exact = malloc(size);
	const char *why;
	size_t plan_size;
	void *plan;
	int ret;

	memcpy(exact, d, size);
	image = exact;
	image_size = size;
	image_path = "/proc/self/exe";	/* something that there is: its time and size are asked for */
	ret = planner_make(image_path, &plan, &plan_size, &why);
	if (ret == 0) {
		good++;
		check(plan, plan_size);
		free(plan);
	} else {
		MUST(ret > -134 && ret < 0 && why && !plan);
		errors[-ret]++;
	}
	free(exact);
}

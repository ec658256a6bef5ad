/* SPDX-License-Identifier: MIT */
/* planner_make(): an object opened, looked at part by part, and its plan written down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arch-site.h"
#include "engine/scratch.h"
#include "planner/internal.h"

/* ---- the text ---- */

static int add_region(struct planner *p, u64 vaddr, u64 size)
{
	struct region *r = &p->region[p->nregions];
	u64 avail;
	u32 i;

	r->code = elf_code_at(&p->finder.elf, vaddr, &avail);
	if (!r->code || !size || !avail)
		return 0;
	if (p->nregions == MAX_REGIONS)
		return -EFBIG;
	r->vaddr = vaddr;
	r->size = size < avail ? size : avail;
	for (i = 0; i < p->nregions; i++)	/* sections of a sound file share nothing */
		if (vaddr < p->region[i].vaddr + p->region[i].size &&
		    p->region[i].vaddr < vaddr + r->size)
			return 0;
	r->marks = calloc(1, (size_t)r->size);
	if (!r->marks)
		return -ENOMEM;
	p->nregions++;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/* Executable sections; segments where there are no section headers. */
static int find_regions(struct planner *p)
{
	const struct elf *e = &p->finder.elf;
	struct elf_section s;
	int ret = 0;
	u32 i;

	for (i = 0; i < e->nsections && !ret; i++) {
		elf_section(e, i, &s);
		if (s.flags & SHF_EXECINSTR && s.flags & SHF_ALLOC && s.data)
			ret = add_region(p, s.addr, s.size);
	}
	for (i = 0; i < e->nloads && !ret && !e->nsections; i++)
		if (e->load[i].exec)
			ret = add_region(p, e->load[i].vaddr, e->load[i].size);
	qsort(p->region, p->nregions, sizeof(p->region[0]), by_address);
	return ret;
}

/* ---- writing it down ---- */

struct blob {
	u8 *data;
	size_t size, capacity;
};

/* Room for @len bytes at the end, zeroed; NULL: no memory. */
static void *blob_add(struct blob *b, size_t len)
{
	if (len > b->capacity - b->size) {
		size_t capacity = 2 * b->capacity + len + 4096;
		u8 *fresh = realloc(b->data, capacity);

		if (!fresh)
			return NULL;
		b->data = fresh;
		b->capacity = capacity;
	}
	memset(b->data + b->size, 0, len);
	b->size += len;
	return b->data + b->size - len;
}

/* What is kept of a function that can be moved. */
struct judged {
	u32 code;		/* its template: offset in code */
	u8 moved, before;
};

struct written {
	struct planner *p;
	struct blob strings, code;
	struct judged *judged;	/* one a candidate */
	struct ftrace_planned *funcs;
	struct ftrace_planned_ifunc *ifuncs;
	u32 nfuncs, nifuncs;
	struct { const char *text; u32 at; } reasons[64];
	u32 nreasons, movable, named;
};

/* Add a name; its offset, 0: no memory. */
static u32 add_string(struct written *w, const char *text, size_t len, const char *behind)
{
	size_t more = strlen(behind);
	char *to = blob_add(&w->strings, len + more + 1);

	if (!to)
		return 0;
	memcpy(to, text, len);
	memcpy(to + len, behind, more);
	return (u32)(to - (char *)w->strings.data);
}

/* Reasons are few and static: each once. */
static u32 add_reason(struct written *w, const char *text)
{
	u32 i, at;

	for (i = 0; i < w->nreasons; i++)
		if (w->reasons[i].text == text)
			return w->reasons[i].at;
	at = add_string(w, text, strlen(text), "");
	if (at && w->nreasons < ARRAY_SIZE(w->reasons)) {
		w->reasons[w->nreasons].text = text;
		w->reasons[w->nreasons++].at = at;
	}
	return at;
}

static bool add_template(struct written *w, const struct probe_copy *c, u32 *at)
{
	u8 *t = blob_add(&w->code, ALIGN_UP(ftrace_template_put(NULL, c), 8));

	if (!t)
		return false;
	ftrace_template_put(t, c);
	*at = (u32)(t - w->code.data);
	return true;
}

/* Is what was refused no function that anybody would miss? */
static bool is_part(const char *reason)
{
	static const char *const begins[] = {
		"not an entry:", "no symbol,", "a part of another function", "an entry of the linkage table",
		"the program's first instructions",
	};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (!strncmp(reason, begins[i], strlen(begins[i])))
			return true;
	return false;
}

static int add_function(struct written *w, struct ftrace_found *c, const struct judged *j)
{
	struct planner *p = w->p;
	struct ftrace_planned *f = &w->funcs[w->nfuncs++];
	const struct func_symbol *sym = c->name ? symbols_best(&p->finder.symbols, c->vaddr) : NULL;
	struct region *r = planner_region(p, c->vaddr);

	f->vaddr = c->vaddr;
	f->size = c->size > UINT32_MAX ? UINT32_MAX : (u32)c->size;
	f->flags = c->flags;
	if (c->name) {
		/* A symbol of an IFUNC names what its resolver chooses. */
		f->name = add_string(w, c->name, symbols_name_length(c->name),
				     sym && sym->rank >= SYMBOL_RANK_IFUNC ? ".resolver" : "");
		if (!f->name)
			return -ENOMEM;
	}
	if (c->reason) {
		f->form = FTRACE_FORM_NONE;
		f->flags |= is_part(c->reason) ? FTRACE_FOUND_PART : 0;
		f->reason = add_reason(w, c->reason);
		return f->reason ? 0 : -ENOMEM;
	}
	f->code = j->code;
	f->form = FTRACE_FORM_MOVED;
	f->len = j->moved;
	f->before = j->before;
	memcpy(f->orig, r->code + (c->vaddr - r->vaddr), j->moved);
	if (j->before)
		memcpy(f->orig + j->moved, r->code + (c->vaddr - r->vaddr) - j->before, ARCH_SITE_SIZE);
	w->movable++;
	w->named += c->name != NULL;
	return 0;
}

static int add_ifuncs(struct written *w)
{
	struct symbols *s = &w->p->finder.symbols;
	u32 i, n = 0;

	for (i = 0; i < s->n; i++)
		n += s->sym[i].rank >= SYMBOL_RANK_IFUNC;
	w->ifuncs = calloc(n ? n : 1, sizeof(*w->ifuncs));
	if (!w->ifuncs)
		return -ENOMEM;
	for (i = 0; i < s->n; i++) {
		struct ftrace_planned_ifunc *f = &w->ifuncs[w->nifuncs];
		size_t len = symbols_name_length(s->sym[i].name);

		if (s->sym[i].rank < SYMBOL_RANK_IFUNC || !planner_region(w->p, s->sym[i].addr))
			continue;
		f->resolver = s->sym[i].addr;
		f->name = add_string(w, s->sym[i].name, len, "");
		if (!f->name)
			return -ENOMEM;
		w->nifuncs++;
	}
	return 0;
}

static int put_together(struct written *w, const struct stat *st, void **plan, size_t *size)
{
	const struct planner *p = w->p;
	size_t funcs = sizeof(struct ftrace_plan_header);
	size_t ifuncs = funcs + w->nfuncs * sizeof(*w->funcs);
	size_t code = ifuncs + w->nifuncs * sizeof(*w->ifuncs);
	size_t strings = code + w->code.size, all;
	struct ftrace_plan_header *h;

	_Static_assert(sizeof(*h) % 8 == 0 && sizeof(*w->funcs) % 8 == 0 &&
		       sizeof(*w->ifuncs) % 8 == 0, "tables are aligned");
	if (!blob_add(&w->strings, (8 - w->strings.size % 8) % 8))
		return -ENOMEM;
	all = strings + w->strings.size;
	if (all > UINT32_MAX)
		return -EFBIG;
	h = calloc(1, all);
	if (!h)
		return -ENOMEM;
	*h = (struct ftrace_plan_header){
		.magic = FTRACE_PLAN_MAGIC, .version = FTRACE_PLAN_VERSION,
		.machine = p->finder.elf.machine | (p->finder.elf.wide ? 1u << 31 : 0),
		/* A stripped program may still export a few (git: error()). */
		.flags = w->named * 20ull >= w->movable && w->named ? 0 : FTRACE_PLAN_NO_SYMBOLS,
		.size = all, .object_size = (u64)st->st_size,
		.object_mtime_ns = (u64)st->st_mtim.tv_sec * 1000000000u + (u64)st->st_mtim.tv_nsec,
		.nfuncs = w->nfuncs, .funcs = (u32)funcs, .nifuncs = w->nifuncs,
		.ifuncs = (u32)ifuncs, .strings = (u32)strings, .strings_size = (u32)w->strings.size,
		.code = (u32)code, .code_size = (u32)w->code.size,
	};
	memcpy(h->build_id, p->build_id, sizeof(h->build_id));
	memcpy((u8 *)h + funcs, w->funcs, ifuncs - funcs);
	memcpy((u8 *)h + ifuncs, w->ifuncs, code - ifuncs);
	if (w->code.size)
		memcpy((u8 *)h + code, w->code.data, w->code.size);
	memcpy((u8 *)h + strings, w->strings.data, w->strings.size);
	h->checksum = ftrace_plan_checksum(h + 1, all - sizeof(*h));
	*plan = h;
	*size = all;
	return 0;
}

static int judge_all(struct written *w)
{
	struct finder *f = &w->p->finder;
	struct probe_copy copy;
	u32 i;

	for (i = 0; i < f->n; i++) {
		struct ftrace_found *c = &f->found[i];

		c->reason = judge(w->p, c, &copy, &w->judged[i].before);
		c->form = c->reason ? FTRACE_FORM_NONE : FTRACE_FORM_MOVED;
		if (c->reason)
			continue;
		if (!add_template(w, &copy, &w->judged[i].code))
			return -ENOMEM;
		w->judged[i].moved = copy.moved;
	}
	finder_mark_readers(f);
	finder_mark_tails(f);
	return 0;
}

static int write_down(struct planner *p, const struct stat *st, void **plan, size_t *size)
{
	struct written w = { .p = p };
	int ret = 0;
	u32 i;

	w.funcs = calloc(p->finder.n ? p->finder.n : 1, sizeof(*w.funcs));
	w.judged = calloc(p->finder.n ? p->finder.n : 1, sizeof(*w.judged));
	if (!w.funcs || !w.judged || !blob_add(&w.strings, 1))	/* offset 0: no string */
		ret = -ENOMEM;
	if (!ret)
		ret = judge_all(&w);
	for (i = 0; i < p->finder.n && !ret; i++)
		ret = add_function(&w, &p->finder.found[i], &w.judged[i]);
	if (!ret)
		ret = add_ifuncs(&w);
	if (!ret)
		ret = put_together(&w, st, plan, size);
	free(w.strings.data);
	free(w.code.data);
	free(w.funcs);
	free(w.judged);
	free(w.ifuncs);
	return ret;
}

/* ---- all of it ---- */

static int look(struct planner *p, const char *path, const char **why)
{
	struct finder *f = &p->finder;
	const struct elf *e = &f->elf;
	int ret = elf_open(&f->elf, path, f->real);

	if (ret == -ENOEXEC)
		*why = "not an ELF file";
	if (ret == -EIO)
		*why = "cut short or damaged";
	if (ret)
		return ret;
	p->probe = probe_open(e->machine, e->wide);
	if (!p->probe || e->swapped || (e->type != ET_EXEC && e->type != ET_DYN)) {
		*why = e->type == ET_REL ? "not linked yet" :
		       "no disassembler is built in for its kind of processor";
		return -ENOEXEC;
	}
	ret = elf_load_segments(&f->elf);
	if (!ret)
		ret = find_regions(p);
	if (ret) {
		*why = ret == -EFBIG ? "it has too many executable sections" : "cut short or damaged";
		return ret;
	}
	elf_build_id(e, p->build_id);
	names_of_object(p);
	eh_frame_open(&f->eh, e);
	finder_callees(f);
	ret = symbols_load(&f->symbols, e, f->real, p->build_id);
	if (!ret)
		ret = candidates_find(p);
	if (!ret && !p->object_reason)
		ret = scan_text(p);
	if (!ret && !p->object_reason)
		ret = targets_find(p);
	if (ret)
		return ret;
	landing_pads(p);
	return 0;
}

int planner_make(const char *path, void **plan, size_t *size, const char **why)
{
	struct planner *p = calloc(1, sizeof(*p));
	struct stat st;
	int ret;

	*plan = NULL;
	*size = 0;
	*why = NULL;
	if (!p)
		ret = -ENOMEM;
	else if (stat(path, &st))
		ret = -errno;
	else
		ret = look(p, path, why);
	if (!ret)
		ret = write_down(p, &st, plan, size);
	if (ret && !*why)
		*why = strerrordesc_np(-ret);
	if (p) {
		scan_close(p);
		symbols_unload(&p->finder.symbols);
		elf_close(&p->finder.elf);
		scratch_free(p->finder.found, p->finder.capacity * sizeof(*p->finder.found));
		probe_close(p->probe);
		free(p);
	}
	return ret;
}

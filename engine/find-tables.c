/* SPDX-License-Identifier: MIT */
/*
 * Functions by the lists that compilers make: __patchable_function_entries and __mcount_loc, one
 * address a function, filled in by relocations.
 */
#include "arch-site.h"
#include "finder.h"
#include "recognise.h"
#include "scratch.h"

#define PATCHABLE	"__patchable_function_entries"
#define MCOUNT_LOC	"__mcount_loc"

/* More of either kind is no linker's work, and would make us slow. */
#define MAX_TABLES	64
#define MAX_REL_SECTIONS 64

/* A number in a text. */
#define BYTES(n)	TEXT_OF(n)
#define TEXT_OF(n)	#n

#ifndef SHF_ALLOC
#define SHF_ALLOC 2
#endif

struct table {
	u64 addr, size;
	u64 *words;		/* into the scratch of struct tables */
};

struct tables {
	struct table table[MAX_TABLES];
	u32 n;
	u64 *words;
	size_t nwords;
};

static bool is_table(const struct elf_section *s, const char *name)
{
	return s->data && (s->flags & SHF_ALLOC) && s->size && ft_strcmp(s->name, name) == 0;
}

bool finder_has_tables(const struct elf *e)
{
	struct elf_section s;
	u32 i;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if (is_table(&s, PATCHABLE) || is_table(&s, MCOUNT_LOC))
			return true;
	}
	return false;
}

/* The words of all sections of that name as they stand in the file. */
static int read_words(const struct elf *e, const char *name, struct tables *t)
{
	u32 word = elf_word_size(e), i;
	struct elf_section s;
	u64 total = 0, at = 0, k;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if (!is_table(&s, name))
			continue;
		total += s.size / word;
		/* Sections do not overlap in a sound file. */
		if (t->n++ == MAX_TABLES || total > e->size / word)
			return -EIO;
	}
	if (!total)
		return 0;
	t->words = scratch_alloc((size_t)total * sizeof(u64));
	if (!t->words)
		return -ENOMEM;
	t->nwords = (size_t)total;
	t->n = 0;
	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if (!is_table(&s, name))
			continue;
		t->table[t->n++] = (struct table){ s.addr, s.size / word * word, t->words + at };
		for (k = 0; k < s.size / word; k++)
			t->words[at++] = elf_word(e, s.data + k * word);
	}
	return 0;
}

static u64 *word_at(const struct elf *e, struct tables *t, u64 addr)
{
	u32 i;

	for (i = 0; i < t->n; i++) {
		u64 off = addr - t->table[i].addr;

		if (off < t->table[i].size)
			return off % elf_word_size(e) ? NULL :
			       &t->table[i].words[off / elf_word_size(e)];
	}
	return NULL;
}

/*
 * Apply the loader's relocations. REL and RELR leave the link-time address in the word itself, so
 * that only what they add to it is missing, which is the load base; RELA has it in the entry.
 */
static int relocate(const struct elf *e, struct tables *t)
{
	struct elf_section s, symsec;
	struct elf_symtab symtab;
	u32 i, nsections = 0;
	u64 k, count;

	for (i = 0; i < e->nsections && t->n; i++) {
		elf_section(e, i, &s);
		if ((s.type != SHT_RELA && s.type != SHT_REL) || !(s.flags & SHF_ALLOC) || !s.data)
			continue;
		if (nsections++ == MAX_REL_SECTIONS)
			return -EIO;
		ft_memset(&symtab, 0, sizeof(symtab));
		if (s.link && s.link < e->nsections) {
			elf_section(e, s.link, &symsec);
			elf_symtab(e, &symsec, &symtab);
		}
		count = elf_nrels(e, &s);
		for (k = 0; k < count; k++) {
			struct elf_symbol sym;
			struct elf_rel rel;
			u64 *word;

			elf_rel(e, &s, k, &rel);
			word = word_at(e, t, rel.offset);
			if (!word)
				continue;
			if (s.type == SHT_RELA)
				*word = rel.addend;
			if (rel.type == ARCH_R_RELATIVE)
				continue;
			if (rel.type != ARCH_R_WORD || rel.sym >= symtab.count) {
				*word = 0;
				continue;
			}
			elf_symbol(e, &symtab, rel.sym, &sym);
			*word = sym.section == SHN_UNDEF ? 0 : *word + sym.value;
		}
	}
	return 0;
}

/* Length of the nops from @vaddr on, whole instructions within @room; stops at @enough bytes. */
static u64 nops_at(struct finder *f, u64 vaddr, u64 room, u64 enough)
{
	u64 avail, len = 0;
	const u8 *code = elf_code_at(&f->elf, vaddr, &avail);
	size_t n;

	if (avail > room)
		avail = room;
	while (len < avail && len < enough) {
		n = arch_nop(code + len, (size_t)(avail - len));
		if (!n)
			break;
		len += n;
	}
	return len;
}

static u64 landing_pad_at(struct finder *f, u64 vaddr)
{
	u64 avail;
	const u8 *code = elf_code_at(&f->elf, vaddr, &avail);

	return code ? arch_landing_pad(code, (size_t)avail) : 0;
}

#define MAX_PREFIX 4096		/* nops before an entry; kernels use 16 */

/*
 * The function that the record @v belongs to. Without nops before the entry, @v is the entry or
 * just behind its landing pad; with them, the entry is where those nops end.
 */
static bool entry_of_record(struct finder *f, u64 v, u64 *entry)
{
	u64 run, at;
	size_t n;
	const u8 *code;
	u64 avail;

	*entry = v;
	if (finder_begins(f, v))
		return true;
	*entry = v - ARCH_LANDING_PAD;
	if (landing_pad_at(f, *entry) && finder_begins(f, *entry))
		return true;

	code = elf_code_at(&f->elf, v, &avail);
	for (run = 0; run < avail && run < MAX_PREFIX; run += n) {
		n = arch_nop(code + run, (size_t)(avail - run));
		if (!n)
			break;
		at = v + run + n;
		*entry = at;
		if (finder_begins(f, at))
			return true;
	}
	/* No symbol, no unwind entry. A landing pad is the beginning of something. */
	*entry = v - ARCH_LANDING_PAD;
	if (landing_pad_at(f, *entry))
		return true;
	*entry = v + run;
	if (run && landing_pad_at(f, *entry))
		return true;
	*entry = v;
	return false;
}

static int add_patchable(struct finder *f, u64 v)
{
	struct ftrace_found site = { .vaddr = v };
	u64 avail, room, first, len, before;

	if (!entry_of_record(f, v, &site.entry))
		return finder_refuse(f, v, v, "no symbol and no unwind entry tells where the "
				     "function begins");
	before = site.entry > v ? site.entry - v : 0;
	site.vaddr = site.entry + landing_pad_at(f, site.entry);
	elf_code_at(&f->elf, site.vaddr, &avail);
	room = finder_room(f, site.entry, site.vaddr, avail);
	first = nops_at(f, site.vaddr, room, 1);
	len = nops_at(f, site.vaddr, room, ARCH_SITE_SIZE);
	site.len = (u8)len;
	if (first >= ARCH_SITE_SIZE)
		site.form = FTRACE_FORM_NOP;
	else if (len >= ARCH_SITE_SIZE)
		site.form = FTRACE_FORM_NOPS;
	else if (len >= ARCH_SHORT_SIZE && before >= ARCH_SITE_SIZE)
		site.form = FTRACE_FORM_SHORT;
	else if (!len && before)
		return finder_refuse(f, site.vaddr, site.entry, "all its nops are before the "
				     "entry, none is at it (-fpatchable-function-entry=N,M with "
				     "M = N)");
	else if (!len)
		return finder_refuse(f, site.vaddr, site.entry, "listed in "
				     "__patchable_function_entries, but there are no nops");
	else if (before)
		return finder_refuse(f, site.vaddr, site.entry, "too few nops: " BYTES(ARCH_SITE_SIZE)
				     " bytes at the entry are needed, or " BYTES(ARCH_SHORT_SIZE)
				     " there and " BYTES(ARCH_SITE_SIZE) " before it");
	else
		return finder_refuse(f, site.vaddr, site.entry, "too few nops: " BYTES(ARCH_SITE_SIZE)
				     " bytes at the entry are needed (-fpatchable-function-entry="
				     BYTES(ARCH_ENTRY_NOPS) ")");
	return finder_add(f, &site);
}

/* Is there no instruction at @code + @at, as far as those from @from on are understood? */
static bool inside_another(const u8 *code, u64 from, u64 at, u64 avail)
{
	size_t len;

	for (; from < at; from += len) {
		len = arch_prologue_insn(code + from, (size_t)(avail - from));
		if (!len)
			return false;
	}
	return from > at;
}

/* Might @site's function jump into the middle of its bytes? Looked for at every byte. */
static bool jumps_into(struct finder *f, const struct ftrace_found *site)
{
	u64 body = site->vaddr + site->len - site->entry, avail, at, target;
	const u8 *code = elf_code_at(&f->elf, site->entry, &avail);

	avail = finder_room(f, site->entry, site->entry, avail);
	for (at = arch_next_jump(code, 0, (size_t)avail); at < avail;
	     at = arch_next_jump(code, (size_t)at + 1, (size_t)avail))
		if (arch_jump(code + at, (size_t)(avail - at), site->entry + at, f->got, &target) ==
		    ARCH_CALL_DIRECT && target > site->vaddr && target < site->vaddr + site->len &&
		    !inside_another(code, body, at, avail))
			return true;
	return false;
}

/*
 * Where functions were compiled with too few nops, those that seem to have enough may owe it to
 * nops of their own, and these can be a loop's (`for (;;) asm("nop");`).
 */
static void check_own_nops(struct finder *f)
{
	u32 i;

	for (i = 0; i < f->n && f->found[i].form && f->found[i].form != FTRACE_FORM_SHORT; i++)
		;
	if (i == f->n)
		return;
	for (i = 0; i < f->n; i++) {
		struct ftrace_found *s = &f->found[i];

		if ((s->form != FTRACE_FORM_NOPS && s->form != FTRACE_FORM_SHORT) ||
		    !jumps_into(f, s))
			continue;
		s->form = FTRACE_FORM_NONE;
		s->len = 0;
		s->reason = "too few nops, and it may jump to those behind them";
	}
}

/* A record of __mcount_loc: the address of the call, or of the nop in its place. */
static int add_mcount_loc(struct finder *f, u64 v)
{
	struct ftrace_found site = { .vaddr = v, .entry = v };
	enum callee callee = CALLEE_OTHER;
	u64 avail, target;
	const u8 *code = elf_code_at(&f->elf, v, &avail);
	enum arch_call kind = arch_call(code, (size_t)avail, v, f->got, &target, &site.len);
	size_t nop = arch_nop(code, (size_t)avail);
	bool at_entry = finder_begins(f, v), inside;
	int ret = at_entry ? finder_add_entry_mcount(f, v, code, avail) : 0;

	if (ret)
		return ret < 0 ? ret : 0;
	if (kind == ARCH_CALL_NONE && nop < ARCH_SITE_SIZE)
		return finder_refuse(f, v, v, "listed in __mcount_loc, but neither a call nor a "
				     "nop of " BYTES(ARCH_SITE_SIZE) " bytes is there");
	if (kind == ARCH_CALL_NONE)
		site.len = (u8)nop;
	else
		callee = finder_callee(f, kind, target);

	if (!at_entry && landing_pad_at(f, v - ARCH_LANDING_PAD)) {
		u64 pad = v - ARCH_LANDING_PAD;

		/* A call of __fentry__ is at the entry, even where nothing else tells. */
		if (finder_begins(f, pad) || callee == CALLEE_FENTRY) {
			at_entry = true;
			site.entry = pad;
		}
	}
	if (!at_entry) {
		inside = finder_containing(f, v, &site.entry);
		if (inside && callee != CALLEE_FENTRY)
			return finder_add_mcount(f, site.entry, v, site.len == ARCH_SITE_SIZE ?
						 FTRACE_FORM_MCOUNT : FTRACE_FORM_MCOUNT_GOT,
						 site.len);
		if (inside)
			return finder_refuse(f, v, site.entry, "its call of __fentry__ is not at "
					     "the entry");
		if (callee != CALLEE_FENTRY)
			return finder_refuse(f, v, v, "no symbol and no unwind entry tells where "
					     "the function begins");
	}
	site.form = kind == ARCH_CALL_NONE ? FTRACE_FORM_NOP :
		    site.len == ARCH_SITE_SIZE ? FTRACE_FORM_CALL : FTRACE_FORM_CALL_GOT;
	return finder_add(f, &site);
}

static int read_tables(struct finder *f, const char *name, struct tables *t,
		       int (*add)(struct finder *f, u64 v))
{
	int ret = read_words(&f->elf, name, t);
	u64 avail;
	size_t i;

	if (!ret)
		ret = relocate(&f->elf, t);
	if (!ret)
		ret = ft_sort(t->words, t->nwords, sizeof(u64));
	for (i = 0; i < t->nwords && !ret; i++) {
		/* Functions the linker left out have 0 or what was added to it; some come twice. */
		if ((i && t->words[i] == t->words[i - 1]) ||
		    !elf_code_at(&f->elf, t->words[i], &avail))
			continue;
		ret = add(f, t->words[i]);
	}
	scratch_free(t->words, t->nwords * sizeof(u64));
	return ret;
}

int finder_read_tables(struct finder *f)
{
	struct tables t = { .n = 0 };
	int ret = read_tables(f, PATCHABLE, &t, add_patchable);

	if (ret)
		return ret;
	check_own_nops(f);
	t = (struct tables){ .n = 0 };
	return read_tables(f, MCOUNT_LOC, &t, add_mcount_loc);
}

/* SPDX-License-Identifier: MIT */
/*
 * Functions by their calls of __fentry__ (-pg -mfentry) and mcount (-pg), or by their nops (s390's
 * -mhotpatch), where no table lists them: every function's beginning is looked at.
 */
#include "arch-site.h"
#include "entry-only.h"
#include "finder.h"
#include "recognise.h"

/* How far behind the entry a call of mcount is looked for. */
#define MAX_PROLOGUE		160
#define MAX_PROLOGUE_INSNS	32

#define MAX_SCANNED_SECTIONS	64	/* as in find-tables.c: against files made to be slow */

static enum callee callee_by_name(const char *name)
{
	const char *plain = name[0] == '_' ? name + 1 : name;
	size_t len;

	len = symbols_name_length(name);
	if (entry_only_name(name, len))
		return CALLEE_ENTRY_ONLY;
	if (*plain != 'm' && *plain != '_')
		return CALLEE_OTHER;
	if (len == 10 && ft_strncmp(name, "__fentry__", 10) == 0)
		return CALLEE_FENTRY;
	if (symbols_name_length(plain) == 6 && ft_strncmp(plain, "mcount", 6) == 0)
		return CALLEE_MCOUNT;
	return CALLEE_OTHER;
}

static void note(struct callees *c, enum callee is)
{
	c->fentry |= is == CALLEE_FENTRY;
	c->mcount |= is == CALLEE_MCOUNT;
	c->entry_only |= is == CALLEE_ENTRY_ONLY;
}

/* Definitions in the object itself (a static program, our own library). */
static bool add_definitions(struct finder *f, const struct elf_section *s)
{
	struct callees *c = &f->callees;
	bool imported = false;
	struct elf_symtab t;
	struct elf_symbol sym;
	u32 i;

	elf_symtab(&f->elf, s, &t);
	for (i = 0; i < t.count; i++) {
		enum callee is;

		elf_symbol(&f->elf, &t, i, &sym);
		is = callee_by_name(sym.name);
		if (is == CALLEE_OTHER)
			continue;
		imported = true;	/* even a defined one may be called through its GOT word */
		if (sym.section == SHN_UNDEF || !sym.value || c->nfuncs == MAX_CALLEES)
			continue;
		c->func[c->nfuncs] = sym.value;
		c->func_is[c->nfuncs++] = (u8)is;
		note(c, is);
	}
	return imported;
}

/* GOT words that relocations fill with one of them. */
static void add_slots(struct finder *f, const struct elf_section *s)
{
	struct callees *c = &f->callees;
	struct elf_section symsec;
	struct elf_symtab t;
	u64 i, count = elf_nrels(&f->elf, s);

	if (!s->link || s->link >= f->elf.nsections)
		return;
	elf_section(&f->elf, s->link, &symsec);
	elf_symtab(&f->elf, &symsec, &t);
	for (i = 0; i < count; i++) {
		struct elf_symbol sym;
		struct elf_rel rel;
		enum callee is;

		elf_rel(&f->elf, s, i, &rel);
		if (!rel.sym || rel.sym >= t.count || c->nslots == MAX_CALLEES ||
		    (rel.type != ARCH_R_JUMP_SLOT && rel.type != ARCH_R_GLOB_DAT &&
		     rel.type != ARCH_R_WORD))
			continue;
		elf_symbol(&f->elf, &t, rel.sym, &sym);
		is = callee_by_name(sym.name);
		if (is == CALLEE_OTHER)
			continue;
		c->slot[c->nslots] = rel.offset;
		c->slot_is[c->nslots++] = (u8)is;
		note(c, is);
	}
}

void finder_callees(struct finder *f)
{
	const struct elf *e = &f->elf;
	bool imported = false;
	struct elf_section s;
	u32 i, scanned = 0;

	if (elf_find_section(e, ".got.plt", &s) || elf_find_section(e, ".got", &s))
		f->got = s.addr;
	if (elf_find_type(e, SHT_SYMTAB, &s))
		imported |= add_definitions(f, &s);
	if (elf_find_type(e, SHT_DYNSYM, &s))
		imported |= add_definitions(f, &s);
	for (i = 0; i < e->nsections && imported; i++) {
		elf_section(e, i, &s);
		if ((s.type == SHT_RELA || s.type == SHT_REL) && (s.flags & 2 /* SHF_ALLOC */) &&
		    scanned++ < MAX_SCANNED_SECTIONS)
			add_slots(f, &s);
	}
}

static enum callee by_address(const u64 *addr, const u8 *is, u32 n, u64 wanted)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (addr[i] == wanted)
			return is[i];
	return CALLEE_OTHER;
}

static enum callee by_slot(struct finder *f, u64 slot)
{
	const struct callees *c = &f->callees;
	enum callee is = by_address(c->slot, c->slot_is, c->nslots, slot);
	const u8 *word;
	u64 avail;

	if (is != CALLEE_OTHER)
		return is;
	/* A word that the linker filled itself (static program). */
	word = elf_at(&f->elf, slot, &avail);
	if (!word || avail < elf_word_size(&f->elf))
		return CALLEE_OTHER;
	return by_address(c->func, c->func_is, c->nfuncs, elf_word(&f->elf, word));
}

static enum callee by_target(struct finder *f, u64 target)
{
	const struct callees *c = &f->callees;
	enum callee is = by_address(c->func, c->func_is, c->nfuncs, target);
	const u8 *code;
	u64 avail, slot;

	if (is != CALLEE_OTHER || !c->nslots)
		return is;
	code = elf_code_at(&f->elf, target, &avail);
	if (code && arch_plt_entry(code, (size_t)avail, target, f->got, &slot))
		return by_slot(f, slot);
	return CALLEE_OTHER;
}

enum callee finder_callee(struct finder *f, int kind, u64 target)
{
	struct callees *c = &f->callees;

	if (kind == ARCH_CALL_NONE || (!c->fentry && !c->mcount && !c->entry_only))
		return CALLEE_OTHER;
	if (kind == ARCH_CALL_SLOT)
		return by_slot(f, target);
	/* Usually all calls are of the same linkage table entry. */
	if (target != c->last || !c->last) {
		c->last_is = (u8)by_target(f, target);
		c->last = target;
	}
	return c->last_is;
}

/* Do the instructions from @entry on lead straight to @vaddr? */
static bool prologue_leads_to(const u8 *code, u64 avail, u64 wanted)
{
	u64 off = arch_landing_pad(code, (size_t)avail);
	u32 n;

	for (n = 0; n < MAX_PROLOGUE_INSNS && off < wanted; n++) {
		size_t len = arch_prologue_insn(code + off, (size_t)(avail - off));

		if (!len)
			return false;
		off += len;
	}
	return off == wanted;
}

int finder_add_mcount(struct finder *f, u64 entry, u64 vaddr, u8 form, u8 len)
{
	struct ftrace_found site = { .vaddr = vaddr, .entry = entry, .form = form, .len = len };
	u64 avail;
	const u8 *code = elf_code_at(&f->elf, entry, &avail);

	if (!code || vaddr - entry >= avail || !prologue_leads_to(code, avail, vaddr - entry))
		return finder_refuse(f, vaddr, entry, "the instructions before its call of mcount "
				     "are not understood");
	/* Without the usual frame nobody knows where the return address is. */
	if (!arch_frame_setup(code, (size_t)avail))
		site.flags = FTRACE_FOUND_ENTRY_ONLY;
	return finder_add(f, &site);
}

/* Is there a call of __fentry__ at the entry? Adds it; 1, 0, or -errno. */
static int scan_fentry(struct finder *f, u64 entry, const u8 *code, u64 avail)
{
	struct ftrace_found site = { .entry = entry };
	u64 pad = arch_landing_pad(code, (size_t)avail), target;
	enum arch_call kind;
	int ret;

	kind = arch_call(code + pad, (size_t)(avail - pad), entry + pad, f->got, &target, &site.len);
	if (finder_callee(f, kind, target) != CALLEE_FENTRY)
		return 0;
	site.vaddr = entry + pad;
	site.form = site.len == ARCH_SITE_SIZE ? FTRACE_FORM_CALL : FTRACE_FORM_CALL_GOT;
	ret = finder_add(f, &site);
	return ret < 0 ? ret : 1;
}

int finder_add_entry_mcount(struct finder *f, u64 entry, const u8 *code, u64 avail)
{
	struct ftrace_found site = { .entry = entry, .form = FTRACE_FORM_CALL };
	size_t at, len = arch_entry_mcount(code, (size_t)avail, &at);
	enum arch_call kind;
	u64 target;
	u8 call;
	int ret;

	if (!len)
		return 0;
	kind = arch_call(code + at, (size_t)avail - at, entry + at, f->got, &target, &call);
	if (finder_callee(f, kind, target) != CALLEE_MCOUNT)
		return 0;
	site.vaddr = entry + at;
	site.len = (u8)len;
	ret = finder_add(f, &site);
	return ret < 0 ? ret : 1;
}

static int scan_mcount(struct finder *f, u64 entry, const u8 *code, u64 avail)
{
	u64 end = finder_room(f, entry, entry, avail), off, target;
	int ret = finder_add_entry_mcount(f, entry, code, avail);
	u8 len;

	if (ret)
		return ret;
	if (end > MAX_PROLOGUE)
		end = MAX_PROLOGUE;
	for (off = 0; off < end; off++) {
		enum arch_call kind = arch_call(code + off, (size_t)(avail - off), entry + off,
						f->got, &target, &len);

		if (finder_callee(f, kind, target) == CALLEE_MCOUNT)
			return finder_add_mcount(f, entry, entry + off, len == ARCH_SITE_SIZE ?
						 FTRACE_FORM_MCOUNT : FTRACE_FORM_MCOUNT_GOT, len);
	}
	return 0;
}

static int scan_nop(struct finder *f, u64 entry, const u8 *code, u64 avail)
{
	struct ftrace_found site = { .entry = entry, .vaddr = entry, .form = FTRACE_FORM_NOP };

	site.len = (u8)arch_unlisted_nop(code, (size_t)avail);
	return site.len ? finder_add(f, &site) : 0;
}

static int scan_function(struct finder *f, u64 entry)
{
	u64 avail;
	const u8 *code = elf_code_at(&f->elf, entry, &avail);
	int ret = 0;

	if (!code)
		return 0;
	if (f->callees.fentry)
		ret = scan_fentry(f, entry, code, avail);
	if (!ret && f->callees.mcount)
		ret = scan_mcount(f, entry, code, avail);
	if (ARCH_UNLISTED_NOPS && !ret)
		ret = scan_nop(f, entry, code, avail);
	return ret < 0 ? ret : 0;
}

int finder_scan_calls(struct finder *f)
{
	u32 i;
	int ret = 0;

	if (!ARCH_UNLISTED_NOPS && !f->callees.fentry && !f->callees.mcount)
		return 0;
	for (i = 0; i < f->symbols.n && !ret; i++)
		if (!i || f->symbols.sym[i].addr != f->symbols.sym[i - 1].addr)
			ret = scan_function(f, f->symbols.sym[i].addr);
	/* Stripped: whatever the unwind table says is a function. Doubles are sorted out later. */
	for (i = 0; !f->symbols.complete && i < f->eh.count && !ret; i++)
		ret = scan_function(f, eh_frame_start(&f->eh, i));
	return ret;
}

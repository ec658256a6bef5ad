/* SPDX-License-Identifier: MIT */
/* Functions in DWARF: their parameters, and where debug information says they are at entry. */
#include <stdlib.h>
#include <string.h>

#include "prototype/dwarf-internal.h"
#include "reader/demangle.h"

#define MAX_PARAMS	64
#define MAX_DEPTH	32	/* of namespaces */
#define MAX_NOPS	16	/* bytes of them at an entry */

struct proto_dwarf *proto_dwarf_open(const char *path, const char **why)
{
	static char *debuginfo_path;	/* NULL: elfutils' own default */
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &debuginfo_path,
	};
	struct proto_dwarf *d = calloc(1, sizeof(*d));
	GElf_Addr elf_bias = 0;
	Dwarf_Addr dwarf_bias = 0;
	GElf_Ehdr ehdr;
	Dwfl_Module *module;
	Elf *elf;

	*why = "no memory";
	if (!d)
		return NULL;
	*why = "it cannot be read";
	d->dwfl = dwfl_begin(&callbacks);
	module = d->dwfl ? dwfl_report_offline(d->dwfl, "", path, -1) : NULL;
	if (d->dwfl)
		dwfl_report_end(d->dwfl, NULL, NULL);
	elf = module ? dwfl_module_getelf(module, &elf_bias) : NULL;
	if (elf && gelf_getehdr(elf, &ehdr)) {
		d->abi = proto_abi(ehdr.e_machine, gelf_getclass(elf) == ELFCLASS64);
		*why = "the calling convention of its machine is not known here";
		if (d->abi) {
			*why = "it has no debug information";
			d->dw = dwfl_module_getdwarf(module, &dwarf_bias);
		}
	}
	if (!d->dw) {
		proto_dwarf_close(d);
		return NULL;
	}
	d->bias = dwarf_bias - elf_bias;
	return d;
}

void proto_dwarf_close(struct proto_dwarf *d)
{
	if (!d)
		return;
	dwarf_types_free(d);
	if (d->dwfl)
		dwfl_end(d->dwfl);
	free(d);
}

static enum proto_language language_of(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case 0x2c:	/* C17 */
		return PROTO_C;
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2a:	/* C++17, C++20 */
	case 0x2b:
		return PROTO_CXX;
	case DW_LANG_Rust:
		return PROTO_RUST;
	}
	return PROTO_OTHER;
}

/* ---- where a parameter is at entry ---- */

static bool in_register(struct proto_dwarf *d, unsigned number, struct proto_location *where)
{
	bool is_fp;
	const char *fetch = proto_abi_register(d->abi, number, &is_fp);

	if (!fetch)
		return false;
	where->n = 1;
	where->piece[0] = (struct proto_piece){ .place = is_fp ? PROTO_IN_FP : PROTO_IN_FETCH, .fetch = fetch };
	return true;
}

static bool register_of(const Dwarf_Op *op, unsigned *number)
{
	if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31)
		*number = op->atom - DW_OP_reg0;
	else if (op->atom == DW_OP_regx)
		*number = (unsigned)op->number;
	else
		return false;
	return true;
}

/* Is the address of locals, DW_OP_fbreg, counted from the CFA? */
static bool frame_is_cfa(Dwarf_Die *function)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	return dwarf_attr_integrate(function, DW_AT_frame_base, &a) && !dwarf_getlocation(&a, &ops, &n) && n == 1 &&
	       ops[0].atom == DW_OP_call_frame_cfa;
}

/*
 * What the debug information says of @param in the very first instruction. Without optimisation, that is where it is
 * kept later, on the stack, and nothing for us.
 */
static void entry_location(struct proto_dwarf *d, Dwarf_Die *function, Dwarf_Die *param, Dwarf_Addr entry,
			   struct proto_location *where)
{
	Dwarf_Attribute a, inner;
	Dwarf_Op *ops;
	size_t n;
	unsigned number;

	if (!dwarf_attr(param, DW_AT_location, &a) || dwarf_getlocation_addr(&a, entry, &ops, &n, 1) != 1)
		return;
	if (n == 2 && (ops[0].atom == DW_OP_entry_value || ops[0].atom == DW_OP_GNU_entry_value) &&
	    ops[1].atom == DW_OP_stack_value) {
		if (dwarf_getlocation_attr(&a, ops, &inner) || dwarf_getlocation(&inner, &ops, &n))
			return;
	}
	if (n != 1)
		return;
	if (register_of(ops, &number)) {
		in_register(d, number, where);
	} else if (ops[0].atom == DW_OP_fbreg && (Dwarf_Sword)ops[0].number >= 0 && frame_is_cfa(function)) {
		where->n = 1;
		where->piece[0] = (struct proto_piece){
			.place = PROTO_ON_STACK,
			.offset = (Dwarf_Sword)ops[0].number + proto_abi_cfa(d->abi),
		};
	}
}

/* ---- functions ---- */

static bool is_clone(const char *symbol)
{
	return strstr(symbol, ".isra.") || strstr(symbol, ".constprop.") || strstr(symbol, ".part.") ||
	       strstr(symbol, ".specialized.") || strstr(symbol, ".argprom");
}

struct reading {
	struct proto_dwarf *d;
	Dwarf_Die *function;
	Dwarf_Addr entry;
	struct proto_param params[MAX_PARAMS];
	size_t n;
	bool variadic, too_many;
	bool optimised;		/* some parameter is not all the time at one place */
};

static bool is_at_one_place(Dwarf_Die *param)
{
	Dwarf_Attribute a;

	return dwarf_attr(param, DW_AT_location, &a) && dwarf_whatform(&a) == DW_FORM_exprloc;
}

static bool is_clang(Dwarf_Die *function)
{
	Dwarf_Die unit;
	const char *producer = dwarf_diecu(function, &unit, NULL, NULL) ? dwarf_text(&unit, DW_AT_producer) : NULL;

	return producer && strstr(producer, "clang");
}

/*
 * May the compiler have changed how it is passed its arguments, without a word in its name? clang does so where
 * nobody else can call it; gcc does for i386.
 */
static bool is_free(const struct reading *r)
{
	return r->optimised && !dwarf_is_set(r->function, DW_AT_external) &&
	       (is_clang(r->function) || proto_abi_word(r->d->abi) == 4);
}

static void read_param(struct reading *r, Dwarf_Die *die)
{
	struct proto_param *p = &r->params[r->n];

	if (r->n == MAX_PARAMS) {
		r->too_many = true;
		return;
	}
	*p = (struct proto_param){ .name = dwarf_text(die, DW_AT_name) };
	p->type = dwarf_type_of(r->d, die);
	p->artificial = dwarf_is_set(die, DW_AT_artificial);
	if (!p->type)
		p->type = proto_alloc(r->d->arena, sizeof(*p->type));
	entry_location(r->d, r->function, die, r->entry, &p->where);
	r->optimised |= !is_at_one_place(die);
	r->n++;
}

/*
 * Where parameters are described first: clang counts nops at the entry as nobody's, so that none is there in the
 * very first instruction.
 */
static Dwarf_Addr first_described(Dwarf_Die *function, Dwarf_Addr entry)
{
	Dwarf_Addr first = entry + MAX_NOPS + 1, base, start, end;
	Dwarf_Attribute a;
	Dwarf_Die child;
	Dwarf_Op *ops;
	size_t n;

	for (int more = dwarf_child(function, &child); !more; more = dwarf_siblingof(&child, &child)) {
		ptrdiff_t next = 0;

		if (dwarf_tag(&child) != DW_TAG_formal_parameter || !dwarf_attr(&child, DW_AT_location, &a))
			continue;
		while ((next = dwarf_getlocations(&a, next, &base, &start, &end, &ops, &n)) > 0)
			if (start >= entry && start < first)
				first = start;
	}
	return first > entry + MAX_NOPS ? entry : first;
}

static void read_params(struct reading *r, Dwarf_Die *function, unsigned depth)
{
	Dwarf_Die child;

	for (int more = dwarf_child(function, &child); !more; more = dwarf_siblingof(&child, &child)) {
		switch (dwarf_tag(&child)) {
		case DW_TAG_formal_parameter:
			read_param(r, &child);
			break;
		case DW_TAG_unspecified_parameters:
			r->variadic = true;
			break;
		case DW_TAG_GNU_formal_parameter_pack:
			if (!depth)
				read_params(r, &child, 1);
			break;
		}
	}
}

/*
 * How many parameters a C++ symbol says that it has, without this; -1: it does not say. clang leaves out the
 * descriptions of some that are not used.
 */
static int symbol_params(const char *symbol)
{
	char *full = trace_demangle_full(symbol), *close = full ? strrchr(full, ')') : NULL, *p = close;
	int depth = 0, n = 1;

	if (!close)
		goto unknown;
	do {
		depth += *p == ')' || *p == '>' || *p == ']' || *p == '}';
		depth -= *p == '(' || *p == '<' || *p == '[' || *p == '{';
		n += *p == ',' && depth == 1;
	} while (depth && p-- > full);
	if (depth || p < full)
		goto unknown;
	if (close - p == 1 || !strncmp(p, "(void)", 6))
		n = 0;
	n -= close - p > 3 && !strncmp(close - 3, "...", 3);
	free(full);
	return n;
unknown:
	free(full);
	return -1;
}

static bool is_incomplete(const struct proto *p, const char *symbol)
{
	int described = 0, said = p->language == PROTO_CXX ? symbol_params(symbol) : -1;

	for (size_t i = 0; i < p->nparams; i++)
		described += !p->params[i].artificial;
	return said >= 0 && described != said;
}

/* What @die is an instance of, where the parameters are all there even if those of @die are not. */
static bool origin_of(Dwarf_Die *die, Dwarf_Die *origin)
{
	Dwarf_Attribute a;

	return dwarf_attr(die, DW_AT_abstract_origin, &a) && dwarf_formref_die(&a, origin);
}

static struct proto *read_function(struct proto_dwarf *d, Dwarf_Die *die, Dwarf_Addr entry, const char *symbol,
				   enum proto_language language)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct proto *p = proto_alloc(d->arena, sizeof(*p));
	Dwarf_Die origin;

	if (!r)
		return NULL;
	*r = (struct reading){ .d = d, .function = die, .entry = first_described(die, entry) };
	read_params(r, die, 0);
	if (!r->n && origin_of(die, &origin))
		read_params(r, &origin, 0);
	if (!r->too_many) {
		p->name = dwarf_text(die, DW_AT_name);
		p->result = dwarf_type_of(d, die);
		p->nparams = r->n;
		p->params = proto_alloc(d->arena, (r->n + 1) * sizeof(*p->params));
		memcpy(p->params, r->params, r->n * sizeof(*p->params));
		p->variadic = r->variadic;
		p->language = language;
		p->is_clone = is_clone(symbol) || is_free(r);
		p->is_clang = is_clang(die);
		p->is_incomplete = is_incomplete(p, symbol);
		p->variadic |= p->is_incomplete;
		proto_abi_place(d->abi, d->arena, p);
	}
	free(r);
	return p->params ? p : NULL;
}

/* ---- finding them ---- */

struct search {
	struct proto_dwarf *d;
	struct proto_wanted *wanted;
	size_t n;
	enum proto_language language;
};

/* The first of the wanted at or above @addr. */
static size_t lower(const struct search *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->wanted[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void look_at(struct search *s, Dwarf_Die *die)
{
	Dwarf_Addr entry, base, end;
	size_t i;

	/* With several ranges the first is where it begins, the others are its cold parts. */
	if (dwarf_lowpc(die, &entry) && dwarf_ranges(die, 0, &base, &entry, &end) <= 0)
		return;
	for (i = lower(s, entry + s->d->bias); i < s->n && s->wanted[i].addr == entry + s->d->bias; i++)
		if (!s->wanted[i].proto)
			s->wanted[i].proto = read_function(s->d, die, entry, s->wanted[i].symbol, s->language);
}

static void look_in(struct search *s, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die child;

	for (int more = dwarf_child(parent, &child); !more; more = dwarf_siblingof(&child, &child)) {
		switch (dwarf_tag(&child)) {
		case DW_TAG_subprogram:
			look_at(s, &child);
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		/* Rust and clang have definitions in their types. */
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_enumeration_type:
			if (depth < MAX_DEPTH)
				look_in(s, &child, depth + 1);
			break;
		}
	}
}

/* Does @unit hold any of the wanted? True as well where it does not say what it holds. */
static bool holds_any(const struct search *s, Dwarf_Die *unit)
{
	Dwarf_Addr base, begin, end;
	ptrdiff_t next = 0;
	bool told = false;

	while ((next = dwarf_ranges(unit, next, &base, &begin, &end)) > 0) {
		size_t i = lower(s, begin + s->d->bias);

		told = true;
		if (i < s->n && s->wanted[i].addr < end + s->d->bias)
			return true;
	}
	return !told;
}

void proto_dwarf_find(struct proto_dwarf *d, struct proto_arena *arena, struct proto_wanted *wanted, size_t n)
{
	struct search s = { .d = d, .wanted = wanted, .n = n };
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;

	d->arena = arena;
	while (n && !dwarf_get_units(d->dw, cu, &cu, NULL, NULL, &unit, NULL)) {
		s.language = language_of(&unit);
		/* Others pass by rules of their own; assembly's functions have no parameters told. */
		if (dwarf_tag(&unit) != DW_TAG_compile_unit || s.language == PROTO_OTHER || !holds_any(&s, &unit))
			continue;
		look_in(&s, &unit, 0);
	}
}

/* ---- enumerations by name ---- */

static bool find_enum(Dwarf_Die *parent, const char *name, Dwarf_Die *found, unsigned depth)
{
	Dwarf_Die child;

	for (int more = dwarf_child(parent, &child); !more; more = dwarf_siblingof(&child, &child)) {
		const char *its = dwarf_diename(&child);
		int tag = dwarf_tag(&child);
		Dwarf_Die type = child;

		if (tag == DW_TAG_typedef && its && !strcmp(its, name) && !dwarf_peel_type(&child, &type) &&
		    dwarf_tag(&type) == DW_TAG_enumeration_type) {
			*found = type;
			return true;
		}
		if (tag == DW_TAG_enumeration_type && its && !strcmp(its, name) &&
		    !dwarf_is_set(&child, DW_AT_declaration)) {
			*found = child;
			return true;
		}
		if ((tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type) &&
		    depth < MAX_DEPTH && find_enum(&child, name, found, depth + 1))
			return true;
	}
	return false;
}

const struct proto_type *proto_dwarf_enum(struct proto_dwarf *d, struct proto_arena *arena, const char *name)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit, found;

	d->arena = arena;
	while (!dwarf_get_units(d->dw, cu, &cu, NULL, NULL, &unit, NULL))
		if (find_enum(&unit, name, &found, 0))
			return dwarf_type(d, &found);
	return NULL;
}

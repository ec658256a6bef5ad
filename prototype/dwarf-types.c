/* SPDX-License-Identifier: MIT */
/* Types of DWARF. Each is read once; what only a pointer leads to, by its name alone, so that nothing is endless. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "prototype/dwarf-internal.h"
#include "prototype/dwarf-class.h"

#define MAX_DEPTH	32	/* of types in types: a damaged file may be endless */
#define MAX_MEMBERS	4096

/* A type by where its entry is in the mapped file. */
struct known {
	const void *addr;
	bool shallow;
	struct proto_type *type;
};

static int compare_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->addr != y->addr)
		return (uintptr_t)x->addr < (uintptr_t)y->addr ? -1 : 1;
	return x->shallow - y->shallow;
}

void dwarf_types_free(struct proto_dwarf *d)
{
	tdestroy(d->types, free);
	d->types = NULL;
}

const char *dwarf_text(Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute a;

	return dwarf_formstring(dwarf_attr_integrate(die, attr, &a));
}

uint64_t dwarf_number(Dwarf_Die *die, unsigned attr, uint64_t missing)
{
	Dwarf_Attribute a;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr_integrate(die, attr, &a), &value) ? missing : value;
}

bool dwarf_is_set(Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute a;
	bool set = false;

	return !dwarf_formflag(dwarf_attr_integrate(die, attr, &a), &set) && set;
}

static const struct proto_type *read_type(struct proto_dwarf *d, Dwarf_Die *die, bool shallow,
					  unsigned depth);

/* False: there is none, it is void. */
static bool target_of(Dwarf_Die *die, Dwarf_Die *target)
{
	Dwarf_Attribute a;

	return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), target) != NULL;
}

static const struct proto_type *read_target(struct proto_dwarf *d, Dwarf_Die *die, bool shallow,
					    unsigned depth)
{
	Dwarf_Die target;

	return target_of(die, &target) ? read_type(d, &target, shallow, depth + 1) : NULL;
}

/* ---- base types ---- */

static void read_base(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t)
{
	const char *name = t->name ? t->name : "";
	struct proto_type *part;

	switch (dwarf_number(die, DW_AT_encoding, 0)) {
	case DW_ATE_boolean:
		t->kind = PROTO_BOOL;
		break;
	case DW_ATE_float:
		t->kind = PROTO_FLOAT;
		t->is_quad = t->size == 16 && strcmp(name, "long double");
		break;
	case DW_ATE_complex_float:
		part = proto_alloc(d->arena, sizeof(*part));
		part->kind = PROTO_FLOAT;
		part->size = t->size / 2;
		part->align = part->size;
		/* clang calls all of them "complex". */
		part->is_quad = part->size == 16 && !strstr(name, "long double") && strcmp(name, "complex");
		t->kind = PROTO_COMPLEX;
		t->target = part;
		t->align = part->align;
		break;
	case DW_ATE_signed_char:
	case DW_ATE_unsigned_char:
		/* int8_t is "signed char": a number. */
		t->kind = strcmp(name, "char") ? PROTO_INT : PROTO_CHAR;
		t->is_signed = dwarf_number(die, DW_AT_encoding, 0) == DW_ATE_signed_char;
		break;
	case DW_ATE_UTF:
		t->kind = PROTO_CHAR;
		break;
	case DW_ATE_signed:
		t->kind = PROTO_INT;
		t->is_signed = true;
		break;
	case DW_ATE_unsigned:
		t->kind = PROTO_INT;
		break;
	}
}

/* ---- enumerations ---- */

/* Does it look like flags? All its values are single bits, or made of them, and they are not just 0, 1, 2. */
static bool is_flags(const struct proto_enumerator *list, size_t n)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].value && !(list[i].value & (list[i].value - 1)))
			bits |= list[i].value;
	for (size_t i = 0; i < n; i++)
		if (list[i].value & ~bits)
			return false;
	return bits >= 4 && bits & (bits - 1);
}

static void read_enumerators(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t)
{
	struct proto_enumerator *list = NULL;
	struct proto_enum *e = proto_alloc(d->arena, sizeof(*e));
	size_t n = 0, i = 0;
	Dwarf_Attribute a;
	Dwarf_Sword value;
	Dwarf_Die child;

	for (int more = dwarf_child(die, &child); !more && n < MAX_MEMBERS; more = dwarf_siblingof(&child, &child))
		n += dwarf_tag(&child) == DW_TAG_enumerator;
	list = proto_alloc(d->arena, (n + 1) * sizeof(*list));
	for (int more = dwarf_child(die, &child); !more && i < n; more = dwarf_siblingof(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_enumerator)
			continue;
		if (dwarf_formsdata(dwarf_attr(&child, DW_AT_const_value, &a), &value))
			value = 0;
		list[i].name = dwarf_diename(&child);
		if (!list[i].name)
			list[i].name = "?";
		list[i].value = (uint64_t)value;
		list[i++].mask = ~0ull;
		t->is_signed |= value < 0;
	}
	if (is_flags(list, n))
		for (i = 0; i < n; i++)
			if (list[i].value)
				list[i].mask = list[i].value;
	e->name = t->name;
	e->list = list;
	e->n = n;
	t->enumeration = e;
}

static void read_enum(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, bool shallow,
		      unsigned depth)
{
	const struct proto_type *under = read_target(d, die, true, depth);

	t->kind = PROTO_ENUM;
	if (!t->name)
		t->name = NULL;
	else if (!under || !t->is_class)
		t->name = proto_format(d->arena, "enum %s", t->name);
	if (under && !t->size)
		t->size = under->size;
	t->is_signed = under && under->is_signed;
	if (!shallow)
		read_enumerators(d, die, t);
}

/* ---- structures ---- */

/* In DWARF 2 it is what is to be done with the structure's address. */
static uint64_t member_offset(Dwarf_Die *die)
{
	uint64_t offset = dwarf_number(die, DW_AT_data_member_location, ~0ull);
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	if (offset == ~0ull && dwarf_attr(die, DW_AT_data_member_location, &a) && !dwarf_getlocation(&a, &ops, &n) &&
	    n == 1 && ops[0].atom == DW_OP_plus_uconst)
		offset = ops[0].number;
	return offset == ~0ull ? 0 : offset;
}

static uint64_t bit_of(struct proto_dwarf *d, Dwarf_Die *die, const struct proto_type *type, uint32_t bits)
{
	uint64_t at = member_offset(die) * 8, old;
	bool big = d->abi && proto_abi_big_endian(d->abi);

	if (!bits)
		return at;
	/* DWARF 2 counts from the other end of the storage unit. */
	old = dwarf_number(die, DW_AT_bit_offset, ~0ull);
	if (old != ~0ull) {
		uint64_t unit = dwarf_number(die, DW_AT_byte_size, type ? type->size : 4) * 8;

		return big ? at + old : at + unit - old - bits;
	}
	return at + dwarf_number(die, DW_AT_data_bit_offset, 0);
}

static void read_member(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, unsigned depth)
{
	struct proto_member *m = &t->members[t->nmembers];
	const struct proto_type *type = read_target(d, die, false, depth);
	uint64_t align;

	m->name = dwarf_tag(die) == DW_TAG_inheritance ? NULL : dwarf_diename(die);
	m->type = type;
	m->bits = (uint32_t)dwarf_number(die, DW_AT_bit_size, 0);
	m->bit = bit_of(d, die, type, m->bits);
	if (!type)
		return;
	align = dwarf_number(die, DW_AT_alignment, type->align);
	if (align > t->align && !m->bits)
		t->align = align;
	t->nmembers++;
}

static bool is_member(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_inheritance:
		return true;
	case DW_TAG_member:
		/* Static ones are declarations. */
		return !dwarf_is_set(die, DW_AT_external) && !dwarf_is_set(die, DW_AT_declaration);
	}
	return false;
}

static void read_members(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, unsigned depth)
{
	size_t n = 0;
	Dwarf_Die child;
	bool variants = false;

	for (int more = dwarf_child(die, &child); !more && n < MAX_MEMBERS; more = dwarf_siblingof(&child, &child)) {
		n += is_member(&child);
		variants |= dwarf_tag(&child) == DW_TAG_variant_part;
	}
	t->members = proto_alloc(d->arena, (n + 1) * sizeof(*t->members));
	for (int more = dwarf_child(die, &child); !more && t->nmembers < n; more = dwarf_siblingof(&child, &child))
		if (is_member(&child))
			read_member(d, &child, t, depth);
	if (variants)
		t->kind = PROTO_UNKNOWN;
}

static void read_struct(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, bool shallow,
			unsigned depth)
{
	const char *bare = t->name;

	t->kind = dwarf_tag(die) == DW_TAG_union_type ? PROTO_UNION : PROTO_STRUCT;
	t->align = 1;
	t->shallow = shallow;
	if (bare && !dwarf_class_language(die))
		t->name = proto_format(d->arena, "%s %s", t->kind == PROTO_UNION ? "union" : "struct", bare);
	if (dwarf_class_declared_string(d, die, bare, t) || shallow)
		return;
	if (dwarf_is_set(die, DW_AT_declaration)) {
		t->kind = PROTO_UNKNOWN;
		return;
	}
	read_members(d, die, t, depth);
	t->align = dwarf_number(die, DW_AT_alignment, t->align);
	dwarf_class_judge(d, die, bare, t);
}

/* ---- arrays, pointers ---- */

static void read_array(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, unsigned depth)
{
	const struct proto_type *element = read_target(d, die, false, depth);
	uint64_t counts[8];
	Dwarf_Die child;
	unsigned n = 0;

	for (int more = dwarf_child(die, &child); !more && n < 8; more = dwarf_siblingof(&child, &child)) {
		uint64_t upper = dwarf_number(&child, DW_AT_upper_bound, ~0ull);

		if (dwarf_tag(&child) == DW_TAG_subrange_type)
			counts[n++] = dwarf_number(&child, DW_AT_count, upper + 1);
	}
	t->kind = dwarf_is_set(die, DW_AT_GNU_vector) ? PROTO_VECTOR : PROTO_ARRAY;
	/* The last subscript is the innermost. */
	while (n-- > 1 && element) {
		struct proto_type *inner = proto_alloc(d->arena, sizeof(*inner));

		inner->kind = PROTO_ARRAY;
		inner->target = element;
		inner->count = counts[n];
		inner->align = element->align;
		inner->size = inner->count * element->size;
		element = inner;
	}
	t->target = element;
	t->count = element ? counts[0] : 0;
	if (!t->size && element)
		t->size = t->count * element->size;
	t->align = t->kind == PROTO_VECTOR ? t->size : element ? element->align : 1;
	if (!element || t->count > 1u << 24)
		t->kind = PROTO_UNKNOWN;
}

static void read_pointer(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, unsigned depth)
{
	Dwarf_Die target;

	t->kind = PROTO_POINTER;
	if (!t->size)
		t->size = proto_abi_word(d->abi);
	if (target_of(die, &target)) {
		t->target = read_type(d, &target, true, depth + 1);
		if (t->target && t->target->kind == PROTO_CHAR && t->target->size == 1)
			t->kind = PROTO_CSTRING;
		else if (t->target && t->target->kind == PROTO_CODE && t->target->shallow)
			t->kind = PROTO_CODE;
	}
	t->align = t->size;
}

/* A pointer to a member function is an address and an adjustment; one to data, a distance. */
static void read_member_pointer(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t)
{
	unsigned word = proto_abi_word(d->abi);
	struct proto_type *part;
	Dwarf_Die target;

	t->align = word;
	if (!target_of(die, &target) || dwarf_tag(&target) != DW_TAG_subroutine_type) {
		t->kind = PROTO_HEX;
		t->size = word;
		return;
	}
	t->kind = PROTO_STRUCT;
	t->size = 2 * word;
	t->members = proto_alloc(d->arena, 2 * sizeof(*t->members));
	t->nmembers = 2;
	for (unsigned i = 0; i < 2; i++) {
		part = proto_alloc(d->arena, sizeof(*part));
		*part = (struct proto_type){ .kind = i ? PROTO_INT : PROTO_CODE, .size = word,
					     .align = word, .is_signed = true };
		t->members[i] = (struct proto_member){ i ? "adjust" : "function", part, i * word * 8u, 0 };
	}
}

/* The same type under another name, or qualified. */
static void read_alias(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, bool shallow,
		       unsigned depth)
{
	const struct proto_type *target = read_target(d, die, shallow, depth);
	const char *name = t->name;
	unsigned tag = (unsigned)dwarf_tag(die);

	if (!target) {
		t->kind = PROTO_VOID;
		t->is_const = tag == DW_TAG_const_type;
		return;
	}
	*t = *target;
	if (tag == DW_TAG_typedef && name) {
		t->name = name;
		t->is_const = false;
		if (t->kind == PROTO_INT && (!strcmp(name, "mode_t") || !strcmp(name, "__mode_t")))
			t->kind = PROTO_OCTAL;
	} else if (tag == DW_TAG_const_type) {
		t->is_const = true;
	}
}

static void fill(struct proto_dwarf *d, Dwarf_Die *die, struct proto_type *t, bool shallow, unsigned depth)
{
	t->name = dwarf_diename(die);
	t->size = dwarf_number(die, DW_AT_byte_size, 0);
	t->align = t->size > 16 || !t->size ? 1 : t->size;
	t->is_class = dwarf_is_set(die, DW_AT_enum_class);
	switch (dwarf_tag(die)) {
	case DW_TAG_base_type:
		read_base(d, die, t);
		break;
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		read_alias(d, die, t, shallow, depth);
		break;
	case DW_TAG_pointer_type:
		read_pointer(d, die, t, depth);
		break;
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type:
		t->kind = PROTO_REFERENCE;
		t->size = proto_abi_word(d->abi);
		t->align = t->size;
		t->target = read_target(d, die, shallow, depth);
		break;
	case DW_TAG_ptr_to_member_type:
		read_member_pointer(d, die, t);
		break;
	case DW_TAG_enumeration_type:
		read_enum(d, die, t, shallow, depth);
		break;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
		read_struct(d, die, t, shallow, depth);
		break;
	case DW_TAG_array_type:
		read_array(d, die, t, depth);
		break;
	case DW_TAG_subroutine_type:
		/* Only what a pointer to it makes of this is a value. */
		t->kind = PROTO_CODE;
		t->shallow = true;
		t->target = read_target(d, die, true, depth);
		break;
	case DW_TAG_unspecified_type:
		/* decltype(nullptr) */
		t->kind = PROTO_POINTER;
		t->size = proto_abi_word(d->abi);
		t->align = t->size;
		break;
	}
}

static const struct proto_type *read_type(struct proto_dwarf *d, Dwarf_Die *die, bool shallow,
					  unsigned depth)
{
	struct known key = { die->addr, shallow, NULL }, *k, **slot;

	if (depth > MAX_DEPTH)
		return NULL;
	slot = tfind(&key, &d->types, compare_known);
	if (slot)
		return (*slot)->type;
	k = malloc(sizeof(*k));
	if (!k)
		return NULL;
	*k = key;
	k->type = proto_alloc(d->arena, sizeof(*k->type));
	/* Known before it is filled: a type that contains itself is a damaged one, and ends here. */
	if (!tsearch(k, &d->types, compare_known)) {
		free(k);
		return NULL;
	}
	fill(d, die, k->type, shallow, depth);
	return k->type;
}

const struct proto_type *dwarf_type(struct proto_dwarf *d, Dwarf_Die *type)
{
	return read_type(d, type, false, 0);
}

const struct proto_type *dwarf_type_of(struct proto_dwarf *d, Dwarf_Die *die)
{
	return read_target(d, die, false, 0);
}

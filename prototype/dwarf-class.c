/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "prototype/dwarf-class.h"

static int language_of(Dwarf_Die *die)
{
	Dwarf_Die unit;

	return dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_srclang(&unit) : 0;
}

bool dwarf_class_language(Dwarf_Die *die)
{
	switch (language_of(die)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2a:	/* C++17 and 20, which dwarf.h does not have yet */
	case 0x2b:
	case DW_LANG_Rust:
		return true;
	}
	return false;
}

static bool begins(const char *name, const char *with)
{
	return name && !strncmp(name, with, strlen(with));
}

/* ---- strings ---- */

static bool in_namespace(Dwarf_Die *die, const char *name)
{
	Dwarf_Die *scopes = NULL;
	int n = dwarf_getscopes_die(die, &scopes);
	bool found = false;

	for (int i = 1; i < n && !found; i++) {
		const char *scope = dwarf_diename(&scopes[i]);

		found = scope && !strcmp(scope, name);
	}
	free(scopes);
	return found;
}

static bool is_basic_string(const char *name)
{
	return begins(name, "basic_string<char,") || (name && !strcmp(name, "basic_string<char>"));
}

bool dwarf_class_declared_string(struct proto_dwarf *d, Dwarf_Die *die, const char *name,
				 struct proto_type *t)
{
	unsigned word = proto_abi_word(d->abi);
	bool libcxx;

	if (!is_basic_string(name) || !dwarf_is_set(die, DW_AT_declaration))
		return false;
	libcxx = in_namespace(die, "__1");
	if (!libcxx && !in_namespace(die, "__cxx11"))
		return false;
	t->size = libcxx ? 3 * word : 2 * word + 16;
	t->align = word;
	t->is_class = t->by_reference = true;
	if (libcxx)
		t->kind = PROTO_LIBCXX_STRING;
	else
		proto_make_string(d->arena, t, PROTO_STRING, word, 0, word * 8);
	return true;
}

static const struct proto_member *member(const struct proto_type *t, const char *name)
{
	for (size_t i = 0; t && i < t->nmembers; i++)
		if (t->members[i].name && !strcmp(t->members[i].name, name))
			return &t->members[i];
	return NULL;
}

/* The member of @t that is all of it, or nearly: others are empty. */
static const struct proto_type *whole_of(const struct proto_type *t)
{
	for (size_t i = 0; i < t->nmembers; i++)
		if (!t->members[i].bit && t->members[i].type->size == t->size)
			return t->members[i].type;
	return NULL;
}

/*
 * libc++'s has two forms, in whatever they are wrapped; the long one is capacity, size and address. Another ABI of it has
 * them in another order.
 */
static bool is_libcxx_string(const struct proto_type *t, unsigned word)
{
	const struct proto_member *form = NULL, *size, *data;

	for (unsigned depth = 0; t && t->size == 3 * word && depth < 8 && !form; depth++) {
		form = member(t, "__l");
		t = whole_of(t);
	}
	size = form ? member(form->type, "__size_") : NULL;
	data = form ? member(form->type, "__data_") : NULL;
	return size && data && !form->bit && size->bit == word * 8 && data->bit == 2 * word * 8;
}

static void find_string(struct proto_dwarf *d, const char *name, struct proto_type *t)
{
	const struct proto_member *text, *length, *inner;
	/* Of libstdc++, libc++ and its later versions, Rust. */
	static const char *const slices[][2] = {
		{ "_M_str", "_M_len" }, { "__data", "__size" }, { "__data_", "__size_" }, { "data_ptr", "length" },
	};
	unsigned word = proto_abi_word(d->abi);

	if (is_basic_string(name) && is_libcxx_string(t, word)) {
		t->kind = PROTO_LIBCXX_STRING;
		return;
	}
	if (is_basic_string(name)) {
		text = member(t, "_M_dataplus");
		inner = text ? member(text->type, "_M_p") : NULL;
		length = member(t, "_M_string_length");
		/* clang has only the name of what the address is in. */
		if (length && (inner || (text && text->type->kind == PROTO_UNKNOWN)))
			proto_make_string(d->arena, t, PROTO_STRING, word,
					  text->bit + (inner ? inner->bit : 0), length->bit);
		return;
	}
	if (!begins(name, "basic_string_view<char,") && (!name || strcmp(name, "&str")))
		return;
	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		text = member(t, slices[i][0]);
		length = member(t, slices[i][1]);
		if (text && length) {
			proto_make_string(d->arena, t, PROTO_SLICE, word, text->bit, length->bit);
			return;
		}
	}
}

/* ---- by address? ---- */

/*
 * Is @die, a function of class @name, a destructor, or a copy or move constructor, that somebody wrote?
 * (Itanium C++ ABI 3.1.2.3: a type is passed by address if it has one that is not trivial.)
 */
static bool is_own_copier(Dwarf_Die *die, const char *name)
{
	const char *function = dwarf_diename(die), *type;
	Dwarf_Die child, target, pointed;
	Dwarf_Attribute a;
	unsigned n = 0;

	if (!function || dwarf_is_set(die, DW_AT_artificial) || dwarf_is_set(die, DW_AT_deleted) ||
	    dwarf_number(die, DW_AT_defaulted, 0) == DW_DEFAULTED_in_class)
		return false;
	if (function[0] == '~')
		return true;
	/* The class's name may have template arguments, the constructor's has none. */
	if (strncmp(function, name, strlen(function)) || (name[strlen(function)] && name[strlen(function)] != '<'))
		return false;
	for (int more = dwarf_child(die, &child); !more; more = dwarf_siblingof(&child, &child)) {
		if (dwarf_tag(&child) != DW_TAG_formal_parameter || n++ != 1)
			continue;
		if (!dwarf_formref_die(dwarf_attr_integrate(&child, DW_AT_type, &a), &target) ||
		    (dwarf_tag(&target) != DW_TAG_reference_type && dwarf_tag(&target) != DW_TAG_rvalue_reference_type) ||
		    !dwarf_formref_die(dwarf_attr(&target, DW_AT_type, &a), &pointed))
			return false;
		dwarf_peel_type(&pointed, &pointed);
		type = dwarf_diename(&pointed);
		return type && !strcmp(type, name);
	}
	return false;
}

static bool is_by_reference(Dwarf_Die *die, const char *name, const struct proto_type *t)
{
	uint64_t convention = dwarf_number(die, DW_AT_calling_convention, 0);
	Dwarf_Die child;

	if (convention == DW_CC_pass_by_reference || convention == DW_CC_pass_by_value)
		return convention == DW_CC_pass_by_reference;
	for (size_t i = 0; i < t->nmembers; i++)
		if ((t->members[i].type->is_class && t->members[i].type->by_reference) ||
		    begins(t->members[i].name, "_vptr"))
			return true;
	for (int more = dwarf_child(die, &child); !more && name; more = dwarf_siblingof(&child, &child))
		if (dwarf_tag(&child) == DW_TAG_subprogram && is_own_copier(&child, name))
			return true;
	return false;
}

void dwarf_class_judge(struct proto_dwarf *d, Dwarf_Die *die, const char *name, struct proto_type *t)
{
	if (!dwarf_class_language(die))
		return;
	t->is_class = true;
	t->by_reference = language_of(die) != DW_LANG_Rust && is_by_reference(die, name, t);
	find_string(d, name, t);
}

/* SPDX-License-Identifier: MIT */
/*
 * Prototypes of functions: where they are known from (DWARF, a table for the C library), where the values
 * of a call are by the rules of the machine (abi.c), and what is fetched and shown of them (values.c). A part of the
 * command: nothing of it runs in a traced process.
 *
 * All of it lives in an arena and goes with that; strings of debug files live as long as the file is open. Who
 * has no memory for it is told so, and the command ends: nothing has been started yet.
 */
#ifndef FTRACE_PROTOTYPE_H
#define FTRACE_PROTOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct proto_arena {
	struct proto_block *blocks;
};

void *proto_alloc(struct proto_arena *arena, size_t size);	/* zeros, never NULL */
char *proto_strdup(struct proto_arena *arena, const char *text);
char *proto_format(struct proto_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void proto_free(struct proto_arena *arena);

/* ---- types ---- */

enum proto_kind {
	PROTO_UNKNOWN,		/* nothing is shown of it; its size may be known */
	PROTO_VOID,
	PROTO_BOOL,
	PROTO_CHAR,		/* a letter; int8_t and the like are integers */
	PROTO_INT,		/* see is_signed */
	PROTO_OCTAL,		/* integers by how they are shown: mode_t; 0x... */
	PROTO_HEX,
	PROTO_FLOAT,
	PROTO_POINTER,
	PROTO_CSTRING,		/* a pointer to letters that end with a zero */
	PROTO_CODE,		/* a pointer to a function */
	PROTO_REFERENCE,	/* what it refers to is shown */
	PROTO_ENUM,
	PROTO_STRUCT,
	PROTO_UNION,
	PROTO_ARRAY,
	PROTO_VECTOR,		/* of a vector register */
	PROTO_COMPLEX,
	PROTO_STRING,		/* C++ std::string of libstdc++, with members[0] its text, members[1] its length */
	PROTO_LIBCXX_STRING,	/* ... of libc++ */
	PROTO_SLICE,		/* text with a length: std::string_view, Rust's &str; the same members */
};

struct proto_type;

struct proto_member {
	const char *name;		/* NULL: anonymous, or a base class */
	const struct proto_type *type;
	uint64_t bit;			/* where it begins, counted as memory has it (see proto_abi.big_endian) */
	uint32_t bits;			/* of a bit field; else 0 */
};

/* @value of the bits @mask. ~0: the whole value; several of the others may be ORed together. */
struct proto_enumerator {
	const char *name;
	uint64_t mask, value;
};

struct proto_enum {
	const char *name;		/* in the recording; made when it is first used */
	const struct proto_enumerator *list;
	size_t n;
	unsigned number;		/* of it in the recording, 0: none yet */
};

struct proto_type {
	enum proto_kind kind;
	const char *name;		/* as a declaration has it, "struct point"; NULL: made of the target's */
	uint64_t size, align;		/* bytes */
	const struct proto_type *target;	/* of pointer, reference, array, vector, complex */
	uint64_t count;			/* elements of an array or vector */
	struct proto_member *members;
	size_t nmembers;
	struct proto_enum *enumeration;
	bool is_signed;
	bool is_const;
	bool is_quad;			/* a float of 16 bytes that is no long double */
	bool is_class;			/* C++: has rules of its own for being passed */
	bool by_reference;		/* C++: not trivially copied, so its address is passed */
	bool shallow;			/* only its name is known */
};

/* ---- functions ---- */

/* Where a value, or a part of it, is when a function is entered, or has returned. */
enum proto_place {
	PROTO_NOWHERE,
	PROTO_IN_FETCH,		/* what the fetch argument @fetch gives */
	PROTO_IN_FP,		/* the same for a floating point register: raw bits when taken as an integer */
	PROTO_ON_STACK,		/* in memory, @offset bytes from the stack pointer at entry */
	PROTO_BEHIND,		/* in memory, at the address that @fetch gives */
};

struct proto_piece {
	enum proto_place place;
	const char *fetch;		/* "$arg1", "%dx", "$fparg2" */
	int64_t offset;
	uint32_t at, size;		/* which bytes of the value: size 0 is all of it */
};

#define PROTO_PIECES	4	/* two registers, or a vector of 32 bytes */

struct proto_location {
	struct proto_piece piece[PROTO_PIECES];
	unsigned n;			/* 0: not known, or it has no bytes */
};

/* How one value is shown that is not as its type says: -A's letters. */
struct proto_param {
	const char *name;		/* NULL: has none */
	const struct proto_type *type;
	struct proto_location where;
	bool artificial;		/* the compiler's own: this, ... */
	/* Shown only if another one has any of these bits (the mode of open). */
	const char *only_if;
	uint64_t only_if_mask;
};

enum proto_language { PROTO_C, PROTO_CXX, PROTO_RUST, PROTO_OTHER };

struct proto {
	const char *name;		/* as its source calls it */
	const struct proto_type *result;	/* NULL: none */
	struct proto_location result_where;
	struct proto_param *params;
	size_t nparams;
	bool variadic;
	enum proto_language language;
	/*
	 * The compiler may have made this code as it pleased (.isra, .constprop, static functions): values are only
	 * where their locations in the debug information say.
	 */
	bool is_clone;
	bool is_clang;		/* made by clang */
	bool is_incomplete;	/* there are more parameters than are described: the same of those */
};

/* ---- dwarf.c ---- */

struct proto_dwarf;

/* A function that is looked for, by its address in the file. */
struct proto_wanted {
	uint64_t addr;
	const char *symbol;
	struct proto *proto;		/* the answer, NULL: none */
};

/*
 * Open the debug information of the object at @path: its own, or a separate file's, by build-id or debug
 * link. NULL and *@why: there is none, in words.
 */
struct proto_dwarf *proto_dwarf_open(const char *path, const char **why);
void proto_dwarf_close(struct proto_dwarf *d);

/* Find prototypes of @wanted, sorted by address. Only units that hold any of them are gone through. */
void proto_dwarf_find(struct proto_dwarf *d, struct proto_arena *arena, struct proto_wanted *wanted,
		      size_t n);

/* The enumeration called @name, NULL: there is none in @d. */
const struct proto_type *proto_dwarf_enum(struct proto_dwarf *d, struct proto_arena *arena,
					  const char *name);

/* ---- abi.c ---- */

struct proto_abi;

/* The rules of an object's machine, NULL: not known. @wide: of the 64-bit class. */
const struct proto_abi *proto_abi(uint16_t machine, bool wide);

/* Fill where @p's values are. What has a place by debug information already keeps it. */
void proto_abi_place(const struct proto_abi *abi, struct proto_arena *arena, struct proto *p);

/* Integer argument @n and floating point argument @n (from 0) of a function nothing is known of. False: not known. */
bool proto_abi_integer(const struct proto_abi *abi, struct proto_arena *arena, unsigned n,
		       struct proto_location *where);
bool proto_abi_float(const struct proto_abi *abi, struct proto_arena *arena, unsigned n,
		     struct proto_location *where);
void proto_abi_result(const struct proto_abi *abi, bool is_float, struct proto_location *where);

/* Bytes of a pointer. */
unsigned proto_abi_word(const struct proto_abi *abi);
/* From the stack pointer at entry up to the canonical frame address. */
int64_t proto_abi_cfa(const struct proto_abi *abi);
bool proto_abi_big_endian(const struct proto_abi *abi);
/* The fetch argument of the stack pointer, "%sp". */
const char *proto_abi_sp(const struct proto_abi *abi);

/*
 * DWARF register @number when it holds a value at a function's entry, as a fetch argument, NULL: cannot be
 * fetched. *@is_fp: a floating point register.
 */
const char *proto_abi_register(const struct proto_abi *abi, unsigned number, bool *is_fp);

/* The fetch argument of the register called @name; without a look at whether there is one. */
const char *proto_abi_named(const struct proto_abi *abi, struct proto_arena *arena, const char *name);

/*
 * Make @t text with a length, @kind PROTO_STRING or PROTO_SLICE, on a machine of @word bytes: its address and
 * length are at those bits of it.
 */
void proto_make_string(struct proto_arena *arena, struct proto_type *t, enum proto_kind kind, unsigned word,
		       uint64_t text_bit, uint64_t length_bit);

/* ---- values.c ---- */

/* What is fetched for a call or its return, and how it is shown (see reader/arguments.h). */
struct proto_event {
	char *fetch;		/* "path=$arg1:x64 path_s=+0($arg1):string"; "": nothing */
	char *shown;		/* "%{path_s:s,path}, %{flags:e,1}" */
};

/* Enumerations that were used; each is told once. */
struct proto_enums {
	struct proto_enum **list;
	size_t n, capacity;
};

void proto_call_event(const struct proto_abi *abi, struct proto_arena *arena, struct proto_enums *enums,
		      const struct proto *p, struct proto_event *out);
void proto_return_event(const struct proto_abi *abi, struct proto_arena *arena, struct proto_enums *enums,
			const struct proto *p, struct proto_event *out);

/* ---- text.c ---- */

/* The declaration, "int open(const char *path, int flags, ...)". @name: what to call it. */
void proto_print(FILE *out, const struct proto *p, const char *name);

/* ---- libc.c ---- */

/* The C library's @name by our own table, with its places; NULL: not in it. */
const struct proto *proto_libc(struct proto_arena *arena, const struct proto_abi *abi, const char *name);

/* An enumeration of that table, "open_flags"; NULL. */
const struct proto_type *proto_libc_enum(struct proto_arena *arena, const char *name);

#endif /* FTRACE_PROTOTYPE_H */

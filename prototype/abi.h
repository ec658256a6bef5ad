/* SPDX-License-Identifier: MIT */
/* Calling conventions: a table a machine, and a function that gives each value its place. */
#ifndef FTRACE_PROTOTYPE_ABI_H
#define FTRACE_PROTOTYPE_ABI_H

#include "prototype/prototype.h"

/* What the values placed so far have taken. */
struct abi_state {
	const struct proto_abi *abi;
	struct proto_arena *arena;
	unsigned ints, fps;	/* argument registers */
	uint64_t stack;		/* bytes of the stack's arguments */
	bool lost;		/* one had no known place: nor have those behind it */
};

struct proto_abi {
	uint16_t machine;	/* EM_... */
	bool wide;		/* ELFCLASS64 */
	bool big_endian;
	unsigned word;		/* bytes of a pointer, of a stack slot */
	unsigned nints, nfps;	/* registers that arguments are in */
	unsigned vector;	/* bytes of the widest vector register that values are in; 0: of none, or not known */
	const struct proto_abi *narrower;	/* the same for who has only narrower ones; NULL */
	int64_t cfa;		/* from the stack pointer at entry to the CFA */
	int64_t stack;		/* ... to the first argument on the stack */
	const char *sp;
	/* Registers by DWARF number; NULL: no such, or not one that a value is fetched from. */
	const char *const *registers;
	unsigned nregisters;

	void (*place)(struct abi_state *s, const struct proto_type *t, struct proto_location *where);
	/* The result's place; true: in memory that the caller has passed the address of, as the first argument. */
	bool (*result)(const struct proto_abi *abi, const struct proto_type *t, struct proto_location *where);
};

extern const struct proto_abi proto_abi_x86_64, proto_abi_i386, proto_abi_s390x, proto_abi_s390;

/* Is @t one value, that a register holds as it is? */
bool abi_is_scalar(const struct proto_type *t);
bool abi_is_aggregate(const struct proto_type *t);

/* For place(): the next argument register, for bytes [@at, @at + @size) of the value; size 0: for all of it. */
void abi_put_int(struct abi_state *s, struct proto_location *where, uint32_t at, uint32_t size);
void abi_put_fp(struct abi_state *s, struct proto_location *where, uint32_t at, uint32_t size);
/* ... eight bytes more of the register that abi_put_fp() gave last, its @word-th. */
void abi_put_fp_word(struct abi_state *s, struct proto_location *where, uint32_t at, unsigned word);
/* ... a place on the stack; what is there is the value's address. */
void abi_put_stack(struct abi_state *s, struct proto_location *where, uint64_t size, uint64_t align);
void abi_put_address(struct abi_state *s, struct proto_location *where);

/* For result(). */
void abi_put_result(struct proto_location *where, enum proto_place place, const char *fetch, uint32_t at,
		    uint32_t size);

#endif /* FTRACE_PROTOTYPE_ABI_H */

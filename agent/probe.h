/* SPDX-License-Identifier: MIT */
/*
 * Definitions of dynamic events, in the kernel's syntax (Documentation/trace/kprobetrace.rst, fprobetrace.rst):
 *
 *	p[:[GRP/]EVENT] [OBJ:]SYM[+OFF]|ADDR [ARG...]	a probe; SYM%return: as r
 *	r[MAXACTIVE][:[GRP/]EVENT] [OBJ:]SYM [ARG...]	the return of a function
 *	f[:[GRP/]EVENT] [OBJ:]SYM [ARG...]		its entry; SYM%return: its return
 *	u[:[GRP/]EVENT] PROVIDER:NAME			a USDT probe, with the arguments of its note
	-:[GRP/]EVENT, -:GRP/				delete; of any kind
 *
 * An ARG is [NAME=]FETCH[:TYPE]. What the kernel has not: SYM may be a glob, OBJ is a glob over
 * names of files, $fpargN, $fpretval and $fpretval2 (the second
 * of two registers) with types f32 and f64, $fpargN.K and $fpretval.K (the Kth eight bytes of a vector register, from 0),
 * $x87retval and $x87retval.1 (fraction, and sign and exponent, of a long double), $x87retval2 (the imaginary part of a
 * complex one), types libcxxstring and libcxxlength (text and length of libc++'s std::string), u, "if FILTER" at the end.
 *
 * The parser looks nothing up: symbols and registers are resolved by whoever uses the definition.
 * The command checks what it is given with the same parser. Freestanding; allocates nothing.
 */
#ifndef FTRACE_AGENT_PROBE_H
#define FTRACE_AGENT_PROBE_H

#include <ftrace/trace-event.h>

#include "engine/base.h"

#define PROBE_NAME_MAX		64u	/* of a group or an event, NUL included */
#define PROBE_ARG_NAME_MAX	32u
#define PROBE_MAX_DEREF		8u	/* dereferences within each other */
#define PROBE_MAX_RET_ARGS	6u	/* arguments kept for a return */
#define PROBE_USDT_ARGS		12u	/* as many as <sys/sdt.h> has */
#define PROBE_MAX_TEXT		4096u	/* a definition */

enum fetch_base {
	FETCH_REG,		/* value: offset in struct pt_regs */
	FETCH_ARG,		/* value: number, from 0 */
	FETCH_FPARG,		/* the same, and word */
	FETCH_RETVAL,
	FETCH_FPRETVAL,		/* value: 1: of the second register; word */
	FETCH_X87RETVAL,	/* value: 1: st(1); word */
	FETCH_STACK,		/* the stack pointer */
	FETCH_STACK_N,		/* word value of the stack */
	FETCH_COMM,
	FETCH_IMM,		/* value */
	FETCH_IMM_STRING,	/* text */
	FETCH_ADDRESS,		/* value; the first dereference is of it */
	FETCH_SYMBOL,		/* the address of text, plus value */
	FETCH_USDT,		/* number value, from 0, of the probe's note */
};

enum fetch_type {
	FETCH_U, FETCH_S, FETCH_X, FETCH_CHAR, FETCH_F, FETCH_SYM, FETCH_SYMSTR, FETCH_STRING,
};

struct fetch_arg {
	char name[PROBE_ARG_NAME_MAX];
	u8 base;			/* enum fetch_base */
	u8 type;			/* enum fetch_type */
	u8 size;			/* bytes of an element in memory; FETCH_STRING: 0 */
	u8 count;			/* elements; 0: no array */
	u8 bit_width, bit_shift;	/* width 0: no bit field */
	u8 nderef;
	u8 word;			/* of a register of several */
	u64 value;
	s64 deref[PROBE_MAX_DEREF];	/* what is added before each; the innermost first */
	const char *text;		/* in the definition's text */
	u32 text_len;
	bool libcxx;			/* libc++'s std::string is in memory: FETCH_STRING: its text, else its length */
};

enum probe_kind {
	PROBE_P = 'p', PROBE_R = 'r', PROBE_F = 'f', PROBE_F_RETURN = 'F', PROBE_USDT = 'u', PROBE_DELETE = '-',
};

struct probe_def {
	enum probe_kind kind;
	char group[PROBE_NAME_MAX], event[PROBE_NAME_MAX];	/* PROBE_DELETE: either may be "" */
	const char *object, *symbol;	/* in the text; symbol NULL: address. PROBE_USDT: provider, name */
	u32 object_len, symbol_len;
	u64 offset;			/* of symbol, or the address */
	u32 nargs;			/* PROBE_USDT: as many as there may be, of 64 bits: the process knows better */
	bool fp;			/* some argument needs vector registers */
	u32 ret_args;			/* a return that needs this many of the entry's arguments */
	const char *filter;		/* behind "if"; NULL: none */
	u32 filter_len;
	struct fetch_arg args[FTRACE_EVENT_MAX_ARGS];
};

/* Is it about a return, so that it is hit when the function returns? */
static inline bool probe_is_return(const struct probe_def *def)
{
	return def->kind == PROBE_R || def->kind == PROBE_F_RETURN;
}

struct probe_error {
	const char *what;		/* in words; NULL: none */
	u32 at;				/* where in the text, bytes from its beginning */
};

/*
 * Understand @text (@len bytes, one line), which has to live as long as @def. 0; or -EINVAL (-E2BIG, -ENAMETOOLONG)
 * and @error says what and where.
 */
int probe_parse(struct probe_def *def, const char *text, u32 len, struct probe_error *error);

/*
 * The name of @arg's type as <ftrace/trace-event.h> has it in the process map, without [N]: what is
 * recorded, so that a bit field is an unsigned number.
 */
const char *fetch_type_name(const struct fetch_arg *arg);

/* Bytes of an element as it is recorded. */
u32 fetch_recorded_size(const struct fetch_arg *arg);

#endif /* FTRACE_AGENT_PROBE_H */

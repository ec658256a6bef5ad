/* SPDX-License-Identifier: MIT */
/*
 * Plans: which functions of an object that was never compiled for tracing can be traced, and the
 * instructions that have to be moved for it. Made by the command (planner/), which decodes the
 * object's whole text once; used by the traced process, which decodes nothing. A plan is a file
 * that is mapped as it is: everything in it is checked before use, all offsets are from its
 * beginning.
 *
 * Where a site of form FTRACE_FORM_MOVED is armed, `jmp stub` stands over its first
 * ARCH_SITE_SIZE bytes, and the instructions that were there, ftrace_planned.len bytes of them, run
 * in a copy near the stub that ends with a jump to behind them. The copy is made from a template:
 * bytes, and fixups where they depend on where the object and the copy are. No
 * branch of the object leads into the moved bytes but to their beginning, and no return address can
 * lie inside of them: a call that is moved pushes the address behind the original one and jumps.
 *
 * Where so many bytes cannot be moved (glibc's memcpy: mempcpy jumps to its fourth), but there is
 * padding before the function, the jump to the stub stands there, and a jump back to it
 * (ARCH_SHORT_SIZE) at the function: ftrace_planned.before. Who falls through the padding into the
 * function is taken by the jump as well.
 */
#ifndef FTRACE_ENGINE_PLAN_H
#define FTRACE_ENGINE_PLAN_H

#include "base.h"

#define FTRACE_PLAN_MAGIC	0x504c4e31u	/* "PLN1" */
#define FTRACE_PLAN_VERSION	2
#define FTRACE_COPY_SIZE	64u		/* room for one copy, final jump included */
#define FTRACE_MOVED_MAX	20u		/* moved bytes: 4, and the longest instruction; rounded */
#define FTRACE_BEFORE_MAX	126u		/* how far a short jump leads back */

struct ftrace_plan_header {
	u32 magic, version;
	u32 machine;			/* ELF e_machine and, in bit 31, whether 64 bits wide */
	u32 flags;			/* FTRACE_PLAN_* */
	u64 size;			/* of the whole plan; a multiple of 8, as are the three offsets of tables */
	u64 object_size;		/* the object's file as it was planned: a mismatch voids the plan ... */
	u64 object_mtime_ns;
	char build_id[44];		/* ... but a build-id that agrees makes it good for any copy; "": none */
	u32 nfuncs;			/* struct ftrace_planned[nfuncs], sorted by vaddr ... */
	u32 funcs;			/* ... at this offset */
	u32 nifuncs;			/* struct ftrace_planned_ifunc[nifuncs] ... */
	u32 ifuncs;			/* ... at this offset */
	u32 strings, strings_size;	/* names and reasons; the last byte is 0 */
	u32 code, code_size;		/* templates */
	u32 checksum;			/* ftrace_plan_checksum() of everything behind the header */
	u32 pad[2];			/* the same size on machines of either width */
};

enum {
	FTRACE_PLAN_NO_SYMBOLS	= 1 << 0,	/* stripped: hardly any function that can be traced has a symbol */
};

/* A function. Refused ones are in the plan as well, with their reason. */
struct ftrace_planned {
	u64 vaddr;			/* its first byte: what symbols say (endbr64 is moved as well) */
	u32 size;
	u32 name;			/* offset in strings; 0: no symbol, a name is made from object and address */
	u32 reason;			/* offset in strings: why form is FTRACE_FORM_NONE; else 0 */
	u32 code;			/* its template: offset from @code of the header, 8-aligned */
	u8 form;			/* FTRACE_FORM_MOVED or FTRACE_FORM_NONE */
	u8 flags;			/* FTRACE_FOUND_* */
	u8 len;				/* bytes to be moved: (@before ? ARCH_SHORT_SIZE : ARCH_SITE_SIZE)..FTRACE_MOVED_MAX */
	u8 orig[FTRACE_MOVED_MAX];	/* what must stand there, len bytes; the rest 0 */
	u8 before;			/* nonzero: the jump to the stub goes this many bytes before vaddr,
					   where the ARCH_SITE_SIZE bytes behind @len in @orig must stand */
};

/* A function whose address is chosen at load time: @resolver returns it. */
struct ftrace_planned_ifunc {
	u64 resolver;
	u32 name;			/* in strings */
	u32 pad;
};

enum ftrace_fixup_kind {
	FTRACE_FIXUP_REL32,		/* 4 bytes: vaddr (relocated) minus the end of the instruction */
	FTRACE_FIXUP_ABS64,		/* 8 bytes: vaddr (relocated) */
	FTRACE_FIXUP_ABS32,		/* 4 bytes: vaddr (relocated): 32-bit objects */
};

struct ftrace_fixup {
	u8 at;				/* in the copy */
	u8 kind;			/* enum ftrace_fixup_kind */
	u8 behind;			/* REL32: bytes of the instruction behind the field */
	u8 pad[5];
	u64 vaddr;			/* the object's own address */
};

/*
 * Followed by struct ftrace_fixup[nfixups], then by struct ftrace_copied[ninsns], then by @len bytes.
 * The final jump to vaddr + len is a part of the bytes (with a fixup), also where nothing reaches it;
 * constants that moved instructions read may stand behind it.
 */
struct ftrace_template {
	u8 len;				/* at most FTRACE_COPY_SIZE */
	u8 nfixups;
	u8 ninsns;
	u8 pad;
	u32 pad2;
};

/*
 * Where each moved instruction is in the copy, by ascending offset: for unwinding from there, and
 * for moving a thread that was stopped in between. The final jump is the last one, with original =
 * ftrace_planned.len. Inside of a rewritten instruction (several in the place of one) @pushed says
 * how much deeper than at its beginning the stack is; each such place has an entry of its own with
 * the same @original.
 */
struct ftrace_copied {
	u8 copy;			/* offset in the copy */
	u8 original;			/* offset from vaddr of the instruction */
	u8 pushed;			/* bytes pushed since that instruction began */
	u8 pad;
};

/*
 * Tells a damaged plan from a sound one, no more: eight bytes at a time in four lanes, because
 * plans of megabytes are checked while a program starts. @size is a multiple of 8.
 */
static inline u32 ftrace_plan_checksum(const void *data, size_t size)
{
	const u64 prime = 0x9e3779b97f4a7c15ull, *p = (const u64 *)data;
	u64 lane[4] = { 1, 2, 3, 4 }, sum;
	size_t i, n = size / 8;

	for (i = 0; i < n; i++) {
		u64 mixed = lane[i % 4] ^ p[i];

		lane[i % 4] = (mixed << 27 | mixed >> 37) * prime;
	}
	sum = lane[0] * prime ^ lane[1];
	sum = sum * prime ^ lane[2];
	sum = sum * prime ^ lane[3];
	return (u32)((sum * prime) >> 32);
}

/*
 * The in-process side (plan.c): map the plan at @path and check every offset in it. @wide_machine
 * as in the header. -ENOENT, ...: from open; -EINVAL: not a plan, of another version, damaged.
 */
struct ftrace_plan {
	const struct ftrace_plan_header *header;	/* NULL: none */
	size_t size;
	const struct ftrace_planned *funcs;
	const struct ftrace_planned_ifunc *ifuncs;
	const char *strings;
};
int ftrace_plan_open(struct ftrace_plan *plan, const char *path);
void ftrace_plan_close(struct ftrace_plan *plan);
/* The template of @func, looked through; NULL: damaged. */
const struct ftrace_template *ftrace_plan_template(const struct ftrace_plan *plan,
						   const struct ftrace_planned *func);

/*
 * The functions of @plan as ftrace_find() would have found them: @find->found, for good, names made
 * where there are none from @object; and the number in plan->funcs of each that is not refused. 0
 * or -ENOMEM.
 */
struct ftrace_finding;
int ftrace_plan_functions(const struct ftrace_plan *plan, const char *object,
			  struct ftrace_finding *find, u32 **planned);

static inline const struct ftrace_copied *ftrace_template_copied(const struct ftrace_template *t)
{
	return (const struct ftrace_copied *)((const struct ftrace_fixup *)(t + 1) + t->nfixups);
}

#define PROBE_MAX_FIXUPS	12
#define PROBE_MAX_INSNS		20

/* Instructions made ready to run elsewhere: the parts of a struct ftrace_template. */
struct probe_copy {
	u8 moved;		/* bytes of the original it stands for: ftrace_planned.len */
	u8 size;		/* of the copy */
	u8 nfixups, ninsns;
	struct ftrace_fixup fixup[PROBE_MAX_FIXUPS];
	struct ftrace_copied copied[PROBE_MAX_INSNS];
	u8 bytes[FTRACE_COPY_SIZE];
};

/* Write @c as a template to @out, which is zeroed and 8-aligned. Its size; @out NULL: only that. */
size_t ftrace_template_put(void *out, const struct probe_copy *c);
#define FTRACE_TEMPLATE_MAX	(sizeof(struct ftrace_template) + \
				 PROBE_MAX_FIXUPS * sizeof(struct ftrace_fixup) + \
				 PROBE_MAX_INSNS * sizeof(struct ftrace_copied) + FTRACE_COPY_SIZE)

/* Where in the copy the instruction at offset @original begins. -ENOENT: no instruction begins there. */
int ftrace_copied_to(const struct ftrace_template *t, unsigned int original);

#endif /* FTRACE_ENGINE_PLAN_H */

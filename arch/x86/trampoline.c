/* SPDX-License-Identifier: MIT */
/* x86_64: copies of trampoline.S, and call frame information for them. */
#include "trampoline.h"

#include "ops.h"
#include "thread.h"
#include "thunk.h"
#include "trampoline-fix.h"
#include "unwind-put.h"

/* Made by trampoline.S. */
struct fix {
	u16 at, what;
};
#define HIDDEN	__attribute__((visibility("hidden")))
extern const u8 ftrace_trampoline_code[] HIDDEN, ftrace_trampoline_end[] HIDDEN;
extern const struct fix ftrace_trampoline_fixes[] HIDDEN, ftrace_trampoline_fixes_end[] HIDDEN;
extern const u16 ftrace_trampoline_frame[4] HIDDEN;
extern u32 ftrace_silent_local HIDDEN;

static unsigned long target_of(const struct dyn_ftrace *site, unsigned int what, unsigned long stub)
{
	switch (what) {
	case TRAMPOLINE_OPS:
		return (unsigned long)&ftrace_thunk_of(site)->ops;
	case TRAMPOLINE_IP:
		return site->ip;
	case TRAMPOLINE_SITE:
		return (unsigned long)site;
	case TRAMPOLINE_BODY:
		return arch_site_body(site);
	default:
		return stub;
	}
}

int arch_trampoline_write(u8 *out, const struct dyn_ftrace *site, unsigned long at, unsigned long stub)
{
	const unsigned long silent = (unsigned long)&ftrace_silent_local;
	const size_t len = (size_t)(ftrace_trampoline_end - ftrace_trampoline_code);
	const struct fix *fix;

	if (len > ARCH_TRAMPOLINE_SIZE)
		return -ERANGE;
	ft_memcpy(out, ftrace_trampoline_code, len);
	ft_memset(out + len, ARCH_STUB_FILL, ARCH_TRAMPOLINE_SIZE - len);
	for (fix = ftrace_trampoline_fixes; fix < ftrace_trampoline_fixes_end; fix++) {
		s32 value;
		s64 d;

		if (fix->what == TRAMPOLINE_SILENT) {
			ft_memcpy(out + fix->at, &silent, sizeof(silent));
			continue;
		}
		if (fix->what == TRAMPOLINE_SELF)
			d = (s64)((unsigned long)&ftrace_self - arch_thread_pointer());
		else
			d = (s64)(target_of(site, fix->what, stub) - (at + fix->at + sizeof(value)));
		value = (s32)d;
		if (d != value)
			return -ERANGE;
		ft_memcpy(out + fix->at, &value, sizeof(value));
	}
	return 0;
}

/* ---- call frame information: as of stubs, computed from the pc; see unwind.c for why ---- */

enum {
	REG_RBP			= 6,
	REG_RSP			= 7,
	REG_RA			= 16,
};

static void put2(struct out *o, unsigned int v)
{
	put1(o, v & 0xff);
	put1(o, v >> 8);
}

static void put_op2(struct out *o, unsigned int op, unsigned int v)
{
	put1(o, op);
	put2(o, v);
}

/* With a pc's offset on the stack: replace it by whether that is in [@from, @to). */
static void put_between(struct out *o, unsigned int from, unsigned int to)
{
	put1(o, DW_OP_dup);
	put_op2(o, DW_OP_const2u, from);
	put1(o, DW_OP_ge);
	put1(o, DW_OP_swap);
	put_op2(o, DW_OP_const2u, to);
	put1(o, DW_OP_lt);
	put1(o, DW_OP_and);
}

/* Branch @over bytes where this frame's pc is in the trampoline's frame. */
static void put_branch_in_frame(struct out *o, unsigned int over)
{
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put_op2(o, DW_OP_const2u, FT_PAGE_SIZE - 1);
	put1(o, DW_OP_and);
	put_op2(o, DW_OP_const2u, ARCH_TRAMPOLINE_SIZE);
	put1(o, DW_OP_mod);
	put1(o, DW_OP_dup);
	put_between(o, ftrace_trampoline_frame[0], ftrace_trampoline_frame[1]);
	put1(o, DW_OP_swap);
	put_between(o, ftrace_trampoline_frame[2], ftrace_trampoline_frame[3]);
	put1(o, DW_OP_or);
	put_op2(o, DW_OP_bra, over);
}

static void put_register(struct out *o, unsigned int reg, int offset)
{
	put1(o, DW_OP_breg0 + reg);
	put1(o, offset & 0x7f);
}

static void put_rules(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_def_cfa_expr);
	begin = begin_expr(o);
	put_branch_in_frame(o, 5);
	put_register(o, REG_RSP, 8);
	put_op2(o, DW_OP_skip, 2);
	put_register(o, REG_RBP, 8);
	end_expr(o, begin);

	put1(o, DW_CFA_val_expression);
	put1(o, REG_RBP);
	begin = begin_expr(o);
	put_branch_in_frame(o, 5);
	put_register(o, REG_RBP, 0);
	put_op2(o, DW_OP_skip, 3);
	put_register(o, REG_RBP, -8);
	put1(o, DW_OP_deref);
	end_expr(o, begin);

	put1(o, DW_CFA_offset + REG_RA);
	put1(o, 1);
}

size_t arch_trampoline_table(u8 *out, unsigned long start, size_t len, size_t *eh_frame)
{
	return put_table(out, (unsigned long)out, start, len, eh_frame, REG_RA, 8, put_rules);
}

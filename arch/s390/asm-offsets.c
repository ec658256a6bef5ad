/* SPDX-License-Identifier: MIT */
/*
 * Offsets for the assembler, from the structures themselves, for both widths. Compiled to assembly
 * only; tools/gen-asm-offsets turns the marked lines into asm-offsets.h.
 */
#include <ftrace/ftrace.h>
#include <ftrace/trace-format.h>

#include "arch.h"
#include "ops.h"
#include "site.h"
#include "thread.h"

#define DEFINE(name, value) \
	__asm__ volatile(".ascii \"->" #name " %0 " #value "\"" : : "i"((long)(value)))
#define OFFSET(name, type, member)	DEFINE(name, offsetof(type, member))
/* The byte of a word that holds its lowest bits, for TM. */
#define LOW_BYTE(name, type, member) \
	DEFINE(name, offsetof(type, member) + sizeof(((type *)0)->member) - 1)

_Static_assert(sizeof(struct dyn_ftrace) == FTRACE_STUB_SIZE, "a dyn_ftrace for every stub");
_Static_assert(sizeof(long) == 4 ||
	       offsetof(struct ftrace_thread, wp) == offsetof(struct ftrace_thread, unwritten) + 8,
	       "RECORD loads unwritten and wp by one instruction");
_Static_assert(offsetof(struct ftrace_thread, stack_lo) ==
	       offsetof(struct ftrace_thread, top) + sizeof(long) &&
	       offsetof(struct ftrace_thread, stack_size) ==
	       offsetof(struct ftrace_thread, top) + 2 * sizeof(long),
	       "ftrace_record_entry loads top, stack_lo and stack_size by one instruction");

void asm_offsets(void);
void asm_offsets(void)
{
	OFFSET(T_WP, struct ftrace_thread, wp);
	OFFSET(T_END, struct ftrace_thread, end);
	OFFSET(T_UNWRITTEN, struct ftrace_thread, unwritten);
	OFFSET(T_HI, struct ftrace_thread, hi);
	OFFSET(T_CALLBACK, struct ftrace_thread, callback);
	OFFSET(T_TOP, struct ftrace_thread, top);
	OFFSET(T_UNCHOSEN, struct ftrace_thread, unchosen);

	/* The mark of a tail call, and the bit that makes an ENTRY a FUNCTION. */
	DEFINE(RECORD_TAIL, FTRACE_RECORD_ID(FTRACE_EVENT_EXTENDED, FTRACE_EXT_TAIL));
	DEFINE(RECORD_FUNCTION, FTRACE_RECORD_ID(FTRACE_EVENT_FUNCTION, 0));

	OFFSET(SITE_OPS, struct dyn_ftrace, ops);
	OFFSET(SITE_IP, struct dyn_ftrace, ip);
	LOW_BYTE(SITE_FLAGS_LOW, struct dyn_ftrace, flags);
	OFFSET(SITE_BODY_DELTA, struct dyn_ftrace, body_delta);
	DEFINE(SITE_GENERAL, FTRACE_SITE_GENERAL);
	/* From a return address in the stub to the stub's dyn_ftrace. */
	DEFINE(SITE_FROM_ENTRY_RET, FTRACE_CHUNK_CODE - ARCH_STUB_ENTRY_RET);
	DEFINE(SITE_FROM_EXIT_RET, FTRACE_CHUNK_CODE - ARCH_STUB_EXIT_RET);
	DEFINE(HOOKED_FROM_ENTRY_RET, ARCH_STUB_HOOKED - ARCH_STUB_ENTRY_RET);
	DEFINE(STUB_SIZE, FTRACE_STUB_SIZE);

	OFFSET(OPS_CALL, struct ftrace_ops, reserved[FTRACE_OPS_CALL]);
	LOW_BYTE(OPS_FLAGS_LOW, struct ftrace_ops, flags);
	DEFINE(OPS_SAVE_REGS, FTRACE_OPS_FL_SAVE_REGS);
	DEFINE(OPS_GENERAL_REGS, FTRACE_OPS_FL_GENERAL_REGS);

	OFFSET(REGION_LO, struct ftrace_region, lo);
	OFFSET(REGION_SIZE, struct ftrace_region, size);
	DEFINE(REGION_sizeof, sizeof(struct ftrace_region));

	OFFSET(PT_MASK, struct pt_regs, psw.mask);
	OFFSET(PT_ADDR, struct pt_regs, psw.addr);
	OFFSET(PT_R0, struct pt_regs, gprs[0]);
	OFFSET(PT_R2, struct pt_regs, gprs[2]);
	OFFSET(PT_R6, struct pt_regs, gprs[6]);
	OFFSET(PT_R14, struct pt_regs, gprs[14]);
	OFFSET(PT_R15, struct pt_regs, gprs[15]);
	OFFSET(PT_ORIG_R2, struct pt_regs, orig_gpr2);
	DEFINE(PT_sizeof, sizeof(struct pt_regs));
	DEFINE(WORD, sizeof(long));

#ifndef ARCH_SHADOW_XOR
	DEFINE(SHADOW_AROUND, ARCH_SHADOW_AROUND * sizeof(long));
	DEFINE(SHADOW_SITE, ARCH_SHADOW_SITE * sizeof(long));
	_Static_assert(ARCH_SHADOW_WORDS == 4, "SHADOW multiplies by shifting");
#endif
}

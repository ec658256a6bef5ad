/* SPDX-License-Identifier: MIT */
/*
 * Offsets for entry.S, from the structures themselves. Compiled to assembly only;
 * tools/gen-asm-offsets turns the marked lines into asm-offsets.h.
 */
#include <ftrace/ftrace.h>
#include <ftrace/trace-format.h>

#include "arch.h"
#include "livepatch.h"
#include "ops.h"
#include "site.h"
#include "thread.h"

#define DEFINE(name, value) \
	__asm__ volatile(".ascii \"->" #name " %c0 " #value "\"" : : "i"((long)(value)))
#define OFFSET(name, type, member)	DEFINE(name, offsetof(type, member))

_Static_assert(sizeof(struct dyn_ftrace) == FTRACE_STUB_SIZE, "a dyn_ftrace for every stub");

void asm_offsets(void);
void asm_offsets(void)
{
	OFFSET(T_WP, struct ftrace_thread, wp);
	OFFSET(T_END, struct ftrace_thread, end);
	OFFSET(T_UNWRITTEN, struct ftrace_thread, unwritten);
	OFFSET(T_HI, struct ftrace_thread, hi);
	OFFSET(T_CALLBACK, struct ftrace_thread, callback);
	OFFSET(T_TOP, struct ftrace_thread, top);
	OFFSET(T_STACK_LO, struct ftrace_thread, stack_lo);
	OFFSET(T_STACK_SIZE, struct ftrace_thread, stack_size);
	OFFSET(T_UNCHOSEN, struct ftrace_thread, unchosen);
	OFFSET(T_KLP_GONE, struct ftrace_thread, klp_gone);
	OFFSET(T_KLP_STAYS, struct ftrace_thread, klp_stays);

	/* The mark of a tail call, as stubs say what to record. */
	DEFINE(RECORD_TAIL, FTRACE_EXT_TAIL << 2 | FTRACE_EVENT_EXTENDED);

	OFFSET(SITE_OPS, struct dyn_ftrace, ops);
	OFFSET(SITE_IP, struct dyn_ftrace, ip);
	OFFSET(SITE_FLAGS, struct dyn_ftrace, flags);
	OFFSET(SITE_BODY_DELTA, struct dyn_ftrace, body_delta);
	DEFINE(SITE_GENERAL, FTRACE_SITE_GENERAL);
	DEFINE(SITE_LOUD, FTRACE_SITE_LOUD);
	/* From a return address in the stub to the stub's dyn_ftrace. */
	DEFINE(SITE_FROM_ENTRY_RET, FTRACE_CHUNK_CODE - ARCH_STUB_ENTRY_RET);
	DEFINE(SITE_FROM_EXIT_RET, FTRACE_CHUNK_CODE - ARCH_STUB_EXIT_RET);

	OFFSET(OPS_CALL, struct ftrace_ops, reserved[FTRACE_OPS_CALL]);
	OFFSET(OPS_FLAGS, struct ftrace_ops, flags);
	DEFINE(OPS_SAVE_REGS, FTRACE_OPS_FL_SAVE_REGS);
	DEFINE(OPS_GENERAL_REGS, FTRACE_OPS_FL_GENERAL_REGS);
	DEFINE(OPS_REPLACE, FTRACE_OPS_FL_REPLACE);
	OFFSET(OPS_TARGET, struct ftrace_ops, reserved[FTRACE_OPS_TARGET]);
	OFFSET(KLP_GONE, struct klp_ops, gone);
	OFFSET(KLP_GONE_TO, struct klp_ops, gone_to);

	OFFSET(REGION_LO, struct ftrace_region, lo);
	OFFSET(REGION_SIZE, struct ftrace_region, size);
	DEFINE(REGION_sizeof, sizeof(struct ftrace_region));

#ifdef __x86_64__
	OFFSET(PT_R15, struct pt_regs, r15);
	OFFSET(PT_R14, struct pt_regs, r14);
	OFFSET(PT_R13, struct pt_regs, r13);
	OFFSET(PT_R12, struct pt_regs, r12);
	OFFSET(PT_RBP, struct pt_regs, rbp);
	OFFSET(PT_RBX, struct pt_regs, rbx);
	OFFSET(PT_R11, struct pt_regs, r11);
	OFFSET(PT_R10, struct pt_regs, r10);
	OFFSET(PT_R9, struct pt_regs, r9);
	OFFSET(PT_R8, struct pt_regs, r8);
	OFFSET(PT_RAX, struct pt_regs, rax);
	OFFSET(PT_RCX, struct pt_regs, rcx);
	OFFSET(PT_RDX, struct pt_regs, rdx);
	OFFSET(PT_RSI, struct pt_regs, rsi);
	OFFSET(PT_RDI, struct pt_regs, rdi);
	OFFSET(PT_ORIG_RAX, struct pt_regs, orig_rax);
	OFFSET(PT_RIP, struct pt_regs, rip);
	OFFSET(PT_CS, struct pt_regs, cs);
	OFFSET(PT_EFLAGS, struct pt_regs, eflags);
	OFFSET(PT_RSP, struct pt_regs, rsp);
	OFFSET(PT_SS, struct pt_regs, ss);
#else
	OFFSET(SITE_POP, struct dyn_ftrace, pop);
	DEFINE(SHADOW_AROUND, ARCH_SHADOW_AROUND * sizeof(long));
	DEFINE(SHADOW_SITE, ARCH_SHADOW_SITE * sizeof(long));
	DEFINE(SHADOW_WORDS, ARCH_SHADOW_WORDS);
	OFFSET(PT_EBX, struct pt_regs, ebx);
	OFFSET(PT_ECX, struct pt_regs, ecx);
	OFFSET(PT_EDX, struct pt_regs, edx);
	OFFSET(PT_ESI, struct pt_regs, esi);
	OFFSET(PT_EDI, struct pt_regs, edi);
	OFFSET(PT_EBP, struct pt_regs, ebp);
	OFFSET(PT_EAX, struct pt_regs, eax);
	OFFSET(PT_DS, struct pt_regs, xds);
	OFFSET(PT_ES, struct pt_regs, xes);
	OFFSET(PT_FS, struct pt_regs, xfs);
	OFFSET(PT_GS, struct pt_regs, xgs);
	OFFSET(PT_ORIG_EAX, struct pt_regs, orig_eax);
	OFFSET(PT_EIP, struct pt_regs, eip);
	OFFSET(PT_CS, struct pt_regs, xcs);
	OFFSET(PT_EFLAGS, struct pt_regs, eflags);
	OFFSET(PT_ESP, struct pt_regs, esp);
#endif
	DEFINE(PT_sizeof, sizeof(struct pt_regs));
}

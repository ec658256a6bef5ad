/* SPDX-License-Identifier: MIT */
/*
 * s390, both widths: registers as call frame information numbers them: r0-r15, then f0, f2, f4, f6, f1,
 * f3, f5, f7, f8, f10, f12, f14, f9, f11, f13, f15, in some of which leaf functions keep others; the pc
 * behind them is our own number.
 */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/ucontext.h>

#include <ftrace/ptrace.h>

#include "arch.h"
#include "stopped.h"
#include "unwind-expr.h"
#include "unwind-stack.h"

#ifdef __s390x__
__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	stmg %r6,%r15,6*8(%r2)\n"
	"	std %f8,24*8(%r2)\n"
	"	std %f10,25*8(%r2)\n"
	"	std %f12,26*8(%r2)\n"
	"	std %f14,27*8(%r2)\n"
	"	std %f9,28*8(%r2)\n"
	"	std %f11,29*8(%r2)\n"
	"	std %f13,30*8(%r2)\n"
	"	std %f15,31*8(%r2)\n"
	"	stg %r14,32*8(%r2)\n"
	"	br %r14\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");
#else
__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	stm %r6,%r15,6*4(%r2)\n"
	"	st %r14,32*4(%r2)\n"
	"	br %r14\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");
#endif

void arch_unwind_caller(const struct pt_regs *entry, struct unwind_regs *regs)
{
	ft_memset(regs, 0, sizeof(*regs));
	ft_memcpy(regs->reg, entry->gprs, sizeof(entry->gprs));
	regs->reg[ARCH_UNWIND_PC] = entry->gprs[14];
}

#ifdef __s390x__
/* The floating point register that is number 16 + n to the table; functions that call nothing keep others in them. */
static const u8 fp_order[16] = { 0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15 };

static int take_fp(int tid, struct unwind_regs *regs)
{
	struct stopped_fp fp;
	int err = stopped_regset(PTRACE_GETREGSET, tid, NT_PRFPREG, &fp, sizeof(fp));

	for (u32 i = 0; !err && i < ARRAY_SIZE(fp_order); i++)
		regs->reg[16 + i] = fp.fprs[fp_order[i]];
	return err;
}
#else
static int take_fp(int tid, struct unwind_regs *regs)
{
	return 0;
}
#endif

int arch_unwind_stopped(int tid, struct unwind_regs *regs, unsigned long *thread_pointer)
{
	struct stopped_regs r;
	int err = stopped_regset(PTRACE_GETREGSET, tid, NT_PRSTATUS, &r, sizeof(r));

	if (err)
		return err;
	ft_memset(regs, 0, sizeof(*regs));
	ft_memcpy(regs->reg, r.gprs, sizeof(r.gprs));
	regs->reg[ARCH_UNWIND_PC] = ARCH_CODE_ADDRESS(r.psw_addr);
	/* In the first access registers, 32 bits each. */
	*thread_pointer = r.access[0];
	if (sizeof(long) == 8)
		*thread_pointer = (unsigned long)((u64)r.access[0] << 32 | r.access[1]);
	return take_fp(tid, regs);
}

/* ---- signals ---- */

/*
 * What the kernel leaves at the handler's stack pointer, behind the room that any callee has: for handlers with
 * SA_SIGINFO an instruction, the siginfo_t and the context; for others a mask and a pointer to the registers, laid out as
 * in a context.
 */
#define SIGINFO_SIZE	128
#define CONTEXT_AT	(ARCH_ABI_FRAME + 8 + SIGINFO_SIZE)
#define POINTER_AT	(ARCH_ABI_FRAME + 8)

#define SVC_SIGRETURN		0x0a77	/* svc 119 */
#define SVC_RT_SIGRETURN	0x0aad	/* svc 173 */

static bool instruction_at(const struct unwind_walk *w, unsigned long pc, u32 *insn)
{
	unsigned long word, at = ALIGN_DOWN(pc, sizeof(long));

	if (pc % 2 || !unwind_read(w, at, &word))
		return false;
	*insn = word >> 8 * (sizeof(long) - 2 - (pc - at)) & 0xffff;
	return true;
}

static bool take_context(const struct unwind_walk *w, unsigned long at, struct unwind_regs *regs)
{
	bool good = unwind_read(w, at + offsetof(mcontext_t, psw.addr), &regs->reg[ARCH_UNWIND_PC]);

	for (u32 i = 0; good && i < 16; i++)
		good = unwind_read(w, at + offsetof(mcontext_t, gregs[i]), &regs->reg[i]);
#ifdef __s390x__
	for (u32 i = 0; good && i < ARRAY_SIZE(fp_order); i++)
		good = unwind_read(w, at + offsetof(mcontext_t, fpregs.fprs[fp_order[i]]),
				   &regs->reg[16 + i]);
#endif
	regs->reg[ARCH_UNWIND_PC] = ARCH_CODE_ADDRESS(regs->reg[ARCH_UNWIND_PC]);
	return good;
}

bool arch_unwind_signal(const struct unwind_walk *w, struct unwind_regs *interrupted)
{
	unsigned long sp = w->regs.reg[ARCH_UNWIND_SP], at;
	u32 insn;

	if (!instruction_at(w, ARCH_CODE_ADDRESS(w->regs.reg[ARCH_UNWIND_PC]), &insn))
		return false;
	if (insn == SVC_RT_SIGRETURN)
		at = sp + CONTEXT_AT + offsetof(ucontext_t, uc_mcontext);
	else if (insn != SVC_SIGRETURN || !unwind_read(w, sp + POINTER_AT, &at))
		return false;
	ft_memset(interrupted, 0, sizeof(*interrupted));
	return take_context(w, at, interrupted);
}

/* SPDX-License-Identifier: MIT */
/* x86_64: borrowing a thread of another process; see inject.h. */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "arch.h"
#include "inject.h"

#define XSTATE_MAX	(64u << 10)	/* far more than any processor has */

struct inject_state {
	struct user_regs_struct regs;
	size_t size;			/* of xstate */
	uint8_t xstate[];
};

const size_t inject_frame_pc = 8 + 40 + 16 * 8;	/* pretcode, ucontext up to mcontext, RIP in it */

const unsigned int inject_audit_arch = AUDIT_ARCH_X86_64;

struct inject_state *inject_save(pid_t tid)
{
	struct inject_state *state = malloc(sizeof(*state) + XSTATE_MAX), *fits;
	struct arch_stopped stopped;
	struct iovec io;
	int err;

	if (!state)
		return NULL;
	/* Makes a system call that the stop ended start again. */
	err = arch_stopped_get(tid, &stopped);
	io = (struct iovec){ state->xstate, XSTATE_MAX };
	if (err) {
		errno = -err;
	} else if (!ptrace(PTRACE_GETREGS, tid, NULL, &state->regs) &&
		   !ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io)) {
		state->size = io.iov_len;
		fits = realloc(state, sizeof(*state) + state->size);
		return fits ? fits : state;
	}
	free(state);
	return NULL;
}

int inject_restore(pid_t tid, const struct inject_state *state)
{
	struct iovec io = { (void *)state->xstate, state->size };

	if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &io) ||
	    ptrace(PTRACE_SETREGS, tid, NULL, &state->regs))
		return -errno;
	return 0;
}

void inject_free(struct inject_state *state)
{
	free(state);
}

void inject_where(const struct inject_state *state, unsigned long *pc, unsigned long *sp, long *nr)
{
	*pc = state->regs.rip;
	*sp = state->regs.rsp;
	*nr = (long)state->regs.orig_rax;
}

long inject_find_syscall(const uint8_t *code, size_t len)
{
	const uint8_t *p = memmem(code, len, "\x0f\x05", 2);

	return p ? p - code : -1;
}

int inject_prepare_syscall(pid_t tid, const struct inject_state *state, unsigned long insn, long nr,
			   const unsigned long args[6])
{
	struct user_regs_struct regs = state->regs;

	regs.rip = insn;
	regs.rax = (unsigned long)nr;
	regs.orig_rax = -1ul;		/* no system call is to be started again from here */
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	return ptrace(PTRACE_SETREGS, tid, NULL, &regs) ? -errno : 0;
}

/* By a call, so that returning from it is right under a shadow stack, too. */
void inject_code(uint8_t code[INJECT_CODE_SIZE], unsigned long at, unsigned long *end)
{
	static const uint8_t bytes[] = { 0xff, 0xd0, 0xcc };	/* call *%rax; int3 */

	memset(code, 0xcc, INJECT_CODE_SIZE);
	memcpy(code, bytes, sizeof(bytes));
	*end = at + sizeof(bytes);
}

int inject_prepare_call(pid_t tid, const struct inject_state *state, unsigned long code,
			unsigned long func, const unsigned long args[4], unsigned long stack)
{
	struct user_regs_struct regs = state->regs;

	regs.rip = code;
	regs.rsp = stack & ~15ul;
	regs.rbp = 0;
	regs.rax = func;
	regs.orig_rax = -1ul;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.rcx = args[3];
	regs.eflags &= ~0x500ul;	/* direction and trap flag: as at any function's entry */
	return ptrace(PTRACE_SETREGS, tid, NULL, &regs) ? -errno : 0;
}

int inject_result(pid_t tid, unsigned long *result, unsigned long *pc)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs))
		return -errno;
	*result = regs.rax;
	*pc = regs.rip;
	return 0;
}

bool inject_is_sigreturn(const uint8_t code[INJECT_RETURN_CODE])
{
	/* mov $__NR_rt_sigreturn, %rax; syscall: what every C library has, and unwinders know */
	static const uint8_t restorer[] = { 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05 };

	return !memcmp(code, restorer, sizeof(restorer));
}

bool inject_is_behind_call(const uint8_t code[INJECT_CALL_CODE])
{
	const uint8_t *end = code + INJECT_CALL_CODE;

	if (end[-5] == 0xe8)
		return true;
	/* ff /2, with all the lengths its operand may have */
	for (int len = 2; len <= 7; len++)
		if (end[-len] == 0xff && (end[-len + 1] & 0x38) == 0x10)
			return true;
	return false;
}

bool inject_elf_is_ours(const uint8_t ident[16], unsigned int machine)
{
	return ident[EI_CLASS] == ELFCLASS64 && ident[EI_DATA] == ELFDATA2LSB && machine == EM_X86_64;
}

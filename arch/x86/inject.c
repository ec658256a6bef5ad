/* SPDX-License-Identifier: MIT */
/*
 * x86, both widths: borrowing a thread of another process; see inject.h. Registers are had from the kernel in the
 * layout of the code that the thread runs, so this is one piece of code with two tables.
 */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "inject-abi.h"

#define XSTATE_MAX	(64u << 10)	/* far more than any processor has */

/* A result that the kernel shows to nobody but a tracer (include/linux/errno.h there): again, but EINTR where
 * a handler runs. */
#define ERESTARTNOHAND	514

/* Of a call by registers, the direction and the trap flag are clear at a function's entry. */
#define FLAGS_OFF	0x500ul

/* Words of struct user_regs_struct of each width, by their numbers. */
struct inject_layout {
	uint8_t words;
	uint8_t pc, sp, fp, flags;
	uint8_t result;			/* also: the number of the system call to make, the function to call */
	uint8_t nr;			/* of the system call it is in */
	uint8_t syscall_args[6];
	uint8_t call_args[4];
	bool args_on_stack;
};

static const struct inject_layout wide_layout = {
	.words = 27, .pc = 16, .sp = 19, .fp = 4, .flags = 18, .result = 10, .nr = 15,
	.syscall_args = { 14, 13, 12, 7, 9, 8 },	/* rdi, rsi, rdx, r10, r8, r9 */
	.call_args = { 14, 13, 12, 11 },		/* rdi, rsi, rdx, rcx */
};

static const struct inject_layout narrow_layout = {
	.words = 17, .pc = 12, .sp = 15, .fp = 5, .flags = 14, .result = 6, .nr = 11,
	.syscall_args = { 0, 1, 2, 3, 4, 5 },		/* ebx, ecx, edx, esi, edi, ebp */
	.args_on_stack = true,
};

static const struct inject_abi abis[] = {
	{ true, EM_X86_64, AUDIT_ARCH_X86_64, &inject_calls_wide, &wide_layout },
	{ false, EM_386, AUDIT_ARCH_I386, &inject_calls_narrow, &narrow_layout },
};

const struct inject_abi *inject_abi(const uint8_t ident[16], unsigned int machine)
{
	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
		if (!memcmp(ident, ELFMAG, SELFMAG) && ident[EI_DATA] == ELFDATA2LSB &&
		    ident[EI_CLASS] == (abis[i].wide ? ELFCLASS64 : ELFCLASS32) &&
		    machine == abis[i].machine)
			return &abis[i];
	return NULL;
}

/* ---- registers ---- */

union registers {
	uint64_t wide[27];
	uint32_t narrow[17];
};

struct inject_state {
	const struct inject_abi *abi;
	union registers regs;
	size_t size;			/* of xstate */
	uint8_t xstate[];
};

static uint64_t get(const struct inject_abi *abi, const union registers *regs, unsigned int word)
{
	return abi->wide ? regs->wide[word] : regs->narrow[word];
}

/* A negative number stays one. */
static int64_t get_signed(const struct inject_abi *abi, const union registers *regs, unsigned int word)
{
	return abi->wide ? (int64_t)regs->wide[word] : (int32_t)regs->narrow[word];
}

static void set(const struct inject_abi *abi, union registers *regs, unsigned int word, uint64_t value)
{
	if (abi->wide)
		regs->wide[word] = value;
	else
		regs->narrow[word] = (uint32_t)value;
}

static size_t registers_size(const struct inject_abi *abi)
{
	return abi->layout->words * (abi->wide ? 8u : 4u);
}

static int get_registers(const struct inject_abi *abi, pid_t tid, union registers *regs)
{
	struct iovec io = { regs, sizeof(*regs) };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io))
		return -errno;
	/* Their layout is that of the code which runs: a narrow program may have wide code, and the other way. */
	return io.iov_len == registers_size(abi) ? 0 : -ENOEXEC;
}

static int set_registers(const struct inject_abi *abi, pid_t tid, const union registers *regs)
{
	struct iovec io = { (void *)regs, registers_size(abi) };

	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io) ? -errno : 0;
}

static bool may_start_again(const struct inject_calls *calls, long nr)
{
	for (size_t i = 0; i < calls->nagain; i++)
		if (calls->again[i] == nr)
			return true;
	return false;
}

struct inject_state *inject_save(const struct inject_abi *abi, pid_t tid)
{
	struct inject_state *state = malloc(sizeof(*state) + XSTATE_MAX), *fits;
	const struct inject_layout *l = abi->layout;
	struct iovec io;
	int err;

	if (!state)
		return NULL;
	state->abi = abi;
	io = (struct iovec){ state->xstate, XSTATE_MAX };
	err = get_registers(abi, tid, &state->regs);
	if (!err && ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io))
		err = -errno;
	if (err) {
		free(state);
		errno = -err;
		return NULL;
	}
	if (get_signed(abi, &state->regs, l->result) == -EINTR &&
	    may_start_again(abi->calls, get_signed(abi, &state->regs, l->nr)))
		set(abi, &state->regs, l->result, (uint64_t)-ERESTARTNOHAND);
	state->size = io.iov_len;
	fits = realloc(state, sizeof(*state) + state->size);
	return fits ? fits : state;
}

int inject_restore(pid_t tid, const struct inject_state *state)
{
	struct iovec io = { (void *)state->xstate, state->size };

	if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &io))
		return -errno;
	return set_registers(state->abi, tid, &state->regs);
}

void inject_free(struct inject_state *state)
{
	free(state);
}

void inject_where(const struct inject_state *state, unsigned long *pc, unsigned long *sp, long *nr)
{
	const struct inject_abi *abi = state->abi;

	*pc = get(abi, &state->regs, abi->layout->pc);
	*sp = get(abi, &state->regs, abi->layout->sp);
	*nr = get_signed(abi, &state->regs, abi->layout->nr);
}

/* ---- running something ---- */

long inject_find_syscall(const struct inject_abi *abi, const uint8_t *code, size_t len)
{
	/* syscall; int $0x80 */
	const uint8_t *p = memmem(code, len, abi->wide ? "\x0f\x05" : "\xcd\x80", 2);

	return p ? p - code : -1;
}

int inject_prepare_syscall(pid_t tid, const struct inject_state *state, unsigned long insn, long nr,
			   const unsigned long args[6])
{
	const struct inject_abi *abi = state->abi;
	const struct inject_layout *l = abi->layout;
	union registers regs = state->regs;

	set(abi, &regs, l->pc, insn);
	set(abi, &regs, l->result, (uint64_t)nr);
	set(abi, &regs, l->nr, ~0ull);	/* no system call is to be started again from here */
	for (int i = 0; i < 6; i++)
		set(abi, &regs, l->syscall_args[i], args[i]);
	return set_registers(abi, tid, &regs);
}

/* By a call, so that returning from it is right under a shadow stack, too. */
void inject_code(uint8_t code[INJECT_CODE_SIZE], unsigned long at, unsigned long *end)
{
	static const uint8_t bytes[] = { 0xff, 0xd0, 0xcc };	/* call *%rax, or %eax; int3 */

	memset(code, 0xcc, INJECT_CODE_SIZE);
	memcpy(code, bytes, sizeof(bytes));
	*end = at + sizeof(bytes);
}

/* Four narrow words at @at. */
static int put_on_stack(pid_t tid, unsigned long at, const unsigned long args[4])
{
	for (unsigned int i = 0; i < 4; i += 2)
		if (ptrace(PTRACE_POKEDATA, tid, at + i * 4,
			   (uint64_t)args[i + 1] << 32 | (uint32_t)args[i]))
			return -errno;
	return 0;
}

int inject_prepare_call(pid_t tid, const struct inject_state *state, unsigned long code,
			unsigned long func, const unsigned long args[4], unsigned long stack)
{
	const struct inject_abi *abi = state->abi;
	const struct inject_layout *l = abi->layout;
	union registers regs = state->regs;
	int err = 0;

	stack &= ~15ul;
	if (l->args_on_stack) {
		stack -= 16;
		err = put_on_stack(tid, stack, args);
	}
	set(abi, &regs, l->pc, code);
	set(abi, &regs, l->sp, stack);
	set(abi, &regs, l->fp, 0);
	set(abi, &regs, l->result, func);
	set(abi, &regs, l->nr, ~0ull);
	for (int i = 0; i < 4 && !l->args_on_stack; i++)
		set(abi, &regs, l->call_args[i], args[i]);
	set(abi, &regs, l->flags, get(abi, &regs, l->flags) & ~FLAGS_OFF);
	return err ? err : set_registers(abi, tid, &regs);
}

int inject_result(pid_t tid, const struct inject_state *state, unsigned long *result, unsigned long *pc)
{
	const struct inject_abi *abi = state->abi;
	union registers regs;
	int err = get_registers(abi, tid, &regs);
	int64_t value;

	if (err)
		return err;
	value = get_signed(abi, &regs, abi->layout->result);
	/* An address in the upper half of a narrow address space is no negative number. */
	*result = value < 0 && value > -4096 ? (unsigned long)value :
					       get(abi, &regs, abi->layout->result);
	*pc = get(abi, &regs, abi->layout->pc);
	return 0;
}

/* ---- what is on stacks ---- */

size_t inject_frame_pc(const struct inject_abi *abi, const uint8_t code[INJECT_RETURN_CODE])
{
	/*
	 * What every C library and the kernel's own vdso have, and unwinders know: the number of rt_sigreturn or, in
	 * narrow programs, of sigreturn behind a pop, and the call. Above the address of that code are, wide, a
	 * struct ucontext; narrow, the arguments of the handler and a struct siginfo and a struct ucontext, or
	 * the signal's number and a struct sigcontext. The pc has its place in the last of each.
	 */
	static const struct {
		bool wide;
		uint8_t len, code[10];
		size_t pc;
	} restorers[] = {
		{ true, 9, { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 }, 8 + 40 + 16 * 8 },
		{ false, 7, { 0xb8, 0xad, 0, 0, 0, 0xcd, 0x80 }, 16 + 128 + 20 + 14 * 4 },
		{ false, 8, { 0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80 }, 8 + 14 * 4 },
	};

	for (size_t i = 0; i < sizeof(restorers) / sizeof(restorers[0]); i++)
		if (restorers[i].wide == abi->wide && !memcmp(code, restorers[i].code, restorers[i].len))
			return restorers[i].pc;
	return 0;
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

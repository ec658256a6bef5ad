/* SPDX-License-Identifier: MIT */
/* x86, both widths: probes at any instruction; see arch.h and arch-site.h. */
#include <ftrace/ptrace.h>

#include "arch.h"
#include "detour.h"
#include "move.h"

#define WIDE	(sizeof(long) == 8)

const u8 arch_breakpoint[ARCH_BREAKPOINT_SIZE] = { 0xcc };

#ifdef __x86_64__
const struct arch_pushed arch_detour_before[] = { { 5, 128 }, { 7, 136 }, { 15, 128 }, { 23, 0 } };
const struct arch_pushed arch_detour_again[] = { { 88, 136 }, { 90, 128 }, { 98, 0 } };
const struct arch_pushed arch_detour_post[] = { { 167, 128 }, { 169, 136 }, { 177, 128 }, { 185, 0 } };
#else
/* Behind the call's first byte: an unwinder looks there for who has been called, and sees both words gone. */
const struct arch_pushed arch_detour_before[] = { { 5, 4 }, { 6, 0 } };
const struct arch_pushed arch_detour_again[] = { { 75, 0 } };
const struct arch_pushed arch_detour_post[] = { { 144, 4 }, { 145, 0 } };
#endif

bool arch_insn(struct arch_insn *insn, const u8 *code, size_t avail, unsigned long addr)
{
	struct x86_insn in;
	enum x86_kind kind;

	if (!x86_decode(&in, code, avail, WIDE))
		return false;
	kind = x86_kind(&in);
	insn->len = in.len;
	insn->branches = kind != X86_PLAIN;
	insn->indirect = kind == X86_JUMP_INDIRECT;
	insn->target = (unsigned long)x86_target(&in, WIDE, addr);
	return true;
}

const char *arch_insn_move(const u8 *code, size_t avail, size_t size, unsigned long addr,
			   unsigned int need, struct probe_copy *copy)
{
	const struct x86_refusal *why = x86_move(WIDE, code, avail, size, addr, need, copy);

	return why ? why->here : NULL;
}

/* ---- what a branch does ---- */

static unsigned long *reg(struct pt_regs *regs, unsigned int n)
{
#ifdef __x86_64__
	unsigned long *all[16] = {
		&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp, &regs->rsi,
		&regs->rdi, &regs->r8, &regs->r9, &regs->r10, &regs->r11, &regs->r12, &regs->r13,
		&regs->r14, &regs->r15,
	};
#else
	unsigned long *all[8] = {
		(unsigned long *)&regs->eax, (unsigned long *)&regs->ecx, (unsigned long *)&regs->edx,
		(unsigned long *)&regs->ebx, NULL, (unsigned long *)&regs->ebp,
		(unsigned long *)&regs->esi, (unsigned long *)&regs->edi,
	};
#endif
	return all[n % ARRAY_SIZE(all)];
}

static unsigned long read_reg(struct pt_regs *regs, unsigned int n)
{
	return n == 4 ? user_stack_pointer(regs) : *reg(regs, n);
}

/* Where a jump or call through ModRM leads. */
static unsigned long operand(const struct x86_insn *in, struct pt_regs *regs, unsigned long next)
{
	unsigned int b = in->rex & 1 ? 8 : 0, x = in->rex & 2 ? 8 : 0;
	unsigned long addr = (unsigned long)(long)in->disp;

	if (x86_mod(in) == 3)
		return read_reg(regs, x86_rm(in) | b);
	if (x86_refers(in, WIDE)) {
		addr += next;
	} else if (in->has_sib) {
		unsigned int base = in->sib & 7, index = (in->sib >> 3 & 7) | x;

		if (base != 5 || x86_mod(in))
			addr += read_reg(regs, base | b);
		if (index != 4)
			addr += read_reg(regs, index) << (in->sib >> 6);
	} else if (x86_mod(in) || x86_rm(in) != 5) {
		addr += read_reg(regs, x86_rm(in) | b);
	}
	return *(const unsigned long *)addr;
}

#ifdef __x86_64__
#define FLAGS(regs)	((regs)->eflags)
#define COUNT(regs)	((regs)->rcx)
#else
#define FLAGS(regs)	((unsigned long)(regs)->eflags)
#define COUNT(regs)	(*(unsigned long *)&(regs)->ecx)
#endif

/* Does the condition with number @cc hold? */
static bool condition(unsigned long flags, u8 cc)
{
	bool cf = flags & 1, pf = flags & 4, zf = flags & 0x40, sf = flags & 0x80, of = flags & 0x800;
	bool holds[8] = { of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of };

	return holds[cc >> 1 & 7] != (cc & 1);
}

/* loop, loope, loopne, jrcxz */
static bool count(const struct x86_insn *in, struct pt_regs *regs)
{
	unsigned long mask = in->addrsize ? (WIDE ? 0xffffffffu : 0xffffu) : ~0ul, left;
	bool zf = FLAGS(regs) & 0x40;

	if (in->opcode == 0xe3)
		return !(COUNT(regs) & mask);
	left = (COUNT(regs) - 1) & mask;
	/* A register of 32 bits that is written loses its upper half, one of 16 does not. */
	COUNT(regs) = WIDE || !in->addrsize ? left : (COUNT(regs) & ~mask) | left;
	return left && (in->opcode == 0xe2 || (in->opcode == 0xe1) == zf);
}

#ifdef __x86_64__
static bool stacks_are_emulated = true;
static void push(struct pt_regs *regs, unsigned long value)
{
	regs->rsp -= sizeof(long);
	*(unsigned long *)regs->rsp = value;
}

static unsigned long pop(struct pt_regs *regs, s64 and_more)
{
	unsigned long value = *(unsigned long *)regs->rsp;

	regs->rsp += sizeof(long) + (u16)and_more;
	return value;
}
#else
/* Where pt_regs lies is what sp is. */
static bool stacks_are_emulated;
static void push(struct pt_regs *regs, unsigned long value)
{
}

static unsigned long pop(struct pt_regs *regs, s64 and_more)
{
	return 0;
}
#endif

/* Is @a or @b among the prefixes, which are before @end? */
static bool has_prefix(const u8 *code, u8 end, u8 a, u8 b)
{
	for (u8 i = 0; i < end; i++)
		if (code[i] == a || code[i] == b)
			return true;
	return false;
}

bool arch_insn_emulate(const u8 *code, struct pt_regs *regs)
{
	unsigned long ip, next, target;
	struct x86_insn in;
	enum x86_kind kind;

	if (!x86_decode(&in, code, X86_MAX_LEN, WIDE))
		return false;
	kind = x86_kind(&in);
	if (kind == X86_PLAIN || in.opsize)
		return false;
	if (in.has_modrm && (in.addrsize || has_prefix(code, in.modrm_at, 0x64, 0x65)))
		return false;
	/* Behind repne some processors take loope for loopne. */
	if (in.map == X86_MAP_1 && (in.opcode & 0xfe) == 0xe0 && has_prefix(code, in.imm_at, 0xf2, 0xf3))
		return false;
	if (!stacks_are_emulated &&
	    (kind == X86_CALL || kind == X86_CALL_INDIRECT || kind == X86_RETURN))
		return false;
	if (!regs)
		return true;
	ip = instruction_pointer(regs);
	next = ip + in.len;
	target = (unsigned long)x86_target(&in, WIDE, ip);
	switch (kind) {
	case X86_BRANCH:
		if (in.map == X86_MAP_1 && in.opcode >= 0xe0 ? !count(&in, regs) :
							       !condition(FLAGS(regs), in.opcode & 15))
			target = next;
		break;
	case X86_JUMP_INDIRECT:
	case X86_CALL_INDIRECT:
		target = operand(&in, regs, next);
		break;
	case X86_RETURN:
		target = pop(regs, in.imm);
		break;
	default:
		break;
	}
	if (kind == X86_CALL || kind == X86_CALL_INDIRECT)
		push(regs, next);
	instruction_pointer_set(regs, target);
	return true;
}

/* ---- code ---- */

static void put32(u8 *p, u32 value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (u8)(value >> 8 * i);
}

int arch_jump_write(u8 *out, unsigned long from, unsigned long to)
{
	s64 distance = (s64)(long)(to - from - 5);

	if (WIDE && distance != (s32)distance)
		return -ERANGE;
	out[0] = 0xe9;
	put32(out + 1, (u32)distance);
	return 0;
}

/* The call, and what is around it, at offset @off. */
static void call(u8 *out, unsigned int off, unsigned long at)
{
	u8 *p = out + off;
#ifdef __x86_64__
	static const u8 before[] = { 0x48, 0x8d, 0x64, 0x24, 0x80, 0x41, 0x53, 0xff, 0x15 };
	static const u8 after[] = { 0x41, 0x5b, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0 };

	ft_memcpy(p, before, sizeof(before));
	put32(p + 9, (u32)(FTRACE_DETOUR_DATA + offsetof(struct probe_detour, call) - (off + 13)));
	ft_memcpy(p + 13, after, sizeof(after));
#else
	static const u8 before[] = { 0x68, 0, 0, 0, 0, 0xff, 0x15 };

	ft_memcpy(p, before, sizeof(before));
	put32(p + 7, (u32)(at + FTRACE_DETOUR_DATA + offsetof(struct probe_detour, call)));
#endif
}

static int copy(u8 *out, unsigned int off, unsigned long at, const struct probe_copy *c)
{
	u64 blob[FTRACE_TEMPLATE_MAX / 8 + 1] = { 0 };

	ftrace_template_put(blob, c);
	return arch_copy_write(out + off, at + off, 0, (const struct ftrace_template *)blob);
}

int arch_detour_write(u8 *out, unsigned long at, const struct probe_copy *all,
		      const struct probe_copy *first, const struct probe_copy *rest)
{
	u8 back;
	int err;

	ft_memset(out, ARCH_STUB_FILL, FTRACE_DETOUR_SIZE);
	call(out, 0, at);
	err = copy(out, ARCH_DETOUR_COPY, at, all);
	if (err || !first)
		return err;
#ifdef __x86_64__
	ft_memcpy(out + ARCH_DETOUR_AGAIN, out + ARCH_DETOUR_RET, ARCH_DETOUR_COPY - ARCH_DETOUR_RET);
#endif
	err = copy(out, ARCH_DETOUR_FIRST, at, first);
	if (err)
		return err;
	/* Its jump back, the last of its instructions, leads to the second call. */
	back = (u8)(ARCH_DETOUR_FIRST + first->copied[first->ninsns - 1].copy);
	call(out, ARCH_DETOUR_POST, at);
	if (rest)
		err = copy(out, ARCH_DETOUR_REST, at, rest);
	else
		ft_memcpy(out + ARCH_DETOUR_REST, out + back, 5);
	if (!rest && !err)
		err = arch_jump_write(out + ARCH_DETOUR_REST, at + ARCH_DETOUR_REST,
				      (unsigned long)first->fixup[first->nfixups - 1].vaddr);
	arch_jump_write(out + back, at + back, at + ARCH_DETOUR_POST);
	return err;
}

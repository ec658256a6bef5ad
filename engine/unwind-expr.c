/* SPDX-License-Identifier: MIT */
#include "unwind-expr.h"

/* DW_OP_* */
enum {
	OP_ADDR = 0x03, OP_DEREF = 0x06, OP_CONST1U = 0x08, OP_CONST1S = 0x09, OP_CONST2U = 0x0a,
	OP_CONST2S = 0x0b, OP_CONST4U = 0x0c, OP_CONST4S = 0x0d, OP_CONST8U = 0x0e,
	OP_CONST8S = 0x0f, OP_CONSTU = 0x10, OP_CONSTS = 0x11, OP_DUP = 0x12, OP_DROP = 0x13,
	OP_OVER = 0x14, OP_PICK = 0x15, OP_SWAP = 0x16, OP_ROT = 0x17, OP_ABS = 0x19, OP_AND = 0x1a,
	OP_DIV = 0x1b, OP_MINUS = 0x1c, OP_MOD = 0x1d, OP_MUL = 0x1e, OP_NEG = 0x1f, OP_NOT = 0x20,
	OP_OR = 0x21, OP_PLUS = 0x22, OP_PLUS_UCONST = 0x23, OP_SHL = 0x24, OP_SHR = 0x25,
	OP_SHRA = 0x26, OP_XOR = 0x27, OP_BRA = 0x28, OP_EQ = 0x29, OP_GE = 0x2a, OP_GT = 0x2b,
	OP_LE = 0x2c, OP_LT = 0x2d, OP_NE = 0x2e, OP_SKIP = 0x2f, OP_LIT0 = 0x30, OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70, OP_BREG31 = 0x8f, OP_BREGX = 0x92, OP_NOP = 0x96,
};

#define DEPTH	32u
#define STEPS	1000u		/* some loop, none for ever */

struct machine {
	const struct unwind_walk *w;
	const struct elf *elf;
	const u8 *start, *p, *end;
	unsigned long stack[DEPTH];
	u32 n;
};

static bool push(struct machine *m, unsigned long v)
{
	if (m->n == DEPTH)
		return false;
	m->stack[m->n++] = v;
	return true;
}

/* A number of @size bytes in the expression; 0 where it is cut off, which then ends. */
static u64 operand(struct machine *m, unsigned int size)
{
	u64 v = 0;

	if ((size_t)(m->end - m->p) < size) {
		m->p = m->end;
		return 0;
	}
	for (unsigned int i = 0; i < size; i++) {
		unsigned int shift = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : size - 1 - i;

		v |= (u64)m->p[i] << 8 * shift;
	}
	m->p += size;
	return v;
}

static s64 signed_operand(struct machine *m, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (s64)(operand(m, size) << shift) >> shift;
}

static bool push_register(struct machine *m, u64 reg)
{
	s64 offset = eh_read_sleb(&m->p, m->end);

	return reg < ARCH_UNWIND_REGS && push(m, m->w->regs.reg[reg] + (unsigned long)offset);
}

/* One operation on the two topmost. */
static bool binary(u8 op, unsigned long a, unsigned long b, unsigned long *r)
{
	long sa = (long)a, sb = (long)b;
	const unsigned long bits = 8 * sizeof(a);

	switch (op) {
	case OP_AND:	*r = a & b; return true;
	case OP_OR:	*r = a | b; return true;
	case OP_XOR:	*r = a ^ b; return true;
	case OP_PLUS:	*r = a + b; return true;
	case OP_MINUS:	*r = a - b; return true;
	case OP_MUL:	*r = a * b; return true;
	case OP_SHL:	*r = b < bits ? a << b : 0; return true;
	case OP_SHR:	*r = b < bits ? a >> b : 0; return true;
	case OP_SHRA:	*r = (unsigned long)(sa >> (b < bits ? b : bits - 1)); return true;
	case OP_EQ:	*r = a == b; return true;
	case OP_NE:	*r = a != b; return true;
	case OP_GE:	*r = sa >= sb; return true;
	case OP_GT:	*r = sa > sb; return true;
	case OP_LE:	*r = sa <= sb; return true;
	case OP_LT:	*r = sa < sb; return true;
	case OP_DIV:
		if (!b || (sb == -1 && a == 1ul << (bits - 1)))
			return false;
		*r = (unsigned long)(sa / sb);
		return true;
	case OP_MOD:
		if (!b)
			return false;
		*r = a % b;
		return true;
	}
	return false;
}

static bool jump(struct machine *m, s64 by)
{
	if (by < m->start - m->p || by > m->end - m->p)
		return false;
	m->p += by;
	return true;
}

static bool shuffle(struct machine *m, u8 op)
{
	unsigned long *top = m->stack + m->n, v;
	u64 i;

	switch (op) {
	case OP_DUP:
		return m->n && push(m, top[-1]);
	case OP_OVER:
		return m->n > 1 && push(m, top[-2]);
	case OP_PICK:
		i = operand(m, 1);
		return i < m->n && push(m, m->stack[m->n - 1 - i]);
	case OP_DROP:
		return m->n && m->n--;
	case OP_SWAP:
		if (m->n < 2)
			return false;
		v = top[-1];
		top[-1] = top[-2];
		top[-2] = v;
		return true;
	case OP_ROT:
		if (m->n < 3)
			return false;
		v = top[-1];
		top[-1] = top[-2];
		top[-2] = top[-3];
		top[-3] = v;
		return true;
	}
	return false;
}

static bool constant(struct machine *m, u8 op)
{
	switch (op) {
	case OP_ADDR:	return push(m, (unsigned long)operand(m, sizeof(long)));
	case OP_CONST1U: return push(m, (unsigned long)operand(m, 1));
	case OP_CONST2U: return push(m, (unsigned long)operand(m, 2));
	case OP_CONST4U: return push(m, (unsigned long)operand(m, 4));
	case OP_CONST8U: return push(m, (unsigned long)operand(m, 8));
	case OP_CONST1S: return push(m, (unsigned long)signed_operand(m, 1));
	case OP_CONST2S: return push(m, (unsigned long)signed_operand(m, 2));
	case OP_CONST4S: return push(m, (unsigned long)signed_operand(m, 4));
	case OP_CONST8S: return push(m, (unsigned long)signed_operand(m, 8));
	case OP_CONSTU:	return push(m, (unsigned long)eh_read_uleb(&m->p, m->end));
	case OP_CONSTS:	return push(m, (unsigned long)eh_read_sleb(&m->p, m->end));
	}
	return false;
}

static bool execute(struct machine *m, u8 op)
{
	unsigned long *top = m->stack + m->n - 1;
	s64 by;

	if (op >= OP_LIT0 && op <= OP_LIT31)
		return push(m, op - OP_LIT0);
	if (op >= OP_BREG0 && op <= OP_BREG31)
		return push_register(m, op - OP_BREG0);
	switch (op) {
	case OP_NOP:
		return true;
	case OP_BREGX:
		return push_register(m, eh_read_uleb(&m->p, m->end));
	case OP_SKIP:
		by = signed_operand(m, 2);
		return jump(m, by);
	case OP_BRA:
		by = signed_operand(m, 2);
		if (!m->n)
			return false;
		return !m->stack[--m->n] || jump(m, by);
	}
	if (op == OP_ADDR || (op >= OP_CONST1U && op <= OP_CONSTS))
		return constant(m, op);
	if (op >= OP_DUP && op <= OP_ROT)
		return shuffle(m, op);
	if (!m->n)
		return false;
	switch (op) {
	case OP_DEREF:
		return unwind_read(m->w, *top, top);
	case OP_NEG:
		*top = -*top;
		return true;
	case OP_NOT:
		*top = ~*top;
		return true;
	case OP_ABS:
		if ((long)*top < 0)
			*top = -*top;
		return true;
	case OP_PLUS_UCONST:
		*top += (unsigned long)eh_read_uleb(&m->p, m->end);
		return true;
	}
	if (m->n < 2)
		return false;
	m->n--;
	return binary(op, top[-1], top[0], top - 1);
}

bool unwind_expression(const struct unwind_walk *w, const u8 *p, const u8 *end,
		       const unsigned long *initial, unsigned long *value)
{
	struct machine m = { .w = w, .start = p, .p = p, .end = end };

	if (initial)
		push(&m, *initial);
	for (u32 i = 0; m.p < m.end; i++)
		if (i == STEPS || !execute(&m, *m.p++))
			return false;
	if (!m.n)
		return false;
	*value = m.stack[m.n - 1];
	return true;
}

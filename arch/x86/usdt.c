/* SPDX-License-Identifier: MIT */
/* x86, both widths: operands of USDT arguments, as the assembler writes them; see arch.h. */
#include <ftrace/ptrace.h>

#include "arch.h"

struct text {
	const char *p, *end;
};

static bool take(struct text *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

static bool number(struct text *t, long *value)
{
	bool negative = take(t, '-'), any = false, hex;
	unsigned long v = 0;

	hex = t->end - t->p > 2 && t->p[0] == '0' && t->p[1] == 'x';
	if (hex)
		t->p += 2;
	for (; t->p < t->end; t->p++, any = true) {
		char c = *t->p;
		int digit = c >= '0' && c <= '9' ? c - '0' : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			break;
		v = v * (hex ? 16 : 10) + (unsigned long)digit;
	}
	*value = (long)(negative ? 0 - v : v);
	return any;
}

static bool is(const char *name, size_t len, const char *want)
{
	return ft_strlen(want) == len && !ft_strncmp(name, want, len);
}

/* The kernel's name for the whole register that @name is a part of; *@shift for %ah and its like. */
static const char *whole(const char *name, size_t len, unsigned int *shift, char *out)
{
	static const char *const letters[] = { "ax", "bx", "cx", "dx" };
	static const char *const words[] = { "si", "di", "bp", "sp" };

	*shift = 0;
	if (len > 1 && name[0] == 'r' && name[1] >= '0' && name[1] <= '9') {
		size_t digits = 1 + (len > 2 && name[2] >= '0' && name[2] <= '9');

		if (len > digits + 2)
			return NULL;
		ft_memcpy(out, name, digits + 1);
		out[digits + 1] = 0;
		return out;
	}
	for (unsigned int i = 0; i < 4; i++) {
		const char low[] = { letters[i][0], 'l', 0 }, high[] = { letters[i][0], 'h', 0 };

		*shift = is(name, len, high) ? 8 : 0;
		if (*shift || is(name, len, low) || is(name, len, letters[i]) ||
		    (len == 3 && (name[0] == 'r' || name[0] == 'e') && is(name + 1, 2, letters[i])))
			return letters[i];
		if (is(name, len, words[i]) ||
		    (len == 3 && (name[0] == 'r' || name[0] == 'e') && is(name + 1, 2, words[i])) ||
		    (len == 3 && name[2] == 'l' && is(name, 2, words[i])))
			return words[i];
	}
	return is(name, len, "rip") ? "ip" : NULL;
}

/* %NAME; true: its value, as much of it as the argument's size then leaves. */
static bool reg(struct text *t, struct pt_regs *regs, unsigned long *value)
{
	const char *name, *known;
	unsigned int shift;
	char buf[4];
	int offset;

	if (!take(t, '%'))
		return false;
	for (name = t->p; t->p < t->end && ((*t->p >= 'a' && *t->p <= 'z') ||
					    (*t->p >= '0' && *t->p <= '9')); t->p++)
		;
	known = whole(name, (size_t)(t->p - name), &shift, buf);
	if (!known)
		return false;
	if (is(known, ft_strlen(known), "sp")) {
		*value = user_stack_pointer(regs);
		return true;
	}
	offset = regs_query_register_offset(known);
	if (offset < 0)
		return false;
	*value = regs_get_register(regs, (unsigned int)offset) >> shift;
	return true;
}

int arch_usdt_operand(const char *operand, size_t len, struct pt_regs *regs, unsigned long *value,
		      bool *memory)
{
	struct text t = { operand, operand + len };
	unsigned long base = 0, index = 0;
	long disp = 0, scale = 1;

	*memory = false;
	if (take(&t, '$')) {
		if (!number(&t, &disp) || t.p != t.end)
			return -EOPNOTSUPP;
		*value = (unsigned long)disp;
		return 0;
	}
	if (t.p < t.end && *t.p == '%')
		return reg(&t, regs, value) && t.p == t.end ? 0 : -EOPNOTSUPP;
	number(&t, &disp);
	if (!take(&t, '('))
		return -EOPNOTSUPP;
	if (t.p < t.end && *t.p == '%' && !reg(&t, regs, &base))
		return -EOPNOTSUPP;
	if (take(&t, ',')) {
		if (!reg(&t, regs, &index))
			return -EOPNOTSUPP;
		if (take(&t, ',') && !number(&t, &scale))
			return -EOPNOTSUPP;
	}
	if (!take(&t, ')') || t.p != t.end)
		return -EOPNOTSUPP;
	*value = base + index * (unsigned long)scale + (unsigned long)disp;
	*memory = true;
	return 0;
}

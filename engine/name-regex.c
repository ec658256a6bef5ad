/* SPDX-License-Identifier: MIT */
/*
 * The expression becomes a small program whose threads run side by side over the name, each
 * instruction at most once a character (Thompson's construction).
 */
#include "name-regex.h"

#define MAX_CODE	1024
#define MAX_SETS	64
#define MAX_NESTING	64

enum op { OP_CHAR, OP_ANY, OP_SET, OP_BEGIN, OP_END, OP_SPLIT, OP_JUMP, OP_MATCH };

struct insn {
	u8 op;
	u8 arg;		/* the character, or the set's number */
	u16 a, b;	/* OP_SPLIT: go on at both; OP_JUMP: at a */
};

struct regex {
	struct insn code[MAX_CODE];
	u32 ncode;
	u8 sets[MAX_SETS][32];		/* a bit for each character */
	u32 nsets;
	/* While it matches: the instructions to try at this character, and at the next. */
	u16 list[2][MAX_CODE];
	u32 mark[MAX_CODE];		/* the round in which it was put on a list */
	u32 round;
};

struct parser {
	struct regex *re;
	const char *p, *end;
	u32 nesting;
	int err;
};

static void parse_alternatives(struct parser *ps);

static u32 emit(struct parser *ps, enum op op, u32 arg, u32 a, u32 b)
{
	struct regex *re = ps->re;

	if (re->ncode == MAX_CODE) {
		ps->err = -E2BIG;
		return 0;
	}
	re->code[re->ncode] = (struct insn) { (u8)op, (u8)arg, (u16)a, (u16)b };
	return re->ncode++;
}

/* Make room for one instruction at @at; what was generated from there on moves up. */
static void insert(struct parser *ps, u32 at)
{
	struct regex *re = ps->re;
	u32 i;

	emit(ps, OP_MATCH, 0, 0, 0);
	if (ps->err)
		return;
	for (i = re->ncode - 1; i > at; i--) {
		re->code[i] = re->code[i - 1];
		if (re->code[i].op == OP_SPLIT || re->code[i].op == OP_JUMP) {
			re->code[i].a += re->code[i].a >= at;
			re->code[i].b += re->code[i].b >= at;
		}
	}
}

static void add_range(u8 *set, u32 from, u32 to)
{
	for (; from <= to; from++)
		set[from / 8] |= (u8)(1u << from % 8);
}

/* Behind the '['. */
static void parse_set(struct parser *ps)
{
	bool negate = false, first = true;
	u8 *set;
	u32 i;

	if (ps->re->nsets == MAX_SETS) {
		ps->err = -E2BIG;
		return;
	}
	set = ps->re->sets[ps->re->nsets];
	if (ps->p < ps->end && *ps->p == '^') {
		negate = true;
		ps->p++;
	}
	for (; ps->p < ps->end && (first || *ps->p != ']'); first = false) {
		u8 from = (u8)*ps->p++, to = from;

		if (ps->end - ps->p > 1 && ps->p[0] == '-' && ps->p[1] != ']') {
			to = (u8)ps->p[1];
			ps->p += 2;
		}
		if (to < from) {
			ps->err = -EINVAL;
			return;
		}
		add_range(set, from, to);
	}
	if (ps->p == ps->end) {
		ps->err = -EINVAL;	/* no ']' */
		return;
	}
	ps->p++;
	for (i = 0; negate && i < 32; i++)
		set[i] = (u8)~set[i];
	emit(ps, OP_SET, ps->re->nsets++, 0, 0);
}

static void parse_atom(struct parser *ps)
{
	char c = *ps->p++;

	switch (c) {
	case '(':
		if (++ps->nesting > MAX_NESTING)
			ps->err = -E2BIG;
		else
			parse_alternatives(ps);
		ps->nesting--;
		if (!ps->err && (ps->p == ps->end || *ps->p++ != ')'))
			ps->err = -EINVAL;
		break;
	case '[':
		parse_set(ps);
		break;
	case '.':
		emit(ps, OP_ANY, 0, 0, 0);
		break;
	case '^':
		emit(ps, OP_BEGIN, 0, 0, 0);
		break;
	case '$':
		emit(ps, OP_END, 0, 0, 0);
		break;
	case '*':
	case '+':
	case '?':
		ps->err = -EINVAL;	/* of what? */
		break;
	case '\\':
		if (ps->p == ps->end) {
			ps->err = -EINVAL;
			break;
		}
		c = *ps->p++;
		/* fall through */
	default:
		emit(ps, OP_CHAR, (u8)c, 0, 0);
	}
}

/* An atom and what says how often it comes. */
static void parse_piece(struct parser *ps)
{
	u32 begin = ps->re->ncode;

	parse_atom(ps);
	while (!ps->err && ps->p < ps->end) {
		switch (*ps->p) {
		case '*':
			insert(ps, begin);
			emit(ps, OP_JUMP, 0, begin, 0);
			break;
		case '+':
			emit(ps, OP_SPLIT, 0, begin, ps->re->ncode + 1);
			ps->p++;
			continue;
		case '?':
			insert(ps, begin);
			break;
		default:
			return;
		}
		ps->re->code[begin] = (struct insn) { OP_SPLIT, 0, (u16)(begin + 1),
						      (u16)ps->re->ncode };
		ps->p++;
	}
}

static void parse_alternatives(struct parser *ps)
{
	u32 begin = ps->re->ncode, jump;

	while (!ps->err && ps->p < ps->end && *ps->p != '|' && *ps->p != ')')
		parse_piece(ps);
	if (ps->err || ps->p == ps->end || *ps->p != '|')
		return;
	ps->p++;
	insert(ps, begin);
	jump = emit(ps, OP_JUMP, 0, 0, 0);
	ps->re->code[begin] = (struct insn) { OP_SPLIT, 0, (u16)(begin + 1), (u16)ps->re->ncode };
	parse_alternatives(ps);
	ps->re->code[jump].a = (u16)ps->re->ncode;
}

int regex_compile(struct regex **out, const char *text, size_t len)
{
	struct regex *re = ft_alloc(sizeof(*re));
	struct parser ps = { .re = re, .p = text, .end = text + len };

	if (!re)
		return -ENOMEM;
	parse_alternatives(&ps);
	if (!ps.err && ps.p != ps.end)
		ps.err = -EINVAL;	/* a ')' too many */
	emit(&ps, OP_MATCH, 0, 0, 0);
	if (ps.err) {
		regex_free(re);
		return ps.err;
	}
	*out = re;
	return 0;
}

void regex_free(struct regex *re)
{
	ft_free(re, sizeof(*re));
}

/*
 * Put @pc on the list, or what it leads to without a character: an instruction that needs one stays
 * on the list. Each is looked at once a round and leads to two at most, so the stack is large enough.
 */
static u32 add(struct regex *re, u16 *list, u32 n, u32 pc, bool at_begin, bool at_end)
{
	u16 stack[2 * MAX_CODE + 1];
	u32 depth = 0;

	stack[depth++] = (u16)pc;
	while (depth) {
		const struct insn *i;

		pc = stack[--depth];
		if (re->mark[pc] == re->round)
			continue;
		re->mark[pc] = re->round;
		i = &re->code[pc];
		if (i->op == OP_JUMP) {
			stack[depth++] = i->a;
		} else if (i->op == OP_SPLIT) {
			stack[depth++] = i->b;
			stack[depth++] = i->a;
		} else if (i->op == OP_BEGIN || i->op == OP_END) {
			if (i->op == OP_BEGIN ? at_begin : at_end)
				stack[depth++] = (u16)(pc + 1);
		} else {
			list[n++] = (u16)pc;
		}
	}
	return n;
}

static bool takes(const struct regex *re, const struct insn *i, u8 c)
{
	if (i->op == OP_ANY)
		return true;
	if (i->op == OP_CHAR)
		return i->arg == c;
	return re->sets[i->arg][c / 8] >> c % 8 & 1;
}

bool regex_match(struct regex *re, const char *name)
{
	u32 here = 0, n = 0, next, k;
	const char *s;

	/* Marks are compared with the round only: zeroed before the counter comes round. */
	if (re->round > ~0u - 100000u) {
		ft_memset(re->mark, 0, sizeof(re->mark));
		re->round = 0;
	}
	re->round++;
	for (s = name;; s++, here ^= 1) {
		/* It may begin at any character. */
		n = add(re, re->list[here], n, 0, s == name, !*s);
		for (k = 0; k < n; k++)
			if (re->code[re->list[here][k]].op == OP_MATCH)
				return true;
		if (!*s)
			return false;
		re->round++;
		next = 0;
		for (k = 0; k < n; k++) {
			u32 pc = re->list[here][k];

			if (takes(re, &re->code[pc], (u8)*s))
				next = add(re, re->list[here ^ 1], next, pc + 1, false, !s[1]);
		}
		n = next;
	}
}

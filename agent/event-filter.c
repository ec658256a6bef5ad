/* SPDX-License-Identifier: MIT */
/* Understanding filters: see event-filter.h. */
#include "agent/event-filter-nodes.h"
#include "agent/probe-parse.h"

#define MAX_DEPTH	16u	/* of brackets and ! */

struct filter_parse {
	struct event_filter *f;
	const struct fetch_arg *args;
	u32 nargs;
	struct parse p;
	u32 depth;
};

/* ---- parse ---- */

static int fail(struct filter_parse *fp, const char *at, const char *what)
{
	return probe_fail(&fp->p, at, -EINVAL, what);
}

static void skip_spaces(struct filter_parse *fp)
{
	while (fp->p.at < fp->p.end && (*fp->p.at == ' ' || *fp->p.at == '\t'))
		fp->p.at++;
}

static bool take(struct filter_parse *fp, const char *word)
{
	size_t len = ft_strlen(word);

	skip_spaces(fp);
	if ((size_t)(fp->p.end - fp->p.at) < len || ft_memcmp(fp->p.at, word, len))
		return false;
	fp->p.at += len;
	return true;
}

static struct node *new_node(struct filter_parse *fp, u8 op, u16 *index)
{
	struct event_filter *f = fp->f;

	if (f->nnodes == MAX_NODES)
		return NULL;
	*index = (u16)f->nnodes;
	f->nodes[f->nnodes] = (struct node){ .op = op };
	return &f->nodes[f->nnodes++];
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool word_is(const char *at, const char *end, const char *word)
{
	return ft_strlen(word) == (size_t)(end - at) && !ft_memcmp(at, word, (size_t)(end - at));
}

static int parse_field(struct filter_parse *fp, struct node *n)
{
	const char *at, *end;

	skip_spaces(fp);
	at = end = fp->p.at;
	while (end < fp->p.end && is_letter(*end))
		end++;
	if (end == at)
		return fail(fp, at, "A field's name is to be here");
	fp->p.at = end;
	for (u32 i = 0; i < fp->nargs; i++) {
		const struct fetch_arg *arg = &fp->args[i];

		if (!word_is(at, end, arg->name))
			continue;
		if (arg->count)
			return fail(fp, at, "Arrays cannot be compared");
		if (arg->type == FETCH_F)
			return fail(fp, at, "Floating-point numbers cannot be compared");
		n->field = (u16)i;
		n->string = arg->type == FETCH_STRING;
		n->is_signed = arg->type == FETCH_S;
		return 0;
	}
	if (word_is(at, end, "common_pid")) {
		n->field = FIELD_PID;
	} else if (word_is(at, end, "common_tid")) {
		n->field = FIELD_TID;
	} else if (word_is(at, end, "comm") || word_is(at, end, "COMM")) {
		n->field = FIELD_COMM;
		n->string = true;
	} else {
		return fail(fp, at, "The event has no such field");
	}
	return 0;
}

static int parse_op(struct filter_parse *fp, struct node *n)
{
	static const struct {
		const char *text;
		u8 op;
	} ops[] = {
		{ "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE }, { "<", OP_LT },
		{ ">", OP_GT }, { "~", OP_GLOB }, { "&", OP_BITS },
	};
	const char *at;

	skip_spaces(fp);
	at = fp->p.at;
	if (fp->p.end - at >= 2 && at[0] == '&' && at[1] == '&')
		return fail(fp, at, "An operator is to be here: == != < <= > >= & ~");
	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!take(fp, ops[i].text))
			continue;
		n->op = ops[i].op;
		if (n->string && n->op != OP_EQ && n->op != OP_NE && n->op != OP_GLOB)
			return fail(fp, at, "Strings have the operators == != and ~ only");
		if (!n->string && n->op == OP_GLOB)
			return fail(fp, at, "Only strings are matched with ~");
		return 0;
	}
	return fail(fp, at, "An operator is to be here: == != < <= > >= & ~");
}

static int parse_string(struct filter_parse *fp, struct node *n)
{
	char quote = *fp->p.at == '"' || *fp->p.at == '\'' ? *fp->p.at : 0;
	const char *begin = fp->p.at + !!quote, *end = begin;

	if (quote) {
		while (end < fp->p.end && *end != quote)
			end++;
		if (end == fp->p.end)
			return fail(fp, fp->p.at, "The quote is not closed");
	} else {
		while (end < fp->p.end && *end != ' ' && *end != ')' && *end != '&' && *end != '|')
			end++;
		if (end == begin)
			return fail(fp, begin, "A string is to be here");
	}
	if (end - begin >= (long)MAX_PATTERN)
		return fail(fp, begin, "The string is too long (127 letters)");
	n->text = begin;
	n->len = (u32)(end - begin);
	fp->p.at = end + !!quote;
	return 0;
}

static int parse_value(struct filter_parse *fp, struct node *n)
{
	bool minus;

	skip_spaces(fp);
	if (fp->p.at == fp->p.end)
		return fail(fp, fp->p.at, "A value is to be here");
	if (n->string)
		return parse_string(fp, n);
	if (fp->p.end - fp->p.at >= 3 && fp->p.at[0] == '\'' && fp->p.at[2] == '\'') {
		n->value = (u8)fp->p.at[1];
		fp->p.at += 3;
		return 0;
	}
	minus = take(fp, "-");
	if (!parse_number(&fp->p.at, fp->p.end, &n->value) ||
	    (fp->p.at < fp->p.end && is_letter(*fp->p.at)))
		return fail(fp, fp->p.at, "A number is to be here");
	if (minus)
		n->value = 0 - n->value;
	return 0;
}

static int parse_or(struct filter_parse *fp, u16 *index);

static int parse_one(struct filter_parse *fp, u16 *index)
{
	const char *at;
	struct node *n;
	u16 inner;
	int err;

	skip_spaces(fp);
	at = fp->p.at;
	if (++fp->depth > MAX_DEPTH)
		return fail(fp, at, "Brackets and ! within each other more than 16 times");
	if (at < fp->p.end && *at == '!') {
		fp->p.at++;
		err = parse_one(fp, &inner);
		n = err ? NULL : new_node(fp, OP_NOT, index);
		if (n)
			n->left = inner;
	} else if (at < fp->p.end && *at == '(') {
		fp->p.at++;
		err = parse_or(fp, index);
		n = &fp->f->nodes[0];
		if (!err && !take(fp, ")"))
			return fail(fp, fp->p.at, "A ) is missing");
	} else {
		n = new_node(fp, OP_EQ, index);
		err = n ? parse_field(fp, n) : 0;
		if (n && !err)
			err = parse_op(fp, n);
		if (n && !err)
			err = parse_value(fp, n);
	}
	fp->depth--;
	if (!err && !n)
		return probe_fail(&fp->p, at, -E2BIG, "Too many comparisons");
	return err;
}

/* @op's operands, which are parsed by @operand. */
static int parse_chain(struct filter_parse *fp, u8 op, const char *sign,
		       int (*operand)(struct filter_parse *fp, u16 *index), u16 *index)
{
	int err = operand(fp, index);

	while (!err && take(fp, sign)) {
		u16 left = *index, right;
		struct node *n;

		err = operand(fp, &right);
		if (err)
			break;
		n = new_node(fp, op, index);
		if (!n)
			return probe_fail(&fp->p, fp->p.at, -E2BIG, "Too many comparisons");
		n->left = left;
		n->right = right;
	}
	return err;
}

static int parse_and(struct filter_parse *fp, u16 *index)
{
	return parse_chain(fp, OP_AND, "&&", parse_one, index);
}

static int parse_or(struct filter_parse *fp, u16 *index)
{
	return parse_chain(fp, OP_OR, "||", parse_and, index);
}

int event_filter_parse(struct event_filter **filter, const struct fetch_arg *args, u32 nargs,
		       const char *text, u32 len, struct probe_error *error)
{
	struct event_filter *f = ft_alloc(sizeof(*f));
	struct filter_parse fp = { .f = f, .args = args, .nargs = nargs };
	u16 root;
	int err;

	*filter = NULL;
	if (!f)
		return -ENOMEM;
	f->text = ft_alloc(len + 1);
	if (!f->text) {
		event_filter_free(f);
		return -ENOMEM;
	}
	f->len = len;
	ft_memcpy(f->text, text, len);
	fp.p = (struct parse){ .text = f->text, .at = f->text, .end = f->text + len, .error = error };
	err = parse_or(&fp, &root);
	skip_spaces(&fp);
	if (!err && fp.p.at < fp.p.end)
		err = fail(&fp, fp.p.at, *fp.p.at == ')' ? "There is no ( for this )" :
							   "&& or || is to be here, or the end");
	if (err) {
		event_filter_free(f);
		return err;
	}
	f->root = root;
	*filter = f;
	return 0;
}

void event_filter_free(struct event_filter *filter)
{
	if (!filter)
		return;
	if (filter->text)
		ft_free(filter->text, filter->len + 1);
	ft_free(filter, sizeof(*filter));
}

const char *event_filter_text(const struct event_filter *filter)
{
	return filter->text;
}

/* SPDX-License-Identifier: MIT */
/* The second half of a definition: its arguments, [NAME=]FETCH[:TYPE]. */
#include <ftrace/ptrace.h>

#include "agent/probe-parse.h"

/* ---- FETCH ---- */

static bool is(const char *at, const char *end, const char *word)
{
	size_t len = ft_strlen(word);

	return (size_t)(end - at) == len && !ft_memcmp(at, word, len);
}

static bool begins(const char *at, const char *end, const char *word)
{
	size_t len = ft_strlen(word);

	return (size_t)(end - at) >= len && !ft_memcmp(at, word, len);
}

static int parse_arg_number(struct parse *p, struct fetch_arg *arg, const char *at, const char *digits,
			    const char *end, u64 max)
{
	u64 n;

	if (!parse_all_number(digits, end, &n) || !n || n > max)
		return probe_fail(p, at, -EINVAL, "This is no number of an argument");
	arg->value = n - 1;
	return 0;
}

/* ".K" behind the name of a register that has more than eight bytes; *@end: without it. */
static void take_word(struct fetch_arg *arg, const char *at, const char **end)
{
	if (*end - at > 2 && (*end)[-2] == '.' && (*end)[-1] >= '0' && (*end)[-1] <= '7') {
		arg->word = (u8)((*end)[-1] - '0');
		*end -= 2;
	}
}

/* "$..." */
static int parse_variable(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	struct probe_def *def = p->def;
	bool ret = probe_is_return(def);
	const char *name = at + 1;
	int err;

	if (begins(name, end, "fp") || begins(name, end, "x87"))
		take_word(arg, at, &end);
	if (is(name, end, "x87retval") || is(name, end, "x87retval2")) {
		if (!ret || arg->word > 1)
			return probe_fail(p, at, -EINVAL, "A long double is there at returns only (r, f SYM%return)");
		arg->base = FETCH_X87RETVAL;
		arg->value = is(name, end, "x87retval2");
		def->fp = true;
		return 0;
	}
	if (is(name, end, "retval") || is(name, end, "fpretval") || is(name, end, "fpretval2")) {
		if (!ret)
			return probe_fail(p, at, -EINVAL, "A return value is there at returns only (r, f SYM%return)");
		arg->base = *name == 'r' ? FETCH_RETVAL : FETCH_FPRETVAL;
		arg->value = is(name, end, "fpretval2");
		def->fp |= *name == 'f';
		return 0;
	}
	if (is(name, end, "stack")) {
		arg->base = FETCH_STACK;
		return 0;
	}
	if (begins(name, end, "stack")) {
		arg->base = FETCH_STACK_N;
		if (!parse_all_number(name + 5, end, &arg->value) || arg->value > 65535)
			return probe_fail(p, at, -EINVAL, "This is no number of a word of the stack");
		return 0;
	}
	if (is(name, end, "comm") || is(name, end, "COMM")) {
		arg->base = FETCH_COMM;
		return 0;
	}
	if (begins(name, end, "fparg")) {
		if (ret || def->offset || !def->symbol)
			return probe_fail(p, at, -EINVAL, "Floating-point arguments are there at a function's entry only");
		arg->base = FETCH_FPARG;
		def->fp = true;
		return parse_arg_number(p, arg, at, name + 5, end, 8);
	}
	if (begins(name, end, "arg")) {
		if (def->offset || !def->symbol)
			return probe_fail(p, at, -EINVAL, "Arguments are there at a function's entry or return only");
		arg->base = FETCH_ARG;
		err = parse_arg_number(p, arg, at, name + 3, end, ret ? PROBE_MAX_RET_ARGS : 32);
		if (!err && ret && def->ret_args < arg->value + 1)
			def->ret_args = (u32)arg->value + 1;
		return err;
	}
	return probe_fail(p, at, -EINVAL, "There is no such variable");
}

static int parse_register(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	char name[16];
	int offset;

	if (end - at - 1 >= (long)sizeof(name) || end == at + 1)
		return probe_fail(p, at, -EINVAL, "There is no such register");
	ft_memcpy(name, at + 1, (size_t)(end - at - 1));
	name[end - at - 1] = '\0';
	offset = regs_query_register_offset(name);
	if (offset < 0)
		return probe_fail(p, at, -EINVAL, "There is no such register");
	arg->base = FETCH_REG;
	arg->value = (u64)offset;
	return 0;
}

/* "@ADDR", "@SYM[+|-OFF]": what stands there. */
static int parse_memory(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	const char *sign;
	u64 n = 0;

	arg->nderef = 1;
	arg->deref[0] = 0;
	if (at + 1 == end)
		return probe_fail(p, at, -EINVAL, "No address and no symbol behind @");
	if (at[1] >= '0' && at[1] <= '9') {
		arg->base = FETCH_ADDRESS;
		if (!parse_all_number(at + 1, end, &arg->value))
			return probe_fail(p, at, -EINVAL, "This is no address");
		return 0;
	}
	for (sign = at + 1; sign < end && *sign != '+' && *sign != '-'; sign++)
		;
	arg->base = FETCH_SYMBOL;
	arg->text = at + 1;
	arg->text_len = (u32)(sign - at - 1);
	if (!arg->text_len || arg->text_len > 255)
		return probe_fail(p, at, -EINVAL, "No address and no symbol behind @");
	if (sign < end && !parse_all_number(sign + 1, end, &n))
		return probe_fail(p, sign, -EINVAL, "This is no offset");
	arg->value = sign < end && *sign == '-' ? 0 - n : n;
	return 0;
}

/* "\IMM", "\"text"". */
static int parse_immediate(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	const char *digits = at + 1;

	if (digits < end && *digits == '"') {
		if (end - digits < 2 || end[-1] != '"')
			return probe_fail(p, end, -EINVAL, "The string does not end with a quote");
		arg->base = FETCH_IMM_STRING;
		arg->text = digits + 1;
		arg->text_len = (u32)(end - digits - 2);
		return 0;
	}
	if (digits < end && (*digits == '-' || *digits == '+'))
		digits++;
	arg->base = FETCH_IMM;
	if (!parse_all_number(digits, end, &arg->value))
		return probe_fail(p, at + 1, -EINVAL, "This is no number");
	if (at[1] == '-')
		arg->value = 0 - arg->value;
	return 0;
}

static int parse_fetch(struct parse *p, struct fetch_arg *arg, const char *at, const char *end);

/* "+|-[u]OFF(FETCH)": what stands OFF bytes behind where FETCH points. */
static int parse_deref(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	const char *open, *close = end, *digits = at + 1;
	u64 n;
	int err;

	if (digits < end && *digits == 'u')
		digits++;
	open = parse_find(digits, end, '(');
	if (!open)
		return probe_fail(p, end, -EINVAL, "A dereference is +OFFSET(ARGUMENT): no bracket");
	if (!parse_all_number(digits, open, &n) || n > 0x7fffffffffffffffull)
		return probe_fail(p, digits, -EINVAL, "This is no offset");
	while (close > open && close[-1] != ')')
		close--;
	if (close == open)
		return probe_fail(p, end, -EINVAL, "The bracket is not closed");
	if (close != end)
		return probe_fail(p, close, -EINVAL, "Something follows the bracket that is no :TYPE");
	if (p->depth++ == PROBE_MAX_DEREF)
		return probe_fail(p, at, -E2BIG, "Too many dereferences within each other");
	err = parse_fetch(p, arg, open + 1, close - 1);
	if (err)
		return err;
	if (arg->base == FETCH_COMM || arg->base == FETCH_IMM_STRING)
		return probe_fail(p, open + 1, -EINVAL, "This is no address, so nothing stands there");
	if (arg->base == FETCH_FPARG || arg->base == FETCH_FPRETVAL)
		return probe_fail(p, open + 1, -EINVAL, "A floating-point number is no address");
	if (arg->nderef == PROBE_MAX_DEREF)
		return probe_fail(p, at, -E2BIG, "Too many dereferences within each other");
	arg->deref[arg->nderef++] = *at == '-' ? -(s64)n : (s64)n;
	return 0;
}

static int parse_fetch(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	if (at == end)
		return probe_fail(p, at, -EINVAL, "No argument here");
	switch (*at) {
	case '$':
		return parse_variable(p, arg, at, end);
	case '%':
		return parse_register(p, arg, at, end);
	case '@':
		return parse_memory(p, arg, at, end);
	case '\\':
		return parse_immediate(p, arg, at, end);
	case '+': case '-':
		return parse_deref(p, arg, at, end);
	}
	return probe_fail(p, at, -EINVAL, "An argument begins with $, %, @, \\, + or -");
}

/* ---- TYPE ---- */

static int parse_bits(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	const char *n = at + 1;
	u64 width, shift, size;

	if (!parse_number(&n, end, &width) || n == end || *n++ != '@' ||
	    !parse_number(&n, end, &shift) || n == end || *n++ != '/' ||
	    !parse_number(&n, end, &size) || n != end ||
	    (size != 8 && size != 16 && size != 32 && size != 64) || !width || width + shift > size)
		return probe_fail(p, at, -EINVAL, "A bit field is bWIDTH@OFFSET/SIZE");
	arg->type = FETCH_U;
	arg->size = (u8)(size / 8);
	arg->bit_width = (u8)width;
	arg->bit_shift = (u8)shift;
	return 0;
}

static bool take_size(struct fetch_arg *arg, const char *digits, const char *end, u64 least)
{
	u64 bits;

	if (!parse_all_number(digits, end, &bits) || bits < least ||
	    (bits != 8 && bits != 16 && bits != 32 && bits != 64))
		return false;
	arg->size = (u8)(bits / 8);
	return true;
}

static int parse_type_name(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	static const char unknown[] = "There is no such type";

	arg->size = sizeof(long);
	if (is(at, end, "string") || is(at, end, "ustring")) {
		arg->type = FETCH_STRING;
		arg->size = 0;
	} else if (is(at, end, "libcxxstring")) {
		arg->type = FETCH_STRING;
		arg->size = 0;
		arg->libcxx = true;
	} else if (is(at, end, "libcxxlength")) {
		arg->type = FETCH_U;
		arg->libcxx = true;
	} else if (is(at, end, "symbol")) {
		arg->type = FETCH_SYM;
	} else if (is(at, end, "symstr")) {
		arg->type = FETCH_SYMSTR;
	} else if (is(at, end, "char")) {
		arg->type = FETCH_CHAR;
		arg->size = 1;
	} else if (at < end && *at == 'b') {
		return parse_bits(p, arg, at, end);
	} else if (at < end && (*at == 'u' || *at == 's' || *at == 'x') &&
		   take_size(arg, at + 1, end, 8)) {
		arg->type = *at == 'u' ? FETCH_U : *at == 's' ? FETCH_S : FETCH_X;
	} else if (at < end && *at == 'f' && take_size(arg, at + 1, end, 32)) {
		arg->type = FETCH_F;
	} else {
		return probe_fail(p, at, -EINVAL, unknown);
	}
	return 0;
}

static int parse_array(struct parse *p, struct fetch_arg *arg, const char *open, const char *end)
{
	u64 n;

	if (end[-1] != ']') {
		if (parse_find(open, end, ']'))
			return probe_fail(p, parse_find(open, end, ']') + 1, -EINVAL,
					  "Something follows the array's ]");
		return probe_fail(p, end, -EINVAL, "The array is not closed");
	}
	if (!parse_all_number(open + 1, end - 1, &n) || !n)
		return probe_fail(p, open + 1, -EINVAL, "This is no number of elements");
	if (n > FTRACE_EVENT_MAX_ARRAY)
		return probe_fail(p, open + 1, -EINVAL, "The array has more than 64 elements");
	arg->count = (u8)n;
	return 0;
}

static int check_type(struct parse *p, const struct fetch_arg *arg, const char *fetch,
		      const char *type)
{
	bool string_value = arg->base == FETCH_COMM || arg->base == FETCH_IMM_STRING;
	bool fp = arg->base == FETCH_FPARG || arg->base == FETCH_FPRETVAL;

	if (arg->libcxx && (!arg->nderef || string_value))
		return probe_fail(p, type, -EINVAL, "A std::string is in memory: +0(...):libcxxstring");
	if (arg->libcxx && arg->count)
		return probe_fail(p, type, -EINVAL, "There are no arrays of std::string");
	if (arg->type == FETCH_STRING && !arg->nderef && !string_value)
		return probe_fail(p, type, -EINVAL, "A string is in memory: +0(...):string");
	if (string_value && (arg->type != FETCH_STRING || arg->count))
		return probe_fail(p, type, -EINVAL, "This is a string and has no other type");
	if (arg->count && !arg->nderef)
		return probe_fail(p, type, -EINVAL, "An array is in memory: +0(...):TYPE[N]");
	if (arg->type == FETCH_SYMSTR && arg->count)
		return probe_fail(p, type, -EINVAL, "There are no arrays of symstr; symbol has them");
	if (arg->type == FETCH_F && !fp && !arg->nderef)
		return probe_fail(p, fetch, -EINVAL, "A floating-point number is in memory, $fpargN or $fpretval");
	if (fp && (arg->type != FETCH_F || arg->count))
		return probe_fail(p, type, -EINVAL, "This is a floating-point number: its types are f32 and f64");
	return 0;
}

/* @colon: NULL: none is given. */
static int parse_type(struct parse *p, struct fetch_arg *arg, const char *fetch, const char *colon,
		      const char *end)
{
	const char *at = colon ? colon + 1 : end, *open = parse_find(at, end, '[');
	int err = 0;

	if (colon) {
		err = parse_type_name(p, arg, at, open ? open : end);
	} else if (arg->base == FETCH_COMM || arg->base == FETCH_IMM_STRING) {
		arg->type = FETCH_STRING;
	} else if (arg->base == FETCH_FPARG || arg->base == FETCH_FPRETVAL) {
		arg->type = FETCH_F;
		arg->size = 8;
	} else {
		arg->type = FETCH_X;
		arg->size = sizeof(long);
	}
	if (!err && open)
		err = parse_array(p, arg, open, end);
	return err ? err : check_type(p, arg, fetch, colon ? at : fetch);
}

/* ---- [NAME=] ---- */

static int parse_arg_name(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	static const char *const reserved[] = {
		"__probe_func", "__probe_ip", "__probe_ret_ip", "__probe_faults", "common_pid",
		"common_tid",
	};
	struct probe_def *def = p->def;

	if (at == end)
		return probe_fail(p, at, -EINVAL, "No name before the =");
	if (!parse_is_name(at, end))
		return probe_fail(p, at, -EINVAL, "An argument's name is made like a C identifier");
	if (end - at >= (long)PROBE_ARG_NAME_MAX)
		return probe_fail(p, at, -ENAMETOOLONG, "The argument's name is too long");
	ft_memcpy(arg->name, at, (size_t)(end - at));
	arg->name[end - at] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (!ft_strcmp(arg->name, reserved[i]))
			return probe_fail(p, at, -EINVAL, "Every event has a field of that name already");
	for (u32 i = 0; i < def->nargs; i++)
		if (!ft_strcmp(arg->name, def->args[i].name))
			return probe_fail(p, at, -EINVAL, "An argument before has that name");
	return 0;
}

/* "argN" by its place, unless somebody else took that name. */
static int name_arg(struct parse *p, struct fetch_arg *arg, const char *at)
{
	struct probe_def *def = p->def;

	ft_snprintf(arg->name, sizeof(arg->name), "arg%u", def->nargs + 1);
	for (u32 i = 0; i < def->nargs; i++)
		if (!ft_strcmp(arg->name, def->args[i].name))
			return probe_fail(p, at, -EINVAL, "It would be called like an argument before: give it a name");
	return 0;
}

/* The = of a name: before anything that an argument begins with. */
static const char *find_equals(const char *at, const char *end)
{
	for (; at < end; at++) {
		if (*at == '=')
			return at;
		if (*at == '$' || *at == '%' || *at == '@' || *at == '\\' || *at == '(' || *at == '"')
			return NULL;
	}
	return NULL;
}

/* The : of a type: the last one, behind brackets and strings. */
static const char *find_colon(const char *at, const char *end)
{
	const char *p;

	for (p = end; p > at; p--) {
		if (p[-1] == ')' || p[-1] == '"')
			return NULL;
		if (p[-1] == ':')
			return p - 1;
	}
	return NULL;
}

int parse_fetch_arg(struct parse *p, struct fetch_arg *arg, const char *at, const char *end)
{
	const char *equals = find_equals(at, end), *fetch = equals ? equals + 1 : at;
	const char *colon = find_colon(fetch, end);
	int err;

	ft_memset(arg, 0, sizeof(*arg));
	p->depth = 0;
	err = equals ? parse_arg_name(p, arg, at, equals) : name_arg(p, arg, at);
	if (err)
		return err;
	if (fetch == end)
		return probe_fail(p, fetch, -EINVAL, "No argument behind the =");
	err = parse_fetch(p, arg, fetch, colon ? colon : end);
	return err ? err : parse_type(p, arg, fetch, colon, end);
}

/* ---- what is recorded ---- */

u32 fetch_recorded_size(const struct fetch_arg *arg)
{
	/* Addresses as 64 bits, whatever the process has. */
	return arg->type == FETCH_SYM || arg->type == FETCH_SYMSTR ? 8 : arg->size;
}

const char *fetch_type_name(const struct fetch_arg *arg)
{
	static const char *const numbers[3][4] = {
		{ "u8", "u16", "u32", "u64" }, { "s8", "s16", "s32", "s64" },
		{ "x8", "x16", "x32", "x64" },
	};

	switch (arg->type) {
	case FETCH_STRING:
		return "string";
	case FETCH_SYM:
		return "symbol";
	case FETCH_SYMSTR:
		return "symstr";
	case FETCH_CHAR:
		return "char";
	case FETCH_F:
		return arg->size == 4 ? "f32" : "f64";
	}
	return numbers[arg->type][arg->size == 1 ? 0 : arg->size == 2 ? 1 : arg->size == 4 ? 2 : 3];
}

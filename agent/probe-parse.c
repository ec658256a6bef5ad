/* SPDX-License-Identifier: MIT */
/* The first half of a definition: what is probed, and what the event is called. */
#include "agent/probe-parse.h"

int probe_fail(struct parse *p, const char *at, int err, const char *what)
{
	p->error->what = what;
	p->error->at = (u32)(at - p->text);
	return err;
}

bool parse_number(const char **at, const char *end, u64 *value)
{
	const char *p = *at;
	u64 n = 0, base = 10;

	if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (p == end)
		return false;
	for (; p < end; p++) {
		u32 digit = *p >= '0' && *p <= '9' ? (u32)(*p - '0') :
			    *p >= 'a' && *p <= 'f' ? (u32)(*p - 'a') + 10 :
			    *p >= 'A' && *p <= 'F' ? (u32)(*p - 'A') + 10 : 16;

		if (digit >= base)
			break;
		if (n > (~0ull - digit) / base)
			return false;
		n = n * base + digit;
	}
	/* At least one digit. */
	if (p == *at || (base == 16 && p == *at + 2))
		return false;
	*at = p;
	*value = n;
	return true;
}

bool parse_all_number(const char *p, const char *end, u64 *value)
{
	return parse_number(&p, end, value) && p == end;
}

bool parse_is_name(const char *p, const char *end)
{
	if (p == end || (*p >= '0' && *p <= '9'))
		return false;
	for (; p < end; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || *p == '_'))
			return false;
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

bool parse_word(struct parse *p, const char **word, const char **word_end)
{
	const char *at = p->at;
	bool quoted = false;

	while (at < p->end && is_space(*at))
		at++;
	*word = at;
	for (; at < p->end && (quoted || !is_space(*at)); at++)
		if (*at == '"' && at > *word)
			quoted = !quoted;
	*word_end = p->at = at;
	return at > *word;
}

const char *parse_find(const char *p, const char *end, char c)
{
	for (; p < end; p++)
		if (*p == c)
			return p;
	return NULL;
}

static int copy_name(struct parse *p, char *to, const char *at, const char *end, const char *bad,
		     const char *too_long)
{
	if (!parse_is_name(at, end))
		return probe_fail(p, at, -EINVAL, bad);
	if (end - at >= (long)PROBE_NAME_MAX)
		return probe_fail(p, at, -ENAMETOOLONG, too_long);
	ft_memcpy(to, at, (size_t)(end - at));
	to[end - at] = '\0';
	return 0;
}

/* "GRP/EVENT", "EVENT", "GRP/". */
static int parse_names(struct parse *p, const char *at, const char *end)
{
	const char *slash = parse_find(at, end, '/');
	int err;

	if (!slash)
		slash = parse_find(at, end, '.');
	if (slash) {
		if (slash == at)
			return probe_fail(p, at, -EINVAL, "No group name before the slash");
		err = copy_name(p, p->def->group, at, slash,
				"A group name is made like a C identifier",
				"The group name is too long");
		if (err)
			return err;
		at = slash + 1;
		/* All of the group; or, as in the kernel, the event keeps the name it has by itself. */
		if (at == end)
			return 0;
	}
	if (at == end)
		return probe_fail(p, at, -EINVAL, "No event name given");
	return copy_name(p, p->def->event, at, end, "An event name is made like a C identifier",
			 "The event name is too long");
}

/* "p", "r3:GRP/EVENT", ... */
static int parse_kind(struct parse *p, const char *at, const char *end)
{
	const char *colon = parse_find(at, end, ':');
	const char *digits = at + 1, *stop = colon ? colon : end;
	u64 n;

	switch (*at) {
	case 'p': case 'r': case 'f': case 'u': case '-':
		p->def->kind = (enum probe_kind)*at;
		break;
	default:
		return probe_fail(p, at, -EINVAL,
				  "A definition begins with p, r, f, u or - (and :[GRP/]EVENT)");
	}
	if (digits < stop) {
		if (*at == '-')
			return probe_fail(p, digits, -EINVAL, "To delete is -:[GRP/]EVENT");
		if (*at != 'r')
			return probe_fail(p, digits, -EINVAL, "A number of calls is for returns (r) only");
		if (!parse_all_number(digits, stop, &n))
			return probe_fail(p, digits, -EINVAL, "This is no number of calls");
		if (n > 4096)
			return probe_fail(p, digits, -EINVAL, "The number of calls is above 4096");
	}
	if (colon)
		return parse_names(p, colon + 1, end);
	if (*at == '-')
		return probe_fail(p, end, -EINVAL, "No event name given");
	return 0;
}

static bool is_suffix(const char *at, const char *end, const char *suffix)
{
	size_t len = ft_strlen(suffix);

	return (size_t)(end - at) > len && !ft_memcmp(end - len, suffix, len);
}

/* "PROVIDER:NAME". Its arguments' sizes are known where it is. */
static int parse_usdt(struct parse *p, const char *at, const char *end)
{
	struct probe_def *def = p->def;
	const char *colon = parse_find(at, end, ':');

	if (!colon || colon == at || colon + 1 == end)
		return probe_fail(p, at, -EINVAL, "A USDT probe is PROVIDER:NAME");
	def->object = at;
	def->object_len = (u32)(colon - at);
	def->symbol = colon + 1;
	def->symbol_len = (u32)(end - def->symbol);
	for (; at < end; at++)
		if (*at == '*' || *at == '?' || *at == '[')
			return probe_fail(p, at, -EINVAL, "A USDT probe is named in full: no globs");
	for (; def->nargs < PROBE_USDT_ARGS; def->nargs++) {
		struct fetch_arg *arg = &def->args[def->nargs];

		ft_memset(arg, 0, sizeof(*arg));
		ft_snprintf(arg->name, sizeof(arg->name), "arg%u", def->nargs + 1);
		arg->base = FETCH_USDT;
		arg->type = FETCH_S;
		arg->size = 8;
		arg->value = def->nargs;
	}
	return 0;
}

/* "[OBJ:]SYM[+OFF][%return]", "ADDR". */
static int parse_place(struct parse *p, const char *at, const char *end)
{
	struct probe_def *def = p->def;
	const char *stop = end, *colon, *plus;

	if (is_suffix(at, end, "%return")) {
		stop = end - 7;
		if (def->kind == PROBE_F)
			def->kind = PROBE_F_RETURN;
		else if (def->kind == PROBE_P)
			def->kind = PROBE_R;
	}
	if (*at >= '0' && *at <= '9') {
		if (def->kind != PROBE_P)
			return probe_fail(p, at, -EINVAL, "Only p takes an address: name a function");
		if (!parse_all_number(at, stop, &def->offset))
			return probe_fail(p, at, -EINVAL, "This is no address");
		return 0;
	}
	colon = parse_find(at, stop, ':');
	if (colon) {
		def->object = at;
		def->object_len = (u32)(colon - at);
		if (colon == at)
			return probe_fail(p, at, -EINVAL, "No file name before the colon");
		at = colon + 1;
	}
	plus = parse_find(at, stop, '+');
	def->symbol = at;
	def->symbol_len = (u32)((plus ? plus : stop) - at);
	if (!def->symbol_len)
		return probe_fail(p, at, -EINVAL, "No symbol and no address to probe");
	if (parse_find(at, at + def->symbol_len, '%') || parse_find(at, at + def->symbol_len, '$'))
		return probe_fail(p, at, -EINVAL, "This is no symbol (a suffix it may have is %return)");
	if (plus && !parse_all_number(plus + 1, stop, &def->offset))
		return probe_fail(p, plus + 1, -EINVAL, "This is no offset");
	if (def->offset && def->kind != PROBE_P)
		return probe_fail(p, plus, -EINVAL, "Functions have entries and returns at no offset: that is for p");
	return 0;
}

/* Letters that no name has become '_'. */
static void make_name(char *name)
{
	for (char *c = name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '_'))
			*c = '_';
	if (name[0] >= '0' && name[0] <= '9')
		name[0] = '_';
}

static void copy_as_name(char *to, const char *s, u32 len)
{
	if (len >= PROBE_NAME_MAX)
		len = PROBE_NAME_MAX - 1;
	ft_memcpy(to, s, len);
	to[len] = '\0';
	make_name(to);
}

/* What it is called when nobody says. */
static void name_by_default(struct probe_def *def)
{
	char symbol[PROBE_NAME_MAX];
	u32 n = def->symbol_len < 40 ? def->symbol_len : 40;

	if (!def->group[0] && def->kind == PROBE_USDT)
		copy_as_name(def->group, def->object, def->object_len);
	else if (!def->group[0])
		ft_snprintf(def->group, sizeof(def->group), "%s",
			    def->kind == PROBE_P || def->kind == PROBE_R ? "kprobes" : "fprobes");
	if (def->event[0])
		return;
	ft_memcpy(symbol, def->symbol ? def->symbol : "", n);
	symbol[n] = '\0';
	if (def->kind == PROBE_USDT)
		copy_as_name(def->event, def->symbol, def->symbol_len);
	else if (!def->symbol)
		ft_snprintf(def->event, sizeof(def->event), "p_0x%llx",
			    (unsigned long long)def->offset);
	else if (def->kind == PROBE_P || def->kind == PROBE_R)
		ft_snprintf(def->event, sizeof(def->event), "%c_%s_%llu", def->kind, symbol,
			    (unsigned long long)def->offset);
	else
		ft_snprintf(def->event, sizeof(def->event), "%s__%s", symbol,
			    def->kind == PROBE_F ? "entry" : "exit");
	make_name(def->event);
}

int probe_parse(struct probe_def *def, const char *text, u32 len, struct probe_error *error)
{
	struct parse p = { .def = def, .text = text, .at = text, .end = text + len, .error = error };
	const char *word, *end;
	int err;

	ft_memset(def, 0, offsetof(struct probe_def, args));
	error->what = NULL;
	if (len >= PROBE_MAX_TEXT)
		return probe_fail(&p, text, -E2BIG, "The definition is too long");
	if (!parse_word(&p, &word, &end))
		return probe_fail(&p, text, -EINVAL, "An empty definition");
	err = parse_kind(&p, word, end);
	if (err)
		return err;
	if (def->kind == PROBE_DELETE) {
		if (parse_word(&p, &word, &end))
			return probe_fail(&p, word, -EINVAL, "Nothing follows the name of what is deleted");
		return 0;
	}
	if (!parse_word(&p, &word, &end))
		return probe_fail(&p, p.end, -EINVAL, "No symbol and no address to probe");
	err = def->kind == PROBE_USDT ? parse_usdt(&p, word, end) : parse_place(&p, word, end);
	if (err)
		return err;
	name_by_default(def);
	while (parse_word(&p, &word, &end)) {
		if (end - word == 2 && word[0] == 'i' && word[1] == 'f') {
			while (p.at < p.end && is_space(*p.at))
				p.at++;
			if (p.at == p.end)
				return probe_fail(&p, word, -EINVAL, "No filter behind 'if'");
			def->filter = p.at;
			def->filter_len = (u32)(p.end - p.at);
			return 0;
		}
		if (def->kind == PROBE_USDT)
			return probe_fail(&p, word, -EINVAL, "A USDT probe has its own arguments; only 'if FILTER' may follow");
		if (def->nargs == FTRACE_EVENT_MAX_ARGS)
			return probe_fail(&p, word, -E2BIG, "More than 32 arguments");
		err = parse_fetch_arg(&p, &def->args[def->nargs], word, end);
		if (err)
			return err;
		def->nargs++;
	}
	return 0;
}

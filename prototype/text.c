/* SPDX-License-Identifier: MIT */
/* Declarations as people read them. */
#include <string.h>

#include "prototype/prototype.h"

static void print_type(FILE *out, const struct proto_type *t, unsigned depth)
{
	if (!t) {
		fputs("void", out);
		return;
	}
	switch (depth < 16 ? t->kind : PROTO_UNKNOWN) {
	case PROTO_POINTER:
	case PROTO_CSTRING:
	case PROTO_REFERENCE:
		if (t->name) {
			fputs(t->name, out);
			break;
		}
		print_type(out, t->target, depth + 1);
		if (!t->target || (t->target->kind != PROTO_POINTER && t->target->kind != PROTO_CSTRING) || t->target->name)
			fputc(' ', out);
		fputc(t->kind == PROTO_REFERENCE ? '&' : '*', out);
		break;
	case PROTO_CODE:
		if (t->name) {
			fputs(t->name, out);
			break;
		}
		if (!t->shallow)
			t = t->target;
		print_type(out, t ? t->target : NULL, depth + 1);
		fputs(" (*)()", out);
		return;
	case PROTO_ARRAY:
		print_type(out, t->target, depth + 1);
		fprintf(out, " [%llu]", (unsigned long long)t->count);
		return;
	default:
		if (t->is_const)
			fputs("const ", out);
		fputs(t->name ? t->name : t->kind == PROTO_VOID ? "void" : t->kind == PROTO_ENUM ? "enum" :
		      t->kind == PROTO_STRUCT ? "struct" : t->kind == PROTO_UNION ? "union" : "?", out);
		return;
	}
	if (t->is_const)
		fputs(" const", out);
}

static bool ends_in_star(const struct proto_type *t)
{
	size_t len = t && t->name ? strlen(t->name) : 0;

	if (len && t->name[len - 1] == '*')
		return true;
	return t && (t->kind == PROTO_POINTER || t->kind == PROTO_CSTRING || t->kind == PROTO_REFERENCE) &&
	       !t->name && !t->is_const;
}

void proto_print(FILE *out, const struct proto *p, const char *name)
{
	const char *comma = "";

	print_type(out, p->result, 0);
	fprintf(out, "%s%s(", ends_in_star(p->result) ? "" : " ", name);
	for (size_t i = 0; i < p->nparams; i++) {
		const struct proto_param *q = &p->params[i];

		fputs(comma, out);
		comma = ", ";
		print_type(out, q->type, 0);
		if (q->name)
			fprintf(out, "%s%s", ends_in_star(q->type) ? "" : " ", q->name);
	}
	if (p->variadic)
		fprintf(out, "%s...", comma);
	else if (!p->nparams)
		fputs("void", out);
	fputc(')', out);
}

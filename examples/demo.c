/* SPDX-License-Identifier: MIT */
/*
 * demo: reads JSON from a file, sorts the members of every object by name, prints it indented.
 *
 *	demo FILE
 *
 * An ordinary program with nothing about tracing in it; built with -fpatchable-function-entry=5
 * so that `ftrace record` can see every function.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NULL_VALUE, BOOL, NUMBER, STRING, ARRAY, OBJECT };

struct value {
	enum kind kind;
	char *name;		/* of a member of an object */
	char *text;		/* number, string, true or false as written */
	struct value *child;	/* first element or member */
	struct value *next;
};

struct parser {
	const char *file, *pos, *start;
};

static struct value *parse_value(struct parser *p);

static void fail(const struct parser *p, const char *what)
{
	int line = 1;

	for (const char *c = p->start; c < p->pos; c++)
		line += *c == '\n';
	fprintf(stderr, "demo: %s:%d: %s\n", p->file, line, what);
	exit(1);
}

static void *must_alloc(size_t size)
{
	void *mem = calloc(1, size);

	if (!mem) {
		fprintf(stderr, "demo: out of memory\n");
		exit(1);
	}
	return mem;
}

static void skip_space(struct parser *p)
{
	while (isspace((unsigned char)*p->pos))
		p->pos++;
}

static int accept_char(struct parser *p, char c)
{
	skip_space(p);
	if (*p->pos != c)
		return 0;
	p->pos++;
	return 1;
}

static char *copy_text(const char *from, const char *to)
{
	char *text = must_alloc(to - from + 1);

	memcpy(text, from, to - from);
	return text;
}

/* A string keeps its escapes: it is only printed again. */
static char *parse_string(struct parser *p)
{
	const char *from = p->pos;

	while (*p->pos && *p->pos != '"')
		p->pos += *p->pos == '\\' && p->pos[1] ? 2 : 1;
	if (!*p->pos)
		fail(p, "string without an end");
	p->pos++;
	return copy_text(from, p->pos - 1);
}

static char *parse_word(struct parser *p)
{
	const char *from = p->pos;

	while (isalnum((unsigned char)*p->pos) || (*p->pos && strchr("+-.", *p->pos)))
		p->pos++;
	if (p->pos == from)
		fail(p, "value expected");
	return copy_text(from, p->pos);
}

static void parse_list(struct parser *p, struct value *list, char end)
{
	struct value **tail = &list->child;

	if (accept_char(p, end))
		return;
	do {
		char *name = NULL;

		if (list->kind == OBJECT) {
			if (!accept_char(p, '"'))
				fail(p, "name expected");
			name = parse_string(p);
			if (!accept_char(p, ':'))
				fail(p, "':' expected");
		}
		*tail = parse_value(p);
		(*tail)->name = name;
		tail = &(*tail)->next;
	} while (accept_char(p, ','));
	if (!accept_char(p, end))
		fail(p, "',' or the end of the list expected");
}

static struct value *parse_value(struct parser *p)
{
	struct value *v = must_alloc(sizeof(*v));

	if (accept_char(p, '{')) {
		v->kind = OBJECT;
		parse_list(p, v, '}');
	} else if (accept_char(p, '[')) {
		v->kind = ARRAY;
		parse_list(p, v, ']');
	} else if (accept_char(p, '"')) {
		v->kind = STRING;
		v->text = parse_string(p);
	} else {
		v->text = parse_word(p);
		v->kind = isdigit((unsigned char)v->text[0]) || v->text[0] == '-' ? NUMBER :
			  strcmp(v->text, "null") ? BOOL : NULL_VALUE;
	}
	return v;
}

static struct value *merge(struct value *a, struct value *b)
{
	struct value *head = NULL, **tail = &head;

	while (a && b) {
		struct value **first = strcmp(a->name, b->name) <= 0 ? &a : &b;

		*tail = *first;
		tail = &(*first)->next;
		*first = (*first)->next;
	}
	*tail = a ? a : b;
	return head;
}

static struct value *merge_sort(struct value *list)
{
	struct value *slow = list, *fast, *half;

	if (!list || !list->next)
		return list;
	for (fast = list->next; fast && fast->next; fast = fast->next->next)
		slow = slow->next;
	half = slow->next;
	slow->next = NULL;
	return merge(merge_sort(list), merge_sort(half));
}

static void sort_members(struct value *v)
{
	if (v->kind == OBJECT)
		v->child = merge_sort(v->child);
	for (struct value *c = v->child; c; c = c->next)
		sort_members(c);
}

static void print_indent(int depth)
{
	printf("%*s", 2 * depth, "");
}

static void print_value(const struct value *v, int depth)
{
	if (v->kind == STRING) {
		printf("\"%s\"", v->text);
		return;
	}
	if (v->text) {
		printf("%s", v->text);
		return;
	}
	printf("%c", v->kind == OBJECT ? '{' : '[');
	for (const struct value *c = v->child; c; c = c->next) {
		printf("\n");
		print_indent(depth + 1);
		if (c->name)
			printf("\"%s\": ", c->name);
		print_value(c, depth + 1);
		if (c->next)
			printf(",");
	}
	if (v->child) {
		printf("\n");
		print_indent(depth);
	}
	printf("%c", v->kind == OBJECT ? '}' : ']');
}

static void free_value(struct value *v)
{
	while (v) {
		struct value *next = v->next;

		free_value(v->child);
		free(v->name);
		free(v->text);
		free(v);
		v = next;
	}
}

static char *read_file(const char *name)
{
	FILE *file = fopen(name, "r");
	size_t len = 0, room = 4096, n;
	char *text = must_alloc(room);

	if (!file) {
		fprintf(stderr, "demo: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	while ((n = fread(text + len, 1, room - len - 1, file)) > 0) {
		len += n;
		if (len + 1 == room) {
			text = realloc(text, room *= 2);
			if (!text)
				exit(1);
		}
	}
	text[len] = '\0';
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	struct parser p = { 0 };
	struct value *v;
	char *text;

	if (argc != 2) {
		fprintf(stderr, "usage: demo FILE\n");
		return 2;
	}
	text = read_file(argv[1]);
	p = (struct parser){ .file = argv[1], .start = text, .pos = text };
	v = parse_value(&p);
	skip_space(&p);
	if (*p.pos)
		fail(&p, "text after the value");
	sort_members(v);
	print_value(v, 0);
	printf("\n");
	free_value(v);
	free(text);
	return 0;
}

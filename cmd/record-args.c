/* SPDX-License-Identifier: MIT */
/*
 * -A, -R and -a: values of arguments and results. For each function that is meant, in the files that are known
 * before the start (as in record-names.c), an event at its entry, its return, or both, is defined for the traced
 * processes, and told to the readers in the recording's file "arguments" (reader/arguments.h) how it is shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/libraries.h"
#include "cmd/patterns.h"
#include "cmd/prototypes.h"
#include "cmd/record.h"
#include "engine/symbols.h"
#include "prototype/spec.h"
#include "reader/arguments.h"

#define MAX_FUNCTIONS	2000u	/* whose values are recorded: each is looked for by each traced process */
#define MAX_EVENT_NAME	40u

/* -F and -N, in their order. */
struct choice {
	struct pattern pattern;
	bool notrace;
};

/* One -A or -R. */
struct request {
	const struct spec *spec;
	struct pattern pattern;
	const char *option;
	bool returns;			/* -R: without a value, what it returns */
	size_t found;
};

struct state {
	const struct record_options *opt;
	const char *program;
	struct proto_arena arena;	/* of what outlives an object */
	struct choice *choices;
	size_t nchoices;
	bool any_filter;
	struct request *requests;
	size_t nrequests;
	struct proto_enums enums;
	FILE *settings, *shown;		/* what traced processes and readers are told */
	char **names;			/* of events */
	size_t nnames, names_capacity;
	size_t nfunctions, nevents, left_out, unknown;
	int err;
};

/* A function that is looked at: what was asked for it. */
struct function {
	const struct request *call, *result;	/* NULL: all of its prototype */
	bool want_call, want_return;
	bool named_return;		/* by -R: not by -a alone */
};

/* ---- what was asked for ---- */

static bool is_chosen(const struct state *s, const struct pattern_names *names)
{
	bool chosen = !s->any_filter;

	for (size_t i = 0; i < s->nchoices; i++) {
		const struct choice *c = &s->choices[i];

		if (pattern_matches_any(&c->pattern, names))
			chosen = !c->notrace && !c->pattern.away;
	}
	return chosen;
}

static bool is_wanted(struct state *s, const struct pattern_names *names, struct function *f)
{
	memset(f, 0, sizeof(*f));
	f->want_call = f->want_return = s->opt->auto_args && is_chosen(s, names);
	for (size_t i = 0; i < s->nrequests; i++) {
		struct request *r = &s->requests[i];
		bool all = !r->spec->n;

		if (!pattern_matches_any(&r->pattern, names))
			continue;
		r->found++;
		if (all ? !r->returns : spec_wants_call(r->spec)) {
			f->want_call = true;
			f->call = all ? f->call : r;
		}
		if (all ? r->returns : spec_wants_return(r->spec)) {
			f->want_return = f->named_return = true;
			f->result = all ? f->result : r;
		}
	}
	return f->want_call || f->want_return;
}

/* ---- names ---- */

static bool is_taken(const struct state *s, const char *name)
{
	for (size_t i = 0; i < s->nnames; i++)
		if (!strcmp(s->names[i], name))
			return true;
	return false;
}

/* An event's name after the function's: letters of what people call it, then what makes it the only one. */
static const char *event_name(struct state *s, const char *function, const char *suffix)
{
	char *name = proto_alloc(&s->arena, MAX_EVENT_NAME + 24);
	size_t len = 0;

	if (*function >= '0' && *function <= '9')
		name[len++] = '_';
	for (; *function && *function != '(' && len < MAX_EVENT_NAME; function++) {
		bool letter = (*function >= 'a' && *function <= 'z') || (*function >= 'A' && *function <= 'Z') ||
			      (*function >= '0' && *function <= '9');

		if (letter || (len && name[len - 1] != '_') || *function == '_')
			name[len++] = letter ? *function : '_';
	}
	strcpy(name + len, suffix);
	len = strlen(name);
	for (unsigned i = 2; is_taken(s, name); i++)
		sprintf(name + len, "_%u", i);
	if (s->nnames == s->names_capacity) {
		size_t capacity = s->names_capacity ? s->names_capacity * 2 : 256;
		char **names = reallocarray(s->names, capacity, sizeof(*names));

		if (!names) {
			s->err = cmd_error("no memory for the names of events");
			return name;
		}
		s->names = names;
		s->names_capacity = capacity;
	}
	s->names[s->nnames++] = name;
	return name;
}

/* @text as a part of a definition's place: what means something else there is matched by '?'. */
static void put_matching(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fputc(strchr(" \t:+%$*?[]!,@", text[i]) ? '?' : text[i], out);
}

/* ---- events ---- */

/* @named: by -R. It is a kretprobe then, of which the agent says when it cannot be had. */
static void define(struct state *s, const char *object, const struct proto_wanted *w, const char *name, bool returns,
		   bool named, const struct proto_event *event)
{
	size_t len = symbols_name_length(w->symbol);
	bool is_r = returns && named;

	if (!event->fetch[0])
		return;
	s->nevents++;
	fprintf(s->settings, "kprobe_events+=%c:" FTRACE_EVENT_ARGS_GROUP "/%s ", is_r ? 'r' : 'f', name);
	put_matching(s->settings, object, strlen(object));
	fputc(':', s->settings);
	put_matching(s->settings, w->symbol, len);
	fprintf(s->settings, "%s %s\n", returns && !is_r ? "%return" : "", event->fetch);
	fprintf(s->shown, "%s %s %.*s %s\n", returns ? "return" : "call", name, (int)len, w->symbol, event->shown);
}

/* The prototype that @r asks for of @w, or all that is known. NULL: nothing. */
static const struct proto *asked(struct state *s, struct cmd_prototypes *p, const struct proto_wanted *w,
				 const struct request *r)
{
	const struct proto *proto;
	const char *why = "";

	if (!r)
		return w->proto;
	proto = spec_proto(r->spec, w->proto, w->symbol, p->abi, &p->arena, p->dwarf, &why);
	if (!proto && !s->err)
		s->err = cmd_error("%s: %s: %s; see 'ftrace list --args %s'", r->option, r->spec->function, why,
				   s->program);
	return proto;
}

static void add_events(struct state *s, struct cmd_prototypes *p, const char *object, const struct proto_wanted *w,
		       const struct function *f)
{
	const struct proto *call = f->want_call ? asked(s, p, w, f->call) : NULL;
	const struct proto *result = f->want_return ? asked(s, p, w, f->result) : NULL;
	struct pattern_names names;
	struct proto_event event;
	const char *people;

	if (pattern_names_init(&names, w->symbol, symbols_name_length(w->symbol)))
		return;
	people = names.shown ? names.shown : names.name;
	s->unknown += (f->want_call && !call && !f->call) || (f->want_return && !result && !f->result);
	s->nfunctions += call || result;
	if (call) {
		proto_call_event(p->abi, &p->arena, &s->enums, call, &event);
		define(s, object, w, event_name(s, people, ""), false, false, &event);
	}
	if (result) {
		proto_return_event(p->abi, &p->arena, &s->enums, result, &event);
		define(s, object, w, event_name(s, people, "__ret"), true, f->named_return, &event);
	}
	pattern_names_free(&names);
}

/* Tell of enumerations that were used first here; they live as long as the object's prototypes. */
static void tell_enums(struct state *s, size_t told)
{
	for (; told < s->enums.n; told++) {
		const struct proto_enum *e = s->enums.list[told];

		fprintf(s->shown, "enum %zu", told + 1);
		for (size_t i = 0; i < e->n; i++) {
			fputc(' ', s->shown);
			for (const char *c = e->list[i].name; *c; c++)
				fputc((unsigned char)*c <= ' ' || *c == 0x7f ? '?' : *c, s->shown);
			fprintf(s->shown, ":%llx:%llx", (unsigned long long)e->list[i].mask,
				(unsigned long long)e->list[i].value);
		}
		fputc('\n', s->shown);
	}
}

/* ---- objects ---- */

struct object {
	struct proto_wanted *wanted;
	struct function *functions;	/* by place in wanted before it is sorted */
	size_t n, capacity;
};

static void want(struct state *s, struct object *o, const struct func_symbol *sym, const struct function *f)
{
	if (o->n + s->nfunctions >= MAX_FUNCTIONS) {
		s->left_out++;
		return;
	}
	if (o->n == o->capacity) {
		size_t capacity = o->capacity ? o->capacity * 2 : 256;
		struct proto_wanted *wanted = reallocarray(o->wanted, capacity, sizeof(*wanted));
		struct function *functions = reallocarray(o->functions, capacity, sizeof(*functions));

		o->wanted = wanted ? wanted : o->wanted;
		o->functions = functions ? functions : o->functions;
		if (!wanted || !functions) {
			s->err = cmd_error("no memory for the prototypes of functions");
			return;
		}
		o->capacity = capacity;
	}
	o->wanted[o->n] = (struct proto_wanted){ sym->addr, sym->name, NULL };
	o->functions[o->n++] = *f;
}

/* Symbols come sorted by address, one an address, so that @o needs no sorting. */
static void choose(struct state *s, struct object *o, struct symbols *symbols)
{
	for (u32 i = 0; i < symbols->n && !s->err; i++) {
		const struct func_symbol *sym;
		struct pattern_names names;
		struct function f;

		if (i && symbols->sym[i].addr == symbols->sym[i - 1].addr)
			continue;
		sym = symbols_best(symbols, symbols->sym[i].addr);
		if (strstr(sym->name, ".cold") || pattern_names_init(&names, sym->name, symbols_name_length(sym->name)))
			continue;
		if (is_wanted(s, &names, &f))
			want(s, o, sym, &f);
		pattern_names_free(&names);
	}
}

static void read_object(struct state *s, const char *path, const struct elf *e, const char *real)
{
	const char *base = strrchr(real, '/') ? strrchr(real, '/') + 1 : real;
	struct symbols symbols = { 0 };
	struct cmd_prototypes p;
	struct object o = { 0 };
	size_t told = s->enums.n;
	char build_id[41];

	elf_build_id(e, build_id);
	if (symbols_load(&symbols, e, real, build_id))
		return;
	choose(s, &o, &symbols);
	if (o.n && !cmd_prototypes_open(&p, path)) {
		cmd_prototypes_find(&p, &symbols, o.wanted, o.n);
		for (size_t i = 0; i < o.n && p.abi; i++)
			add_events(s, &p, base, &o.wanted[i], &o.functions[i]);
		tell_enums(s, told);
		for (size_t i = told; i < s->enums.n; i++)
			s->enums.list[i]->number = 0;
		if (!p.dwarf && !p.is_libc && s->unknown)
			cmd_error("%s: no values of functions whose arguments are not described: %s; compile it with -g, install its debug symbols, or describe them with -A (FUNC@arg1/s)",
				  real, p.why);
		cmd_prototypes_close(&p);
	}
	free(o.wanted);
	free(o.functions);
	symbols_unload(&symbols);
}

static void add_file(struct state *s, const char *path)
{
	char real[ELF_PATH_MAX];
	struct elf e;

	if (elf_open(&e, path, real))
		return;
	read_object(s, path, &e, real[0] ? real : path);
	elf_close(&e);
}

static void add_library(const char *file, void *data)
{
	struct state *s = data;

	if (record_library_chosen(s->opt, file))
		add_file(s, file);
}

/* ---- the whole ---- */

static int add_choices(struct state *s)
{
	size_t room = 0;

	for (const struct record_choice *c = s->opt->choices; c; c = c->next)
		room += strlen(c->value);
	s->choices = calloc(room + 1, sizeof(*s->choices));
	if (!s->choices)
		return cmd_error("no memory for patterns");
	/* -N wins over -F, wherever it stands. */
	for (int notrace = 0; notrace < 2; notrace++)
		for (const struct record_choice *c = s->opt->choices; c; c = c->next) {
			const char *p = c->value;

			if (strcmp(c->file, notrace ? "set_ftrace_notrace" : "set_ftrace_filter"))
				continue;
			while (*(p += strspn(p, " ,\t"))) {
				size_t len = pattern_length(p + (*p == '!')) + (*p == '!');

				if (pattern_init(&s->choices[s->nchoices].pattern, p, len))
					return cmd_error("%s: no memory", p);
				s->choices[s->nchoices++].notrace = notrace;
				s->any_filter |= !notrace;
				p += len;
			}
		}
	return 0;
}

static int add_requests(struct state *s)
{
	size_t n = 0;

	for (const struct record_values *v = s->opt->values; v; v = v->next)
		for (const struct spec *spec = v->specs; spec; spec = spec->next)
			n++;
	s->requests = calloc(n + 1, sizeof(*s->requests));
	if (!s->requests)
		return cmd_error("no memory for what -A and -R ask for");
	for (const struct record_values *v = s->opt->values; v; v = v->next)
		for (const struct spec *spec = v->specs; spec; spec = spec->next) {
			struct request *r = &s->requests[s->nrequests++];

			*r = (struct request){ .spec = spec, .option = v->returns ? "-R" : "-A", .returns = v->returns };
			if (pattern_init(&r->pattern, spec->function, strlen(spec->function)))
				return cmd_error("%s: no memory", spec->function);
		}
	return 0;
}

static void say_what_was_found(const struct state *s)
{
	for (size_t i = 0; i < s->nrequests; i++)
		if (!s->requests[i].found)
			cmd_error("%s %s: no function of %s, nor of the libraries chosen with -L, is called so; 'ftrace list' shows their names",
				  s->requests[i].option, s->requests[i].spec->function, s->program);
	if (s->left_out)
		cmd_error("values of %u functions are recorded, those of %zu more are not; choose fewer with -F",
			  MAX_FUNCTIONS, s->left_out);
}

static void free_state(struct state *s)
{
	for (size_t i = 0; i < s->nchoices; i++)
		pattern_free(&s->choices[i].pattern);
	for (size_t i = 0; i < s->nrequests; i++)
		pattern_free(&s->requests[i].pattern);
	free(s->choices);
	free(s->requests);
	free(s->names);
	free(s->enums.list);
	proto_free(&s->arena);
}

int record_resolve_args(struct record_options *opt, const char *program)
{
	struct state s = { .opt = opt, .program = program };
	size_t size;

	if (!opt->values && !opt->auto_args)
		return 0;
	s.settings = open_memstream(&opt->event_settings, &size);
	s.shown = open_memstream(&opt->event_texts, &size);
	if (!s.settings || !s.shown)
		s.err = cmd_error("no memory for what is recorded of arguments");
	if (!s.err)
		s.err = add_choices(&s) || add_requests(&s);
	if (!s.err) {
		add_file(&s, program);
		for (const struct record_choice *c = opt->choices; c; c = c->next)
			if (!strcmp(c->file, "set_object_filter")) {
				cmd_for_each_library(program, add_library, &s);
				break;
			}
		say_what_was_found(&s);
	}
	/* All at once: each time, all functions are looked at. */
	if (s.settings && s.nevents)
		fputs("events/" FTRACE_EVENT_ARGS_GROUP "/enable=1\n", s.settings);
	if ((s.settings && fclose(s.settings)) | (s.shown && fclose(s.shown)) && !s.err)
		s.err = cmd_error("no memory for what is recorded of arguments");
	free_state(&s);
	return s.err;
}

int record_write_args(const struct record *r)
{
	const char *text = r->opt->event_texts;
	size_t len = text ? strlen(text) : 0;
	int fd, err = 0;

	if (!len)
		return 0;
	fd = openat(r->out_fd, TRACE_ARGUMENTS_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, TRACE_ARGUMENTS_HEAD, strlen(TRACE_ARGUMENTS_HEAD)) < 0 ||
	    write(fd, text, len) != (ssize_t)len)
		err = cmd_error("%s/" TRACE_ARGUMENTS_FILE ": %s; make room, or choose another directory with -o",
				r->opt->output, errno ? strerror(errno) : "cannot be written whole");
	if (fd >= 0)
		close(fd);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* What the agent says of patches; see patch-state.h. */
#include "cmd/patch-state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @line begins with @key and a space: what is behind. */
static char *value_of(char *line, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(line, key, len) && line[len] == ' ' ? line + len + 1 : NULL;
}

static char *next_word(char **p)
{
	char *word = *p, *space = strchr(word, ' ');

	*p = space ? space + 1 : word + strlen(word);
	if (space)
		*space = 0;
	return word;
}

static void add_holder(struct patch_states *s, char *value)
{
	struct patch_holder *h = &s->holder[s->nholders++];

	h->tid = atoi(next_word(&value));
	h->func = next_word(&value);
	h->why = value;
}

static void take_line(struct patch_states *s, char *line)
{
	struct patch_state *p = s->n ? &s->patches[s->n - 1] : NULL;
	char *value;

	if ((value = value_of(line, "livepatch")))
		s->patches[s->n++] = (struct patch_state){
			.name = value, .id = "", .state = "", .version = "", .file = "", .first = s->nlines,
		};
	else if ((value = value_of(line, "holders"))) {
		s->transition = true;
		s->holders = (unsigned int)strtoul(value, NULL, 10);
	} else if ((value = value_of(line, "holder")))
		add_holder(s, value);
	else if (!p)
		return;
	else if ((value = value_of(line, "id")))
		p->id = value;
	else if ((value = value_of(line, "state")))
		p->state = value;
	else if ((value = value_of(line, "version")))
		p->version = value;
	else if ((value = value_of(line, "file")))
		p->file = value;
	else if (value_of(line, "replace"))
		p->replace = true;
	else if (value_of(line, "forced"))
		p->forced = true;
	else if (value_of(line, "function"))
		p->functions++;
}

int patch_states_parse(struct patch_states *s, char *text)
{
	size_t n = 1;
	char *line, *next = text;

	*s = (struct patch_states){ .text = text };
	for (const char *c = text; c && *c; c++)
		n += *c == '\n';
	s->lines = calloc(n, sizeof(*s->lines));
	s->patches = calloc(n, sizeof(*s->patches));
	s->holder = calloc(n, sizeof(*s->holder));
	if (!text || !s->lines || !s->patches || !s->holder) {
		patch_states_free(s);
		return -1;
	}
	while ((line = strsep(&next, "\n"))) {
		take_line(s, line);
		s->lines[s->nlines++] = line;
	}
	return 0;
}

void patch_states_free(struct patch_states *s)
{
	free(s->text);
	free(s->lines);
	free(s->patches);
	free(s->holder);
	*s = (struct patch_states){ 0 };
}

struct patch_state *patch_states_find(struct patch_states *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->patches[i].name, name))
			return &s->patches[i];
	return NULL;
}

#define DESCRIBED	4

static int describe(const struct patch_holder *h, char *text, size_t size)
{
	const char *in = strcmp(h->func, "-") ? " in " : "";

	if (!h->tid)
		return snprintf(text, size, "a stack that no thread is on%s%s (%s)", in, *in ? h->func : "",
				h->why);
	return snprintf(text, size, "%d%s%s (%s)", h->tid, in, *in ? h->func : "", h->why);
}

void patch_states_describe_holders(const struct patch_states *s, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "%u thread%s", s->holders, s->holders == 1 ? "" : "s");

	for (size_t i = 0; i < s->nholders && i < DESCRIBED && at < size; i++) {
		at += (size_t)snprintf(text + at, size - at, i ? ", " : ": ");
		if (at < size)
			at += (size_t)describe(&s->holder[i], text + at, size - at);
	}
	if (s->nholders > DESCRIBED && at < size)
		snprintf(text + at, size - at, ", ...");
}

void patch_states_list(const struct patch_states *s, pid_t pid, const char *comm)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct patch_state *p = &s->patches[i];

		printf("%7d  %-15s  %-20s  %-9s  %zu function%s%s%s%s%s\n", pid, comm, p->name, p->state,
		       p->functions, p->functions == 1 ? "" : "s", *p->version ? ", version " : "", p->version,
		       p->replace ? ", replaces others" : "", p->forced ? ", forced" : "");
	}
}

static void show(const struct patch_states *s, const struct patch_state *p)
{
	printf("patch %s\n  state:    %s%s\n", p->name, p->state, p->forced ? " (was forced)" : "");
	if (*p->version)
		printf("  version:  %s\n", p->version);
	printf("  file:     %s\n", p->file);
	if (p->replace)
		printf("  replaces: all patches before it\n");
	for (size_t i = p->first + 1; i < s->nlines && strncmp(s->lines[i], "livepatch ", 10); i++) {
		char pos[32], name[512], object[256];

		if (sscanf(s->lines[i], "function %31s %511s %255s", pos, name, object) != 3)
			continue;
		printf("  function: %s%s%s%s%s\n", name, strcmp(pos, "0") ? ", number " : "",
		       strcmp(pos, "0") ? pos : "", strcmp(object, "-") ? " of " : "",
		       strcmp(object, "-") ? object : "");
	}
	for (size_t i = p->first + 1; i < s->nlines && strncmp(s->lines[i], "livepatch ", 10); i++)
		if (!strncmp(s->lines[i], "object-absent ", 14) && !strncmp(p->state, "en", 2))
			printf("  waits for %s to be loaded\n", s->lines[i] + 14);
	if (strcmp(p->state, "enabling") && strcmp(p->state, "disabling"))
		return;
	printf("  held up by %u thread%s\n", s->holders, s->holders == 1 ? "" : "s");
	for (size_t i = 0; i < s->nholders; i++) {
		char text[256];

		describe(&s->holder[i], text, sizeof(text));
		printf("    %s\n", text);
	}
}

void patch_states_show(const struct patch_states *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!name || !strcmp(s->patches[i].name, name))
			show(s, &s->patches[i]);
}

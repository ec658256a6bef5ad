/* SPDX-License-Identifier: MIT */
/* What the agent says of patches (agent/patch.h): taken apart, and shown. */
#ifndef CMD_PATCH_STATE_H
#define CMD_PATCH_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct patch_state {
	const char *name, *id, *state, *version, *file;
	bool replace, forced;
	size_t functions, first;	/* "function" and "object" lines from lines[first] on */
};

struct patch_holder {
	int tid;
	const char *func, *why;
};

struct patch_states {
	char *text;
	char **lines;
	size_t nlines;
	struct patch_state *patches;
	size_t n;
	bool transition;
	unsigned int holders;		/* in all */
	struct patch_holder *holder;	/* those that were told */
	size_t nholders;
};

/* Takes @text (of malloc()). 0, or -1: no memory. */
int patch_states_parse(struct patch_states *s, char *text);
void patch_states_free(struct patch_states *s);

/* By name; NULL: there is none. */
struct patch_state *patch_states_find(struct patch_states *s, const char *name);

/* "2 threads: 1234 in parse (it is on its stack), ..." */
void patch_states_describe_holders(const struct patch_states *s, char *text, size_t size);

void patch_states_list(const struct patch_states *s, pid_t pid, const char *comm);

/* All that is known; of @name alone, unless that is NULL. */
void patch_states_show(const struct patch_states *s, const char *name);

#endif /* CMD_PATCH_STATE_H */

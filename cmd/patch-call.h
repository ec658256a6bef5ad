/* SPDX-License-Identifier: MIT */
/* Asking the agent of a process about patches, and bringing it there. */
#ifndef CMD_PATCH_CALL_H
#define CMD_PATCH_CALL_H

#include "cmd/agent-call.h"
#include "cmd/patch-check.h"

struct patch_call {
	pid_t pid;
	char comm[32];
	bool wide;			/* its words have 64 bits */
	int lock, pidfd;
	char dir[128];			/* of our own, as the process sees it behind @prefix */
	size_t prefix;
	int dirfd;
	uid_t uid;
	gid_t gid;
	unsigned int asked;		/* so many requests */
	char request_name[32];
	struct ftrace_request *request;	/* the last one; its answer */
	uint64_t borrowed_ns;		/* for how long a thread was borrowed, in all */
};

/*
 * Begin: see whether @pid can be asked, and keep other commands from it until patch_call_unlock(). 0 or -1,
 * said.
 */
int patch_call_open(struct patch_call *call, pid_t pid);
void patch_call_unlock(struct patch_call *call);
void patch_call_close(struct patch_call *call);

/* Is there anybody to ask? 1, 0, or -1, said. */
int patch_call_agent(struct patch_call *call);

/*
 * Ask with @text; the agent is brought there if it is not yet and @load is set. @check not NULL: its patch is loaded
 * first, and what has to be told of it is put before @text. 0: call->request has the answer; -1, said: the
 * request failed.
 */
int patch_call_ask(struct patch_call *call, const char *text, bool load, struct patch_check *check);

/* The same for plans that @check has: for objects that were never compiled for tracing. 0 or -1, said. */
int patch_call_plans(struct patch_call *call, struct patch_check *check);

/* "livepatch/NAME/..." lines that tell where the patch's functions and symbols are, to @out. */
void patch_call_print_found(FILE *out, const struct patch_check *check);

/* What a "watch" request tells, NUL-terminated, for free(). *@ended: nothing more will come. NULL: no memory. */
char *patch_call_watch(struct patch_call *call, bool *ended);

/* Has the process ended? */
bool patch_call_gone(const struct patch_call *call);

#endif /* CMD_PATCH_CALL_H */

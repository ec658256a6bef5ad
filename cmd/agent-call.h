/* SPDX-License-Identifier: MIT */
/* Loading the agent into a running process, and making it look at requests. */
#ifndef CMD_AGENT_CALL_H
#define CMD_AGENT_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ftrace/trace-attach.h>

struct agent_call {
	pid_t pid;
	const char *agent, *library;	/* the files to load, if they are not there yet */
	const char *request;		/* the request's path, as the process sees it */
	bool load;			/* false: only where an agent is already */
	uint64_t stopped_ns;		/* filled in: for how long one thread was borrowed */
	bool loaded;			/* filled in: it was not there before */
};

/* 0, or -1 after having said what is wrong; the process is as it was then. */
int agent_call(struct agent_call *call);

/* Is an agent in process @pid? 1, 0, or -1 after having said why that cannot be seen. */
int agent_is_there(pid_t pid);

/*
 * A request in the directory @dirfd, called @name: @text for process @pid. NULL: errno. agent_request_free()
 * removes the file.
 */
struct ftrace_request *agent_request_make(int dirfd, const char *name, uid_t uid, gid_t gid,
					  const char *text);
void agent_request_go(struct ftrace_request *request);	/* after agent_call() */
void agent_request_free(struct ftrace_request *request, int dirfd, const char *name);

#endif /* CMD_AGENT_CALL_H */

/* SPDX-License-Identifier: MIT */
/* Loading the agent into a running process, and making it look at requests. */
#ifndef CMD_AGENT_CALL_H
#define CMD_AGENT_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ftrace/trace-attach.h>

struct borrowed;

struct agent_call {
	pid_t pid;
	const char *agent, *library;	/* the files to load, if they are not there yet */
	const char *request;		/* the request's path, as the process sees it ... */
	struct ftrace_request *file;	/* ... and the file itself: told when the thread is back at its work */
	bool load;			/* false: only where an agent is already */
	/*
	 * Called when the agent is there, before it is asked; NULL: nothing. Nonzero, said why: it is not asked. In the
	 * process that does it: of what is changed there, only what is in @file is seen here.
	 */
	int (*prepare)(struct agent_call *call, struct borrowed *b);
	void *data;
	uint64_t stopped_ns;		/* filled in: for how long one thread was borrowed */
	bool loaded;			/* filled in: it was not there before */
};

/*
 * 0, or -1 after having said what is wrong; the process is as it was then. Done to its end by a process of its own,
 * so that nothing that happens to this one leaves a thread borrowed.
 */
int agent_call(struct agent_call *call);

/*
 * For prepare(): load the shared object that is @size bytes at @data, called @name, from memory of the process's
 * own, so that it does not depend on a file. *@map: its struct link_map there. 0, or -1 after having said why not.
 */
int agent_load_object(struct borrowed *b, const char *name, const void *data, size_t size,
		      unsigned long *map);

/* Is an agent in process @pid? 1, 0, or -1 after having said why that cannot be seen. */
int agent_is_there(pid_t pid);

/*
 * The agent and the library as files (PATH_MAX bytes each); @preload as record_find_agent() has it, @lib what a loader
 * puts for $LIB; links are followed.
 */
int agent_find_files(const char *preload, const char *lib, char *agent, char *library);

/* What stands before /dev/shm where process @pid has another one than we; "": nothing. */
void agent_shm_prefix(pid_t pid, char *prefix, size_t size);

/*
 * A request in the directory @dirfd, called @name: @text for process @pid. NULL: errno. agent_request_free()
 * removes the file.
 */
struct ftrace_request *agent_request_make(int dirfd, const char *name, uid_t uid, gid_t gid,
					  const char *text);
/* Another text, before it is asked. -E2BIG. */
int agent_request_fill(struct ftrace_request *request, const char *text);
void agent_request_free(struct ftrace_request *request, int dirfd, const char *name);

#endif /* CMD_AGENT_CALL_H */

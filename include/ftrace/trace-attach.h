/* SPDX-License-Identifier: MIT */
/*
 * What the command asks of the agent in a running process. A request is a file; the agent is made to look
 * at it by a call of FTRACE_AGENT_ENTER() in a borrowed thread, has it carried out by a thread of its
 * own, and writes the answer into it.
 */
#ifndef FTRACE_TRACE_ATTACH_H
#define FTRACE_TRACE_ATTACH_H

#include <stdint.h>

/* long FTRACE_AGENT_ENTER(const char *path): 0, or a negative errno: nothing comes of it. */
#define FTRACE_AGENT_ENTER	"ftrace_agent_enter"

/*
 * uint32_t: not 0 after the first of these calls. From then on it takes no lock of the program's, so the thread
 * may be borrowed wherever it stands.
 */
#define FTRACE_AGENT_READY	"ftrace_agent_ready"

#define FTRACE_REQUEST_MAGIC	0x3271657266747266ull
#define FTRACE_REQUEST_SIZE	(1u << 20)	/* of the file */
#define FTRACE_WATCH_SIZE	(64u << 10)	/* at its end: see "watch" */

enum ftrace_request_state {
	FTRACE_REQUEST_ASKED = 0,
	FTRACE_REQUEST_TAKEN = 1,
	FTRACE_REQUEST_GO = 2,		/* the borrowed thread is back at its work: stored by who asks */
	FTRACE_REQUEST_DONE = 3,
};

/*
 * The text of a request is lines:
 *
 *	attach			begin a recording in the session whose directory the request is in
 *	detach			end it: every byte of code as it was, no memory held that can be given back
 *	FILE=VALUE		write VALUE to the control file FILE; FILE+=VALUE: append it
 *	FILE?			read it
 *	watch			go on telling of a patch's transition, in the last FTRACE_WATCH_SIZE bytes
 *				of the file, until watch_ended is set
 *
 * The answer is what was read, and what the library had to say (its log lines), in place of the text.
 * The first line that fails ends the request.
 */
struct ftrace_request {
	uint64_t magic;			/* FTRACE_REQUEST_MAGIC; stored last */
	uint32_t state;			/* enum ftrace_request_state; a futex */
	int32_t err;			/* 0 or a negative errno */
	/* How often all threads of the process were stopped at once since it began, and how long. */
	uint64_t stops, stops_ns, stop_max_ns;
	uint64_t took_ns;		/* from being taken to being done */
	uint32_t len;			/* of text */
	/* For "watch": what the control file livepatch/patches says. */
	uint32_t watch_seq;		/* odd while it is being written; a futex */
	uint32_t watch_len;
	uint32_t watch_ended;		/* nothing more comes */
	char text[];
};

static inline char *ftrace_request_watch(struct ftrace_request *request)
{
	return (char *)request + FTRACE_REQUEST_SIZE - FTRACE_WATCH_SIZE;
}

#endif /* FTRACE_TRACE_ATTACH_H */

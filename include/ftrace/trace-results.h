/* SPDX-License-Identifier: MIT */
/*
 * What tracers keep in memory that they share with the recorder, instead of records: files of the
 * session directory (trace-format.h), each backed by memory before it is used. What a process
 * had found out when it was killed is there.
 *
 *	PID.GEN.stack		stack tracer: struct ftrace_stack_result
 *	PID.GEN.K.prof		profile tracer, Kth table: struct ftrace_profile and its entries
 *
 * and what becomes of them in the recording:
 *
 *	COMM-PID.GEN/.stack	the same file
 *	COMM-PID.GEN/.profile	text, the tables added up. Fields parted by one space, hexadecimal
 *				without 0x:
 *		t THREADS UNFOLLOWED
 *		p SITE CALLS TIMED TOTAL SELF SUM MIN MAX
 */
#ifndef FTRACE_TRACE_RESULTS_H
#define FTRACE_TRACE_RESULTS_H

#include <stdint.h>

/* ---- stack: the deepest stack seen ---- */

#define FTRACE_STACK_MAGIC	0x326b636174737466ull
#define FTRACE_STACK_FRAMES	4096u	/* the most that are kept */

struct ftrace_stack_frame {
	uint64_t ip;		/* the function, as callbacks are told of it */
	uint64_t parent_ip;	/* where it returns to */
	uint64_t sp;		/* the stack pointer at its entry */
};

struct ftrace_stack_trace {
	uint64_t depth;		/* bytes from sp of the innermost function to top; 0: nothing yet */
	uint64_t top;		/* where the stack begins; 0: not known, depth is to the outermost frame */
	uint32_t tid;
	/*
	 * Traced functions are counted from the outermost one, which is 0. Those from first to
	 * nframes - 1 are kept, function i in frames[i % FTRACE_STACK_FRAMES].
	 */
	uint32_t nframes, first;
	uint32_t reserved;
	struct ftrace_stack_frame frames[FTRACE_STACK_FRAMES];
};

struct ftrace_stack_result {
	uint64_t magic;		/* FTRACE_STACK_MAGIC */
	uint32_t current;	/* which of the two is whole; the other may be half written */
	uint32_t writer;	/* thread that writes it now, 0: none */
	uint64_t not_followed;	/* calls that the tracer had no memory to follow */
	struct ftrace_stack_trace trace[2];
};

/* ---- profile: calls and times of each function ---- */

#define FTRACE_PROFILE_MAGIC	0x31666f7270747266ull
#define FTRACE_PROFILE_HEADER	4096u	/* bytes before the entries */

/* A function, as far as one thread called it. Times are ticks. */
struct ftrace_profile_entry {
	uint32_t site;
	uint32_t reserved;
	uint64_t calls;
	uint64_t timed;		/* calls whose return was seen; what follows is of them */
	uint64_t total;		/* of outermost calls: a recursion counts once */
	uint64_t self;		/* of all, less what was spent in traced functions they called */
	uint64_t sum;		/* of all */
	uint64_t min, max;
};

/* One thread's, and after its end another's. */
struct ftrace_profile {
	uint64_t magic;		/* FTRACE_PROFILE_MAGIC; stored last */
	uint32_t owner;		/* tid, 0: nobody */
	uint32_t nentries;	/* that are complete */
	uint64_t threads;	/* that have used it */
	uint64_t unfollowed;	/* calls not counted: no memory, or nested too deep */
};

#endif /* FTRACE_TRACE_RESULTS_H */

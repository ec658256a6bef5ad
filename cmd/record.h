/* SPDX-License-Identifier: MIT */
/*
 * ftrace record: between its parts.
 *
 *	record.c		the course of a recording
 *	record-options.c	the command line
 *	record-events.c		dynamic events (-e)
 *	record-names.c		functions chosen by demangled names
 *	record-args.c		values of arguments and results
 *	record-check.c		can this program be traced at all?
 *	record-output.c		the recording's directory, the space it may take
 *	record-session.c	the directory shared with traced processes, their settings
 *	record-targets.c	processes that run already, instead of a program of our own
 *	record-attach.c		the agent is brought into them, and leaves at the end
 *	record-threads.c	some threads of those only
 *	record-run.c		the program: started, signals passed on, its end
 *	record-plan.c		plans of objects that were never compiled for tracing
 *	record-files.c		processes and rings that appear in the session, and their end
 *	record-count.c		what their maps add to the totals
 *	record-drain.c		the loop that moves packets to files
 *	record-snapshot.c	what a flight recorder holds, copied while it goes on
 *	record-summary.c	what is said and kept at the end
 */
#ifndef FTRACE_CMD_RECORD_H
#define FTRACE_CMD_RECORD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <ftrace/trace-format.h>

#include "prototype/prototype.h"
#include "reader/drain.h"
#include "reader/results.h"

struct spec;

/* One -A or -R. */
struct record_values {
	bool returns;			/* -R */
	struct spec *specs;
	struct record_values *next;
};

/* One -F, -N or -L: a line for the control tree. */
struct record_choice {
	const char *file;		/* "set_ftrace_filter", ... */
	const char *value;
	char *setting;			/* what traced processes are told instead; NULL: the value */
	struct record_choice *next;
};

/* One of --tid. */
#define RECORD_MAX_THREADS	64u	/* what a traced process takes */
struct record_thread {
	pid_t tid, pid;			/* and its process's number; 0: not looked for yet */
	pid_t inner_tid;		/* its number where it lives, in its own namespace */
};

struct record_options {
	const char *output;		/* directory */
	const char *tracer;
	struct record_choice *choices;	/* -F, -N and -L as they were given, in that order */
	struct record_values *values;	/* -A and -R as they were given */
	struct proto_arena values_arena;
	bool auto_args;			/* -a */
	char *event_settings, *event_texts;	/* what that means to traced processes and to readers; NULL: nothing */
	uint32_t depth;			/* 0: no limit */
	uint64_t threshold_ns;		/* 0: none */
	uint64_t max_size;		/* bytes; 0: chosen by the free space */
	uint64_t buffer;		/* bytes of a thread's ring */
	uint32_t wait_ms;
	bool overwrite;
	bool snapshot_trigger;		/* some event has one */
	const char *targets;		/* -p: processes, parted by commas; NULL: a command is started */
	struct record_thread *threads;	/* --tid: only these are recorded; none: all */
	size_t nthreads;
	int begun_fd;			/* told when they are recorded, by one byte; -1: nobody is */
	uint64_t duration_ns;		/* of recording those; 0: until they end, or we are interrupted */
	struct record_event *events;	/* -e, --trigger */
	char **command;
};

/* One ring of one process image. */
struct record_ring {
	struct trace_drain drain;
	uint32_t number;
	struct record_ring *next;
};

/* One process image. */
struct record_process {
	uint32_t pid, gen;
	char dir[64];			/* in the recording; "" until its map could be copied */
	int pidfd;			/* -1: none */
	bool gone;			/* it writes no more */
	bool finished;			/* and all of it is in the recording */
	struct record_ring *rings;
	uint8_t *ring_seen;		/* a bit for each ring number that is in rings */
	uint32_t ring_bits;
	struct record_process *next;
};

/* Of all process images together. */
struct record_totals {
	uint64_t calls, records, events, discarded, stalls;	/* records: without events */
	uint64_t untraceable, calls_dropped, calls_unshadowed, threads_unrecorded;
	uint64_t map_bytes;		/* of text in their maps */
	char untraceable_in[1024];	/* the first executable with such functions, or with libraries that have ... */
	bool untraceable_in_libs;	/* ... and it is not only in executables */
	bool any_site;			/* any function of any of them can be traced */
	uint64_t threads, rings;
	uint32_t images, processes;
	uint64_t calls_unfollowed;	/* not counted by such a tracer: no memory, or nested too deep */
	uint64_t results;		/* images with results of a tracer that writes no records */
};

#define RECORD_BUCKETS	1024u

struct record {
	const struct record_options *opt;
	char program[4096];		/* what is executed */
	char preload[8192];		/* what is put in front of LD_PRELOAD */

	int out_fd;			/* the recording's directory */
	int reserve_fd;			/* disk space kept for what is written last; -1: none */
	uint64_t max_size;

	struct record_attach *attach;	/* processes that run already; NULL: a command is started */

	char session_dir[128];
	size_t session_prefix;		/* the part of it that traced processes do not see */
	int session_fd;
	struct ftrace_session *control;
	size_t control_size;
	uint16_t *gen_floors;		/* in it; see ftrace_gen_floors() */

	pid_t child;
	int status;			/* of waitpid(), once it ended */
	bool child_ended;

	int epoll_fd;			/* pidfds of processes */
	struct record_process *processes[RECORD_BUCKETS];	/* by pid, those not finished */
	bool reap;			/* some of them are gone */
	uint32_t seen_files;		/* control->nfiles when the session was last looked through */
	bool look_again;		/* something was not ready then */
	struct record_planner *planners;	/* plans that are being made */
	uint32_t nplanners;
	uint32_t seen_asks;		/* control->asks when the session was last looked through for questions */
	bool asks_wait;			/* some of them have to wait their turn */
	void *seen_objects;		/* tree of those whose refused functions were counted */
	uint64_t written;		/* bytes in stream files, of everything so far */
	uint8_t *tids, *pids;		/* a bit for each thread and process seen; NULL: not counted */
	const char *stopped_why;	/* recording ended before the command did */
	int stopped_err;		/* with this errno, 0: for no error */
	uint32_t still_running;

	pthread_t heartbeat;
	pthread_mutex_t heartbeat_lock;
	pthread_cond_t heartbeat_end;
	bool heartbeat_ends;

	bool is_snapshot;		/* a copy of the recorder's for the moment of a snapshot */
	uint32_t snapshots, first_snapshot, last_snapshot;	/* how many, and their numbers */
	uint32_t snapshots_missed;	/* for want of room */
	uint64_t snapshots_written;	/* bytes of them, beside what was written */

	uint64_t begin_ticks, begin_mono_ns, begin_real_ns;
	uint64_t end_ticks, end_mono_ns, end_real_ns;
	struct record_totals totals;
};

/* ---- record-options.c ---- */

/* Fill @opt from the command line. Bad use has been said when it returns the exit status for it. */
int record_parse(struct record_options *opt, int argc, char **argv);
/* The same for `ftrace attach`, whose words are processes. */
int record_parse_attach(struct record_options *opt, int argc, char **argv);
void record_options_free(struct record_options *opt);

/* ---- record.c ---- */

/* The whole course of it. The command's exit status. */
int record_run(struct record_options *opt);

/* ---- record-events.c ---- */

/* -e @def, and --trigger @text for the -e before it. 0; or the exit status, and what is wrong was said. */
int record_event_add(struct record_options *opt, const char *def);
int record_event_trigger(struct record_options *opt, const char *text);

/* The settings of all of them, to @out. */
void record_events_put(const struct record_options *opt, FILE *out);
void record_events_free(struct record_options *opt);

/* ---- record-names.c ---- */

/* Make the settings of -F and -N for @program. 0; or 1, and the user was told why. */
int record_resolve_names(struct record_options *opt, const char *program);

/* Does -L name the library at @file? */
bool record_library_chosen(const struct record_options *opt, const char *file);

/* ---- record-args.c ---- */

/* Make what -A, -R and -a mean for @program: opt->event_*. 0; or the exit status, and the user was told why. */
int record_resolve_args(struct record_options *opt, const char *program);

/* Write what readers are told of it. 0 or 1, said why. */
int record_write_args(const struct record *r);

/* ---- record-check.c ---- */

/*
 * Find the program and see whether it can be traced. 0, and its path is in @r->program; -1 after having
 * said what is wrong and what to do.
 */
int record_check(struct record *r);

/* The agent and its library, absolute paths into @r->preload. Nonzero: not found, said. */
int record_find_agent(struct record *r);

/* ---- record-output.c ---- */

/* Make the output directory (an older recording there becomes DIR.old). Nonzero: said why not. */
int record_output_open(struct record *r);

/* Nothing was recorded after all: remove what record_output_open() made. */
void record_output_remove(struct record *r);

/* Note the session directory in the recording, for who repairs it if we are killed. */
int record_output_note_session(struct record *r);

/* Keep at least @bytes of disk for the last files; give them back for writing those. */
void record_output_reserve(struct record *r, uint64_t bytes);
void record_output_unreserve(struct record *r);

/* ---- record-session.c ---- */

int record_session_open(struct record *r);	/* nonzero: said why not */
void record_session_close(struct record *r);	/* removes it */

/* Print what traced processes had to say (libftrace's log lines), each line once. */
void record_session_show_log(struct record *r);

/* ---- record-run.c ---- */

/* Before anything else: limits on files are raised for us; the command gets them as they were. */
void record_raise_limits(void);

/* Start the command with the agent. Nonzero: said why not. */
int record_run_start(struct record *r);

/* See whether the command has ended; does not wait. */
void record_run_poll(struct record *r);

/* The exit status to pass on. */
int record_run_status(const struct record *r);

/* ---- record-targets.c ---- */

/* Find the processes that are meant and see whether they can be attached to. Nonzero: said why not. */
int record_attach_check(struct record *r);

/* record_resolve_names() for their program. */
int record_attach_names(struct record *r, struct record_options *opt);

/* What stands before paths of ours that traced processes see; into @prefix. */
void record_attach_place(const struct record *r, char *prefix, size_t size);

/* Let the session be that of who is traced. 0 or -errno. */
int record_attach_own(struct record *r);

/* The same for one file of the session. */
void record_attach_give(const struct record *r, const char *name);

/* The process that calls itself @pid, as we know it. -1: not known. */
pid_t record_attach_pid(const struct record *r, pid_t pid);

void record_attach_free(struct record *r);

/* ---- record-attach.c ---- */

/* Bring the agent into them. Nonzero: said why not. */
int record_attach_start(struct record *r);

/* See whether it is over; does not wait long. */
void record_attach_poll(struct record *r);

/* Was there one that could not be recorded? */
bool record_attach_failed(const struct record *r);

/* ---- record-threads.c ---- */

/* --tid @list. 0, or the exit status, and what is wrong was said. */
int record_threads_add(struct record_options *opt, const char *list);

/* Whose they are, which -p means where it was not given. Nonzero: one is not there, said. */
int record_threads_find(struct record_options *opt);

/* The settings that choose them, to @out. */
void record_threads_put(const struct record_options *opt, FILE *out);

/* Is one of them still there? True where none was chosen. */
bool record_threads_live(const struct record_options *opt);

/* ---- record-files.c ---- */

/* Look through the session directory if files were made since. */
void record_files_look(struct record *r);

/* Finish process images that have ended. */
void record_files_reap(struct record *r);

/* The recording ends: finish all. */
void record_files_finish(struct record *r);

/* ---- record-plan.c ---- */

/* Look for questions if some were asked since, and have them answered. Takes no time itself. */
void record_plans_look(struct record *r);

/* See which answers are ready. */
void record_plans_reap(struct record *r);

/* Was anything asked that record_plans_look() has not seen? */
bool record_plans_asked(const struct record *r);

/* The recording ends: nobody gets an answer any more. */
void record_plans_end(struct record *r);

/* ---- record-count.c ---- */

/* Add what the map of @p's image tells to the totals. */
void record_count_image(struct record *r, const struct record_process *p);
void record_count_done(struct record *r);

/* ---- record-drain.c ---- */

/* Move packets until the command has ended and everything was written. */
void record_drain_loop(struct record *r);

/* A thread that tells traced processes that we live, whatever the disk makes us wait for. */
int record_heartbeat_start(struct record *r);
void record_heartbeat_stop(struct record *r);

/* Write what is left of @ring to its file, count it, and close it. */
void record_drain_last(struct record *r, struct record_ring *ring);

/* Mark thread or process @id in the bits @seen. 1: it was not there before. */
int record_note_id(uint8_t *seen, uint32_t id);

/* No process is to record any more; @why as part of a sentence, @err an errno or 0. */
void record_stop(struct record *r, const char *why, int err);

/* ---- record-snapshot.c ---- */

/* Has a process asked for a snapshot that was not taken yet? */
bool record_snapshot_asked(const struct record *r);

/* Take it, if so. */
void record_snapshots_look(struct record *r);

/* What became of them, a line, if there were any. */
void record_snapshots_summary(const struct record *r);

/* ---- record-summary.c ---- */

void record_clock(uint64_t *ticks, uint64_t *mono_ns, uint64_t *real_ns);

/* Ticks a second, measured now, in some 10 ms. */
uint64_t record_tick_rate(void);

/* The recording's info as far as it is known before the program runs; 0 or 1, said why. */
int record_begin_output(struct record *r);

/* info, metadata; the last files of the recording. 0 or -1, said. */
int record_finish_output(struct record *r);

/* The line at the end. */
void record_summary(const struct record *r);

#endif /* FTRACE_CMD_RECORD_H */

/* SPDX-License-Identifier: MIT */
/* --tid: which threads of running processes are recorded, whose they are, and whether they live. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/record.h"
#include "cmd/target.h"

int record_threads_add(struct record_options *opt, const char *list)
{
	char *copy = strdup(list), *next = copy, *word;
	int err = copy ? 0 : cmd_error("--tid %s: no memory", list);

	while (!err && (word = strsep(&next, ","))) {
		struct record_thread *more;
		uint64_t tid;
		size_t i;

		if (cmd_parse_number(word, &tid) || !tid || tid > 1u << 22) {
			err = cmd_bad_use("record", "--tid %s: not the number of a thread, or several parted by commas; 'ls /proc/PID/task' lists those of a process",
					  list);
			break;
		}
		for (i = 0; i < opt->nthreads && opt->threads[i].tid != (pid_t)tid; i++)
			;
		if (i < opt->nthreads)
			continue;
		if (opt->nthreads == RECORD_MAX_THREADS) {
			err = cmd_bad_use("record", "--tid: more than %u threads", RECORD_MAX_THREADS);
			break;
		}
		more = realloc(opt->threads, (opt->nthreads + 1) * sizeof(*more));
		if (!more) {
			err = cmd_error("--tid %s: no memory", list);
			break;
		}
		opt->threads = more;
		opt->threads[opt->nthreads++] = (struct record_thread){ .tid = (pid_t)tid };
	}
	free(copy);
	return err;
}

/* How the thread stands in its process, 0: it is not there any more. */
static char state_of(const struct record_thread *t)
{
	char path[64], line[512], state = 0, *at;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", t->pid, t->tid);
	f = fopen(path, "re");
	/* The name before the state may hold anything but ends with the last bracket. */
	len = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
	line[len] = 0;
	at = strrchr(line, ')');
	if (at && at[1] == ' ')
		state = at[2];
	if (f)
		fclose(f);
	return state;
}

static bool lives(const struct record_thread *t)
{
	char state = state_of(t);

	return state && state != 'Z' && state != 'X';
}

static int find(struct record_thread *t)
{
	t->pid = (pid_t)target_status(t->tid, "status", "Tgid:", 10, 0);
	if (!t->pid || !lives(t))
		return cmd_error("thread %d: there is no such thread; 'ls /proc/PID/task' lists those of a process",
				 t->tid);
	t->inner_tid = target_inner_pid(t->tid);
	return 0;
}

/* Their processes are meant, where -p names none. */
static int name_processes(struct record_options *opt)
{
	char list[RECORD_MAX_THREADS * 12];
	size_t len = 0;

	for (size_t i = 0; i < opt->nthreads; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d", i ? "," : "", opt->threads[i].pid);
	opt->targets = strdup(list);
	return opt->targets ? 0 : cmd_error("no memory");
}

int record_threads_find(struct record_options *opt)
{
	for (size_t i = 0; i < opt->nthreads; i++)
		if (find(&opt->threads[i]))
			return -1;
	return opt->targets || !opt->nthreads ? 0 : name_processes(opt);
}

void record_threads_put(const struct record_options *opt, FILE *out)
{
	static const char *const files[] = { "set_ftrace_pid", "set_event_pid" };

	for (size_t k = 0; opt->nthreads && k < sizeof(files) / sizeof(files[0]); k++) {
		fprintf(out, "%s=", files[k]);
		for (size_t i = 0; i < opt->nthreads; i++)
			fprintf(out, "%s%d", i ? " " : "", opt->threads[i].inner_tid);
		putc('\n', out);
	}
}

bool record_threads_live(const struct record_options *opt)
{
	for (size_t i = 0; i < opt->nthreads; i++)
		if (lives(&opt->threads[i]))
			return true;
	return !opt->nthreads;
}

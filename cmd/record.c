/* SPDX-License-Identifier: MIT */
/* ftrace record: run a command and keep what its functions did. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/record.h"
#include "cmd/report-stack.h"
#include "reader/recording.h"

/* Nothing could be traced: say what would help. */
static void explain_nothing(const struct record *r)
{
	if (!strcmp(r->opt->tracer, "nop") || r->totals.calls || r->totals.results)
		return;
	if (r->attach && (record_attach_failed(r) || !r->opt->choices))
		return;
	if (!r->totals.images)
		cmd_error("%s: the agent did not start in it, so nothing was recorded; is LD_PRELOAD ignored there?",
			  r->program);
	else if (!r->totals.any_site)
		cmd_error("%s: no function of it could be traced, so nothing was recorded; 'ftrace list --refused %s' says why; choose libraries with -L, or compile it with -fpatchable-function-entry=5",
			  r->program, r->program);
	else if (r->opt->choices)
		cmd_error("%s: no call of a function that was chosen; 'ftrace list %s' shows their names",
			  r->program, r->attach ? "PROGRAM" : r->program);
}

/* Definitions name functions, which need not be there: libraries that come later may have them. */
static void explain_no_events(const struct record *r)
{
	if (r->opt->events && !r->totals.events && r->totals.images)
		cmd_error("%s: no event of -e happened: no such function, none of its calls, or none that a filter let through; 'ftrace list %s' shows the functions, with --usdt the probes",
			  r->program, r->attach ? "PROGRAM" : r->program);
}

static int run(struct record *r)
{
	int err;

	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0)
		return cmd_error("epoll: %s", strerror(errno));
	err = record_heartbeat_start(r);
	if (err)
		return err;
	record_clock(&r->begin_ticks, &r->begin_mono_ns, &r->begin_real_ns);
	err = record_begin_output(r);
	if (!err)
		err = r->attach ? record_attach_start(r) : record_run_start(r);
	if (!err) {
		record_drain_loop(r);
		record_clock(&r->end_ticks, &r->end_mono_ns, &r->end_real_ns);
	}
	record_heartbeat_stop(r);
	close(r->epoll_fd);
	return err;
}

/* Results that are short enough to be shown at once. */
static void show_results(const struct record *r)
{
	struct trace_recording recording;

	if (strcmp(r->opt->tracer, "stack") || trace_open_as_is(&recording, r->opt->output))
		return;
	cmd_color_init(0);
	if (!report_stack(stderr, &recording, 1, 0) && r->totals.results)
		cmd_error("%s: no call of a traced function, so no stack was seen", r->program);
	trace_close(&recording);
}

/* The session is there: record, and leave only the recording behind. */
static int record_in_session(struct record *r)
{
	int err = record_output_note_session(r);

	if (!err)
		err = run(r);
	if (err)
		return err;
	err = record_finish_output(r);
	record_session_show_log(r);
	explain_nothing(r);
	explain_no_events(r);
	record_summary(r);
	record_snapshots_summary(r);
	show_results(r);
	/* The program's own status matters more than what became of the recording. */
	return 0;
}

static int record(struct record *r)
{
	int err = record_output_open(r);

	if (err)
		return 1;
	err = record_session_open(r);
	if (!err) {
		err = record_in_session(r);
		record_session_close(r);
		unlinkat(r->out_fd, ".session", 0);
	}
	if (err)
		record_output_remove(r);
	close(r->out_fd);
	return err || (r->attach && record_attach_failed(r)) ? 1 : record_run_status(r);
}

int record_run(struct record_options *opt)
{
	struct record *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return cmd_error("no memory");
	r->opt = opt;
	record_raise_limits();
	if (opt->targets || opt->nthreads)
		err = record_find_agent(r) || record_threads_find(opt) || record_attach_check(r) ||
		      record_attach_names(r, opt);
	else
		err = record_check(r) || record_find_agent(r) || record_resolve_names(opt, r->program) ||
		      record_resolve_args(opt, r->program);
	if (!err)
		err = record(r);
	record_attach_free(r);
	free(r);
	return err;
}

int cmd_record(int argc, char **argv)
{
	struct record_options opt;
	int err = record_parse(&opt, argc, argv);

	if (!err)
		err = record_run(&opt);
	record_options_free(&opt);
	return err;
}

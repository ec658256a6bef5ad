/* SPDX-License-Identifier: MIT */
/*
 * The loop over all records. Packets are taken by time within one process, so that a thread's
 * records come in order wherever they lie; between packets the counts of active calls are
 * exchanged for those of the next thread.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reader/message.h"
#include "reader/stats.h"
#include "reader/threads.h"

#define MAX_UNKNOWN	(1u << 18)	/* sites beyond the map's that get a row of their own */

/* One cache line's worth a site. */
struct site {
	uint64_t timed, total, self, sum, min, max;
	struct trace_histogram *histogram;
	uint32_t active;	/* open calls of the thread being read */
};

struct run {
	struct trace_stats *stats;
	struct trace_threads threads;
	struct trace_verdicts verdicts;
	const struct trace_filter *filter;
	const struct trace_select *select;
	struct trace_process *process;
	struct site *sites;
	uint64_t *unfinished, *points;	/* by site */
	uint32_t nsites;
	struct trace_thread *thread;	/* whose calls `active` counts */
};

static int resize(struct run *run, uint32_t n)
{
	struct site *sites = reallocarray(run->sites, n, sizeof(*sites));
	uint64_t *unfinished, *points;

	if (!sites)
		return -ENOMEM;
	run->sites = sites;
	unfinished = reallocarray(run->unfinished, n, sizeof(*unfinished));
	if (!unfinished)
		return -ENOMEM;
	run->unfinished = unfinished;
	points = reallocarray(run->points, n, sizeof(*points));
	if (!points)
		return -ENOMEM;
	run->points = points;
	memset(sites + run->nsites, 0, (n - run->nsites) * sizeof(*sites));
	memset(unfinished + run->nsites, 0, (n - run->nsites) * sizeof(*unfinished));
	memset(points + run->nsites, 0, (n - run->nsites) * sizeof(*points));
	for (uint32_t i = run->nsites; i < n; i++)
		sites[i].min = UINT64_MAX;
	run->nsites = n;
	return 0;
}

/* A site the map does not know: its own row while that is cheap, else row 0. */
static __attribute__((noinline)) uint32_t unknown_site(struct run *run, uint32_t site)
{
	uint32_t n = run->nsites;

	if (site >= MAX_UNKNOWN)
		return 0;
	while (n <= site)
		n = n < 1024 ? 1024 : n * 2;
	return resize(run, n) ? 0 : site;
}

/* `active` counts the calls of one thread at a time. */
static void switch_thread(struct run *run, struct trace_thread *thread)
{
	struct trace_stack *stack;

	if (run->thread == thread)
		return;
	if (run->thread) {
		stack = &run->thread->stack;
		for (uint32_t i = 0; i < stack->depth; i++)
			run->sites[stack->frames[i].site].active--;
	}
	run->thread = thread;
	if (thread) {
		stack = &thread->stack;
		for (uint32_t i = 0; i < stack->depth; i++)
			run->sites[stack->frames[i].site].active++;
	}
}

static void __attribute__((noinline)) first_histogram(struct site *site)
{
	site->histogram = calloc(1, sizeof(*site->histogram));
}

/*
 * The call in @frame ended. Hidden ones hand the time of their shown callees on to their caller,
 * as if they had not been recorded.
 */
static inline __attribute__((always_inline)) void finish(struct run *run, struct trace_frame *frame,
							 uint64_t now, uint32_t index,
							 uint32_t untrusted, const int filtered)
{
	struct site *site = &run->sites[frame->site];
	uint64_t ticks = now - frame->start;

	site->active--;
	if (index < untrusted) {
		run->unfinished[frame->site] += !(filtered && frame->flags & TRACE_FRAME_HIDDEN);
		return;
	}
	if (filtered && (frame->flags & TRACE_FRAME_HIDDEN || ticks < run->filter->threshold)) {
		if (index)
			frame[-1].data += frame->data;
		return;
	}
	if (index)
		frame[-1].data += ticks;
	site->timed++;
	site->sum += ticks;
	/* Calls above an exit that closed several can reach back over lost time, never below 0. */
	site->self += ticks > frame->data ? ticks - frame->data : 0;
	if (!site->active)
		site->total += ticks;
	if (ticks < site->min)
		site->min = ticks;
	if (ticks > site->max)
		site->max = ticks;
	if (!site->histogram)
		first_histogram(site);
	if (site->histogram)
		trace_histogram_add(site->histogram, ticks);
}

/* An open call will never be seen to end. */
static void give_up(struct run *run, struct trace_stack *stack)
{
	struct trace_frame *frame = &stack->frames[--stack->depth];

	run->sites[frame->site].active--;
	if (!(frame->flags & TRACE_FRAME_HIDDEN))
		run->unfinished[frame->site]++;
	if (stack->untrusted > stack->depth)
		stack->untrusted = stack->depth;
}

static __attribute__((noinline)) int no_room(struct run *run, struct trace_thread *thread)
{
	struct trace_stack *stack = &thread->stack;

	if (!trace_stack_grow(stack))
		return 0;
	if (stack->depth < TRACE_STACK_MAX)
		return trace_error(ENOMEM, "thread %u: no memory for %u open calls", thread->tid,
				   stack->depth);
	trace_warn("thread %u: more than %u calls open; the innermost are forgotten", thread->tid,
		   stack->depth);
	while (stack->depth > TRACE_STACK_MAX / 2)
		give_up(run, stack);
	return 0;
}

/* End the calls from the one at @lowest up. */
static void close_from(struct run *run, struct trace_stack *stack, int64_t lowest, uint64_t now)
{
	while ((int64_t)stack->depth > lowest) {
		uint32_t top = --stack->depth;

		finish(run, &stack->frames[top], now, top, stack->untrusted, 1);
	}
	if (stack->untrusted > stack->depth)
		stack->untrusted = stack->depth;
}

/* A mark that says more of the calls that are open. False: it says nothing. */
static __attribute__((noinline)) bool mark(struct run *run, struct trace_stack *stack,
					   uint32_t kind, uint64_t now)
{
	int64_t left;

	if (kind == FTRACE_EXT_TAIL && stack->depth) {
		stack->frames[stack->depth - 1].flags |= TRACE_FRAME_TAIL;
		return true;
	}
	left = kind == FTRACE_EXT_LEFT ? trace_stack_left(stack) : -1;
	if (left < 0)
		return false;
	close_from(run, stack, left, now);
	return true;
}

/* An exit that is not the topmost call's: close what is above it, too. */
static __attribute__((noinline)) void odd_exit(struct run *run, struct trace_stack *stack,
					       uint32_t site, uint64_t now)
{
	if (run->sites[site].active)
		close_from(run, stack, trace_stack_search(stack, site), now);
	else
		run->stats->ignored_exits++;
}

/* Push a frame as trace_stack_push() does, less what only searches and a growing stack need. */
static inline __attribute__((always_inline)) void push(struct run *run, struct trace_stack *stack,
						       uint32_t site, uint64_t now,
						       const int filtered)
{
	struct trace_frame *frame = &stack->frames[stack->depth];
	frame->flags = 0;
	frame->level = 0;
	if (filtered)
		trace_frame_place(frame, stack->depth, trace_verdict(&run->verdicts, site),
				  run->filter);
	frame->start = now;
	frame->data = 0;
	frame->site = site;
	stack->depth++;
	run->sites[site].active++;
}

static void point(struct run *run, struct trace_stack *stack, uint32_t site)
{
	struct trace_frame frame;

	if (stack->depth == stack->size && trace_stack_grow(stack))
		return;
	if (run->filter->threshold)
		return;
	push(run, stack, site, 0, 1);
	frame = stack->frames[--stack->depth];
	run->sites[site].active--;
	if (!(frame.flags & TRACE_FRAME_HIDDEN))
		run->points[site]++;
}

/* All records of one run of words. @filtered is constant: there are two copies of the loop. */
static inline __attribute__((always_inline)) int
loop(struct run *run, struct trace_thread *thread, const uint64_t *words, size_t n, uint64_t upper,
     uint64_t *last, const int filtered)
{
	struct trace_stack *stack = &thread->stack;
	uint64_t now = *last;
	size_t skipped = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t word = words[i], time = upper | (uint32_t)word;
		uint32_t site = word >> FTRACE_RECORD_SITE_SHIFT;
		unsigned event = word >> FTRACE_RECORD_EVENT_SHIFT & 3;

		if (filtered) {
			if (time < run->select->from)
				continue;
			if (time > run->select->to)
				break;
		}
		/* Damage must not turn time back: durations would wrap around. */
		now = time > now ? time : now;
		if (event == FTRACE_EVENT_EXTENDED) {
			if (!mark(run, stack, site, now))
				skipped++;
			continue;
		}
		if (__builtin_expect(site >= run->nsites, 0))
			site = unknown_site(run, site);
		if (event == FTRACE_EVENT_ENTRY) {
			if (__builtin_expect(!word, 0)) {
				skipped++;	/* a slot nobody wrote */
				continue;
			}
			if (__builtin_expect(stack->depth == stack->size, 0)) {
				int err = no_room(run, thread);

				if (err)
					return err;
			}
			push(run, stack, site, now, filtered);
		} else if (event == FTRACE_EVENT_EXIT) {
			uint32_t top = stack->depth - 1;

			if (__builtin_expect(stack->depth && stack->frames[top].site == site &&
					     !(stack->frames[top].flags & TRACE_FRAME_TAIL), 1)) {
				stack->depth = top;
				finish(run, &stack->frames[top], now, top, stack->untrusted,
				       filtered);
				if (stack->untrusted > top)
					stack->untrusted = top;
			} else {
				odd_exit(run, stack, site, now);
			}
		} else {
			point(run, stack, site);
		}
	}
	*last = now;
	run->stats->records += n - skipped;
	return 0;
}

static __attribute__((noinline)) int loop_plain(struct run *run, struct trace_thread *thread,
						const uint64_t *words, size_t n, uint64_t upper,
						uint64_t *last)
{
	return loop(run, thread, words, n, upper, last, 0);
}

static __attribute__((noinline)) int loop_filtered(struct run *run, struct trace_thread *thread,
						   const uint64_t *words, size_t n, uint64_t upper,
						   uint64_t *last)
{
	return loop(run, thread, words, n, upper, last, 1);
}

static int read_packet(struct run *run, struct trace_cursor *c, int plain)
{
	struct trace_thread *thread = trace_thread_get(&run->threads, run->process, c->packet.tid);
	uint64_t upper = c->packet.timestamp_begin & ~0xffffffffull;
	const uint64_t *words;
	size_t n;
	int err;

	if (!thread)
		return trace_error(ENOMEM, "thread %u: no memory", c->packet.tid);
	switch_thread(run, thread);
	if (c->lost || c->lost_packets) {
		run->stats->lost += c->lost;
		trace_stack_distrust(&thread->stack);
	}
	while ((n = trace_cursor_records(c, &words))) {
		err = (plain ? loop_plain : loop_filtered)(run, thread, words, n, upper,
							   &thread->user[0]);
		if (err)
			return err;
	}
	return 0;
}

/* The process is through: its sites become functions of the recording. */
static int merge_sites(struct run *run, const struct trace_map *map, int raw_names)
{
	for (uint32_t i = 0; i < run->nsites; i++) {
		struct site *site = &run->sites[i];
		uint64_t calls = site->timed + run->unfinished[i] + run->points[i];
		const struct trace_object *object;
		const struct trace_site *known;
		struct trace_function *f;

		if (!calls)
			continue;
		known = trace_map_site(map, i);
		object = trace_map_site_object(map, i);
		f = trace_stats_function(run->stats, trace_map_name(map, i, raw_names), known,
				object ? object->path : "");
		if (!f)
			return -ENOMEM;
		f->calls += calls;
		f->timed += site->timed;
		f->unfinished += run->unfinished[i];
		f->total += site->total;
		f->self += site->self;
		f->sum += site->sum;
		if (site->timed && site->min < f->min)
			f->min = site->min;
		if (site->max > f->max)
			f->max = site->max;
		if (site->histogram) {
			trace_histogram_merge(&f->histogram, site->histogram);
			trace_histogram_free(site->histogram);
			free(site->histogram);
			site->histogram = NULL;
		}
		run->stats->calls += calls;
	}
	return 0;
}

static int read_process(struct run *run, struct trace_recording *recording, int raw_names,
			uint64_t *done)
{
	const struct trace_map *map = trace_process_map(recording, run->process);
	int plain = trace_filter_is_empty(run->filter) && run->select->from == 0 &&
		    run->select->to == UINT64_MAX;
	struct trace_merge merge = { 0 };
	struct trace_cursor *c;
	int err = -ENOMEM;

	if (!map || resize(run, trace_map_end(map)) ||
	    trace_verdicts_init(&run->verdicts, run->filter, map))
		goto no_memory;
	err = trace_merge_open(&merge, recording, run->process, run->select);
	if (err)
		goto out;
	while ((c = trace_merge_packet(&merge))) {
		trace_progress("reading", *done + merge.bytes, recording->size);
		err = read_packet(run, c, plain);
		if (err)
			goto out;
	}
	switch_thread(run, NULL);
	for (size_t i = 0; i < run->threads.size; i++) {
		struct trace_thread *thread = run->threads.slots[i];

		if (!thread)
			continue;
		switch_thread(run, thread);
		while (thread->stack.depth)
			give_up(run, &thread->stack);
		run->stats->threads++;
	}
	err = merge_sites(run, map, raw_names);
	if (!err)
		goto out;
no_memory:
	trace_error(-err, "%s: %s", run->process->name, strerror(-err));
out:
	*done += run->process->size;
	trace_merge_close(&merge);
	trace_verdicts_free(&run->verdicts);
	trace_threads_free(&run->threads);
	for (uint32_t i = 0; i < run->nsites; i++)
		if (run->sites[i].histogram) {
			trace_histogram_free(run->sites[i].histogram);
			free(run->sites[i].histogram);
		}
	free(run->sites);
	free(run->unfinished);
	free(run->points);
	return err;
}

int trace_stats(struct trace_stats *stats, struct trace_recording *recording,
		const struct trace_select *select, const struct trace_filter *filter, int raw_names)
{
	uint64_t done = 0;
	int err = 0;

	memset(stats, 0, sizeof(*stats));
	for (size_t i = 0; !err && i < recording->nprocesses; i++) {
		struct run run = {
			.stats = stats, .filter = filter, .select = select,
			.process = &recording->processes[i],
		};

		if (trace_select_process(select, run.process))
			err = read_process(&run, recording, raw_names, &done);
	}
	trace_progress_end();
	if (err)
		trace_stats_free(stats);
	return err;
}

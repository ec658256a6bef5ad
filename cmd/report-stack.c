/* SPDX-License-Identifier: MIT */
/* The deepest stacks, in the look of the kernel's stack_trace. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/report-stack.h"
#include "reader/message.h"
#include "reader/results.h"

struct stack {
	struct trace_process *process;
	struct ftrace_stack_trace *trace;
	uint64_t not_followed;
};

static int deepest_first(const void *a, const void *b)
{
	const struct stack *x = a, *y = b;

	if (x->trace->depth != y->trace->depth)
		return x->trace->depth < y->trace->depth ? 1 : -1;
	return strverscmp(x->process->name, y->process->name);
}

/* "name+0x1f/0x80": where in the function the call is that goes deeper. */
static void print_location(FILE *out, const struct trace_map *map,
			   const struct trace_addresses *addresses,
			   const struct ftrace_stack_frame *frame, uint64_t inside, int raw_names)
{
	const struct trace_address *f = trace_address_find(addresses, frame->ip);
	const struct trace_site *site = f ? trace_map_site(map, f->id) : NULL;

	if (!f) {
		fprintf(out, "0x%" PRIx64, frame->ip);
		return;
	}
	fprintf(out, "%s%s%s", cmd_color(COLOR_NAME), trace_map_name(map, f->id, raw_names),
		cmd_color(COLOR_NONE));
	/* The call may have come from a function in between that is not traced. */
	if (site->size && inside > f->lo && inside <= f->hi)
		fprintf(out, "+0x%" PRIx64 "/0x%" PRIx64, inside - f->lo, site->size);
}

static void print_stack(FILE *out, const struct stack *s, const struct trace_map *map,
			const struct trace_addresses *addresses, int raw_names)
{
	const struct ftrace_stack_trace *t = s->trace;
	const struct ftrace_stack_frame *last = &t->frames[t->nframes - 1];
	uint64_t depth = t->depth;

	fprintf(out, "%s# %s, thread %u%s%s\n", cmd_color(COLOR_DIM), s->process->name, t->tid,
		t->top ? "" : ": on a stack whose beginning is not known", cmd_color(COLOR_NONE));
	fprintf(out, "        Depth    Size   Location    (%u entries)\n"
		"        -----    ----   --------\n", t->first + t->nframes);
	for (uint32_t i = 0; i < t->nframes; i++) {
		uint64_t size = i ? t->frames[i].sp - t->frames[i - 1].sp : 0;

		fprintf(out, "%3u) %8" PRIu64 " %7" PRIu64 "   ", i, depth, size);
		print_location(out, map, addresses, &t->frames[i],
			       i ? t->frames[i - 1].parent_ip : 0, raw_names);
		putc('\n', out);
		depth -= size;
	}
	if (t->first)
		fprintf(out, "     %8" PRIu64 "           %s(%u functions further out are not shown)%s\n",
			depth, cmd_color(COLOR_DIM), t->first, cmd_color(COLOR_NONE));
	else if (t->top > last->sp)
		fprintf(out, "     %8" PRIu64 " %7" PRIu64 "   %s(before the outermost traced function)%s\n",
			depth, t->top - last->sp, cmd_color(COLOR_DIM), cmd_color(COLOR_NONE));
	if (s->not_followed)
		fprintf(out, "%s# %" PRIu64 " CALLS COULD NOT BE FOLLOWED FOR WANT OF MEMORY: the stack may have been deeper than this%s\n",
			cmd_color(COLOR_LOST), s->not_followed, cmd_color(COLOR_NONE));
}

/* All stacks of the recording; their number or a negative errno. */
static long collect(struct trace_recording *recording, struct stack *stacks)
{
	long n = 0;

	for (size_t i = 0; i < recording->nprocesses; i++) {
		struct trace_process *process = &recording->processes[i];
		int err = trace_stack_read(recording, process, &stacks[n].trace,
					   &stacks[n].not_followed);

		if (err == -EINVAL)
			trace_warn("%s/%s/.stack: damaged; left out", recording->path,
				   process->name);
		else if (err == -ENOMEM)
			return err;
		if (err)
			continue;
		stacks[n++].process = process;
	}
	qsort(stacks, (size_t)n, sizeof(*stacks), deepest_first);
	return n;
}

int report_stack(FILE *out, struct trace_recording *recording, int only_one, int raw_names)
{
	struct stack *stacks = calloc(recording->nprocesses + 1, sizeof(*stacks));
	long n = stacks ? collect(recording, stacks) : -ENOMEM;

	if (n < 0)
		cmd_error("%s: %s", recording->path, strerror((int)-n));
	for (long i = 0; i < n && (i == 0 || !only_one); i++) {
		const struct trace_map *map = trace_process_map(recording, stacks[i].process);
		struct trace_addresses addresses;

		if (!map || trace_addresses_init(&addresses, map)) {
			cmd_error("%s: no memory", recording->path);
			n = -1;
			break;
		}
		if (i)
			putc('\n', out);
		print_stack(out, &stacks[i], map, &addresses, raw_names);
		trace_addresses_free(&addresses);
	}
	for (size_t i = 0; stacks && i < recording->nprocesses; i++)
		free(stacks[i].trace);
	free(stacks);
	return n < 0 ? -1 : (int)n;
}

/* SPDX-License-Identifier: MIT */
/* Building the call graph; packets by time within a process, as for the statistics. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/callgraph.h"
#include "reader/message.h"
#include "reader/threads.h"

#define MAX_NODES	(1u << 20)

/* A table from two numbers to one, open addressing; 0 is no value. */
struct table {
	struct slot {
		uint64_t key;
		uint32_t value;
	} *slots;
	size_t size, count;
};

struct build {
	struct trace_callgraph *graph;
	struct table children;		/* (node, function) -> node, ancestors for recursion */
	uint32_t *active;		/* by node: open frames of the thread being read */
	uint32_t nodes_size, functions_size;
	uint32_t *by_name;		/* hash table of functions, index + 1 */
	size_t by_name_size;
	/* Of the process being read. */
	struct trace_process *process;
	const struct trace_map *map;
	uint32_t *functions;		/* by site: index + 1 */
	uint32_t nsites;
	struct trace_verdicts verdicts;
	struct trace_threads threads;
	struct trace_thread *thread;
	const struct trace_filter *filter;
	const struct trace_select *select;
	int raw_names;
};

static size_t mix(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ key >> 32;
}

static uint32_t *look_up(struct table *table, uint64_t key)
{
	size_t at;

	if (table->count * 2 >= table->size) {
		struct table bigger = { .size = table->size ? table->size * 2 : 1024,
					.count = table->count };

		bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
		if (!bigger.slots)
			return NULL;
		for (size_t i = 0; i < table->size; i++) {
			if (!table->slots[i].value)
				continue;
			at = mix(table->slots[i].key) & (bigger.size - 1);
			while (bigger.slots[at].value)
				at = (at + 1) & (bigger.size - 1);
			bigger.slots[at] = table->slots[i];
		}
		free(table->slots);
		*table = bigger;
	}
	at = mix(key) & (table->size - 1);
	while (table->slots[at].value && table->slots[at].key != key)
		at = (at + 1) & (table->size - 1);
	table->slots[at].key = key;
	return &table->slots[at].value;
}

/* @array: address of a pointer. Make it hold at least one more than @count elements. */
static int reserve(void *array, uint32_t *size, uint32_t count, size_t element)
{
	uint32_t bigger = *size ? *size * 2 : 256;
	void *p;

	if (count < *size)
		return 0;
	memcpy(&p, array, sizeof(p));
	p = reallocarray(p, bigger, element);
	if (!p)
		return -ENOMEM;
	memcpy(array, &p, sizeof(p));
	*size = bigger;
	return 0;
}

static uint32_t new_node(struct build *b, uint32_t parent, uint32_t function)
{
	struct trace_callgraph *graph = b->graph;
	uint32_t active_size = b->nodes_size, n = graph->nnodes;

	if (reserve(&b->active, &active_size, n, sizeof(*b->active)) ||
	    reserve(&graph->nodes, &b->nodes_size, n, sizeof(*graph->nodes)))
		return 0;
	memset(&graph->nodes[n], 0, sizeof(graph->nodes[n]));
	b->active[n] = 0;
	graph->nodes[n].function = function;
	graph->nodes[n].parent = parent;
	graph->nnodes++;
	if (n) {
		graph->nodes[n].next = graph->nodes[parent].child;
		graph->nodes[parent].child = n;
	}
	return n;
}

/* The node for a call of @function from @parent. */
static uint32_t node_of(struct build *b, uint32_t parent, uint32_t function)
{
	struct trace_callgraph *graph = b->graph;
	uint32_t *value, node;

	value = look_up(&b->children, (uint64_t)parent << 32 | function);
	if (!value)
		return parent;
	if (*value)
		return *value;
	b->children.count++;
	for (node = parent; node; node = graph->nodes[node].parent)
		if (graph->nodes[node].function == function)
			return *value = node;
	node = graph->nnodes < MAX_NODES ? new_node(b, parent, function) : 0;
	if (!node)
		b->children.count--;
	return node ? (*value = node) : parent;
}

static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h ^ h >> 32;
}

/* The function called @name, new if need be; UINT32_MAX without memory. */
static uint32_t function_named(struct build *b, const char *name, const char *symbol)
{
	struct trace_callgraph *graph = b->graph;
	uint32_t symbols_size = b->functions_size;
	size_t at;

	if (graph->nfunctions * 2ull >= b->by_name_size) {
		size_t size = b->by_name_size ? b->by_name_size * 2 : 1024;
		uint32_t *table = calloc(size, sizeof(*table));

		if (!table)
			return UINT32_MAX;
		for (uint32_t i = 0; i < graph->nfunctions; i++) {
			at = hash(graph->functions[i]) & (size - 1);
			while (table[at])
				at = (at + 1) & (size - 1);
			table[at] = i + 1;
		}
		free(b->by_name);
		b->by_name = table;
		b->by_name_size = size;
	}
	at = hash(name) & (b->by_name_size - 1);
	for (; b->by_name[at]; at = (at + 1) & (b->by_name_size - 1))
		if (!strcmp(graph->functions[b->by_name[at] - 1], name))
			return b->by_name[at] - 1;
	if (reserve(&graph->symbols, &symbols_size, graph->nfunctions, sizeof(char *)) ||
	    reserve(&graph->functions, &b->functions_size, graph->nfunctions, sizeof(char *)))
		return UINT32_MAX;
	graph->functions[graph->nfunctions] = strdup(name);
	if (!graph->functions[graph->nfunctions])
		return UINT32_MAX;
	graph->symbols[graph->nfunctions] = symbol;
	b->by_name[at] = ++graph->nfunctions;
	return graph->nfunctions - 1;
}

static uint32_t function_of(struct build *b, uint32_t site)
{
	const struct trace_site *known;
	uint32_t function;

	if (site < b->nsites && b->functions[site])
		return b->functions[site] - 1;
	known = trace_map_site(b->map, site);
	function = function_named(b, trace_map_name(b->map, site, b->raw_names),
				  known ? known->name : "");
	if (site < b->nsites && function != UINT32_MAX)
		b->functions[site] = function + 1;
	return function;
}

/*
 * A frame's data is the time in its callees, and its node is kept beside: frames and nodes grow
 * together. user[1] of the thread points to the array of nodes.
 */
static uint32_t *nodes_of(struct trace_thread *thread)
{
	return (uint32_t *)(uintptr_t)thread->user[1];
}

static void switch_thread(struct build *b, struct trace_thread *thread)
{
	if (b->thread == thread)
		return;
	if (b->thread)
		for (uint32_t i = 0; i < b->thread->stack.depth; i++)
			b->active[nodes_of(b->thread)[i]]--;
	b->thread = thread;
	if (thread)
		for (uint32_t i = 0; i < thread->stack.depth; i++)
			b->active[nodes_of(thread)[i]]++;
}

static void close_top(struct build *b, struct trace_thread *thread, uint64_t now, int known)
{
	struct trace_stack *stack = &thread->stack;
	uint32_t top = stack->depth - 1, id = nodes_of(thread)[top];
	struct trace_frame *frame = &stack->frames[top];
	struct trace_node *node = &b->graph->nodes[id];
	uint64_t ticks = now > frame->start ? now - frame->start : 0;

	b->active[id]--;
	if (top < stack->untrusted)
		known = 0;
	trace_stack_pop(stack);
	if (frame->flags & TRACE_FRAME_HIDDEN || (known && ticks < b->filter->threshold)) {
		if (top)
			frame[-1].data += frame->data;
		return;
	}
	node->calls++;
	if (b->active[id])
		node->recursive++;
	if (!known) {
		node->unfinished++;
		return;
	}
	if (top)
		frame[-1].data += ticks;
	if (!b->active[id])
		node->total += ticks;
	node->self += ticks > frame->data ? ticks - frame->data : 0;
}

static int enter(struct build *b, struct trace_thread *thread, uint32_t site, uint64_t now)
{
	struct trace_stack *stack = &thread->stack;
	uint32_t size = stack->size, parent, function, node, *nodes;
	struct trace_frame *frame;

	frame = trace_stack_push(stack, site, now, trace_verdict(&b->verdicts, site), b->filter);
	if (!frame && stack->depth >= TRACE_STACK_MAX) {
		trace_warn("thread %u: more than %u calls open; the innermost are forgotten",
			   thread->tid, stack->depth);
		while (stack->depth > TRACE_STACK_MAX / 2)
			close_top(b, thread, now, 0);
		frame = trace_stack_push(stack, site, now, trace_verdict(&b->verdicts, site),
					 b->filter);
	}
	if (!frame)
		return -ENOMEM;
	if (stack->size != size) {
		nodes = reallocarray(nodes_of(thread), stack->size, sizeof(*nodes));
		if (!nodes) {
			trace_stack_pop(stack);
			return -ENOMEM;
		}
		thread->user[1] = (uintptr_t)nodes;
	}
	nodes = nodes_of(thread);
	parent = stack->depth > 1 ? nodes[stack->depth - 2] : 0;
	node = parent;
	if (!(frame->flags & TRACE_FRAME_HIDDEN)) {
		function = function_of(b, site);
		if (function == UINT32_MAX)
			return -ENOMEM;
		node = node_of(b, parent, function);
		if (b->graph->nodes[node].function != function)
			b->graph->merged++;
	}
	nodes[stack->depth - 1] = node;
	b->active[node]++;
	return 0;
}

static int record(struct build *b, struct trace_thread *thread, uint64_t word, uint64_t now)
{
	struct trace_stack *stack = &thread->stack;
	uint32_t site = word >> FTRACE_RECORD_SITE_SHIFT;
	int64_t i;
	int err;

	switch (word >> FTRACE_RECORD_EVENT_SHIFT & 3) {
	case FTRACE_EVENT_ENTRY:
		return enter(b, thread, site, now);
	case FTRACE_EVENT_EXIT:
		i = trace_stack_find(stack, site);
		while (i >= 0 && (int64_t)stack->depth > i)
			close_top(b, thread, now, 1);
		return 0;
	case FTRACE_EVENT_FUNCTION:
		if (b->filter->threshold)
			return 0;
		err = enter(b, thread, site, now);
		if (!err)
			close_top(b, thread, now, 0);
		return err;
	default:
		if (site == FTRACE_EXT_TAIL && stack->depth)
			stack->frames[stack->depth - 1].flags |= TRACE_FRAME_TAIL;
		i = site == FTRACE_EXT_LEFT ? trace_stack_left(stack) : -1;
		while (i >= 0 && (int64_t)stack->depth > i)
			close_top(b, thread, now, 1);
		return 0;
	}
}

static int read_packet(struct build *b, struct trace_cursor *c)
{
	struct trace_thread *thread = trace_thread_get(&b->threads, b->process, c->packet.tid);
	uint64_t upper = c->packet.timestamp_begin & ~0xffffffffull;
	const uint64_t *words;
	size_t n;

	if (!thread)
		return -ENOMEM;
	switch_thread(b, thread);
	if (c->lost || c->lost_packets) {
		b->graph->lost += c->lost;
		trace_stack_distrust(&thread->stack);
	}
	while ((n = trace_cursor_records(c, &words))) {
		for (size_t i = 0; i < n; i++) {
			uint64_t time = upper | (uint32_t)words[i];
			int err;

			if (trace_is_unwritten(words[i]) || time < b->select->from)
				continue;
			if (time > b->select->to)
				break;
			if (time < thread->user[0])
				time = thread->user[0];
			thread->user[0] = time;
			err = record(b, thread, words[i], time);
			if (err)
				return err;
		}
	}
	return 0;
}

static int read_process(struct build *b, struct trace_recording *recording, uint64_t *done)
{
	struct trace_merge merge = { 0 };
	struct trace_cursor *c;
	int err = -ENOMEM;

	b->map = trace_process_map(recording, b->process);
	if (!b->map)
		return err;
	b->nsites = trace_map_end(b->map);
	b->functions = calloc(b->nsites, sizeof(*b->functions));
	if (!b->functions || trace_verdicts_init(&b->verdicts, b->filter, b->map))
		goto out;
	err = trace_merge_open(&merge, recording, b->process, b->select);
	while (!err && (c = trace_merge_packet(&merge))) {
		trace_progress("reading", *done + merge.bytes, recording->size);
		err = read_packet(b, c);
	}
	trace_merge_close(&merge);
	for (size_t i = 0; i < b->threads.size; i++) {
		struct trace_thread *thread = b->threads.slots[i];

		if (!thread)
			continue;
		switch_thread(b, thread);
		while (thread->stack.depth)
			close_top(b, thread, 0, 0);
		free(nodes_of(thread));
	}
out:
	b->thread = NULL;
	trace_threads_free(&b->threads);
	trace_verdicts_free(&b->verdicts);
	free(b->functions);
	b->functions = NULL;
	*done += b->process->size;
	return err;
}

int trace_callgraph(struct trace_callgraph *graph, struct trace_recording *recording,
		    const struct trace_select *select, const struct trace_filter *filter,
		    int raw_names)
{
	struct build b = { .graph = graph, .filter = filter, .select = select,
			   .raw_names = raw_names };
	uint64_t done = 0;
	int err = 0;

	memset(graph, 0, sizeof(*graph));
	new_node(&b, 0, UINT32_MAX);
	if (!graph->nnodes)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < recording->nprocesses; i++) {
		b.process = &recording->processes[i];
		if (trace_select_process(select, b.process))
			err = read_process(&b, recording, &done);
	}
	trace_progress_end();
	free(b.children.slots);
	free(b.active);
	free(b.by_name);
	if (!err)
		return 0;
	trace_callgraph_free(graph);
	return trace_error(-err, "%s: %s", recording->path, strerror(-err));
}

void trace_callgraph_free(struct trace_callgraph *graph)
{
	for (uint32_t i = 0; i < graph->nfunctions; i++)
		free((char *)graph->functions[i]);
	free(graph->functions);
	free(graph->symbols);
	free(graph->nodes);
	memset(graph, 0, sizeof(*graph));
}

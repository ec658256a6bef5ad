/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "reader/threads.h"

static size_t slot_of(const struct trace_threads *threads, const struct trace_process *process,
		      uint32_t tid)
{
	uint64_t hash = ((uintptr_t)process >> 4) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ tid) * 0x9e3779b97f4a7c15ull;
	return hash >> 32 & (threads->size - 1);
}

static int enlarge(struct trace_threads *threads)
{
	struct trace_threads bigger = { .size = threads->size ? threads->size * 2 : 64 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -1;
	for (size_t i = 0; i < threads->size; i++) {
		struct trace_thread *t = threads->slots[i];
		size_t at;

		if (!t)
			continue;
		for (at = slot_of(&bigger, t->process, t->tid); bigger.slots[at];)
			at = (at + 1) & (bigger.size - 1);
		bigger.slots[at] = t;
	}
	free(threads->slots);
	threads->slots = bigger.slots;
	threads->size = bigger.size;
	return 0;
}

struct trace_thread *trace_thread_find(struct trace_threads *threads,
				       const struct trace_process *process, uint32_t tid)
{
	struct trace_thread *t;
	size_t at;

	if (threads->count * 2 >= threads->size && enlarge(threads))
		return NULL;
	for (at = slot_of(threads, process, tid); (t = threads->slots[at]);
	     at = (at + 1) & (threads->size - 1))
		if (t->tid == tid && t->process == process)
			return threads->last = t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->process = process;
	t->tid = tid;
	threads->slots[at] = t;
	threads->count++;
	return threads->last = t;
}

void trace_threads_free(struct trace_threads *threads)
{
	for (size_t i = 0; i < threads->size; i++) {
		if (!threads->slots[i])
			continue;
		trace_stack_free(&threads->slots[i]->stack);
		free(threads->slots[i]);
	}
	free(threads->slots);
	memset(threads, 0, sizeof(*threads));
}

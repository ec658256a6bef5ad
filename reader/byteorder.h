/* SPDX-License-Identifier: MIT */
/* Recordings of machines with the other byte order: what is read of them, turned round. */
#ifndef TRACE_BYTEORDER_H
#define TRACE_BYTEORDER_H

#include <ftrace/trace-format.h>
#include <ftrace/trace-results.h>

#define TRACE_BIG_HOST	(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

#define TRACE_SWAP(x)								\
	((x) = _Generic((x), uint64_t: __builtin_bswap64(x), uint32_t: __builtin_bswap32(x)))

static inline void trace_swap_packet(struct ftrace_packet *h)
{
	TRACE_SWAP(h->magic);
	TRACE_SWAP(h->stream_id);
	TRACE_SWAP(h->timestamp_begin);
	TRACE_SWAP(h->timestamp_end);
	TRACE_SWAP(h->content_size);
	TRACE_SWAP(h->packet_size);
	TRACE_SWAP(h->events_discarded);
	TRACE_SWAP(h->packet_seq_num);
	TRACE_SWAP(h->tid);
	TRACE_SWAP(h->reserved);
}

/* All but the magic number, which keeps telling. */
static inline void trace_swap_map(struct ftrace_map_header *h)
{
	TRACE_SWAP(h->map_len);
	TRACE_SWAP(h->pid);
	TRACE_SWAP(h->gen);
	TRACE_SWAP(h->parent_pid);
	TRACE_SWAP(h->parent_gen);
	TRACE_SWAP(h->inherited);
	TRACE_SWAP(h->nrings);
	TRACE_SWAP(h->state);
	TRACE_SWAP(h->start_ticks);
	TRACE_SWAP(h->start_mono_ns);
	TRACE_SWAP(h->start_real_ns);
	TRACE_SWAP(h->calls_unshadowed);
	TRACE_SWAP(h->calls_dropped);
	TRACE_SWAP(h->threads_unrecorded);
	TRACE_SWAP(h->records_lost);
	TRACE_SWAP(h->untraceable);
	TRACE_SWAP(h->word_size);
}

/* Was the recording that @h is of made on a big-endian machine? As this one, where there is no map. */
static inline int trace_map_is_big(const struct ftrace_map_header *h)
{
	return TRACE_BIG_HOST ^ (h->magic == __builtin_bswap64(FTRACE_MAP_MAGIC));
}

static inline void trace_swap_stack(struct ftrace_stack_trace *t)
{
	TRACE_SWAP(t->depth);
	TRACE_SWAP(t->top);
	TRACE_SWAP(t->tid);
	TRACE_SWAP(t->nframes);
	TRACE_SWAP(t->first);
	for (uint32_t i = 0; i < FTRACE_STACK_FRAMES; i++) {
		TRACE_SWAP(t->frames[i].ip);
		TRACE_SWAP(t->frames[i].parent_ip);
		TRACE_SWAP(t->frames[i].sp);
	}
}

/* Records as they lie in the file become what a little-endian machine's are as numbers. */
static inline void trace_turn_records(uint64_t *words, size_t n, int swapped)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = swapped ? __builtin_bswap64(words[i]) : words[i];
		uint32_t id = (uint32_t)word;

		/* The other form, see trace-format.h; each machine writes that of its byte order. */
		if (TRACE_BIG_HOST ^ !!swapped)
			word = word >> 32 | (uint64_t)(id << 2 | id >> 30) << 32;
		words[i] = word;
	}
}

#endif /* TRACE_BYTEORDER_H */

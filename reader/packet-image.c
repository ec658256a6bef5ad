/* SPDX-License-Identifier: MIT */
/* Packets as they go to stream files; packet-image.h tells the contract. */
#include <string.h>

#include <ftrace/trace-event.h>

#include "reader/packet-image.h"

/* Two words at a time: any processor of 64 bits has registers for that, and others do it one by one. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

static int is_padding(uint64_t word)
{
	return ftrace_record_id_event(word) ==
	       FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
}

/* Entries have an even event id: FTRACE_EVENT_ENTRY, FTRACE_EVENT_FUNCTION. */
#define ODD_EVENT	((uint64_t)FTRACE_RECORD_ID(1, 0))

static size_t count_calls(const uint64_t *records, size_t count)
{
	size_t calls = 0;

	for (size_t i = 0; i < count; i++)
		calls += ~ftrace_record_id_event(records[i]) & 1;
	return calls;
}

/*
 * Is there a word that nobody wrote? And how many are calls (right only if not)? One pass without a
 * branch, for the usual case. A word is unwritten if its id, 32 bits of it, is all ones, or if it is all 0: then
 * its id is 0 as well, which no record's is. So id + 1 is 0 or 1 when cut to 32 bits.
 */
static int has_unwritten(const uint64_t *records, size_t count, size_t *calls)
{
	pair small = { 0 }, odd = { 0 };
	size_t i, all;

	for (i = 0; i + 2 <= count; i += 2) {
		pair id = *(const pair *)(records + i) >> FTRACE_RECORD_ID_AT;

		/* Less 1, only 0 has its upper bits set. */
		small |= ((id + 1) & 0xfffffffe) - 1;
		odd += id & ODD_EVENT;
	}
	all = odd[0] / ODD_EVENT + odd[1] / ODD_EVENT;
	*calls = i - all + count_calls(records + i, count - i);
	return (small[0] | small[1]) >> 63 || (i < count && ftrace_is_unwritten(records[i]));
}

/* Records: no trailing padding, no unwritten word, which a reader takes for a wrapped clock. */
static void take_records(struct packet_image *image, const uint64_t *records, size_t count,
			 uint64_t *scratch)
{
	if (has_unwritten(records, count, &image->calls)) {
		size_t used = 0;

		for (size_t i = 0; i < count; i++) {
			uint64_t word = records[i];

			if (!ftrace_is_unwritten(word))
				scratch[used++] = word;
		}
		records = scratch;
		count = used;
		image->calls = count_calls(records, count);
	}
	while (count && is_padding(records[count - 1]))
		count--;
	image->records = records;
	image->count = image->events = count;
	image->slack = 0;
	image->first = count ? ftrace_record_tick(records[0]) : 0;
	image->last = count ? ftrace_record_tick(records[count - 1]) : 0;
}

/*
 * Events: as far as each header leads to the next, without padding. They are copied: the one that is
 * being written may become complete while we look.
 */
static void take_events(struct packet_image *image, const uint64_t *records, size_t count,
			uint64_t *scratch)
{
	size_t used = 0, at = 0;

	image->events = image->slack = image->calls = 0;
	while (at < count) {
		uint64_t header = __atomic_load_n(&records[at], __ATOMIC_ACQUIRE);
		size_t words = 1 + ftrace_event_words(header);

		if (ftrace_is_unwritten(header) || words > count - at)
			break;
		if (ftrace_event_id(header) != FTRACE_EVENT_PADDING) {
			scratch[used] = header;
			memcpy(scratch + used + 1, records + at + 1, (words - 1) * sizeof(*records));
			if (!image->events++)
				image->first = ftrace_record_tick(header);
			image->last = ftrace_record_tick(header);
			image->slack = 8 * (words - 1) - ftrace_event_bytes(header);
			used += words;
		}
		at += words;
	}
	image->records = scratch;
	image->count = used;
}

void packet_image(struct packet_image *image, const struct ftrace_packet *packet, size_t count,
		  uint64_t k, uint32_t stream_id, uint64_t *scratch)
{
	const uint64_t *records = (const uint64_t *)(packet + 1);
	struct ftrace_packet *h = &image->header;

	*h = *packet;
	if (stream_id == FTRACE_STREAM_EVENTS)
		take_events(image, records, count, scratch);
	else
		take_records(image, records, count, scratch);
	if (image->events) {
		uint64_t upper = h->timestamp_begin & ~0xffffffffull;
		uint64_t first = upper | image->first, last = upper | image->last;

		if (h->timestamp_begin > first)
			h->timestamp_begin = first;
		if (h->timestamp_end < last)
			h->timestamp_end = last;
	}
	if (h->timestamp_end < h->timestamp_begin)
		h->timestamp_end = h->timestamp_begin;
	h->magic = FTRACE_PACKET_MAGIC;
	h->stream_id = stream_id;
	h->packet_size = (PACKET_HEADER + image->count * sizeof(uint64_t)) * 8;
	/* Not one bit more than the last event: readers take what follows for another. */
	h->content_size = h->packet_size - image->slack * 8;
	h->packet_seq_num = k;
	h->reserved = 0;
}

size_t packet_count(const struct ftrace_packet *packet, size_t count, uint32_t stream_id)
{
	const uint64_t *records = (const uint64_t *)(packet + 1);
	size_t n = 0;

	if (stream_id != FTRACE_STREAM_EVENTS)
		return count;
	for (size_t at = 0; at < count; at += 1 + ftrace_event_words(records[at]))
		n += ftrace_event_id(records[at]) != FTRACE_EVENT_PADDING;
	return n;
}

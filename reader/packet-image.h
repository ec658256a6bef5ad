/* SPDX-License-Identifier: MIT */
/* A packet as it goes to a stream file: a header of our own making, and the records where they lie. */
#ifndef TRACE_PACKET_IMAGE_H
#define TRACE_PACKET_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include <ftrace/trace-format.h>

#define PACKET_HEADER	sizeof(struct ftrace_packet)
#define PACKET_RECORDS	((FTRACE_PACKET_SIZE - PACKET_HEADER) / sizeof(uint64_t))

struct packet_image {
	struct ftrace_packet header;
	const uint64_t *records;	/* PACKET_RECORDS words may be read here, if any */
	size_t count;			/* words of them that are of meaning */
	size_t events;			/* records, or events of several words */
	size_t calls;			/* records of functions that were entered */
	size_t slack;			/* bytes of the last word that are no payload */
	uint32_t first, last;		/* ticks of the first and the last one */
};

/*
 * Make @image of packet number @k, whose writer has left @count words in it: without padding at the end
 * and without words that nobody wrote, and with timestamps that enclose the records. @scratch has room
 * for PACKET_RECORDS words; image->records == @scratch tells that it was needed.
 */
void packet_image(struct packet_image *image, const struct ftrace_packet *packet, size_t count,
		  uint64_t k, uint32_t stream_id, uint64_t *scratch);

/* Records or events in the first @count words of a packet. */
size_t packet_count(const struct ftrace_packet *packet, size_t count, uint32_t stream_id);

#endif /* TRACE_PACKET_IMAGE_H */

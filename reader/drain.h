/* SPDX-License-Identifier: MIT */
/*
 * Draining: moving packets from a ring in shared memory to a stream file.
 *
 * The recorder does it while the traced process runs; the next reader does it for a recorder
 * that was killed. Both use a struct trace_drain, one for each ring. Not async-signal-safe, and
 * one drain is used by one thread at a time; different drains are independent.
 *
 * What a drain relies on:
 *  - a ring's packet number k (0, 1, ...) lies in slot k % npackets, and its unwritten records
 *    hold ftrace_unwritten(k / npackets);
 *  - packets [tail, head) are complete (content_size is set); packet head is open (magic set,
 *    content_size 0), complete but not yet counted in head, or not begun (magic 0).
 *
 * What a drain promises:
 *  - a packet is given back (unwritten records of the next lap, header all zeros, then tail + 1
 *    with release order, then a wake-up of a writer that set writer_waits) only after its
 *    bytes were written to the file;
 *  - the file holds whole packets only: a write that fails halfway is cut off again;
 *  - packet_seq_num in the file is the packet's number k. A drain that opens an existing stream file
 *    continues behind its last whole packet and never writes one packet twice, so a drain that
 *    was killed at any moment can be repeated;
 *  - a packet in the file reads well whatever its writer was doing when it died: trailing
 *    padding and unwritten records are not in its content, timestamps enclose
 *    the records;
 *  - behind the content there may be bytes of no meaning, so that in a long file packets begin with a
 *    page: packet_size tells where the next one is.
 */
#ifndef TRACE_DRAIN_H
#define TRACE_DRAIN_H

#include <stdint.h>
#include <sys/types.h>

#include <ftrace/trace-format.h>

struct trace_drain {
	/* For the caller to read. */
	uint64_t file_size;	/* bytes in the stream file, whole packets */
	uint64_t records;	/* records or events written by this drain, padding not counted */
	uint64_t calls;		/* of them: entries of functions */
	uint64_t packets;	/* packets written by this drain */
	uint64_t lost;		/* records given back without having been written */

	/* Private. */
	struct ftrace_ring *ring;
	size_t ring_size;	/* bytes mapped */
	uint64_t next_seq;	/* packets below this one are in the file already */
	uint64_t discarded;	/* events_discarded of the last packet in the file */
	uint64_t last_end;	/* timestamp_end of the last packet in the file */
	uint64_t allocated;	/* bytes of the file that have their room on the disk already */
	uint64_t *scratch;	/* one packet: a copy without holes */
	uint32_t npackets;	/* as checked at open; the ring's own may change under us */
	uint32_t last_tid;
	uint32_t stream_id;	/* of the ring */
	int not_ahead;		/* room is not allocated ahead */
	int fd;			/* the stream file */
};

/*
 * Map the ring open (read-write) at @ring_fd and open or create the stream file @name in the
 * directory @dirfd, for instance "stream-3"; for a ring of events it is "events-3" then. Closes neither descriptor; @ring_fd may be closed
 * afterwards.
 *
 * Returns 0; -EAGAIN if the ring's maker has not finished its header yet (magic 0: try later);
 * -EINVAL if it is no ring (magic, sizes); or the errno of mmap, openat, pread, ftruncate.
 * @d needs no trace_drain_close() after an error.
 */
int trace_drain_open(struct trace_drain *d, int ring_fd, int dirfd, const char *name);

/* Unmap and close. The file stays as it is; what was allocated for it and not used is given back. */
void trace_drain_close(struct trace_drain *d);

/*
 * Write the oldest complete packets to the file and give them back to the ring: at most @max, and of one
 * thread (@d->last_tid), so that more may be left.
 *
 * Returns how many, 0 if there was none (a ring in overwrite mode never has one here), or a
 * negative errno (-ENOSPC, -EDQUOT, -EFBIG, -EIO): all are still in the ring, and the
 * caller may try again, trace_drain_skip() one, or stop the recording.
 */
int trace_drain_packets(struct trace_drain *d, unsigned max);

static inline int trace_drain_packet(struct trace_drain *d)
{
	return trace_drain_packets(d, 1);
}

/* Complete packets that wait in the ring now (0 in overwrite mode). Cheap: two loads. */
uint64_t trace_drain_pending(const struct trace_drain *d);

/*
 * Give the oldest complete packet back without writing it, its records counted in @d->lost.
 * Later packets of the file count them as discarded. Returns 1 if there was one, 0 if not.
 */
int trace_drain_skip(struct trace_drain *d);

/*
 * The last act for a ring whose writer is gone or stopped: write all that is left, the open,
 * partial packet included; in overwrite mode the last npackets packets. Complete packets are given
 * back, the open one is only copied, so calling it beside a writer that still runs is safe:
 * what that writer adds later is not in the file. Records lost after the last packet began are in
 * the file too (events_discarded of the last packet). Call it once, then trace_drain_close().
 *
 * Returns the number of packets written, or a negative errno as trace_drain_packet().
 */
int trace_drain_rest(struct trace_drain *d);

#endif /* TRACE_DRAIN_H */

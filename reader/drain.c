/* SPDX-License-Identifier: MIT */
/* Moving packets from a ring to a stream file; drain.h tells the contract. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ftrace/trace-event.h>

#include "reader/drain.h"

#define HEADER		sizeof(struct ftrace_packet)
#define PACKET_RECORDS	((FTRACE_PACKET_SIZE - HEADER) / sizeof(uint64_t))
#define MAX_PACKETS	(1u << 20)

_Static_assert(HEADER == 64, "the metadata describes this layout");

/* A packet as it goes to the file: the header of our own making, the records where they lie. */
struct image {
	struct ftrace_packet header;
	const uint64_t *records;
	size_t count;		/* words */
	size_t events;		/* records, or events of several words */
	size_t slack;		/* bytes of the last word that are no payload */
	uint32_t first, last;	/* their ticks */
};

static struct ftrace_packet *slot_of(const struct trace_drain *d, uint64_t k)
{
	return (void *)((char *)d->ring + FTRACE_RING_HEADER_SIZE +
			(k & (d->npackets - 1)) * (size_t)FTRACE_PACKET_SIZE);
}

static int is_padding(uint64_t word)
{
	return ftrace_record_id_event(word) ==
	       FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
}

/* One branchless pass, so that the usual case, no hole at all, costs a fraction of the copy. */
static size_t count_unwritten(const uint64_t *records, size_t count)
{
	size_t holes = 0;

	for (size_t i = 0; i < count; i++)
		holes += (records[i] == 0) | ((uint32_t)(records[i] >> FTRACE_RECORD_ID_AT) == 0xffffffffu);
	return holes;
}

/* Records: no trailing padding, no unwritten word, which a reader takes for a wrapped clock. */
static void take_records(struct trace_drain *d, struct image *image, const uint64_t *records,
			 size_t count)
{
	if (count_unwritten(records, count)) {
		size_t used = 0;

		for (size_t i = 0; i < count; i++) {
			uint64_t word = records[i];

			if (!ftrace_is_unwritten(word))
				d->scratch[used++] = word;
		}
		records = d->scratch;
		count = used;
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
static void take_events(struct trace_drain *d, struct image *image, const uint64_t *records,
			size_t count)
{
	size_t used = 0, at = 0;

	image->events = image->slack = 0;
	while (at < count) {
		uint64_t header = __atomic_load_n(&records[at], __ATOMIC_ACQUIRE);
		size_t words = 1 + ftrace_event_words(header);

		if (ftrace_is_unwritten(header) || words > count - at)
			break;
		if (ftrace_event_id(header) != FTRACE_EVENT_PADDING) {
			d->scratch[used] = header;
			memcpy(d->scratch + used + 1, records + at + 1, (words - 1) * sizeof(*records));
			if (!image->events++)
				image->first = ftrace_record_tick(header);
			image->last = ftrace_record_tick(header);
			image->slack = 8 * (words - 1) - ftrace_event_bytes(header);
			used += words;
		}
		at += words;
	}
	image->records = d->scratch;
	image->count = used;
}

/*
 * Look at @count words of a packet as its writer left it and make @image of it, with timestamps that
 * enclose the records.
 */
static void make_image(struct trace_drain *d, struct image *image, const struct ftrace_packet *packet,
		       size_t count, uint64_t k)
{
	const uint64_t *records = (const uint64_t *)(packet + 1);
	struct ftrace_packet *h = &image->header;

	*h = *packet;
	if (d->stream_id == FTRACE_STREAM_EVENTS)
		take_events(d, image, records, count);
	else
		take_records(d, image, records, count);
	count = image->count;
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
	h->stream_id = d->stream_id;
	h->packet_size = (HEADER + count * sizeof(uint64_t)) * 8;
	/* Not one bit more than the last event: readers take what follows for another. */
	h->content_size = h->packet_size - image->slack * 8;
	h->packet_seq_num = k;
	h->reserved = 0;
	/* What this side could not write is lost too; the count never goes back. */
	h->events_discarded += d->lost;
	if (h->events_discarded < d->discarded)
		h->events_discarded = d->discarded;
}

/* Entries have an even event id: FTRACE_EVENT_ENTRY, FTRACE_EVENT_FUNCTION. */
static size_t count_calls(const uint64_t *records, size_t count)
{
	size_t calls = 0;

	for (size_t i = 0; i < count; i++)
		calls += ~ftrace_record_id_event(records[i]) & 1;
	return calls;
}

/* Append @image; the file is as before after an error. */
static int append(struct trace_drain *d, const struct image *image)
{
	struct iovec iov[2] = {
		{ (void *)&image->header, HEADER },
		{ (void *)image->records, image->count * sizeof(uint64_t) },
	};
	uint64_t at = d->file_size;
	int err;

	for (struct iovec *v = iov; v < iov + 2;) {
		ssize_t n = pwritev(d->fd, v, iov + 2 - v, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? errno : ENOSPC;
			goto cut;
		}
		at += n;
		while (v < iov + 2 && (size_t)n >= v->iov_len)
			n -= v++->iov_len;
		if (v < iov + 2) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= n;
		}
	}
	d->file_size = at;
	d->records += image->events;
	if (d->stream_id == FTRACE_STREAM_RECORDS)
		d->calls += count_calls(image->records, image->count);
	d->packets++;
	d->discarded = image->header.events_discarded;
	d->last_end = image->header.timestamp_end;
	d->last_tid = image->header.tid;
	d->next_seq = image->header.packet_seq_num + 1;
	return 0;
cut:
	if (ftruncate(d->fd, d->file_size))
		return -EIO;
	return -err;
}

/* Unwritten records of the next lap, then tail; pairs with the writer's acquire load of tail. */
static void give_back(struct trace_drain *d, uint64_t k)
{
	struct ftrace_packet *packet = slot_of(d, k);
	uint64_t *records = (uint64_t *)(packet + 1);
	uint64_t unwritten = ftrace_unwritten(k / d->npackets + 1);

	for (size_t i = 0; i < PACKET_RECORDS; i++)
		records[i] = unwritten;
	memset(packet, 0, HEADER);
	__atomic_store_n(&d->ring->tail, k + 1, __ATOMIC_RELEASE);
	/*
	 * The writer stores writer_waits, then looks at tail once more, then sleeps. With this
	 * fence and one on its side, one of the two sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&d->ring->writer_waits, __ATOMIC_RELAXED)) {
		__atomic_store_n(&d->ring->writer_waits, 0, __ATOMIC_RELAXED);
		syscall(SYS_futex, &d->ring->writer_waits, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
}

/* Records in a packet its writer calls complete; -1 if its header makes no sense. */
static ssize_t complete_count(const struct ftrace_packet *packet)
{
	uint64_t bits = packet->content_size;

	if (packet->magic != FTRACE_PACKET_MAGIC || bits < HEADER * 8 ||
	    bits > FTRACE_PACKET_SIZE * 8 || bits % 64)
		return -1;
	return (bits / 8 - HEADER) / sizeof(uint64_t);
}

/* Records or events in the first @count words. */
static size_t count_all(const struct trace_drain *d, const struct ftrace_packet *packet, size_t count)
{
	const uint64_t *records = (const uint64_t *)(packet + 1);
	size_t n = 0;

	if (d->stream_id != FTRACE_STREAM_EVENTS)
		return count;
	for (size_t at = 0; at < count; at += 1 + ftrace_event_words(records[at]))
		n += ftrace_event_id(records[at]) != FTRACE_EVENT_PADDING;
	return n;
}

static uint64_t tail_of(const struct trace_drain *d)
{
	return __atomic_load_n(&d->ring->tail, __ATOMIC_RELAXED);
}

uint64_t trace_drain_pending(const struct trace_drain *d)
{
	uint64_t head = __atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE);
	uint64_t pending = head - tail_of(d);

	if (d->ring->overwrite)
		return 0;
	/* A head that ran away is a ring somebody scribbled on: look at each slot at most once. */
	return pending > d->npackets ? d->npackets : pending;
}

int trace_drain_packet(struct trace_drain *d)
{
	uint64_t k = tail_of(d);
	struct ftrace_packet *packet = slot_of(d, k);
	struct image image;
	ssize_t count;
	int err;

	if (!trace_drain_pending(d))
		return 0;
	count = complete_count(packet);
	if (count < 0) {
		/* Not one that can be read: what it held is unknown, so say one record at least. */
		d->lost++;
	} else if (k >= d->next_seq) {
		make_image(d, &image, packet, count, k);
		err = append(d, &image);
		if (err)
			return err;
	}
	give_back(d, k);
	return 1;
}

int trace_drain_skip(struct trace_drain *d)
{
	uint64_t k = tail_of(d);
	ssize_t count;

	if (!trace_drain_pending(d))
		return 0;
	count = complete_count(slot_of(d, k));
	d->lost += count > 0 ? count_all(d, slot_of(d, k), count) : 1;
	give_back(d, k);
	return 1;
}

/* Words before the first record or event nobody wrote. */
static size_t open_count(const struct trace_drain *d, const struct ftrace_packet *packet)
{
	const uint64_t *records = (const uint64_t *)(packet + 1);
	size_t n = 0;

	while (n < PACKET_RECORDS) {
		uint64_t word = __atomic_load_n(&records[n], __ATOMIC_ACQUIRE);

		if (ftrace_is_unwritten(word))
			break;
		n += d->stream_id == FTRACE_STREAM_EVENTS ? 1 + ftrace_event_words(word) : 1;
	}
	return n < PACKET_RECORDS ? n : PACKET_RECORDS;
}

static uint64_t all_discarded(const struct trace_drain *d)
{
	return __atomic_load_n(&d->ring->discarded, __ATOMIC_RELAXED) + d->lost;
}

/*
 * Copy packet @k, whatever state it is in, and append it. The copy may race with a writer: in
 * overwrite mode it may take the packet back meanwhile, which head tells afterwards.
 * Returns 1 if a packet was written, 0 if there was nothing.
 */
static int copy_packet(struct trace_drain *d, struct ftrace_packet *copy, uint64_t k, uint64_t head)
{
	struct ftrace_packet *packet = slot_of(d, k);
	struct image image;
	ssize_t count;
	int err;

	if (k < d->next_seq)
		return 0;
	memcpy(copy, packet, FTRACE_PACKET_SIZE);
	if (d->ring->overwrite) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE) >= k + d->npackets)
			return 0;
	}
	if (copy->magic != FTRACE_PACKET_MAGIC)
		return 0;
	if (copy->content_size) {
		count = complete_count(copy);
		/*
		 * At head: complete, its writer died before it counted it; or in overwrite mode the
		 * oldest packet, about to be taken back, which is older than the one before it.
		 */
		if (k == head && copy->timestamp_begin < d->last_end)
			count = 0;
	} else {
		count = k == head ? (ssize_t)open_count(d, copy) : -1;
	}
	if (count < 0) {
		d->lost++;
		return 0;
	}
	if (k == head && count == 0)
		return 0;
	make_image(d, &image, copy, count, k);
	if (k == head && image.header.events_discarded < all_discarded(d))
		image.header.events_discarded = all_discarded(d);
	err = append(d, &image);
	return err ? err : 1;
}

/* Records were lost after the last packet: an empty one tells of them. */
static int append_discarded(struct trace_drain *d)
{
	struct image image = { .header = {
		.magic = FTRACE_PACKET_MAGIC,
		.stream_id = d->stream_id,
		.timestamp_begin = d->last_end,
		.timestamp_end = d->last_end,
		.content_size = HEADER * 8,
		.packet_size = HEADER * 8,
		.events_discarded = all_discarded(d),
		.packet_seq_num = d->next_seq,
		.tid = d->last_tid,
	} };

	return append(d, &image);
}

int trace_drain_rest(struct trace_drain *d)
{
	uint64_t before = d->packets;
	struct ftrace_packet *copy;
	uint64_t head, k;
	int err = 0;

	copy = malloc(FTRACE_PACKET_SIZE);
	if (!copy)
		return -ENOMEM;
	while ((err = trace_drain_packet(d)) > 0)
		;
	if (err < 0)
		goto out;
	head = __atomic_load_n(&d->ring->head, __ATOMIC_ACQUIRE);
	k = head;
	if (d->ring->overwrite)
		k = head >= d->npackets ? head - d->npackets + 1 : 0;
	for (; k <= head; k++) {
		err = copy_packet(d, copy, k, head);
		if (err < 0)
			goto out;
	}
	err = 0;
	if (d->file_size && all_discarded(d) > d->discarded)
		err = append_discarded(d);
out:
	free(copy);
	return err ? err : (int)(d->packets - before);
}

/* Is @h the header of a packet as we write them? */
static int is_whole(const struct trace_drain *d, const struct ftrace_packet *h)
{
	struct ftrace_packet full = *h;

	full.content_size = h->packet_size;
	return complete_count(&full) >= 0 && h->content_size <= h->packet_size &&
	       h->packet_size - h->content_size < (d->stream_id == FTRACE_STREAM_EVENTS ? 64 : 1);
}

/* Find the end of the last whole packet of an existing file and cut off what follows it. */
static int find_end(struct trace_drain *d)
{
	struct ftrace_packet h;
	struct stat st;

	if (fstat(d->fd, &st))
		return -errno;
	for (;;) {
		ssize_t n = pread(d->fd, &h, HEADER, d->file_size);

		if (n < 0)
			return -errno;
		if (n < (ssize_t)HEADER || !is_whole(d, &h) ||
		    d->file_size + h.packet_size / 8 > (uint64_t)st.st_size)
			break;
		d->file_size += h.packet_size / 8;
		d->discarded = h.events_discarded;
		d->last_end = h.timestamp_end;
		d->last_tid = h.tid;
		d->next_seq = h.packet_seq_num + 1;
	}
	if ((uint64_t)st.st_size > d->file_size && ftruncate(d->fd, d->file_size))
		return -errno;
	return 0;
}

int trace_drain_open(struct trace_drain *d, int ring_fd, int dirfd, const char *name)
{
	struct ftrace_ring head;
	char events[64];
	struct stat st;
	ssize_t n;
	int err;

	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->ring = MAP_FAILED;
	n = pread(ring_fd, &head, sizeof(head), 0);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(head) || head.magic == 0)
		return -EAGAIN;
	/* Only now: a ring that is being made has no size yet, and the magic number comes last. */
	if (fstat(ring_fd, &st))
		return -errno;
	if (head.magic != FTRACE_RING_MAGIC || head.npackets == 0 || head.npackets > MAX_PACKETS ||
	    head.npackets & (head.npackets - 1))
		return -EINVAL;
	if (head.stream_id > FTRACE_STREAM_EVENTS)
		return -EINVAL;
	d->stream_id = head.stream_id;
	if (d->stream_id == FTRACE_STREAM_EVENTS && !strncmp(name, "stream-", 7)) {
		snprintf(events, sizeof(events), "events-%s", name + 7);
		name = events;
	}
	d->npackets = head.npackets;
	d->ring_size = FTRACE_RING_HEADER_SIZE + (size_t)d->npackets * FTRACE_PACKET_SIZE;
	if ((uint64_t)st.st_size < d->ring_size)
		return -EINVAL;

	d->scratch = malloc(FTRACE_PACKET_SIZE);
	if (!d->scratch)
		return -ENOMEM;
	d->ring = mmap(NULL, d->ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	if (d->ring == MAP_FAILED) {
		err = -errno;
		goto fail;
	}
	d->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (d->fd < 0) {
		err = -errno;
		goto fail;
	}
	err = find_end(d);
	if (err)
		goto fail;
	return 0;
fail:
	trace_drain_close(d);
	return err;
}

void trace_drain_close(struct trace_drain *d)
{
	if (d->ring && d->ring != MAP_FAILED)
		munmap(d->ring, d->ring_size);
	if (d->fd >= 0)
		close(d->fd);
	free(d->scratch);
	d->ring = NULL;
	d->scratch = NULL;
	d->fd = -1;
}

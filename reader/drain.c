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
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ftrace/trace-event.h>

#include "reader/drain.h"
#include "reader/packet-image.h"

#define HEADER		PACKET_HEADER
#define MAX_PACKETS	(1u << 20)
#define BATCH		16u		/* packets written at once: with what is read and written in a processor's cache */
#define FILE_PAGE	4096u
#define FILE_ALIGN_FROM	(64u << 10)	/* smaller files are left as small as they are */
#define FILE_AHEAD_FROM	(1u << 20)
#define FILE_AHEAD_MAX	(64ull << 20)
#define FILE_AHEAD_SHARE	64u	/* of what is free, at most */

_Static_assert(HEADER == 64, "the metadata describes this layout");

static struct ftrace_packet *slot_of(const struct trace_drain *d, uint64_t k)
{
	return (void *)((char *)d->ring + FTRACE_RING_HEADER_SIZE +
			(k & (d->npackets - 1)) * (size_t)FTRACE_PACKET_SIZE);
}

/*
 * Have the file system find room for what comes, in pieces: it does that for each page otherwise, which
 * costs as much as the copying. The size stays; trace_drain_close() gives back what was too much.
 */
static void allocate_ahead(struct trace_drain *d, uint64_t end)
{
	uint64_t from = d->file_size > d->allocated ? d->file_size : d->allocated;
	uint64_t bytes = end < FILE_AHEAD_MAX ? end : FILE_AHEAD_MAX;
	struct statvfs fs;

	if (end <= d->allocated || end < FILE_AHEAD_FROM || d->not_ahead)
		return;
	/* Others need room, too. */
	if (fstatvfs(d->fd, &fs) || bytes / fs.f_frsize > fs.f_bavail / FILE_AHEAD_SHARE ||
	    fallocate(d->fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(end + bytes - from)))
		d->not_ahead = 1;
	else
		d->allocated = end + bytes;
}

/* Write all of @iov at the end of the file; the file is as before after an error. */
static int append_bytes(struct trace_drain *d, struct iovec *iov, int count, uint64_t bytes)
{
	struct iovec *v = iov, *end = iov + count;
	uint64_t at = d->file_size;
	int err;

	allocate_ahead(d, at + bytes);
	while (v < end) {
		ssize_t n = pwritev(d->fd, v, (int)(end - v), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? errno : ENOSPC;
			return ftruncate(d->fd, d->file_size) ? -EIO : -err;
		}
		at += n;
		while (v < end && (size_t)n >= v->iov_len)
			n -= v++->iov_len;
		if (v < end) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= n;
		}
	}
	d->file_size = at;
	return 0;
}

/*
 * A packet that is to begin at @at: how many bytes of no meaning go behind its content. One that was full
 * has one word of them, so that the next one, too, begins at a multiple of its size; one that was not
 * gets as much as is needed to have whole pages written from then on, which is faster by half.
 */
static size_t fill_of(const struct packet_image *image, uint64_t at)
{
	size_t size = HEADER + image->count * sizeof(uint64_t);
	size_t fill = -(at + size) & (FILE_PAGE - 1);

	if (image->header.stream_id == FTRACE_STREAM_EVENTS || !image->count ||
	    at + size < FILE_ALIGN_FROM - sizeof(uint64_t) || size + fill > FTRACE_PACKET_SIZE)
		return 0;
	return fill;
}

/* Append @n images, at most BATCH; the file is as before after an error. */
static int append(struct trace_drain *d, struct packet_image *images, unsigned n)
{
	struct iovec iov[2 * BATCH];
	uint64_t at = d->file_size;
	int err;

	for (unsigned i = 0; i < n; i++) {
		struct packet_image *image = &images[i];
		size_t bytes = image->count * sizeof(uint64_t) + fill_of(image, at);

		image->header.packet_size = (HEADER + bytes) * 8;
		iov[2 * i] = (struct iovec){ &image->header, HEADER };
		iov[2 * i + 1] = (struct iovec){ (void *)image->records, bytes };
		at += HEADER + bytes;
	}
	err = append_bytes(d, iov, 2 * (int)n, at - d->file_size);
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++) {
		d->records += images[i].events;
		d->calls += images[i].calls;
	}
	d->packets += n;
	d->discarded = images[n - 1].header.events_discarded;
	d->last_end = images[n - 1].header.timestamp_end;
	d->last_tid = images[n - 1].header.tid;
	d->next_seq = images[n - 1].header.packet_seq_num + 1;
	return 0;
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

/* The image of @packet, number @k, behind one that said @discarded. */
static void make_image(struct trace_drain *d, struct packet_image *image,
		       const struct ftrace_packet *packet, size_t count, uint64_t k,
		       uint64_t discarded)
{
	packet_image(image, packet, count, k, d->stream_id, d->scratch);
	/* What this side could not write is lost too; the count never goes back. */
	image->header.events_discarded += d->lost;
	if (image->header.events_discarded < discarded)
		image->header.events_discarded = discarded;
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

/* Images of packets @k and those behind it, at most @max, that one thread wrote. How many there are. */
static unsigned make_images(struct trace_drain *d, struct packet_image *images, uint64_t k,
			    unsigned max)
{
	uint64_t discarded = d->discarded;
	unsigned n = 0;

	while (n < max) {
		const struct ftrace_packet *packet = slot_of(d, k + n);
		ssize_t count = complete_count(packet);

		if (count < 0 || k + n < d->next_seq ||
		    (n && packet->tid != images[0].header.tid))
			break;
		make_image(d, &images[n], packet, count, k + n, discarded);
		discarded = images[n].header.events_discarded;
		if (images[n++].records == d->scratch)
			break;	/* there is one */
	}
	return n;
}

int trace_drain_packets(struct trace_drain *d, unsigned max)
{
	uint64_t k = tail_of(d), pending = trace_drain_pending(d);
	struct packet_image images[BATCH];
	unsigned n;
	int err;

	if (max > BATCH)
		max = BATCH;
	if (max > pending)
		max = (unsigned)pending;
	if (!max)
		return 0;
	n = make_images(d, images, k, max);
	if (!n) {
		/* Not one that can be read: what it held is unknown, so say one record at least. */
		d->lost += complete_count(slot_of(d, k)) < 0;
		give_back(d, k);
		return 1;
	}
	err = append(d, images, n);
	if (err && n > 1) {
		/* For fewer there may be room. */
		n = 1;
		err = append(d, images, n);
	}
	if (err)
		return err;
	for (unsigned i = 0; i < n; i++)
		give_back(d, k + i);
	return (int)n;
}

int trace_drain_skip(struct trace_drain *d)
{
	uint64_t k = tail_of(d);
	ssize_t count;

	if (!trace_drain_pending(d))
		return 0;
	count = complete_count(slot_of(d, k));
	d->lost += count > 0 ? packet_count(slot_of(d, k), count, d->stream_id) : 1;
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
	struct packet_image image;
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
	make_image(d, &image, copy, count, k, d->discarded);
	if (k == head && image.header.events_discarded < all_discarded(d))
		image.header.events_discarded = all_discarded(d);
	err = append(d, &image, 1);
	return err ? err : 1;
}

/* Records were lost after the last packet: an empty one tells of them. */
static int append_discarded(struct trace_drain *d)
{
	struct packet_image image = { .header = {
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

	return append(d, &image, 1);
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
	while ((err = trace_drain_packets(d, BATCH)) > 0)
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
	       h->stream_id == d->stream_id;
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
	/* Also where it ends there: a drain that was killed may have allocated more. */
	if (st.st_size && ftruncate(d->fd, d->file_size))
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

	d->scratch = calloc(1, FTRACE_PACKET_SIZE);
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
	/* Where that fails, the file takes more of the disk than it needs, no more. */
	if (d->fd >= 0 && d->allocated > d->file_size && ftruncate(d->fd, d->file_size))
		d->allocated = 0;
	if (d->fd >= 0)
		close(d->fd);
	free(d->scratch);
	d->ring = NULL;
	d->scratch = NULL;
	d->fd = -1;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ftrace/trace-event.h>

#include "reader/byteorder.h"
#include "reader/message.h"
#include "reader/stream.h"

#define HEADER		sizeof(struct ftrace_packet)
#define WINDOW_BUDGET	(64u << 20)
#define WINDOW_MIN	(16u << 10)
#define WINDOW_MAX	(256u << 10)
#define MAX_OPEN	400	/* descriptors kept; further streams open and close theirs */

static unsigned open_files;

size_t trace_window_size(size_t nstreams)
{
	size_t size = WINDOW_BUDGET / (nstreams ? nstreams : 1);

	if (size < WINDOW_MIN)
		return WINDOW_MIN;
	return size > WINDOW_MAX ? WINDOW_MAX : size & ~(size_t)4095;
}

static int open_file(struct trace_cursor *c)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", c->process->name, c->file->name);
	fd = openat(c->recording->dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int open_cursor(struct trace_cursor *c, struct trace_recording *recording,
		       struct trace_process *process, const struct trace_stream_file *file,
		       size_t index, size_t window)
{
	struct stat st;
	int fd;

	memset(c, 0, sizeof(*c));
	c->recording = recording;
	c->process = process;
	c->file = file;
	c->index = index;
	c->window_size = window < WINDOW_MIN ? WINDOW_MIN : window;
	c->fd = -1;
	fd = open_file(c);
	if (fd < 0 || fstat(fd, &st)) {
		int err = fd < 0 ? -fd : errno;

		trace_warn("%s/%s/%s: %s; left out", recording->path, process->name, c->file->name,
			   strerror(err));
		if (fd >= 0)
			close(fd);
		return -err;
	}
	c->size = st.st_size;
	if (open_files < MAX_OPEN) {
		open_files++;
		c->fd = fd;
	} else {
		close(fd);
	}
	return 0;
}

int trace_cursor_open(struct trace_cursor *c, struct trace_recording *recording,
		      struct trace_process *process, size_t index, size_t window)
{
	return open_cursor(c, recording, process, &process->streams[index], index, window);
}

int trace_cursor_open_events(struct trace_cursor *c, struct trace_recording *recording,
			     struct trace_process *process, size_t index)
{
	int err = open_cursor(c, recording, process, &process->events[index], index,
			      FTRACE_PACKET_SIZE);

	c->stream_id = FTRACE_STREAM_EVENTS;
	return err;
}

void trace_cursor_close(struct trace_cursor *c)
{
	if (c->fd >= 0) {
		close(c->fd);
		open_files--;
	}
	c->fd = -1;
	free(c->window);
	c->window = NULL;
	c->window_len = 0;
}

/*
 * At least @need bytes of the file at @pos, if it has them; *len tells how many there are.
 * NULL if there is nothing to be had.
 */
static char *bytes_at(struct trace_cursor *c, uint64_t pos, size_t need, size_t *len)
{
	size_t done = 0;
	ssize_t n = 0;
	int fd;

	*len = 0;
	if (pos >= c->window_pos && pos - c->window_pos < c->window_len) {
		*len = c->window_len - (pos - c->window_pos);
		if (*len >= need)
			return c->window + (pos - c->window_pos);
	}
	if (pos >= c->size) {
		*len = 0;
		return NULL;
	}
	if (!c->window) {
		c->window = malloc(c->window_size);
		if (!c->window) {
			trace_warn("%s: no memory to read it", c->file->name);
			return NULL;
		}
	}
	fd = c->fd >= 0 ? c->fd : open_file(c);
	if (fd < 0) {
		trace_warn("%s/%s/%s: %s", c->recording->path, c->process->name, c->file->name,
			   strerror(-fd));
		*len = 0;
		return NULL;
	}
	while (done < c->window_size) {
		n = pread(fd, c->window + done, c->window_size - done, pos + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	if (n < 0)
		trace_warn("%s/%s/%s: %s", c->recording->path, c->process->name, c->file->name,
			   strerror(errno));
	if (fd != c->fd)
		close(fd);
	c->window_pos = pos;
	c->window_len = done;
	*len = done;
	return done ? c->window : NULL;
}

/* Is that a packet header, as far as one can tell? */
static int sound(const struct ftrace_packet *h, uint32_t stream_id)
{
	return h->magic == FTRACE_PACKET_MAGIC && h->stream_id == stream_id &&
	       h->content_size >= HEADER * 8 &&
	       h->content_size % (stream_id == FTRACE_STREAM_EVENTS ? 8 : 64) == 0 &&
	       h->packet_size >= h->content_size && h->packet_size % 64 == 0 &&
	       h->packet_size <= FTRACE_PACKET_SIZE * 8 &&
	       h->timestamp_end >= h->timestamp_begin &&
	       h->timestamp_end - h->timestamp_begin <= 2ull << 32;
}

/* The packet header at @p, in this machine's byte order; is it one, as far as one can tell? */
static int take_header(struct trace_cursor *c, struct ftrace_packet *h, const char *p)
{
	memcpy(h, p, HEADER);
	c->swapped = h->magic == __builtin_bswap32(FTRACE_PACKET_MAGIC);
	if (c->swapped)
		trace_swap_packet(h);
	return sound(h, c->stream_id);
}

/* Look for the next sound header behind @pos; the size of the file if there is none. */
static uint64_t resync(struct trace_cursor *c, uint64_t pos)
{
	struct ftrace_packet h;
	const char *p;
	size_t len;

	pos = (pos + 8) & ~7ull;
	while ((p = bytes_at(c, pos, HEADER, &len)) && len >= HEADER) {
		size_t i;

		for (i = 0; i + HEADER <= len; i += 8) {
			uint32_t magic;

			memcpy(&magic, p + i, sizeof(magic));
			if (magic != FTRACE_PACKET_MAGIC &&
			    magic != __builtin_bswap32(FTRACE_PACKET_MAGIC))
				continue;
			if (take_header(c, &h, p + i))
				return pos + i;
		}
		pos += i;
	}
	return c->size;
}

static void warn_damage(struct trace_cursor *c, uint64_t pos, const char *what)
{
	trace_warn("%s/%s/%s: %s at byte %llu", c->recording->path, c->process->name, c->file->name,
		   what, (unsigned long long)pos);
}

/* @p: what follows the header of the packet under the cursor, @len bytes of the file. */
static uint64_t time_of_first(const struct trace_cursor *c, const char *p, size_t len)
{
	uint64_t begin = c->packet.timestamp_begin, time;
	uint32_t half[2];	/* in memory: the tick, and the rest; all ones: a slot nobody wrote */

	if (len < sizeof(half) || c->packet.content_size <= HEADER * 8)
		return begin;
	memcpy(half, p, sizeof(half));
	if (half[1] == UINT32_MAX)
		return begin;
	time = (begin & ~0xffffffffull) | (c->swapped ? __builtin_bswap32(half[0]) : half[0]);
	return time < begin ? begin : time;
}

int trace_cursor_packet(struct trace_cursor *c)
{
	uint64_t pos = c->has_packet ? c->pos + c->packet.packet_size / 8 : 0;
	uint64_t damaged = 0;
	const char *p;
	size_t len;

	for (;;) {
		p = bytes_at(c, pos, HEADER + sizeof(uint64_t), &len);
		if (len < HEADER) {
			if (pos < c->size)
				warn_damage(c, pos, "cut short in a packet's header");
			goto end;
		}
		if (take_header(c, &c->packet, p))
			break;
		warn_damage(c, pos, "no packet");
		damaged = 1;
		pos = resync(c, pos);
	}
	if (c->packet.content_size / 8 > c->size - pos) {
		warn_damage(c, pos, "cut short in a packet");
		c->packet.content_size = (c->size - pos) / 8 * 64;
		c->packet.packet_size = (c->size - pos) * 8;
		if (c->packet.content_size < HEADER * 8)
			goto end;
	}
	c->lost = c->packet.events_discarded > c->discarded ?
		  c->packet.events_discarded - c->discarded : 0;
	c->lost_packets = damaged;
	if (c->has_seq && c->packet.packet_seq_num > c->next_seq)
		c->lost_packets = c->packet.packet_seq_num - c->next_seq;
	c->has_seq = 1;
	c->next_seq = c->packet.packet_seq_num + 1;
	c->discarded = c->packet.events_discarded;
	c->first = time_of_first(c, p + HEADER, len - HEADER);
	c->pos = pos;
	c->read = HEADER;
	c->has_packet = 1;
	return 1;
end:
	c->has_packet = 1;
	c->pos = c->size;
	c->packet.packet_size = 0;
	c->packet.content_size = 0;
	free(c->window);
	c->window = NULL;
	c->window_len = 0;
	return 0;
}

size_t trace_cursor_records(struct trace_cursor *c, const uint64_t **records)
{
	uint64_t left = c->packet.content_size / 8;
	char *p;
	size_t len;

	if (left <= c->read)
		return 0;
	left -= c->read;
	p = bytes_at(c, c->pos + c->read, left < c->window_size ? left : c->window_size, &len);
	if (len > left)
		len = left;
	if (!p || len < 8)
		return 0;	/* the file shrank while it was read */
	c->read += len & ~(size_t)7;
	/* Packets lie at multiples of 8 from wherever the window began, which is one too. */
	*records = (const uint64_t *)p;
	/* Nobody reads these bytes of the window again. */
	if (c->swapped || TRACE_BIG_HOST)
		trace_turn_records((uint64_t *)p, len / 8, c->swapped);
	return len / 8;
}

const unsigned char *trace_cursor_content(struct trace_cursor *c, size_t *len)
{
	uint64_t left = (c->packet.content_size + 63) / 64 * 8 - HEADER;
	char *p = NULL;

	*len = 0;
	if (left)
		p = bytes_at(c, c->pos + HEADER, left, len);
	if (*len > left)
		*len = left;
	*len &= ~(size_t)7;
	return (const unsigned char *)p;
}

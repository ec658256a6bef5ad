/* SPDX-License-Identifier: MIT */
/*
 * genbig DIR RECORDS [THREADS] [SITES]: a recording of that size: each thread walks a random tree of
 * calls over SITES functions, depth up to 40. For speed and memory; the same every time.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ftrace/trace-format.h>

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 16;
}

static void put(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n) {
		perror("write");
		exit(1);
	}
}

static struct {
	struct ftrace_packet header;
	uint64_t records[(FTRACE_PACKET_SIZE - sizeof(struct ftrace_packet)) / 8];
} packet;
static unsigned used;
static uint64_t seq;

static void flush(int fd, uint32_t tid, uint64_t last)
{
	if (!used)
		return;
	packet.header.magic = FTRACE_PACKET_MAGIC;
	packet.header.timestamp_end = last;
	packet.header.content_size = packet.header.packet_size = (sizeof(packet.header) + 8 * used) * 8;
	packet.header.packet_seq_num = seq++;
	packet.header.tid = tid;
	put(fd, &packet, packet.header.packet_size / 8);
	used = 0;
}

static void thread(const char *dir, unsigned k, uint64_t n, uint32_t sites)
{
	uint32_t stack[40], depth = 0, tid = 1000 + k;
	uint64_t now = 5000000000ull + k * 77, last = now;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/big-1000.0/stream-%u", dir, k);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	seq = 0;
	for (uint64_t i = 0; i < n; i++) {
		uint32_t r = rnd(), site, event;

		now += 20 + (r & 63) + (r % 1000 == 0 ? r >> 12 : 0);
		if (depth && (depth == 40 || n - i <= depth || (r >> 8 & 1))) {
			site = stack[--depth];
			event = FTRACE_EVENT_EXIT;
		} else {
			site = stack[depth++] = 1 + rnd() % sites;
			event = FTRACE_EVENT_ENTRY;
		}
		if (used && (used == sizeof(packet.records) / 8 || now >> 32 != last >> 32))
			flush(fd, tid, last);
		if (!used)
			packet.header.timestamp_begin = now;
		packet.records[used++] = ftrace_record(now, event, site);
		last = now;
	}
	flush(fd, tid, last);
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	unsigned threads = argc > 3 ? atoi(argv[3]) : 1;
	uint32_t sites = argc > 4 ? atoi(argv[4]) : 2000;
	struct ftrace_map_header header = {
		.magic = FTRACE_MAP_MAGIC, .pid = 1000, .nrings = threads, .state = 1,
		.start_ticks = 4000000000ull, .start_mono_ns = 1000000000, .start_real_ns = 1700000000000000000ull,
		.word_size = 8, .comm = "big", .machine = "x86_64", .exe = "/bin/big",
	};
	static char page[FTRACE_MAP_HEADER_SIZE];
	char path[4096];
	FILE *f;
	int fd;

	if (argc < 2)
		return 2;
	mkdir(argv[1], 0777);
	snprintf(path, sizeof(path), "%s/info", argv[1]);
	f = fopen(path, "w");
	fprintf(f, "version=1\ncommand=./big\ntick_hz=2000000000\nrecorded=complete\n");
	fclose(f);
	snprintf(path, sizeof(path), "%s/big-1000.0", argv[1]);
	mkdir(path, 0777);
	for (unsigned k = 0; k < threads; k++)
		thread(argv[1], k, records / threads, sites);
	snprintf(path, sizeof(path), "%s/big-1000.0/.map", argv[1]);
	f = fopen(path, "w");
	fwrite(page, 1, sizeof(page), f);
	fprintf(f, "o 1 400000 - /bin/big\n");
	for (uint32_t i = 1; i <= sites; i++)
		fprintf(f, "s %x 1 %x 10 function_%u\n", i, 0x1000 + 16 * i, i);
	header.map_len = ftell(f) - FTRACE_MAP_HEADER_SIZE;
	fclose(f);
	memcpy(page, &header, sizeof(header));
	fd = open(path, O_WRONLY);
	put(fd, page, sizeof(page));
	close(fd);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * count record N: calls a function N times, recorded, so that what a recorded call costs can be counted in
 * instructions. Records go to one packet over and over.
 */
#include <ftrace/fgraph.h>
#include <ftrace/trace-format.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/site.h"
#include "engine/thread.h"

static _Alignas(FTRACE_PACKET_SIZE) u64 packet[FTRACE_PACKET_SIZE / sizeof(u64)];
static long packets;

static int refill(struct ftrace_thread *t, u64 now)
{
	t->end = NULL;
	__builtin_memset(packet, 0, sizeof(packet));
	t->unwritten = 0;
	t->wp = packet;
	t->hi = (u32)(now >> 32);
	t->end = packet + FTRACE_PACKET_SIZE / sizeof(u64) - 1;
	packets++;
	return 0;
}

static const struct ftrace_stream_ops stream = { .refill = refill };

__attribute__((noinline, noclone)) void leaf(void)
{
	__asm__ volatile("");
}

__attribute__((patchable_function_entry(0))) int main(int argc, char **argv)
{
	static struct fgraph_ops gops = { .flags = FGRAPH_OPS_FL_RECORD };
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(argv[1], "record")) {
		if (ftrace_set_stream_ops(&stream) || ftrace_set_filter(&gops.ops, "leaf", 4, 1) ||
		    register_ftrace_graph(&gops))
			return 1;
		leaf();		/* the first one makes the thread known */
	}
	for (long i = 0; i < n; i++)
		leaf();
	if (packets) {
		const unsigned char *site = (const unsigned char *)leaf;
		int32_t halfwords;
		const unsigned long *data;
		long records = 0;

		/* Where the instructions are that one call executes: see arch/s390/arch-site.h. */
		memcpy(&halfwords, site + 2, sizeof(halfwords));
		data = (const unsigned long *)(site + 2l * halfwords + FTRACE_CHUNK_CODE);
		printf("%p+0x20,%p+0x40,0x%lx+0x200,0x%lx+0x200\n", (void *)site,
		       (void *)((char *)data - FTRACE_CHUNK_CODE), data[0], data[1]);

		while (packet[records])
			records++;
		printf("%ld records, %ld packets\n", records, packets);
	}
	return 0;
}

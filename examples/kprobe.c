/* SPDX-License-Identifier: MIT */
/*
 * kprobe: a look into a function that was compiled without any preparation, at its entry and at each of its
 * instructions. Prints what it finds.
 *
 *	cc -O2 kprobe.c $(pkg-config --cflags --libs libftrace)
 */
#include <errno.h>
#include <stdio.h>

#include <ftrace/ftrace.h>
#include <ftrace/kprobes.h>

/* Not prepared for tracing. */
__attribute__((noinline, patchable_function_entry(0))) unsigned int bits(unsigned int n)
{
	unsigned int count = 0;

	for (; n; n &= n - 1)
		count++;
	return count;
}

static volatile int hits;

static int hit(struct kprobe *p, struct pt_regs *regs)
{
	(void)p;
	(void)regs;
	hits++;
	return 0;
}

int main(void)
{
	struct kprobe probe = { .symbol_name = "bits", .pre_handler = hit };
	volatile unsigned int result;
	int places = 0;

	ftrace_set_log(NULL);		/* -EILSEQ says enough */
	for (;; probe.offset++) {
		int err = register_kprobe(&probe);

		if (err == -ERANGE)	/* the function's end */
			break;
		if (err)
			continue;
		places++;
		hits = 0;
		result = bits(0xff);
		printf("bits+%u: %d hits, by a %s\n", probe.offset, hits,
		       probe.flags & KPROBE_FLAG_OPTIMIZED ? "jump" : "breakpoint");
		unregister_kprobe(&probe);
	}
	(void)result;
	printf("%d instructions\n", places);
	return 0;
}

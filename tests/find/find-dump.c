/* SPDX-License-Identifier: MIT */
/*
 * find-dump FILE...: what ftrace_find() says of each, as text that tests read:
 *
 *	object PATH nfound=N nrefused=N go=0 tsan=0 asan=0 id=HEX symbols=FROM
 *	site VADDR ENTRY SIZE FORM LEN FLAGS NAME
 *	refused VADDR ENTRY NAME: REASON
 *	error PATH ERRNO
 *	time PATH MILLISECONDS	(-t: processor time, the least of ten runs)
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/find.h"

static const char *const forms[] = { "none", "nop", "nops", "short", "call", "call-got", "mcount",
				     "mcount-got", "moved" };

static void dump(const char *path, const struct ftrace_finding *f)
{
	printf("object %s nfound=%u nrefused=%u go=%d tsan=%d asan=%d id=%s symbols=%s\n", path,
	       f->nfound, f->nrefused, f->go_runtime, f->tsan, f->asan, f->build_id,
	       f->symbols_from);
	for (u32 i = 0; i < f->nfound; i++) {
		const struct ftrace_found *s = &f->found[i];

		if (s->form == FTRACE_FORM_NONE)
			printf("refused %llx %llx %s: %s\n", (unsigned long long)s->vaddr,
			       (unsigned long long)s->entry, s->name, s->reason);
		else
			printf("site %llx %llx %llu %s %u %u %s\n", (unsigned long long)s->vaddr,
			       (unsigned long long)s->entry, (unsigned long long)s->size,
			       forms[s->form], s->len, s->flags, s->name);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void measure(const char *path)
{
	double least = 1e9;

	for (int i = 0; i < 10; i++) {
		struct ftrace_finding f;
		double start = now(), took;

		ftrace_find(path, &f);
		took = now() - start;
		ftrace_find_done(&f);
		least = took < least ? took : least;
	}
	printf("time %s %.2f\n", path, least);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct ftrace_finding f;
		int ret;

		if (i == 1 && strcmp(argv[1], "-t") == 0)
			continue;
		if (strcmp(argv[1], "-t") == 0) {
			measure(argv[i]);
			continue;
		}
		ret = ftrace_find(argv[i], &f);
		if (ret)
			printf("error %s %d\n", argv[i], -ret);
		else
			dump(argv[i], &f);
		ftrace_find_done(&f);
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* 10,000 short threads in turn: neither mappings nor memory grow (by more than one more ring). */
#include "t.h"
#include <pthread.h>

NOINLINE long work(int n) { long r = n; if (n) r += work(n - 1); KEEP(); return r; }
static void *thread(void *arg) { return (void *)work((int)(long)arg); }

static UNTRACED void measure(long *lines, long *kbytes)
{
	char line[4096];
	FILE *file = fopen("/proc/self/maps", "r");

	for (*lines = 0; fgets(line, sizeof(line), file); )
		++*lines;
	fclose(file);
	file = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld", kbytes);
	fclose(file);
}

int main(void)
{
	long lines[2], kbytes[2], sum = 0;

	for (int i = 0; i < 10000; i++) {
		pthread_t id[2];
		void *value;
		int pair = i % 100 == 0;

		if (i == 2000)
			measure(&lines[0], &kbytes[0]);
		for (int k = 0; k <= pair; k++)
			CHECK(pthread_create(&id[k], NULL, thread, (void *)(long)(i % 30)) == 0);
		for (int k = 0; k <= pair; k++) {
			CHECK(pthread_join(id[k], &value) == 0);
			sum += (long)value;
		}
	}
	measure(&lines[1], &kbytes[1]);
	printf("sum %ld\n", sum);
	printf("mappings %s\n", lines[1] - lines[0] < 16 ? "bounded" : "grow");
	printf("memory %s\n", kbytes[1] - kbytes[0] < 6144 ? "bounded" : "grows");
	fprintf(stderr, "lines %ld -> %ld, kbytes %ld -> %ld\n", lines[0], lines[1], kbytes[0],
		kbytes[1]);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The functions of a recording, found by name, object and address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/stats.h"

static uint64_t hash(const char *a, const char *b, uint64_t vaddr)
{
	uint64_t h = 0xcbf29ce484222325ull ^ vaddr * 0x9e3779b97f4a7c15ull;

	for (; *a; a++)
		h = (h ^ (unsigned char)*a) * 0x100000001b3ull;
	for (h *= 31; *b; b++)
		h = (h ^ (unsigned char)*b) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static int grow_index(struct trace_stats *stats)
{
	size_t size = stats->index_size ? stats->index_size * 2 : 1024;
	size_t *index = calloc(size, sizeof(*index));
	struct trace_function *functions;

	if (!index)
		return -ENOMEM;
	functions = reallocarray(stats->functions, size / 2, sizeof(*functions));
	if (!functions) {
		free(index);
		return -ENOMEM;
	}
	stats->functions = functions;
	for (size_t i = 0; i < stats->nfunctions; i++) {
		size_t at = hash(functions[i].name, functions[i].object, functions[i].vaddr) & (size - 1);

		while (index[at])
			at = (at + 1) & (size - 1);
		index[at] = i + 1;
	}
	free(stats->index);
	stats->index = index;
	stats->index_size = size;
	return 0;
}

struct trace_function *trace_stats_function(struct trace_stats *stats, const char *name,
					    const struct trace_site *site, const char *object)
{
	uint64_t vaddr = site ? site->vaddr : 0;
	struct trace_function *f;
	size_t at;

	if (stats->nfunctions * 2 >= stats->index_size && grow_index(stats))
		return NULL;
	at = hash(name, object, vaddr) & (stats->index_size - 1);
	for (; stats->index[at]; at = (at + 1) & (stats->index_size - 1)) {
		f = &stats->functions[stats->index[at] - 1];
		if (f->vaddr == vaddr && !strcmp(f->name, name) && !strcmp(f->object, object))
			return f;
	}
	stats->index[at] = ++stats->nfunctions;
	f = &stats->functions[stats->nfunctions - 1];
	memset(f, 0, sizeof(*f));
	f->name = strdup(name);
	f->symbol = site ? site->name : NULL;
	f->vaddr = vaddr;
	f->object = object;
	f->min = UINT64_MAX;
	return f->name ? f : NULL;
}

void trace_stats_free(struct trace_stats *stats)
{
	for (size_t i = 0; i < stats->nfunctions; i++) {
		trace_histogram_free(&stats->functions[i].histogram);
		free((char *)stats->functions[i].name);
	}
	free(stats->functions);
	free(stats->index);
	memset(stats, 0, sizeof(*stats));
}

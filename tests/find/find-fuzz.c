/* SPDX-License-Identifier: MIT */
/*
 * ftrace_find() reads damaged files. Built with address and undefined-behaviour sanitizers, and with every buffer
 * of the finder in memory of its own, so that any read or write out of bounds ends the program.
 */
#include <unistd.h>

#include "engine/find.h"
#include "fuzz.h"

static void look(const u8 *d, size_t size)
{
	struct ftrace_finding f;
	u8 *exact = malloc(size);
	int ret;

	memcpy(exact, d, size);
	image = exact;
	image_size = size;
	image_path = "image";
	ret = ftrace_find(image_path, &f);
	if (ret == 0) {
		good++;
		found += f.nfound;
		/* What it gives back must be in order and readable. */
		for (u32 i = 0; i < f.nfound; i++) {
			if ((i && f.found[i].vaddr < f.found[i - 1].vaddr) || !f.found[i].name[0] ||
			    (f.found[i].form == FTRACE_FORM_NONE) != (f.found[i].reason != NULL) ||
			    (f.found[i].form && !f.found[i].len) || strlen(f.found[i].name) > size + 100)
				abort();
		}
	} else if (ret > -134 && ret < 0) {
		errors[-ret]++;
	} else {
		abort();
	}
	ftrace_find_done(&f);
	free(exact);
}

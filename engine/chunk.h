/* SPDX-License-Identifier: MIT */
/* Memory for sites: chunks of stubs and their dyn_ftrace; see site.h. */
#ifndef FTRACE_ENGINE_CHUNK_H
#define FTRACE_ENGINE_CHUNK_H

#include "arch.h"
#include "base.h"

struct ftrace_text;

/*
 * Reserve site ids for @nsites sites whose addresses are all in [@lo, @hi), with memory for their
 * stubs within reach; @moved: and for the copies of moved instructions. @first gets the first id; the
 * ids follow each other. 0 or -errno.
 */
int ftrace_chunk_reserve(unsigned long lo, unsigned long hi, u32 nsites, bool moved, u32 *first);

/*
 * Map @size bytes, executable and not writable, within reach of all of [@lo, @hi). The address, or -errno as a
 * pointer.
 */
void *ftrace_map_near(unsigned long lo, unsigned long hi, size_t size);

/* Is what is mapped at @start, @size bytes, within reach of all of [@lo, @hi), as that is? */
static inline bool ftrace_is_near(unsigned long start, size_t size, unsigned long lo, unsigned long hi)
{
	unsigned long end = start + size;

	return (end > hi ? end : hi) - (start < lo ? start : lo) < arch_site_reach();
}

/* Write the stubs of sites [@first, @first + @nsites), whose dyn_ftrace are filled in. 0 or -errno. */
int ftrace_chunk_write_stubs(struct ftrace_text *text, u32 first, u32 nsites);

/* Where the stub of site @id is. */
unsigned long ftrace_stub(u32 id);

/* Where the moved instructions of site @id run (FTRACE_COPY_SIZE bytes): sites of FTRACE_FORM_MOVED. */
unsigned long ftrace_copy(u32 id);

#endif /* FTRACE_ENGINE_CHUNK_H */

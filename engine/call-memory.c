/* SPDX-License-Identifier: MIT */
/* Memory that goes with a thread's calls; see graph.h. Each segment is twice as large as the one before. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "graph.h"
#include "thread.h"

#define FIRST_SIZE	(64u << 10)
#define UNIT		16u		/* ends are counted in these */

static size_t segment_size(u32 k)
{
	return (size_t)FIRST_SIZE << k;
}

/* Where segment @k begins, in bytes from the beginning of all. */
static size_t segment_start(u32 k)
{
	return segment_size(k) - FIRST_SIZE;
}

/* A signal handler may do the same in the middle of it. */
static void *segment(struct ftrace_call_memory *m, u32 k)
{
	void *p = READ_ONCE(m->segment[k]), *none = NULL;

	if (p || ftrace_no_syscalls)
		return p;
	p = ft_mmap(NULL, segment_size(k), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ft_is_err(p))
		return NULL;
	if (__atomic_compare_exchange_n(&m->segment[k], &none, p, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return p;
	arch_syscall(SYS_munmap, (long)p, (long)segment_size(k), 0, 0, 0, 0);
	return none;
}

void *ftrace_call_memory_get(struct ftrace_call_memory *m, u32 *end, size_t size)
{
	size_t at = (size_t)*end * UNIT;
	u32 k = 0;
	char *p;

	size = ALIGN_UP(size, (size_t)UNIT);
	while (k < CALL_MEMORY_SEGMENTS && at + size > segment_start(k) + segment_size(k))
		k++;
	if (k == CALL_MEMORY_SEGMENTS || size > FIRST_SIZE)
		return NULL;
	if (at < segment_start(k))	/* what is left of the one before is too small */
		at = segment_start(k);
	p = segment(m, k);
	if (!p)
		return NULL;
	*end = (u32)((at + size) / UNIT);
	return ft_memset(p + (at - segment_start(k)), 0, size);
}

void ftrace_call_memory_free(struct ftrace_call_memory *m)
{
	for (u32 k = 0; k < CALL_MEMORY_SEGMENTS; k++)
		if (m->segment[k])
			arch_syscall(SYS_munmap, (long)m->segment[k], (long)segment_size(k), 0, 0, 0,
				     0);
}

/* SPDX-License-Identifier: MIT */
/*
 * x86: making every processor see code that was written.
 *
 * A site is toggled by one byte, so a processor executes the old or the new instruction, never a
 * mix; what is needed is only that none goes on executing the old one from its prefetch queue.
 * membarrier's SYNC_CORE command makes each processor that runs this process execute a
 * serialising instruction. Intel documents its own protocol for code changed by another processor
 * (SDM volume 3, 9.1.3) and no other; the one-byte switch was tried on AMD, and `ftrace selftest
 * --stress` tries it anywhere.
 */
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"

static bool have_sync_core;

void arch_poke_init(void)
{
	have_sync_core = arch_syscall(SYS_membarrier,
				      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
				      0, 0, 0, 0, 0) == 0;
}

size_t arch_text_write_max(void)
{
	return SIZE_MAX;
}

int arch_poke_sync(void)
{
	void *page;
	long err;

	if (have_sync_core) {
		err = arch_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
				   0, 0, 0, 0, 0);
		if (!err)
			return 0;
	}
	/*
	 * Without it: taking a right away from a page in use makes the kernel interrupt every
	 * processor that runs this process, and the return from that interrupt serialises.
	 */
	page = ft_mmap(NULL, FT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (ft_is_err(page))
		return (int)(long)page;
	*(volatile char *)page = 1;
	err = arch_syscall(SYS_mprotect, (long)page, FT_PAGE_SIZE, PROT_READ, 0, 0, 0);
	arch_syscall(SYS_munmap, (long)page, FT_PAGE_SIZE, 0, 0, 0, 0);
	return (int)err;
}

u64 arch_ticks(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

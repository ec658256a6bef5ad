/* SPDX-License-Identifier: MIT */
/*
 * s390: making every processor see code that was written; the clock.
 *
 * A site is toggled by one byte, so a processor executes the old or the new instruction, never a
 * mix. It may have fetched the old one ahead, and goes on with that until it serialises (z/Architecture
 * Principles of Operation, chapter 5, "Storage-Operand ... Consistency", "CPU Serialization"), which an
 * interruption does. membarrier's SYNC_CORE command does not exist here; PRIVATE_EXPEDITED
 * interrupts each processor that runs this process, which is what is needed.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"

static bool have_expedited, writes_are_seen = true;

/*
 * Under qemu's user mode emulation running code never sees what was written through /proc/self/mem.
 * Tried out: a function that returns 1 is called, written to, and called again.
 */
static bool try_writing(void)
{
	static const u8 returns_1[] = { 0xa7, 0x28, 0x00, 0x01, 0x07, 0xfe };	/* lhi %r2,1; br %r14 */
	const u8 two = 2;
	int (*func)(void);
	bool seen = true;
	int fd;
	u8 *page;

	page = ft_mmap(NULL, FT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ft_is_err(page))
		return true;
	ft_memcpy(page, returns_1, sizeof(returns_1));
	fd = ft_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
	if (fd >= 0 &&
	    !arch_syscall(SYS_mprotect, (long)page, FT_PAGE_SIZE, PROT_READ | PROT_EXEC, 0, 0, 0)) {
		func = (int (*)(void))page;
		seen = func() != 1 || ft_pwrite(fd, &two, 1, (unsigned long)page + 3) != 1 ||
		       func() == 2;
	}
	if (fd >= 0)
		ft_close(fd);
	arch_syscall(SYS_munmap, (long)page, FT_PAGE_SIZE, 0, 0, 0, 0);
	return seen;
}

void arch_poke_init(void)
{
	have_expedited = arch_syscall(SYS_membarrier,
				      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
				      0, 0, 0, 0, 0) == 0;
	writes_are_seen = try_writing();
}

bool arch_text_writes_are_seen(void)
{
	return writes_are_seen;
}

int arch_poke_sync(void)
{
	if (have_expedited && !arch_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED,
					    0, 0, 0, 0, 0))
		return 0;
	/* Slow: waits until every processor has been in the kernel by itself. */
	return (int)arch_syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0, 0, 0, 0);
}

/* The time-of-day clock: 4096 units a microsecond, the same on every processor, never backwards. */
u64 arch_ticks(void)
{
	u64 tod;

	__asm__ volatile(".insn s,0xb27c0000,%0" : "=Q"(tod) : : "cc");	/* stckf */
	return tod;
}

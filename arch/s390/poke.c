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

static bool have_expedited;
static size_t write_max = SIZE_MAX;

typedef int function_t(void);

/*
 * Emulators may miss that code they have translated was written to: qemu's user mode notices no write through
 * /proc/self/mem; its whole machine, up to version 8.1, only the first byte of each write. Tried out:
 * two functions that return 1 are called, changed by one write, and called again.
 */
static size_t try_writing(void)
{
	static const u8 returns_1[] = { 0xa7, 0x28, 0x00, 0x01, 0x07, 0xfe };	/* lhi %r2,1; br %r14 */
	const size_t value_at = 3, apart = 64;
	function_t *first, *second;
	size_t max = SIZE_MAX;
	u8 *page, copy[80];
	int fd;

	page = ft_mmap(NULL, FT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ft_is_err(page))
		return max;
	ft_memcpy(page, returns_1, sizeof(returns_1));
	ft_memcpy(page + apart, returns_1, sizeof(returns_1));
	first = (function_t *)page;
	second = (function_t *)(page + apart);
	ft_memcpy(copy, page, sizeof(copy));
	copy[value_at] = copy[apart + value_at] = 2;
	fd = ft_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
	if (fd >= 0 &&
	    !arch_syscall(SYS_mprotect, (long)page, FT_PAGE_SIZE, PROT_READ | PROT_EXEC, 0, 0, 0) &&
	    first() == 1 && second() == 1 &&
	    ft_pwrite(fd, copy + value_at, apart + 1, (unsigned long)page + value_at) ==
	    (long)apart + 1)
		max = first() != 2 ? 0 : second() != 2 ? 1 : SIZE_MAX;
	if (fd >= 0)
		ft_close(fd);
	arch_syscall(SYS_munmap, (long)page, FT_PAGE_SIZE, 0, 0, 0, 0);
	return max;
}

void arch_poke_init(void)
{
	have_expedited = arch_syscall(SYS_membarrier,
				      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
				      0, 0, 0, 0, 0) == 0;
	write_max = try_writing();
}

size_t arch_text_write_max(void)
{
	return write_max;
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

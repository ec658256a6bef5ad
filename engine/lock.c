/* SPDX-License-Identifier: MIT */
/*
 * A mutex on a futex word: 0 free, 1 held, 2 held and perhaps waited for. Without system calls
 * while nobody waits.
 */
#include <linux/futex.h>
#include <linux/mman.h>

#include "base.h"

bool ft_trylock(struct ft_mutex *m)
{
	u32 unheld = 0;

	return __atomic_compare_exchange_n(&m->word, &unheld, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void ft_lock(struct ft_mutex *m)
{
	if (likely(ft_trylock(m)))
		return;
	/* Whoever has waited takes it as 2: it cannot know whether it was the last to wait. */
	while (__atomic_exchange_n(&m->word, 2, __ATOMIC_ACQUIRE) != 0)
		/* Returns early or not at all (signal, seccomp): the word decides. */
		arch_syscall(SYS_futex, (long)&m->word, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
}

void ft_unlock(struct ft_mutex *m)
{
	if (__atomic_exchange_n(&m->word, 0, __ATOMIC_RELEASE) == 2)
		arch_syscall(SYS_futex, (long)&m->word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

void *ft_wipeonfork(size_t len)
{
	void *p;

	len = ALIGN_UP(len, FT_PAGE_SIZE);
	p = ft_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ft_is_err(p))
		return NULL;
	if (arch_syscall(SYS_madvise, (long)p, (long)len, MADV_WIPEONFORK, 0, 0, 0) < 0) {
		arch_syscall(SYS_munmap, (long)p, (long)len, 0, 0, 0, 0);
		return NULL;
	}
	return p;
}

/* SPDX-License-Identifier: MIT */
/* The library in a program that did not ask for it; see guest.h. */
#include "guest.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <time.h>

#include "arch.h"
#include "loader.h"
#include "object.h"
#include "ops.h"
#include "symbols.h"
#include "thread.h"
#include "unwind.h"

extern __typeof__(dlopen) dlopen __attribute__((weak));

#define STACK_SIZE	(256ul << 10)
#define TLS_MORE	4096u		/* what may lie further from a thread's pointer than what we know of */

extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

/* The thread; in memory that a child of fork, which has no such thread, sees zeroed. */
static struct worker {
	u32 tid;		/* cleared by the kernel at its end */
} *worker;
static char *stack;
static unsigned long tls_size;	/* of thread-local storage, behind the stack */

/* What is loaded later stands behind libc in the loader's list, what the program starts with before it. */
FTRACE_INTERNAL bool ftrace_is_guest(void)
{
	static u32 known;	/* 1: no; 2: yes */
	const struct link_map *map;
	bool late = false, needed = false, seen = false;

	if (READ_ONCE(known))
		return known == 2;
	for (map = ftrace_loaded_objects(); map; map = map->l_next) {
		if (map->l_ld == _DYNAMIC)
			seen = true;
		else if (!seen && map->l_name && ft_starts_with(ft_base_name(map->l_name), "libc.so"))
			late = true;
		/* The agent comes behind us, and is the only one that does. */
		if (!seen && map->l_ld != _DYNAMIC)
			needed |= ftrace_links_library(map);
	}
	WRITE_ONCE(known, seen && late && !needed ? 2 : 1);
	return known == 2;
}

FTRACE_INTERNAL void ftrace_guest_prepare(void)
{
	/*
	 * What libc itself loads when it unwinds (pthread_cancel, backtrace): it must be there when calls
	 * are redirected.
	 */
	if (!symbols_without_libc && dlopen)
		dlopen("libgcc_s.so.1", RTLD_NOW);
	symbols_without_libc = true;
	ftrace_unwind_init();
}

/* How far below a thread's pointer the variable at @p is. */
static unsigned long below(const void *p)
{
	unsigned long tp = arch_thread_pointer();

	return tp > (unsigned long)p ? tp - (unsigned long)p : 0;
}

static int make_room(const void *tls)
{
	unsigned long ours = below(&ftrace_self), theirs = below(tls);
	char *p;

	if (stack)
		return 0;
	worker = ft_wipeonfork(FT_PAGE_SIZE);
	if (!worker)
		return -ENOMEM;
	tls_size = ALIGN_UP((ours > theirs ? ours : theirs) + TLS_MORE, 64ul);
	p = ft_mmap(NULL, STACK_SIZE + tls_size + ARCH_THREAD_HEAD + 64, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ft_is_err(p))
		return (int)(long)p;
	stack = p;
	return 0;
}

FTRACE_INTERNAL int ftrace_guest_run(void (*func)(void *arg), void *arg, const void *tls)
{
	int tid = make_room(tls);
	void *block;

	if (tid)
		return tid;
	if (smp_load_acquire(&worker->tid))
		return -EBUSY;
	/* What the former one had in its storage is of a thread that is gone: its state may be another's by now. */
	ft_memset(stack + STACK_SIZE, 0, tls_size + ARCH_THREAD_HEAD + 64);
	block = arch_thread_block(stack + STACK_SIZE, tls_size);
	if (!block)
		return -ENOSYS;
	tid = arch_clone_thread(stack + STACK_SIZE, block, &worker->tid, func, arg);
	return tid < 0 ? tid : 0;
}

FTRACE_INTERNAL bool ftrace_guest_busy(void)
{
	return worker && smp_load_acquire(&worker->tid);
}

bool guest_is_worker(s32 tid)
{
	return worker && tid == (s32)READ_ONCE(worker->tid);
}

/* ---- begin and end ---- */

FTRACE_INTERNAL int ftrace_guest_leave(void)
{
	int err;

	ft_lock(ftrace_lock);
	err = ftrace_loader_unhook();
	if (!err)
		err = ftrace_objects_release();
	/* What is not as it was must be known to be gone when it goes. */
	if (err)
		ftrace_loader_hook();
	ft_unlock(ftrace_lock);
	return err;
}

/* Not while objects are being unmapped by somebody who did not meet our lock. */
static void wait_for_loader(void)
{
	struct timespec pause = { 0, 100000 };

	for (int i = 0; i < 200 && ftrace_loader() && ftrace_loader()->r_state != RT_CONSISTENT; i++)
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
}

int ftrace_guest_begin(void)
{
	int err;

	/* From here on nothing that is looked at is unloaded: who wants to waits for the lock. */
	ftrace_loader_hook();
	wait_for_loader();
	/* Before any stub can be met on a stack. */
	err = ftrace_is_guest() ? ftrace_unwind_redirect() : 0;
	if (err)
		return ft_log(err, "unwinders cannot be told of its stubs: error %d; is /proc mounted "
				   "and writable?", -err);
	if (ftrace_is_guest() && backtrace_redirect)
		backtrace_redirect();
	ftrace_objects_again();
	ftrace_objects_scan(false);
	return 0;
}

FTRACE_INTERNAL int ftrace_guest_return(void)
{
	int err;

	if (!ftrace_lock)
		return ftrace_init();
	ft_lock(ftrace_lock);
	err = ftrace_guest_begin();
	ft_unlock(ftrace_lock);
	return err;
}

FTRACE_INTERNAL int ftrace_guest_look_again(void)
{
	int err = ftrace_lock ? 0 : ftrace_init();

	if (err)
		return err;
	ft_lock(ftrace_lock);
	if (ftrace_is_guest() && !ftrace_loader_is_hooked()) {
		ftrace_objects_retry();
		err = ftrace_guest_begin();
	} else {
		wait_for_loader();
		ftrace_objects_retry();
		ftrace_objects_scan(false);
	}
	ft_unlock(ftrace_lock);
	return err;
}

/* SPDX-License-Identifier: MIT */
#include <link.h>
#include <sys/mman.h>

#include <ftrace/ftrace.h>

#include "arch.h"
#include "config.h"
#include "guest.h"
#include "kprobe.h"
#include "livepatch.h"
#include "loader.h"
#include "object.h"
#include "ops.h"
#include "site.h"
#include "stack-trace.h"
#include "stop.h"
#include "text.h"
#include "thread.h"
#include "unwind.h"

static u32 state;		/* of ftrace_init */
enum { NOT_YET, UNDER_WAY, DONE, FAILED };

static s32 holder;		/* the thread that holds the lock for the loader, 0: none */
static bool scanning;		/* it looks at objects now */
FTRACE_INTERNAL void (*ftrace_objects_changed)(void);

/* Under a seccomp filter: without a system call. Somebody else has the lock: the next event does it. */
static void loader_event_quietly(void)
{
	static u32 said;

	if (ftrace_loader()->r_state != RT_CONSISTENT || !ft_trylock(ftrace_lock))
		return;
	probes_objects_changed();
	ftrace_stack_trace_changed();
	if (ftrace_objects_scan_quietly() && !__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
		ft_log(-EPERM, "a seccomp filter was installed: libraries loaded since are not "
			       "traced, as nothing can be asked for any more");
	ft_unlock(ftrace_lock);
}

static int notify_len;		/* bytes of the jump at the loader's function, 0: none stands there */

/* False: we came here, and meanwhile nobody is to come any more, nor to let go of what is held. */
static bool hold(s32 self)
{
	if (READ_ONCE(holder) == self)
		return true;
	ft_lock(ftrace_lock);
	if (ftrace_is_guest() && !READ_ONCE(notify_len)) {
		ft_unlock(ftrace_lock);
		return false;
	}
	WRITE_ONCE(holder, self);
	return true;
}

/*
 * The loader calls this (through the jump at its r_brk) around every change of its list. From before it
 * unmaps objects until their sites are put away the lock is held, so that nobody touches their code.
 */
static void loader_event(void)
{
	const struct r_debug *loader = ftrace_loader();
	s32 self;

	if (smp_load_acquire(&state) != DONE)
		return;
	if (READ_ONCE(ftrace_no_syscalls)) {
		loader_event_quietly();
		return;
	}
	self = ft_gettid();
	/* Reading compressed symbols may load a library: from inside the scan, by this thread. */
	if (READ_ONCE(holder) == self && scanning)
		return;
	if (loader->r_state == RT_DELETE) {
		hold(self);
		klp_objects_going();
	}
	if (loader->r_state != RT_CONSISTENT)
		return;
	hold(self);
	scanning = true;
	/*
	 * New objects are mapped, and neither relocated nor initialised: nobody runs their code.
	 */
	ftrace_objects_scan(true);
	probes_objects_changed();
	ftrace_stack_trace_changed();
	scanning = false;
	WRITE_ONCE(holder, 0);
	ft_unlock(ftrace_lock);
	klp_objects_changed();
	if (ftrace_objects_changed)
		ftrace_objects_changed();
}

/* What stood at the loader's notification function, while the jump stands there. */
static u8 notify_before[ARCH_JUMP_MAX];

struct swap {
	unsigned long at;
	const u8 *bytes;
	int len;
};

/* No thread may be between the first instruction that changes and the last. */
static int swap_bytes(struct ftrace_stopped *threads, u32 n, void *data)
{
	const struct swap *s = data;
	struct ftrace_text text;
	int err;

	for (u32 i = 0; i < n; i++)
		if (threads[i].pc - s->at - 1 < (unsigned long)s->len - 1)
			return -EAGAIN;
	ftrace_text_open(&text);
	err = ftrace_text_write(&text, s->at, s->bytes, (size_t)s->len);
	ftrace_text_close(&text);
	arch_poke_sync();
	return err;
}

static int write_notify(const u8 *bytes, int len)
{
	struct swap s = { (unsigned long)ftrace_loader()->r_brk, bytes, len };
	const char *why = NULL;
	int err = -EAGAIN;

	/* Then nobody loads anything yet. */
	if (!ftrace_is_guest())
		return swap_bytes(NULL, 0, &s);
	for (unsigned int i = 0; err == -EAGAIN && i < 16; i++)
		err = ftrace_stop_threads(swap_bytes, &s, &why);
	return err;
}

bool ftrace_loader_is_hooked(void)
{
	return notify_len;
}

int ftrace_loader_unhook(void)
{
	int err = notify_len ? write_notify(notify_before, notify_len) : 0;

	if (err)
		return ft_log(err, "the loader's notification function cannot be put back: error %d",
			      -err);
	notify_len = 0;
	return 0;
}

int ftrace_loader_hook(void)
{
	const struct r_debug *loader = ftrace_loader();
	u8 jump[ARCH_JUMP_MAX];
	int len, err;

	if (notify_len)			/* done already */
		return 0;
	if (!loader || !loader->r_brk)	/* a static program: nothing comes, nothing goes */
		return 0;
	len = arch_function_replace((unsigned long)loader->r_brk, (unsigned long)loader_event,
				    jump);
	if (len < 0)
		return ft_log(len, "objects loaded by dlopen() will not be traced: the loader's "
			      "notification function is not as expected (a debugger's breakpoint?)");
	ft_memcpy(notify_before, (const void *)loader->r_brk, (size_t)len);
	err = write_notify(jump, len);
	if (!err)
		notify_len = len;
	if (err)
		return ft_log(err, "objects loaded by dlopen() will not be traced: the loader's "
			      "code cannot be changed: error %d", -err);
	return 0;
}

FTRACE_INTERNAL int ftrace_init(void)
{
	u32 before = NOT_YET;
	int err;

	if (likely(smp_load_acquire(&state) == DONE))
		return 0;
	if (!__atomic_compare_exchange_n(&state, &before, UNDER_WAY, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (before == FAILED)
			return -ENOMEM;
		/* Another thread is at it; or this one is, and a callback asks: never waits then. */
		for (unsigned int i = 0; smp_load_acquire(&state) == UNDER_WAY; i++)
			if (i > 1000000)
				return -EBUSY;
		return smp_load_acquire(&state) == DONE ? 0 : -ENOMEM;
	}
	arch_init();
	ftrace_lock = ft_wipeonfork(FT_PAGE_SIZE);
	if (!ftrace_lock) {
		smp_store_release(&state, FAILED);
		return ft_log(-ENOMEM, "no memory");
	}
	ftrace_thread_init();
	arch_poke_init();
	ftrace_unwind_init();
	if (ftrace_is_guest()) {
		smp_store_release(&state, DONE);
		ft_lock(ftrace_lock);
		err = ftrace_guest_begin();
		ft_unlock(ftrace_lock);
		if (err)
			return err;
	} else {
		ft_lock(ftrace_lock);
		ftrace_objects_scan(false);
		ft_unlock(ftrace_lock);
		smp_store_release(&state, DONE);
		ftrace_loader_hook();
	}
	/* This thread's state now, while nothing forbids the memory for it. */
	ftrace_thread_get();
	return 0;
}

/*
 * A program that is linked with the library is armed here, while it has one thread. In a traced
 * program the agent has come first.
 */
__attribute__((constructor)) static void init(void)
{
	/* Nobody has asked for anything yet. */
	if (!ftrace_is_guest())
		ftrace_init();
}

FTRACE_PUBLIC int ftrace_for_each_function(int (*func)(unsigned long ip, unsigned long entry,
						       const char *name, void *data), void *data)
{
	u32 n;
	int err = ftrace_init();

	if (err)
		return err;
	n = ftrace_nsites();
	for (u32 id = 1; id < n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);
		int stop;

		if (!site || !(site->flags & FTRACE_SITE_ARMED))
			continue;
		stop = func(site->ip, site->ip - site->entry_delta, site->name, data);
		if (stop)
			return stop;
	}
	return 0;
}

FTRACE_PUBLIC const char *ftrace_version(void)
{
	return FTRACE_VERSION;
}

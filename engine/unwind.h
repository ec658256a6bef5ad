/* SPDX-License-Identifier: MIT */
/*
 * Unwinding through stubs: exceptions, pthread_cancel(), backtrace() and debuggers find call frame
 * information for code that is in no file.
 *
 * Unwinders ask _dl_find_object() (libgcc) or dl_iterate_phdr() (LLVM's and others) which object
 * a pc is in. This library defines both: they know the regions of stubs and pass everything else
 * on to libc's.
 */
#ifndef FTRACE_ENGINE_UNWIND_H
#define FTRACE_ENGINE_UNWIND_H

#include "base.h"

#include <link.h>

/*
 * A registered region: the chunks (site.h) made for one object, their stubs and the data between.
 * Never changed nor removed once it can be found.
 */
struct ftrace_unwind_region {
	unsigned long start;
	unsigned long end;
	void *hdr;			/* .eh_frame_hdr, and behind it ... */
	void *eh_frame;			/* .eh_frame */
	size_t eh_frame_size;
	ElfW(Phdr) phdr[2];		/* what dl_iterate_phdr() shows */
	bool stubs;			/* or trampolines; else: copies of the program's instructions */
	bool named;			/* each of its stubs may have a name, see gdb.h */
};

/*
 * Make the stubs of the chunks at [@start, @start + @len) known to unwinders and to gdb, for
 * good. @room: ARCH_UNWIND_SIZE() bytes, 8-aligned, within 2 GiB of the region, that stay readable.
 * Call it before the first of the stubs can be run. Calls must not overlap (the lock on making
 * chunks); threads may be unwinding meanwhile. Returns 0; -ERANGE: @room is too far away;
 * -ENOSPC: too many regions. Logged.
 */
int ftrace_unwind_add(unsigned long start, size_t len, void *room);

/*
 * The same for other code at [@start, @start + @len), whose table is at @hdr already: @size bytes, .eh_frame at
 * @eh_frame in it. gdb is not told.
 */
int ftrace_unwind_add_table(unsigned long start, size_t len, void *hdr, size_t size, size_t eh_frame);

/* The same for trampolines (trampoline.h). gdb is told. */
int ftrace_unwind_add_trampolines(unsigned long start, size_t len, void *hdr, size_t size, size_t eh_frame);

/* The region @pc lies in, or NULL. Async-signal-safe, no lock. */
const struct ftrace_unwind_region *ftrace_unwind_find(unsigned long pc);

/* Is @pc in a stub or a trampoline, so that its frame is none of the program's? Async-signal-safe, no lock. */
bool ftrace_unwind_is_stub(unsigned long pc);

/* Region number @i in order of registration, or NULL. Async-signal-safe, no lock. */
const struct ftrace_unwind_region *ftrace_unwind_region(u32 i);
u32 ftrace_unwind_count(void);

/* ---- unwind-interpose.c ---- */

/*
 * Find libc's functions and who else unwinds, so that no thread has to later, and register with
 * gdb. Called by the engine's constructor; idempotent. What is asked before it is
 * called works too. Returns 0, or -ENOSYS (logged) when the program's unwinder does not reach us,
 * as libc comes first in the order of symbols: then regions are registered with libgcc's or
 * LLVM's unwinder, if the process has one whose symbols are visible, and others see the stack end
 * at a stub. Regions are registered in a statically linked program too, where libc.a's
 * definitions prevail.
 */
int ftrace_unwind_init(void);

/* Let unwinders that are loaded come to us, where the order of symbols does not do that. 0 or -errno. */
int ftrace_unwind_redirect(void);

/* @r is new: told of by registration, to unwinders that do not come to us. */
void ftrace_unwind_tell(const struct ftrace_unwind_region *r);

/* ---- backtrace-interpose.c, in the shared library only ---- */

/* Let lists of callers come to us in a running program. ftrace_lock is held. 0 or -errno. */
int backtrace_redirect(void) __attribute__((weak));

#endif /* FTRACE_ENGINE_UNWIND_H */

/* SPDX-License-Identifier: MIT */
/*
 * The library as a guest: loaded into a running program that did not ask for it, and perhaps told to leave
 * again. Nothing happens before it is asked to; then the work is done by a thread of its own, which the
 * C library knows nothing of, so that none of the program's is kept from its work.
 */
#ifndef FTRACE_ENGINE_GUEST_H
#define FTRACE_ENGINE_GUEST_H

#include "base.h"

/* Was it loaded when the program was running already, and does nobody but the agent need it? */
FTRACE_INTERNAL bool ftrace_is_guest(void);

/* Once, in a thread of the program: what needs the C library. Idempotent. */
FTRACE_INTERNAL void ftrace_guest_prepare(void);

/*
 * Run @func(@arg) in a thread of our own. @tls: some thread-local variable of the caller's object. -EBUSY:
 * the former one has not ended.
 */
FTRACE_INTERNAL int ftrace_guest_run(void (*func)(void *arg), void *arg, const void *tls);

/*
 * Let all objects that are loaded now call @func where they would call @name of libc. For good: what is
 * not to be done any more is passed on. 0 or -errno: some still call libc's.
 */
struct ftrace_redirection {
	const char *name;
	void *func;
};
FTRACE_INTERNAL int ftrace_redirect(const struct ftrace_redirection *list, u32 n);
int ftrace_redirect_locked(const struct ftrace_redirection *list, u32 n);	/* ftrace_lock is held */

/*
 * Nobody records any more: see that no thread is in the middle of that, in the library or in the object that
 * @caller (a function) is in, and let every thread's state forget its stream. When this returns 0
 * streams may be unmapped. -EAGAIN: there is always somebody.
 */
FTRACE_INTERNAL int ftrace_guest_drop_streams(void (*caller)(void));

/*
 * While threads stand still (stop.h): is one of them in the library, or (@stubs) in a stub? One whose
 * call will return to a stub later is not.
 */
struct ftrace_stopped;
bool ftrace_guest_code_is_used(const struct ftrace_stopped *threads, u32 n, bool stubs);

/*
 * What the object that is loaded at @base refers to and @find(name, data) knows becomes what that returns; 0: it stays as
 * the loader has left it. 0 or -errno: -ENOENT: no such object.
 */
FTRACE_INTERNAL int ftrace_fill_references(unsigned long base,
					   unsigned long (*find)(const char *name, void *data),
					   void *data);

/* Look for objects that are wanted now; begins with all that is needed for it if that was not done. 0 or -errno. */
FTRACE_INTERNAL int ftrace_guest_look_again(void);

/* Hook the loader, find objects; ftrace_lock is held. For ftrace_init() and ftrace_guest_return(). */
int ftrace_guest_begin(void);

/* Is that thread there? */
FTRACE_INTERNAL bool ftrace_guest_busy(void);

/* Is @tid that thread? It runs no code of the program. */
bool guest_is_worker(s32 tid);

/*
 * Nobody is registered any more: give every byte of code back, forget the objects. They get their sites
 * back with ftrace_guest_return(). 0 or -errno, logged.
 */
FTRACE_INTERNAL int ftrace_guest_leave(void);
FTRACE_INTERNAL int ftrace_guest_return(void);	/* the first time: ftrace_init() */

#endif /* FTRACE_ENGINE_GUEST_H */

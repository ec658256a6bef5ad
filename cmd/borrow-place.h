/* SPDX-License-Identifier: MIT */
/* Where a thread of another process must not stand when it is borrowed. */
#ifndef CMD_BORROW_PLACE_H
#define CMD_BORROW_PLACE_H

#include "cmd/target.h"

struct inject_state;

#define MAX_PLACES	512u

struct places {
	size_t n;
	struct target_range bad[MAX_PLACES];	/* code that may hold a lock that dlopen() takes */
	struct target_range libc;		/* code in which a thread had better not be met */
	void *unwinder;				/* of borrow-unwind.c; NULL: not needed yet */
};

/* Look for them in what @t has loaded. 0, or -1 after having said what is wrong. */
int places_find(struct places *p, struct target *t);
void places_free(struct places *p);

/*
 * Is no function of the bad places under way in the stopped thread @tid? @strict: nor any other of libc,
 * other than one that waits. False, and *@why says what.
 */
bool places_are_good(struct places *p, struct target *t, pid_t tid,
		     const struct inject_state *state, bool strict, const char **why);

/* Is @addr in one of the bad ones? */
bool places_have(const struct places *p, unsigned long addr);

/*
 * Can all calls under way in the stopped thread @tid be told, and is none of them in a bad place?
 * (borrow-unwind.c)
 */
bool place_unwinds_well(struct places *p, pid_t pid, pid_t tid);
void place_unwind_end(struct places *p);

/*
 * Do the seccomp filters that the stopped thread @tid is under, if any, allow all that the agent does?
 * False: *@why says what not. (borrow-seccomp.c)
 */
bool place_may_call(const struct target *t, pid_t tid, const char **why);

/* Does the (running) thread wait in a system call that may be interrupted? A guess, for choosing. */
bool place_is_waiting(const struct target *t, pid_t tid);

#endif /* CMD_BORROW_PLACE_H */

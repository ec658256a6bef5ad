/* SPDX-License-Identifier: MIT */
/*
 * Borrowing a thread of another process: it is stopped, where it holds no lock of the loader or of
 * malloc if need be, made to run something, and put back as it was. All other threads run on meanwhile.
 */
#ifndef CMD_BORROW_H
#define CMD_BORROW_H

#include "cmd/target.h"

struct inject_state;

struct borrowed {
	struct target *t;
	pid_t tid;
	struct inject_state *state;
	uint64_t signals;		/* its mask */
	unsigned long insn;		/* an instruction that makes a system call */
	unsigned long room;		/* memory of ours in the process, BORROW_ROOM bytes ... */
	unsigned long code, code_end;	/* ... and what calls functions */
	bool trap_ignored;
	uint64_t began_ns, stopped_ns;	/* for how long it was kept from its own work */
};

#define BORROW_ROOM	(256ul << 10)
#define BORROW_DATA	8192u		/* at the beginning of the room: for arguments */

/* For what takes the loader's or malloc's locks. 0, or -1 after having said why none could be had. */
int borrow_thread(struct borrowed *b, struct target *t);

/* For what takes none of the program's locks: wherever it stands. */
int borrow_any_thread(struct borrowed *b, struct target *t);

/* Its registers, signal mask and memory as they were; it goes on. */
void borrow_end(struct borrowed *b);

/* Let it make system call @nr (of its own kind: t->abi->calls); what the kernel returns. -ESRCH also when it died. */
long borrow_syscall(struct borrowed *b, long nr, unsigned long a0, unsigned long a1,
		    unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);

/* Let it call @func. 0 or -errno: -ETIMEDOUT: it does not return; -EFAULT: it crashed there. */
int borrow_call(struct borrowed *b, unsigned long func, const unsigned long args[4],
		unsigned long *result);

#endif /* CMD_BORROW_H */

/* SPDX-License-Identifier: MIT */
/*
 * The stack of the calling thread, by call frame information, in a callback. One thread at a time: what is loaded is
 * kept in one list, which is made anew when the loader has changed its own. Who cannot have it soon (or is a signal
 * handler that has interrupted who has it) gets the caller alone.
 */
#include "stack-trace.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <ftrace/ptrace.h>

#include "arch.h"
#include "chunk.h"
#include "ops.h"
#include "peek.h"
#include "refill.h"
#include "thread.h"
#include "unwind-stack.h"

#define TRIES	200u		/* for who has the list to be done with it */

static struct unwind_objects *objects;	/* NULL: nobody asked for it yet */
static s32 owner;			/* thread that has the list now */
static unsigned long owner_frame;	/* where its mark is on its stack */
static u32 owner_mark, nested;
static bool stale;			/* it could not be made anew */

/* @mark: on the caller's stack. @slot: the stack pointer of the call that is looked at. */
static bool take(struct ftrace_thread *t, u32 *mark, unsigned long slot)
{
	for (u32 i = 0; i < TRIES; i++) {
		s32 nobody = 0;

		if (__atomic_compare_exchange_n(&owner, &nobody, t->tid, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			break;
		if (nobody == t->tid) {
			if (!ftrace_mark_is_left(t, owner_frame, owner_mark, &nested, slot))
				return false;
			break;
		}
		if (READ_ONCE(ftrace_no_syscalls) || i + 1 == TRIES)
			return false;
		arch_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	WRITE_ONCE(*mark, (u32)arch_ticks() | 1);
	owner_mark = *mark;
	owner_frame = (unsigned long)mark;
	return true;
}

static void let_go(u32 *mark)
{
	WRITE_ONCE(*mark, 0);
	smp_store_release(&owner, 0);
}

FTRACE_INTERNAL int ftrace_stack_trace_prepare(void)
{
	struct unwind_objects *o;
	const char *why;

	if (objects)
		return 0;
	o = ft_mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (ft_is_err(o))
		return ft_log(-ENOMEM, "stack traces: no memory");
	ft_lock(ftrace_lock);
	why = unwind_objects_open(o);
	stale = why != NULL;
	smp_store_release(&objects, o);
	ft_unlock(ftrace_lock);
	return 0;
}

void ftrace_stack_trace_changed(void)
{
	struct ftrace_thread *t = objects ? ftrace_thread_get() : NULL;
	u32 mark;

	if (!objects)
		return;
	WRITE_ONCE(stale, true);
	if (!t || READ_ONCE(ftrace_no_syscalls) ||
	    !take(t, &mark, (unsigned long)__builtin_frame_address(0)))
		return;
	WRITE_ONCE(stale, unwind_objects_open(objects) != NULL);
	let_go(&mark);
}

/* From @w up; stubs, which stand between a hooked call and its caller, are left out. */
static u32 walk(struct unwind_walk *w, unsigned long *ips, u32 max)
{
	u32 n = 0;

	do {
		unsigned long pc = ARCH_CODE_ADDRESS(w->regs.reg[ARCH_UNWIND_PC]);

		if (!ftrace_is_stub_return(pc))
			ips[n++] = pc;
	} while (n < max && unwind_step(w) == UNWIND_FRAME);
	return n;
}

FTRACE_INTERNAL u32 ftrace_stack_trace(struct pt_regs *regs, bool ret, unsigned long *ips, u32 max)
{
	struct ftrace_thread *t = ftrace_thread_get();
	unsigned long sp = user_stack_pointer(regs);
	struct ftrace_peek peek;
	struct unwind_regs caller;
	struct unwind_walk w;
	u32 mark, n = 0;

	if (!max)
		return 0;
	ips[0] = ret ? instruction_pointer(regs) :
		 ftrace_real_parent(*arch_return_address(regs), sp);
	if (!t || !smp_load_acquire(&objects) || READ_ONCE(ftrace_no_syscalls) || !take(t, &mark, sp))
		return 1;
	if (!READ_ONCE(stale)) {
		arch_unwind_caller(regs, &caller);
		if (ret) {
			caller.reg[ARCH_UNWIND_SP] = sp;
			caller.reg[ARCH_UNWIND_PC] = instruction_pointer(regs);
		}
		ftrace_peek_begin(&peek, sp);
		unwind_begin(&w, objects, &caller, sp, peek.hi);
		w.exact = false;
		n = walk(&w, ips, max);
	}
	let_go(&mark);
	return n ? n : 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * The stack tracer: the deepest stack any thread of the process had at the entry of a traced
 * function, and whose frames it consisted of.
 *
 * The calls under way in a thread are a list through the data that a graph ops keeps for each: an
 * entry links itself to its caller, a return goes back to it. What an exception or longjmp left in
 * between is told by its depth. Between two entries that go deeper than ever, nothing is written;
 * and at such an entry only what the result that is overwritten does not have already, so that a
 * recursion a million deep is a million small steps.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <ftrace/fgraph.h>
#include <ftrace/trace-results.h>

#include "arch.h"
#include "engine/ops.h"
#include "engine/thread.h"
#include "tracers/tracer.h"

struct frame {
	unsigned long ip, parent_ip, sp;
	unsigned long outermost_sp;	/* of the traced functions on this stack */
	struct frame *caller;
	u64 serial;		/* no other call of a thread with this tid had it */
	int depth;
	u32 number;		/* traced functions further out on this stack */
};

static struct ftrace_stack_result *result;
static unsigned long deepest;		/* its depth, where every thread looks */

/* Of each frame in the two results, by its place there: which call it was. */
static u64 (*serials)[FTRACE_STACK_FRAMES];

/* This thread's innermost call, and its own stack: [lo, top). */
static __thread struct frame *innermost;
static __thread u64 last_serial;
static __thread unsigned long writing_at;	/* frame that writes a result, or did last */
static __thread unsigned long own_lo, own_top;
static __thread s32 own_tid;

/* ---- where this thread's stack begins ---- */

#define LEAST_GAP	(128ul << 20)	/* below the main stack, kept free by the kernel */

struct search {
	unsigned long sp, lo, hi;
	bool main;
};

static int look_at(const struct ft_mapping *m, void *data)
{
	struct search *s = data;

	if (s->sp < m->lo || s->sp >= m->hi)
		return 0;
	s->lo = m->lo;
	s->hi = m->hi;
	s->main = m->stack;
	return 1;
}

/*
 * The thread's own stack, found at its first call: the main stack ends with its mapping; another
 * one, below the thread's control block, which glibc and musl put there. On other stacks
 * (coroutines, signal stacks) top is not known.
 */
static void find_own_stack(unsigned long sp)
{
	unsigned long tcb = (unsigned long)__builtin_thread_pointer();
	struct search s = { .sp = sp };
	struct rlimit limit;

	own_lo = own_top = 1;		/* looked for */
	own_tid = -1;
	if (READ_ONCE(ftrace_no_syscalls))
		return;
	own_tid = (s32)arch_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
	ft_for_each_mapping(look_at, &s);
	if (s.main) {
		unsigned long size = LEAST_GAP;

		if (!arch_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&limit, 0, 0) &&
		    limit.rlim_cur > size && limit.rlim_cur < s.hi)
			size = limit.rlim_cur;
		own_lo = s.hi - size;
		own_top = s.hi;
	} else if (sp < tcb && tcb < s.hi) {
		own_lo = s.lo;
		own_top = tcb;
	}
}

static bool is_own(unsigned long sp)
{
	return sp - own_lo < own_top - own_lo;
}

/* ---- a new deepest stack ---- */

/*
 * Only one thread writes. A handler that interrupted it does not; if it never came back, a call above
 * the frame that wrote shows that, and what was half written is not built on. @sp: of that call.
 */
static bool take(unsigned long sp)
{
	unsigned long here = (unsigned long)__builtin_frame_address(0);

	for (unsigned int i = 0; i < 1000; i++) {
		u32 nobody = 0;

		if (__atomic_compare_exchange_n(&result->writer, &nobody, (u32)own_tid, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			writing_at = here;
			return true;
		}
		if (nobody == (u32)own_tid && sp > writing_at && is_own(sp) && is_own(writing_at)) {
			ft_memset(serials, 0, 2 * sizeof(*serials));
			writing_at = here;
			return true;
		}
		if (nobody == (u32)own_tid || READ_ONCE(ftrace_no_syscalls))
			return false;
		arch_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	return false;
}

/* How deep is the stack at the entry of @f? */
static unsigned long depth_of(const struct frame *f)
{
	return (is_own(f->sp) ? own_top : f->outermost_sp) - f->sp;
}

/*
 * Make result @which, which is not the current one, that of @f. Where it shows calls that are under
 * way still, everything around them is right already.
 */
static void write_result(unsigned int which, const struct frame *f)
{
	struct ftrace_stack_trace *trace = &result->trace[which];
	u32 n = f->number + 1, first = n > FTRACE_STACK_FRAMES ? n - FTRACE_STACK_FRAMES : 0;

	if (trace->tid != (u32)own_tid)
		ft_memset(serials[which], 0, sizeof(serials[which]));
	for (const struct frame *g = f; g && g->number >= first; g = g->number ? g->caller : NULL) {
		u32 at = g->number % FTRACE_STACK_FRAMES;

		if (serials[which][at] == g->serial) {
			if (first < trace->first)
				first = trace->first;
			break;
		}
		serials[which][at] = g->serial;
		trace->frames[at] = (struct ftrace_stack_frame){
			.ip = g->ip, .parent_ip = g->parent_ip, .sp = g->sp,
		};
	}
	trace->first = first;
	trace->nframes = n;
	trace->depth = depth_of(f);
	trace->top = is_own(f->sp) ? own_top : 0;
	trace->tid = (u32)own_tid;
}

static void note(const struct frame *f)
{
	if (depth_of(f) <= READ_ONCE(deepest) || !take(f->sp))
		return;
	if (depth_of(f) > deepest) {
		write_result(!result->current, f);
		/* Whoever reads after a kill finds the old one or this one. */
		smp_store_release(&result->current, !result->current);
		WRITE_ONCE(deepest, depth_of(f));
	}
	smp_store_release(&result->writer, 0);
}

/* ---- callbacks ---- */

/* @f, which is complete but for this, is called from @caller: is it on the same stack? */
static void link_frame(struct frame *f, struct frame *caller)
{
	f->caller = caller;
	if (caller && caller->sp >= f->sp && is_own(caller->sp) == is_own(f->sp)) {
		f->number = caller->number + 1;
		f->outermost_sp = caller->outermost_sp;
	} else {
		f->number = 0;
		f->outermost_sp = f->sp;
	}
}

static int stack_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops,
		       struct pt_regs *regs)
{
	struct frame *caller = innermost, *f;

	if (!result)
		return 0;
	/* Those that an exception or longjmp left. Before their memory is reserved again. */
	while (caller && caller->depth >= ent->depth)
		caller = caller->caller;
	f = fgraph_reserve_data(gops, sizeof(*f));
	if (!f)
		return 0;
	f->ip = ent->func;
	f->parent_ip = ent->parent_ip;
	f->sp = user_stack_pointer(regs);
	f->depth = ent->depth;
	if (unlikely(!own_top)) {
		find_own_stack(f->sp);
		last_serial = arch_ticks();	/* ahead of what a thread before had counted to */
	}
	f->serial = ++last_serial;
	link_frame(f, caller);
	innermost = f;
	if (depth_of(f) > READ_ONCE(deepest))
		note(f);
	return 1;
}

static void stack_return(struct ftrace_graph_ret *ret, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	struct frame *f = fgraph_retrieve_data(gops, NULL);

	if (f)
		innermost = f->caller;
	if (unlikely(ret->overrun) && result)
		__atomic_store_n(&result->not_followed, ret->overrun, __ATOMIC_RELAXED);
}

static struct fgraph_ops stack_gops = {
	.entryfunc = stack_entry,
	.retfunc = stack_return,
	.flags = FGRAPH_OPS_FL_GENERAL_REGS,
	.ops = { .flags = FTRACE_OPS_FL_THREADS },
};

static int make_result(void)
{
	struct ftrace_stack_result *r = tracer_file("stack", 0, sizeof(*r));

	if (ft_is_err(r))
		return ft_log((int)(long)r, "stack tracer: no room in the session directory for "
			      "its result (error %ld)", -(long)r);
	if (!serials)
		serials = ft_alloc(2 * sizeof(*serials));
	if (!serials)
		return ft_log(-ENOMEM, "stack tracer: no memory");
	ft_memset(serials, 0, 2 * sizeof(*serials));
	r->magic = FTRACE_STACK_MAGIC;
	WRITE_ONCE(deepest, 0);
	smp_store_release(&result, r);
	return 0;
}

static void drop_result(void)
{
	struct ftrace_stack_result *r = result;

	result = NULL;
	if (r)
		arch_syscall(SYS_munmap, (long)r, ALIGN_UP(sizeof(*r), FT_PAGE_SIZE), 0, 0, 0, 0);
}

static int stack_init(void)
{
	int err = result ? 0 : make_result();

	return err ? err : register_ftrace_graph(&stack_gops);
}

static int stack_reset(void)
{
	return unregister_ftrace_graph(&stack_gops);
}

/* In a child of fork: what is mapped is the parent's. Its calls are not ours to return from. */
static void stack_forked(void)
{
	innermost = NULL;
	own_top = 0;
	drop_result();
	make_result();
}

struct tracer tracer_stack = {
	.name = "stack",
	.init = stack_init,
	.reset = stack_reset,
	.forked = stack_forked,
	.ops = &stack_gops.ops,
};

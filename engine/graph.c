/* SPDX-License-Identifier: MIT */
/*
 * Graph ops with callbacks: the calls of a thread whose return somebody waits for.
 *
 * The return address of a hooked call is in the shadow of its slot; what the callbacks need besides
 * (who wants the return, their shared data) is kept here, in an array per thread, found by slot. Frames
 * that an exception or longjmp left never return: they are dropped when a call further up
 * begins or ends.
 *
 * The array is in segments, each twice as large as the one before, so that a call stays where it is
 * (callbacks keep pointers to their data) and a thread with shallow calls pays for few. A
 * segment is made when the calls get there, and goes with its thread.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include <ftrace/trace-format.h>

#include "arch.h"
#include "callback.h"
#include "chunk.h"
#include "general.h"
#include "graph.h"
#include "kprobe.h"
#include "ops.h"
#include "shadow.h"
#include "thread.h"

struct fgraph_ops *fgraph_array[FGRAPH_MAX_OPS];
bool ftrace_returns_refused;

struct fgraph_call {
	unsigned long slot;
	struct dyn_ftrace *site;
	unsigned long parent;
	unsigned long epoch;		/* ops registered later know nothing of this call */
	u16 wants;			/* mask of fgraph_array */
	u8 data_used;			/* of data, in all */
	u8 current;			/* index of the ops whose callback runs */
	u8 data_at[FGRAPH_MAX_OPS];	/* each ops' part of data ... */
	u8 data_size[FGRAPH_MAX_OPS];	/* ... 0: none */
	u32 memory_end;			/* of the thread's memory for calls: this one's, and what is before */
	void *word;			/* ftrace_graph_call_word() */
	_Alignas(16) u8 data[FGRAPH_MAX_DATA];
};

/* In segment 0, which is part of fgraph_stack: enough where the program forbids us more memory. */
#define FIRST_CALLS	1024u
#define SEGMENTS	13u		/* 8 M calls in all */

struct fgraph_stack {
	u32 n;
	/* Frame of who called the callback under way, 0: none. What that calls is not reported. */
	unsigned long busy;
	u64 overrun;
	struct fgraph_call *now;	/* the call whose callback runs, for fgraph_reserve_data */
	u32 room;			/* calls in the segments there are */
	bool may_hook;			/* the return of the call whose entryfunc runs */
	struct ftrace_call_memory memory;
	struct fgraph_call *segments[SEGMENTS];		/* [0] unused */
	struct fgraph_call first[FIRST_CALLS];
};

static unsigned long epoch;	/* counts registrations */

#define STACK_BYTES	ALIGN_UP(sizeof(struct fgraph_stack), FT_PAGE_SIZE)

static struct fgraph_stack *stack_of(struct ftrace_thread *t)
{
	void *p;

	if (t->fgraph || ftrace_no_syscalls)
		return t->fgraph;
	p = ft_mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ft_is_err(p))
		return NULL;
	((struct fgraph_stack *)p)->room = FIRST_CALLS;
	t->fgraph = p;
	return p;
}

static size_t segment_bytes(u32 k)
{
	return ALIGN_UP(((size_t)FIRST_CALLS << k) * sizeof(struct fgraph_call), FT_PAGE_SIZE);
}

/* Calls in segments 0 to @k. */
static u32 room_until(u32 k)
{
	return FIRST_CALLS * ((2u << k) - 1);
}

static struct fgraph_call *call_at(struct fgraph_stack *s, u32 i)
{
	u32 k;

	if (likely(i < FIRST_CALLS))
		return &s->first[i];
	k = 31u - (u32)__builtin_clz(i / FIRST_CALLS + 1);
	return &s->segments[k][i - room_until(k - 1)];
}

/* One segment more. A handler may do the same in the middle of it, or leave it by longjmp. */
static bool grow(struct fgraph_stack *s)
{
	u32 k = 32u - (u32)__builtin_clz(s->room / FIRST_CALLS);
	struct fgraph_call *none = NULL;
	void *p;

	if (k >= SEGMENTS || ftrace_no_syscalls)
		return false;
	if (!READ_ONCE(s->segments[k])) {
		p = ft_mmap(NULL, segment_bytes(k), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ft_is_err(p))
			return false;
		if (!__atomic_compare_exchange_n(&s->segments[k], &none, p, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			arch_syscall(SYS_munmap, (long)p, (long)segment_bytes(k), 0, 0, 0, 0);
	}
	barrier();
	if (s->room < room_until(k))
		WRITE_ONCE(s->room, room_until(k));
	return true;
}

void ftrace_graph_thread_gone(struct ftrace_thread *t)
{
	struct fgraph_stack *s = t->fgraph;

	t->fgraph = NULL;
	if (!s)
		return;
	for (u32 k = 1; k < SEGMENTS; k++)
		if (s->segments[k])
			arch_syscall(SYS_munmap, (long)s->segments[k], (long)segment_bytes(k),
				     0, 0, 0, 0);
	ftrace_call_memory_free(&s->memory);
	arch_syscall(SYS_munmap, (long)s, STACK_BYTES, 0, 0, 0, 0);
}

/* Drop calls of this stack that cannot be under way when one at @slot is. */
static void drop_dead(struct ftrace_thread *t, struct fgraph_stack *s, unsigned long slot,
		      bool and_same)
{
	while (s->n) {
		unsigned long top = call_at(s, s->n - 1)->slot;

		/* Another stack's, a coroutine's: nothing is known of it. */
		if (top - t->stack_lo >= t->stack_size)
			break;
		if (top > slot || (top == slot && !and_same))
			break;
		s->n--;
	}
}

static unsigned long parent_of(unsigned long ret, unsigned long slot)
{
	return ARCH_CODE_ADDRESS(ftrace_is_stub_return(ret) ? *arch_shadow(slot) : ret);
}

unsigned long ftrace_real_parent(unsigned long ip, unsigned long slot)
{
	return parent_of(ip, slot);
}

/* Is a callback under way? One that a signal handler left by siglongjmp() is not. */
static bool is_busy(struct ftrace_thread *t, struct fgraph_stack *s, unsigned long slot)
{
	if (likely(!s->busy))
		return false;
	if (!ftrace_frame_is_left(t, s->busy, slot))
		return true;
	WRITE_ONCE(s->busy, 0);
	return false;
}

static bool is_recorder(const struct fgraph_ops *gops)
{
	return gops->flags & FGRAPH_OPS_FL_RECORD;
}

/* Is it a tracer's, of whom threads may be hidden? */
static bool is_for_chosen(const struct fgraph_ops *gops)
{
	return is_recorder(gops) || gops->ops.flags & FTRACE_OPS_FL_THREADS;
}

bool ftrace_graph_enter(struct ftrace_thread *t, struct dyn_ftrace *site, struct pt_regs *regs,
			unsigned long *slot, unsigned long ret)
{
	unsigned int graph = READ_ONCE(site->graph);
	bool tail = ftrace_is_stub_return(ret), hooked = false;
	bool may_hook = !(site->flags & FTRACE_SITE_ENTRY_ONLY) && !ftrace_returns_refused;
	struct fgraph_stack *s = stack_of(t);
	struct fgraph_call *call;
	u32 n;
	struct ftrace_graph_ent_at at = { .site = site };

	if (unlikely(READ_ONCE(ftrace_silent)))
		graph = ftrace_graph_never_silent((u16)graph);
	if (!s || is_busy(t, s, (unsigned long)slot)) {
		probe_return_missed(site);
		return false;
	}
	if ((unsigned long)slot - t->stack_lo >= t->stack_size) {
		/* A child of clone(CLONE_VM) with our TLS: as in ftrace_record_slow(). */
		if (!ftrace_no_syscalls && ft_gettid() != t->tid) {
			ftrace_record_lost(t);
			return false;
		}
		if (may_hook && !tail && ftrace_shadow_enter(t, (unsigned long)slot)) {
			t->unshadowed++;
			may_hook = false;
		}
	}
	drop_dead(t, s, (unsigned long)slot, !tail);
	if (unlikely(s->n == s->room) && !grow(s)) {
		s->overrun++;
		probe_return_missed(site);
		return false;
	}
	/*
	 * Until it counts, a signal handler's calls use the same place, and are gone from it when the handler returns: then
	 * it is filled in once more.
	 */
	n = s->n;
	call = call_at(s, n);
	do {
		call->memory_end = n ? call_at(s, n - 1)->memory_end : 0;
		call->word = NULL;
		call->wants = 0;
		call->data_used = 0;
		ft_memset(call->data_size, 0, sizeof(call->data_size));
		call->site = site;
		call->parent = parent_of(ret, (unsigned long)slot);
		call->epoch = READ_ONCE(epoch);
		WRITE_ONCE(call->slot, (unsigned long)slot);
		barrier();
		WRITE_ONCE(s->n, n + 1);
		barrier();
	} while (unlikely(READ_ONCE(call->slot) != (unsigned long)slot));
	at.ent.func = site->ip;
	at.ent.parent_ip = call->parent;
	at.ent.depth = (int)n;
	for (; graph; graph &= graph - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(graph);
		struct fgraph_ops *gops = __atomic_load_n(&fgraph_array[i], __ATOMIC_ACQUIRE);
		bool wants = true;

		if (!gops || (unlikely(READ_ONCE(t->unchosen)) && is_for_chosen(gops)))
			continue;
		if (is_recorder(gops)) {
			unsigned long event = may_hook ? FTRACE_EVENT_ENTRY : FTRACE_EVENT_FUNCTION;

			wants = ftrace_record_event(t, FTRACE_ID_EVENT(event, site->id),
						    (unsigned long)slot) && !tail;
		} else if (!(gops->flags & FGRAPH_OPS_FL_GENERAL_REGS) &&
			   !arch_vectors_saved(regs)) {
			wants = false;	/* as ftrace_ops_may_run() */
		} else if (gops->entryfunc) {
			call->current = (u8)i;
			s->now = call;
			s->may_hook = may_hook;
			WRITE_ONCE(s->busy, (unsigned long)__builtin_frame_address(0));
			wants = gops->entryfunc(&at.ent, gops, regs) != 0;
			WRITE_ONCE(s->busy, 0);
			wants = wants && gops->retfunc;
		}
		if (wants && may_hook)
			call->wants |= (u16)(1u << i);
	}
	if (!call->wants) {
		s->n--;
		return false;
	}
	/* A tail call's return is its caller's: that one's exit finds both by their slot. */
	if (!tail) {
		/* Calls left by longjmp are marked in recordings of the fast paths only. */
		arch_shadow_set((unsigned long)slot, ret, FTRACE_TOP_NONE, site->id);
		WRITE_ONCE(t->top, FTRACE_TOP_NONE);
		hooked = true;
	}
	return hooked;
}

static void call_ended(struct ftrace_thread *t, struct fgraph_stack *s, struct fgraph_call *call,
		       struct pt_regs *regs, u32 depth)
{
	struct ftrace_graph_ret_at at = {
		.ret = { .func = call->site->ip, .parent_ip = call->parent, .depth = (int)depth,
			 .overrun = s->overrun },
		.site = call->site,
	};
	unsigned int wants = call->wants;
	bool recorded = false;

	/* The last one first; but for the record of it all, which is behind what others write of this return. */
	while (wants) {
		unsigned int i = 31u - (unsigned int)__builtin_clz(wants);
		struct fgraph_ops *gops = __atomic_load_n(&fgraph_array[i], __ATOMIC_ACQUIRE);

		wants ^= 1u << i;
		if (!gops || (READ_ONCE(ftrace_silent) && !(gops->flags & FGRAPH_OPS_FL_PROBE)) ||
		    (unsigned long)gops->reserved[FGRAPH_OPS_EPOCH] > call->epoch)
			continue;
		if (is_recorder(gops)) {
			recorded = true;
			continue;
		}
		if (!(gops->flags & FGRAPH_OPS_FL_GENERAL_REGS) && !arch_vectors_saved(regs))
			continue;
		call->current = (u8)i;
		s->now = call;
		WRITE_ONCE(s->busy, (unsigned long)__builtin_frame_address(0));
		gops->retfunc(&at.ret, gops, regs);
		WRITE_ONCE(s->busy, 0);
	}
	if (recorded)
		ftrace_record_event(t, FTRACE_ID_EVENT(FTRACE_EVENT_EXIT, call->site->id), call->slot);
}

unsigned long ftrace_graph_return_func(struct pt_regs *regs, struct dyn_ftrace *site)
{
	unsigned long slot = arch_return_slot(regs, site);
	unsigned long ret = *arch_shadow(slot);
	struct ftrace_thread *t = ftrace_thread_quick();
	struct fgraph_stack *s = t ? t->fgraph : NULL;
	bool found = false, nested, busy;

	instruction_pointer_set(regs, ret);
	if (!t || (READ_ONCE(ftrace_silent) && !(s && s->n)))
		return ret;
	nested = ftrace_callback_begin(t, slot, (unsigned long)__builtin_frame_address(0));
	busy = s && is_busy(t, s, slot);
	/* Frames below ours are gone; ours are all those at our slot: tail calls end together. */
	for (u32 i = s && !busy ? s->n : 0; i-- > 0;) {
		struct fgraph_call *call = call_at(s, i);

		if (call->slot != slot) {
			if (call->slot > slot && call->slot - t->stack_lo < t->stack_size)
				break;
			continue;
		}
		call_ended(t, s, call, regs, i);
		found = true;
		/* Calls above it in the array belong to other stacks or are dead. */
		if (i == s->n - 1)
			s->n--;
		else
			call->slot = 0;
	}
	if (s && !busy)
		drop_dead(t, s, slot, true);
	WRITE_ONCE(t->top, FTRACE_TOP_NONE);
	/* Entered through the fast path, which keeps no notes. */
	if (!found && site->graph && !READ_ONCE(ftrace_silent)) {
		for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++) {
			struct fgraph_ops *gops = READ_ONCE(fgraph_array[i]);

			if (gops && (site->graph & 1u << i) && is_recorder(gops))
				ftrace_record_event(t, FTRACE_ID_EVENT(FTRACE_EVENT_EXIT, site->id),
						    slot);
		}
	}
	ftrace_callback_end(t, nested);
	return ret;
}

FTRACE_PUBLIC void *fgraph_reserve_data(struct fgraph_ops *gops, int size_bytes)
{
	struct fgraph_stack *s = ftrace_self ? ftrace_self->fgraph : NULL;
	struct fgraph_call *call = s ? s->now : NULL;
	u8 i, at;

	if (!call || !s->busy || fgraph_array[call->current] != gops || size_bytes <= 0 ||
	    size_bytes > FGRAPH_MAX_DATA)
		return NULL;
	i = call->current;
	at = ALIGN_UP(call->data_used, 8);
	if (call->data_size[i] || at + size_bytes > FGRAPH_MAX_DATA)
		return NULL;
	call->data_at[i] = at;
	call->data_size[i] = (u8)size_bytes;
	call->data_used = (u8)(at + size_bytes);
	return ft_memset(call->data + at, 0, (size_t)size_bytes);
}

FTRACE_PUBLIC void *fgraph_retrieve_data(struct fgraph_ops *gops, int *size_bytes)
{
	struct fgraph_stack *s = ftrace_self ? ftrace_self->fgraph : NULL;
	struct fgraph_call *call = s ? s->now : NULL;

	if (!call || !s->busy || fgraph_array[call->current] != gops ||
	    !call->data_size[call->current])
		return NULL;
	if (size_bytes)
		*size_bytes = call->data_size[call->current];
	return call->data + call->data_at[call->current];
}

struct dyn_ftrace *ftrace_graph_site(const struct ftrace_thread *t, bool *may_hook)
{
	*may_hook = t->fgraph->may_hook;
	return t->fgraph->now->site;
}

void **ftrace_graph_call_word(struct ftrace_thread *t)
{
	return &t->fgraph->now->word;
}

void *ftrace_graph_call_alloc(struct ftrace_thread *t, size_t size)
{
	struct fgraph_stack *s = t->fgraph;

	return ftrace_call_memory_get(&s->memory, &s->now->memory_end, size);
}

u16 ftrace_graph_never_silent(u16 mask)
{
	/* No further than it has bits: asked of every site. */
	for (unsigned int i = 0; mask >> i; i++) {
		struct fgraph_ops *gops = READ_ONCE(fgraph_array[i]);

		if (!gops || !(gops->flags & FGRAPH_OPS_FL_PROBE))
			mask &= (u16)~(1u << i);
	}
	return mask;
}

static int check(struct fgraph_ops *gops)
{
	if (!gops || (!gops->entryfunc && !gops->retfunc && !is_recorder(gops)))
		return ft_log(-EINVAL, "register_ftrace_graph: no callback given");
	if (gops->flags & ~(unsigned long)(FGRAPH_OPS_FL_GENERAL_REGS | FGRAPH_OPS_FL_RECORD |
					   FGRAPH_OPS_FL_PROBE))
		return ft_log(-EINVAL, "register_ftrace_graph: unknown flags 0x%lx", gops->flags);
	if (is_recorder(gops) && !ftrace_stream_ops())
		return ft_log(-ENODEV, "register_ftrace_graph: nothing takes records");
	if (gops->reserved[FGRAPH_OPS_INDEX])
		return ft_log(-EBUSY, "register_ftrace_graph: already registered");
	return 0;
}

FTRACE_PUBLIC int register_ftrace_graph(struct fgraph_ops *gops)
{
	unsigned int i;
	int err = ftrace_init();

	if (!err)
		err = check(gops);
	if (err)
		return err;
	/* The shadow of this stack now, while nothing forbids the memory for it. */
	if (!ftrace_returns_refused && ftrace_thread_get())
		ftrace_shadow_enter(ftrace_self, (unsigned long)__builtin_frame_address(0));
	ft_lock(ftrace_lock);
	for (i = 0; i < FGRAPH_MAX_OPS && fgraph_array[i]; i++)
		;
	if (i == FGRAPH_MAX_OPS) {
		ft_unlock(ftrace_lock);
		return ft_log(-ENOSPC, "register_ftrace_graph: %u graph ops are registered, "
			      "which is the most there can be", FGRAPH_MAX_OPS);
	}
	fgraph_ops_see_general(gops);
	gops->reserved[FGRAPH_OPS_EPOCH] = (void *)(epoch + 1);
	WRITE_ONCE(epoch, epoch + 1);
	gops->reserved[FGRAPH_OPS_INDEX] = (void *)(unsigned long)(i + 1);
	__atomic_store_n(&fgraph_array[i], gops, __ATOMIC_RELEASE);
	gops->ops.flags |= FTRACE_OPS_FL_ENABLED;
	err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	if (err) {
		unregister_ftrace_graph(gops);
		return ft_log(err, "register_ftrace_graph: the code of traced functions cannot be "
			      "changed (error %d)", -err);
	}
	return 0;
}

FTRACE_PUBLIC int unregister_ftrace_graph(struct fgraph_ops *gops)
{
	unsigned long i = gops ? (unsigned long)gops->reserved[FGRAPH_OPS_INDEX] : 0;
	int err;

	if (!i || i > FGRAPH_MAX_OPS || fgraph_array[i - 1] != gops)
		return ft_log(-ENOENT, "unregister_ftrace_graph: not registered");
	if (ftrace_in_callback((unsigned long)__builtin_frame_address(0)))
		return ft_log(-EDEADLK, "unregister_ftrace_graph: called from a callback");
	ft_lock(ftrace_lock);
	__atomic_store_n(&fgraph_array[i - 1], NULL, __ATOMIC_RELEASE);
	gops->reserved[FGRAPH_OPS_INDEX] = NULL;
	gops->ops.flags &= ~(unsigned long)FTRACE_OPS_FL_ENABLED;
	err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	ftrace_synchronize();
	fgraph_ops_forget_general(gops);
	return err;
}

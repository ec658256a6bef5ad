/* SPDX-License-Identifier: MIT */
/*
 * Probes (<ftrace/kprobes.h>) inside the library.
 *
 * All probes of one address are a probe_point. Points are never freed: whoever was on the way to one when its
 * last probe went finds it empty. Lists are changed with the probes' lock and ftrace_lock held, and
 * read without; who leaves one is out of sight when ftrace_synchronize() has returned.
 */
#ifndef FTRACE_ENGINE_KPROBE_H
#define FTRACE_ENGINE_KPROBE_H

#include <ftrace/kprobes.h>

#include "arch.h"
#include "callback.h"
#include "ops.h"

/* What the library keeps in kprobe.reserved. */
enum {
	KPROBE_NEXT,		/* the next at its point */
	KPROBE_POINT,		/* struct probe_point *; NULL: not registered */
	KPROBE_EPOCH,		/* when it was registered; of those with one address in time */
	KPROBE_IS_RETURN,	/* it is a kretprobe's kp */
};

/* The ways of riding on the tracer. */
enum { RIDE_CALL_GENERAL, RIDE_CALL, RIDE_RETURN_GENERAL, RIDE_RETURN, RIDES };

struct probe_detour;

struct probe_point {
	struct ftrace_ops ops;		/* for its site's trampoline, where nobody else has the site */
	unsigned long addr;
	struct probe_point *next;	/* of all */
	struct kprobe *probes;		/* by KPROBE_NEXT, in the order of registration */
	struct kprobe *returns;		/* kps of kretprobes */
	struct dyn_ftrace *site;	/* it rides on that one; NULL: it has detours */
	struct probe_detour *detour;	/* what is reached from its address now, or was */
	struct probe_detour *single, *several;	/* for its instruction, for all that a jump covers (NULL: none) */
	const void *object;		/* the loader's link_map; NULL: none */
	unsigned long object_base;
	struct probe_point *next_near;	/* with the same hash of the address */
	u8 placed;			/* enum detour_placed */
	u8 rides;			/* mask of those whose filter has it */
	u8 call, ret;			/* the ride that counts, where it has two for a moment */
	bool gone;			/* its object was unloaded */
	bool has_post;			/* one of the probes has had a post_handler */
	bool queued;			/* in the batch under way */
};

static inline struct kprobe *kprobe_next(const struct kprobe *p)
{
	return smp_load_acquire((struct kprobe **)&p->reserved[KPROBE_NEXT]);
}

static inline struct probe_point *kprobe_point(const struct kprobe *p)
{
	return p->reserved[KPROBE_POINT];
}

static inline bool kprobe_is_live(const struct kprobe *p)
{
	return !(READ_ONCE(p->flags) & (KPROBE_FLAG_DISABLED | KPROBE_FLAG_GONE));
}

/* KPROBE_FLAG_GENERAL_REGS is the library's word (general.h). */
#define KPROBE_FLAG_SEEN_GENERAL	(1u << 17)

/* May it be called with @regs: are the registers saved that it may change? */
static inline bool kprobe_may_run(const struct kprobe *p, const struct pt_regs *regs)
{
	u32 flags = READ_ONCE(p->flags);

	return !(flags & (KPROBE_FLAG_DISABLED | KPROBE_FLAG_GONE)) &&
	       (likely(flags & KPROBE_FLAG_GENERAL_REGS) || arch_vectors_saved(regs));
}

/*
 * Handlers of @t begin for the hit that @regs are of. False: it is inside of another handler. Registers lie on the
 * stack between the hit and all that runs for it: their address does for a frame's, and no frame pointer is needed.
 */
static inline bool probe_begin(struct ftrace_thread *t, const struct pt_regs *regs)
{
	if (unlikely(t->kprobe) && !ftrace_frame_is_left(t, t->kprobe, user_stack_pointer(regs)))
		return false;
	WRITE_ONCE(t->kprobe, (unsigned long)regs);
	barrier();
	return true;
}

static inline void probe_end(struct ftrace_thread *t)
{
	barrier();
	WRITE_ONCE(t->kprobe, 0);
}

/* ---- kprobe.c ---- */

/* Call pre_handlers of @p. True: one has sent the thread elsewhere. Inline: a third of what a hit costs. */
static inline bool probe_call_pre(struct probe_point *p, struct pt_regs *regs)
{
	unsigned long before = instruction_pointer(regs);

	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp)) {
		if (!kp->pre_handler || !kprobe_may_run(kp, regs))
			continue;
		instruction_pointer_set(regs, p->addr);
		if (unlikely(kp->pre_handler(kp, regs)) && instruction_pointer(regs) != p->addr)
			return true;
	}
	instruction_pointer_set(regs, before);
	return false;
}

/* Call post_handlers of @p, with @ip for where the thread goes on. */
void probe_call_post(struct probe_point *p, struct pt_regs *regs, unsigned long ip);

/* Can somebody be told behind the instruction of @p, which has detours? */
bool probe_may_post(const struct probe_point *p);

/* Is anybody of @list, a point's probes or returns, to be called? @general (may be NULL): without vector registers saved. */
bool probes_want(const struct kprobe *list, bool *general);

/* The point that has detours for @addr; NULL: none. */
struct probe_point *probe_point_at(unsigned long addr);

/* @buf, @len bytes of text at @addr, as it was without probes. */
void probes_put_back(unsigned long addr, u8 *buf, size_t len);

/* The loader's list has changed: probes in what is gone are gone. ftrace_lock is held. */
void probes_objects_changed(void);

/*
 * What the calling thread registers until it says otherwise may be in objects that were loaded just now and are not relocated yet: no
 * IFUNC can be asked, and text that relocations will change cannot be copied. One thread at a time.
 */
FTRACE_INTERNAL void ftrace_probes_unrelocated(bool on);

/* Has anybody a post_handler? Not whether it is to be called now. */
static inline bool probe_has_post(const struct probe_point *p)
{
	return READ_ONCE(p->has_post);
}

/* Register or unregister @n of them at once; @what for log lines. */
int probes_register(struct kprobe **kps, u32 n, const char *what);
void probes_unregister(struct kprobe **kps, u32 n, const char *what);

/*
 * See general.h: probes, too, are called with vectors saved from now on, and nobody is in a callback or handler any more that
 * was called without. No lock is held.
 */
void probes_general_end(void);

/* They were hit in the middle of a handler. */
void probe_count_missed(struct probe_point *p);

/* @obj is unloaded, and so are the probes in it; ftrace_lock is held. */
void probes_object_gone(struct ftrace_object *obj);

/* ---- kprobe-ride.c: probes that ride on the tracer ---- */

/* The point of @site; NULL: none. */
struct probe_point *probe_at_site(const struct dyn_ftrace *site);
int probe_set_site(struct dyn_ftrace *site, struct probe_point *p);	/* -ENOMEM */

/* Bring the filters to what the probes of @n points ask for; those without a site are left out. 0 or -errno. */
int probe_rides_update(struct probe_point **points, u32 n);

/* ---- kretprobe.c ---- */

extern struct fgraph_ops probe_return_ops[2];	/* for RIDE_RETURN_GENERAL, RIDE_RETURN */

/* A call of @site could not be looked at by graph ops. */
void probe_return_missed(const struct dyn_ftrace *site);

/* ---- kprobe-place.c: where a probe is to be ---- */

struct probe_place {
	unsigned long addr;		/* of the probe */
	unsigned long func, size;	/* the function it is in; 0: not known */
	struct dyn_ftrace *site;	/* it is that one's; NULL: what follows */
	const struct unwind_objects *objects;	/* what is loaded */
	unsigned long object_lo, object_hi;
	const void *object;		/* as in the point */
	unsigned long object_base;
	bool unknown;			/* what branches into the function is not known */
	u8 covers;			/* bytes that a jump may take the place of; 0: none */
};

/*
 * Find where @p is to be. Not with locks held: it reads files. 0 or -errno, logged as @what's.
 */
int probe_place_find(struct probe_place *place, const struct kprobe *p, const char *what);

/* Number @i of the loaded objects: its path, which may be "", and base. False: there are not so many. */
FTRACE_INTERNAL bool probe_loaded_object(u32 i, char *path, size_t size, unsigned long *base);

/* What is wrong with @p's place as it is now; ftrace_lock is held. 0 or -errno, logged. */
int probe_place_check(struct probe_place *place, const struct kprobe *p, const char *what);

#endif /* FTRACE_ENGINE_KPROBE_H */

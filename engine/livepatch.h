/* SPDX-License-Identifier: MIT */
/*
 * Live patching, inside; <ftrace/livepatch.h> is what it does.
 *
 *	livepatch.c		patches are enabled and disabled, and follow objects that come and go
 *	livepatch-make.c	from what a patch says to what is done with it
 *	livepatch-func.c	functions in and out of use; the callback that chooses a version
 *	livepatch-object.c	from names to functions; the addresses of their code
 *	livepatch-transition.c	who has gone over
 *	livepatch-thread.c	what each thread finds out and does itself, in the callback
 *	livepatch-stack.c	looking at the stacks
 *	livepatch-calls.c	functions that have ended in a jump to another
 *	livepatch-view.c	... and who has not
 *	livepatch-shadow.c	shadow variables
 *	livepatch-state.c	system states
 *
 * All but the callback runs under klp_lock, which is taken before ftrace_lock.
 */
#ifndef FTRACE_ENGINE_LIVEPATCH_H
#define FTRACE_ENGINE_LIVEPATCH_H

#include <ftrace/livepatch.h>

#include "base.h"
#include "ops.h"
#include "site.h"

/* The code of one function: itself, and what the compiler has put elsewhere of it. */
#define KLP_MAX_RANGES	8u
struct klp_ranges {
	u32 n;
	struct {
		unsigned long lo, hi;
	} r[KLP_MAX_RANGES];
};

/* One function of the program that is replaced by any patch: who replaces it, the last on top. */
struct klp_ops {
	struct ftrace_ops fops;
	struct dyn_ftrace *site;
	struct klp_kfunc *top;
	struct klp_ranges old;		/* of the original */
	/*
	 * For ftrace_replace_caller: which klp_view tells who has gone over in the transition of @top, by its seq; 0:
	 * nobody knows. And what runs in the unpatched version and in the patched one, 0: the body. As the latter stays
	 * the same for all of a transition, the two need no order between them.
	 */
	unsigned long gone, gone_to[2];
	struct klp_ops *next;
};

/* A struct klp_func at work. */
struct klp_kfunc {
	const char *name;
	void *new_func;			/* of a nop: not used */
	unsigned long sympos;
	bool nop;			/* says "the original", above patches that are being replaced */
	bool patched;			/* stands in ops->top's list */
	bool transition;
	struct dyn_ftrace *site;	/* while its object is loaded */
	struct klp_ranges old, new;
	struct klp_ops *ops;
	struct klp_kfunc *below;
};

struct klp_kobj {
	struct klp_object *pub;		/* NULL: there for nops only */
	const char *name, *build_id;
	struct ftrace_object *obj;	/* NULL: not loaded */
	struct klp_kfunc *funcs;
	u32 nfuncs, room;
	bool patched;
};

struct klp_kpatch {
	struct klp_patch *pub;
	struct klp_kobj *objs;
	u32 nobjs, room;
	bool forced;
	struct klp_kpatch *next;	/* enabled later */
};

extern struct klp_kpatch *klp_patches;		/* in the order of enabling */

/* Those that a fork resets. */
struct klp_process {
	struct ft_mutex lock;
	s32 holder;			/* the thread that has it */
	bool same;			/* false in a child until it looks */
};
extern struct klp_process *klp_process;

const char *klp_patch_name(const struct klp_kpatch *p);

/* ---- livepatch-make.c ---- */

/* Does @patch say what it has to? 0 or -EINVAL, said. */
int klp_check_patch(const struct klp_patch *patch);

/* NULL: no memory. */
struct klp_kpatch *klp_make_patch(struct klp_patch *patch);
void klp_free_patch(struct klp_kpatch *p);

/* ---- livepatch-func.c ---- */

/* Bring the functions of @o, which were found, into use. -errno, said with @patch: none is. */
int klp_patch_object(struct klp_kobj *o, const char *patch);

/* Out of use; those of @nops_only alone, where that is set. */
void klp_unpatch_object(struct klp_kobj *o, bool nops_only);
void klp_unpatch(struct klp_kpatch *p, bool nops_only);

/* Let every function of @p take, from now on, the way its state allows: past the stub or not. */
void klp_set_targets(struct klp_kpatch *p);

/*
 * Whoever has gone over by the view @seq, of @p's transition, need not be asked about any more. 0: nobody is known to
 * have.
 */
void klp_set_gone(struct klp_kpatch *p, unsigned long seq);

/* ---- livepatch.c ---- */

/* Take @p off the list; free what is of it. No thread is in a callback of it. */
void klp_forget(struct klp_kpatch *p);

void klp_call_post_patch(struct klp_kobj *o);
void klp_call_post_unpatch(struct klp_kobj *o);

/* Objects were loaded or unloaded. In the loader's notification, ftrace_lock is not held. */
void klp_objects_changed(void);

/* ---- livepatch-object.c ---- */

/* The loaded object of that name, NULL: the executable. */
struct ftrace_object *klp_find_object(const char *name);

/*
 * Find @o's functions in its object, which is loaded: their sites, the ranges of old and new. -errno,
 * logged with @patch.
 */
int klp_resolve(struct klp_kobj *o, const char *patch);

/*
 * What is loaded, with ftrace_lock held: nothing of it is unmapped until the lock is let go, see
 * loader_event(). NULL: the loader does not come to rest for @ms milliseconds (-EAGAIN in *@err), or no memory (-ENOMEM); the
 * lock is not held then.
 */
struct unwind_objects *klp_hold_objects(u32 ms, int *err);

/* ---- livepatch-transition.c ---- */

extern struct klp_kpatch *klp_transition_patch;	/* NULL: no transition */

/*
 * Changes with everything by which a thread that has not gone over may find that it has, or may try again. The lowest
 * bit: the version of those who have not is the patched one.
 */
extern unsigned long klp_epoch;
void klp_next_epoch(void);

/* Begin: every thread is in the version that is left, of which @p's functions are told. */
int klp_transition_begin(struct klp_kpatch *p, bool enabling);

/* The first look. -ENOMEM: there was none for it, and nobody has gone over. */
int klp_transition_start(void);

/* Give it up before it was started: nobody has gone over. */
void klp_transition_cancel(void);

/* klp_transition_work() and the like, the lock being held. */
int klp_work_locked(void);
int klp_reverse_locked(void);
int klp_force_locked(void);

/* ---- livepatch-stack.c ---- */

#define KLP_MAX_HOLDERS	16384u

/* How sure it is that whoever is not in a view has gone over. */
enum {
	KLP_VIEW_OPEN,			/* nobody has, but for those in @gone; they put themselves in */
	KLP_VIEW_CLOSING,		/* for a moment: wait */
	KLP_VIEW_CLOSED,		/* all have */
};

/* Who has not gone over, of a transition in one direction. See livepatch-view.c. */
struct klp_view {
	bool target;			/* patched, or not */
	unsigned long seq;		/* no two have the same; the lowest bit is @target */
	u32 state;			/* KLP_VIEW_* */
	u32 full;			/* somebody had no room, while it was open */
	u32 mask;			/* a power of two less one */
	/* Had not gone over when the direction was turned, so have now; not changed any more. NULL: nobody. */
	const struct klp_view *gone;
	struct klp_view *next;		/* older */
	s32 tid[];			/* 0: free, -1: it has gone over */
};

/* A function of the program. Begins as records do that ft_sort() sorts. */
struct klp_place {
	u64 addr;
	const char *name;		/* of the function that is changed */
	unsigned long value;		/* of a slot of a linkage table: where it led to */
};

struct klp_places {
	struct klp_place *p;
	u32 n, room;
};

/* What stacks are looked at with. Published for the callback while the transition lasts; see livepatch-thread.c. */
struct klp_check {
	struct unwind_objects *objects;
	struct klp_code *code;		/* what must not be on a stack */
	u32 ncode, max_code;
	struct klp_places calls;	/* the functions: no call of them may be under way */
	struct klp_places tails;	/* where they go on by a jump, and by others from there */
	struct klp_places slots;	/* that such jumps lead through */
	bool tails_many;		/* more than are kept: any place may be one */
	unsigned long resolver;		/* of the loader, for calls through tables not filled yet; 0: none */
	bool target;			/* for a transition in this direction */
	unsigned long main_stack;	/* an address above all frames of the main thread, 0: not known */
	u32 loads;			/* of klp_loads: it holds until that changes */
	size_t code_size;
};

/*
 * For looks at @p's transition in direction @target. *@err: -errno: no memory, or the loader is at work now
 * (-EAGAIN); then NULL.
 */
struct klp_check *klp_new_check(const struct klp_kpatch *p, bool target, int *err);
void klp_free_check(struct klp_check *c);

extern u32 klp_loads;			/* counts changes of what is loaded */

struct klp_look {
	struct klp_view *view;
	struct klp_check *check;
	struct klp_holder *holders;	/* KLP_MAX_HOLDERS */
	u32 nholders;
	struct unwind_regs *self;	/* where the caller's stack is unwound from */
	unsigned long self_tcb;
	s32 self_tid;
	u32 *readers;			/* of the check, for who runs while it looks */
};

/*
 * Let those go over that can. All at once: every thread is stopped, which an open view and stacks that no thread is on
 * are seen with; else each for itself. 0: done. -errno, and in *@why why.
 */
int klp_look_at_all(struct klp_look *look, const char **why);
int klp_look_at_each(struct klp_look *look, const char **why);

/*
 * NULL: nothing is in the way on the stack that begins with @regs; else why, and what is there. @exact: that
 * is where it stands; else a return address, of a call that does not count. @tcb: the thread's
 * control block, 0: not known.
 */
const char *klp_look_at_stack(const struct klp_check *check, const struct unwind_regs *regs,
			      unsigned long stack_end, bool exact, unsigned long tcb,
			      const char **func);

/* ---- livepatch-thread.c ---- */

extern struct klp_view *klp_transition_view;	/* in force; older ones behind it */

/*
 * Is the calling thread in the patched version? For functions in transition; @regs: at the entry of @site, one of them. If
 * it has not gone over, and its stack from there on has none of the functions, it goes over now.
 */
bool klp_thread_is_patched(const struct dyn_ftrace *site, const struct pt_regs *regs);

/* Objects are about to be unloaded: nobody looks at their unwind tables from here on. */
void klp_objects_going(void);

/* What callbacks look at stacks with from here on, in place of what there is; NULL: they do not. */
void klp_set_check(struct klp_check *c);
struct klp_check *klp_check_now(void);

/* The end of a transition: they do not, and what objects that went have left is freed. */
void klp_drop_check(void);

/* Callbacks that use the check, or put themselves into a view, and who looks at others one after the other. */
extern u32 klp_check_readers;

/* Nobody uses what was replaced before, when this returns true. */
bool klp_wait_for_readers(void);

/* All stacks were looked at: each thread may look at its own some times more. */
void klp_next_round(void);

/* ---- livepatch-view.c ---- */

/* Is @tid one of those that have not gone over? */
bool klp_view_has(const struct klp_view *view, s32 tid);

/* False: no room. */
bool klp_view_add(struct klp_view *view, s32 tid);

/* @tid has gone over. */
void klp_view_remove(struct klp_view *view, s32 tid);

/* Is @tid, which the view, being open, has never heard of, to be put into it? */
bool klp_view_wants(const struct klp_view *view, s32 tid);

/* Those in it. How many. */
u32 klp_view_ids(const struct klp_view *view, s32 *tids, u32 room);

/* Put all threads in that there are, and it wants. -EAGAIN: too many come and go, or no room. */
int klp_view_fill(struct klp_view *view);

/* ---- livepatch-calls.c ---- */

/*
 * The function at @func was entered with the return address @ret. Was it called there, and not jumped to at the end
 * of one that is changed?
 */
bool klp_calls(const struct klp_check *c, unsigned long ret, unsigned long func);

/*
 * @name, the function at @entry whose version has its code at @code, is one of those looked for. -errno. Behind the
 * last one: klp_sort_calls().
 */
int klp_add_calls(struct klp_check *c, unsigned long entry, const struct klp_ranges *code,
		  const char *name);
int klp_sort_calls(struct klp_check *c);
void klp_free_places(struct klp_places *places);

/* Has a slot been filled since, that jumps lead through? Then what is known of them is old. */
bool klp_calls_outdated(const struct klp_check *c);

/*
 * The function at @runs has a frame that returns to @ret. Is it there in the place of a function that is
 * changed, having been jumped to at the end of that? That one's name, or NULL.
 */
const char *klp_passed_on(const struct klp_check *c, unsigned long ret, unsigned long runs);

void klp_find_resolver(struct klp_check *c);

/*
 * Is @pc in a linkage table, or in what looks up a function for one? Then it is on its way to some function, and
 * nobody knows from where. @exact: no return address.
 */
bool klp_in_linkage(const struct klp_check *c, unsigned long pc, bool exact);

/* ---- livepatch-state.c ---- */

bool klp_states_compatible(struct klp_patch *patch);

#endif /* FTRACE_ENGINE_LIVEPATCH_H */

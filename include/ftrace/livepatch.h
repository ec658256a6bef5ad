/* SPDX-License-Identifier: MIT */
/*
 * Live patching: functions of a running program are replaced, and put back, safely.
 *
 *	static int fixed_parse(const char *text) { ... }
 *
 *	static struct klp_func funcs[] = {
 *		{ .old_name = "parse", .new_func = fixed_parse }, { }
 *	};
 *	static struct klp_object objs[] = { { .funcs = funcs }, { } };	(of the executable)
 *	static struct klp_patch patch = { .name = "parse-fix", .objs = objs };
 *
 *	klp_enable_patch(&patch);
 *	klp_wait_transition(1000);
 *
 * Names and meanings are those of the kernel's livepatch (Documentation/livepatch/); what differs in
 * user space is said at each function. A function can be replaced when it can be traced and another may
 * take it over (FTRACE_OPS_FL_IPMODIFY). Once a transition is over, a replaced function costs a jump more
 * where the architecture has a short way to the new one, else a callback.
 *
 * Consistency. A patch is enabled, and disabled, thread by thread: a thread goes over to the other
 * version when none of the functions that are changed is on its stack, and from then on
 * meets that version of all of them. So a function may be changed together with those that call it.
 * Until the last thread has gone over the patch is in transition, of which there is one at a time.
 * Threads are stopped for a moment to look at their stacks, blocked ones as well; nobody looks
 * unless klp_transition_work() or klp_wait_transition() is called. Threads that are created meanwhile begin
 * in the version the transition leads to. A child of fork stays, in the middle of a transition,
 * in the version that it leads away from until the child itself calls klp_transition_work(). A stack
 * that cannot be unwound to its start counts as holding every function.
 *
 * A function that ends in a call, which the compiler has made a jump, is not on the stack while what it has jumped
 * to runs, and counts as if it were: until there is a return to where it was called. So a patch of one that never comes
 * back from what it ends in is to be forced. A thread that is on a coroutine's stack stays in its version
 * until it is back on its own.
 *
 * Tracers and probes of a replaced function see its calls as before. If the new function is compiled for tracing, it
 * can be traced by its own name, which shows the version that ran. A probe that sends a call elsewhere
 * (<ftrace/kprobes.h>) has the last word.
 *
 * What is not seen: a function called through a pointer that ends in a jump through another; other stacks that no
 * thread is on (suspended coroutines), unless hooked calls were seen on them (<ftrace/fgraph.h>): of those, every
 * word is taken for a return address. And copies of a function that the compiler has inlined in others, or made with
 * other arguments (parse.constprop.0): they go on as they are, and are to be patched in their turn.
 *
 * Functions return 0 or a negative errno, and say why in one line through the log callback
 * (<ftrace/ftrace.h>). They are not to be called from callbacks of tracers or in signal handlers.
 */
#ifndef FTRACE_LIVEPATCH_H
#define FTRACE_LIVEPATCH_H

#include <stddef.h>

#include <ftrace/ftrace.h>

#ifdef __cplusplus
extern "C" {
#else
#include <stdbool.h>
#endif

/* A function to be replaced. Arrays of them end with one that is all zero. */
struct klp_func {
	const char	*old_name;	/* its symbol */
	void		*new_func;
	/*
	 * Which of several functions of that name in the object, by address, from 1. 0: there must be one
	 * only.
	 */
	unsigned long	old_sympos;
};

struct klp_object;

/*
 * What is to be done around the patching of an object; any may be NULL. They run in the thread that
 * enables, disables, or does the last of the transition's work; for objects that come later in the
 * thread that loads them, before any of their code, relocations included, has run. They load and
 * unload no objects, and call nothing of this header but the functions of shadow variables and states.
 * pre_unpatch() and post_unpatch() of an object that is unloaded run when it is gone.
 */
struct klp_callbacks {
	/* Before the first thread meets a new function. Not 0: the patch is not enabled (a loaded object: not patched). */
	int (*pre_patch)(struct klp_object *obj);
	void (*post_patch)(struct klp_object *obj);	/* when every thread has gone over */
	void (*pre_unpatch)(struct klp_object *obj);	/* before the first goes back */
	void (*post_unpatch)(struct klp_object *obj);	/* when all have gone back; also if enabling fails */
	bool post_unpatch_enabled;	/* the library's own: pre_patch() has succeeded */
};

/* An object and what is replaced of it. Arrays end with one that has neither name nor funcs. */
struct klp_object {
	/*
	 * Base name or path of a shared library; NULL: the executable. One that is not loaded is patched
	 * when it comes, before its code runs.
	 */
	const char		*name;
	const char		*build_id;	/* in hex: no other build is patched; NULL: any */
	struct klp_func		*funcs;
	struct klp_callbacks	callbacks;
	bool			patched;	/* set by the library: its functions are replaced */
};

/* Something that a patch has changed in the program and later ones must know of; see klp_get_state(). */
struct klp_state {
	unsigned long	id;		/* 0 ends an array */
	unsigned int	version;
	void		*data;		/* the patch's own */
};

/*
 * A patch. It belongs to the library from klp_enable_patch() until klp_disable_patch() is through its
 * transition, or another patch has replaced it: klp_is_enabled() tells. So does the object it is in.
 */
struct klp_patch {
	const char		*name;		/* for messages */
	struct klp_object	*objs;
	struct klp_state	*states;	/* may be NULL */
	/*
	 * Takes the place of all patches before it: functions of theirs that it does not replace go
	 * back to the original, they are disabled without their callbacks.
	 */
	bool			replace;
	void			*reserved[2];	/* the library's own; zero at first */
};

/*
 * Begin to enable @patch, above all that are enabled: where several replace a function, the last wins.
 * When it returns 0 the transition is under way, or done already if no stack was in the way.
 *
 * -EBUSY: enabled already, another transition is under way, or a function has an ops with IPMODIFY or a
 * direct call. -ENOENT: a loaded object has no such function, or it cannot be traced. -EINVAL: @patch is
 * malformed; several functions have the name and no old_sympos; a wrong build id; states that do not
 * go with those of the patches there are. Else what pre_patch() returned, or as register_ftrace_function().
 */
int klp_enable_patch(struct klp_patch *patch);

/*
 * Begin to disable @patch, whichever place it has. While it is being enabled: as
 * klp_reverse_transition(). -EINVAL: not enabled. -EBUSY: another transition is under way.
 */
int klp_disable_patch(struct klp_patch *patch);

/* Does the library have @patch: enabled, or in transition? */
bool klp_is_enabled(const struct klp_patch *patch);

/*
 * Go on with the transition: stop all threads, look at the stacks of those that have not gone over, let
 * those go over that can. 0: it is done, or there was none; else how many are left, or -errno:
 * threads could not be stopped (-EAGAIN: it may go better in a moment).
 */
int klp_transition_work(void);

/* The same until it is done, with pauses, for at most @timeout_ms (-1: any time). As klp_transition_work(). */
int klp_wait_transition(int timeout_ms);

/* Turn the transition round: threads that have gone over go back. -EINVAL: none is under way. */
int klp_reverse_transition(void);

/*
 * End the transition now, whatever is on the stacks. The consistency is gone for the threads that
 * were left: they may run old and new functions mixed. Neither @patch nor what it has replaced may ever be
 * unloaded. -EINVAL: none is under way.
 */
int klp_force_transition(void);

/* What holds up the transition, as the last look at the stacks has found it. */
struct klp_holder {
	int tid;			/* 0: a stack that no thread is on */
	const char *func;		/* the function on it; NULL: none that is known of */
	const char *why;		/* in words */
};

struct klp_transition {
	struct klp_patch *patch;	/* NULL: none is under way */
	bool enabling;
	unsigned int nholders;		/* threads and stacks left; all of those it begins with before the first look */
};

/* The state of the transition; calls @func (may be NULL) for each holder until it returns nonzero. */
int klp_transition_status(struct klp_transition *status,
			  int (*func)(const struct klp_holder *holder, void *data), void *data);

/* ---- shadow variables: data attached to the program's own ---- */

/*
 * By the address of what it belongs to, @obj, and a number that says what it is, @id. No gfp flags
 * are there, else as the kernel's. The constructor runs under the library's lock on them.
 */
typedef int (*klp_shadow_ctor_t)(void *obj, void *shadow_data, void *ctor_data);
typedef void (*klp_shadow_dtor_t)(void *obj, void *shadow_data);

/* Its data; NULL: there is none. */
void *klp_shadow_get(void *obj, unsigned long id);

/*
 * Make it: @size bytes, zeroed, given to @ctor (may be NULL). NULL: it is there already (logged), no
 * memory, or @ctor failed.
 */
void *klp_shadow_alloc(void *obj, unsigned long id, size_t size, klp_shadow_ctor_t ctor,
		       void *ctor_data);

/* The same, or the one there is. */
void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size, klp_shadow_ctor_t ctor,
			      void *ctor_data);

/* Free one, or those of all objects with @id, each given to @dtor (may be NULL) first. */
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);

/* ---- system states ---- */

/* @patch's state number @id; NULL: it has none. */
struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id);

/*
 * The state @id as the last of the patches before the one in transition has it; to be called from its
 * callbacks. NULL: none has it.
 *
 * A patch goes with those before it when it knows each state it changes in at least their version,
 * and, where it replaces them, knows all of theirs.
 */
struct klp_state *klp_get_prev_state(unsigned long id);

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_LIVEPATCH_H */

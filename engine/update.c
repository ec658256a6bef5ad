/* SPDX-License-Identifier: MIT */
/* From what the registered ops ask for to what each site does. */
#include "arch.h"
#include "chunk.h"
#include "gdb.h"
#include "general.h"
#include "graph.h"
#include "moved.h"
#include "ops.h"
#include "scratch.h"
#include "text.h"
#include "thread.h"
#include "thunk.h"
#include "trampoline.h"

extern struct ftrace_ops ftrace_list_ops, ftrace_list_regs_ops;

/* What is asked of one site, counted. */
struct wishes {
	struct ftrace_ops *first;	/* the first ops, if any */
	u32 ops;			/* function ops, those that only record included */
	u32 records;			/* of these: FTRACE_OPS_FL_RECORD */
	u32 regs;			/* of these: SAVE_REGS */
	bool permanent;			/* one of them: see ftrace_ops_is_permanent() */
	bool loud;			/* somebody is called while tracers are silent */
	bool thunk;			/* ... for whom a thunk is worth it */
	u16 graph;			/* mask of graph ops */
	u16 graph_records;		/* of these: FGRAPH_OPS_FL_RECORD */
	bool general;			/* nobody changes vector registers */
};

static void collect(struct dyn_ftrace *site, struct wishes *w)
{
	ft_memset(w, 0, sizeof(*w));
	w->general = true;
	for (struct ftrace_ops *ops = ftrace_ops_list; ops; ops = ftrace_ops_next(ops)) {
		if (!ftrace_ops_wants(ops, site))
			continue;
		if (!w->first)
			w->first = ops;
		w->ops++;
		w->regs += !!(ops->flags & FTRACE_OPS_FL_SAVE_REGS);
		w->permanent |= ftrace_ops_is_permanent(ops);
		w->loud |= ftrace_ops_is_never_silent(ops);
		w->thunk |= !!(ops->flags & (FTRACE_OPS_FL_DIRECT | FTRACE_OPS_FL_REPLACE));
		if (ops->flags & FTRACE_OPS_FL_RECORD)
			w->records++;
		else if (!ftrace_ops_is_general(ops))
			w->general = false;
	}
	for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++) {
		struct fgraph_ops *gops = fgraph_array[i];

		if (!gops || !ftrace_ops_wants(&gops->ops, site))
			continue;
		w->graph |= (u16)(1u << i);
		if (gops->flags & FGRAPH_OPS_FL_RECORD)
			w->graph_records |= (u16)(1u << i);
		else if (!fgraph_ops_is_general(gops))
			w->general = false;
	}
	w->loud |= ftrace_graph_never_silent(w->graph) != 0;
}

/* Can its trampoline tell whether to call the one ops that it has, while tracers are silent? */
static bool needs_c(const struct wishes *w)
{
#ifdef ARCH_REGS_CALLER_KNOWS_LOUD
	return w->permanent || (w->loud && w->ops > 1);
#else
	return w->permanent || w->loud;
#endif
}

/* Do graph ops with callbacks exist anywhere? They need every return in their sight. */
static bool graph_callbacks_exist(void)
{
	for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++)
		if (fgraph_array[i] && !(fgraph_array[i]->flags & FGRAPH_OPS_FL_RECORD))
			return true;
	return false;
}

/* Is all that is asked what a trampoline of the site's own does? */
static bool is_for_trampoline(const struct wishes *w)
{
	return w->ops == 1 && w->general && !w->graph && !w->records && !w->regs && !w->thunk && !w->loud;
}

/* Where the site's thunk is to lead: past the stub where nobody but that ops has the function. */
static unsigned long thunk_target(const struct dyn_ftrace *site, const struct wishes *w,
				  struct ftrace_thunk *thunk)
{
	unsigned long target;

	if (thunk->ops)
		return ftrace_trampoline_of(site);
	if (w->ops != 1 || w->graph || !w->thunk)
		return ftrace_stub(site->id);
	if (w->first->flags & FTRACE_OPS_FL_DIRECT)
		return ftrace_thunk_direct(thunk);
	target = (unsigned long)w->first->reserved[FTRACE_OPS_TARGET];
	return target ? target : ftrace_stub(site->id);
}

/* What its direct call is to call, where @site has one. */
static unsigned long direct_target(const struct dyn_ftrace *site)
{
	struct ftrace_ops *ops = ftrace_ops_list;

	for (; ops; ops = ftrace_ops_next(ops))
		if (ops->flags & FTRACE_OPS_FL_DIRECT && ftrace_ops_wants(ops, site))
			return (unsigned long)ops->reserved[FTRACE_OPS_TARGET];
	return 0;
}

/*
 * The thunk, if there is one: it is led to the stub after the stub is as it is to be, and past it when there
 * is something behind. The trampoline, where threads may be now, knows its ops as the stub does: read behind the mark
 * that ftrace_synchronize() waits for.
 */
static void apply_thunk(struct dyn_ftrace *site, const struct wishes *w)
{
	struct ftrace_thunk *thunk = ftrace_thunk_of(site);
	unsigned long direct;

	if (!thunk)
		return;
	/* A thread may be about to call the old one, so none is not an address to leave there. */
	direct = w->thunk ? direct_target(site) : 0;
	if (direct)
		smp_store_release(&thunk->direct, direct);
	smp_store_release(&thunk->ops, is_for_trampoline(w) && ftrace_trampoline_of(site) ? w->first : NULL);
	smp_store_release(&thunk->target, thunk_target(site, w, thunk));
}

/* What the trampoline of @site is given for @ops, its only one. */
static struct ftrace_ops *ops_at(struct ftrace_ops *ops, const struct dyn_ftrace *site)
{
	ftrace_ops_at_t at = ops->flags & FTRACE_OPS_FL_PROBE ?
			     (ftrace_ops_at_t)ops->reserved[FTRACE_OPS_TARGET] : NULL;
	struct ftrace_ops *own = at ? at(site) : NULL;

	return own ? own : ops;
}

/* Set what the site's stub does. Returns whether it is to be on. */
static bool apply(struct dyn_ftrace *site, bool callbacks_exist)
{
	void (*entry)(void) = ftrace_stub_pass, (*leave)(void) = ftrace_graph_return;
	bool threads = ftrace_threads_are_chosen();
	struct ftrace_ops *ops = NULL;
	struct wishes w;

	collect(site, &w);
	if (w.loud)
		site->flags |= FTRACE_SITE_LOUD;
	if (w.ops == 1)
		ops = ops_at(w.first, site);
	else if (w.ops)
		ops = w.regs ? &ftrace_list_regs_ops : &ftrace_list_ops;

	if (!w.ops && !w.graph) {
		entry = ftrace_stub_pass;
	} else if (w.ops == 1 && w.records == 1 && !w.graph) {
		entry = threads ? ftrace_record_function_chosen : ftrace_record_function;
	} else if (!w.ops && w.graph == w.graph_records && !callbacks_exist) {
		bool behind = ftrace_site_is_behind_prologue(site);

		if ((site->flags & FTRACE_SITE_ENTRY_ONLY) || ftrace_returns_refused) {
			entry = threads ? ftrace_record_function_chosen : ftrace_record_function;
		} else {
			bool choosy = ftrace_graph_is_choosy();

			entry = choosy || behind ? ftrace_record_entry_checked :
				threads ? ftrace_record_entry_chosen : ftrace_record_entry;
			leave = choosy ? ftrace_record_exit_checked : ftrace_record_exit;
		}
	} else if (!w.graph && !w.regs && !ftrace_site_is_behind_prologue(site)) {
		entry = ftrace_caller;
	} else if (w.ops == 1 && !w.graph && w.first->flags & FTRACE_OPS_FL_REPLACE) {
		entry = ftrace_replace_caller;
	} else if (!w.graph && !needs_c(&w) && !ftrace_site_is_behind_prologue(site)) {
		entry = ftrace_regs_caller;
	} else {
		entry = ftrace_graph_caller;
	}

	/* Said of the new users before they are there, and of the old ones while any is: taken away at once. */
	if (!w.general)
		site->flags &= ~(u32)FTRACE_SITE_GENERAL;
	if (site->entry != entry || site->ops != ops || site->graph != w.graph) {
		/*
		 * Threads may be in the stub. The handler with the most registers can do every
		 * mixture, so it stands there while the rest is changed; and ftrace_caller, entered
		 * before that, leaves ops alone that want more than it has saved.
		 */
		if (site->entry != entry || w.regs)
			smp_store_release(&site->entry, ftrace_graph_caller);
		/* ... and given only where nobody was. */
		if (w.general && !site->ops && !site->graph)
			site->flags |= FTRACE_SITE_GENERAL;
		smp_store_release(&site->graph, w.graph);
		smp_store_release(&site->ops, ops);
		smp_store_release(&site->entry, entry);
	}
	smp_store_release(&site->exit, leave);
	if (!w.loud)
		site->flags &= ~(u32)FTRACE_SITE_LOUD;
	apply_thunk(site, &w);
	return w.ops || w.graph;
}

/* Thunks for those of sites [@first, @first + @n) that are to have one and have none. */
static int make_thunks(u32 first, u32 n, struct dyn_ftrace **batch)
{
	struct ftrace_ops *ops = ftrace_ops_list;
	u32 count = 0;

	while (ops && !(ops->flags & (FTRACE_OPS_FL_DIRECT | FTRACE_OPS_FL_REPLACE)))
		ops = ftrace_ops_next(ops);
	for (u32 id = first; ops && id < first + n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);
		struct wishes w;

		if (!site || !(site->flags & FTRACE_SITE_ARMED) || site->flags & FTRACE_SITE_GONE ||
		    ftrace_thunk_of(site) || !ftrace_thunk_possible(site))
			continue;
		collect(site, &w);
		if (w.thunk)
			batch[count++] = site;
	}
	if (count)
		ftrace_thunks_make(batch, count);
	/* Replaced functions do without; direct calls cannot. */
	for (u32 i = 0; i < count; i++)
		if (batch[i]->flags & FTRACE_SITE_DIRECT && !ftrace_thunk_of(batch[i]))
			return -ENOMEM;
	return 0;
}

/* From @ops on: an ops for which a function may get a trampoline of its own. */
static struct ftrace_ops *next_for_trampolines(struct ftrace_ops *ops)
{
	const unsigned long mask = FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECORD;

	while (ops && (ops->flags & mask) != FTRACE_OPS_FL_GENERAL_REGS)
		ops = ftrace_ops_next(ops);
	return ops;
}

static bool any_wants(struct ftrace_ops *ops, u32 id)
{
	for (; ops; ops = next_for_trampolines(ftrace_ops_next(ops)))
		if (ftrace_ops_wants_id(ops, id))
			return true;
	return false;
}

/*
 * Trampolines for those of sites [@first, @first + @n) that are to have one and have none: all of them, or, where
 * they are too many, none. A site that is on keeps what it has, as no call may be missed.
 */
static void make_trampolines(u32 first, u32 n, struct dyn_ftrace **batch)
{
	struct ftrace_ops *ops = next_for_trampolines(ftrace_ops_list);
	u32 left = ftrace_trampolines_left(), count = 0;

	for (u32 id = first; ops && left && id < first + n; id++) {
		/* Most are found not to be wanted without a look at them, which costs more. */
		struct dyn_ftrace *site = any_wants(ops, id) ? ftrace_site(id) : NULL;
		struct wishes w;

		if (!site || !(site->flags & FTRACE_SITE_ARMED) || site->flags & FTRACE_SITE_GONE ||
		    (site->flags & FTRACE_SITE_ON && !ftrace_thunk_of(site)) ||
		    ftrace_trampoline_of(site) || !ftrace_thunk_possible(site))
			continue;
		collect(site, &w);
		if (!is_for_trampoline(&w))
			continue;
		if (count == left)
			return;
		batch[count++] = site;
	}
	if (count)
		ftrace_trampolines_make(batch, count);
}

int ftrace_update_sites(u32 first, u32 n)
{
	struct dyn_ftrace **batch, **moved;
	bool callbacks = graph_callbacks_exist();
	u32 count = 0, nmoved = 0;
	int err, err_thunks, err_moved;

	/* Toggled sites in the first half, moved ones in the other. */
	batch = scratch_alloc(2 * n * sizeof(*batch));
	if (!batch)
		return -ENOMEM;
	moved = batch + n;
	err_thunks = make_thunks(first, n, batch);
	make_trampolines(first, n, batch);
	for (u32 id = first; id < first + n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);
		bool on;

		if (!site || !(site->flags & FTRACE_SITE_ARMED) || site->flags & FTRACE_SITE_GONE)
			continue;
		on = apply(site, callbacks);
		if (on == !!(site->flags & FTRACE_SITE_ON))
			continue;
		if (site->form == FTRACE_FORM_MOVED) {
			moved[nmoved++] = site;
			continue;
		}
		site->flags ^= FTRACE_SITE_ON;
		batch[count++] = site;
	}
	err = ftrace_text_toggle(batch, count);
	err_moved = ftrace_moved_switch(moved, nmoved);
	if (nmoved)
		ftrace_gdb_update();
	scratch_free(batch, 2 * n * sizeof(*batch));
	return err ? err : err_moved ? err_moved : err_thunks;
}

int ftrace_update_all(void)
{
	u32 n = ftrace_nsites();

	return n > 1 ? ftrace_update_sites(1, n - 1) : 0;
}

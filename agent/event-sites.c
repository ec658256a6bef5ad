/* SPDX-License-Identifier: MIT */
/*
 * Which functions events are hit at. All events share four ops: of entries and of returns, each with and
 * without vector registers; what a hit means is found by the function's site id in a table. So thousands of events
 * cost a function none of them is for nothing, and no more than one callback for theirs.
 */
#include "agent/agent.h"
#include "agent/event.h"
#include "engine/ops.h"

/* An event at a site. */
struct site_event {
	struct site_event *next;
	struct agent_event *event;
	struct site_event *gone;	/* the next that was taken out of the table */
};

struct site_table {
	u32 n;
	struct site_event *head[];
};

static struct site_table *table;
static struct ft_mutex *table_lock;	/* nothing of the engine is called under it */

enum { ENTRY, ENTRY_FP, RETURN, RETURN_FP, KINDS };

static u32 kind_of(const struct agent_event *e)
{
	return (event_is_return(e) ? RETURN : ENTRY) + e->fp;
}

/* ---- hits ---- */

static struct site_event *events_at(u32 site)
{
	const struct site_table *t = smp_load_acquire(&table);

	return t && site < t->n ? smp_load_acquire(&t->head[site]) : NULL;
}

static void entry_hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		      struct pt_regs *regs, struct dyn_ftrace *site);

static struct ftrace_ops entry_ops[2] = {
	{
		.func = (ftrace_func_t)(void *)entry_hit,
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_GENERAL_REGS |
			 FTRACE_OPS_FL_PROBE | FTRACE_OPS_FL_CHOOSE,
	},
	{
		.func = (ftrace_func_t)(void *)entry_hit,
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_PROBE | FTRACE_OPS_FL_CHOOSE,
	},
};

static void entry_hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		      struct pt_regs *regs, struct dyn_ftrace *site)
{
	u32 kind = ENTRY + (op == &entry_ops[1]);
	struct site_event *s;

	for (s = events_at(site->id); s; s = READ_ONCE(s->next))
		if (kind_of(s->event) == kind)
			event_hit(s->event, regs, site->id, site->ip - site->entry_delta, NULL, NULL);
}

static int return_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs);
static void return_hit(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs);

static struct fgraph_ops return_ops[2] = {
	{
		.entryfunc = return_entry, .retfunc = return_hit,
		.flags = FGRAPH_OPS_FL_GENERAL_REGS | FGRAPH_OPS_FL_PROBE,
		.ops = { .flags = FTRACE_OPS_FL_CHOOSE },
	},
	{
		.entryfunc = return_entry, .retfunc = return_hit,
		.flags = FGRAPH_OPS_FL_PROBE,
		.ops = { .flags = FTRACE_OPS_FL_CHOOSE },
	},
};

/* A call whose return events are about: arguments that they want are kept. */
static int return_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	const struct dyn_ftrace *site = container_of(ent, struct ftrace_graph_ent_at, ent)->site;
	u32 kind = RETURN + (gops == &return_ops[1]), args = 0, i;
	unsigned long *kept;
	struct site_event *s;
	bool any = false;

	for (s = events_at(site->id); s; s = READ_ONCE(s->next)) {
		if (kind_of(s->event) != kind)
			continue;
		any = true;
		if (s->event->ret_args > args)
			args = s->event->ret_args;
	}
	/* Without room (others keep much of their own) they are shown as faults. */
	kept = args ? fgraph_reserve_data(gops, PROBE_MAX_RET_ARGS * sizeof(*kept)) : NULL;
	for (i = 0; kept && i < args; i++)
		kept[i] = regs_get_argument(regs, i);
	return any;
}

static void return_hit(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	const struct dyn_ftrace *site = container_of(ret, struct ftrace_graph_ret_at, ret)->site;
	u32 kind = RETURN + (gops == &return_ops[1]);
	struct site_event *s = events_at(site->id);
	const unsigned long *kept = s ? fgraph_retrieve_data(gops, NULL) : NULL;

	for (; s; s = READ_ONCE(s->next))
		if (kind_of(s->event) == kind)
			event_hit(s->event, regs, site->id, ret->parent_ip, kept, NULL);
}

/* ---- the table ---- */

static bool is_at(const struct agent_event *e, const struct dyn_ftrace *site)
{
	if (!e->symbol || e->offset || !site->name)
		return false;
	if (e->glob ? !ftrace_glob(e->symbol, e->symbol_len, site->name) :
		      ft_strncmp(e->symbol, site->name, e->symbol_len) ||
		      (site->name[e->symbol_len] && site->name[e->symbol_len] != '@'))
		return false;
	return !e->object || ftrace_glob(e->object, e->object_len, site->obj->name);
}

/* A list of sites. */
struct sites {
	struct dyn_ftrace **list;
	u32 n, room;
};

static int note_site(struct sites *s, struct dyn_ftrace *site)
{
	struct dyn_ftrace **more;
	u32 room = s->room ? s->room * 2 : 64;

	if (s->n && s->list[s->n - 1] == site)
		return 0;
	if (s->n == s->room) {
		more = ft_alloc(room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		if (s->list) {
			ft_memcpy(more, s->list, s->n * sizeof(*more));
			ft_free(s->list, s->room * sizeof(*more));
		}
		s->list = more;
		s->room = room;
	}
	s->list[s->n++] = site;
	return 0;
}

static size_t table_bytes(u32 n)
{
	return sizeof(struct site_table) + n * sizeof(struct site_event *);
}

/* Room for site ids below @n. An old table may be looked at still: it stays for good, half as large as the next. */
static int grow_table(u32 n)
{
	struct site_table *old = table, *t;
	u32 have = old ? old->n : 0, room = have * 2 > 1024 ? have * 2 : 1024;

	if (n <= have)
		return 0;
	if (room < n)
		room = n;
	t = ft_alloc(table_bytes(room));
	if (!t)
		return -ENOMEM;
	t->n = room;
	if (old)
		ft_memcpy(t->head, old->head, have * sizeof(t->head[0]));
	smp_store_release(&table, t);
	return 0;
}

/* table_lock is held. */
static int link_event(struct agent_event *e, const struct dyn_ftrace *site)
{
	struct site_event **at, *s;
	int err = grow_table(site->id + 1);

	if (err)
		return err;
	/* In the order of definition, which is that of ids. */
	for (at = &table->head[site->id]; *at && (*at)->event->id <= e->id; at = &(*at)->next)
		if ((*at)->event == e)
			return 0;
	s = ft_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->event = e;
	s->next = *at;
	e->linked = true;
	smp_store_release(at, s);
	return 0;
}

/* ---- attach ---- */

/* Events by name, for one pass over many sites. */
struct names {
	struct agent_event **slot;
	u32 size;			/* a power of two */
};

static u32 hash_name(const char *s, size_t len)
{
	u32 h = 2166136261u;

	for (size_t i = 0; i < len && s[i] != '@'; i++)
		h = (h ^ (u8)s[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool named(const struct agent_event *e)
{
	return e->changes && e->symbol && !e->glob && !e->offset;
}

static int make_names(struct names *names)
{
	struct agent_event *e;
	u32 n = 0, i;

	for (e = event_list(); e; e = e->next)
		n += named(e);
	for (names->size = 16; names->size < n * 2; names->size *= 2)
		;
	names->slot = ft_alloc(names->size * sizeof(*names->slot));
	if (!names->slot)
		return -ENOMEM;
	for (e = event_list(); e; e = e->next) {
		if (!named(e))
			continue;
		i = hash_name(e->symbol, e->symbol_len);
		while (names->slot[i & (names->size - 1)])
			i++;
		names->slot[i & (names->size - 1)] = e;
	}
	return 0;
}

static int attach_one(struct agent_event *e, struct dyn_ftrace *site, struct sites sites[KINDS])
{
	int err = link_event(e, site);

	return err ? err : note_site(&sites[kind_of(e)], site);
}

/* All that changes, at one site. */
static int attach_at(const struct names *names, struct dyn_ftrace *site, struct sites sites[KINDS])
{
	u32 i = hash_name(site->name, ft_strlen(site->name));
	struct agent_event *e;
	int err = 0;

	for (; !err && (e = names->slot[i & (names->size - 1)]); i++)
		if (is_at(e, site))
			err = attach_one(e, site, sites);
	for (e = event_list(); e && !err; e = e->next)
		if (e->changes && e->glob && is_at(e, site))
			err = attach_one(e, site, sites);
	return err;
}

static int register_kind(u32 kind)
{
	if (kind >= RETURN)
		return return_ops[kind - RETURN].ops.flags & FTRACE_OPS_FL_ENABLED ? 0 :
		       register_ftrace_graph(&return_ops[kind - RETURN]);
	return entry_ops[kind].flags & FTRACE_OPS_FL_ENABLED ? 0 :
	       ftrace_ops_register(&entry_ops[kind], "events");
}

static struct ftrace_ops *ops_of(u32 kind)
{
	return kind >= RETURN ? &return_ops[kind - RETURN].ops : &entry_ops[kind];
}

static int attach_all(void)
{
	struct sites sites[KINDS] = { { NULL, 0, 0 } };
	struct names names = { NULL, 0 };
	struct agent_event *e;
	u32 n = ftrace_nsites(), k, id;
	int err = make_names(&names), one;

	ft_lock(table_lock);
	for (id = 1; id < n && !err; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (site && site->name)
			err = attach_at(&names, site, sites);
	}
	for (e = event_list(); e; e = e->next)
		if (e->changes)
			e->attached = true;
	ft_unlock(table_lock);
	for (k = 0; k < KINDS; k++) {
		if (!err && sites[k].n)
			err = ftrace_filter_sites(ops_of(k), sites[k].list, sites[k].n, false);
		if (sites[k].list)
			ft_free(sites[k].list, sites[k].room * sizeof(*sites[k].list));
		/* Without a site, too: objects that are loaded later are asked about then. */
		for (e = event_list(); e && !err; e = e->next)
			if (e->changes && e->symbol && !e->offset && kind_of(e) == k) {
				err = register_kind(k);
				break;
			}
	}
	one = event_probes_attach();
	err = err ? err : one;
	if (names.slot)
		ft_free(names.slot, names.size * sizeof(*names.slot));
	return err;
}

/* ---- detach ---- */

/* Take what changes out of the table; what was there comes into @gone, and sites that no kind's events are left at into @sites. */
static int unlink_all(struct site_event **gone, struct sites sites[KINDS])
{
	int err = 0;

	for (u32 id = 1; table && id < table->n; id++) {
		struct site_event **at = &table->head[id], *s;
		u32 left = 0, went = 0;

		while ((s = *at)) {
			if (!s->event->changes) {
				left |= 1u << kind_of(s->event);
				at = &s->next;
				continue;
			}
			went |= 1u << kind_of(s->event);
			/* A hit that is at it goes on by its next, which stays. */
			smp_store_release(at, s->next);
			*gone = s;
			gone = &s->gone;
		}
		for (u32 k = 0; k < KINDS; k++)
			if ((went & ~left) >> k & 1 && note_site(&sites[k], ftrace_site(id)))
				err = -ENOMEM;
	}
	*gone = NULL;
	return err;
}

/* Nobody of this kind is left: its ops goes, and functions are as they were. */
static void unregister_idle(void)
{
	struct agent_event *e;
	u32 used = 0, k;

	for (e = event_list(); e; e = e->next)
		if (e->attached && !e->changes && e->kind != PROBE_USDT)
			used |= 1u << kind_of(e);
	for (k = 0; k < KINDS; k++) {
		if (used >> k & 1 || !(ops_of(k)->flags & FTRACE_OPS_FL_ENABLED))
			continue;
		if (k >= RETURN)
			unregister_ftrace_graph(&return_ops[k - RETURN]);
		else
			unregister_ftrace_function(&entry_ops[k]);
		ftrace_free_filter(ops_of(k));
	}
}

static int detach_all(void)
{
	struct sites sites[KINDS] = { { NULL, 0, 0 } };
	struct site_event *gone = NULL, *next;
	struct agent_event *e;
	int err, one;
	u32 k;

	ft_lock(table_lock);
	err = unlink_all(&gone, sites);
	ft_unlock(table_lock);
	unregister_idle();
	for (k = 0; k < KINDS; k++) {
		one = sites[k].n && ops_of(k)->flags & FTRACE_OPS_FL_ENABLED ?
		      ftrace_filter_sites(ops_of(k), sites[k].list, sites[k].n, true) : 0;
		if (one && !err)
			err = one;
		if (sites[k].list)
			ft_free(sites[k].list, sites[k].room * sizeof(*sites[k].list));
	}
	for (e = event_list(); e; e = e->next) {
		if (!e->changes)
			continue;
		if (e->probe_registered)
			unregister_kprobe(&e->probe);
		event_usdt_detach(e);
		ft_memset(&e->probe, 0, sizeof(e->probe));
		e->probe_registered = false;
		e->linked = false;
		e->attached = false;
	}
	/* From inside a callback nobody can be waited for: they are left behind. */
	if (ftrace_synchronize())
		return err;
	for (; gone; gone = next) {
		next = gone->gone;
		ft_free(gone, sizeof(*gone));
	}
	return err;
}

/* ---- changes ---- */

static bool is_wanted(const struct agent_event *e)
{
	return e->enabled || e->triggers;
}

/* Mark those that are to be attached (@on) or detached. Any? */
static bool mark(bool on)
{
	struct agent_event *e;
	bool any = false;

	for (e = event_list(); e; e = e->next) {
		e->changes = is_wanted(e) == on && e->attached != on;
		any |= e->changes;
	}
	return any;
}

/* Called under the engine's lock for each function of an object that was loaded just now. */
static bool choose(struct ftrace_ops *ops, struct dyn_ftrace *site)
{
	struct agent_event *e;
	bool any = false;

	ft_lock(table_lock);
	for (e = event_list(); e; e = e->next)
		if (e->attached && ops_of(kind_of(e)) == ops && is_at(e, site))
			any |= !link_event(e, site);
	ft_unlock(table_lock);
	return any;
}

void event_wait_for_hits(void)
{
	ftrace_synchronize();
}

void event_list_lock(void)
{
	if (table_lock)
		ft_lock(table_lock);
}

void event_list_unlock(void)
{
	if (table_lock)
		ft_unlock(table_lock);
}

void event_sites_begin(void)
{
	if (!table_lock)
		table_lock = ft_wipeonfork(FT_PAGE_SIZE);
	ftrace_ops_choose = choose;
}

int event_sites_update(void)
{
	struct agent_event *e;
	int err = 0, one;

	if (!table_lock)
		return ft_log(-ENOMEM, "events: no memory");
	if (mark(false))
		err = detach_all();
	if (mark(true)) {
		for (e = event_list(); e; e = e->next)
			if (e->changes && !e->described)
				event_describe(e);
		one = attach_all();
		err = err ? err : one;
	}
	for (e = event_list(); e; e = e->next)
		e->changes = false;
	if (err)
		ft_log(err, "events: not all that was asked for can be enabled or disabled (error %d)", -err);
	return err;
}

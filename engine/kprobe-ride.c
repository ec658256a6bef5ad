/* SPDX-License-Identifier: MIT */
/*
 * Probes that ride on the tracer: those at entries that are sites. One ops has all of them, or two: one of those
 * whose handlers need vector registers saved, one of those who do not; and two graph ops for returns.
 */
#include "kprobe.h"

#include "arch.h"

/* The points of sites, by id: a table of tables of a chunk's sites. */
static struct probe_point **tables[FTRACE_MAX_CHUNKS];

struct probe_point *probe_at_site(const struct dyn_ftrace *site)
{
	struct probe_point **table = smp_load_acquire(&tables[site->id / FTRACE_CHUNK_SITES]);

	return table ? smp_load_acquire(&table[site->id % FTRACE_CHUNK_SITES]) : NULL;
}

/* ---- hits ---- */

/* From the site's trampoline, where nobody else has the site. */
static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs,
		struct dyn_ftrace *site)
{
	struct probe_point *p = container_of(op, struct probe_point, ops);
	struct ftrace_thread *t = ftrace_self;

	if (unlikely(!t))
		return;
	if (!probe_begin(t, regs)) {
		probe_count_missed(p);
		return;
	}
	if (!probe_call_pre(p, regs) && unlikely(probe_has_post(p)))
		probe_call_post(p, regs, instruction_pointer(regs));
	probe_end(t);
}

int probe_set_site(struct dyn_ftrace *site, struct probe_point *p)
{
	struct probe_point **table = tables[site->id / FTRACE_CHUNK_SITES];

	if (!table && !p)
		return 0;
	if (!table) {
		table = ft_alloc(FTRACE_CHUNK_SITES * sizeof(*table));
		if (!table)
			return -ENOMEM;
		smp_store_release(&tables[site->id / FTRACE_CHUNK_SITES], table);
	}
	if (p)
		p->ops.reserved[FTRACE_OPS_CALL] = (void *)hit;
	smp_store_release(&table[site->id % FTRACE_CHUNK_SITES], p);
	return 0;
}

/* One of several ops that the site has. */
static void hit_among(struct pt_regs *regs, struct dyn_ftrace *site, u8 ride)
{
	struct probe_point *p = probe_at_site(site);

	/* Nothing behind: all gone, or those of the other ops. */
	if (p && READ_ONCE(p->call) == ride)
		hit(0, 0, &p->ops, regs, site);
}

static void hit_general(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			struct pt_regs *regs, struct dyn_ftrace *site)
{
	hit_among(regs, site, RIDE_CALL_GENERAL);
}

static void hit_all(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		    struct pt_regs *regs, struct dyn_ftrace *site)
{
	hit_among(regs, site, RIDE_CALL);
}

/* What the trampoline gets in place of call_ops: nothing needs to be looked for then. */
static struct ftrace_ops *ops_at(const struct dyn_ftrace *site)
{
	struct probe_point *p = probe_at_site(site);

	return p ? &p->ops : NULL;
}

static struct ftrace_ops call_ops[2] = {
	{
		.func = (ftrace_func_t)(void (*)(void))hit_general,
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_PROBE,
		.reserved = { [FTRACE_OPS_TARGET] = (void *)ops_at },
	}, {
		.func = (ftrace_func_t)(void (*)(void))hit_all,
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_PROBE,
		.reserved = { [FTRACE_OPS_TARGET] = (void *)ops_at },
	},
};

/* ---- filters ---- */

/* How many points each has. */
static u32 riders[RIDES];

static struct ftrace_ops *filter_of(unsigned int ride)
{
	return ride >= RIDE_RETURN_GENERAL ? &probe_return_ops[ride - RIDE_RETURN_GENERAL].ops :
					     &call_ops[ride];
}

static int start(unsigned int ride)
{
	return ride >= RIDE_RETURN_GENERAL ?
	       register_ftrace_graph(&probe_return_ops[ride - RIDE_RETURN_GENERAL]) :
	       ftrace_ops_register(&call_ops[ride], "register_kprobe");
}

static int stop(unsigned int ride)
{
	return ride >= RIDE_RETURN_GENERAL ?
	       unregister_ftrace_graph(&probe_return_ops[ride - RIDE_RETURN_GENERAL]) :
	       unregister_ftrace_function(&call_ops[ride]);
}

static int add(unsigned int ride, struct dyn_ftrace **sites, u32 n)
{
	struct ftrace_ops *filter = filter_of(ride);
	int err;

	/* Without anything in its filter an ops has everything: it is not to be registered then. */
	err = ftrace_filter_sites(filter, sites, n, false);
	if (!err && !(filter->flags & FTRACE_OPS_FL_ENABLED))
		err = start(ride);
	riders[ride] += n;
	return err;
}

static int take_away(unsigned int ride, struct dyn_ftrace **sites, u32 n)
{
	struct ftrace_ops *filter = filter_of(ride);
	int err = 0;

	riders[ride] -= n;
	if (riders[ride])
		return ftrace_filter_sites(filter, sites, n, true);
	if (filter->flags & FTRACE_OPS_FL_ENABLED)
		err = stop(ride);
	ftrace_free_filter(filter);
	return err;
}

/* The rides that @p is to have. */
static u8 wanted(struct probe_point *p)
{
	bool general;
	u8 mask = 0;

	if (p->gone)
		return 0;
	if (probes_want(p->probes, &general))
		mask |= (u8)(1 << (general ? RIDE_CALL_GENERAL : RIDE_CALL));
	if (probes_want(p->returns, &general))
		mask |= (u8)(1 << (general ? RIDE_RETURN_GENERAL : RIDE_RETURN));
	return mask;
}

enum { CALLS = 1 << RIDE_CALL_GENERAL | 1 << RIDE_CALL,
       RETURNS = 1 << RIDE_RETURN_GENERAL | 1 << RIDE_RETURN };

/*
 * Which of two rides counts, where a point has both for a moment: @first, the new one if it is the only one; else the
 * new one in any case.
 */
static void choose(struct probe_point *p, bool first)
{
	u8 mask = wanted(p);

	if (mask & CALLS && !(first && p->rides & CALLS)) {
		WRITE_ONCE(p->call, mask & 1 << RIDE_CALL ? RIDE_CALL : RIDE_CALL_GENERAL);
		WRITE_ONCE(p->ops.flags, call_ops[p->call].flags);
	}
	if (mask & RETURNS && !(first && p->rides & RETURNS))
		WRITE_ONCE(p->ret, mask & 1 << RIDE_RETURN ? RIDE_RETURN : RIDE_RETURN_GENERAL);
}

/* The bit stays where the site, come back, is another's. */
static bool is_others(const struct probe_point *p)
{
	const struct probe_point *now = probe_at_site(p->site);

	return p->gone && now && now != p;
}

int probe_rides_update(struct probe_point **points, u32 n)
{
	struct dyn_ftrace **sites = ft_alloc(n * sizeof(*sites));
	int err = 0, e;

	if (!sites)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++)
		choose(points[i], true);
	for (unsigned int ride = 0; ride < RIDES; ride++) {
		u32 count = 0;

		for (u32 i = 0; i < n; i++) {
			struct probe_point *p = points[i];

			if (!p->site || !(wanted(p) & ~p->rides & 1 << ride))
				continue;
			p->rides |= (u8)(1 << ride);
			sites[count++] = p->site;
		}
		e = count ? add(ride, sites, count) : 0;
		err = err ? err : e;
	}
	for (u32 i = 0; i < n; i++)
		choose(points[i], false);
	for (unsigned int ride = 0; ride < RIDES; ride++) {
		u32 count = 0, others = 0;

		for (u32 i = 0; i < n; i++) {
			struct probe_point *p = points[i];

			if (!p->site || !(p->rides & ~wanted(p) & 1 << ride))
				continue;
			p->rides &= (u8)~(1 << ride);
			if (is_others(p))
				others++;
			else
				sites[count++] = p->site;
		}
		riders[ride] -= others;
		e = count || others ? take_away(ride, sites, count) : 0;
		err = err ? err : e;
	}
	ft_free(sites, n * sizeof(*sites));
	return err;
}

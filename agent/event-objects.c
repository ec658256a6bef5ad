/* SPDX-License-Identifier: MIT */
/*
 * Probes in libraries that come and go. Functions with sites follow by themselves (event-sites.c); what is here are events
 * at other places: SYM+OFF, functions that are not traced, USDT probes. Those whose object is not there wait for it, as the kernel's
 * MOD:SYM do.
 *
 * The loader calls before it relocates or initialises what it has mapped, so constructors are probed as well.
 * It holds its own lock then, and who has event_lock() may be about to take that: so nobody waits here.
 */
#include <link.h>

#include "agent/event.h"
#include "engine/data-symbol.h"
#include "engine/find.h"
#include "engine/kprobe.h"
#include "engine/loader.h"

/* What was loaded when we looked last. */
struct seen {
	const struct link_map *map;
	unsigned long base;
};

static struct seen *seen;
static u32 nseen;
static u32 pending;

static u32 count_loaded(void)
{
	const struct link_map *map = ftrace_loaded_objects();
	u32 n = 0;

	for (; map; map = map->l_next)
		n++;
	return n;
}

static bool is_seen(const struct link_map *map)
{
	for (u32 i = 0; i < nseen; i++)
		if (seen[i].map == map && seen[i].base == map->l_addr)
			return true;
	return false;
}

/* Without memory all are new the next time, which does no harm. */
static void note_loaded(void)
{
	const struct link_map *map = ftrace_loaded_objects();
	u32 n = count_loaded(), i = 0;

	if (seen)
		ft_free(seen, nseen * sizeof(*seen));
	nseen = 0;
	seen = n ? ft_alloc(n * sizeof(*seen)) : NULL;
	for (; seen && map && i < n; map = map->l_next, i++)
		seen[i] = (struct seen){ map, map->l_addr };
	nseen = seen ? n : 0;
}

/* ---- what went ---- */

static void forget_gone(struct agent_event *e)
{
	if (e->kind == PROBE_USDT) {
		event_usdt_follow(e, NULL, 0);
	} else if (e->probe_registered && e->probe.flags & KPROBE_FLAG_GONE) {
		unregister_kprobe(&e->probe);
		ft_memset(&e->probe, 0, sizeof(e->probe));
		e->probe_registered = false;
	}
}

/* ---- what came ---- */

/* Can the symbol that @e waits for be in @path? */
static bool waits_for(const struct agent_event *e, const char *path)
{
	const char *slash = ft_strrchr(path, '/');

	if (!e->symbol || e->glob || event_is_return(e) || e->probe_registered || (e->linked && !e->offset))
		return false;
	return !e->object || ftrace_glob(e->object, e->object_len, slash ? slash + 1 : path) ||
	       ftrace_glob(e->object, e->object_len, path);
}

static void place_in(struct agent_event *e, const struct link_map *map)
{
	if (e->kind == PROBE_USDT)
		event_usdt_follow(e, map->l_name, map->l_addr);
	else if (waits_for(e, map->l_name) && ftrace_symbol_in(map->l_name, e->symbol, e->symbol_len))
		event_probe_attach(e);		/* why not is logged */
}

static void follow(void)
{
	const struct link_map *map;
	struct agent_event *e;

	for (e = event_list(); e; e = e->next)
		if (e->attached)
			forget_gone(e);
	for (map = ftrace_loaded_objects(); map; map = map->l_next) {
		if (!map->l_name || !*map->l_name || is_seen(map))
			continue;
		for (e = event_list(); e; e = e->next)
			if (e->attached)
				place_in(e, map);
	}
	note_loaded();
}

void event_objects_later(void)
{
	while (READ_ONCE(pending) && event_trylock()) {
		if (__atomic_exchange_n(&pending, 0, __ATOMIC_ACQ_REL)) {
			ftrace_probes_unrelocated(true);
			follow();
			ftrace_probes_unrelocated(false);
		}
		event_unlock_only();
	}
}

void event_objects_changed(void)
{
	__atomic_store_n(&pending, 1, __ATOMIC_SEQ_CST);
	event_objects_later();
}

void event_objects_begin(void)
{
	note_loaded();
	ftrace_objects_changed = event_objects_changed;
}

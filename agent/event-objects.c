/* SPDX-License-Identifier: MIT */
/*
 * Probes in libraries that come and go. Functions with sites follow by themselves (event-sites.c); what is here are events
 * at other places: SYM+OFF, functions that are not traced, USDT probes. Those whose object is not there wait for it, as the kernel's
 * MOD:SYM do.
 *
 * The loader calls before it relocates or initialises what it has mapped, so constructors are probed as well.
 * It holds its own lock then, and who has event_lock() may be about to take that: so nobody waits here. Who lets go of
 * event_lock() looks without the loader's, so at no object itself, only at what is told of each.
 */
#include "agent/event.h"
#include "engine/data-symbol.h"
#include "engine/elf-file.h"
#include "engine/find.h"
#include "engine/kprobe.h"
#include "engine/loader.h"
#include "engine/scratch.h"

/* What was loaded when we looked last. */
struct seen {
	unsigned long base;
	u64 path;			/* a number made of it */
};

static struct seen *seen;
static u32 nseen, room_for_seen;
static u32 pending;			/* changes that were not looked at */

static struct seen sight_of(const char *path, unsigned long base)
{
	struct seen s = { base, 14695981039346656037ull };	/* FNV-1a */

	for (; *path; path++)
		s.path = (s.path ^ (u8)*path) * 1099511628211ull;
	return s;
}

static bool is_seen(const struct seen *s, u32 before)
{
	for (u32 i = 0; i < before; i++)
		if (seen[i].base == s->base && seen[i].path == s->path)
			return true;
	return false;
}

/* Without memory it is new the next time, which does no harm. */
static void note(struct seen s)
{
	u32 room = room_for_seen ? 2 * room_for_seen : 64;
	struct seen *more;

	if (nseen == room_for_seen) {
		more = ft_alloc(room * sizeof(*more));
		if (!more)
			return;
		if (seen) {
			ft_memcpy(more, seen, nseen * sizeof(*more));
			ft_free(seen, room_for_seen * sizeof(*seen));
		}
		seen = more;
		room_for_seen = room;
	}
	seen[nseen++] = s;
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

static void place_in(struct agent_event *e, const char *path, unsigned long base)
{
	if (e->kind == PROBE_USDT)
		event_usdt_follow(e, path, base);
	else if (waits_for(e, path) && ftrace_symbol_in(path, e->symbol, e->symbol_len))
		event_probe_attach(e);		/* why not is logged */
}

/* What is loaded now is known from here on; @follow: it is new, unless it was known before. event_lock() is held. */
static void look(bool follow)
{
	char *path = scratch_alloc(ELF_PATH_MAX);
	u32 before = nseen;
	unsigned long base;

	/* Behind the executable. If the list changes meanwhile, that is pending. */
	for (u32 i = 1; path && probe_loaded_object(i, path, ELF_PATH_MAX, &base); i++) {
		struct seen s = sight_of(path, base);

		for (struct agent_event *e = event_list(); follow && path[0] && !is_seen(&s, before) && e; e = e->next)
			if (e->attached)
				place_in(e, path, base);
		note(s);
	}
	scratch_free(path, ELF_PATH_MAX);
	nseen -= before;
	ft_memmove(seen, seen + before, nseen * sizeof(*seen));
}

static void follow(void)
{
	struct agent_event *e;

	for (e = event_list(); e; e = e->next)
		if (e->attached)
			forget_gone(e);
	look(true);
}

void event_objects_later(void)
{
	u32 changes;

	/* The lock was let go before this; pairs with the count in event_objects_changed(), before it tries the lock. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (READ_ONCE(pending) && event_trylock()) {
		changes = __atomic_exchange_n(&pending, 0, __ATOMIC_ACQ_REL);
		/* Of several, one may have brought back to its place what another took away. */
		if (changes > 1)
			nseen = 0;
		if (changes) {
			ftrace_probes_unrelocated(true);
			follow();
			ftrace_probes_unrelocated(false);
		}
		event_unlock_only();
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

void event_objects_changed(void)
{
	__atomic_fetch_add(&pending, 1, __ATOMIC_SEQ_CST);
	event_objects_later();
}

void event_objects_begin(void)
{
	event_lock();
	look(false);
	event_unlock();
	ftrace_objects_changed = event_objects_changed;
}

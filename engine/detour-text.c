/* SPDX-License-Identifier: MIT */
/*
 * What is known of an object's text: where in it branches lead, found by decoding it once, from the beginning of every entry
 * of its unwind table to the next; and of the function that a probe is in.
 */
#include <link.h>

#include "arch.h"
#include "chunk.h"
#include "detour.h"
#include "kprobe.h"
#include "loader.h"
#include "scratch.h"
#include "unwind-stack.h"

#ifdef ARCH_HAS_DETOURS

/* Of one executable segment. */
struct text_map {
	struct text_map *next;
	const struct link_map *object;
	unsigned long base, lo, hi;
	u8 *targets;			/* a bit for each byte */
};

static struct text_map *maps;

static size_t map_size(const struct text_map *m)
{
	return (m->hi - m->lo) / 8 + 1;
}

static const struct link_map *loaded(unsigned long base, const ElfW(Dyn) *ld)
{
	const struct link_map *map = ftrace_loaded_objects();

	while (map && (map->l_addr != base || (ld && map->l_ld != ld)))
		map = map->l_next;
	return map;
}

void detour_text_gone(void)
{
	for (struct text_map **at = &maps, *m; (m = *at);) {
		if (!m->object || loaded(m->base, m->object->l_ld) == m->object) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		scratch_free(m->targets, map_size(m));
		ft_free(m, sizeof(*m));
	}
}

/* ---- text as it was ---- */

static void put_back(unsigned long addr, u8 *buf, size_t len, unsigned long from, const u8 *orig, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (from + i - addr < len)
			buf[from + i - addr] = orig[i];
}

void detour_read_text(unsigned long addr, u8 *buf, size_t len)
{
	ft_memcpy(buf, (const void *)addr, len);
	/* Functions whose first instructions were moved. */
	for (struct ftrace_object *obj = ftrace_objects(); obj; obj = obj->next) {
		if (obj->gone || !obj->plan.header || addr >= obj->hi || addr + len <= obj->lo)
			continue;
		for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++) {
			const struct dyn_ftrace *site = ftrace_site(id);
			const struct ftrace_planned *f;

			if (!(site->flags & FTRACE_SITE_ON) || site->ip >= addr + len ||
			    site->ip + FTRACE_MOVED_MAX <= addr)
				continue;
			f = ftrace_planned(site);
			put_back(addr, buf, len, site->ip, f->orig, f->len);
		}
	}
	probes_put_back(addr, buf, len);
}

/* ---- branches ---- */

static void note_target(struct text_map *m, unsigned long target)
{
	if (target - m->lo < m->hi - m->lo)
		m->targets[(target - m->lo) / 8] |= (u8)(1 << (target - m->lo) % 8);
}

static bool is_target(const struct text_map *m, unsigned long addr)
{
	return addr - m->lo < m->hi - m->lo && m->targets[(addr - m->lo) / 8] >> (addr - m->lo) % 8 & 1;
}

/* From where the unwind table says that something begins, and again where what is there is not understood. */
static void find_targets(struct text_map *m, const struct unwind_object *o, const u8 *text)
{
	u32 i = 0, n = o->table.count;
	unsigned long at = m->lo;

	while (at < m->hi) {
		unsigned long begins = m->hi;
		struct arch_insn insn;

		while (i < n && o->base + (unsigned long)eh_frame_start(&o->table, i) <= at)
			i++;
		if (i < n && o->base + (unsigned long)eh_frame_start(&o->table, i) < m->hi)
			begins = o->base + (unsigned long)eh_frame_start(&o->table, i);
		while (at < begins) {
			if (!arch_insn(&insn, text + (at - m->lo), m->hi - at, at)) {
				at++;
				continue;
			}
			if (insn.target)
				note_target(m, insn.target);
			at += insn.len;
		}
		at = begins;
	}
}

static struct text_map *map_of(const struct unwind_object *o, unsigned long lo, unsigned long hi)
{
	struct text_map *m;
	u8 *text;

	for (m = maps; m; m = m->next)
		if (m->lo == lo && m->hi == hi)
			return m;
	m = ft_alloc(sizeof(*m));
	text = scratch_alloc(hi - lo);
	if (!m || !text)
		goto fail;
	m->lo = lo;
	m->hi = hi;
	m->base = o->base;
	m->object = loaded(o->base, NULL);
	m->targets = scratch_alloc(map_size(m));
	if (!m->targets)
		goto fail;
	detour_read_text(lo, text, hi - lo);
	find_targets(m, o, text);
	scratch_free(text, hi - lo);
	m->next = maps;
	maps = m;
	return m;
fail:
	scratch_free(text, hi - lo);
	if (m)
		ft_free(m, sizeof(*m));
	return NULL;
}

/* ---- one function ---- */

/* Does the entry of the unwind table for @addr have data of a language: code that exceptions lead to? */
static bool has_landing_pads(const struct unwind_object *o, unsigned long addr)
{
	u32 i = eh_frame_lower(&o->table, addr - o->base + 1);
	struct eh_entry entry;
	const u8 *p;

	if (!i || !eh_frame_entry(&o->table, i - 1, &entry))
		return true;
	/* Version, then the augmentation: 'L' says that there may be some. */
	for (p = entry.cie + 1; p < entry.cie_end && *p; p++)
		if (*p == 'L')
			return true;
	return false;
}

/* A site's bytes, of which one is changed at any time, are not to be covered. */
static bool covers_site(unsigned long lo, unsigned long hi)
{
	for (unsigned long at = lo - FTRACE_MOVED_MAX; at < hi; at++) {
		const struct dyn_ftrace *site = ftrace_site_at(at);

		if (site && site->ip < hi && site->ip + site->len > lo)
			return true;
	}
	return false;
}

/* How many bytes may be moved for a jump at @place->addr, @text being the function's. 0: none may. */
static u8 jump_covers(const struct probe_place *place, const struct unwind_object *o,
		      const struct text_map *m, const u8 *text)
{
	unsigned long at = place->func, end = place->func + place->size, covered = place->addr;

	if (!m || place->addr + ARCH_SITE_SIZE > end || has_landing_pads(o, place->addr))
		return 0;
	while (at < end) {
		struct arch_insn insn;

		if (!arch_insn(&insn, text + (at - place->func), end - at, at) || insn.indirect)
			return 0;
		if (at == covered && covered < place->addr + ARCH_SITE_SIZE)
			covered += insn.len;
		at += insn.len;
	}
	if (covered < place->addr + ARCH_SITE_SIZE || covered > end)
		return 0;
	for (at = place->addr + 1; at < covered; at++)
		if (is_target(m, at))
			return 0;
	return covers_site(place->addr, place->addr + ARCH_SITE_SIZE) ? 0 :
	       (u8)(covered - place->addr);
}

/* Does an instruction begin at @place->addr? Decoded from the function's beginning on. */
static bool is_boundary(const struct probe_place *place, const u8 *text)
{
	unsigned long at = place->func, end = place->func + place->size;
	struct arch_insn insn;

	while (at < place->addr) {
		if (!arch_insn(&insn, text + (at - place->func), end - at, at))
			return false;
		at += insn.len;
	}
	return at == place->addr && arch_insn(&insn, text + (at - place->func), end - at, at);
}

static const char *must_not(const struct unwind_object *o, unsigned long addr)
{
	const struct link_map *map = loaded(o->base, NULL);
	unsigned long own = (unsigned long)detour_look, brk;

	if (own >= o->lo && own < o->hi && map && map->l_prev)
		return "it is in the library's own code";
	if (!map)
		return ftrace_loader() ? "it is in the kernel's own object" : NULL;
	if (map->l_name && ft_starts_with(ft_base_name(map->l_name), "libftrace"))
		return "it is in the library's own code";
	brk = (unsigned long)ftrace_loader()->r_brk;
	if (brk >= o->lo && brk < o->hi)
		return "it is in the dynamic loader, which may not be probed";
	return NULL;
}

int detour_look(struct probe_place *place, const char *what)
{
	const struct unwind_object *o = unwind_object_of(place->objects, place->addr);
	unsigned long lo, hi, func, end;
	const char *why;
	u8 *text;
	int err = 0;

	if (!o || !unwind_text_of(o, place->addr, &lo, &hi))
		return ft_log(-EINVAL, "%s: there is no code of a loaded object at 0x%lx", what,
			      place->addr);
	why = must_not(o, place->addr);
	if (why)
		return ft_log(-EINVAL, "%s: 0x%lx must not be probed: %s", what, place->addr, why);
	if (unwind_function(place->objects, place->addr, &func, &end)) {
		place->func = func;
		place->size = end - func;
	} else if (!place->size || place->func < lo || place->func + place->size > hi) {
		return ft_log(-EILSEQ, "%s: no function is known at 0x%lx, so nobody can tell where its "
			      "instructions begin", what, place->addr);
	} else {
		place->unknown = true;	/* no unwind table: what else leads there nobody knows */
	}
	place->object = loaded(o->base, NULL);
	place->object_base = o->base;
	place->object_lo = o->lo;
	place->object_hi = o->hi;
	text = scratch_alloc(place->size + ARCH_INSN_MAX);
	if (!text)
		return ft_log(-ENOMEM, "%s: no memory", what);
	detour_read_text(place->func, text, place->size);
	if (!is_boundary(place, text))
		err = ft_log(-EILSEQ, "%s: no instruction begins at 0x%lx", what, place->addr);
	else if (!place->unknown)
		place->covers = jump_covers(place, o, map_of(o, lo, hi), text);
	scratch_free(text, place->size + ARCH_INSN_MAX);
	return err;
}

#endif

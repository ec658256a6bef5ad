/* SPDX-License-Identifier: MIT */
#include "thunk.h"

#include "arch.h"
#include "chunk.h"
#include "site.h"
#include "text.h"

/* The thunks of one object. Never freed: sites come back with their ids. */
struct ftrace_thunks {
	u32 next, end;			/* ids of a chunk that are not used yet */
	u32 of[];			/* for each site its thunk's id; 0: none */
};

#ifdef ARCH_HAS_THUNKS

bool ftrace_thunk_possible(const struct dyn_ftrace *site)
{
	return arch_thunk_possible(site);
}

/* An id of a chunk, as of a site; that no site has it is what its data's zeros say. */
static struct ftrace_thunk *thunk(u32 id)
{
	_Static_assert(sizeof(struct ftrace_thunk) <= offsetof(struct dyn_ftrace, id),
		       "a thunk's data must not look like a site");
	return (struct ftrace_thunk *)(ftrace_stub(id) + FTRACE_CHUNK_CODE);
}

static u32 *entry_of(const struct dyn_ftrace *site)
{
	struct ftrace_thunks *thunks = __atomic_load_n(&site->obj->thunks, __ATOMIC_ACQUIRE);

	return thunks ? &thunks->of[site->id - site->obj->first_site] : NULL;
}

struct ftrace_thunk *ftrace_thunk_of(const struct dyn_ftrace *site)
{
	u32 *entry = entry_of(site), id = entry ? smp_load_acquire(entry) : 0;

	return id && thunk(id)->placed ? thunk(id) : NULL;
}

unsigned long ftrace_thunk_code(const struct ftrace_thunk *t)
{
	return (unsigned long)t - FTRACE_CHUNK_CODE;
}

unsigned long ftrace_thunk_direct(const struct ftrace_thunk *t)
{
	return ftrace_thunk_code(t) + ARCH_THUNK_DIRECT;
}

/* The id of @site's thunk, an old one or a new; 0: no room. */
static u32 get_id(struct dyn_ftrace *site)
{
	struct ftrace_object *obj = site->obj;
	struct ftrace_thunks *thunks = obj->thunks;
	u32 *entry;

	if (!thunks) {
		thunks = ft_alloc(sizeof(*thunks) + obj->nsites * sizeof(thunks->of[0]));
		if (!thunks)
			return 0;
		__atomic_store_n(&obj->thunks, thunks, __ATOMIC_RELEASE);
	}
	entry = entry_of(site);
	if (*entry)
		return *entry;
	if (thunks->next == thunks->end) {
		/* What a chunk has room for: its first id may be in use by nobody, see chunk.c. */
		u32 first, n = FTRACE_CHUNK_SITES - 1;

		if (ftrace_chunk_reserve(obj->lo, obj->hi, n, false, &first))
			return 0;
		thunks->next = first;
		thunks->end = first + n;
	}
	smp_store_release(entry, thunks->next);
	return thunks->next++;
}

static int make(struct dyn_ftrace *site, struct ftrace_text *text)
{
	struct arch_patch patch[ARCH_SITE_PATCHES];
	u8 code[FTRACE_STUB_SIZE];
	unsigned long at;
	u32 id = get_id(site);
	int err;

	if (!id)
		return -ENOMEM;
	at = ftrace_stub(id);
	if (arch_site_arm(site, at, patch) != 1 || arch_thunk_write(code, site, at))
		return -ERANGE;
	thunk(id)->site = site;
	WRITE_ONCE(thunk(id)->target, ftrace_stub(site->id));
	err = ftrace_text_write(text, at, code, sizeof(code));
	if (!err)
		err = ftrace_text_write(text, patch[0].addr, patch[0].bytes, patch[0].len);
	if (!err)
		thunk(id)->placed = true;
	return err;
}

void ftrace_thunks_make(struct dyn_ftrace **sites, u32 n)
{
	struct dyn_ftrace **on = ft_alloc(n * sizeof(*on));
	struct ftrace_text text;
	u32 non = 0, failed = 0;
	int err = 0;

	if (!on)
		return;
	for (u32 i = 0; i < n; i++) {
		if (!(sites[i]->flags & FTRACE_SITE_ON))
			continue;
		sites[i]->flags &= ~(u32)FTRACE_SITE_ON;
		on[non++] = sites[i];
	}
	ftrace_text_toggle(on, non);
	ft_free(on, n * sizeof(*on));
	/* Nobody executes their displacements now: off, they are operands without a use. */
	ftrace_text_open(&text);
	for (u32 i = 0; i < n; i++) {
		int e = sites[i]->flags & FTRACE_SITE_ON ? -EPERM : make(sites[i], &text);

		failed += e != 0;
		err = e ? e : err;
	}
	ftrace_text_close(&text);
	arch_poke_sync();
	if (failed)
		ft_log(err, "%u functions get no short way to what is called instead or before: error %d", failed,
		       -err);
}

void ftrace_thunks_gone(struct ftrace_object *obj)
{
	for (u32 i = 0; obj->thunks && i < obj->nsites; i++)
		if (obj->thunks->of[i]) {
			thunk(obj->thunks->of[i])->placed = false;
			thunk(obj->thunks->of[i])->has_trampoline = false;
			WRITE_ONCE(thunk(obj->thunks->of[i])->ops, NULL);
		}
}

#else

bool ftrace_thunk_possible(const struct dyn_ftrace *site)
{
	return false;
}

struct ftrace_thunk *ftrace_thunk_of(const struct dyn_ftrace *site)
{
	return NULL;
}

unsigned long ftrace_thunk_code(const struct ftrace_thunk *t)
{
	return 0;
}

unsigned long ftrace_thunk_direct(const struct ftrace_thunk *t)
{
	return 0;
}

void ftrace_thunks_make(struct dyn_ftrace **sites, u32 n)
{
}

void ftrace_thunks_gone(struct ftrace_object *obj)
{
}

#endif

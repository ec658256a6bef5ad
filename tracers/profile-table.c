/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engine/site.h"
#include "engine/thread.h"
#include "tracers/profile.h"
#include "tracers/tracer.h"

#define FIRST_KEYS_SHIFT	54u	/* 1024 keys */
#define MAX_TABLES		4096u
#define PROBES			8u	/* owners a newcomer looks at to see whether they are alive */

__thread struct profile_table *profile_mine;

static __thread bool refused;		/* it got none, and does not ask again */

static struct profile_table *tables[MAX_TABLES];
static u32 ntables, clock_hand;
static u32 complained;

static void *anonymous(size_t bytes)
{
	void *p;

	if (READ_ONCE(ftrace_no_syscalls))
		return NULL;
	p = ft_mmap(NULL, ALIGN_UP(bytes, FT_PAGE_SIZE), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ft_is_err(p) ? NULL : p;
}

static void unmap(void *p, size_t bytes)
{
	if (p)
		arch_syscall(SYS_munmap, (long)p, (long)ALIGN_UP(bytes, FT_PAGE_SIZE), 0, 0, 0, 0);
}

static size_t keys_bytes(const struct profile_table *t)
{
	return (size_t)(~0ull >> t->shift) * sizeof(*t->keys) + sizeof(*t->keys);
}

/* ---- entries ---- */

static void suffix_of(char *buf, size_t size, u32 number)
{
	ft_snprintf(buf, size, "%u.prof", number);
}

/* One chunk more; each holds twice as many as the last, so that there are few mappings. */
static int grow_entries(struct profile_table *t)
{
	u32 k = 0, first = 0;
	char suffix[24];
	void *p;

	while (k < PROFILE_CHUNKS && t->chunks[k])
		first += PROFILE_FIRST_CHUNK << k++;
	if (k == PROFILE_CHUNKS)
		return -ENOSPC;
	suffix_of(suffix, sizeof(suffix), t->number);
	p = tracer_file(suffix, FTRACE_PROFILE_HEADER + (u64)first * sizeof(*t->chunks[0]),
			(PROFILE_FIRST_CHUNK << k) * sizeof(*t->chunks[0]));
	if (ft_is_err(p))
		return (int)(long)p;
	t->chunks[k] = p;
	t->room = first + (PROFILE_FIRST_CHUNK << k);
	return 0;
}

static int grow_keys(struct profile_table *t)
{
	struct profile_table bigger = { .shift = t->shift - 1 };
	u32 n = (u32)(~0ull >> t->shift) + 1, mask = (u32)(~0ull >> bigger.shift);

	bigger.keys = anonymous(keys_bytes(&bigger));
	if (!bigger.keys)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		u32 at = profile_hash(t->keys[i].ip, bigger.shift);

		if (!t->keys[i].ip)
			continue;
		while (bigger.keys[at].ip)
			at = (at + 1) & mask;
		bigger.keys[at] = t->keys[i];
	}
	unmap(t->keys, keys_bytes(t));
	t->keys = bigger.keys;
	t->shift = bigger.shift;
	return 0;
}

void profile_look_through(struct profile_table *t)
{
	struct profile_table fresh = { .shift = t->shift };
	u32 n = (u32)(~0ull >> t->shift) + 1;

	t->unloads = READ_ONCE(tracer_unloads);
	fresh.keys = anonymous(keys_bytes(&fresh));
	if (!fresh.keys)
		return;
	for (u32 i = 0; i < n; i++) {
		const struct profile_key *key = &t->keys[i];
		struct dyn_ftrace *site = key->ip ? ftrace_site(key->entry->site) : NULL;
		u32 at = profile_hash(key->ip, t->shift);

		if (!site || site->ip != key->ip || (site->flags & FTRACE_SITE_GONE))
			continue;
		while (fresh.keys[at].ip)
			at = (at + 1) & (n - 1);
		fresh.keys[at] = *key;
	}
	unmap(t->keys, keys_bytes(t));
	t->keys = fresh.keys;
}

void profile_missed(void)
{
	struct profile_table *t = smp_load_acquire(&tables[0]);

	if (t)
		__atomic_fetch_add(&t->shared->unfollowed, 1, __ATOMIC_RELAXED);
}

/* Entry @i, which is there. */
static struct ftrace_profile_entry *entry_at(struct profile_table *t, u32 i)
{
	u32 k = 0;

	for (; i >= PROFILE_FIRST_CHUNK << k; k++)
		i -= PROFILE_FIRST_CHUNK << k;
	return &t->chunks[k][i];
}

struct profile_key *profile_add(struct profile_table *t, unsigned long ip)
{
	struct dyn_ftrace *site = ftrace_site_at(ip);
	struct ftrace_profile_entry *entry;
	u32 mask, at;

	if (!site)
		return NULL;
	if ((t->used + 1) * 2 > (u32)(~0ull >> t->shift) && grow_keys(t))
		return NULL;
	if (t->used == t->room && grow_entries(t))
		return NULL;
	entry = entry_at(t, t->used);
	entry->site = site->id;
	entry->min = ~0ull;
	mask = (u32)(~0ull >> t->shift);
	for (at = profile_hash(ip, t->shift); t->keys[at].ip; at = (at + 1) & mask)
		;
	t->keys[at] = (struct profile_key){ .ip = ip, .entry = entry };
	t->used++;
	smp_store_release(&t->shared->nentries, t->used);
	return &t->keys[at];
}

/* ---- tables ---- */

static bool thread_is_dead(s32 tid)
{
	return arch_syscall(SYS_tgkill, ft_getpid(), tid, 0, 0, 0, 0) == -ESRCH;
}

/* Whoever had it may have died in the middle of calls, which are gone with it. */
static struct profile_table *take_over(struct profile_table *t, s32 tid)
{
	for (u32 i = 0; i <= (u32)(~0ull >> t->shift); i++)
		t->keys[i].outermost = NULL;
	t->shared->owner = (u32)tid;
	t->shared->threads++;
	return t;
}

static struct profile_table *claim(struct profile_table *t, s32 from, s32 tid)
{
	return __atomic_compare_exchange_n(&t->owner, &from, tid, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED) ? take_over(t, tid) : NULL;
}

static struct profile_table *find_free(s32 tid)
{
	u32 n = smp_load_acquire(&ntables);
	struct profile_table *t, *got;

	for (u32 i = 0; i < n; i++) {
		t = smp_load_acquire(&tables[i]);
		if (t && READ_ONCE(t->owner) == tid)	/* a dead thread's number came round */
			return take_over(t, tid);
	}
	for (u32 probe = 0; n && probe < PROBES; probe++) {
		s32 owner;

		t = smp_load_acquire(&tables[__atomic_fetch_add(&clock_hand, 1,
								__ATOMIC_RELAXED) % n]);
		owner = t ? READ_ONCE(t->owner) : 0;
		if (owner && thread_is_dead(owner) && (got = claim(t, owner, tid)))
			return got;
	}
	return NULL;
}

static void drop(struct profile_table *t)
{
	u32 k;

	unmap(t->shared, FTRACE_PROFILE_HEADER);
	for (k = 0; k < PROFILE_CHUNKS; k++)
		unmap(t->chunks[k], (PROFILE_FIRST_CHUNK << k) * sizeof(*t->chunks[k]));
	unmap(t->keys, keys_bytes(t));
	unmap(t, sizeof(*t));
}

static struct profile_table *make(u32 number, s32 tid)
{
	struct profile_table *t = anonymous(sizeof(*t));
	char suffix[24];
	void *p;

	if (!t)
		return NULL;
	t->number = number;
	t->owner = tid;
	t->shift = FIRST_KEYS_SHIFT;
	t->keys = anonymous(keys_bytes(t));
	suffix_of(suffix, sizeof(suffix), number);
	p = t->keys ? tracer_file(suffix, 0, FTRACE_PROFILE_HEADER) : NULL;
	if (!p || ft_is_err(p)) {
		drop(t);
		return NULL;
	}
	t->shared = p;
	t->shared->owner = (u32)tid;
	t->shared->threads = 1;
	smp_store_release(&t->shared->magic, FTRACE_PROFILE_MAGIC);
	return t;
}

struct profile_table *profile_table_slow(void)
{
	struct profile_table *t;
	u32 number;
	s32 tid;

	if (refused)
		return NULL;
	refused = true;
	if (READ_ONCE(ftrace_no_syscalls))
		return NULL;
	tid = ft_gettid();
	t = find_free(tid);
	if (!t) {
		number = __atomic_fetch_add(&ntables, 1, __ATOMIC_ACQ_REL);
		if (number >= MAX_TABLES) {
			__atomic_fetch_sub(&ntables, 1, __ATOMIC_RELAXED);
			return NULL;
		}
		t = make(number, tid);
		if (t)
			smp_store_release(&tables[number], t);
	}
	profile_mine = t;
	refused = !t;
	if (!t && !__atomic_exchange_n(&complained, 1, __ATOMIC_RELAXED))
		ft_log(-ENOSPC, "profile: no room in the session directory for a thread's table: its "
				"calls are not counted");
	return t;
}

void profile_forget(void)
{
	for (u32 i = 0; i < ntables && i < MAX_TABLES; i++) {
		if (tables[i])
			drop(tables[i]);
		tables[i] = NULL;
	}
	ntables = 0;
	profile_mine = NULL;
	refused = false;
}

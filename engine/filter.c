/* SPDX-License-Identifier: MIT */
/*
 * Filters: which sites an ops wants. A filter is never changed in place: a new one is made, takes
 * the old one's place, and the old one is freed when no callback can be looking at it.
 */
#include "arch.h"
#include "ops.h"
#include "name-regex.h"
#include "site.h"

/* One pattern as it was given, for objects that come later. */
struct pattern {
	struct pattern *next;
	u32 len;
	bool away;		/* `!`: takes away what it matches */
	struct regex *re;	/* for /expression/; NULL: a glob */
	char text[];
};

/* One of an ops' two lists. */
struct side {
	struct pattern *patterns, **tail;
	u64 *bits;		/* one a site id */
	u32 nbits;
	u32 nset;
};

enum { FILTER, NOTRACE, SIDES };

struct ftrace_hash {
	struct side side[SIDES];
};

FTRACE_INTERNAL u32 ftrace_patterns_may_wait;

static bool bit_is_set(const struct side *s, u32 id)
{
	return id < s->nbits && s->bits[id / 64] >> (id % 64) & 1;
}

bool ftrace_ops_wants_id(struct ftrace_ops *ops, u32 id)
{
	const struct ftrace_hash *h = __atomic_load_n(
		(struct ftrace_hash **)&ops->reserved[FTRACE_OPS_HASH], __ATOMIC_ACQUIRE);

	if (ops->flags & FTRACE_OPS_FL_CHOOSE)
		return h && bit_is_set(&h->side[FILTER], id);
	if (!h)
		return true;
	if (h->side[FILTER].patterns || h->side[FILTER].nset) {
		if (!bit_is_set(&h->side[FILTER], id))
			return false;
	}
	return !bit_is_set(&h->side[NOTRACE], id);
}

bool ftrace_ops_wants(struct ftrace_ops *ops, const struct dyn_ftrace *site)
{
	return ftrace_ops_wants_id(ops, site->id);
}

static size_t bytes_for(u32 nbits)
{
	return ALIGN_UP((size_t)nbits, 64) / 8;
}

/* Bits for @nbits sites, for a side that others may be reading: the old ones stay, for good. */
static int grow_shared(struct side *s, u32 nbits)
{
	u64 *bits;

	if (nbits <= s->nbits)
		return 0;
	bits = ft_alloc(bytes_for(nbits));
	if (!bits)
		return -ENOMEM;
	if (s->bits)
		ft_memcpy(bits, s->bits, bytes_for(s->nbits));
	smp_store_release(&s->bits, bits);
	smp_store_release(&s->nbits, nbits);
	return 0;
}

/* The same for a side that nobody else sees yet. */
static int grow(struct side *s, u32 nbits)
{
	struct side old = *s;
	int err = grow_shared(s, nbits);

	if (s->bits != old.bits && old.bits)
		ft_free(old.bits, bytes_for(old.nbits));
	return err;
}

static void change_bit(struct side *s, u32 id, bool set)
{
	u64 mask = 1ull << (id % 64);

	if (!!(s->bits[id / 64] & mask) == set)
		return;
	s->bits[id / 64] ^= mask;
	s->nset += set ? 1 : -1;
}

static bool matches(const struct pattern *p, const char *name)
{
	return p->re ? regex_match(p->re, name) : ftrace_glob(p->text, p->len, name);
}

static bool is_regex(const char *text, u32 len)
{
	return len > 2 && text[0] == '/' && text[len - 1] == '/';
}

/* How many of sites [@first, @first + @n) match; their bits are changed accordingly. */
static u32 match(struct side *s, const struct pattern *p, u32 first, u32 n)
{
	u32 matched = 0;

	for (u32 id = first; id < first + n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (!site || !matches(p, site->name))
			continue;
		change_bit(s, id, !p->away);
		matched++;
	}
	return matched;
}

static int add_pattern(struct side *s, const char *text, u32 len, bool away, struct pattern **out)
{
	struct pattern *p = ft_alloc(sizeof(*p) + len + 1);
	int err;

	if (!p)
		return -ENOMEM;
	if (is_regex(text, len)) {
		err = regex_compile(&p->re, text + 1, len - 2);
		if (err) {
			ft_free(p, sizeof(*p) + len + 1);
			return err;
		}
	}
	p->len = len;
	p->away = away;
	ft_memcpy(p->text, text, len);
	for (s->tail = &s->patterns; *s->tail; s->tail = &(*s->tail)->next)
		;
	*s->tail = p;
	*out = p;
	return 0;
}

static void free_side(struct side *s)
{
	while (s->patterns) {
		struct pattern *p = s->patterns;

		s->patterns = p->next;
		if (p->re)
			regex_free(p->re);
		ft_free(p, sizeof(*p) + p->len + 1);
	}
	if (s->bits)
		ft_free(s->bits, bytes_for(s->nbits));
	ft_memset(s, 0, sizeof(*s));
}

static void free_hash(struct ftrace_hash *h)
{
	if (!h)
		return;
	for (unsigned int i = 0; i < SIDES; i++)
		free_side(&h->side[i]);
	ft_free(h, sizeof(*h));
}

static int copy_side(struct side *to, const struct side *from)
{
	struct pattern *p, *copy;
	int err = grow(to, from->nbits);

	if (err)
		return err;
	if (from->nbits)
		ft_memcpy(to->bits, from->bits, bytes_for(from->nbits));
	to->nset = from->nset;
	for (p = from->patterns; p && !err; p = p->next)
		err = add_pattern(to, p->text, p->len, p->away, &copy);
	return err;
}

/* A copy of @ops' filters to change, without the side that is to be forgotten (-1: none). */
static struct ftrace_hash *copy_hash(struct ftrace_ops *ops, int forget)
{
	struct ftrace_hash *old = ops->reserved[FTRACE_OPS_HASH];
	struct ftrace_hash *h = ft_alloc(sizeof(*h));
	int err = 0;

	if (!h)
		return NULL;
	for (int i = 0; i < SIDES && !err; i++) {
		if (old && i != forget)
			err = copy_side(&h->side[i], &old->side[i]);
		if (!err)
			err = grow(&h->side[i], ftrace_nsites());
	}
	if (err) {
		free_hash(h);
		return NULL;
	}
	return h;
}

/* Put @h in place, bring sites to it, free what was there. ftrace_lock is held; it is let go. */
static int put_hash(struct ftrace_ops *ops, struct ftrace_hash *h)
{
	struct ftrace_hash *old = ops->reserved[FTRACE_OPS_HASH];
	bool live = ops->flags & FTRACE_OPS_FL_ENABLED;
	int err = 0;

	if (live && ftrace_ops_is_permanent(ops)) {
		struct ftrace_ops changed = *ops;

		changed.reserved[FTRACE_OPS_HASH] = h;
		err = ftrace_ops_move(ops, &changed, "ftrace_set_filter");
	}
	if (err) {
		ft_unlock(ftrace_lock);
		free_hash(h);
		return err;
	}
	__atomic_store_n((struct ftrace_hash **)&ops->reserved[FTRACE_OPS_HASH], h,
			 __ATOMIC_RELEASE);
	if (live)
		err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	/* From inside a callback the old one cannot be waited for: it is left behind. */
	if (!live || !ftrace_synchronize())
		free_hash(old);
	return err;
}

static const char *bad_pattern(const char *text, u32 len)
{
	for (u32 i = 0; i < len && !is_regex(text, len); i++) {
		if (text[i] != '[')
			continue;
		while (i < len && text[i] != ']')
			i++;
		if (i == len)
			return "'[' without ']'";
	}
	return NULL;
}

static int set_names(struct ftrace_ops *ops, const char *buf, int len, int reset, int side,
		     const char *what)
{
	const char *at = buf, *text;
	struct ftrace_hash *h;
	u32 matched = 0, given = 0;
	int err = ftrace_init();
	size_t n;

	if (err)
		return err;
	if (!ops || len < 0 || (len && !buf))
		return ft_log(-EINVAL, "%s: no ops or no pattern", what);
	ft_lock(ftrace_lock);
	h = copy_hash(ops, reset ? side : -1);
	if (!h) {
		ft_unlock(ftrace_lock);
		return ft_log(-ENOMEM, "%s: no memory", what);
	}
	while ((n = ft_next_word(&text, &at, buf + len))) {
		bool away = *text == '!';
		u32 text_len = (u32)n - away;
		struct pattern *p;
		const char *bad;

		text += away;
		bad = text_len ? bad_pattern(text, text_len) : "'!' without a name";
		if (bad) {
			err = ft_log(-EINVAL, "%s: %s", what, bad);
			goto fail;
		}
		given++;
		err = add_pattern(&h->side[side], text, text_len, away, &p);
		if (err == -EINVAL)
			ft_log(err, "%s: malformed regular expression", what);
		if (err)
			goto fail;
		matched += match(&h->side[side], p, 1, ftrace_nsites() ? ftrace_nsites() - 1 : 0);
	}
	if (given && !matched && !ftrace_patterns_may_wait) {
		char all[64];

		ft_snprintf(all, sizeof(all), "%s", buf);
		if (len < (int)sizeof(all))
			all[len] = 0;
		err = ft_log(-EINVAL, "%s: no function that can be traced matches '%s'", what, all);
		goto fail;
	}
	return put_hash(ops, h);
fail:
	ft_unlock(ftrace_lock);
	free_hash(h);
	return err;
}

FTRACE_PUBLIC int ftrace_set_filter(struct ftrace_ops *ops, const char *buf, int len, int reset)
{
	return set_names(ops, buf, len, reset, FILTER, "ftrace_set_filter");
}

FTRACE_PUBLIC int ftrace_set_notrace(struct ftrace_ops *ops, const char *buf, int len, int reset)
{
	return set_names(ops, buf, len, reset, NOTRACE, "ftrace_set_notrace");
}

FTRACE_PUBLIC int ftrace_set_filter_ips(struct ftrace_ops *ops, unsigned long *ips,
					unsigned int cnt, int remove, int reset)
{
	struct ftrace_hash *h;
	int err = ftrace_init();

	if (err)
		return err;
	if (!ops || (cnt && !ips))
		return ft_log(-EINVAL, "ftrace_set_filter_ip: no ops or no address");
	ft_lock(ftrace_lock);
	h = copy_hash(ops, reset ? FILTER : -1);
	if (!h) {
		ft_unlock(ftrace_lock);
		return ft_log(-ENOMEM, "ftrace_set_filter_ip: no memory");
	}
	for (unsigned int i = 0; i < cnt; i++) {
		struct dyn_ftrace *site = ftrace_site_at(ips[i]);

		if (!site) {
			ft_unlock(ftrace_lock);
			free_hash(h);
			return ft_log(-ENOENT, "ftrace_set_filter_ip: no function that can be "
				      "traced begins at 0x%lx", ips[i]);
		}
		change_bit(&h->side[FILTER], site->id, !remove);
	}
	return put_hash(ops, h);
}

FTRACE_INTERNAL int ftrace_filter_sites(struct ftrace_ops *ops, struct dyn_ftrace **sites, u32 n, bool remove)
{
	struct ftrace_hash *h;

	ft_lock(ftrace_lock);
	h = copy_hash(ops, -1);
	if (!h) {
		ft_unlock(ftrace_lock);
		return -ENOMEM;
	}
	for (u32 i = 0; i < n; i++)
		change_bit(&h->side[FILTER], sites[i]->id, !remove);
	return put_hash(ops, h);
}

FTRACE_PUBLIC int ftrace_set_filter_ip(struct ftrace_ops *ops, unsigned long ip, int remove,
				       int reset)
{
	return ftrace_set_filter_ips(ops, &ip, ip ? 1 : 0, remove, reset);
}

FTRACE_PUBLIC int ftrace_free_filter(struct ftrace_ops *ops)
{
	struct ftrace_pids *pids;

	if (!ops || !ftrace_lock)
		return ops ? 0 : -EINVAL;
	if (ops->flags & FTRACE_OPS_FL_ENABLED)
		return ft_log(-EBUSY, "ftrace_free_filter: the ops is registered");
	ft_lock(ftrace_lock);
	free_hash(ops->reserved[FTRACE_OPS_HASH]);
	ops->reserved[FTRACE_OPS_HASH] = NULL;
	pids = ops->reserved[FTRACE_OPS_PIDS];
	ops->reserved[FTRACE_OPS_PIDS] = NULL;
	ftrace_free_pids(pids);
	ft_unlock(ftrace_lock);
	return 0;
}

FTRACE_INTERNAL bool (*ftrace_ops_choose)(struct ftrace_ops *ops, struct dyn_ftrace *site);

static void choose_new_sites(struct ftrace_ops *ops, struct ftrace_hash *h, u32 first, u32 n)
{
	if (!h) {
		h = ft_alloc(sizeof(*h));
		smp_store_release((struct ftrace_hash **)&ops->reserved[FTRACE_OPS_HASH], h);
	}
	if (!h || grow_shared(&h->side[FILTER], first + n))
		return;
	for (u32 id = first; id < first + n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (site && ftrace_ops_choose(ops, site))
			change_bit(&h->side[FILTER], id, true);
	}
}

void ftrace_filter_new_sites(struct ftrace_ops *ops, u32 first, u32 n)
{
	struct ftrace_hash *h = ops->reserved[FTRACE_OPS_HASH];

	if (ops->flags & FTRACE_OPS_FL_CHOOSE)
		choose_new_sites(ops, h, first, n);
	/* Nobody asks for the bits of sites that are not armed yet: changed in place. */
	for (int i = 0; h && i < SIDES; i++) {
		struct side *s = &h->side[i];

		if (!s->patterns || grow_shared(s, first + n))
			continue;
		for (struct pattern *p = s->patterns; p; p = p->next)
			match(s, p, first, n);
	}
}

/* SPDX-License-Identifier: MIT */
/* Shadow variables: a hash table by the address they belong to. See <ftrace/livepatch.h>. */
#include "livepatch.h"

#define BUCKETS	4096u

struct shadow {
	struct shadow *next;
	void *obj;
	unsigned long id;
	size_t size;			/* of all of it */
	_Alignas(16) u8 data[];
};

static struct shadow **buckets;
static struct ft_mutex *lock;

static bool ready(void)
{
	if (smp_load_acquire(&buckets))
		return true;
	if (!lock) {
		struct ft_mutex *m = ft_wipeonfork(FT_PAGE_SIZE), *none = NULL;

		if (!m)
			return false;
		/* Another thread's: a page is lost, once. */
		__atomic_compare_exchange_n(&lock, &none, m, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	}
	ft_lock(lock);
	if (!buckets)
		smp_store_release(&buckets, ft_alloc(BUCKETS * sizeof(*buckets)));
	ft_unlock(lock);
	return buckets;
}

static struct shadow **bucket(const void *obj)
{
	u64 hash = (unsigned long)obj * 0x9e3779b97f4a7c15ull;

	return &buckets[hash >> 32 & (BUCKETS - 1)];
}

static struct shadow *find(const void *obj, unsigned long id)
{
	for (struct shadow *s = *bucket(obj); s; s = s->next)
		if (s->obj == obj && s->id == id)
			return s;
	return NULL;
}

FTRACE_PUBLIC void *klp_shadow_get(void *obj, unsigned long id)
{
	struct shadow *s;

	if (!ready())
		return NULL;
	ft_lock(lock);
	s = find(obj, id);
	ft_unlock(lock);
	return s ? s->data : NULL;
}

/* The lock is held. */
static struct shadow *add(void *obj, unsigned long id, size_t size, klp_shadow_ctor_t ctor,
			  void *ctor_data)
{
	struct shadow *s = NULL, **head = bucket(obj);
	int err;

	if (size < PTRDIFF_MAX - sizeof(*s))
		s = ft_alloc(sizeof(*s) + size);
	if (!s) {
		ft_log(-ENOMEM, "klp_shadow_alloc: no memory for %lu bytes", (unsigned long)size);
		return NULL;
	}
	s->obj = obj;
	s->id = id;
	s->size = sizeof(*s) + size;
	err = ctor ? ctor(obj, s->data, ctor_data) : 0;
	if (err) {
		ft_log(err, "klp_shadow_alloc: the constructor of shadow variable <%p, %lx> failed: "
		       "error %d", obj, id, -err);
		ft_free(s, s->size);
		return NULL;
	}
	s->next = *head;
	*head = s;
	return s;
}

static void *get_or_add(void *obj, unsigned long id, size_t size, klp_shadow_ctor_t ctor,
			void *ctor_data, bool must_be_new)
{
	struct shadow *s;

	if (!ready())
		return NULL;
	ft_lock(lock);
	s = find(obj, id);
	if (!s)
		s = add(obj, id, size, ctor, ctor_data);
	else if (must_be_new)
		s = NULL, ft_log(-EEXIST, "klp_shadow_alloc: shadow variable <%p, %lx> is there "
				 "already", obj, id);
	ft_unlock(lock);
	return s ? s->data : NULL;
}

FTRACE_PUBLIC void *klp_shadow_alloc(void *obj, unsigned long id, size_t size,
				     klp_shadow_ctor_t ctor, void *ctor_data)
{
	return get_or_add(obj, id, size, ctor, ctor_data, true);
}

FTRACE_PUBLIC void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size,
					    klp_shadow_ctor_t ctor, void *ctor_data)
{
	return get_or_add(obj, id, size, ctor, ctor_data, false);
}

static void drop(struct shadow **at, klp_shadow_dtor_t dtor)
{
	struct shadow *s = *at;

	*at = s->next;
	if (dtor)
		dtor(s->obj, s->data);
	ft_free(s, s->size);
}

FTRACE_PUBLIC void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor)
{
	if (!ready())
		return;
	ft_lock(lock);
	for (struct shadow **at = bucket(obj); *at; at = &(*at)->next)
		if ((*at)->obj == obj && (*at)->id == id) {
			drop(at, dtor);
			break;
		}
	ft_unlock(lock);
}

FTRACE_PUBLIC void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor)
{
	if (!ready())
		return;
	ft_lock(lock);
	for (u32 i = 0; i < BUCKETS; i++)
		for (struct shadow **at = &buckets[i]; *at;) {
			if ((*at)->id == id)
				drop(at, dtor);
			else
				at = &(*at)->next;
		}
	ft_unlock(lock);
}

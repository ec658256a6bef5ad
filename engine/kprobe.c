/* SPDX-License-Identifier: MIT */
/* Registering probes and calling their handlers; see kprobe.h. */
#include "kprobe.h"

#include "arch.h"
#include "detour.h"
#include "general.h"
#include "loader.h"
#include "scratch.h"
#include "trap.h"
#include "unwind-stack.h"

static struct probe_point *points;
static unsigned long epoch;

/* Over registering and unregistering; taken before ftrace_lock. In memory that a fork wipes. */
static struct ft_mutex *probes_lock(void)
{
	static struct ft_mutex *lock;
	struct ft_mutex *m = smp_load_acquire(&lock), *fresh;

	if (likely(m))
		return m;
	fresh = ft_wipeonfork(FT_PAGE_SIZE);
	if (!fresh)
		return NULL;
	return __atomic_compare_exchange_n(&lock, &m, fresh, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE) ? fresh : m;
}

/* ---- hits ---- */

void probe_call_post(struct probe_point *p, struct pt_regs *regs, unsigned long ip)
{
	unsigned long before = instruction_pointer(regs);

	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp)) {
		if (!kp->post_handler || !kprobe_may_run(kp, regs))
			continue;
		instruction_pointer_set(regs, ip);
		kp->post_handler(kp, regs, 0);
	}
	instruction_pointer_set(regs, before);
}

void probe_count_missed(struct probe_point *p)
{
	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp))
		if (kprobe_is_live(kp))
			__atomic_fetch_add(&kp->nmissed, 1, __ATOMIC_RELAXED);
}

/* ---- points ---- */

#define BUCKETS	4096u

static struct probe_point *near_points[BUCKETS];	/* those without a site, by address */

static struct probe_point **bucket(unsigned long addr)
{
	return &near_points[(addr ^ addr >> 12) % BUCKETS];
}

struct probe_point *probe_point_at(unsigned long addr)
{
	struct probe_point *p = *bucket(addr);

	while (p && (p->addr != addr || p->gone))
		p = p->next_near;
	return p;
}

void probes_put_back(unsigned long addr, u8 *buf, size_t len)
{
	for (unsigned long at = addr - FTRACE_MOVED_MAX; at < addr + len; at++) {
		struct probe_point *p = probe_point_at(at);

		for (u32 i = 0; p && p->placed != DETOUR_NONE && i < p->detour->moved; i++)
			if (at + i - addr < len)
				buf[at + i - addr] = p->detour->orig[i];
	}
}

bool probes_want(const struct kprobe *list, bool *general)
{
	bool any = false, without = true;

	for (const struct kprobe *kp = list; kp; kp = kprobe_next(kp)) {
		if (!kprobe_is_live(kp))
			continue;
		any = true;
		if (!kprobe_is_general(kp))
			without = false;
	}
	if (general)
		*general = without;
	return any;
}

/* NULL: none, and *@err is why, logged. */
static struct probe_point *make_point(const struct probe_place *place, const char *what, int *err)
{
	struct probe_point *p = place->site ? probe_at_site(place->site) :
					      probe_point_at(place->addr);

	*err = 0;
	if (p)
		return p;
	p = ft_alloc(sizeof(*p));
	*err = p ? 0 : ft_log(-ENOMEM, "%s: no memory", what);
	if (!p)
		return NULL;
	p->addr = place->addr;
	p->site = place->site;
	p->object = place->object;
	p->object_base = place->object_base;
	if (p->site)
		*err = probe_set_site(p->site, p);
	else
		*err = detours_make(p, place, what);
	if (*err) {
		ft_free(p, sizeof(*p));
		return NULL;
	}
	p->next = points;
	points = p;
	if (!p->site) {
		p->next_near = *bucket(p->addr);
		smp_store_release(bucket(p->addr), p);
	}
	return p;
}

static struct kprobe **list_of(struct probe_point *p, const struct kprobe *kp)
{
	return kp->reserved[KPROBE_IS_RETURN] ? &p->returns : &p->probes;
}

static void link_probe(struct probe_point *p, struct kprobe *kp, const struct unwind_objects *objects)
{
	struct kprobe **at = list_of(p, kp);

	while (*at)
		at = (struct kprobe **)&(*at)->reserved[KPROBE_NEXT];
	kp->addr = (kprobe_opcode_t *)p->addr;
	kp->nmissed = 0;
	kp->flags &= KPROBE_FLAG_DISABLED | KPROBE_FLAG_GENERAL_REGS;
	kprobe_see_general(kp, objects);
	if (p->site)
		kp->flags |= KPROBE_FLAG_FTRACE | KPROBE_FLAG_ON_FUNC_ENTRY;
	if (kp->post_handler && !kp->reserved[KPROBE_IS_RETURN])
		WRITE_ONCE(p->has_post, true);
	kp->reserved[KPROBE_NEXT] = NULL;
	kp->reserved[KPROBE_POINT] = p;
	kp->reserved[KPROBE_EPOCH] = (void *)++epoch;
	smp_store_release(at, kp);
}

/* It stays readable as it is for who is looking at it. */
static void unlink_probe(struct kprobe *kp)
{
	struct kprobe **at = list_of(kprobe_point(kp), kp);

	while (*at && *at != kp)
		at = (struct kprobe **)&(*at)->reserved[KPROBE_NEXT];
	if (*at)
		smp_store_release(at, kprobe_next(kp));
}

static void forget(struct kprobe *kp)
{
	kprobe_forget_general(kp);
	kp->reserved[KPROBE_NEXT] = NULL;
	kp->reserved[KPROBE_POINT] = NULL;
	kp->flags &= KPROBE_FLAG_DISABLED | KPROBE_FLAG_GENERAL_REGS | KPROBE_FLAG_GONE;
	/* So that it may be registered again as it is. */
	kp->addr = kp->symbol_name ? NULL : kp->addr - kp->offset;
}

static void point_gone(struct probe_point *p)
{
	p->gone = true;
	for (struct kprobe *kp = p->probes; kp; kp = kprobe_next(kp))
		kp->flags |= KPROBE_FLAG_GONE;
	for (struct kprobe *kp = p->returns; kp; kp = kprobe_next(kp))
		kp->flags |= KPROBE_FLAG_GONE;
}

void probes_object_gone(struct ftrace_object *obj)
{
	for (struct probe_point *p = points; p; p = p->next) {
		if (p->gone || !p->site || p->site->obj != obj)
			continue;
		probe_set_site(p->site, NULL);
		point_gone(p);
	}
}

static bool is_loaded(const struct probe_point *p)
{
	const struct link_map *map = ftrace_loaded_objects();

	while (map && (map != p->object || map->l_addr != p->object_base))
		map = map->l_next;
	return map || !p->object;
}

void probes_objects_changed(void)
{
	for (struct probe_point *p = points; p; p = p->next) {
		if (p->gone || p->site || is_loaded(p))
			continue;
		point_gone(p);
		p->placed = DETOUR_NONE;
		detours_gone(p);
	}
	detour_text_gone();
}

/* ---- registering ---- */

/* Code follows what @n probes ask for now, or no more. The probes' lock is held. */
static int update(struct kprobe **kps, u32 n)
{
	struct probe_point **list = ft_alloc(n * sizeof(*list));
	u32 count = 0;
	int err, err_detours;

	if (!list)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		struct probe_point *p = kps[i] ? kprobe_point(kps[i]) : NULL;

		if (!p || p->queued)
			continue;
		p->queued = true;
		list[count++] = p;
	}
	err = probe_rides_update(list, count);
	ft_lock(ftrace_lock);
	err_detours = detours_update(list, count);
	ft_unlock(ftrace_lock);
	err = err ? err : err_detours;
	for (u32 i = 0; i < count; i++)
		list[i]->queued = false;
	ft_free(list, n * sizeof(*list));
	return err;
}

/* The probes' lock is held. */
static void end_general(void)
{
	struct kprobe **kps;
	u32 n = 0, room = 0;

	ft_lock(ftrace_lock);
	ftrace_general_end();
	ft_unlock(ftrace_lock);
	for (struct probe_point *p = points; p; p = p->next)
		room++;
	kps = room ? ft_alloc(room * sizeof(*kps)) : NULL;
	/* As with ops: code first, then flags. */
	for (struct probe_point *p = points; p; p = p->next) {
		struct kprobe *any = p->probes ? p->probes : p->returns;

		if (any && kps)
			kps[n++] = any;
		else if (any)
			update(&any, 1);
	}
	if (n)
		update(kps, n);
	for (struct probe_point *p = points; p; p = p->next) {
		for (struct kprobe *kp = p->probes; kp; kp = kprobe_next(kp))
			kprobe_forget_general(kp);
		for (struct kprobe *kp = p->returns; kp; kp = kprobe_next(kp))
			kprobe_forget_general(kp);
	}
	if (kps)
		ft_free(kps, room * sizeof(*kps));
	ftrace_synchronize();
}

void probes_general_end(void)
{
	struct ft_mutex *lock = probes_lock();

	if (lock)
		ft_lock(lock);
	end_general();
	if (lock)
		ft_unlock(lock);
}

static int check(struct kprobe *kp, const char *what)
{
	if (!kp || (kp->symbol_name && kp->addr) || (!kp->symbol_name && !kp->addr))
		return ft_log(-EINVAL, "%s: give a symbol or an address, and not both", what);
	if (kprobe_point(kp))
		return ft_log(-EINVAL, "%s: %s%s already registered", what,
			      kp->symbol_name ? kp->symbol_name : "a probe",
			      kp->symbol_name ? " is" : " that is");
	return 0;
}

static bool from_handler(void)
{
	struct ftrace_thread *t = ftrace_self;
	unsigned long frame = (unsigned long)__builtin_frame_address(0);

	return (t && t->kprobe && !ftrace_frame_is_left(t, t->kprobe, frame)) ||
	       ftrace_in_callback(frame);
}

/* A post_handler is told of each instruction but those that nobody but the processor can do. */
static int check_post(const struct probe_point *p, const struct kprobe *kp, const char *what)
{
	if (p->site || !kp->post_handler || !p->single || probe_may_post(p))
		return 0;
	return ft_log(-EOPNOTSUPP, "%s: behind the instruction at 0x%lx, a branch, nobody can be told", what,
		      p->addr);
}

#define GENERAL_RESTS_ON_IT	1	/* what general.h tells of is to be given up first */

/* All of them linked to their points, or none. */
static int link_all(struct kprobe **kps, struct probe_place *places, u32 n, const char *what)
{
	struct unwind_objects *objects = scratch_alloc(sizeof(*objects));
	int err = objects ? 0 : ft_log(-ENOMEM, "%s: no memory", what);
	u32 linked = 0;

	ft_lock(ftrace_lock);
	if (objects && unwind_objects_open(objects))
		err = ft_log(-EAGAIN, "%s: the loader is at work", what);
	for (u32 i = 0; i < n && !err; i++) {
		struct probe_point *p;

		places[i].objects = objects;
		err = kprobe_point(kps[i]) ? check(kps[i], what) :
		      probe_place_check(&places[i], kps[i], what);
		if (!err && ftrace_general_at(places[i].site ? places[i].site->ip : places[i].addr))
			err = GENERAL_RESTS_ON_IT;
		p = err ? NULL : make_point(&places[i], what, &err);
		if (p)
			err = check_post(p, kps[i], what);
		if (!err) {
			link_probe(p, kps[i], objects);
			linked++;
		}
	}
	while (err && linked) {
		unlink_probe(kps[--linked]);
		forget(kps[linked]);
	}
	ft_unlock(ftrace_lock);
	scratch_free(objects, sizeof(*objects));
	return err;
}

/* What was linked is taken out, and out of sight when this returns. The probes' lock is held. */
static void withdraw(struct kprobe **kps, u32 n)
{
	ft_lock(ftrace_lock);
	for (u32 i = 0; i < n; i++)
		if (kps[i] && kprobe_point(kps[i]))
			unlink_probe(kps[i]);
	ft_unlock(ftrace_lock);
	update(kps, n);
	ftrace_synchronize();
	for (u32 i = 0; i < n; i++)
		if (kps[i] && kprobe_point(kps[i]))
			forget(kps[i]);
}

int probes_register(struct kprobe **kps, u32 n, const char *what)
{
	const size_t size = n * sizeof(struct probe_place);
	struct probe_place *places;
	struct ft_mutex *lock;
	int err = ftrace_init();

	if (err)
		return err;
	if (from_handler())
		return ft_log(-EDEADLK, "%s: called from a handler", what);
	places = ft_alloc(size);
	lock = probes_lock();
	if (!places || !lock)
		return ft_log(-ENOMEM, "%s: no memory", what);
	for (u32 i = 0; i < n && !err; i++) {
		err = check(kps[i], what);
		if (!err)
			err = probe_place_find(&places[i], kps[i], what);
#ifdef ARCH_HAS_DETOURS
		if (!err)
			trap_windows_look(places[i].addr);
#endif
	}
	if (err)
		goto out;
	ft_lock(lock);
	err = link_all(kps, places, n, what);
	if (err == GENERAL_RESTS_ON_IT) {
		end_general();
		err = link_all(kps, places, n, what);
	}
	if (!err) {
		err = update(kps, n);
		if (err) {
			if (err != -EBUSY)	/* said already */
				ft_log(err, "%s: the code cannot be changed: error %d", what, -err);
			withdraw(kps, n);
		}
	}
	ft_unlock(lock);
out:
	ft_free(places, size);
	return err;
}

void probes_unregister(struct kprobe **kps, u32 n, const char *what)
{
	struct ft_mutex *lock = probes_lock();

	if (from_handler()) {
		ft_log(-EDEADLK, "%s: called from a handler", what);
		return;
	}
	if (!lock)
		return;
	ft_lock(lock);
	withdraw(kps, n);
	ft_unlock(lock);
}

static int enable(struct kprobe *kp, bool on, const char *what)
{
	struct ft_mutex *lock = probes_lock();
	int err;

	if (!kp || !lock || !kprobe_point(kp))
		return ft_log(-EINVAL, "%s: not registered", what);
	if (from_handler())
		return ft_log(-EDEADLK, "%s: called from a handler", what);
	ft_lock(lock);
	if (kp->flags & KPROBE_FLAG_GONE) {
		ft_unlock(lock);
		return ft_log(-EINVAL, "%s: its object was unloaded", what);
	}
	if (on)
		__atomic_fetch_and(&kp->flags, ~(unsigned int)KPROBE_FLAG_DISABLED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_or(&kp->flags, KPROBE_FLAG_DISABLED, __ATOMIC_RELAXED);
	err = update(&kp, 1);
	ft_unlock(lock);
	return err ? ft_log(err, "%s: the code cannot be changed: error %d", what, -err) : 0;
}

FTRACE_PUBLIC int register_kprobes(struct kprobe **kps, int num)
{
	if (num <= 0 || !kps)
		return ft_log(-EINVAL, "register_kprobes: no probe given");
	for (int i = 0; i < num; i++)
		if (kps[i] && !kprobe_point(kps[i]))
			kps[i]->reserved[KPROBE_IS_RETURN] = NULL;
	return probes_register(kps, (u32)num, "register_kprobe");
}

FTRACE_PUBLIC void unregister_kprobes(struct kprobe **kps, int num)
{
	if (num > 0 && kps)
		probes_unregister(kps, (u32)num, "unregister_kprobe");
}

FTRACE_PUBLIC int register_kprobe(struct kprobe *p)
{
	return register_kprobes(&p, 1);
}

FTRACE_PUBLIC void unregister_kprobe(struct kprobe *p)
{
	if (p)
		unregister_kprobes(&p, 1);
}

FTRACE_PUBLIC int disable_kprobe(struct kprobe *p)
{
	return enable(p, false, "disable_kprobe");
}

FTRACE_PUBLIC int enable_kprobe(struct kprobe *p)
{
	return enable(p, true, "enable_kprobe");
}

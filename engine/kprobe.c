/* SPDX-License-Identifier: MIT */
/* Registering probes and calling their handlers; see kprobe.h. */
#include "kprobe.h"

#include "arch.h"

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

bool probe_call_pre(struct probe_point *p, struct pt_regs *regs)
{
	unsigned long before = instruction_pointer(regs);
	bool vectors = arch_vectors_saved(regs);

	instruction_pointer_set(regs, p->addr);
	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp)) {
		if (!kp->pre_handler || !kprobe_may_run(kp, vectors))
			continue;
		if (kp->pre_handler(kp, regs) && instruction_pointer(regs) != p->addr)
			return true;
		instruction_pointer_set(regs, p->addr);
	}
	instruction_pointer_set(regs, before);
	return false;
}

bool probe_has_post(const struct probe_point *p)
{
	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp))
		if (kp->post_handler && kprobe_is_live(kp))
			return true;
	return false;
}

void probe_call_post(struct probe_point *p, struct pt_regs *regs, unsigned long ip)
{
	unsigned long before = instruction_pointer(regs);
	bool vectors = arch_vectors_saved(regs);

	for (struct kprobe *kp = smp_load_acquire(&p->probes); kp; kp = kprobe_next(kp)) {
		if (!kp->post_handler || !kprobe_may_run(kp, vectors))
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

static struct probe_point *point_at(unsigned long addr)
{
	for (struct probe_point *p = points; p; p = p->next)
		if (p->addr == addr && !p->gone)
			return p;
	return NULL;
}

static struct probe_point *make_point(const struct probe_place *place)
{
	struct probe_point *p = place->site ? probe_at_site(place->site) : point_at(place->addr);

	if (p)
		return p;
	p = ft_alloc(sizeof(*p));
	if (!p)
		return NULL;
	p->addr = place->addr;
	p->site = place->site;
	if (p->site && probe_set_site(p->site, p)) {
		ft_free(p, sizeof(*p));
		return NULL;
	}
	p->next = points;
	points = p;
	return p;
}

static struct kprobe **list_of(struct probe_point *p, const struct kprobe *kp)
{
	return kp->reserved[KPROBE_IS_RETURN] ? &p->returns : &p->probes;
}

static void link_probe(struct probe_point *p, struct kprobe *kp)
{
	struct kprobe **at = list_of(p, kp);

	while (*at)
		at = (struct kprobe **)&(*at)->reserved[KPROBE_NEXT];
	kp->addr = (kprobe_opcode_t *)p->addr;
	kp->nmissed = 0;
	kp->flags &= KPROBE_FLAG_DISABLED | KPROBE_FLAG_GENERAL_REGS;
	if (p->site)
		kp->flags |= KPROBE_FLAG_FTRACE | KPROBE_FLAG_ON_FUNC_ENTRY;
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
	kp->reserved[KPROBE_NEXT] = NULL;
	kp->reserved[KPROBE_POINT] = NULL;
	kp->flags &= KPROBE_FLAG_DISABLED | KPROBE_FLAG_GENERAL_REGS | KPROBE_FLAG_GONE;
	/* So that it may be registered again as it is. */
	kp->addr = kp->symbol_name ? NULL : kp->addr - kp->offset;
}

void probes_object_gone(struct ftrace_object *obj)
{
	for (struct probe_point *p = points; p; p = p->next) {
		if (p->gone || !p->site || p->site->obj != obj)
			continue;
		p->gone = true;
		probe_set_site(p->site, NULL);
		for (struct kprobe *kp = p->probes; kp; kp = kprobe_next(kp))
			kp->flags |= KPROBE_FLAG_GONE;
		for (struct kprobe *kp = p->returns; kp; kp = kprobe_next(kp))
			kp->flags |= KPROBE_FLAG_GONE;
	}
}

/* ---- registering ---- */

/* Code follows what @n probes ask for now, or no more. The probes' lock is held. */
static int update(struct kprobe **kps, u32 n)
{
	struct probe_point **list = ft_alloc(n * sizeof(*list));
	u32 count = 0;
	int err;

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
	for (u32 i = 0; i < count; i++)
		list[i]->queued = false;
	ft_free(list, n * sizeof(*list));
	return err;
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

/* All of them linked to their points, or none. */
static int link_all(struct kprobe **kps, struct probe_place *places, u32 n, const char *what)
{
	int err = 0;
	u32 i;

	ft_lock(ftrace_lock);
	for (i = 0; i < n && !err; i++) {
		struct probe_point *p;

		err = kprobe_point(kps[i]) ? check(kps[i], what) :
		      probe_place_check(&places[i], kps[i], what);
		p = err ? NULL : make_point(&places[i]);
		if (p)
			link_probe(p, kps[i]);
		else if (!err)
			err = ft_log(-ENOMEM, "%s: no memory", what);
	}
	if (err)
		for (i--; i-- > 0;) {
			unlink_probe(kps[i]);
			forget(kps[i]);
		}
	ft_unlock(ftrace_lock);
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
	}
	if (err)
		goto out;
	ft_lock(lock);
	err = link_all(kps, places, n, what);
	if (!err) {
		err = update(kps, n);
		if (err) {
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

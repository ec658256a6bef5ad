/* SPDX-License-Identifier: MIT */
/* Probes of returns: they ride on graph ops; see kprobe.h. */
#include "arch.h"
#include "kprobe.h"

static struct kretprobe *retprobe(struct kprobe *kp)
{
	return container_of(kp, struct kretprobe, kp);
}

/* What the library keeps in kretprobe_instance.reserved. */
enum { INSTANCE_NEXT, INSTANCE_POINT, INSTANCE_EPOCH };

static void missed(struct kprobe *kp)
{
	__atomic_fetch_add(&retprobe(kp)->nmissed, 1, __ATOMIC_RELAXED);
}

static void all_missed(struct probe_point *p)
{
	for (struct kprobe *kp = smp_load_acquire(&p->returns); kp; kp = kprobe_next(kp))
		if (kprobe_is_live(kp))
			missed(kp);
}

void probe_return_missed(const struct dyn_ftrace *site)
{
	struct probe_point *p = probe_at_site(site);

	if (unlikely(p))
		all_missed(p);
}

/* One kretprobe at a call. False: it lets it go. */
static bool enter(struct kprobe *kp, struct ftrace_graph_ent *ent, struct pt_regs *regs,
		  struct kretprobe_instance **list)
{
	struct kretprobe *rp = retprobe(kp);
	struct kretprobe_instance *ri =
		ftrace_graph_call_alloc(ftrace_self, sizeof(*ri) + rp->data_size);

	if (!ri) {
		missed(kp);
		return false;
	}
	ri->rp = rp;
	ri->ret_addr = (kprobe_opcode_t *)ent->parent_ip;
	ri->fp = arch_return_address(regs);
	ri->reserved[INSTANCE_NEXT] = (unsigned long)*list;
	ri->reserved[INSTANCE_POINT] = (unsigned long)kprobe_point(kp);
	ri->reserved[INSTANCE_EPOCH] = (unsigned long)kp->reserved[KPROBE_EPOCH];
	if (rp->entry_handler && rp->entry_handler(ri, regs))
		return false;
	*list = ri;
	return true;
}

static int entered(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	u8 ride = RIDE_RETURN_GENERAL + (u8)(gops - probe_return_ops);
	unsigned long ip = instruction_pointer(regs);
	struct kretprobe_instance *list = NULL;
	struct ftrace_thread *t = ftrace_self;
	bool may_hook;
	struct probe_point *p = probe_at_site(ftrace_graph_site(t, &may_hook));

	if (!p || READ_ONCE(p->ret) != ride)
		return 0;
	if (!may_hook || !probe_begin(t, regs)) {
		all_missed(p);
		return 0;
	}
	instruction_pointer_set(regs, p->addr);
	for (struct kprobe *kp = smp_load_acquire(&p->returns); kp; kp = kprobe_next(kp))
		if (kprobe_may_run(kp, regs))
			enter(kp, ent, regs, &list);
	instruction_pointer_set(regs, ip);
	probe_end(t);
	*ftrace_graph_call_word(t) = list;
	return list != NULL;
}

/* Is the probe that @ri was made for still there? */
static bool is_registered(const struct kretprobe_instance *ri)
{
	struct probe_point *p = (struct probe_point *)ri->reserved[INSTANCE_POINT];
	struct kprobe *kp = smp_load_acquire(&p->returns);

	for (; kp; kp = kprobe_next(kp))
		if (retprobe(kp) == ri->rp)
			return (unsigned long)kp->reserved[KPROBE_EPOCH] ==
			       ri->reserved[INSTANCE_EPOCH];
	return false;
}

static void returned(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	struct ftrace_thread *t = ftrace_self;
	struct kretprobe_instance *ri = *ftrace_graph_call_word(t);

	/* In a probe's handler nothing was hooked: a call that was is older, and its handler's end was not seen. */
	if (!probe_begin(t, regs))
		return;
	for (; ri; ri = (struct kretprobe_instance *)ri->reserved[INSTANCE_NEXT])
		if (is_registered(ri) && kprobe_may_run(&ri->rp->kp, regs))
			ri->rp->handler(ri, regs);
	probe_end(t);
}

struct fgraph_ops probe_return_ops[2] = {
	{
		.entryfunc = entered, .retfunc = returned,
		.flags = FGRAPH_OPS_FL_GENERAL_REGS | FGRAPH_OPS_FL_PROBE,
	}, {
		.entryfunc = entered, .retfunc = returned,
		.flags = FGRAPH_OPS_FL_PROBE,
	},
};

/* ---- registering ---- */

static int check(struct kretprobe *rp)
{
	if (!rp || !rp->handler)
		return ft_log(-EINVAL, "register_kretprobe: no handler given");
	if (rp->data_size > KRETPROBE_MAX_DATA_SIZE)
		return ft_log(-EINVAL, "register_kretprobe: %lu bytes of data: at most %u",
			      (unsigned long)rp->data_size, KRETPROBE_MAX_DATA_SIZE);
	return 0;
}

FTRACE_PUBLIC int register_kretprobes(struct kretprobe **rps, int num)
{
	struct kprobe **kps = num > 0 && rps ? ft_alloc((u32)num * sizeof(*kps)) : NULL;
	int err = 0;

	if (num <= 0 || !rps)
		return ft_log(-EINVAL, "register_kretprobes: no probe given");
	if (!kps)
		return ft_log(-ENOMEM, "register_kretprobe: no memory");
	for (int i = 0; i < num && !err; i++) {
		err = check(rps[i]);
		if (err)
			break;
		kps[i] = &rps[i]->kp;
		if (!kprobe_point(kps[i])) {
			kps[i]->reserved[KPROBE_IS_RETURN] = rps[i];
			rps[i]->nmissed = 0;
		}
	}
	if (!err)
		err = probes_register(kps, (u32)num, "register_kretprobe");
	ft_free(kps, (u32)num * sizeof(*kps));
	return err;
}

FTRACE_PUBLIC void unregister_kretprobes(struct kretprobe **rps, int num)
{
	struct kprobe **kps = num > 0 && rps ? ft_alloc((u32)num * sizeof(*kps)) : NULL;

	for (int i = 0; !kps && rps && i < num; i++) {	/* no memory: one by one */
		struct kprobe *kp = &rps[i]->kp;

		probes_unregister(&kp, 1, "unregister_kretprobe");
	}
	if (!kps)
		return;
	for (int i = 0; i < num; i++)
		kps[i] = &rps[i]->kp;
	probes_unregister(kps, (u32)num, "unregister_kretprobe");
	ft_free(kps, (u32)num * sizeof(*kps));
}

FTRACE_PUBLIC int register_kretprobe(struct kretprobe *rp)
{
	return register_kretprobes(&rp, 1);
}

FTRACE_PUBLIC void unregister_kretprobe(struct kretprobe *rp)
{
	if (rp)
		unregister_kretprobes(&rp, 1);
}

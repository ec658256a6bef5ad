/* SPDX-License-Identifier: MIT */
/* Direct calls. Alone at a function, its thunk makes the call; else what follows sends it there. */
#include "arch.h"
#include "ops.h"
#include "thunk.h"

static unsigned long target_of(const struct ftrace_ops *ops)
{
	return (unsigned long)ops->reserved[FTRACE_OPS_TARGET];
}

/* The callback of such an ops where the function has others: the thunk's part takes over behind them. */
static void call_direct(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			struct pt_regs *regs, struct dyn_ftrace *site)
{
	struct ftrace_thunk *thunk = ftrace_thunk_of(site);

	if (thunk && thunk->direct)
		instruction_pointer_set(regs, ftrace_thunk_direct(thunk));
}

#define FLAGS	(FTRACE_OPS_FL_DIRECT | FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_GENERAL_REGS)

static void forget(struct ftrace_ops *ops)
{
	ops->func = NULL;
	ops->flags &= ~(unsigned long)FLAGS;
	ops->reserved[FTRACE_OPS_TARGET] = NULL;
}

FTRACE_PUBLIC int register_ftrace_direct(struct ftrace_ops *ops, unsigned long addr)
{
	int err = ftrace_init();

	if (err)
		return err;
	if (!ops || ops->func || ops->flags & ~(unsigned long)FTRACE_OPS_FL_DYNAMIC || !addr)
		return ft_log(-EINVAL, "register_ftrace_direct: no address, or an ops that has a "
			      "callback or flags, or is registered");
	if (!ops->reserved[FTRACE_OPS_HASH])
		return ft_log(-EINVAL, "register_ftrace_direct: no filter chooses the functions");
	ops->func = (ftrace_func_t)(void (*)(void))call_direct;
	ops->flags |= FLAGS;
	ops->reserved[FTRACE_OPS_TARGET] = (void *)addr;
	err = ftrace_ops_register(ops, "register_ftrace_direct");
	if (err)
		forget(ops);
	return err;
}

static bool is_direct(const struct ftrace_ops *ops)
{
	return ops && ops->flags & FTRACE_OPS_FL_ENABLED && ops->flags & FTRACE_OPS_FL_DIRECT;
}

FTRACE_PUBLIC int modify_ftrace_direct(struct ftrace_ops *ops, unsigned long addr)
{
	int err;

	if (!is_direct(ops) || !addr)
		return ft_log(-EINVAL, "modify_ftrace_direct: no address, or not registered");
	ft_lock(ftrace_lock);
	ops->reserved[FTRACE_OPS_TARGET] = (void *)addr;
	err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	return err;
}

FTRACE_PUBLIC int unregister_ftrace_direct(struct ftrace_ops *ops, unsigned long addr,
					   int free_filters)
{
	int err;

	if (!is_direct(ops) || target_of(ops) != addr)
		return ft_log(-EINVAL, "unregister_ftrace_direct: not registered with that address");
	err = unregister_ftrace_function(ops);
	if (err)
		return err;
	forget(ops);
	return free_filters ? ftrace_free_filter(ops) : 0;
}

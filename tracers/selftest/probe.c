/* SPDX-License-Identifier: MIT */
/* Ops that count, for the tests. */
#include <string.h>

#include "selftest-arch.h"

#include "tracers/selftest/selftest.h"

static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		struct pt_regs *regs)
{
	struct probe *p = op->private;

	__atomic_fetch_add(&p->count, 1, __ATOMIC_RELAXED);
	p->ip = ip;
	p->parent = parent_ip;
	p->had_regs = regs;
	if (regs) {
		p->regs = *regs;
		p->sp = user_stack_pointer(regs);
		p->return_address = arch_selftest_return_address(regs);
	}
	if (p->then)
		p->then(p, regs);
}

void choose(struct ftrace_ops *ops, const char *patterns, int reset)
{
	need("ftrace_set_filter", ftrace_set_filter(ops, patterns, (int)strlen(patterns), reset));
}

void probe_init(struct probe *p, const char *filter, unsigned long flags)
{
	memset(p, 0, sizeof(*p));
	p->ops.func = hit;
	p->ops.flags = flags;
	p->ops.private = p;
	if (filter)
		choose(&p->ops, filter, 1);
}

void probe_start(struct probe *p)
{
	need("register_ftrace_function", register_ftrace_function(&p->ops));
}

void probe_stop(struct probe *p)
{
	need("unregister_ftrace_function", unregister_ftrace_function(&p->ops));
	need("ftrace_free_filter", ftrace_free_filter(&p->ops));
}

long probe_count(const struct probe *p)
{
	return __atomic_load_n(&p->count, __ATOMIC_RELAXED);
}

struct lookup {
	unsigned long entry, ip;
};

static int look(unsigned long ip, unsigned long entry, const char *name, void *data)
{
	struct lookup *l = data;

	if (entry != l->entry)
		return 0;
	l->ip = ip;
	return 1;
}

unsigned long site_of(const void *entry)
{
	struct lookup l = { (unsigned long)entry, 0 };

	if (ftrace_for_each_function(look, &l) != 1)
		selftest_give_up("ftrace_for_each_function: the function at %p is not among those "
				 "that can be traced", entry);
	return l.ip;
}

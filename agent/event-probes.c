/* SPDX-License-Identifier: MIT */
/* Events at instructions: what is no site, at entry or return, is a kprobe of its own. */
#include "agent/agent.h"
#include "agent/event.h"
#include "engine/data-symbol.h"

#define MAX_LOOKED	16u	/* symbols looked for at a time */

static int probe_hit(struct kprobe *p, struct pt_regs *regs)
{
	event_hit(container_of(p, struct agent_event, probe), regs, 0, (unsigned long)p->addr, NULL,
		  NULL);
	return 0;
}

/* Events at other places than entries and returns; and at entries of functions that cannot be traced. */
int event_probe_attach(struct agent_event *e)
{
	char name[256];
	u32 at;
	int err;

	if (e->kind == PROBE_USDT)
		return event_usdt_attach(e);
	if (e->symbol && !e->glob && e->symbol_len + e->object_len + 2 < sizeof(name)) {
		ft_memcpy(name, e->object ? e->object : "", e->object_len);
		if (e->object)
			name[e->object_len] = ':';
		at = e->object ? e->object_len + 1 : 0;
		ft_memcpy(name + at, e->symbol, e->symbol_len);
		name[at + e->symbol_len] = '\0';
		e->probe.symbol_name = name;
		e->probe.offset = (unsigned int)e->offset;
	} else if (!e->symbol) {
		e->probe.addr = (kprobe_opcode_t *)(unsigned long)e->offset;
	} else {
		return 0;
	}
	e->probe.pre_handler = probe_hit;
	e->probe.flags = KPROBE_FLAG_GENERAL_REGS;
	err = register_kprobe(&e->probe);
	e->probe.symbol_name = NULL;
	e->probe_registered = !err;
	/* Every process of the recording is told of it, and not every one has that function. */
	return err == -ENOENT ? 0 : err;
}

/*
 * Named functions without a site: not in this process, or they cannot be traced; then an entry is probed as any other
 * instruction. Symbols are looked for only for a few, as that opens files.
 */
static bool is_here(const struct agent_event *e, u32 *looked)
{
	if (!e->symbol)
		return true;
	if (e->glob || (e->linked && !e->offset) || ++*looked > MAX_LOOKED)
		return false;
	return ftrace_symbol_address(e->symbol, e->symbol_len) != 0;
}

/* What record -a makes of all functions there are; where a return cannot be had it goes without. */
static bool is_automatic(const struct agent_event *e)
{
	return e->kind == PROBE_F_RETURN && !ft_strcmp(e->group, FTRACE_EVENT_ARGS_GROUP);
}

int event_probes_attach(void)
{
	struct agent_event *e;
	int err = 0, one;
	u32 looked = 0;

	for (e = event_list(); e; e = e->next) {
		if (!e->changes || is_automatic(e) || !is_here(e, &looked))
			continue;
		one = event_is_return(e) ?
		      ft_log(-EOPNOTSUPP, "%s/%s: the function cannot be traced, so its return cannot be "
			     "hooked (that of a library can where -L chooses it)", e->group, e->name) : event_probe_attach(e);
		if (one && !err)
			err = one;
	}
	return err;
}

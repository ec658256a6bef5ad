/* SPDX-License-Identifier: MIT */
/* Events at USDT probes: <ftrace/usdt.h> finds and watches them. */
#include "agent/event.h"
#include "engine/usdt.h"

/* ---- what their arguments are ---- */

struct search {
	const char *provider, *name;
	u32 provider_len, name_len;
	struct probe_def *def;		/* NULL: only whether there is one */
	u32 found;
};

static bool equals(const char *s, const char *name, u32 len)
{
	return !ft_strncmp(s, name, len) && !s[len];
}

/* One that is of several sizes, or signed here and not there, is as wide as it takes. */
static void widen(struct fetch_arg *arg, bool is_signed, u32 size)
{
	u32 type = is_signed ? FETCH_S : FETCH_U;

	if (!arg->size) {
		arg->type = (u8)type;
		arg->size = (u8)size;
	} else if (arg->type != type) {
		arg->type = FETCH_S;
		arg->size = 8;
	} else if (size > arg->size) {
		arg->size = (u8)size;
	}
}

static int look(const struct usdt_site *site, void *data)
{
	struct search *s = data;
	const char *operand;
	size_t len;
	int size;

	if (!equals(site->provider, s->provider, s->provider_len) || !equals(site->name, s->name, s->name_len))
		return 0;
	if (!s->def)
		return ++s->found;
	if (!s->found++) {
		s->def->nargs = 0;
		for (u32 i = 0; i < PROBE_USDT_ARGS; i++)
			s->def->args[i].size = 0;
	}
	for (u32 i = 0; i < PROBE_USDT_ARGS && ftrace_usdt_arg_text(site->args, i, &operand, &len, &size); i++) {
		u32 bytes = (u32)(size < 0 ? -size : size);

		widen(&s->def->args[i], size < 0, bytes == 1 || bytes == 2 || bytes == 4 ? bytes : 8);
		if (s->def->nargs <= i)
			s->def->nargs = i + 1;
	}
	return 0;
}

int event_usdt_arguments(struct probe_def *def)
{
	struct search s = { def->object, def->symbol, def->object_len, def->symbol_len, def, 0 };

	return usdt_for_each(look, &s);
}

/* ---- watching ---- */

static void hit(struct usdt_probe *u, const struct usdt_site *site, struct pt_regs *regs)
{
	event_hit(container_of(u, struct agent_event, usdt), regs, 0, site->addr, NULL, site);
}

int event_usdt_attach(struct agent_event *e)
{
	struct search s = {
		e->usdt.provider, e->usdt.name, (u32)ft_strlen(e->usdt.provider), (u32)ft_strlen(e->usdt.name),
		NULL, 0,
	};
	int err = usdt_for_each(look, &s);

	/* Every process of the recording is told of it, and not every one has that probe. */
	if (err <= 0)
		return err;
	e->usdt.handler = hit;
	e->usdt.flags = KPROBE_FLAG_GENERAL_REGS;
	err = register_usdt(&e->usdt);
	e->usdt_registered = !err;
	return err;
}

int event_usdt_follow(struct agent_event *e, const char *path, unsigned long base)
{
	int err;

	e->usdt.handler = hit;
	e->usdt.flags = KPROBE_FLAG_GENERAL_REGS;
	err = ftrace_usdt_follow(&e->usdt, path, base);
	e->usdt_registered = e->usdt.nsites > 0;
	return err;
}

void event_usdt_detach(struct agent_event *e)
{
	if (e->usdt_registered)
		unregister_usdt(&e->usdt);
	e->usdt_registered = false;
}

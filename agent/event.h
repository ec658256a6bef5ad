/* SPDX-License-Identifier: MIT */
/*
 * Dynamic events of this process: what is defined, what is enabled, what is done at a hit.
 *
 *	event.c		definitions (kprobe_events), their ids, the process map
 *	event-sites.c	which functions they are hit at: one set of ops for all
 *	event-probes.c	those that are hit at an instruction, by probes
 *	event-usdt.c	USDT probes
 *	event-objects.c	probes in libraries that come and go
 *	event-hit.c	a hit: values, filter, record, triggers
 *	event-filter.c	filters on values, understood; event-match.c: asked
 *	event-trigger.c	triggers
 *	event-command.c	triggers of functions: commands in set_ftrace_filter
 *	error-log.c	the kernel's error_log
 *	control_events.c the control files
 */
#ifndef FTRACE_AGENT_EVENT_H
#define FTRACE_AGENT_EVENT_H

#include <ftrace/usdt.h>

#include "agent/probe.h"
#include "engine/base.h"

struct event_filter;
struct event_trigger;
struct control_text;
struct dyn_ftrace;
struct pt_regs;

struct agent_event {
	struct agent_event *next;	/* in the order of definition */
	u32 id;				/* <ftrace/trace-event.h> */
	bool enabled;			/* hits are recorded */
	bool attached;			/* it is hit: enabled, or for its triggers */
	bool changes;			/* event_sites_update() is at it */
	bool linked;			/* it is at some site */
	bool described;			/* in the process map */
	bool is_command;		/* of set_ftrace_filter: shown nowhere else */
	/* The definition; pointers are into own, a copy of text that is cut in pieces. */
	char *text, *own;
	u32 text_len;
	enum probe_kind kind;
	char group[PROBE_NAME_MAX], name[PROBE_NAME_MAX];
	const char *object, *symbol;
	u32 object_len, symbol_len;
	u64 offset;
	bool fp, glob;
	bool strings;			/* some argument is one */
	u32 ret_args, nargs;
	struct fetch_arg *args;
	unsigned long *symbols;		/* addresses of FETCH_SYMBOL, by argument */
	/* At a hit; changed by exchange, and freed when no hit can see them any more. */
	struct event_filter *filter;
	struct event_trigger *triggers;
	/* Where it is no function's entry or return. */
	struct kprobe probe;
	bool probe_registered;
	struct usdt_probe usdt;		/* PROBE_USDT: provider and name are in own */
	bool usdt_registered;
};

static inline bool event_is_return(const struct agent_event *e)
{
	return e->kind == PROBE_R || e->kind == PROBE_F_RETURN;
}

/* ---- event.c ---- */

/*
 * One line of kprobe_events: define an event, or delete. 0 or -errno; what is wrong is in the error log, and logged:
 * -EINVAL, -E2BIG, -ENAMETOOLONG of the parser, -EEXIST, -ENOENT (nothing to delete), -EBUSY (enabled), -ENOMEM,
 * -ENOSPC (no id left).
 */
int event_define(const char *text, u32 len);

/* Delete all. -EBUSY: some are enabled. */
int event_clear(void);

/* All of them, the first defined first; under event_lock(). */
struct agent_event *event_list(void);
struct agent_event *event_find(const char *group, size_t group_len, const char *name, size_t len);
void event_lock(void);
void event_unlock(void);

/* The recording begins: nothing of an earlier one is in its map. It ends: everything is disabled and deleted. */
void event_reset(void);

/* An event for commands of set_ftrace_filter, and its end: it has no trigger any more. event_lock() is held. */
int event_define_command(const char *text, u32 len, struct agent_event **e);
void event_drop_command(struct agent_event *e);

/* ---- event-command.c ---- */

/* Is @word, "[!]FUNC:COMMAND[:COUNT]", a command in set_ftrace_filter, and no function? */
bool event_is_command(const char *word, u32 len);

/* Do as it says. 0 or -errno, logged. */
int event_command_write(const char *word, u32 len);

/* All of them, a line each. */
void event_commands_show(struct control_text *out);

/* ---- event-sites.c ---- */

/*
 * Have those events be hit that are enabled or have triggers, and no others: all that changed at once. 0 or -errno,
 * logged. event_lock() is held. When it returns no hit sees what was taken away from an event before.
 */
int event_sites_update(void);

/* Tell the process map of it, so that readers know its fields. */
void event_describe(struct agent_event *e);

/* Returns when no hit is under way that began before. */
void event_wait_for_hits(void);

/* Held while the list of events changes; for an object that is loaded, it is looked through without event_lock(). */
void event_list_lock(void);
void event_list_unlock(void);

/* The recording begins; told before any object is looked at. */
void event_sites_begin(void);

/* ---- event-usdt.c ---- */

/* The arguments of @def by the notes of this process; as they are where it has no such probe. 0 or -ENOMEM. */
int event_usdt_arguments(struct probe_def *def);

/* Watch the probe wherever it is now. 0 also if that is nowhere. */
int event_usdt_attach(struct agent_event *e);
void event_usdt_detach(struct agent_event *e);

/* Forget what went with its object, and watch it in the object at @path, NULL: none, that was loaded at @base. 0 or -errno. */
int event_usdt_follow(struct agent_event *e, const char *path, unsigned long base);

/* ---- event-probes.c ---- */

/* Place @e at an instruction, its symbol's. As event_sites_update(). */
int event_probe_attach(struct agent_event *e);

/* So all that change and are neither at an entry nor at a return that is a site. 0, or what the first of them said. */
int event_probes_attach(void);

/* ---- event-objects.c ---- */

/* The recording begins, ftrace_init() is behind it: what is loaded by now is known. */
void event_objects_begin(void);

/*
 * Objects were loaded or unloaded: probes that are not at sites (those follow by themselves) are placed and forgotten. Never
 * waits for event_lock(): who has it does this when it lets go, by event_objects_later().
 */
void event_objects_changed(void);
void event_objects_later(void);

/* As event_lock() and _unlock(), for event-objects.c: without waiting, and without looking for objects. */
bool event_trylock(void);
void event_unlock_only(void);

/* ---- event-hit.c ---- */

/*
 * @e was hit in this thread. @site: the function's site id, 0: none. @ip: as in struct ftrace_event_head. @entry_args: of a
 * return, PROBE_MAX_RET_ARGS arguments at the entry, NULL: not known. @usdt: which place of a USDT probe, else NULL.
 */
void event_hit(struct agent_event *e, struct pt_regs *regs, u32 site, unsigned long ip,
	       const unsigned long *entry_args, const struct usdt_site *usdt);

/* ---- error-log.c ---- */

/*
 * Note that @command of @len letters, at letter @at, is wrong: @what. @system: who says so, "trace_kprobe". Logged as well.
 * Returns @err.
 */
int event_error(int err, const char *system, const char *command, u32 len, u32 at,
		const char *what);
void event_error_log_show(struct control_text *out);
void event_error_log_clear(void);

#endif /* FTRACE_AGENT_EVENT_H */

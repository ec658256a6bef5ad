/* SPDX-License-Identifier: MIT */
/* Definitions of dynamic events. */
#include "agent/event.h"

#include "agent/agent.h"
#include "agent/event-filter.h"
#include "agent/event-trigger.h"
#include "engine/data-symbol.h"
#include "engine/ops.h"
#include "engine/peek.h"

static struct agent_event *events, **last = &events;
static u32 next_id = FTRACE_EVENT_FIRST;
static struct ft_mutex *lock;

/* Being made by one thread at a time: too large for a stack. */
static struct probe_def def;

void event_lock(void)
{
	/* Made by the first, which is the one thread that applies the session's settings. */
	if (!lock)
		lock = ft_wipeonfork(FT_PAGE_SIZE);
	if (lock)
		ft_lock(lock);
}

bool event_trylock(void)
{
	return lock && ft_trylock(lock);
}

void event_unlock_only(void)
{
	if (lock)
		ft_unlock(lock);
}

void event_unlock(void)
{
	event_unlock_only();
	event_objects_later();
}

struct agent_event *event_list(void)
{
	return events;
}

static bool equals(const char *name, const char *s, size_t len)
{
	return !ft_strncmp(name, s, len) && !name[len];
}

struct agent_event *event_find(const char *group, size_t group_len, const char *name, size_t len)
{
	struct agent_event *e;

	for (e = events; e; e = e->next)
		if (!e->is_command && (!group_len || equals(e->group, group, group_len)) && equals(e->name, name, len))
			return e;
	return NULL;
}

static const char *system_of(const struct probe_def *d)
{
	return d->kind == PROBE_USDT ? "trace_uprobe" : d->kind == PROBE_F || d->kind == PROBE_F_RETURN ? "trace_fprobe" : "trace_kprobe";
}

/* ---- delete ---- */

static void free_event(struct agent_event *e)
{
	event_filter_free(e->filter);
	event_triggers_free(e->triggers);
	if (e->args)
		ft_free(e->args, e->nargs * sizeof(*e->args));
	if (e->symbols)
		ft_free(e->symbols, e->nargs * sizeof(*e->symbols));
	if (e->text)
		ft_free(e->text, 2 * (e->text_len + 1));
	ft_free(e, sizeof(*e));
}

static void unlink_event(struct agent_event *e)
{
	struct agent_event **at;

	event_list_lock();
	for (at = &events; *at != e; at = &(*at)->next)
		;
	*at = e->next;
	for (last = &events; *last; last = &(*last)->next)
		;
	event_list_unlock();
	free_event(e);
}

/* -:GRP/EVENT, -:EVENT, -:GRP/ */
static int delete_events(const struct probe_def *d, const char *text, u32 len)
{
	struct agent_event *e, *next;
	u32 found = 0;

	for (e = events; e; e = e->next)
		if (!e->is_command && (!d->group[0] || !ft_strcmp(e->group, d->group)) &&
		    (!d->event[0] || !ft_strcmp(e->name, d->event))) {
			found++;
			if (e->attached)
				return event_error(-EBUSY, "trace_kprobe", text, len, 2,
						   "The event is enabled: write 0 to its enable first");
		}
	if (!found)
		return event_error(-ENOENT, "trace_kprobe", text, len, 2, "There is no such event");
	for (e = events; e; e = next) {
		next = e->next;
		if (!e->is_command && (!d->group[0] || !ft_strcmp(e->group, d->group)) &&
		    (!d->event[0] || !ft_strcmp(e->name, d->event)))
			unlink_event(e);
	}
	return 0;
}

int event_clear(void)
{
	struct agent_event *e, *next;

	for (e = events; e; e = e->next)
		if (e->attached && !e->is_command)
			return ft_log(-EBUSY, "kprobe_events: %s/%s is enabled", e->group, e->name);
	for (e = events; e; e = next) {
		next = e->next;
		if (!e->is_command)
			unlink_event(e);
	}
	return 0;
}

/* ---- the process map ---- */

static void put(char *line, size_t size, size_t *len, const char *word)
{
	size_t n = ft_strlen(word);

	if (*len + n < size)
		ft_memcpy(line + *len, word, n + 1);
	*len += n;
}

void event_describe(struct agent_event *e)
{
	size_t size = 2 * PROBE_NAME_MAX + 32 + e->nargs * (PROBE_ARG_NAME_MAX + 32), len = 0;
	char *line = ft_alloc(size), word[PROBE_ARG_NAME_MAX + 32];
	int err = -ENOMEM;

	if (line) {
		ft_snprintf(word, sizeof(word), "e %x %c ", e->id, event_is_return(e) ? 'r' :
			    e->kind == PROBE_F ? 'f' : 'p');
		put(line, size, &len, word);
		put(line, size, &len, e->group);
		put(line, size, &len, " ");
		put(line, size, &len, e->name);
		for (u32 i = 0; i < e->nargs; i++) {
			ft_snprintf(word, sizeof(word), " %s=%s", e->args[i].name,
				    fetch_type_name(&e->args[i]));
			put(line, size, &len, word);
			if (!e->args[i].count)
				continue;
			ft_snprintf(word, sizeof(word), "[%u]", e->args[i].count);
			put(line, size, &len, word);
		}
		err = agent_map_line(line);
		ft_free(line, size);
	}
	e->described = !err;
	if (err)
		ft_log(err, "%s:%s: its fields have no names in the recording: the process map cannot "
		       "grow (error %d)", e->group, e->name, -err);
}

/* ---- define ---- */

/* Pointers of a definition, which are into @from, into the copy @to. */
static const char *moved(const char *p, const char *from, const char *to)
{
	return p ? to + (p - from) : NULL;
}

static bool is_glob(const char *s, u32 len)
{
	for (u32 i = 0; i < len; i++)
		if (s[i] == '*' || s[i] == '?' || s[i] == '[')
			return true;
	return false;
}

static bool copy_args(struct agent_event *e, const char *text)
{
	u32 i;

	e->nargs = def.nargs;
	if (!e->nargs)
		return true;
	e->args = ft_alloc(e->nargs * sizeof(*e->args));
	e->symbols = ft_alloc(e->nargs * sizeof(*e->symbols));
	if (!e->args || !e->symbols)
		return false;
	for (i = 0; i < e->nargs; i++) {
		struct fetch_arg *arg = &e->args[i];

		*arg = def.args[i];
		arg->text = moved(arg->text, text, e->own);
		e->strings |= arg->type == FETCH_STRING;
		if (arg->base == FETCH_IMM_STRING)
			((char *)arg->text)[arg->text_len] = '\0';	/* its quote */
		if (arg->base == FETCH_SYMBOL)
			e->symbols[i] = ftrace_symbol_address(arg->text, arg->text_len);
	}
	return true;
}

/* The text without the filter, which is a file of its own. */
static u32 length_without_filter(const char *text, u32 len)
{
	if (def.filter) {
		len = (u32)(def.filter - text);
		while (len && text[len - 1] != 'i')
			len--;
		len--;
		while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
	}
	return len;
}

static void name_function(struct agent_event *e, const char *text)
{
	e->object = moved(def.object, text, e->own);
	e->object_len = def.object_len;
	e->symbol = moved(def.symbol, text, e->own);
	e->symbol_len = def.symbol_len;
	e->offset = def.offset;
	e->glob = def.symbol && is_glob(def.symbol, def.symbol_len);
}

/* No function's: symbol stays NULL. */
static void name_usdt(struct agent_event *e, const char *text)
{
	e->own[def.object - text + def.object_len] = '\0';
	e->own[def.symbol - text + def.symbol_len] = '\0';
	e->usdt.provider = moved(def.object, text, e->own);
	e->usdt.name = moved(def.symbol, text, e->own);
}

static struct agent_event *new_event(const char *text, u32 len)
{
	struct agent_event *e = ft_alloc(sizeof(*e));

	if (!e)
		return NULL;
	len = length_without_filter(text, len);
	e->text_len = len;
	e->text = ft_alloc(2 * (len + 1));
	if (!e->text)
		goto fail;
	e->own = e->text + len + 1;
	ft_memcpy(e->text, text, len);
	ft_memcpy(e->own, text, len);
	e->kind = def.kind;
	ft_memcpy(e->group, def.group, sizeof(e->group));
	ft_memcpy(e->name, def.event, sizeof(e->name));
	if (def.kind == PROBE_USDT)
		name_usdt(e, text);
	else
		name_function(e, text);
	e->fp = def.fp;
	e->ret_args = def.ret_args;
	if (copy_args(e, text))
		return e;
fail:
	free_event(e);
	return NULL;
}

/* Once: what memory may be read as it is, and whether the kernel reads the rest. */
static void prepare(void)
{
	const char *why = ftrace_peek_init();

	if (why && !events)
		ft_log(0, "events: %s: values that are neither in the program's own data nor on its stack "
			  "are shown as (fault)", why);
	WRITE_ONCE(agent_rings_for_events, 1);
}

/* Of def, which was made of @text. */
static int add_event(const char *text, u32 len, struct agent_event **made)
{
	struct agent_event *e;
	int err;

	if (next_id > FTRACE_EVENT_LAST)
		return event_error(-ENOSPC, system_of(&def), text, len, 0,
				   "More events than can be numbered were defined in this process");
	prepare();
	if (def.kind == PROBE_USDT && event_usdt_arguments(&def))
		return ft_log(-ENOMEM, "kprobe_events: no memory to look for a probe");
	e = new_event(text, len);
	if (!e)
		return ft_log(-ENOMEM, "kprobe_events: no memory for an event");
	if (def.filter) {
		err = event_filter_set(e, def.filter, def.filter_len);
		if (err) {
			free_event(e);
			return err;
		}
	}
	e->id = next_id;
	next_id += 2;
	event_list_lock();
	*last = e;
	last = &e->next;
	event_list_unlock();
	*made = e;
	return 0;
}

static int add_named(const char *text, u32 len)
{
	struct agent_event *e;

	if (event_find(def.group, ft_strlen(def.group), def.event, ft_strlen(def.event)))
		return event_error(-EEXIST, system_of(&def), text, len, 0,
				   "There is an event of that name already");
	return add_event(text, len, &e);
}

int event_define(const char *text, u32 len)
{
	struct probe_error error;
	int err;

	event_lock();
	err = probe_parse(&def, text, len, &error);
	if (err)
		err = event_error(err, system_of(&def), text, len, error.at, error.what);
	else if (def.kind == PROBE_DELETE)
		err = delete_events(&def, text, len);
	else
		err = add_named(text, len);
	event_unlock();
	return err;
}

int event_define_command(const char *text, u32 len, struct agent_event **e)
{
	static const char group[] = "set_ftrace_filter";
	struct probe_error error;
	int err = probe_parse(&def, text, len, &error);

	if (err)
		return event_error(err, "function", text, len, error.at, error.what);
	err = add_event(text, len, e);
	if (err)
		return err;
	ft_memcpy((*e)->group, group, sizeof(group));
	(*e)->is_command = true;
	return 0;
}

void event_drop_command(struct agent_event *e)
{
	unlink_event(e);
}

int event_filter_set(struct agent_event *e, const char *text, u32 len)
{
	struct event_filter *fresh = NULL, *old = e->filter;
	struct probe_error error = { NULL, 0 };
	int err = 0;

	if (len && !(len == 1 && *text == '0'))
		err = event_filter_parse(&fresh, e->args, e->nargs, text, len, &error);
	if (err == -ENOMEM)
		return ft_log(err, "filter: no memory");
	if (err)
		return event_error(err, "event filter", text, len, error.at, error.what);
	smp_store_release(&e->filter, fresh);
	if (old)
		event_wait_for_hits();
	event_filter_free(old);
	return 0;
}

void event_reset(void)
{
	struct agent_event *e;

	event_lock();
	for (e = events; e; e = e->next) {
		struct event_trigger *triggers = e->triggers;

		e->enabled = false;
		e->triggers = NULL;
		event_sites_update();
		event_triggers_free(triggers);
	}
	while (events)
		unlink_event(events);
	event_unlock();
}

/* SPDX-License-Identifier: MIT */
/* See <ftrace/usdt.h>. */
#include <ftrace/usdt.h>

#include "arch.h"
#include "elf-file.h"
#include "kprobe.h"
#include "scratch.h"
#include "usdt.h"
#include "usdt-notes.h"

typedef int each_t(const struct usdt_site *site, void *data);

/* Of the notes of one object to whoever asked. */
struct pass {
	each_t *func;
	void *data;
	const char *path;
	unsigned long base;
};

static int pass_on(const struct usdt_note *note, void *data)
{
	const struct pass *pass = data;
	const struct usdt_site site = {
		.object = pass->path,
		.provider = note->provider,
		.name = note->name,
		.args = note->args,
		.addr = pass->base + (unsigned long)note->addr,
		.semaphore = note->semaphore ? pass->base + (unsigned long)note->semaphore : 0,
	};

	return pass->func(&site, pass->data);
}

static int in_object(const char *path, unsigned long base, each_t *func, void *data)
{
	struct pass pass = { func, data, path, base };
	struct elf e;
	int ret;

	if (elf_open(&e, path, NULL))
		return 0;
	ret = usdt_notes_each(&e, pass_on, &pass);
	elf_close(&e);
	return ret;
}

FTRACE_PUBLIC int usdt_for_each(each_t *func, void *data)
{
	char *path;
	unsigned long base;
	int ret = ftrace_init();

	if (ret)
		return ret;
	path = scratch_alloc(ELF_PATH_MAX);
	if (!path)
		return ft_log(-ENOMEM, "usdt_for_each: no memory");
	for (u32 i = 0; !ret && probe_loaded_object(i, path, ELF_PATH_MAX, &base); i++)
		if (path[0])
			ret = in_object(path, base, func, data);
	scratch_free(path, ELF_PATH_MAX);
	return ret;
}

/* ---- watching ---- */

/* A place that is watched, and behind it its strings. */
struct watched {
	struct kprobe kp;
	struct usdt_probe *owner;
	struct usdt_site site;
	size_t size;
	struct watched *next;
};

enum { USDT_WATCHED, USDT_REGISTERED };	/* of usdt_probe.reserved */

static int hit(struct kprobe *kp, struct pt_regs *regs)
{
	struct watched *w = container_of(kp, struct watched, kp);

	w->owner->handler(w->owner, &w->site, regs);
	return 0;
}

static const char *keep(char **to, const char *s)
{
	size_t len = ft_strlen(s) + 1;
	char *at = *to;

	*to += len;
	return ft_memcpy(at, s, len);
}

static int take(const struct usdt_site *site, void *data)
{
	struct usdt_probe *u = data;
	struct watched *w;
	size_t size;
	char *to;

	if (ft_strcmp(site->name, u->name) || (u->provider && ft_strcmp(site->provider, u->provider)))
		return 0;
	size = sizeof(*w) + ft_strlen(site->object) + ft_strlen(site->provider) +
	       ft_strlen(site->name) + ft_strlen(site->args) + 4;
	w = ft_alloc(size);
	if (!w)
		return -ENOMEM;
	to = (char *)(w + 1);
	w->site = *site;
	w->site.object = keep(&to, site->object);
	w->site.provider = keep(&to, site->provider);
	w->site.name = keep(&to, site->name);
	w->site.args = keep(&to, site->args);
	w->size = size;
	w->owner = u;
	w->kp.addr = (kprobe_opcode_t *)site->addr;
	w->kp.pre_handler = hit;
	w->kp.flags = u->flags & KPROBE_FLAG_GENERAL_REGS;
	w->next = u->reserved[USDT_WATCHED];
	u->reserved[USDT_WATCHED] = w;
	u->nsites++;
	return 0;
}

static void count(const struct watched *w, int by)
{
	if (w->site.semaphore && !(w->kp.flags & KPROBE_FLAG_GONE))
		__atomic_fetch_add((u16 *)w->site.semaphore, (u16)by, __ATOMIC_SEQ_CST);
}

/* @on: register them all at once, or the opposite. */
static int switch_all(struct usdt_probe *u, bool on)
{
	struct kprobe **kps = ft_alloc(u->nsites * sizeof(*kps));
	struct watched *w = u->reserved[USDT_WATCHED];
	u32 n = 0;
	int err = 0;

	/* They must end all the same. */
	for (; !kps && !on && w; w = w->next)
		unregister_kprobe(&w->kp);
	if (!kps)
		return on ? -ENOMEM : 0;
	for (; w; w = w->next)
		kps[n++] = &w->kp;
	if (on)
		err = register_kprobes(kps, (int)n);
	else
		unregister_kprobes(kps, (int)n);
	ft_free(kps, u->nsites * sizeof(*kps));
	return err;
}

static void forget(struct usdt_probe *u)
{
	for (struct watched *w = u->reserved[USDT_WATCHED], *next; w; w = next) {
		next = w->next;
		ft_free(w, w->size);
	}
	u->reserved[USDT_WATCHED] = u->reserved[USDT_REGISTERED] = NULL;
	u->nsites = 0;
}

FTRACE_PUBLIC int register_usdt(struct usdt_probe *u)
{
	int err;

	if (!u || !u->name || !u->handler)
		return ft_log(-EINVAL, "register_usdt: no name or no handler given");
	if (u->reserved[USDT_REGISTERED])
		return ft_log(-EINVAL, "register_usdt: %s is already registered", u->name);
	u->nsites = 0;
	err = usdt_for_each(take, u);
	if (!err && !u->nsites)
		err = ft_log(-ENOENT, "register_usdt: no loaded object has a probe %s%s%s",
			     u->provider ? u->provider : "", u->provider ? ":" : "", u->name);
	if (!err)
		err = switch_all(u, true);
	if (err) {
		forget(u);
		return err;
	}
	for (struct watched *w = u->reserved[USDT_WATCHED]; w; w = w->next)
		count(w, 1);
	u->reserved[USDT_REGISTERED] = u;
	return 0;
}

FTRACE_PUBLIC void unregister_usdt(struct usdt_probe *u)
{
	if (!u || !u->reserved[USDT_REGISTERED])
		return;
	for (struct watched *w = u->reserved[USDT_WATCHED]; w; w = w->next)
		count(w, -1);
	if (!switch_all(u, false))
		forget(u);
}

/* Those whose object is gone. */
static void drop_gone(struct usdt_probe *u)
{
	struct watched **at = (struct watched **)&u->reserved[USDT_WATCHED], *w;

	while ((w = *at)) {
		if (!(w->kp.flags & KPROBE_FLAG_GONE)) {
			at = &w->next;
			continue;
		}
		unregister_kprobe(&w->kp);
		*at = w->next;
		ft_free(w, w->size);
		u->nsites--;
	}
}

static bool is_watched(const struct watched *w, const struct kprobe *kp)
{
	while (w && w->kp.addr != kp->addr)
		w = w->next;
	return w;
}

FTRACE_INTERNAL int ftrace_usdt_follow(struct usdt_probe *u, const char *path, unsigned long base)
{
	struct watched *before, *fresh, *next;
	int err;

	drop_gone(u);
	before = u->reserved[USDT_WATCHED];
	u->reserved[USDT_WATCHED] = NULL;
	err = path ? in_object(path, base, take, u) : 0;
	fresh = u->reserved[USDT_WATCHED];
	u->reserved[USDT_WATCHED] = before;
	for (; fresh; fresh = next) {
		struct kprobe *kp = &fresh->kp;

		bool known = is_watched(before, kp);

		next = fresh->next;
		if (!err && !known)
			err = register_kprobes(&kp, 1);
		if (err || known) {
			u->nsites--;
			ft_free(fresh, fresh->size);
			continue;
		}
		count(fresh, 1);
		fresh->next = u->reserved[USDT_WATCHED];
		u->reserved[USDT_WATCHED] = fresh;
	}
	u->reserved[USDT_REGISTERED] = u->nsites ? u : NULL;
	return err;
}

/* ---- arguments ---- */

/* "-4@OPERAND": its size and sign. */
static const char *read_size(const char *p, int *size)
{
	bool negative = *p == '-';
	int n = 0;

	for (p += negative; *p >= '0' && *p <= '9'; p++)
		n = 10 * n + (*p - '0');
	*size = negative ? -n : n;
	return *p == '@' ? p + 1 : NULL;
}

bool ftrace_usdt_arg_text(const char *args, unsigned int n, const char **operand, size_t *len, int *size)
{
	const char *p = args, *end;

	for (;; n--) {
		while (*p == ' ')
			p++;
		if (!*p)
			return false;
		/* Spaces are between arguments only. */
		for (end = p; *end && *end != ' '; end++)
			;
		if (!n)
			break;
		p = end;
	}
	*operand = read_size(p, size);
	*len = *operand ? (size_t)(end - *operand) : 0;
	return true;
}

int ftrace_usdt_operand(const char *args, unsigned int n, struct pt_regs *regs, struct usdt_operand *operand)
{
	const char *text;
	size_t len;

	if (!ftrace_usdt_arg_text(args, n, &text, &len, &operand->size))
		return -ENOENT;
#ifdef ARCH_HAS_DETOURS
	return text ? arch_usdt_operand(text, len, regs, &operand->value, &operand->memory) : -EOPNOTSUPP;
#else
	return -EOPNOTSUPP;
#endif
}

u64 ftrace_usdt_extend(u64 v, int size)
{
	unsigned int bits = 8u * (unsigned int)(size < 0 ? -size : size);

	if (!bits || bits >= 64)
		return v;
	v <<= 64 - bits;
	return size < 0 ? (u64)((s64)v >> (64 - bits)) : v >> (64 - bits);
}

FTRACE_PUBLIC int usdt_arg(const struct usdt_site *site, unsigned int n, struct pt_regs *regs, long *value)
{
	struct usdt_operand operand;
	size_t bytes;
	u64 v = 0;
	int err = ftrace_usdt_operand(site->args, n, regs, &operand);

	if (err)
		return err;
	bytes = (size_t)(operand.size < 0 ? -operand.size : operand.size);
	/* What the program itself could read there. */
	if (operand.memory)
		ft_memcpy(&v, (const void *)operand.value, bytes < sizeof(v) ? bytes : sizeof(v));
	else
		v = operand.value;
	*value = (long)ftrace_usdt_extend(v, operand.size);
	return 0;
}

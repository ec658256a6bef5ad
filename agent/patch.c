/* SPDX-License-Identifier: MIT */
/* Patches that were loaded into the process; see patch.h. */
#include "agent/patch.h"

#include <fcntl.h>

#include <ftrace/livepatch.h>
#include <ftrace/patch-records.h>

#include "agent/agent.h"
#include "agent/patch-records.h"
#include "engine/guest.h"
#include "engine/site.h"

#define NAME_MAX_LEN	64
#define SHOWN_HOLDERS	64

struct patch {
	struct klp_patch pub;
	char name[NAME_MAX_LEN], id[24], version[64], file[256];
	unsigned long base;
	struct patch_records rec;
	bool wanted;			/* its objects are looked for: it is enabled, or about to be */
	bool filled;			/* what it refers to */
	bool forced, was_enabled;
	struct patch_symbol *symbols;
	struct patch *next;
};

/* What the command has found for a KLP_SYMBOL(). */
struct patch_symbol {
	unsigned long addr;
	struct patch_symbol *next;
	char alias[];
};

static struct patch *patches, **patches_tail = &patches;
static bool looking;			/* the library was made to look at objects for patches */
static char plans[AGENT_DIR_MAX];

/* ---- words of a value ---- */

/* The next word of @*p, up to @end, into @word. False: there is none, or it is too long. */
static bool next_word(const char **p, const char *end, char *word, size_t size)
{
	size_t n = 0;

	while (*p < end && **p == ' ')
		(*p)++;
	for (; *p < end && **p != ' '; (*p)++) {
		if (n + 1 == size)
			return false;
		word[n++] = **p;
	}
	word[n] = 0;
	return n;
}

static bool next_hex(const char **p, const char *end, unsigned long *number)
{
	char word[24];

	if (!next_word(p, end, word, sizeof(word)))
		return false;
	*number = 0;
	for (const char *w = word; *w; w++) {
		int digit = *w >= '0' && *w <= '9' ? *w - '0' : *w >= 'a' && *w <= 'f' ? *w - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		*number = *number << 4 | (unsigned long)digit;
	}
	return true;
}

/* ---- which objects are wanted ---- */

bool patch_object_wanted(const char *path, bool executable)
{
	for (struct patch *p = __atomic_load_n(&patches, __ATOMIC_ACQUIRE); p; p = p->next) {
		if (!READ_ONCE(p->wanted))
			continue;
		for (const struct klp_object *o = p->pub.objs; o->funcs; o++)
			if (!o->name ? executable :
			    !ft_strcmp(o->name, ft_strchr(o->name, '/') ? path : ft_base_name(path)))
				return true;
	}
	return false;
}

int patch_plan(const char *object, u64 ino, char *path, size_t size)
{
	char id[FTRACE_PLAN_ID_MAX];
	int err;

	if (!plans[0])
		return -ENOENT;
	err = agent_plan_id(object, ino, id);
	if (err)
		return err;
	if (ft_snprintf(path, size, "%s/%s.plan", plans, id) >= (int)size)
		return -ENAMETOOLONG;
	return (int)arch_syscall(SYS_faccessat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

bool patches_are_there(void)
{
	for (const struct patch *p = patches; p; p = p->next)
		if (p->wanted)
			return true;
	return false;
}

void patches_settle(void)
{
	plans[0] = 0;
	for (struct patch *p = patches; p; p = p->next)
		if (p->wanted && !klp_is_enabled(&p->pub))
			WRITE_ONCE(p->wanted, false);
	if (!looking || patches_are_there())
		return;
	/* A recording gives the code back when it ends. */
	if (agent_is_recording() || !ftrace_is_guest() || !ftrace_guest_leave())
		looking = false;
}

/* ---- loading ---- */

static struct patch *find_patch(const char *name, size_t len)
{
	for (struct patch *p = patches; p; p = p->next)
		if (ft_strlen(p->name) == len && !ft_strncmp(p->name, name, len))
			return p;
	return NULL;
}

/* Another file that is called the same; an old one that is not enabled any more gives its name away. */
static int make_way(const char *name)
{
	struct patch *p = find_patch(name, ft_strlen(name));

	if (p && (p->wanted || klp_is_enabled(&p->pub)))
		return ft_log(-EEXIST, "patch %s: there is one of that name already; revert it first", name);
	if (p)
		p->name[0] = 0;
	return 0;
}

static int load(const char *value, size_t len)
{
	const char *p = value, *end = value + len;
	struct patch *patch = ft_alloc(sizeof(*patch));
	unsigned long root;
	int err = -EINVAL;

	if (!patch)
		return ft_log(-ENOMEM, "livepatch/load: no memory");
	if (!next_word(&p, end, patch->name, sizeof(patch->name)) || !next_hex(&p, end, &root) ||
	    !next_hex(&p, end, &patch->base) || !next_word(&p, end, patch->id, sizeof(patch->id)) ||
	    p == end)
		ft_log(err, "livepatch/load: not NAME ROOT BASE ID FILE");
	else
		err = make_way(patch->name);
	if (!err) {
		p++;
		ft_snprintf(patch->file, sizeof(patch->file), "%.*s", (int)(end - p), p);
		err = patch_records_open(&patch->rec, (struct klp_patch_root *)root, patch->name);
	}
	if (err) {
		ft_free(patch, sizeof(*patch));
		return err;
	}
	ft_snprintf(patch->version, sizeof(patch->version), "%s", patch->rec.version);
	smp_store_release(patches_tail, patch);
	patches_tail = &patch->next;
	return 0;
}

/* ---- what it refers to ---- */

static const struct {
	const char *name;
	void (*func)(void);
} offered[] = {
#define OFFER(name) { #name, (void (*)(void))name }
	OFFER(klp_shadow_get), OFFER(klp_shadow_alloc), OFFER(klp_shadow_get_or_alloc),
	OFFER(klp_shadow_free), OFFER(klp_shadow_free_all), OFFER(klp_get_state),
	OFFER(klp_get_prev_state),
#undef OFFER
};

static unsigned long find_reference(const char *name, void *data)
{
	const struct patch *p = data;

	for (u32 i = 0; i < ARRAY_SIZE(offered); i++)
		if (!ft_strcmp(name, offered[i].name))
			return (unsigned long)offered[i].func;
	for (const struct patch_symbol *s = p->symbols; s; s = s->next)
		if (!ft_strcmp(name, s->alias))
			return s->addr;
	return 0;
}

static int write_symbol(struct patch *p, const char *value, size_t len)
{
	const char *at = value, *end = value + len;
	struct patch_symbol *s;
	char alias[256];
	unsigned long addr;

	if (!next_word(&at, end, alias, sizeof(alias)) || !next_hex(&at, end, &addr))
		return ft_log(-EINVAL, "livepatch/%s/symbol: not ALIAS ADDRESS", p->name);
	s = ft_alloc(sizeof(*s) + ft_strlen(alias) + 1);
	if (!s)
		return ft_log(-ENOMEM, "patch %s: no memory", p->name);
	s->addr = addr;
	ft_memcpy(s->alias, alias, ft_strlen(alias) + 1);
	s->next = p->symbols;
	p->symbols = s;
	return 0;
}

static int write_position(struct patch *p, const char *value, size_t len)
{
	const char *at = value, *end = value + len;
	unsigned long n, pos;

	if (!next_hex(&at, end, &n) || !next_hex(&at, end, &pos) ||
	    patch_records_position(&p->rec, (u32)n, pos))
		return ft_log(-EINVAL, "livepatch/%s/position: not N POSITION", p->name);
	return 0;
}

/* ---- enabling and disabling ---- */

static int fill(struct patch *p)
{
	int err;

	if (p->filled)
		return 0;
	err = ftrace_fill_references(p->base, find_reference, p);
	if (err)
		return ft_log(err, "patch %s: what it refers to cannot be written: error %d", p->name, -err);
	p->filled = true;
	return 0;
}

static int enable(struct patch *p)
{
	int err = patch_records_build(&p->rec, &p->pub);

	if (err)
		return ft_log(err, "patch %s: no memory", p->name);
	p->pub.name = p->name;
	p->rec.root->patch = &p->pub;
	WRITE_ONCE(p->wanted, true);
	agent_look_at_objects();
	looking = true;
	err = ftrace_guest_look_again();
	if (!err)
		err = fill(p);
	if (!err)
		err = klp_enable_patch(&p->pub);
	if (!err)
		p->was_enabled = true;
	return err;
}

static bool is_in_transition(const struct patch *p, bool *enabling)
{
	struct klp_transition t;

	klp_transition_status(&t, NULL, NULL);
	*enabling = t.enabling;
	return t.patch && t.patch == &p->pub;
}

static int write_enabled(struct patch *p, const char *value, size_t len)
{
	bool enabling, moving = is_in_transition(p, &enabling), on = len == 1 && value[0] == '1';

	if (len != 1 || (!on && value[0] != '0'))
		return ft_log(-EINVAL, "livepatch/%s/enabled: 0 or 1", p->name);
	if (moving)
		return on == enabling ? 0 : klp_reverse_transition();
	if (on == klp_is_enabled(&p->pub))
		return 0;
	return on ? enable(p) : klp_disable_patch(&p->pub);
}

static int write_force(struct patch *p, const char *value, size_t len)
{
	bool enabling;
	int err;

	if (len != 1 || value[0] != '1')
		return ft_log(-EINVAL, "livepatch/%s/force: 1 is all that can be written", p->name);
	if (!is_in_transition(p, &enabling))
		return ft_log(-EINVAL, "patch %s: it is not in transition", p->name);
	err = klp_force_transition();
	if (!err)
		p->forced = true;
	return err;
}

/* ---- what is known ---- */

bool patch_in_transition(void)
{
	struct klp_transition t;

	klp_transition_status(&t, NULL, NULL);
	return t.patch;
}

static const char *state_of(const struct patch *p)
{
	bool enabling;

	if (is_in_transition(p, &enabling))
		return enabling ? "enabling" : "disabling";
	return klp_is_enabled(&p->pub) ? "enabled" : p->was_enabled ? "disabled" : "failed";
}

static void puts3(struct control_text *out, const char *key, const char *value)
{
	control_puts(out, key);
	control_puts(out, " ");
	control_puts(out, value);
	control_puts(out, "\n");
}

static void show_objects(struct control_text *out, const struct patch *p)
{
	for (const struct klp_object *o = p->pub.objs; o && o->funcs; o++) {
		puts3(out, o->patched ? "object" : "object-absent", o->name ? o->name : "-");
		for (const struct klp_func *f = o->funcs; f->old_name; f++) {
			control_printf(out, "function %lu ", f->old_sympos);
			puts3(out, f->old_name, o->name ? o->name : "-");
		}
	}
}

struct holders {
	struct control_text *out;
	u32 n;
};

static int show_holder(const struct klp_holder *holder, void *data)
{
	struct holders *h = data;

	control_printf(h->out, "holder %d ", holder->tid);
	puts3(h->out, holder->func ? holder->func : "-", holder->why);
	return ++h->n == SHOWN_HOLDERS;
}

int patch_show(struct control_text *out)
{
	struct holders holders = { .out = out };
	struct klp_transition t;

	for (const struct patch *p = patches; p; p = p->next) {
		if (!p->name[0])
			continue;
		puts3(out, "livepatch", p->name);
		puts3(out, "id", p->id);
		puts3(out, "state", state_of(p));
		puts3(out, "version", p->version);
		puts3(out, "file", p->file);
		if (p->pub.replace)
			control_puts(out, "replace 1\n");
		if (p->forced)
			control_puts(out, "forced 1\n");
		show_objects(out, p);
	}
	klp_transition_status(&t, NULL, NULL);
	if (t.patch)
		control_printf(out, "holders %u\n", t.nholders);
	klp_transition_status(&t, show_holder, &holders);
	return 0;
}

/* ---- files ---- */

#define DIR	"livepatch/"

/* The patch that @name is a file of, and which. */
static struct patch *of_patch(const char *name, size_t len, const char **file)
{
	const char *first = name + sizeof(DIR) - 1, *end = name + len, *slash = first;

	while (slash < end && *slash != '/')
		slash++;
	*file = slash < end ? slash + 1 : end;
	return slash < end ? find_patch(first, (size_t)(slash - first)) : NULL;
}

static bool is(const char *name, size_t len, const char *word)
{
	return len == ft_strlen(word) && !ft_strncmp(name, word, len);
}

int patch_file_read(const char *name, struct control_text *out)
{
	bool enabling;
	const char *file;
	struct patch *p;

	if (!ft_strcmp(name, DIR "patches"))
		return patch_show(out);
	p = of_patch(name, ft_strlen(name), &file);
	if (!p)
		return -ENOENT;
	if (!ft_strcmp(file, "enabled"))
		control_puts(out, klp_is_enabled(&p->pub) &&
			     !(is_in_transition(p, &enabling) && !enabling) ? "1\n" : "0\n");
	else if (!ft_strcmp(file, "transition"))
		control_puts(out, is_in_transition(p, &enabling) ? "1\n" : "0\n");
	else if (!ft_strcmp(file, "replace"))
		control_puts(out, p->rec.replace ? "1\n" : "0\n");
	else if (!ft_strcmp(file, "forced"))
		control_puts(out, p->forced ? "1\n" : "0\n");
	else
		return -ENOENT;
	return 0;
}

int patch_file_write(const char *name, size_t name_len, const char *value, size_t len)
{
	const char *file;
	size_t file_len;
	struct patch *p;

	if (is(name, name_len, DIR "load"))
		return load(value, len);
	if (is(name, name_len, DIR "plans")) {
		ft_snprintf(plans, sizeof(plans), "%.*s", (int)len, value);
		return 0;
	}
	p = of_patch(name, name_len, &file);
	if (!p)
		return ft_log(-ENOENT, "there is no patch of that name here; 'ftrace patch list' shows which there are");
	file_len = (size_t)(name + name_len - file);
	if (is(file, file_len, "any_build")) {
		p->rec.any_build = true;
		return 0;
	}
	if (is(file, file_len, "symbol"))
		return write_symbol(p, value, len);
	if (is(file, file_len, "position"))
		return write_position(p, value, len);
	if (is(file, file_len, "enabled"))
		return write_enabled(p, value, len);
	if (is(file, file_len, "force"))
		return write_force(p, value, len);
	return ft_log(-ENOENT, "livepatch/%s: no such file that can be written", p->name);
}

/* SPDX-License-Identifier: MIT */
/*
 * Live patching: functions that are not on a stack any more, and still under way.
 *
 * A call at a function's end is made a jump: parse() { return parse_rest(text); } has given its frame back
 * when parse_rest() runs, so no unwinding finds it. But what it has passed on is its version's, and if
 * parse_rest() is changed with it, or calls what is, a thread that goes over in between mixes the two. The shortest
 * way is one instruction: the jump at parse_rest()'s site, in code that belongs to neither version when a patch is
 * disabled. Threads under load were stopped just there.
 *
 * What is on the stack is where the call returns to. The instruction before tells whom it has called, so:
 * a call of a function that is changed holds up the transition until it has returned, whoever runs in it by now. Where
 * the bytes do not tell (a call through a register), the functions that are changed are asked: is there a jump in any
 * to the one that runs, or to where the table of linkage says that it is? The way there may lead through others, which
 * are not changed and end in a jump as well: so all that can be reached by jumps counts.
 */
#include "arch.h"
#include "livepatch.h"
#include "recognise.h"
#include "scratch.h"
#include "unwind-stack.h"

/* ---- code and tables as they are in memory ---- */

/* The bytes at @addr, *@avail of them; NULL: no object's, or not readable. */
static const u8 *bytes_at(const struct unwind_object *o, unsigned long addr, size_t *avail)
{
	u64 vaddr = addr - o->base;

	for (u32 i = 0; i < o->elf.nloads; i++) {
		const struct elf_segment *s = &o->elf.load[i];

		if (vaddr - s->vaddr >= s->size)
			continue;
		*avail = (size_t)(s->size - (vaddr - s->vaddr));
		return s->data + (vaddr - s->vaddr);
	}
	return NULL;
}

static unsigned long word_at(const struct unwind_object *o, unsigned long addr)
{
	size_t avail;
	const u8 *p = bytes_at(o, addr, &avail);

	return p && avail >= sizeof(long) ? READ_ONCE(*(const unsigned long *)p) : 0;
}

/*
 * The function that a call or jump in @o leads to, through linkage tables or not. 0: not known. *@slot: of the table; 0:
 * none.
 */
static unsigned long leads_to(const struct unwind_object *o, enum arch_call kind, u64 target, u64 *slot)
{
	unsigned long addr = (unsigned long)target;
	const u8 *code;
	size_t avail;

	*slot = 0;
	if (kind == ARCH_CALL_SLOT) {
		*slot = addr;
	} else if (addr - o->lo < o->hi - o->lo) {
		code = bytes_at(o, addr, &avail);
		if (!code || !arch_plt_entry(code, avail, target, o->got, slot))
			*slot = 0;
	}
	return *slot ? word_at(o, (unsigned long)*slot) : addr;
}

/* The function that the call before @ret was of. 0: its bytes do not tell. */
static unsigned long called(const struct unwind_objects *all, unsigned long ret)
{
	static const u8 lengths[] = ARCH_CALL_LENGTHS;
	const struct unwind_object *o = unwind_object_of(all, ret - 1);

	for (u32 i = 0; o && i < ARRAY_SIZE(lengths); i++) {
		unsigned long at = ret - lengths[i];
		enum arch_call kind;
		size_t avail = 0;
		const u8 *code = bytes_at(o, at, &avail);
		u64 target, slot;
		u8 len = 0;

		kind = code ? arch_call(code, avail, at, o->got, &target, &len) : ARCH_CALL_NONE;
		if (kind != ARCH_CALL_NONE && len == lengths[i])
			return leads_to(o, kind, target, &slot);
	}
	return 0;
}

/* ---- what is looked for ---- */

static const char *find_place(const struct klp_places *places, unsigned long addr)
{
	u32 lo = 0, hi = places->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (places->p[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < places->n && places->p[lo].addr == addr ? places->p[lo].name : NULL;
}

static int add_place(struct klp_places *places, struct klp_place place)
{
	if (places->n == places->room) {
		u32 room = places->room ? 2 * places->room : 256;
		struct klp_place *p = scratch_alloc(room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		ft_memcpy(p, places->p, places->n * sizeof(*p));
		scratch_free(places->p, places->room * sizeof(*p));
		places->p = p;
		places->room = room;
	}
	places->p[places->n++] = place;
	return 0;
}

void klp_free_places(struct klp_places *places)
{
	scratch_free(places->p, places->room * sizeof(*places->p));
}

static bool in_ranges(const struct klp_ranges *ranges, unsigned long addr)
{
	for (u32 i = 0; i < ranges->n; i++)
		if (addr - ranges->r[i].lo < ranges->r[i].hi - ranges->r[i].lo)
			return true;
	return false;
}

#define MAX_TAILS	4096u	/* beyond that, every function counts as one */

static int add_tail(struct klp_check *c, unsigned long to, const char *name)
{
	for (u32 i = 0; i < c->tails.n; i++)
		if (c->tails.p[i].addr == to)
			return 0;
	if (c->tails.n == MAX_TAILS) {
		c->tails_many = true;
		return 0;
	}
	return add_place(&c->tails, (struct klp_place){ to, name, 0 });
}

/*
 * Where the jumps in @lo to @hi lead that leave the function. They are looked for at every byte: what only looks
 * like one leads nowhere that anybody runs.
 */
static int add_tails(struct klp_check *c, const struct klp_ranges *ranges, unsigned long lo,
		     unsigned long hi, const char *name)
{
	const struct unwind_object *o = unwind_object_of(c->objects, lo);
	size_t avail = 0;
	const u8 *code = o ? bytes_at(o, lo, &avail) : NULL;
	int err = 0;

	if (!code)
		return 0;
	if (avail > hi - lo)
		avail = hi - lo;
	for (size_t at = arch_next_jump(code, 0, avail); at < avail && !err;
	     at = arch_next_jump(code, at + 1, avail)) {
		u64 target, slot;
		enum arch_call kind = arch_jump(code + at, avail - at, lo + at, o->got, &target);
		unsigned long to;

		if (kind == ARCH_CALL_NONE)
			continue;
		to = leads_to(o, kind, target, &slot);
		if (to && !in_ranges(ranges, to))
			err = add_tail(c, unwind_begin_of(c->objects, to), name);
		if (slot && !err)
			err = add_place(&c->slots, (struct klp_place){ slot, name, to });
	}
	return err;
}

int klp_add_calls(struct klp_check *c, unsigned long entry, const struct klp_ranges *code,
		  const char *name)
{
	int err = add_place(&c->calls, (struct klp_place){ entry, name, 0 });

	for (u32 i = 0; i < code->n && !err; i++)
		err = add_tails(c, code, code->r[i].lo, code->r[i].hi, name);
	return err;
}

/* From each function that a jump leads to, where its own jumps lead. */
static int follow_tails(struct klp_check *c)
{
	int err = 0;

	for (u32 i = 0; i < c->tails.n && !err; i++) {
		struct klp_ranges code = { .n = 1 };
		const struct klp_place tail = c->tails.p[i];

		/* What leads into the middle of a function is no call of it. */
		if (unwind_function(c->objects, (unsigned long)tail.addr, &code.r[0].lo, &code.r[0].hi) &&
		    code.r[0].lo == tail.addr)
			err = add_tails(c, &code, code.r[0].lo, code.r[0].hi, tail.name);
	}
	return err;
}

int klp_sort_calls(struct klp_check *c)
{
	int err = follow_tails(c);

	if (!err && c->calls.n)
		err = ft_sort(c->calls.p, c->calls.n, sizeof(*c->calls.p));
	return err || !c->tails.n ? err : ft_sort(c->tails.p, c->tails.n, sizeof(*c->tails.p));
}

bool klp_calls_outdated(const struct klp_check *c)
{
	for (u32 i = 0; i < c->slots.n; i++) {
		unsigned long at = (unsigned long)c->slots.p[i].addr;
		const struct unwind_object *o = unwind_object_of(c->objects, at);

		if (o && word_at(o, at) != c->slots.p[i].value)
			return true;
	}
	return false;
}

/* Whose jumps may lead to the function that begins at @func? NULL: nobody's. */
static const char *find_tail(const struct klp_check *c, unsigned long func)
{
	if (c->tails.n && (c->tails_many || klp_calls_outdated(c)))
		return c->tails.p[0].name;
	return find_place(&c->tails, func);
}

const char *klp_passed_on(const struct klp_check *c, unsigned long ret, unsigned long runs)
{
	unsigned long func = called(c->objects, ARCH_CODE_ADDRESS(ret));
	const char *name = func ? find_place(&c->calls, func) : NULL;

	return name || (func && unwind_begin_of(c->objects, func) == runs) ? name : find_tail(c, runs);
}

bool klp_calls(const struct klp_check *c, unsigned long ret, unsigned long func)
{
	unsigned long to = called(c->objects, ARCH_CODE_ADDRESS(ret));

	return to == func || (!find_place(&c->calls, to) &&
			      !find_tail(c, unwind_begin_of(c->objects, func)));
}

/* ---- on the way ---- */

void klp_find_resolver(struct klp_check *c)
{
	/* The loader's, by the third word of a table that is filled as calls are made (System V ABI). */
	for (u32 i = 0; i < c->objects->n && !c->resolver; i++) {
		const struct unwind_object *o = &c->objects->o[i];

		c->resolver = o->got ? word_at(o, o->got + 2 * sizeof(long)) : 0;
	}
}

bool klp_in_linkage(const struct klp_check *c, unsigned long pc, bool exact)
{
	static const u8 offsets[] = ARCH_PLT_OFFSETS;
	const struct unwind_object *o;
	unsigned long lo, hi;

	if (!unwind_function(c->objects, pc, &lo, &hi))
		return false;
	if (c->resolver && lo == c->resolver)
		return true;
	o = exact ? unwind_object_of(c->objects, lo) : NULL;
	for (u32 i = 0; o && i < ARRAY_SIZE(offsets); i++) {
		size_t avail = 0;
		const u8 *code = bytes_at(o, lo + offsets[i], &avail);
		u64 slot;

		if (code && arch_plt_entry(code, avail, lo + offsets[i], o->got, &slot))
			return true;
	}
	return false;
}

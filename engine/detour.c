/* SPDX-License-Identifier: MIT */
/* Making detours: memory near their objects, code, and what is called from them; see detour.h. */
#include "detour.h"

#include <linux/mman.h>

#include "arch.h"
#include "chunk.h"
#include "kprobe.h"
#include "text.h"
#include "unwind.h"

#ifdef ARCH_HAS_DETOURS

/* Detours, their data, and their call frame information. */
struct detour_chunk {
	struct detour_chunk *next;
	unsigned long start;
	u8 *frames;
	u32 used;
	struct probe_detour *free;
};

static struct detour_chunk *chunks;

#define FRAMES_PAGES	ALIGN_UP(DETOUR_FRAMES_SIZE, FT_PAGE_SIZE)
#define CHUNK_SIZE	(2ul * FTRACE_DETOUR_DATA + FRAMES_PAGES)

static struct detour_chunk *new_chunk(const struct probe_place *place)
{
	struct detour_chunk *c = ft_alloc(sizeof(*c));
	char *p = c ? ftrace_map_near(place->object_lo, place->object_hi, CHUNK_SIZE) : NULL;

	if (!p || ft_is_err(p))
		return NULL;
	if (ft_is_err(ft_mmap(p + FTRACE_DETOUR_DATA, CHUNK_SIZE - FTRACE_DETOUR_DATA,
			      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)))
		return NULL;
	c->start = (unsigned long)p;
	c->frames = (u8 *)p + 2 * FTRACE_DETOUR_DATA;
	detour_frames_begin(c->frames, c->start);
	if (ftrace_unwind_add_table(c->start, FTRACE_DETOUR_DATA, c->frames, DETOUR_FRAMES_SIZE,
				    DETOUR_FRAMES_TABLE))
		ft_log(0, "unwinding through probed functions will not work");
	c->next = chunks;
	smp_store_release(&chunks, c);
	return c;
}

static struct probe_detour *get_slot(const struct probe_place *place, struct detour_chunk **chunk)
{
	struct detour_chunk *c = chunks;
	struct probe_detour *d;

	while (c && (!ftrace_is_near(c->start, CHUNK_SIZE, place->object_lo, place->object_hi) ||
		     (c->used == FTRACE_DETOUR_SLOTS && !c->free)))
		c = c->next;
	if (!c)
		c = new_chunk(place);
	if (!c)
		return NULL;
	*chunk = c;
	d = c->free;
	if (d)
		c->free = d->next;
	else
		d = (struct probe_detour *)(c->start + FTRACE_DETOUR_DATA +
					    (unsigned long)c->used++ * FTRACE_DETOUR_SIZE);
	ft_memset(d, 0, sizeof(*d));
	return d;
}

struct probe_detour *detour_at(unsigned long pc)
{
	for (struct detour_chunk *c = smp_load_acquire(&chunks); c; c = c->next)
		if (pc - c->start < FTRACE_DETOUR_DATA)
			return (struct probe_detour *)(ALIGN_DOWN(pc, (unsigned long)FTRACE_DETOUR_SIZE) +
						       FTRACE_DETOUR_DATA);
	return NULL;
}

static void put_slot(struct probe_detour *d)
{
	struct detour_chunk *c = chunks;

	while (c && detour_code(d) - c->start >= FTRACE_DETOUR_DATA)
		c = c->next;
	d->next = c->free;
	c->free = d;
}

struct parts {
	struct probe_copy all, first, rest;
	bool has_first, has_rest;
	u8 code[FTRACE_MOVED_MAX + ARCH_INSN_MAX];
};

/* The instructions moved: @need bytes of them or a few more. NULL: done; else why not. */
static const char *move(struct parts *m, const struct probe_place *place, unsigned int need,
			struct probe_detour *d)
{
	unsigned long size = place->func + place->size - place->addr;
	struct arch_insn insn;
	const char *why;

	detour_read_text(place->addr, m->code, size < sizeof(m->code) ? size : sizeof(m->code));
	if (!arch_insn(&insn, m->code, sizeof(m->code), place->addr))
		return "it is not understood";
	why = arch_insn_move(m->code, sizeof(m->code), size, place->addr, need, &m->all);
	if (!why && m->all.moved > sizeof(d->orig))
		why = "it is too long";
	if (why)
		return why;
	d->first = insn.len;
	d->branches = insn.branches;
	d->moved = m->all.moved;
	ft_memcpy(d->orig, m->code, d->moved);
	for (u32 i = 0; i < m->all.ninsns && d->ninsns < DETOUR_MAX_INSNS; i++) {
		if (m->all.copied[i].pushed || m->all.copied[i].original >= d->moved)
			continue;
		if (d->ninsns && d->insn[d->ninsns - 1].original == m->all.copied[i].original)
			continue;
		d->insn[d->ninsns].original = m->all.copied[i].original;
		d->insn[d->ninsns++].copy = m->all.copied[i].copy;
	}
	/* Branches are done by arch_insn_emulate() for who wants to be told. */
	if (insn.branches || arch_insn_move(m->code, sizeof(m->code), size, place->addr, 1, &m->first))
		return NULL;
	m->has_first = true;
	if (d->moved > d->first) {
		m->has_rest = !arch_insn_move(m->code + d->first, sizeof(m->code) - d->first,
					      size - d->first, place->addr + d->first,
					      need - d->first, &m->rest);
		m->has_first = m->has_rest;
	}
	d->again = m->has_first;
	return NULL;
}

static int make(struct probe_point *p, const struct probe_place *place, unsigned int need,
		struct probe_detour **detour, const char **why)
{
	struct detour_chunk *c = NULL;
	struct probe_detour *d = get_slot(place, &c);
	struct parts *m = ft_alloc(sizeof(*m));
	u8 code[FTRACE_DETOUR_SIZE];
	struct ftrace_text text;
	int err;

	*why = NULL;
	if (!d || !m) {
		if (d)
			put_slot(d);
		return -ENOMEM;
	}
	d->point = p;
	d->addr = place->addr;
	d->call = ftrace_probe_pass;
	*why = move(m, place, need, d);
	err = *why ? -EOPNOTSUPP :
	      arch_detour_write(code, detour_code(d), &m->all, m->has_first ? &m->first : NULL,
				m->has_rest ? &m->rest : NULL);
	if (!err) {
		detour_frames_put(c->frames, c->start,
				  (u32)((detour_code(d) - c->start) / FTRACE_DETOUR_SIZE),
				  place->objects, place->addr, &m->all, m->has_first ? &m->first : NULL,
				  m->has_rest ? &m->rest : NULL);
		ftrace_text_open(&text);
		err = ftrace_text_write(&text, detour_code(d), code, sizeof(code));
		ftrace_text_close(&text);
		arch_poke_sync();
	}
	ft_free(m, sizeof(*m));
	if (err)
		put_slot(d);
	else
		*detour = d;
	return err;
}

int detours_make(struct probe_point *p, const struct probe_place *place, const char *what)
{
	const char *why;
	int err = make(p, place, 1, &p->single, &why);

	if (err == -EOPNOTSUPP && why)
		return ft_log(err, "%s: the instruction at 0x%lx can run nowhere else: %s", what,
			      place->addr, why);
	if (err)
		return ft_log(err, "%s: no room for a probe within reach of 0x%lx: error %d", what,
			      place->addr, -err);
	/* Where that fails a breakpoint does. */
	if (place->covers >= ARCH_SITE_SIZE)
		make(p, place, ARCH_SITE_SIZE, &p->several, &why);
	return 0;
}

void detours_gone(struct probe_point *p)
{
	if (p->single)
		put_slot(p->single);
	if (p->several)
		put_slot(p->several);
	p->single = p->several = NULL;
}

bool probe_may_post(const struct probe_point *p)
{
	return p->single->branches ? arch_insn_emulate(p->single->orig, NULL) : p->single->again;
}

/* ---- hits ---- */

static struct probe_detour *detour_of(unsigned long ret)
{
	return (struct probe_detour *)(ALIGN_DOWN(ret, (unsigned long)FTRACE_DETOUR_SIZE) +
				       FTRACE_DETOUR_DATA);
}

/* Before the instruction: true, the thread goes to regs' ip. */
static bool before(struct probe_detour *d, struct pt_regs *regs, unsigned long *ret)
{
	struct probe_point *p = d->point;

	if (probe_call_pre(p, regs))
		return true;
	if (likely(!probe_has_post(p)))
		return false;
	if (d->branches) {
		instruction_pointer_set(regs, p->addr);
		if (!arch_insn_emulate(d->orig, regs))
			return false;
		probe_call_post(p, regs, instruction_pointer(regs));
		return true;
	}
	if (d->again)
		*ret = detour_code(d) + ARCH_DETOUR_AGAIN;
	return false;
}

/* Where an instruction was that a jump covers now, its copy is. */
static void go_on_in_copy(const struct probe_detour *d, struct pt_regs *regs)
{
	unsigned long off = instruction_pointer(regs) - d->addr;

	for (u32 i = 1; i < d->ninsns; i++)
		if (d->insn[i].original == off)
			instruction_pointer_set(regs, detour_code(d) + ARCH_DETOUR_COPY + d->insn[i].copy);
}

long ftrace_probe_hit(struct pt_regs *regs, unsigned long *ret)
{
	struct probe_detour *d = detour_of(*ret);
	unsigned long sp = user_stack_pointer(regs);
	bool post = *ret % FTRACE_DETOUR_SIZE == ARCH_DETOUR_POST_RET, nested, elsewhere = false;
	struct ftrace_thread *t = ftrace_thread_quick();

	instruction_pointer_set(regs, d->addr + (post ? d->first : 0));
	if (unlikely(!t))
		return 0;
	nested = ftrace_callback_begin(t, sp, (unsigned long)regs);
	if (!probe_begin(t, regs)) {
		if (!post)
			probe_count_missed(d->point);
	} else {
		if (post)
			probe_call_post(d->point, regs, d->addr + d->first);
		else
			elsewhere = before(d, regs, ret);
		probe_end(t);
	}
	ftrace_callback_end(t, nested);
	if (elsewhere) {
		go_on_in_copy(d, regs);
		return 1;
	}
	if (likely(user_stack_pointer(regs) == sp))
		return 0;
	/* Another stack pointer: what undoes the pushes is gone past. */
	instruction_pointer_set(regs, detour_code(d) + (post ? ARCH_DETOUR_REST :
				*ret % FTRACE_DETOUR_SIZE == ARCH_DETOUR_RET ? ARCH_DETOUR_COPY :
									       ARCH_DETOUR_FIRST));
	return 1;
}

#else	/* entries alone, and they have sites */

int detours_make(struct probe_point *p, const struct probe_place *place, const char *what)
{
	return -EOPNOTSUPP;
}

void detours_gone(struct probe_point *p)
{
}

bool probe_may_post(const struct probe_point *p)
{
	return false;
}

void detour_text_gone(void)
{
}

struct probe_detour *detour_at(unsigned long pc)
{
	return NULL;
}

#endif

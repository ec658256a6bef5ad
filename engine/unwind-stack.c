/* SPDX-License-Identifier: MIT */
#include "unwind-stack.h"

#include <fcntl.h>
#include <link.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "arch.h"
#include "loader.h"
#include "unwind-expr.h"
#include "unwind.h"

#define MAX_DEPTH	16384u	/* frames; a stack with more counts as lost */

/* ---- memory ---- */

/* Emulators may not have the system call for it. @size: less than a pipe takes. */
static bool read_by_pipe(unsigned long addr, void *to, size_t size)
{
	int fd[2];
	bool good;

	if (arch_syscall(SYS_pipe2, (long)fd, O_CLOEXEC, 0, 0, 0, 0))
		return false;
	good = arch_syscall(SYS_write, fd[1], (long)addr, (long)size, 0, 0, 0) == (long)size &&
	       arch_syscall(SYS_read, fd[0], (long)to, (long)size, 0, 0, 0) == (long)size;
	ft_close(fd[0]);
	ft_close(fd[1]);
	return good;
}

/* By a system call, which fails where nothing is mapped. */
static bool read_memory(unsigned long addr, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)addr, size };
	long n = arch_syscall(SYS_process_vm_readv, ft_getpid(), (long)&local, 1, (long)&remote, 1,
			      0);

	return n == (long)size || (n == -ENOSYS && read_by_pipe(addr, to, size));
}

bool unwind_read(const struct unwind_walk *w, unsigned long addr, unsigned long *value)
{
	if (addr % sizeof(long) == 0 && addr >= w->stack_lo && addr < w->stack_hi) {
		*value = *(const unsigned long *)addr;
		return true;
	}
	return read_memory(addr, value, sizeof(*value));
}

/* ---- what is loaded ---- */

/* glibc has made what its dynamic section says absolute; what nobody has calls by no table. */
static unsigned long find_got(unsigned long base, const ElfW(Phdr) *phdr)
{
	const ElfW(Dyn) *d = (const ElfW(Dyn) *)(base + phdr->p_vaddr);
	const ElfW(Dyn) *end = d + phdr->p_memsz / sizeof(*d);

	for (; d < end && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_PLTGOT)
			return d->d_un.d_ptr;
	return 0;
}

static void add_object(struct unwind_objects *all, unsigned long base, const ElfW(Phdr) *phdr,
		       unsigned int phnum)
{
	struct unwind_object *o = &all->o[all->n];
	struct elf *e = &o->elf;

	if (all->n == UNWIND_MAX_OBJECTS)
		return;
	ft_memset(o, 0, sizeof(*o));
	o->base = base;
	o->lo = ~0ul;
	e->wide = sizeof(long) == 8;
	e->phdrs = (const u8 *)phdr;
	e->nsegments = phnum;
	for (unsigned int i = 0; i < phnum; i++) {
		unsigned long lo = base + phdr[i].p_vaddr;

		if (phdr[i].p_type == PT_DYNAMIC)
			o->got = find_got(base, &phdr[i]);
		if (phdr[i].p_type != PT_LOAD || !(phdr[i].p_flags & PF_R) ||
		    e->nloads == ELF_MAX_SEGMENTS)
			continue;
		e->load[e->nloads++] = (struct elf_segment){
			.vaddr = phdr[i].p_vaddr, .size = phdr[i].p_filesz,
			.data = (const u8 *)lo, .exec = phdr[i].p_flags & PF_X,
		};
		if (lo < o->lo)
			o->lo = lo;
		if (lo + phdr[i].p_memsz > o->hi)
			o->hi = lo + phdr[i].p_memsz;
	}
	eh_frame_open(&o->table, e);
	if (o->hi > o->lo)
		all->n++;
}

/* An object whose first segment, with the headers, is at @at. */
static void add_image(struct unwind_objects *all, unsigned long at)
{
	const ElfW(Phdr) *phdr;
	ElfW(Ehdr) ehdr;
	unsigned long base = at;

	if (!read_memory(at, &ehdr, sizeof(ehdr)) || ft_memcmp(ehdr.e_ident, ELFMAG, SELFMAG) ||
	    ehdr.e_phentsize != sizeof(*phdr) ||
	    ehdr.e_phoff + ehdr.e_phnum * sizeof(*phdr) > FT_PAGE_SIZE)
		return;
	phdr = (const ElfW(Phdr) *)(at + ehdr.e_phoff);
	for (unsigned int i = 0; i < ehdr.e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD) {
			base = at - ALIGN_DOWN(phdr[i].p_vaddr, FT_PAGE_SIZE);
			break;
		}
	add_object(all, base, phdr, ehdr.e_phnum);
}

/* The program and the kernel's own object, which the loader's list does not tell where they are. */
static unsigned long add_first(struct unwind_objects *all)
{
	ElfW(auxv_t) auxv[64];
	long n = ft_read_file("/proc/self/auxv", (char *)auxv, sizeof(auxv));
	const ElfW(Phdr) *phdr = NULL;
	unsigned long phnum = 0, vdso = 0, base;

	for (unsigned int i = 0; n > 0 && i < (unsigned long)n / sizeof(auxv[0]); i++) {
		if (auxv[i].a_type == AT_PHDR)
			phdr = (const ElfW(Phdr) *)auxv[i].a_un.a_val;
		if (auxv[i].a_type == AT_PHNUM)
			phnum = auxv[i].a_un.a_val;
		if (auxv[i].a_type == AT_ENTRY)
			all->entry = auxv[i].a_un.a_val;
		if (auxv[i].a_type == AT_SYSINFO_EHDR)
			vdso = auxv[i].a_un.a_val;
	}
	base = ftrace_program_base(phdr, phnum);
	if (phdr)
		add_object(all, base, phdr, (unsigned int)phnum);
	if (vdso)
		add_image(all, vdso);
	return base;
}

unsigned long unwind_main_stack(void)
{
	ElfW(auxv_t) auxv[64];
	long n = ft_read_file("/proc/self/auxv", (char *)auxv, sizeof(auxv));

	for (unsigned int i = 0; n > 0 && i < (unsigned long)n / sizeof(auxv[0]); i++)
		if (auxv[i].a_type == AT_RANDOM)
			return auxv[i].a_un.a_val;
	return 0;
}

/* Stubs, for which the library has made a table. */
static void add_stubs(struct unwind_objects *all)
{
	const struct ftrace_unwind_region *r;

	for (u32 i = 0; (r = ftrace_unwind_region(i)) && all->n < UNWIND_MAX_OBJECTS; i++) {
		struct unwind_object *o = &all->o[all->n++];

		ft_memset(o, 0, sizeof(*o));
		o->lo = o->base = r->start;
		o->hi = r->end;
		o->elf.wide = sizeof(long) == 8;
		o->elf.phdrs = (const u8 *)r->phdr;
		o->elf.nsegments = ARRAY_SIZE(r->phdr);
		o->elf.nloads = 1;
		o->elf.load[0] = (struct elf_segment){
			.size = (unsigned long)r->eh_frame + r->eh_frame_size - r->start,
			.data = (const u8 *)r->start,
		};
		eh_frame_open(&o->table, &o->elf);
	}
}

const char *unwind_objects_open(struct unwind_objects *all)
{
	const struct link_map *map;
	unsigned long exe;

	all->n = 0;
	if (ftrace_loader() && ftrace_loader()->r_state != RT_CONSISTENT)
		return "an object is being loaded or unloaded";
	add_stubs(all);
	exe = add_first(all);
	for (map = ftrace_loaded_objects(); map; map = map->l_next)
		if (map->l_addr != exe)
			add_image(all, map->l_addr);
	return NULL;
}

const struct unwind_object *unwind_object_of(const struct unwind_objects *all, unsigned long pc)
{
	for (u32 i = 0; i < all->n; i++)
		if (pc >= all->o[i].lo && pc < all->o[i].hi)
			return &all->o[i];
	return NULL;
}

bool unwind_text_of(const struct unwind_object *o, unsigned long addr, unsigned long *lo, unsigned long *hi)
{
	for (u32 i = 0; i < o->elf.nloads; i++) {
		*lo = o->base + (unsigned long)o->elf.load[i].vaddr;
		*hi = *lo + o->elf.load[i].size;
		if (o->elf.load[i].exec && addr - *lo < *hi - *lo)
			return true;
	}
	return false;
}

/* The entry of @pc's function; its index in the object's table. */
static const struct unwind_object *find_entry(const struct unwind_objects *all, unsigned long pc,
					      u32 *entry)
{
	const struct unwind_object *o = unwind_object_of(all, pc);
	u64 vaddr;
	u32 i;

	if (!o || !o->table.table)
		return NULL;
	vaddr = pc - o->base;
	i = eh_frame_lower(&o->table, vaddr + 1);
	if (!i)
		return NULL;
	*entry = i - 1;
	if (vaddr - eh_frame_start(&o->table, i - 1) >= eh_frame_size(&o->table, i - 1))
		return NULL;
	return o;
}

bool unwind_function(const struct unwind_objects *all, unsigned long pc, unsigned long *lo,
		     unsigned long *hi)
{
	u32 i;
	const struct unwind_object *o = find_entry(all, pc, &i);

	if (!o)
		return false;
	*lo = o->base + (unsigned long)eh_frame_start(&o->table, i);
	*hi = *lo + (unsigned long)eh_frame_size(&o->table, i);
	return true;
}

unsigned long unwind_begin_of(const struct unwind_objects *all, unsigned long entry)
{
	unsigned long lo, hi;

	for (unsigned long at = entry; at <= entry + ARCH_ENTRY_UNTOLD; at++)
		if (unwind_function(all, at, &lo, &hi))
			return lo == at ? at : entry;
	return entry;
}

/* ---- a walk ---- */

void unwind_begin(struct unwind_walk *w, const struct unwind_objects *all,
		  const struct unwind_regs *regs, unsigned long lo, unsigned long hi)
{
	w->all = all;
	w->regs = *regs;
	w->stack_lo = lo;
	w->stack_hi = ALIGN_DOWN(hi, sizeof(long));
	w->exact = true;
	w->depth = 0;
	w->callee = 0;
}

static bool frame_address(const struct unwind_walk *w, const struct unwind_row *row,
			  unsigned long *cfa)
{
	if (row->cfa.how == UNWIND_VAL_EXPRESSION)
		return unwind_expression(w, row->cfa.expr, row->cfa.expr_end, NULL, cfa);
	if (row->cfa.how != UNWIND_REGISTER || (u64)row->cfa.value >= ARCH_UNWIND_REGS)
		return false;
	*cfa = w->regs.reg[row->cfa.value] + (unsigned long)row->cfa_offset;
	return true;
}

static bool apply(const struct unwind_walk *w, const struct unwind_rule *rule, unsigned long cfa,
		  unsigned long *value)
{
	unsigned long at;

	switch (rule->how) {
	case UNWIND_SAME:
	case UNWIND_UNDEFINED:
		return true;
	case UNWIND_OFFSET:
		return unwind_read(w, cfa + (unsigned long)rule->value, value);
	case UNWIND_VAL_OFFSET:
		*value = cfa + (unsigned long)rule->value;
		return true;
	case UNWIND_REGISTER:
		if ((u64)rule->value >= ARCH_UNWIND_REGS)
			return false;
		*value = w->regs.reg[rule->value];
		return true;
	case UNWIND_EXPRESSION:
		return unwind_expression(w, rule->expr, rule->expr_end, &cfa, &at) &&
		       unwind_read(w, at, value);
	case UNWIND_VAL_EXPRESSION:
		return unwind_expression(w, rule->expr, rule->expr_end, &cfa, value);
	}
	return false;
}

enum unwind_result unwind_step(struct unwind_walk *w)
{
	unsigned long pc = unwind_pc(w), cfa;
	const struct unwind_object *o;
	struct unwind_regs caller = w->regs;
	struct unwind_row row;
	u32 entry;

#ifdef ARCH_SIGNAL_FRAMES
	if (arch_unwind_signal(w, &caller)) {
		w->callee = 0;
		w->regs = caller;
		w->exact = true;
		return ++w->depth > MAX_DEPTH ? UNWIND_LOST : UNWIND_FRAME;
	}
#endif
	o = find_entry(w->all, pc, &entry);
	if (!o || ++w->depth > MAX_DEPTH || !unwind_row(&o->table, entry, pc - o->base, &row))
		return UNWIND_LOST;
	/* Not everywhere does the table say so of _start (s390). */
	if (row.rule[row.ra].how == UNWIND_UNDEFINED ||
	    o->base + (unsigned long)eh_frame_start(&o->table, entry) == w->all->entry)
		return UNWIND_START;
	if (!frame_address(w, &row, &cfa))
		return UNWIND_LOST;
#ifdef ARCH_UNWIND_SP_IS_CFA
	caller.reg[ARCH_UNWIND_SP] = cfa;
#endif
	for (u32 i = 0; i < ARCH_UNWIND_REGS; i++)
		if (!apply(w, &row.rule[i], cfa, &caller.reg[i]))
			return UNWIND_LOST;
	/* Each frame lies above the one before, but where a signal came on a stack of its own. */
	if (caller.reg[ARCH_UNWIND_SP] < w->regs.reg[ARCH_UNWIND_SP] && !row.signal)
		return UNWIND_LOST;
	caller.reg[ARCH_UNWIND_PC] = caller.reg[row.ra];
	w->callee = o->base + (unsigned long)eh_frame_start(&o->table, entry);
	w->regs = caller;
	w->exact = row.signal;
	return UNWIND_FRAME;
}

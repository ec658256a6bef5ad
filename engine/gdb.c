/* SPDX-License-Identifier: MIT */
/*
 * gdb's interface for code made at run time: a linked list of small ELF files in memory, one for
 * each region of stubs. A debugger that attaches reads the list; one that is there stops at
 * __jit_debug_register_code(), which is why that is a function.
 *
 * The files hold what a debugger needs to walk through a stub: the region's address, its .eh_frame
 * and a name.
 */
#include "gdb.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include "arch.h"
#include "copy-frames.h"
#include "scratch.h"
#include "site.h"
#include "unwind.h"

/* ---- the interface; names and layout are gdb's ---- */

enum jit_action { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_code_entry {
	struct jit_code_entry *next_entry;
	struct jit_code_entry *prev_entry;
	const void *symfile_addr;
	u64 symfile_size;
};

struct jit_descriptor {
	u32 version;
	u32 action_flag;
	struct jit_code_entry *relevant_entry;
	struct jit_code_entry *first_entry;
};

FTRACE_PUBLIC extern struct jit_descriptor __jit_debug_descriptor;
FTRACE_PUBLIC void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = {.version = 1};

void __attribute__((noinline)) __jit_debug_register_code(void)
{
	__asm__ volatile("" : : : "memory");
}

static void tell(enum jit_action action, struct jit_code_entry *entry)
{
	__jit_debug_descriptor.relevant_entry = entry;
	__jit_debug_descriptor.action_flag = action;
	__jit_debug_register_code();
	__jit_debug_descriptor.action_flag = JIT_NOACTION;
}

/* ---- one region's file ---- */

enum { SEC_NULL, SEC_TEXT, SEC_EH_FRAME, SEC_SYMTAB, SEC_STRTAB, SEC_SHSTRTAB, NSECTIONS };

static const char section_names[] = "\0.text\0.eh_frame\0.symtab\0.strtab\0.shstrtab";
static const u8 section_name_at[NSECTIONS] = {0, 1, 7, 17, 25, 33};

struct symfile {
	struct jit_code_entry entry;
	size_t size;			/* of this whole structure, what follows it included */
	u32 nsyms;			/* without the first, which is none */
	u32 named;			/* stubs that have names in it */
	ElfW(Ehdr) ehdr;		/* the file begins here */
	ElfW(Shdr) shdr[NSECTIONS];
	char shstrtab[sizeof(section_names)];
	ElfW(Sym) sym[];		/* behind it .strtab, and a copy of .eh_frame */
};

/* Of this very library: the machine's ELF class, byte order and number. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static struct symfile *symfiles[FTRACE_MAX_CHUNKS];
static const struct ftrace_unwind_region *regions[FTRACE_MAX_CHUNKS];	/* which they are of */
static u32 nsymfiles;

static const char stub_prefix[] = "ftrace:", region_name[] = "ftrace_stub";
static const char trampolines_name[] = "ftrace_trampoline", copy_prefix[] = "ftrace_copy:";

/* The name of the site whose stub is at @stub, or NULL. */
static const char *stub_name(unsigned long stub)
{
	const struct dyn_ftrace *site = (const void *)(stub + FTRACE_CHUNK_CODE);

	return site->flags & FTRACE_SITE_ARMED ? site->name : NULL;
}

/* The next in this chunk or in that behind its data; 0 behind the last. */
static unsigned long next_stub(const struct ftrace_unwind_region *r, unsigned long stub)
{
	stub += FTRACE_STUB_SIZE;
	if ((stub - r->start) % FTRACE_CHUNK_CODE == 0)
		stub += FTRACE_CHUNK_CODE;
	return stub < r->end ? stub : 0;
}

#define for_each_stub(stub, r) \
	for (unsigned long stub = (r)->start; stub; stub = next_stub(r, stub))

/* How many stubs of @r have names, and the bytes their strings take. */
static u32 count_names(const struct ftrace_unwind_region *r, size_t *bytes)
{
	u32 n = 0;

	*bytes = 0;
	for_each_stub(stub, r) {
		const char *name = stub_name(stub);

		if (name) {
			n++;
			*bytes += sizeof(stub_prefix) + ft_strlen(name);
		}
	}
	return n;
}

static void fill_ehdr(struct symfile *s)
{
	s->ehdr = (ElfW(Ehdr)){
		.e_type = ET_REL,
		.e_machine = __ehdr_start.e_machine,
		.e_version = EV_CURRENT,
		.e_shoff = (char *)s->shdr - (char *)&s->ehdr,
		.e_flags = __ehdr_start.e_flags,
		.e_ehsize = sizeof(s->ehdr),
		.e_shentsize = sizeof(s->shdr[0]),
		.e_shnum = NSECTIONS,
		.e_shstrndx = SEC_SHSTRTAB,
	};
	ft_memcpy(s->ehdr.e_ident, __ehdr_start.e_ident, EI_NIDENT);
}

static void fill_section(struct symfile *s, u32 i, u32 type, const void *data, size_t size)
{
	s->shdr[i].sh_name = section_name_at[i];
	s->shdr[i].sh_type = type;
	s->shdr[i].sh_offset = (const char *)data - (char *)&s->ehdr;
	s->shdr[i].sh_size = size;
	s->shdr[i].sh_addralign = 1;
}

/* .strtab, whose first byte is 0. */
static char *strings(struct symfile *s)
{
	return (char *)&s->sym[1 + s->nsyms];
}

/* Symbol number @i, from 1, its name @prefix + @name put at @str; returns the end of that. */
static char *fill_symbol(struct symfile *s, u32 i, char *str, const char *prefix, const char *name,
			 unsigned long offset, size_t size)
{
	size_t prefix_len = ft_strlen(prefix), len = ft_strlen(name) + 1;

	s->sym[i] = (ElfW(Sym)){
		.st_name = str - strings(s),
		.st_info = STB_GLOBAL << 4 | STT_FUNC,
		.st_shndx = SEC_TEXT,
		.st_value = offset,
		.st_size = size,
	};
	ft_memcpy(str, prefix, prefix_len);
	ft_memcpy(str + prefix_len, name, len);
	return str + prefix_len + len;
}

/* The file for @r, with room for @nsyms symbols whose names take @strsize bytes. */
static struct symfile *make_symfile(const struct ftrace_unwind_region *r, u32 nsyms, size_t strsize)
{
	size_t syms = (1 + nsyms) * sizeof(ElfW(Sym));
	size_t size = sizeof(struct symfile) + syms + 1 + strsize + r->eh_frame_size;
	struct symfile *s = ft_alloc(size);
	char *eh_frame;

	if (!s)
		return NULL;
	s->size = size;
	s->nsyms = nsyms;
	s->entry.symfile_addr = &s->ehdr;
	s->entry.symfile_size = (char *)s + size - (char *)&s->ehdr;
	eh_frame = strings(s) + 1 + strsize;

	fill_ehdr(s);
	fill_section(s, SEC_TEXT, SHT_NOBITS, &s->ehdr, r->end - r->start);
	s->shdr[SEC_TEXT].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	s->shdr[SEC_TEXT].sh_addr = r->start;
	s->shdr[SEC_TEXT].sh_addralign = FTRACE_STUB_SIZE;
	/* At the address of the original, which it points at the stubs from. */
	fill_section(s, SEC_EH_FRAME, SHT_PROGBITS, eh_frame, r->eh_frame_size);
	s->shdr[SEC_EH_FRAME].sh_flags = SHF_ALLOC;
	s->shdr[SEC_EH_FRAME].sh_addr = (unsigned long)r->eh_frame;
	ft_memcpy(eh_frame, r->eh_frame, r->eh_frame_size);
	fill_section(s, SEC_SYMTAB, SHT_SYMTAB, s->sym, syms);
	s->shdr[SEC_SYMTAB].sh_link = SEC_STRTAB;
	s->shdr[SEC_SYMTAB].sh_info = 1;
	s->shdr[SEC_SYMTAB].sh_entsize = sizeof(s->sym[0]);
	s->shdr[SEC_SYMTAB].sh_addralign = 8;
	fill_section(s, SEC_STRTAB, SHT_STRTAB, strings(s), 1 + strsize);
	fill_section(s, SEC_SHSTRTAB, SHT_STRTAB, s->shstrtab, sizeof(section_names));
	ft_memcpy(s->shstrtab, section_names, sizeof(section_names));
	return s;
}

static void link_symfile(struct symfile *s)
{
	struct jit_code_entry *first = __jit_debug_descriptor.first_entry;

	s->entry.next_entry = first;
	if (first)
		first->prev_entry = &s->entry;
	__jit_debug_descriptor.first_entry = &s->entry;
	tell(JIT_REGISTER_FN, &s->entry);
}

static void unlink_symfile(struct symfile *s)
{
	if (s->entry.next_entry)
		s->entry.next_entry->prev_entry = s->entry.prev_entry;
	if (s->entry.prev_entry)
		s->entry.prev_entry->next_entry = s->entry.next_entry;
	else
		__jit_debug_descriptor.first_entry = s->entry.next_entry;
	tell(JIT_UNREGISTER_FN, &s->entry);
	ft_free(s, s->size);
}

void ftrace_gdb_add(const struct ftrace_unwind_region *r)
{
	const char *name = r->named ? region_name : trampolines_name;
	struct symfile *s = make_symfile(r, 1, ft_strlen(name) + 1);

	regions[nsymfiles] = r;
	symfiles[nsymfiles++] = s;
	if (!s)
		return;
	fill_symbol(s, 1, strings(s) + 1, "", name, 0, r->end - r->start);
	link_symfile(s);
}

/* The stubs of @r by their names, which take @strsize bytes. */
static struct symfile *name_stubs(const struct ftrace_unwind_region *r, u32 nnames, size_t strsize)
{
	struct symfile *s = make_symfile(r, nnames, strsize);
	char *str = s ? strings(s) + 1 : NULL;
	u32 n = 0;

	if (!s)
		return NULL;
	s->named = nnames;
	for_each_stub(stub, r) {
		const char *name = n < nnames ? stub_name(stub) : NULL;

		if (name)
			str = fill_symbol(s, ++n, str, stub_prefix, name, stub - r->start, FTRACE_STUB_SIZE);
	}
	return s;
}

/* ---- copies of moved instructions ---- */

/* Chunks of them that debuggers were shown, by their addresses. */
static unsigned long copies_shown[FTRACE_MAX_CHUNKS];
static u32 ncopies_shown;

static bool is_shown(unsigned long start)
{
	u32 i = 0;

	while (i < ncopies_shown && copies_shown[i] != start)
		i++;
	return i < ncopies_shown;
}

/* The copies of @c by the names of their functions. */
static struct symfile *name_copies(const struct ftrace_copies *c)
{
	struct ftrace_unwind_region r = {
		.start = c->start,
		.end = c->end,
		.eh_frame = c->room + c->eh_frame,
		.eh_frame_size = c->size - c->eh_frame,
	};
	const struct dyn_ftrace *site;
	struct symfile *s;
	size_t strsize = 0;
	u32 nsyms = 0;
	char *str;

	for (u32 i = 0; i < FTRACE_CHUNK_SITES; i++) {
		site = ftrace_site(c->first + i);
		if (!site || !site->name)
			continue;
		nsyms++;
		strsize += sizeof(copy_prefix) + ft_strlen(site->name);
	}
	s = make_symfile(&r, nsyms, strsize);
	str = s ? strings(s) + 1 : NULL;
	for (u32 i = 0, n = 0; s && i < FTRACE_CHUNK_SITES; i++) {
		site = ftrace_site(c->first + i);
		if (site && site->name)
			str = fill_symbol(s, ++n, str, copy_prefix, site->name,
					  (unsigned long)i * FTRACE_COPY_SIZE, FTRACE_COPY_SIZE);
	}
	return s;
}

static void add_copies(void)
{
	const struct ftrace_copies *c;

	for (u32 i = 0; (c = ftrace_copies_number(i)) && ncopies_shown < FTRACE_MAX_CHUNKS; i++) {
		struct symfile *s = is_shown(c->start) ? NULL : name_copies(c);

		if (!s)
			continue;
		link_symfile(s);
		copies_shown[ncopies_shown++] = c->start;
	}
}

void ftrace_gdb_symbols(void)
{
	add_copies();
	for (u32 i = 0; i < nsymfiles; i++) {
		const struct ftrace_unwind_region *r = regions[i];
		struct symfile *old = symfiles[i], *new;
		size_t strsize;
		u32 nnames = r->named ? count_names(r, &strsize) : 0;

		if (!nnames || (old && old->named == nnames))
			continue;
		new = name_stubs(r, nnames, strsize);
		if (!new)
			continue;
		if (old)
			unlink_symfile(old);
		link_symfile(new);
		symfiles[i] = new;
	}
}

#define MAX_ENVIRONMENT	(256ul << 10)

/* As the program got it: before the C library has begun, nobody else knows. Read once, and kept. */
static bool first_environment_has(const char *assignment)
{
	static char *all;
	static long n;

	if (!all) {
		all = scratch_alloc(MAX_ENVIRONMENT);
		n = all ? ft_read_file("/proc/self/environ", all, MAX_ENVIRONMENT - 1) : 0;
	}
	for (const char *p = all; p - all < n; p += ft_strlen(p) + 1)
		if (!ft_strcmp(p, assignment))
			return true;
	return false;
}

bool ftrace_environment_has(const char *assignment)
{
	if (!environ)
		return first_environment_has(assignment);
	for (char **e = environ; *e; e++)
		if (!ft_strcmp(*e, assignment))
			return true;
	return false;
}

/* Has a debugger its breakpoint where it is told of new files? No system call, and nothing for who runs without. */
static bool is_listened_to(void)
{
#ifdef ARCH_HAS_DETOURS
	return !ft_memcmp((const void *)__jit_debug_register_code, arch_breakpoint, ARCH_BREAKPOINT_SIZE);
#else
	return false;
#endif
}

void ftrace_gdb_update(void)
{
	if (ftrace_environment_has("FTRACE_GDB=symbols"))
		ftrace_gdb_symbols();
	else if (is_listened_to())
		add_copies();
}

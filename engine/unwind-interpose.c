/* SPDX-License-Identifier: MIT */
/*
 * The functions of libc that unwinders ask for call frame information: they know our regions and copies, and pass
 * everything else on.
 *
 * They call libc, unlike the rest of the engine: they are called by unwinders, which come to stubs from the program's
 * side and never from within a traced call's record.
 */
#include "unwind.h"

#include <dlfcn.h>

#include "arch.h"
#include "copy-frames.h"
#include "guest.h"
#include "symbols.h"

/* ---- libc's own ---- */

typedef int find_object_t(void *pc, struct dl_find_object *result);
typedef int phdr_callback_t(struct dl_phdr_info *info, size_t size, void *data);
typedef int iterate_phdr_t(phdr_callback_t *callback, void *data);

/*
 * Weak: in a statically linked program nothing needs to pull these in. There dlsym() finds nothing,
 * unwinders are told by registration (below), and __dl_iterate_phdr() is libc's own if it is there.
 */
extern __typeof__(dlsym) dlsym __attribute__((weak));
extern iterate_phdr_t __dl_iterate_phdr __attribute__((weak));
extern const ElfW(Ehdr) __ehdr_start __attribute__((weak, visibility("hidden")));

static find_object_t find_object;
static iterate_phdr_t iterate_phdr;

static find_object_t *libc_find_object;
static iterate_phdr_t *libc_iterate_phdr;
static struct link_map *own_map;	/* some link_map to show for a stub: this library's */

/* Without a dynamic linker: libc.a's dlsym() may be there, but knows no symbol of the program. */
static bool static_program(void)
{
	return !dlsym || !dlsym(RTLD_DEFAULT, "dl_iterate_phdr");
}

/* The next definition of @name behind ours; or the first, when that is not ours. */
static void *find_next(const char *name, void *ours)
{
	void *func;

	if (static_program())
		return NULL;
	func = dlsym(RTLD_NEXT, name);
	if (!func)
		func = dlsym(RTLD_DEFAULT, name);
	return func == ours ? NULL : func;
}

static find_object_t *get_find_object(void)
{
	find_object_t *func = smp_load_acquire(&libc_find_object);

	if (unlikely(!func)) {
		func = (find_object_t *)find_next("_dl_find_object", (void *)find_object);
		smp_store_release(&libc_find_object, func);
	}
	return func;
}

/* A program without a dynamic linker has one object; its headers are in memory. */
static int static_iterate_phdr(phdr_callback_t *callback, void *data)
{
	struct dl_phdr_info info = {.dlpi_name = "", .dlpi_adds = 1};
	const ElfW(Ehdr) *ehdr = &__ehdr_start;

	if (!ehdr)
		return 0;
	info.dlpi_phdr = (const ElfW(Phdr) *)((const char *)ehdr + ehdr->e_phoff);
	info.dlpi_phnum = ehdr->e_phnum;
	for (u32 i = 0; i < info.dlpi_phnum; i++)
		if (info.dlpi_phdr[i].p_type == PT_LOAD && !info.dlpi_phdr[i].p_offset)
			info.dlpi_addr = (ElfW(Addr))ehdr - info.dlpi_phdr[i].p_vaddr;
	return callback(&info, sizeof(info), data);
}

static iterate_phdr_t *get_iterate_phdr(void)
{
	iterate_phdr_t *func = smp_load_acquire(&libc_iterate_phdr);

	if (unlikely(!func)) {
		func = (iterate_phdr_t *)find_next("dl_iterate_phdr", (void *)iterate_phdr);
		if (!func)
			func = __dl_iterate_phdr ? __dl_iterate_phdr : static_iterate_phdr;
		smp_store_release(&libc_iterate_phdr, func);
	}
	return func;
}

/* ---- interposed ---- */

/* Somebody came here: see interposed(). */
static bool find_reached, iterate_reached;

static void reached(bool *which)
{
	if (unlikely(!READ_ONCE(*which)))
		WRITE_ONCE(*which, true);
}

static int find_object(void *pc, struct dl_find_object *result)
{
	const struct ftrace_unwind_region *r = ftrace_unwind_find((unsigned long)pc);
	const struct ftrace_copies *c = r ? NULL : ftrace_copies_find((unsigned long)pc);
	find_object_t *next;

	reached(&find_reached);
	if (c) {
		*result = (struct dl_find_object){
			.dlfo_map_start = (void *)c->start,
			.dlfo_map_end = (void *)c->end,
			.dlfo_link_map = own_map,
			.dlfo_eh_frame = c->room,
		};
		return 0;
	}
	if (r) {
		*result = (struct dl_find_object){
			.dlfo_map_start = (void *)r->start,
			.dlfo_map_end = (void *)r->end,
			.dlfo_link_map = own_map,
			.dlfo_eh_frame = r->hdr,
		};
		return 0;
	}
	next = get_find_object();
	return next ? next(pc, result) : -1;
}

struct walk {
	phdr_callback_t *callback;
	void *data;
	u64 generation;			/* how many regions there were at the beginning */
	bool shown;
};

static int show_copies(struct walk *w, u64 adds, u64 subs)
{
	const struct ftrace_copies *c;
	int ret = 0;

	for (u32 i = 0; !ret && (c = ftrace_copies_number(i)); i++) {
		const ElfW(Phdr) phdr[2] = {
			{
				.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_filesz = c->end - c->start,
				.p_memsz = c->end - c->start,
				.p_align = FT_PAGE_SIZE,
			}, {
				.p_type = PT_GNU_EH_FRAME,
				.p_flags = PF_R,
				.p_vaddr = (unsigned long)c->room - c->start,
				.p_filesz = c->eh_frame,
				.p_memsz = c->eh_frame,
				.p_align = 4,
			},
		};
		struct dl_phdr_info info = {
			.dlpi_addr = c->start,
			.dlpi_name = "[ftrace]",
			.dlpi_phdr = phdr,
			.dlpi_phnum = ARRAY_SIZE(phdr),
			.dlpi_adds = adds,
			.dlpi_subs = subs,
		};

		ret = w->callback(&info, sizeof(info), w->data);
	}
	return ret;
}

static int show_regions(struct walk *w, u64 adds, u64 subs)
{
	const struct ftrace_unwind_region *r;
	int ret = 0;

	for (u32 i = 0; !ret && (r = ftrace_unwind_region(i)); i++) {
		struct dl_phdr_info info = {
			.dlpi_addr = r->start,
			.dlpi_name = "[ftrace]",
			.dlpi_phdr = r->phdr,
			.dlpi_phnum = ARRAY_SIZE(r->phdr),
			.dlpi_adds = adds,
			.dlpi_subs = subs,
		};

		ret = w->callback(&info, sizeof(info), w->data);
	}
	return ret ? ret : show_copies(w, adds, subs);
}

/*
 * The regions are shown between the first object (by convention the program) and the second, not
 * after all: callbacks rely on the dynamic linker's lock that is held during libc's walk (LLVM's
 * unwinder keeps a cache under it). They take dlpi_adds for the age of what they cached; it
 * counts regions too.
 */
static int walk_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk *w = data;
	u64 adds = 0, subs = 0;
	bool counted = size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(info->dlpi_subs);
	int ret;

	if (counted) {
		adds = info->dlpi_adds + w->generation;
		subs = info->dlpi_subs;
		info->dlpi_adds = adds;
	}
	ret = w->callback(info, size, w->data);
	if (counted)
		info->dlpi_adds = adds - w->generation;
	if (ret || w->shown)
		return ret;
	w->shown = true;
	return show_regions(w, adds, subs);
}

static int iterate_phdr(phdr_callback_t *callback, void *data)
{
	struct walk w = {callback, data, ftrace_unwind_count() + ftrace_copies_count(), false};

	reached(&iterate_reached);
	return get_iterate_phdr()(walk_object, &w);
}

/* Weak: in a static program libc.a's own strong definition may come in too and then counts. */
FTRACE_PUBLIC int _dl_find_object(void *pc, struct dl_find_object *result) __THROW
	__attribute__((weak, alias("find_object")));
FTRACE_PUBLIC int dl_iterate_phdr(phdr_callback_t *callback, void *data)
	__attribute__((weak, alias("iterate_phdr")));

/*
 * On the older architectures libc has what libgcc once had, the search for a pc's FDE by all
 * objects that libc knows of; where it comes before libgcc_s in the order of symbols, libgcc_s calls
 * it, too. So ours comes first.
 */
#ifdef ARCH_LIBC_FINDS_FDE

struct dwarf_eh_bases {
	void *tbase, *dbase, *func;
};

typedef const void *find_fde_t(void *pc, struct dwarf_eh_bases *bases);

/* By an .eh_frame_hdr: its rows are sorted, and relative to its begin. NULL: none is about @pc. */
static const void *fde_in(const char *hdr, unsigned long pc, struct dwarf_eh_bases *bases)
{
	const struct { s32 start, fde; } *row = (const void *)(hdr + 12);
	u32 lo = 0, hi = *(const u32 *)(hdr + 8);
	const u32 *fde;		/* length, its common entry, begin (relative), bytes */

	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if ((unsigned long)hdr + (unsigned long)row[mid].start <= pc)
			lo = mid;
		else
			hi = mid;
	}
	bases->tbase = bases->dbase = NULL;
	bases->func = (void *)((unsigned long)hdr + (unsigned long)row[lo].start);
	fde = (const u32 *)(hdr + row[lo].fde);
	return pc - (unsigned long)bases->func < fde[3] ? fde : NULL;
}

static find_fde_t find_fde;

static find_fde_t *get_find_fde(void)
{
	static find_fde_t *libc_find_fde;
	find_fde_t *func = smp_load_acquire(&libc_find_fde);

	if (unlikely(!func)) {
		func = (find_fde_t *)find_next("_Unwind_Find_FDE", (void *)find_fde);
		smp_store_release(&libc_find_fde, func);
	}
	return func;
}

static const void *find_fde(void *pc, struct dwarf_eh_bases *bases)
{
	const struct ftrace_unwind_region *r = ftrace_unwind_find((unsigned long)pc);
	const struct ftrace_copies *c = r ? NULL : ftrace_copies_find((unsigned long)pc);
	find_fde_t *next;

	if (r)
		return fde_in(r->hdr, (unsigned long)pc, bases);
	if (c)
		return fde_in((const char *)c->room, (unsigned long)pc, bases);
	next = get_find_fde();
	return next ? next(pc, bases) : NULL;
}

FTRACE_PUBLIC const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases)
	__attribute__((weak, alias("find_fde")));

#else

static void *get_find_fde(void)
{
	return NULL;
}

#endif

/* ---- registration, where interposing does not work ---- */

/*
 * libgcc's __register_frame() takes a whole .eh_frame; so does LLVM's second, while its function
 * of the first name takes a single FDE. A process may have both.
 */
void __register_frame(void *eh_frame) __attribute__((weak));
void __unw_add_dynamic_eh_frame_section(unsigned long eh_frame) __attribute__((weak));

static bool must_register;	/* unwinders do not call our functions */

static void register_frames(const struct ftrace_unwind_region *r)
{
	void (*llvm)(unsigned long) = __unw_add_dynamic_eh_frame_section;
	void (*libgcc)(void *) = __register_frame;

	if (!static_program()) {
		llvm = (void (*)(unsigned long))dlsym(RTLD_DEFAULT,
						      "__unw_add_dynamic_eh_frame_section");
		libgcc = (void (*)(void *))dlsym(RTLD_DEFAULT, "__register_frame");
	}
	if (llvm)
		llvm((unsigned long)r->eh_frame);
	else if (libgcc)
		libgcc(r->eh_frame);
}

void ftrace_unwind_tell(const struct ftrace_unwind_region *r)
{
	if (must_register)
		register_frames(r);
}

static int first_object(struct dl_phdr_info *info, size_t size, void *data)
{
	return 1;
}

/*
 * Do references of the program and of libgcc_s come to us? Tried rather than compared: the address
 * of a function may be that of a PLT entry in the program, and a sanitizer's runtime may stand in
 * front of us and pass everything on.
 */
static bool interposed(void)
{
	find_object_t *find;
	iterate_phdr_t *iterate;
	struct dl_find_object result;

	if (static_program())
		return false;
	find = (find_object_t *)dlsym(RTLD_DEFAULT, "_dl_find_object");
	iterate = (iterate_phdr_t *)dlsym(RTLD_DEFAULT, "dl_iterate_phdr");
	if (!find || !iterate)
		return false;
	find_reached = iterate_reached = false;
	find((void *)find_object, &result);
	iterate(first_object, NULL);
	return find_reached && iterate_reached;
}

int ftrace_unwind_init(void)
{
	static bool done;
	const struct ftrace_unwind_region *r;
	struct dl_find_object own;

	if (done)
		return must_register && !static_program() ? -ENOSYS : 0;
	done = true;
	get_iterate_phdr();
	get_find_fde();
	if (get_find_object() && libc_find_object((void *)find_object, &own) == 0)
		own_map = own.dlfo_link_map;
	if (interposed())
		return 0;
	/* With an agent this comes later, under the lock: ftrace_guest_begin(). */
	if (ftrace_is_guest() && (symbols_without_libc || !ftrace_unwind_redirect()))
		return 0;

	must_register = true;
	for (u32 i = 0; (r = ftrace_unwind_region(i)); i++)
		register_frames(r);
	if (static_program())
		return 0;
	return ft_log(-ENOSYS, "unwinding: this library comes behind libc in the order of symbols; "
		      "unwinders other than libgcc_s will not see the callers of traced functions");
}

int ftrace_unwind_redirect(void)
{
	static const struct ftrace_redirection list[] = {
		{ "_dl_find_object", (void *)find_object },
		{ "dl_iterate_phdr", (void *)iterate_phdr },
#ifdef ARCH_LIBC_FINDS_FDE
		{ "_Unwind_Find_FDE", (void *)find_fde },
#endif
	};

	return ftrace_redirect_locked(list, ARRAY_SIZE(list));
}

/* SPDX-License-Identifier: MIT */
/* ftrace_find(): opening an object, and what it looks for put together; see find.h, finder.h. */
#include "arch-site.h"
#include "entry-only.h"
#include "finder.h"
#include "recognise.h"
#include "scratch.h"

/* What an ftrace_finding owns. */
struct owned {
	char *text;		/* all names, and symbols_from */
	size_t text_size, found_size;
};

/* ---- for the parts ---- */

int finder_add(struct finder *f, const struct ftrace_found *site)
{
	if (f->n == f->capacity) {
		u32 capacity = f->capacity ? f->capacity * 2 : 4096;
		struct ftrace_found *fresh = capacity > f->capacity ?
			scratch_alloc((size_t)capacity * sizeof(*fresh)) : NULL;

		if (!fresh)
			return -ENOMEM;
		if (f->n)
			ft_memcpy(fresh, f->found, f->n * sizeof(*fresh));
		scratch_free(f->found, f->capacity * sizeof(*fresh));
		f->found = fresh;
		f->capacity = capacity;
	}
	f->found[f->n++] = *site;
	return 0;
}

int finder_refuse(struct finder *f, u64 vaddr, u64 entry, const char *reason)
{
	struct ftrace_found site = { .vaddr = vaddr, .entry = entry, .reason = reason };

	return finder_add(f, &site);
}

bool finder_begins(struct finder *f, u64 addr)
{
	return symbols_has(&f->symbols, addr) || eh_frame_has(&f->eh, addr);
}

bool finder_containing(struct finder *f, u64 addr, u64 *entry)
{
	u32 i = symbols_lower(&f->symbols, addr);
	const struct func_symbol *sym;
	u64 size;

	if (i) {
		sym = symbols_best(&f->symbols, f->symbols.sym[i - 1].addr);
		*entry = sym->addr;
		if (addr - sym->addr < sym->size)
			return true;
	}
	i = eh_frame_lower(&f->eh, addr);
	if (!i)
		return false;
	*entry = eh_frame_start(&f->eh, i - 1);
	size = eh_frame_size(&f->eh, i - 1);
	return addr - *entry < size;
}

/* By the symbol, else by the unwind table; 0: not known. */
static u64 function_size(struct finder *f, u64 entry)
{
	const struct func_symbol *sym = symbols_best(&f->symbols, entry);
	u32 i;

	if (sym && sym->size)
		return sym->size;
	i = eh_frame_lower(&f->eh, entry);
	return i < f->eh.count && eh_frame_start(&f->eh, i) == entry ? eh_frame_size(&f->eh, i) : 0;
}

u64 finder_room(struct finder *f, u64 entry, u64 addr, u64 avail)
{
	u64 size = function_size(f, entry), end;
	u32 i;

	if (!size) {	/* up to whatever comes next */
		end = addr + avail;
		i = symbols_lower(&f->symbols, entry + 1);
		if (i < f->symbols.n && f->symbols.sym[i].addr < end)
			end = f->symbols.sym[i].addr;
		i = eh_frame_lower(&f->eh, entry + 1);
		if (i < f->eh.count && eh_frame_start(&f->eh, i) < end)
			end = eh_frame_start(&f->eh, i);
		size = end > entry ? end - entry : 0;
	}
	if (addr - entry >= size)
		return 0;
	size -= addr - entry;
	return size < avail ? size : avail;
}

/* ---- what kind of program ---- */

static void look_at_sections(const struct elf *e, struct ftrace_finding *out)
{
	struct elf_section s;
	u32 i;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if (ft_strcmp(s.name, ".go.buildinfo") == 0 ||
		    ft_strcmp(s.name, ".note.go.buildid") == 0 ||
		    ft_strcmp(s.name, ".gopclntab") == 0)
			out->go_runtime = true;
	}
}

/* Symbols that tell of a runtime. */
static void look_at_symbol(const struct elf_symbol *sym, struct ftrace_finding *out)
{
	if (sym->name[0] == '_' && sym->name[1] == '_') {
		out->tsan |= ft_strcmp(sym->name, "__tsan_init") == 0;
		out->asan |= ft_strcmp(sym->name, "__asan_init") == 0;
	} else if (sym->section == SHN_UNDEF) {
		return;
	} else if (ft_starts_with(sym->name, "_ZN2v87Isolate3NewE")) {
		out->no_own_returns = "V8 reads return addresses of calls that compiled code makes of it";
	} else if (ft_strcmp(sym->name, "JNI_CreateJavaVM") == 0) {
		out->no_own_returns = "the Java virtual machine reads return addresses of calls that compiled code makes of it";
	} else if (ft_strcmp(sym->name, "caml_frametable") == 0) {
		out->no_returns = "the OCaml runtime finds values on its stacks by return addresses";
	}
}

static void look_at_symbols(const struct elf *e, u32 type, struct ftrace_finding *out)
{
	struct elf_section s;
	struct elf_symtab t;
	struct elf_symbol sym;
	u32 i;

	if (!elf_find_type(e, type, &s))
		return;
	elf_symtab(e, &s, &t);
	for (i = 0; i < t.count; i++) {
		elf_symbol(e, &t, i, &sym);
		/* Few names begin so: __tsan, __asan, JNI_, caml_, _ZN2v87. */
		if ((sym.name[0] == '_' && sym.name[1] == '_' &&
		     (sym.name[2] == 't' || sym.name[2] == 'a')) ||
		    (sym.name[0] == 'J' && sym.name[1] == 'N') ||
		    (sym.name[0] == 'c' && sym.name[1] == 'a' && sym.name[2] == 'm') ||
		    (sym.name[0] == '_' && sym.name[1] == 'Z' && ft_starts_with(sym.name, "_ZN2v87")))
			look_at_symbol(&sym, out);
	}
}

static void look_at_runtime(struct ftrace_finding *out)
{
	if (out->go_runtime)
		out->no_returns = "the Go runtime moves and scans its stacks";
	else if (out->tsan)
		out->no_returns = "ThreadSanitizer keeps a call stack of its own by return addresses";
}

static bool library_is(const char *needed, const char *name)
{
	return ft_starts_with(needed, name);
}

static void look_at_needed(const struct elf *e, struct ftrace_finding *out)
{
	struct elf_section s, str;
	u32 word = elf_word_size(e);
	u64 i;

	if (!elf_find_type(e, SHT_DYNAMIC, &s) || !s.data || s.link >= e->nsections)
		return;
	elf_section(e, s.link, &str);
	if (!str.data || !str.size || str.data[str.size - 1])
		return;
	for (i = 0; i + 2 * word <= s.size; i += 2 * word) {
		u64 tag = elf_word(e, s.data + i), value = elf_word(e, s.data + i + word);
		const char *needed;

		if (tag == DT_NULL)
			break;
		if (tag != DT_NEEDED || value >= str.size)
			continue;
		needed = (const char *)str.data + value;
		out->tsan |= library_is(needed, "libtsan.so") ||
			     library_is(needed, "libclang_rt.tsan");
		out->asan |= library_is(needed, "libasan.so") ||
			     library_is(needed, "libclang_rt.asan");
	}
}

/* ---- putting it in order ---- */

static bool better(const struct ftrace_found *a, const struct ftrace_found *b)
{
	if (!a->form || !b->form)
		return a->form;
	return a->form < b->form;
}

/* One site a place and a function, the best; sites that would share bytes are refused. */
static void drop_doubles(struct finder *f)
{
	u32 i, n = 0;

	for (i = 0; i < f->n; i++) {
		struct ftrace_found *s = &f->found[i], *last = n ? &f->found[n - 1] : NULL;

		if (last && (s->vaddr == last->vaddr || s->entry == last->entry)) {
			if (better(s, last))
				*last = *s;
			continue;
		}
		if (last && s->form && last->form &&
		    (s->vaddr - last->vaddr < last->len ||
		     (s->form == FTRACE_FORM_SHORT && s->entry - last->vaddr < last->len + (u64)ARCH_SITE_SIZE))) {
			s->form = FTRACE_FORM_NONE;
			s->reason = "its bytes overlap those of the function before it";
		}
		f->found[n++] = *s;
	}
	f->n = n;
}

static bool any_entry_only(struct finder *f, u64 entry)
{
	u32 i = symbols_lower(&f->symbols, entry);

	for (; i < f->symbols.n && f->symbols.sym[i].addr == entry; i++)
		if (entry_only_name(f->symbols.sym[i].name,
				    symbols_name_length(f->symbols.sym[i].name)))
			return true;
	return false;
}

/* Find each site's symbol; returns how many bytes all names take. */
static size_t choose_names(struct finder *f, const char *object)
{
	size_t total = 0;
	u32 i;

	for (i = 0; i < f->n; i++) {
		struct ftrace_found *s = &f->found[i];
		const struct func_symbol *sym = symbols_best(&f->symbols, s->entry);

		s->name = sym ? sym->name : NULL;
		s->size = sym && sym->size ? sym->size : function_size(f, s->entry);
		if (sym) {
			total += symbols_name_length(sym->name) + 1;
			if (any_entry_only(f, s->entry))
				s->flags |= FTRACE_FOUND_ENTRY_ONLY;
		} else {
			s->flags |= FTRACE_FOUND_NAMELESS;
			total += (size_t)ft_snprintf(NULL, 0, "%s+0x%llx", object,
						     (unsigned long long)s->entry) + 1;
		}
	}
	return total;
}

/* Copy everything that outlives the files' mappings. */
static int hand_over(struct finder *f, const char *path, struct ftrace_finding *out)
{
	const char *slash = ft_strrchr(f->real[0] ? f->real : path, '/');
	const char *object = slash ? slash + 1 : path;
	size_t from_size = ft_strlen(f->symbols.from) + 1, size;
	struct owned *owned = ft_alloc(sizeof(*owned));
	char *p;
	u32 i;

	if (!owned)
		return -ENOMEM;
	out->priv = owned;
	size = choose_names(f, object) + from_size;
	finder_mark_readers(f);
	finder_mark_tails(f);
	p = ft_alloc(size);
	if (!p)
		return -ENOMEM;
	owned->text = p;
	owned->text_size = size;
	ft_memcpy(p, f->symbols.from, from_size);
	out->symbols_from = p;
	p += from_size;
	if (!f->n)
		return 0;

	out->found = ft_alloc(f->n * sizeof(*f->found));
	if (!out->found)
		return -ENOMEM;
	owned->found_size = f->n * sizeof(*f->found);
	ft_memcpy(out->found, f->found, owned->found_size);
	out->nfound = f->n;
	for (i = 0; i < f->n; i++) {
		struct ftrace_found *s = &out->found[i];
		size_t len;

		if (s->name) {
			len = symbols_name_length(s->name);
			ft_memcpy(p, s->name, len);
		} else {
			len = (size_t)ft_snprintf(p, size - (size_t)(p - owned->text), "%s+0x%llx",
						  object, (unsigned long long)s->entry);
		}
		p[len] = '\0';
		s->name = p;
		p += len + 1;
		out->nrefused += !s->form;
	}
	return 0;
}

static int find(struct finder *f, const char *path, struct ftrace_finding *out)
{
	const struct elf *e = &f->elf;
	int ret = elf_open(&f->elf, path, f->real);

	if (ret)
		return ret;
	if (e->machine != ARCH_ELF_MACHINE || e->wide != ARCH_ELF_WIDE || e->swapped ||
	    (e->type != ET_EXEC && e->type != ET_DYN))
		return -ENOEXEC;
	ret = elf_load_segments(&f->elf);
	if (ret)
		return ret;
	elf_build_id(e, out->build_id);
	look_at_sections(e, out);
	look_at_symbols(e, SHT_SYMTAB, out);
	look_at_symbols(e, SHT_DYNSYM, out);
	look_at_needed(e, out);
	look_at_runtime(out);

	finder_callees(f);
	if (ARCH_UNLISTED_NOPS || finder_has_tables(e) || f->callees.fentry || f->callees.mcount) {
		eh_frame_open(&f->eh, e);
		ret = symbols_load(&f->symbols, e, f->real, out->build_id);
		if (!ret)
			ret = finder_read_tables(f);
		if (!ret)
			ret = finder_scan_calls(f);
		if (!ret)
			ret = ft_sort(f->found, f->n, sizeof(*f->found));
		if (!ret)
			drop_doubles(f);
	}
	return ret ? ret : hand_over(f, path, out);
}

int ftrace_find(const char *path, struct ftrace_finding *out)
{
	struct finder *f = scratch_alloc(sizeof(*f));
	int ret;

	ft_memset(out, 0, sizeof(*out));
	out->symbols_from = "";
	if (!f)
		return -ENOMEM;
	ret = find(f, path, out);
	symbols_unload(&f->symbols);
	elf_close(&f->elf);
	scratch_free(f->found, f->capacity * sizeof(*f->found));
	scratch_free(f, sizeof(*f));
	if (ret)
		ftrace_find_done(out);
	return ret;
}

void ftrace_find_done(struct ftrace_finding *f)
{
	struct owned *owned = f->priv;

	if (owned) {
		ft_free(f->found, owned->found_size);
		ft_free(owned->text, owned->text_size);
		ft_free(owned, sizeof(*owned));
	}
	ft_memset(f, 0, sizeof(*f));
	f->symbols_from = "";
}

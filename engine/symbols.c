/* SPDX-License-Identifier: MIT */
/* Function symbols and where they come from; see symbols.h. */
#include <fcntl.h>

#include "scratch.h"
#include "symbols.h"

#define DEBUG_ROOT "/usr/lib/debug"

#ifndef STT_GNU_IFUNC
#define STT_GNU_IFUNC 10
#endif

static bool is_function(const struct elf_symbol *sym)
{
	return (sym->type == STT_FUNC || sym->type == STT_GNU_IFUNC) &&
	       sym->section != SHN_UNDEF && sym->section != SHN_ABS && sym->value && sym->name[0];
}

/* An IFUNC's address is its resolver's, which has a symbol of its own. */
static u64 rank_of(const struct elf_symbol *sym)
{
	u64 rank = sym->bind == STB_LOCAL ? SYMBOL_RANK_LOCAL : sym->bind == STB_WEAK ? 1 : 0;

	return sym->type == STT_GNU_IFUNC ? rank + SYMBOL_RANK_IFUNC : rank;
}

/* Room for @t's symbols; there is one growth at most, for .dynsym behind .gnu_debugdata. */
static int make_room(struct symbols *s, const struct elf_symtab *t)
{
	size_t capacity = (size_t)s->n + t->count;
	struct func_symbol *fresh;

	if (capacity <= s->capacity)
		return 0;
	fresh = scratch_alloc(capacity * sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	if (s->n)
		ft_memcpy(fresh, s->sym, s->n * sizeof(*fresh));
	scratch_free(s->sym, s->capacity * sizeof(*fresh));
	s->sym = fresh;
	s->capacity = capacity;
	return 0;
}

/* Add the functions of @e's symbol table of that type (SHT_SYMTAB, SHT_DYNSYM); how many. */
static int add_table(struct symbols *s, const struct elf *e, u32 type)
{
	struct elf_section sec;
	struct elf_symtab t;
	struct elf_symbol sym;
	u32 before = s->n, i;
	int ret;

	if (!elf_find_type(e, type, &sec))
		return 0;
	elf_symtab(e, &sec, &t);
	ret = make_room(s, &t);
	if (ret)
		return ret;
	for (i = 0; i < t.count; i++) {
		elf_symbol(e, &t, i, &sym);
		if (is_function(&sym))
			s->sym[s->n++] = (struct func_symbol){ sym.value, sym.size, sym.name,
							       rank_of(&sym) };
	}
	return s->n - before > INT32_MAX ? INT32_MAX : (int)(s->n - before);
}

/* ---- separate debug files ---- */

static u32 crc32(const u8 *p, size_t n)
{
	u32 table[256], crc = ~0u, i, k;

	for (i = 0; i < 256; i++) {
		table[i] = i;
		for (k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	while (n--)
		crc = table[(crc ^ *p++) & 255] ^ crc >> 8;
	return ~crc;
}

/*
 * Take the symbols of the debug file at @path if it is this object's: the same build id, or where
 * the object has none, the checksum its debug link names. Returns how many.
 */
static int try_debug_file(struct symbols *s, const struct elf *e, const char *path,
			  const char *build_id, u32 crc)
{
	char its_id[41];
	int ret;

	if (elf_open(&s->debug, path, NULL) < 0)
		return 0;
	elf_build_id(&s->debug, its_id);
	ret = s->debug.machine == e->machine && s->debug.wide == e->wide &&
	      s->debug.swapped == e->swapped &&
	      (build_id[0] ? ft_strcmp(build_id, its_id) == 0 :
	       crc32(s->debug.data, s->debug.size) == crc);
	if (ret)
		ret = add_table(s, &s->debug, SHT_SYMTAB);
	if (ret <= 0)
		elf_close(&s->debug);
	else
		ft_memcpy(s->from, path, ft_strlen(path) + 1);
	return ret;
}

static int add_debug_file(struct symbols *s, const struct elf *e, const char *real,
			  const char *build_id)
{
	/* The folder of the object, with its last slash; the same below the debug root. */
	const char *slash = ft_strrchr(real, '/'), *link;
	int dir = slash ? (int)(slash - real) + 1 : 0, ret = 0;
	char path[ELF_PATH_MAX];
	u32 crc = 0, i;

	if (ft_strlen(build_id) > 2) {
		ft_snprintf(path, sizeof(path), DEBUG_ROOT "/.build-id/%.2s/%s.debug", build_id,
			    build_id + 2);
		ret = try_debug_file(s, e, path, build_id, 0);
	}
	link = elf_debug_link(e, &crc);
	for (i = 0; i < 3 && link && !ret; i++) {
		int len = ft_snprintf(path, sizeof(path), "%s%.*s%s%s", i == 2 ? DEBUG_ROOT : "",
				      dir, real, i == 1 ? ".debug/" : "", link);

		/* A link that names the object itself would only be read in vain. */
		if (len < (int)sizeof(path) && ft_strcmp(path, real) != 0)
			ret = try_debug_file(s, e, path, build_id, crc);
	}
	return ret;
}

/* ---- .gnu_debugdata: a small ELF file with a .symtab, compressed ---- */

static int add_debug_data(struct symbols *s, const struct elf *e)
{
	struct elf_section sec;
	int ret = 0;

	if (!elf_find_section(e, ".gnu_debugdata", &sec) || !sec.data)
		return 0;
	s->unpacked = symbols_unxz(sec.data, (size_t)sec.size, &s->unpacked_size);
	if (!s->unpacked)
		return 0;
	if (elf_from_memory(&s->debug, s->unpacked, s->unpacked_size) == 0)
		ret = add_table(s, &s->debug, SHT_SYMTAB);
	return ret;
}

static void set_from(struct symbols *s, const char *from)
{
	ft_memcpy(s->from, from, ft_strlen(from) + 1);
}

static int load(struct symbols *s, const struct elf *e, const char *real, const char *build_id)
{
	int ret = add_table(s, e, SHT_SYMTAB);

	if (ret) {
		s->complete = true;
		set_from(s, ".symtab");
		return ret;
	}
	ret = add_debug_file(s, e, real, build_id);
	if (ret) {
		s->complete = true;
		return ret;
	}
	ret = add_debug_data(s, e);
	if (ret < 0)
		return ret;
	if (ret)
		set_from(s, ".gnu_debugdata");
	ret = add_table(s, e, SHT_DYNSYM);
	if (ret > 0 && !s->from[0])
		set_from(s, ".dynsym");
	return ret;
}

int symbols_load(struct symbols *s, const struct elf *e, const char *real, const char *build_id)
{
	int ret = load(s, e, real, build_id);

	return ret < 0 ? ret : ft_sort(s->sym, s->n, sizeof(*s->sym));
}

void symbols_unload(struct symbols *s)
{
	scratch_free(s->sym, s->capacity * sizeof(*s->sym));
	elf_close(&s->debug);
	scratch_free(s->unpacked, s->unpacked_size);
	ft_memset(s, 0, sizeof(*s));
}

u32 symbols_lower(struct symbols *s, u64 addr)
{
	u32 lo = 0, hi = s->n, step = 1;

	/* Sites are looked up in rising order: widen the range from the last answer. */
	if (s->hint < s->n && s->sym[s->hint].addr < addr) {
		lo = s->hint + 1;
		while (lo < hi && step < hi - lo && s->sym[lo + step].addr < addr) {
			lo += step + 1;
			step *= 2;
		}
		if (lo < hi && step < hi - lo)
			hi = lo + step;
	} else {
		/* Or just before it: the landing pad of the same function. */
		for (step = 0; step < 4 && s->hint && s->sym[s->hint - 1].addr >= addr; step++)
			s->hint--;
		if (!s->hint || s->sym[s->hint - 1].addr < addr)
			return s->hint;
	}
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->sym[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	s->hint = lo;
	return lo;
}

bool symbols_has(struct symbols *s, u64 addr)
{
	u32 i = symbols_lower(s, addr);

	return i < s->n && s->sym[i].addr == addr;
}

size_t symbols_name_length(const char *name)
{
	size_t len = 0;

	while (name[len] && (name[len] != '@' || !len))
		len++;
	return len;
}

static bool better(const struct func_symbol *a, const struct func_symbol *b)
{
	size_t la, lb;
	int cmp;

	if (a->rank != b->rank)
		return a->rank < b->rank;
	la = symbols_name_length(a->name);
	lb = symbols_name_length(b->name);
	if (la != lb)
		return la < lb;
	cmp = ft_strncmp(a->name, b->name, la);
	return cmp < 0 || (!cmp && a->size > b->size);
}

const struct func_symbol *symbols_best(struct symbols *s, u64 addr)
{
	u32 i = symbols_lower(s, addr), best = i;

	if (i >= s->n || s->sym[i].addr != addr)
		return NULL;
	while (++i < s->n && s->sym[i].addr == addr)
		if (better(&s->sym[i], &s->sym[best]))
			best = i;
	return &s->sym[best];
}

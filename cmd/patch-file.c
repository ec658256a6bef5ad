/* SPDX-License-Identifier: MIT */
/*
 * Reading a patch. Its segments are put where the loader would put them, at address 0, and the relocations are
 * applied that make pointers to itself; then the records can be read as the running patch would find them.
 */
#include "cmd/patch-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ftrace/patch-records.h>

#include "cmd/cmd.h"
#include "arch/inject.h"
#include "engine/elf-file.h"
#include "recognise.h"

#define MAX_SIZE	(256ul << 20)
#define MAX_RECORDS	65536u

static int damaged(const struct patch_file *p)
{
	return cmd_error("%s: cut short or damaged; build it again", p->path);
}

static int no_patch(const struct patch_file *p)
{
	return cmd_error("%s: not a patch; compile a file that includes <ftrace/patch.h> with 'cc -shared -fPIC'",
			 p->path);
}

/* ---- the file ---- */

static int read_file(struct patch_file *p)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return cmd_error("%s: %s", p->path, strerror(errno));
	if (fstat(fd, &st))
		err = cmd_error("%s: %s", p->path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size < 64)
		err = no_patch(p);
	else if ((size_t)st.st_size > MAX_SIZE)
		err = cmd_error("%s: larger than any patch (%lu MiB at most)", p->path, MAX_SIZE >> 20);
	p->size = err ? 0 : (size_t)st.st_size;
	p->data = err ? NULL : malloc(p->size);
	if (!err && !p->data)
		err = cmd_error("%s: no memory", p->path);
	for (size_t at = 0; !err && at < p->size; at += (size_t)n) {
		n = read(fd, (char *)p->data + at, p->size - at);
		if (n <= 0)
			err = cmd_error("%s: %s", p->path, n ? strerror(errno) : "changed while it was read");
	}
	close(fd);
	return err;
}

/* FNV-1a, of everything: a patch that was built again, or stamped, is another. */
static void make_id(struct patch_file *p)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < p->size; i++)
		hash = (hash ^ ((const uint8_t *)p->data)[i]) * 0x100000001b3ull;
	snprintf(p->id, sizeof(p->id), "%016llx", (unsigned long long)hash);
}

/* ---- its image ---- */

static bool in_image(const struct patch_file *p, uint64_t addr, uint64_t len)
{
	return len <= p->image_size && addr <= p->image_size - len;
}

static int make_image(struct patch_file *p, struct elf *e)
{
	for (uint32_t i = 0; i < e->nloads; i++)
		if (e->load[i].vaddr > MAX_SIZE || e->load[i].size > MAX_SIZE)
			return damaged(p);
		else if (e->load[i].vaddr + e->load[i].size > p->image_size)
			p->image_size = e->load[i].vaddr + e->load[i].size;
	/* A string at its end must end. */
	p->image = calloc(1, p->image_size + 8);
	if (!p->image)
		return cmd_error("%s: no memory", p->path);
	for (uint32_t i = 0; i < e->nloads; i++)
		memcpy(p->image + e->load[i].vaddr, e->load[i].data, e->load[i].size);
	return 0;
}

/* The word at @addr, as wide as the patch's are; 0: it is not in the image. */
static uint64_t word_at(const struct patch_file *p, uint64_t addr)
{
	uint64_t wide = 0;
	uint32_t narrow = 0;

	if (p->wide && in_image(p, addr, sizeof(wide)))
		memcpy(&wide, p->image + addr, sizeof(wide));
	if (!p->wide && in_image(p, addr, sizeof(narrow)))
		memcpy(&narrow, p->image + addr, sizeof(narrow));
	return p->wide ? wide : narrow;
}

static uint32_t word_size(const struct patch_file *p)
{
	return p->wide ? 8 : 4;
}

static void set_word(struct patch_file *p, uint64_t addr, uint64_t word)
{
	uint32_t narrow = (uint32_t)word;

	if (p->wide)
		memcpy(p->image + addr, &word, sizeof(word));
	else
		memcpy(p->image + addr, &narrow, sizeof(narrow));
}

static void relocate(struct patch_file *p, const struct elf *e)
{
	struct elf_section s, symbols;
	struct elf_symtab table;
	struct elf_symbol sym;
	struct elf_rel rel;

	for (uint32_t i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if ((s.type != SHT_RELA && s.type != SHT_REL) || !(s.flags & SHF_ALLOC) || !s.data)
			continue;
		memset(&table, 0, sizeof(table));
		if (s.link && s.link < e->nsections) {
			elf_section(e, s.link, &symbols);
			elf_symtab(e, &symbols, &table);
		}
		for (uint64_t k = 0; k < elf_nrels(e, &s); k++) {
			uint64_t word;

			elf_rel(e, &s, k, &rel);
			if (!in_image(p, rel.offset, word_size(p)))
				continue;
			word = s.type == SHT_RELA ? (uint64_t)rel.addend : word_at(p, rel.offset);
			if (rel.type == ARCH_R_WORD && rel.sym < table.count) {
				elf_symbol(e, &table, rel.sym, &sym);
				word += sym.section == SHN_UNDEF ? 0 : sym.value;
			} else if (rel.type != ARCH_R_RELATIVE) {
				continue;
			}
			set_word(p, rel.offset, word);
		}
	}
}

/* ---- its records ---- */

/* Where in a record, and in the root, is what (<ftrace/patch-records.h>): words behind the first 8 bytes. */
enum { RECORD_POS, RECORD_OBJECT, RECORD_FILE, RECORD_NAME, RECORD_TEXT, RECORD_FUNC, RECORD_WORDS = RECORD_FUNC + 4 };
enum { ROOT_RECORDS, ROOT_END, ROOT_STAMPS = 7 };

static uint64_t nth_word(const struct patch_file *p, uint64_t at, unsigned int n)
{
	return word_at(p, at + 8 + n * word_size(p));
}

static uint64_t record_size(const struct patch_file *p)
{
	return (8 + RECORD_WORDS * word_size(p) + 7) & -8ull;
}

static uint64_t root_size(const struct patch_file *p)
{
	return 8 + ROOT_STAMPS * word_size(p) + KLP_MAX_STAMPS * sizeof(struct klp_stamp);
}

_Static_assert(offsetof(struct klp_record, func) == 8 + RECORD_FUNC * sizeof(long) &&
	       offsetof(struct klp_patch_root, stamps) == 8 + ROOT_STAMPS * sizeof(long), "as it is read here");

static bool find_root(struct patch_file *p, const struct elf *e)
{
	struct elf_section s;
	struct elf_symtab table;
	struct elf_symbol sym;

	if (!elf_find_type(e, SHT_DYNSYM, &s))
		return false;
	elf_symtab(e, &s, &table);
	for (uint32_t i = 0; i < table.count; i++) {
		elf_symbol(e, &table, i, &sym);
		if (sym.section == SHN_UNDEF || strcmp(sym.name, "klp_patch_root"))
			continue;
		p->root = sym.value;
		for (uint32_t k = 0; k < e->nloads; k++)
			if (sym.value - e->load[k].vaddr < e->load[k].size)
				p->root_offset = sym.value - e->load[k].vaddr +
						 (uint64_t)(e->load[k].data - e->data);
		return in_image(p, p->root, root_size(p)) && p->root_offset &&
		       p->root_offset + root_size(p) <= p->size;
	}
	return false;
}

static const struct klp_stamp *stamps_of(const struct patch_file *p)
{
	return (const void *)(p->image + p->root + 8 + ROOT_STAMPS * word_size(p));
}

/* -1: it points out of the image. */
static int string_at(const struct patch_file *p, uint64_t pointer, const char **string)
{
	*string = pointer ? (const char *)p->image + pointer : NULL;
	return !pointer || in_image(p, pointer, 1) ? 0 : -1;
}

/* The one at @at, of which the @number-th it is. */
static int add_record(struct patch_file *p, uint64_t at, uint32_t kind, uint32_t number)
{
	struct patch_record *more = realloc(p->records, (p->nrecords + 1) * sizeof(*more)), *r;

	if (!more)
		return cmd_error("%s: no memory", p->path);
	p->records = more;
	r = &more[p->nrecords++];
	*r = (struct patch_record){ .kind = kind, .number = number, .pos = nth_word(p, at, RECORD_POS) };
	if (string_at(p, nth_word(p, at, RECORD_OBJECT), &r->object) ||
	    string_at(p, nth_word(p, at, RECORD_FILE), &r->file) ||
	    string_at(p, nth_word(p, at, RECORD_NAME), &r->name) ||
	    string_at(p, nth_word(p, at, RECORD_TEXT), &r->text))
		return damaged(p);
	for (unsigned int i = 0; i < 4; i++)
		r->func[i] = nth_word(p, at, RECORD_FUNC + i);
	if (((r->kind == KLP_RECORD_FUNC || r->kind == KLP_RECORD_SYMBOL) && (!r->name || !*r->name)) ||
	    (r->kind == KLP_RECORD_SYMBOL && !r->text) ||
	    (r->kind == KLP_RECORD_FUNC && !in_image(p, r->func[0], 1)) ||
	    (r->kind == KLP_RECORD_BUILD_ID && !r->text))
		return damaged(p);
	if (r->kind == KLP_RECORD_FUNC && !r->func[0])
		return cmd_error("%s: nothing is there to replace %s by", p->path, r->name);
	return 0;
}

static void set_name(struct patch_file *p, const char *name)
{
	size_t n = 0;

	for (; *name && n + 1 < sizeof(p->name); name++)
		p->name[n++] = strchr("/ =?\n\t", *name) ? '-' : *name;
	p->name[n] = 0;
}

static int read_records(struct patch_file *p)
{
	uint64_t at = nth_word(p, p->root, ROOT_RECORDS), end = nth_word(p, p->root, ROOT_END), magic;
	uint32_t number = 0, nfuncs = 0, head[2];	/* of a record: magic, kind */

	memcpy(&magic, p->image + p->root, sizeof(magic));
	if (magic != KLP_ROOT_MAGIC)
		return cmd_error("%s: was built for another version of libftrace; build it again with the headers of this one",
				 p->path);
	if (at > end || !in_image(p, at, end - at) || at % 8)
		return damaged(p);
	for (; at + record_size(p) <= end; at += 8) {
		const struct patch_record *r;

		memcpy(head, p->image + at, sizeof(head));
		if (head[0] != KLP_RECORD_MAGIC)
			continue;
		if (number == MAX_RECORDS || add_record(p, at, head[1], number++))
			return -1;
		r = &p->records[p->nrecords - 1];
		if (r->kind == KLP_RECORD_PATCH && r->name)
			set_name(p, r->name);
		if (r->kind == KLP_RECORD_PATCH && r->text)
			snprintf(p->version, sizeof(p->version), "%s", r->text);
		p->replace |= r->kind == KLP_RECORD_REPLACE;
		nfuncs += r->kind == KLP_RECORD_FUNC;
		at += record_size(p) - 8;
	}
	return nfuncs ? 0 : cmd_error("%s: replaces nothing; KLP_REPLACE() says what", p->path);
}

/* Two declarations of one name could only be one symbol. */
static int check_names(const struct patch_file *p)
{
	for (size_t i = 0; i < p->nrecords; i++) {
		const struct patch_record *a = &p->records[i];

		for (size_t k = 0; k < i && (a->kind == KLP_RECORD_SYMBOL || a->kind == KLP_RECORD_FUNC); k++) {
			const struct patch_record *b = &p->records[k];

			if (a->kind != b->kind)
				continue;
			if (a->kind == KLP_RECORD_SYMBOL && !strcmp(a->text, b->text) &&
			    (strcmp(a->name, b->name) || a->pos != b->pos ||
			     !patch_same_object(a->object, b->object) || !patch_same_object(a->file, b->file)))
				return cmd_error("%s: %s is declared twice, and differently; use KLP_SYMBOL_AT() with different names",
						 p->path, a->text + strlen(KLP_ALIAS_));
			if (a->kind == KLP_RECORD_FUNC && !strcmp(a->name, b->name) && a->pos == b->pos &&
			    patch_same_object(a->object, b->object) && patch_same_object(a->file, b->file))
				return cmd_error("%s: %s is replaced twice", p->path, a->name);
		}
	}
	return 0;
}

static int check_elf(struct patch_file *p, struct elf *e)
{
	int err = elf_from_memory(e, p->data, p->size);

	if (err)
		return err == -ENOEXEC ? no_patch(p) : damaged(p);
	if (e->type != ET_DYN)
		return cmd_error("%s: not a shared object; link it with 'cc -shared'", p->path);
	if (!inject_abi(p->data, e->machine))
		return cmd_error("%s: for another kind of processor; build it for this machine's programs", p->path);
	p->wide = e->wide;
	if (elf_load_segments(e))
		return damaged(p);
	return 0;
}

int patch_file_open(struct patch_file *p, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char name[NAME_MAX + 1];
	struct elf e;
	int err;

	*p = (struct patch_file){ .path = path };
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	set_name(p, *name ? name : base);
	err = read_file(p);
	if (!err)
		err = check_elf(p, &e);
	if (!err)
		err = make_image(p, &e);
	if (!err && !find_root(p, &e))
		err = no_patch(p);
	if (!err) {
		relocate(p, &e);
		make_id(p);
		err = read_records(p) || check_names(p);
	}
	if (!err && !*p->name)
		err = cmd_error("%s: its name is empty", path);
	if (err)
		patch_file_close(p);
	return err ? -1 : 0;
}

void patch_file_close(struct patch_file *p)
{
	free(p->records);
	free(p->image);
	free(p->data);
	*p = (struct patch_file){ .path = p->path };
}

/* ---- which builds it is for ---- */

bool patch_same_object(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

const char *patch_object_name(const char *object)
{
	return object ? object : "the executable";
}

const char *patch_file_build_id(const struct patch_file *p, const char *object)
{
	const struct klp_stamp *stamps = stamps_of(p);

	for (int i = 0; i < KLP_MAX_STAMPS; i++)
		if (stamps[i].build_id[0] &&
		    patch_same_object(stamps[i].object[0] ? stamps[i].object : NULL, object))
			return stamps[i].build_id;
	for (size_t i = 0; i < p->nrecords; i++)
		if (p->records[i].kind == KLP_RECORD_BUILD_ID &&
		    patch_same_object(p->records[i].object, object))
			return p->records[i].text;
	return NULL;
}

/* A new file in the place of the old: whoever has that loaded, or is reading it, keeps what it has. */
static int write_file(const struct patch_file *p)
{
	char part[PATH_MAX], real[PATH_MAX];
	struct stat st;
	int fd, err = 0;

	if (!realpath(p->path, real) || stat(real, &st))
		return cmd_error("%s: %s", p->path, strerror(errno));
	if (snprintf(part, sizeof(part), "%s.XXXXXX", real) >= (int)sizeof(part))
		return cmd_error("%s: its name is too long", p->path);
	fd = mkstemp(part);
	if (fd < 0)
		return cmd_error("%s: cannot be written: %s", p->path, strerror(errno));
	for (size_t at = 0; !err && at < p->size;) {
		ssize_t n = write(fd, (const char *)p->data + at, p->size - at);

		err = n < 0;
		at += n < 0 ? 0 : (size_t)n;
	}
	if (err || fchmod(fd, st.st_mode & 07777) || rename(part, real))
		err = cmd_error("%s: cannot be written: %s", p->path, strerror(errno));
	close(fd);
	if (err)
		unlink(part);
	return err ? -1 : 0;
}

int patch_file_stamp(struct patch_file *p, const char *object, const char *build_id)
{
	struct klp_stamp *stamps = (void *)((char *)p->data + p->root_offset + 8 + ROOT_STAMPS * word_size(p));
	struct klp_stamp *s = NULL;

	for (int i = KLP_MAX_STAMPS - 1; i >= 0; i--)
		if (!stamps[i].build_id[0] && !s)
			s = &stamps[i];
	for (int i = 0; i < KLP_MAX_STAMPS; i++)
		if (stamps[i].build_id[0] &&
		    patch_same_object(stamps[i].object[0] ? stamps[i].object : NULL, object))
			s = &stamps[i];
	if (!s || (object && strlen(object) >= sizeof(s->object)) || strlen(build_id) >= sizeof(s->build_id))
		return cmd_error("%s: has no room for the build-id of %s", p->path, patch_object_name(object));
	memset(s, 0, sizeof(*s));
	if (object)
		strcpy(s->object, object);
	strcpy(s->build_id, build_id);
	return write_file(p);
}

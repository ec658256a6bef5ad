/* SPDX-License-Identifier: MIT */
/* Where exceptions land: the landing pads that the unwind entries' language-specific data name. */
#include "planner/internal.h"

/* Pointer encodings (DW_EH_PE_*). */
enum { PE_FORM = 0x0f, PE_BASE = 0x70, PE_PCREL = 0x10, PE_INDIRECT = 0x80, PE_OMIT = 0xff };

/* Bytes of the file being read; @at: where they are in memory. */
struct bytes {
	const struct elf *elf;
	const u8 *p, *end;
	u64 at;
	bool bad;		/* run out, or not understood */
};

static u64 fixed(struct bytes *b, unsigned int size)
{
	const u8 *p = b->p;

	if ((size_t)(b->end - p) < size) {
		b->bad = true;
		b->p = b->end;
		return 0;
	}
	b->p += size;
	b->at += size;
	switch (size) {
	case 1:
		return *p;
	case 2:
		return elf_u16(b->elf, p);
	case 4:
		return elf_u32(b->elf, p);
	default:
		return elf_u64(b->elf, p);
	}
}

static u64 leb(struct bytes *b, bool sign)
{
	unsigned int shift = 0;
	u64 v = 0;
	u8 byte;

	do {
		byte = (u8)fixed(b, 1);
		if (shift < 64)
			v |= (u64)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && !b->bad);
	if (sign && byte & 0x40 && shift < 64)
		v |= ~0ull << shift;
	return v;
}

/* A pointer, or an offset if @encoding has no base; 0 is no pointer. */
static u64 encoded(struct bytes *b, u8 encoding)
{
	u64 from = b->at, v;

	switch (encoding & PE_FORM) {
	case 0x00:
		v = fixed(b, elf_word_size(b->elf));
		break;
	case 0x01:
		v = leb(b, false);
		break;
	case 0x02:
		v = fixed(b, 2);
		break;
	case 0x03:
		v = fixed(b, 4);
		break;
	case 0x04:
	case 0x0c:
		v = fixed(b, 8);
		break;
	case 0x09:
		v = leb(b, true);
		break;
	case 0x0a:
		v = (u64)(s64)(int16_t)fixed(b, 2);
		break;
	case 0x0b:
		v = (u64)(s64)(s32)fixed(b, 4);
		break;
	default:
		b->bad = true;
		return 0;
	}
	if (v && (encoding & PE_BASE) == PE_PCREL)
		v += from;
	else if (encoding & (PE_BASE | PE_INDIRECT))
		b->bad = b->bad || encoding & PE_INDIRECT || (encoding & PE_BASE) != PE_PCREL;
	return v;
}

/* How the common entry says that pointers to the data are written; PE_OMIT: it has none. */
static u8 data_encoding(const struct elf *elf, const struct eh_entry *entry)
{
	struct bytes b = { .elf = elf, .p = entry->cie, .end = entry->cie_end };
	u8 version = (u8)fixed(&b, 1), found = PE_OMIT;
	const u8 *aug = b.p;

	while (fixed(&b, 1) && !b.bad)
		;
	if (b.bad || *aug != 'z')
		return PE_OMIT;
	leb(&b, false);
	leb(&b, true);
	if (version == 1)
		fixed(&b, 1);
	else
		leb(&b, false);
	leb(&b, false);
	while (*++aug && !b.bad) {
		u8 encoding;

		switch (*aug) {
		case 'L':
			found = (u8)fixed(&b, 1);
			break;
		case 'R':
			fixed(&b, 1);
			break;
		case 'P':
			encoding = (u8)fixed(&b, 1);
			/* Only its length is of interest. */
			encoded(&b, encoding & PE_FORM);
			break;
		case 'S':
		case 'B':
			break;
		default:
			return PE_OMIT;
		}
	}
	return b.bad ? PE_OMIT : found;
}

/* Mark the landing pads of the function at @start, whose data is at @data. Returns the bytes read. */
static u64 read_table(struct planner *p, u64 start, u64 data)
{
	const struct elf *e = &p->finder.elf;
	struct bytes b = { .elf = e, .at = data };
	u64 avail, base = start, len;
	u8 encoding;

	b.p = elf_at(e, data, &avail);
	if (!b.p)
		return 0;
	b.end = b.p + avail;
	encoding = (u8)fixed(&b, 1);
	if (encoding != PE_OMIT)
		base = encoded(&b, encoding);
	encoding = (u8)fixed(&b, 1);
	if (encoding != PE_OMIT)
		leb(&b, false);
	encoding = (u8)fixed(&b, 1);
	len = leb(&b, false);
	if (b.bad || len > (u64)(b.end - b.p))
		return 0;
	b.end = b.p + len;
	while (b.p < b.end && !b.bad) {
		u64 pad;

		encoded(&b, encoding);
		encoded(&b, encoding);
		pad = encoded(&b, encoding);
		leb(&b, false);
		if (!b.bad && pad)
			planner_mark(p, base + pad, MARK_TARGET);
	}
	return len;
}

void landing_pads(struct planner *p)
{
	const struct eh_frame *eh = &p->finder.eh;
	const struct elf *e = &p->finder.elf;
	u64 budget = 2 * (u64)e->size;
	const u8 *cie = NULL;
	u8 encoding = PE_OMIT;
	u32 i, k;

	for (i = 0; i < eh->count && budget; i++) {
		struct eh_entry entry;
		struct bytes b = { .elf = e };
		u64 data, read;

		if (!eh_frame_entry(eh, i, &entry))
			continue;
		if (entry.cie != cie) {
			cie = entry.cie;
			encoding = data_encoding(e, &entry);
		}
		if (encoding == PE_OMIT)
			continue;
		b.p = entry.fde + 2 * entry.addr_size;
		b.end = entry.fde_end;
		for (k = 0; k < e->nloads; k++)
			if ((u64)(b.p - e->load[k].data) < e->load[k].size)
				b.at = e->load[k].vaddr + (u64)(b.p - e->load[k].data);
		leb(&b, false);
		data = encoded(&b, encoding);
		if (b.bad || !data)
			continue;
		read = read_table(p, eh_frame_start(eh, i), data);
		budget = read < budget ? budget - read : 0;
	}
}

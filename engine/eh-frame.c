/* SPDX-License-Identifier: MIT */
/* The sorted table of PT_GNU_EH_FRAME; see eh-frame.h. */
#include "eh-frame.h"

#ifndef PT_GNU_EH_FRAME
#define PT_GNU_EH_FRAME 0x6474e550
#endif

/* Pointer encodings (DW_EH_PE_*). */
enum { PE_ABS = 0x00, PE_UDATA4 = 0x03, PE_UDATA8 = 0x04, PE_SDATA4 = 0x0b, PE_SDATA8 = 0x0c,
       PE_FORM = 0x0f, PE_DATAREL = 0x30, PE_OMIT = 0xff };

#define HDR_SIZE 12u	/* version, three encodings, address of .eh_frame, count */

void eh_frame_open(struct eh_frame *t, const struct elf *e)
{
	const u8 *h = NULL;
	u64 vaddr = 0, avail;
	u32 i;

	ft_memset(t, 0, sizeof(*t));
	t->elf = e;
	for (i = 0; i < e->nsegments && !h; i++) {
		const u8 *p = e->phdrs + (size_t)i * (e->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));

		if (elf_u32(e, p) != PT_GNU_EH_FRAME)
			continue;
		vaddr = elf_word(e, p + (e->wide ? offsetof(Elf64_Phdr, p_vaddr) :
					 offsetof(Elf32_Phdr, p_vaddr)));
		h = elf_at(e, vaddr, &avail);
	}
	if (!h || avail < HDR_SIZE || h[0] != 1 || (h[1] & PE_FORM) == PE_UDATA8 ||
	    (h[1] & PE_FORM) == PE_SDATA8 || h[1] == PE_OMIT || (e->wide && h[1] == PE_ABS) ||
	    h[2] != PE_UDATA4 || h[3] != (PE_DATAREL | PE_SDATA4))
		return;
	t->count = elf_u32(e, h + 8);
	if (t->count > (avail - HDR_SIZE) / 8)
		t->count = 0;
	t->table = h + HDR_SIZE;
	t->base = vaddr;
}

static u64 offset_from(const struct eh_frame *t, const u8 *p)
{
	u64 addr = t->base + (u64)(s64)(s32)elf_u32(t->elf, p);

	return t->elf->wide ? addr : (u32)addr;
}

u64 eh_frame_start(const struct eh_frame *t, u32 i)
{
	return offset_from(t, t->table + 8 * (size_t)i);
}

u32 eh_frame_lower(const struct eh_frame *t, u64 addr)
{
	u32 lo = 0, hi = t->count;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (eh_frame_start(t, mid) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool eh_frame_has(const struct eh_frame *t, u64 addr)
{
	u32 i = eh_frame_lower(t, addr);

	return i < t->count && eh_frame_start(t, i) == addr;
}

static const u8 *skip_leb128(const u8 *p, const u8 *end)
{
	while (p < end && *p & 0x80)
		p++;
	return p < end ? p + 1 : end;
}

static unsigned int encoded_size(const struct elf *e, u8 encoding)
{
	switch (encoding & 7) {
	case PE_ABS:
		return elf_word_size(e);
	case 2:
		return 2;
	case 3:
		return 4;
	case 4:
		return 8;
	}
	return 0;
}

/*
 * How a common information entry says addresses are written; PE_OMIT: cannot be told.
 * @p: behind its length and id.
 */
static u8 address_encoding(const struct elf *e, const u8 *p, const u8 *end)
{
	const u8 *aug = p + 1;
	u8 version;

	if (p >= end)
		return PE_OMIT;
	version = *p;
	while (p < end && *p)
		p++;		/* version and augmentation string: neither is 0 inside */
	if (p >= end || aug > p)
		return PE_OMIT;
	if (*aug != 'z')
		return *aug ? PE_OMIT : PE_ABS;
	p = skip_leb128(p + 1, end);			/* code alignment */
	p = skip_leb128(p, end);			/* data alignment */
	p = version == 1 ? p + 1 : skip_leb128(p, end);	/* return address column */
	if (p >= end)
		return PE_OMIT;
	p = skip_leb128(p, end);			/* length of what follows */
	for (aug++; *aug; aug++) {
		if (p >= end)
			return *aug == 'S' || *aug == 'B' ? PE_ABS : PE_OMIT;
		switch (*aug) {
		case 'R':
			return *p;
		case 'L':
			p++;
			break;
		case 'P':
			if (!encoded_size(e, *p) || end - p <= (long)encoded_size(e, *p))
				return PE_OMIT;
			p += 1 + encoded_size(e, *p);
			break;
		case 'S':
		case 'B':
			break;
		default:
			return PE_OMIT;
		}
	}
	return PE_ABS;
}

bool eh_frame_entry(const struct eh_frame *t, u32 i, struct eh_entry *entry)
{
	const struct elf *e = t->elf;
	u64 fde_at = offset_from(t, t->table + 8 * (size_t)i + 4), avail, cie_avail;
	const u8 *fde = elf_at(e, fde_at, &avail), *cie;
	unsigned int size;
	u32 len, back;
	u8 encoding;

	if (!fde || avail < 8)
		return false;
	len = elf_u32(e, fde);
	back = elf_u32(e, fde + 4);
	if (len > avail - 4 || len < 4)		/* 0xffffffff, a 64-bit length, is too much as well */
		return false;
	cie = elf_at(e, fde_at + 4 - back, &cie_avail);
	if (!cie || cie_avail < 8 || elf_u32(e, cie + 4) != 0 || elf_u32(e, cie) > cie_avail - 4 ||
	    elf_u32(e, cie) < 4)
		return false;
	entry->cie = cie + 8;
	entry->cie_end = cie + 4 + elf_u32(e, cie);
	encoding = address_encoding(e, entry->cie, entry->cie_end);
	size = encoding == PE_OMIT ? 0 : encoded_size(e, encoding);
	if (size < 4 || len < 4 + 2 * size)
		return false;
	entry->fde = fde + 8;
	entry->fde_end = fde + 4 + len;
	entry->addr_size = size;
	entry->size = size == 8 ? elf_u64(e, fde + 8 + size) : elf_u32(e, fde + 8 + size);
	return true;
}

u64 eh_frame_size(const struct eh_frame *t, u32 i)
{
	struct eh_entry entry;

	return eh_frame_entry(t, i, &entry) ? entry.size : 0;
}

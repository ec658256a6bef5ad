/* SPDX-License-Identifier: MIT */
/* See usdt-notes.h; the note's format is SystemTap's (its wiki, UserSpaceProbeImplementation). */
#include "usdt-notes.h"

#define NOTE_TYPE	3u

/* One note's descriptor: three addresses, three strings. False: not one. */
static bool read_desc(const struct elf *e, const u8 *p, size_t size, u64 base_now, struct usdt_note *note)
{
	const unsigned int word = e->wide ? 8 : 4;
	const char *s = (const char *)p + 3 * word, *end = (const char *)p + size;
	const char *string[3];
	u64 n[3];

	if (size < 3 * word + 3 || end[-1])
		return false;
	for (unsigned int i = 0; i < 3; i++)
		n[i] = elf_word(e, p + word * i);
	for (unsigned int i = 0; i < 3; i++) {
		if (s >= end)
			return false;
		string[i] = s;
		s += ft_strlen(s) + 1;
	}
	/* Where the linker (or prelink) has moved what the note was made for. */
	note->addr = n[0] + (base_now - n[1]);
	note->semaphore = n[2] ? n[2] + (base_now - n[1]) : 0;
	if (!e->wide) {
		note->addr = (u32)note->addr;
		note->semaphore = (u32)note->semaphore;
	}
	note->provider = string[0];
	note->name = string[1];
	note->args = string[2];
	return true;
}

int usdt_notes_each(const struct elf *e, int (*func)(const struct usdt_note *note, void *data), void *data)
{
	struct elf_section notes, mark;
	struct usdt_note note;
	int ret = 0;

	if (!elf_find_section(e, ".note.stapsdt", &notes) || !notes.data ||
	    !elf_find_section(e, ".stapsdt.base", &mark))
		return 0;
	for (u64 at = 0; notes.size - at >= 12 && !ret;) {
		const u8 *p = notes.data + at;
		u32 name = elf_u32(e, p), desc = elf_u32(e, p + 4), type = elf_u32(e, p + 8);
		u64 from = at + 12 + ALIGN_UP((u64)name, 4), end = from + ALIGN_UP((u64)desc, 4);

		if (from + desc > notes.size)
			break;
		if (type == NOTE_TYPE && name == 8 && !ft_memcmp(p + 12, "stapsdt", 8) &&
		    read_desc(e, notes.data + from, desc, mark.addr, &note))
			ret = func(&note, data);
		at = end > notes.size ? notes.size : end;
	}
	return ret;
}

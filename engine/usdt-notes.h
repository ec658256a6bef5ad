/* SPDX-License-Identifier: MIT */
/* The USDT probes that an object's file tells of (.note.stapsdt): pure reading, also for `ftrace list`. */
#ifndef FTRACE_ENGINE_USDT_NOTES_H
#define FTRACE_ENGINE_USDT_NOTES_H

#include "elf-file.h"

/* Addresses are the file's own; strings are in the file. */
struct usdt_note {
	const char *provider, *name;
	const char *args;	/* "" for none */
	u64 addr;		/* of the nop */
	u64 semaphore;		/* 0: none */
};

/* Call @func for each, in the file's order, until it returns nonzero, which is returned. Damaged notes are none. */
int usdt_notes_each(const struct elf *e, int (*func)(const struct usdt_note *note, void *data), void *data);

#endif /* FTRACE_ENGINE_USDT_NOTES_H */

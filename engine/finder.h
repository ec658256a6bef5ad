/* SPDX-License-Identifier: MIT */
/*
 * The parts of ftrace_find(): what they share.
 *
 *	find.c		opens the object, runs the parts, names and orders what they found
 *	find-tables.c	lists of locations: __patchable_function_entries, __mcount_loc
 *	find-calls.c	calls of mcount and __fentry__ that nobody listed
 *	find-readers.c	functions that read their own return address
 *	find-tails.c	functions that end in another's place
 */
#ifndef FTRACE_ENGINE_FINDER_H
#define FTRACE_ENGINE_FINDER_H

#include "eh-frame.h"
#include "elf-file.h"
#include "find.h"
#include "symbols.h"

/* What a call at an entry leads to. */
enum callee { CALLEE_OTHER, CALLEE_FENTRY, CALLEE_MCOUNT, CALLEE_ENTRY_ONLY };

#define MAX_CALLEES 64
#define MAX_READERS 64

struct callees {
	u64 func[MAX_CALLEES], slot[MAX_CALLEES];	/* addresses of functions, of GOT words */
	u8 func_is[MAX_CALLEES], slot_is[MAX_CALLEES];	/* enum callee */
	u32 nfuncs, nslots;
	bool fentry, mcount, entry_only;	/* anything of that kind at all */
	u64 last;			/* the last address asked about, and the answer */
	u8 last_is;
};

struct finder {
	struct elf elf;
	struct eh_frame eh;
	struct symbols symbols;
	struct callees callees;
	u64 got;			/* what the GOT pointer holds (i386) */
	char real[ELF_PATH_MAX];
	struct ftrace_found *found;	/* scratch; names not yet known */
	u32 n, capacity;
	bool reading_sites;		/* a site reads its own return address */
	struct { u64 start, end; } readers[MAX_READERS];	/* so does code that is no site's */
	u32 nreaders;
};

/* Add a site; the caller fills vaddr, entry, form, len, flags, reason. -ENOMEM. */
int finder_add(struct finder *f, const struct ftrace_found *site);

/* The same for one that is refused. */
int finder_refuse(struct finder *f, u64 vaddr, u64 entry, const char *reason);

/* Does a function begin at @addr, by a symbol or by the unwind table? */
bool finder_begins(struct finder *f, u64 addr);

/*
 * The function that @addr is inside of, not at its beginning. *@entry: its address. False: cannot
 * be told.
 */
bool finder_containing(struct finder *f, u64 addr, u64 *entry);

/* How many bytes from @addr on belong to the function at @entry; at most @avail. */
u64 finder_room(struct finder *f, u64 entry, u64 addr, u64 avail);

/* ---- find-tables.c ---- */

/* Does the object have location tables? */
bool finder_has_tables(const struct elf *e);
int finder_read_tables(struct finder *f);

/* ---- find-calls.c ---- */

/* Which calls are calls of mcount or __fentry__: fills f->callees. */
void finder_callees(struct finder *f);

/* What the call that arch_call() told of leads to. @kind: enum arch_call. */
enum callee finder_callee(struct finder *f, int kind, u64 target);

/* The site at a call of mcount at @entry (arch_entry_mcount): adds it; 1, 0: there is none, or -errno. */
int finder_add_entry_mcount(struct finder *f, u64 entry, const u8 *code, u64 avail);

/* Look at every function's beginning for such calls, and for nops that are listed nowhere. */
int finder_scan_calls(struct finder *f);

/*
 * The site at the call of mcount at @vaddr in the function at @entry, checked and added; @form and
 * @len as in struct ftrace_found.
 */
int finder_add_mcount(struct finder *f, u64 entry, u64 vaddr, u8 form, u8 len);

/* ---- find-readers.c ---- */

/*
 * Mark sites whose functions read their own return address FTRACE_FOUND_ENTRY_ONLY, and note other
 * code that does. f->found as for finder_mark_tails(), which comes after it. Not seen: functions without an
 * entry in the unwind table, or whose frame is aligned by more than the stack is.
 */
void finder_mark_readers(struct finder *f);

/* Is @addr in code that reads its return address and is no site's? */
bool finder_in_reader(const struct finder *f, u64 addr);

/* ---- find-tails.c ---- */

/*
 * A function that jumps to one whose return address must stay where it is (a tail call of dlsym())
 * gives it its own: mark such sites FTRACE_FOUND_ENTRY_ONLY too, and those that jump to these. f->found
 * is ordered by vaddr, sizes and flags are filled in.
 */
void finder_mark_tails(struct finder *f);

#endif /* FTRACE_ENGINE_FINDER_H */

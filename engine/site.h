/* SPDX-License-Identifier: MIT */
/*
 * Sites: the functions that can be traced, their stubs, the objects they are in.
 *
 * Every site has a stub of 64 bytes and, at a fixed distance behind it, its struct dyn_ftrace of
 * 64 bytes, which the stub reads what to do from: a chunk is FTRACE_CHUNK_SITES stubs
 * (executable, never writable) followed by as many dyn_ftrace (writable, never executable). Site ids count
 * through the chunks, so id -> site is one look-up, and no site ever moves.
 */
#ifndef FTRACE_ENGINE_SITE_H
#define FTRACE_ENGINE_SITE_H

#include "arch-site.h"
#include "base.h"
#include "find.h"
#include "plan.h"

struct ftrace_ops;
struct ftrace_object;
struct arch_patch;

#define FTRACE_STUB_SIZE	64u
#define FTRACE_CHUNK_SITES	1024u
#define FTRACE_CHUNK_CODE	(FTRACE_CHUNK_SITES * FTRACE_STUB_SIZE)
#define FTRACE_MAX_CHUNKS	4096u		/* 4 M sites */

/* One traced function; the kernel's name for it. Exactly 64 bytes: see asm-offsets.c. */
struct dyn_ftrace {
	void (*entry)(void);		/* what its stub calls when the function is entered */
	void (*exit)(void);		/* and when it returns (only after entry asked for it) */
	struct ftrace_ops *ops;		/* third argument of callbacks: the ops, or the list */
	unsigned long ip;		/* the bytes that are toggled */
	const char *name;
	struct ftrace_object *obj;
	u32 id;
	u32 flags;			/* FTRACE_SITE_* */
	u16 graph;			/* mask of fgraph_ops that want this site */
	u16 entry_delta;		/* ip minus the symbol's address */
	u8 body_delta;			/* from ip to where the function goes on; 0: FTRACE_FORM_MOVED */
	u8 form;			/* enum ftrace_form */
	u8 len;				/* bytes at ip that belong to the site */
#ifdef ARCH_SITE_FIELDS
	ARCH_SITE_FIELDS		/* the architecture's own */
#endif
} __attribute__((aligned(64)));

enum {
	FTRACE_SITE_ARMED	= 1 << 0,	/* the displacement to the stub stands at ip (MOVED: may be put there) */
	FTRACE_SITE_ON		= 1 << 1,	/* ... and the instruction there is the jump */
	FTRACE_SITE_STUB	= 1 << 2,	/* the stub's contents are made, and the copy's */
	FTRACE_SITE_ENTRY_ONLY	= 1 << 3,	/* its return must not be hooked */
	FTRACE_SITE_GONE	= 1 << 4,	/* its object is unloaded */
	FTRACE_SITE_IPMODIFY	= 1 << 5,	/* an ops with IPMODIFY has it */
	FTRACE_SITE_REFUSED	= 1 << 6,	/* could not be armed; see the object's reasons */
	FTRACE_SITE_GENERAL	= 1 << 7,	/* no user of the site changes vector registers */
	FTRACE_SITE_DIRECT	= 1 << 9,	/* it has a direct call */
	FTRACE_SITE_LOUD	= 1 << 10,	/* one of its users is called though tracers are silent */
};

/* Does the site stand where the function has its frame already (plain -pg)? */
static inline bool ftrace_site_is_behind_prologue(const struct dyn_ftrace *site)
{
	return site->form == FTRACE_FORM_MCOUNT || site->form == FTRACE_FORM_MCOUNT_GOT;
}

/* An object (executable or shared library) that has sites. */
struct ftrace_object {
	char *path;
	char name[64];			/* base name, for patterns and messages */
	unsigned long base;		/* load address; 0 for an executable that is not PIE */
	unsigned long lo, hi;		/* its mapped range */
	struct ftrace_finding find;	/* what was found in its file, or planned for it */
	struct ftrace_plan plan;	/* its functions are FTRACE_FORM_MOVED; header NULL: they are not */
	u32 *planned;			/* number in plan.funcs of each site */
	u32 first_site, nsites;		/* ids [first_site, first_site + nsites) */
	u32 index;			/* counts up */
	bool gone;
	bool seen;			/* by the scan under way */
	bool fresh;			/* mapped just now: nobody runs its code */
	u32 refused_now;		/* sites that could not be armed ... */
	const char *refused_why;	/* ... and why the last of them not */
	struct ftrace_thunks *thunks;	/* thunk.h; NULL: none made yet */
	struct arch_patch *before;	/* what stood at its sites; NULL: not to be put back */
	u32 nbefore;
	u64 dev, ino;
	struct ftrace_object *next;
};

/* Number in its object's plan.funcs of a site of FTRACE_FORM_MOVED. */
static inline u32 ftrace_planned_index(const struct dyn_ftrace *site)
{
	return site->obj->planned[site->id - site->obj->first_site];
}

static inline const struct ftrace_planned *ftrace_planned(const struct dyn_ftrace *site)
{
	return &site->obj->plan.funcs[ftrace_planned_index(site)];
}

FTRACE_INTERNAL struct dyn_ftrace *ftrace_site(u32 id);	/* NULL: no such id */
FTRACE_INTERNAL u32 ftrace_nsites(void);			/* ids below this one exist (or are holes) */
FTRACE_INTERNAL struct dyn_ftrace *ftrace_site_at(unsigned long ip);	/* by ip or symbol address */
FTRACE_INTERNAL struct ftrace_object *ftrace_objects(void);	/* all, gone ones too, by index */

/*
 * Which objects get sites: called for each object that is loaded, now and later; returns whether to
 * trace it. The library's default: all that are instrumented. Set before ftrace_init().
 */
FTRACE_INTERNAL void ftrace_set_object_filter(bool (*want)(const char *path, bool executable));

/*
 * Where the plan (plan.h) for an object that has no instrumentation is: called for each one that is
 * wanted, now and later, with @object's path, device and inode. Puts the plan's path into @path
 * (@size bytes) and returns 0; or -errno: the object is not to be traced, and whoever says so has said
 * why. Called under the library's lock and, for dlopen(), under the loader's. None by default: objects
 * without instrumentation are left alone. Set before ftrace_init().
 */
FTRACE_INTERNAL void ftrace_set_object_plan(int (*plan_path)(const char *object, u64 dev, u64 ino,
							     char *path, size_t size));

/* Told of every object that was given sites (@gone false) or was unloaded (@gone true). */
FTRACE_INTERNAL void ftrace_set_object_notify(void (*notify)(struct ftrace_object *obj, bool gone));

/*
 * Find and arm everything that is loaded, hook the loader. Called by the library's constructor;
 * idempotent. @agent: called early, for a program that did not ask for it.
 */
FTRACE_INTERNAL int ftrace_init(void);

/*
 * Nonzero: a pattern that matches no function is no error, and RECORD ops may be registered before
 * there is any function: objects that are loaded later may have one.
 */
extern FTRACE_INTERNAL u32 ftrace_patterns_may_wait;

/* Bits of ftrace_silent: why nobody is told of calls. Read by every entry. */
enum {
	FTRACE_SILENT_STOP = 1 << 0,		/* ftrace_stop() */
	FTRACE_SILENT_PAUSED = 1 << 1,		/* tracing_on is 0 */
};
extern FTRACE_INTERNAL u32 ftrace_silent;

/*
 * How often and how long other threads were made to stand still: all of them, to change code; or, for their stacks
 * to be looked at, any of them.
 */
struct ftrace_stops {
	u64 count, last_ns, max_ns, total_ns;
	u64 moved;			/* threads that went on in the copy of what they were in the middle of */
	u64 busy;			/* sites that had to be left for another try */
};
extern FTRACE_INTERNAL struct ftrace_stops ftrace_stops;

#endif /* FTRACE_ENGINE_SITE_H */

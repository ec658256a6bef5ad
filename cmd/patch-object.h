/* SPDX-License-Identifier: MIT */
/* An object that a patch is for, as a file: its symbols, and which of its functions can be replaced. */
#ifndef CMD_PATCH_OBJECT_H
#define CMD_PATCH_OBJECT_H

#include "engine/elf-file.h"
#include "engine/find.h"
#include "engine/plan.h"
#include "engine/symbols.h"

struct patch_object {
	const char *name;		/* as the patch has it; NULL: the executable */
	char path[ELF_PATH_MAX + 64];	/* as we can open it; "": it is not loaded */
	unsigned long base;		/* where it is loaded */
	char build_id[41];

	bool open;
	struct elf e;
	struct symbols symbols;		/* of functions, as the library in the process will find them */
	bool looked;			/* the following are known */
	bool narrow_compiled;		/* of the other width, and compiled for tracing: only the library there can tell */
	struct ftrace_finding find;
	const struct ftrace_plan_header *plan;	/* NULL: it was compiled for tracing */
	size_t plan_size;
	const char *no_plan;		/* why there is none, in words */
};

/* Open the file at o->path. 0, or -1 after having said what is wrong. */
int patch_object_open(struct patch_object *o);
void patch_object_close(struct patch_object *o);

/* Which function or variable is meant. */
struct patch_name {
	const char *name, *file;
	unsigned long pos;
};

struct patch_found {
	u64 vaddr;
	unsigned long pos;		/* of a function: which of those of its name, by address */
};

/*
 * Find @name; @function: as a function that is to be replaced. NULL, and *@found is filled in; else why
 * not, in words (good until the next call).
 */
const char *patch_object_find(struct patch_object *o, const struct patch_name *name, bool function,
			      struct patch_found *found);

/* NULL: the function at @vaddr can be replaced; else why not. */
const char *patch_object_refuses(struct patch_object *o, u64 vaddr);

#endif /* CMD_PATCH_OBJECT_H */

/* SPDX-License-Identifier: MIT */
/*
 * Finding functions in an ELF object: pure reading of files, no change to anything. The same code
 * serves the process that is traced (its own objects, by base.h only) and `ftrace list`.
 *
 * All addresses here are the file's own (vaddr); the caller adds the load base.
 */
#ifndef FTRACE_ENGINE_FIND_H
#define FTRACE_ENGINE_FIND_H

#include "base.h"

/* What a compiler left at an entry, and so how it is armed. Order: the best first. */
enum ftrace_form {
	FTRACE_FORM_NONE,	/* refused; reason says why */
	FTRACE_FORM_NOP,	/* one nop instruction of at least ARCH_SITE_SIZE bytes */
	FTRACE_FORM_NOPS,	/* several nops, together at least ARCH_SITE_SIZE bytes */
	FTRACE_FORM_SHORT,	/* nops: 2 to 4 bytes at the entry, at least 5 just before it */
	FTRACE_FORM_CALL,	/* a call of __fentry__, direct (5 bytes) */
	FTRACE_FORM_CALL_GOT,	/* a call of __fentry__ through the GOT (6 bytes) */
	FTRACE_FORM_MCOUNT,	/* a call of mcount behind the prologue, direct (5 bytes), or a nop in its place */
	FTRACE_FORM_MCOUNT_GOT,	/* the same through the GOT (6 bytes) */
	FTRACE_FORM_MOVED,	/* never recompiled: instructions that can be moved, see plan.h */
};

enum {
	FTRACE_FOUND_ENTRY_ONLY	= 1 << 0,	/* its return must not be hooked (setjmp, vfork, ...) */
	FTRACE_FOUND_NAMELESS	= 1 << 1,	/* no symbol: name is made from object and address */
	FTRACE_FOUND_PART	= 1 << 2,	/* refused, and no function: a part of one, or other code with a name */
};

struct ftrace_found {
	u64 vaddr;		/* the bytes that are changed: behind endbr64, at the call, ... */
	u64 entry;		/* the function, as symbols know it */
	u64 size;		/* by the symbol table or unwind table; 0 not known */
	const char *name;	/* lives as long as the ftrace_finding */
	u8 form;		/* enum ftrace_form */
	u8 len;			/* bytes at vaddr that belong to the site */
	u8 flags;		/* FTRACE_FOUND_* */
	const char *reason;	/* for FTRACE_FORM_NONE: why not, in words; static text */
};

/* Everything known of one object; filled by ftrace_find(), emptied by ftrace_find_done(). */
struct ftrace_finding {
	struct ftrace_found *found;	/* sorted by vaddr, one a site; refused ones included */
	u32 nfound;
	u32 nrefused;			/* how many of found have form NONE */
	bool go_runtime;		/* the object is a Go program: stacks move, entries only */
	bool tsan, asan;		/* the sanitizer's runtime is linked in or needed */
	/*
	 * Why no return may be hooked in a process that has this object, in words, and why none of the
	 * object's own functions': runtimes that read return addresses off their stacks. NULL: they may.
	 */
	const char *no_returns, *no_own_returns;
	char build_id[41];		/* hex, "" for none */
	const char *symbols_from;	/* ".symtab", ".dynsym", path of the debug file, ... for `info` */
	void *priv;			/* the finder's own: mappings, memory */
};

/*
 * Read the object at @path and find its instrumented functions: __patchable_function_entries,
 * __mcount_loc, calls of __fentry__ and mcount. Section headers are needed (strip keeps them).
 * Location tables are read from the file with its relocations applied (RELA, RELR), so that it
 * does not matter whether the loader has relocated the object yet. Names: .symtab, else a
 * separate debug file (build-id, debug link), .gnu_debugdata, .dynsym; where several symbols name one
 * address, the global, shortest, then first in the alphabet, as perf chooses; entries without any:
 * "OBJECT+0xVADDR".
 *
 * -ENOEXEC: not an ELF file of this machine. -EIO: cut short or inconsistent. -ENOENT, -EACCES, ...: from open.
 * An object without instrumentation is no error: nfound is 0.
 */
int ftrace_find(const char *path, struct ftrace_finding *out);
void ftrace_find_done(struct ftrace_finding *f);

/*
 * The kernel's glob over the whole of @name (`*`, `?`, `[a-z]`, `[!a-z]`); @pattern is @len bytes.
 */
FTRACE_INTERNAL bool ftrace_glob(const char *pattern, size_t len, const char *name);

#endif /* FTRACE_ENGINE_FIND_H */

/* SPDX-License-Identifier: MIT */
/*
 * What <ftrace/patch.h> writes into a patch, for those who read it: the dynamic symbol klp_patch_root is where
 * it begins. A record is found by its magic number, at multiples of 8 bytes: linkers may leave gaps.
 */
#ifndef FTRACE_PATCH_RECORDS_H
#define FTRACE_PATCH_RECORDS_H

#include <stdint.h>

struct klp_patch;

/* What is declared by KLP_SYMBOL() is an undefined weak symbol of this name, and the name behind it. */
#define KLP_ALIAS_	"klp_symbol."

enum klp_record_kind {
	KLP_RECORD_NONE, KLP_RECORD_FUNC, KLP_RECORD_SYMBOL, KLP_RECORD_PATCH, KLP_RECORD_BUILD_ID,
	KLP_RECORD_REPLACE, KLP_RECORD_CALLBACKS, KLP_RECORD_STATE,
};

#define KLP_RECORD_MAGIC	0x3172706bu	/* "kpr1" */

/*
 * Words and pointers are as wide as the patch's own, also to a reader of another width: two numbers of 32 bits, nine
 * words, up to a multiple of 8 bytes.
 */
struct __attribute__((aligned(8))) klp_record {
	uint32_t magic;
	uint32_t kind;			/* enum klp_record_kind */
	unsigned long pos;
	const char *object, *file, *name, *text;
	void *func[4];
};

/* Which builds it is for: written by 'ftrace patch stamp'. */
struct klp_stamp {
	char object[64];		/* "": the executable */
	char build_id[44];		/* in hex; "": not used */
};

#define KLP_MAX_STAMPS	16
#define KLP_ROOT_MAGIC	0x31686374617066ull	/* "fpatch1" */

/* Where a patch begins: the dynamic symbol klp_patch_root. A number of 64 bits, seven words, the stamps. */
struct klp_patch_root {
	uint64_t magic;
	struct klp_record *records, *records_end;
	struct klp_patch *patch;	/* filled in */
	unsigned long reserved[4];
	struct klp_stamp stamps[KLP_MAX_STAMPS];
};

#endif /* FTRACE_PATCH_RECORDS_H */

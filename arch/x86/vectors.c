/* SPDX-License-Identifier: MIT */
/* x86, both widths: see vectors.h. */
#include "vectors.h"

#include <cpuid.h>

#include "arch.h"

/* What the trampolines save of the vector registers: VECTORS_* of entry.S and entry-32.S, which read it. */
u32 ftrace_vector_kind;
static bool has_masks;

void arch_vectors_init(void)
{
	unsigned int a, b = 0, c, d, xcr0_lo, xcr0_hi;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
		return;
	__asm__ volatile("xgetbv" : "=a"(xcr0_lo), "=d"(xcr0_hi) : "c"(0));
	if ((xcr0_lo & 6) != 6)		/* the system saves xmm and ymm */
		return;
	ftrace_vector_kind = 1;
	if ((xcr0_lo & 0xe0) == 0xe0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	    (b & bit_AVX512F))
		ftrace_vector_kind = 2;
	/* Mask registers are 64 bits wide with AVX512BW, which all but the very first have. */
	has_masks = ftrace_vector_kind == 2 && (b & bit_AVX512BW);
}

void arch_keep_all_vectors(void)
{
	if (has_masks)
		WRITE_ONCE(ftrace_vector_kind, 3);
}

/* SPDX-License-Identifier: MIT */
/* Decoding with Zydis, for probe.c. */
#ifndef FTRACE_X86_PROBE_INSN_H
#define FTRACE_X86_PROBE_INSN_H

#include <Zydis/Zydis.h>

#include "../probe.h"

struct probe {
	ZydisDecoder decoder;
	bool wide;
};

static inline bool probe_zydis(struct probe *p, const u8 *code, size_t avail,
			       ZydisDecodedInstruction *in)
{
	ZydisDecoderContext context;

	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&p->decoder, &context, code, avail, in));
}

/* An address as wide as they are. */
static inline u64 probe_clip(const struct probe *p, u64 addr)
{
	return p->wide ? addr : (u32)addr;
}

/* Is it a branch by a distance? */
static inline bool probe_is_relative(const ZydisDecodedInstruction *in)
{
	return in->raw.imm[0].size && in->raw.imm[0].is_relative;
}

/* rip plus a displacement; there is no such thing in 32-bit code. */
static inline bool probe_refers(const struct probe *p, const ZydisDecodedInstruction *in)
{
	return p->wide && in->attributes & ZYDIS_ATTRIB_HAS_MODRM && in->raw.modrm.mod == 0 &&
	       in->raw.modrm.rm == 5 && in->raw.disp.size == 32;
}

enum probe_kind probe_kind_of(const ZydisDecodedInstruction *in);

#endif /* FTRACE_X86_PROBE_INSN_H */

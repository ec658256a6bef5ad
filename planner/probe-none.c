/* SPDX-License-Identifier: MIT */
/* Where no disassembler is built in: no object can be planned for. */
#include "arch/probe.h"

struct probe *probe_open(u16 machine, bool wide)
{
	return NULL;
}

void probe_close(struct probe *p)
{
}

bool probe_decode(struct probe *p, const u8 *code, size_t avail, u64 vaddr, struct probe_insn *insn)
{
	return false;
}

const struct probe_entry *probe_entry(const struct probe *p)
{
	return NULL;
}

const char *probe_move(struct probe *p, const u8 *code, size_t avail, u64 size, u64 vaddr,
		       unsigned int need, struct probe_copy *copy)
{
	return "not understood";
}

bool probe_is_restorer(const u8 *code, size_t avail)
{
	return false;
}

bool probe_is_pc_thunk(const struct probe *p, const u8 *code, size_t avail)
{
	return false;
}

/* SPDX-License-Identifier: MIT */
/* What is never traced, by its name: functions, and whole objects. */
#include <string.h>

#include "planner/internal.h"

static const char unwinder[] = "part of libgcc's unwinder, which walks over its own frames";
static const char thunk[] = "stands for an indirect jump, also inside of functions";
static const char cancel[] = "the C library looks for addresses inside of it, to cancel system calls";
static const char mcount[] = "called before its caller has a frame (profiling)";
static const char morestack[] = "goes on in the middle of its caller on another stack";
static const char pc_thunk[] = "tells its caller where that is (position-independent code)";
static const char resolver[] = "the loader's: keeps registers that functions do not";

/* Names that begin so, or are so as a @whole. */
static const struct { const char *begin, *why; bool whole; } never[] = {
	{ "_Unwind_", unwinder, false },
	{ "uw_frame_state_for", unwinder, false },
	{ "uw_update_context", unwinder, false },
	{ "uw_init_context", unwinder, false },
	{ "uw_install_context", unwinder, false },
	{ "uw_identify_context", unwinder, false },
	{ "uw_advance_context", unwinder, false },
	{ "execute_cfa_program", unwinder, false },
	{ "execute_stack_op", unwinder, true },
	{ "__morestack", morestack, false },
	{ "_dl_runtime_resolve", resolver, false },
	{ "_dl_runtime_profile", resolver, false },
	{ "_dl_tlsdesc_", resolver, false },
	{ "__x86_indirect_thunk", thunk, false },
	{ "__x86_indirect_call_thunk", thunk, false },
	{ "__x86_indirect_jump_thunk", thunk, false },
	{ "__x86_return_thunk", thunk, false },
	{ "__x86.get_pc_thunk.", pc_thunk, false },
	{ "__i686.get_pc_thunk.", pc_thunk, false },
	{ "__llvm_retpoline_", thunk, false },
	{ "__llvm_lvi_thunk_", thunk, false },
	{ "__syscall_cancel_arch", cancel, false },
	{ "__syscall_cp_asm", cancel, true },
	{ "mcount", mcount, true },
	{ "_mcount", mcount, true },
	{ "__fentry__", mcount, true },
};

const char *never_traced(const char *name, size_t len)
{
	const char *dot;
	size_t i, left;

	/* No other letter begins any of them: nearly every name is out here. */
	for (i = 0; len && strchr("_uem", name[0]) && i < ARRAY_SIZE(never); i++) {
		size_t n = strlen(never[i].begin);

		if (len >= n && !memcmp(name, never[i].begin, n) && (!never[i].whole || len == n))
			return never[i].why;
	}
	/* gcc: FUNCTION.cold, FUNCTION.cold.1; the part of a function that is hardly ever executed. */
	for (dot = memchr(name, '.', len); dot; dot = memchr(dot + 1, '.', left - 1)) {
		left = len - (size_t)(dot - name);
		if (dot > name && left >= 5 && !memcmp(dot, ".cold", 5) &&
		    (left == 5 || dot[5] == '.'))
			return "a part of another function, not an entry";
	}
	return NULL;
}

/* What DT_SONAME says, "": nothing. */
static const char *soname(const struct elf *e)
{
	struct elf_section s, str;
	u32 word = elf_word_size(e);
	u64 i;

	if (!elf_find_type(e, SHT_DYNAMIC, &s) || !s.data || s.link >= e->nsections)
		return "";
	elf_section(e, s.link, &str);
	if (!str.data || !str.size || str.data[str.size - 1])
		return "";
	for (i = 0; i + 2 * word <= s.size; i += 2 * word) {
		u64 tag = elf_word(e, s.data + i), value = elf_word(e, s.data + i + word);

		if (tag == DT_NULL)
			break;
		if (tag == DT_SONAME && value < str.size)
			return (const char *)str.data + value;
	}
	return "";
}

void names_of_object(struct planner *p)
{
	static const char loader[] = "the loader: it runs before anything else, and while objects "
				     "come and go";
	static const char musl[] = "musl's loader, which is its C library as well";
	static const struct { const char *begin, *why; } objects[] = {
		{ "ld-linux", loader },
		{ "ld.so.", loader },
		{ "ld64.so.", loader },
		{ "ld-musl", musl },
		{ "libc.musl", musl },
		{ "libc.so", musl },
		{ "libftrace.so", "libftrace itself" },
		{ "libftrace-agent.so", "libftrace itself" },
		{ "linux-vdso", "the kernel's" },
	};
	const char *name = soname(&p->finder.elf);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		const char *begin = objects[i].begin;
		size_t n = strlen(begin);

		/* musl's has no number; glibc's is libc.so.6. */
		if (!strncmp(name, begin, n) && (strcmp(begin, "libc.so") || !name[n]))
			p->object_reason = objects[i].why;
	}
	p->is_unwinder = !strncmp(name, "libgcc_s.so", 11);
}

/* SPDX-License-Identifier: MIT */
/* The parts of engine/find.h that need no compiler: globs, instruction bytes, names, sorting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/entry-only.h"
#include "engine/find.h"
#include "engine/scratch.h"
#include "engine/symbols.h"
#include "recognise.h"

/* ---- globs ---- */

static int glob(const char *pattern, const char *name)
{
	/* A copy without a final NUL: nothing behind @len may be read. */
	size_t len = strlen(pattern);
	char *p = malloc(len ? len : 1);
	int match;

	memcpy(p, pattern, len);
	match = ftrace_glob(p, len, name);
	free(p);
	return match;
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *name;
		int match;
	} t[] = {
		{ "", "", 1 }, { "", "a", 0 }, { "a", "", 0 }, { "main", "main", 1 },
		{ "main", "mains", 0 }, { "mains", "main", 0 }, { "*", "", 1 }, { "*", "abc", 1 },
		{ "a*", "abc", 1 }, { "*c", "abc", 1 }, { "a*c", "abc", 1 }, { "a*d", "abc", 0 },
		{ "*b*", "abc", 1 }, { "**", "x", 1 }, { "a**c", "abbc", 1 }, { "?", "", 0 },
		{ "?", "x", 1 }, { "a?c", "abc", 1 }, { "a?c", "ac", 0 }, { "[abc]x", "bx", 1 },
		{ "[abc]x", "dx", 0 }, { "[a-c]x", "bx", 1 }, { "[a-c]x", "dx", 0 },
		{ "[!a-c]x", "dx", 1 }, { "[!a-c]x", "ax", 0 }, { "[]]", "]", 1 }, { "[!]]", "]", 0 },
		{ "[!]]", "x", 1 }, { "[a-]", "-", 1 }, { "[a-]", "b", 0 }, { "[abc", "[abc", 1 },
		{ "[abc", "a", 0 }, { "a[", "a[", 1 }, { "[", "[", 1 }, { "[]", "[]", 1 },
		{ "*[0-9]", "parse_7", 1 }, { "*[0-9]", "parse_x", 0 }, { "\\*", "*", 1 },
		{ "\\*", "a", 0 }, { "a\\?b", "a?b", 1 }, { "*aab", "aaaab", 1 },
		{ "*a*b*c", "xaxbxbxc", 1 }, { "*a*b*c", "xaxcxb", 0 },
		{ "[\xe0-\xff]", "\xe9", 1 }, { "[a-f]", "\xe9", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (glob(t[i].pattern, t[i].name) != t[i].match)
			fail_msg("glob '%s' of '%s' is not %d", t[i].pattern, t[i].name, t[i].match);
}

/* A pattern of many stars must not take exponential time. */
static void test_glob_stars(void **state)
{
	char name[2001], pattern[201];

	memset(name, 'a', 2000);
	name[2000] = '\0';
	for (int i = 0; i < 200; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[199] = 'b';
	alarm(20);
	assert_false(ftrace_glob(pattern, 200, name));
	alarm(0);
}

/* ---- instruction bytes ---- */

struct bytes {
	const char *bytes;
	size_t len, want;
};
#define B(s, want) { s, sizeof(s) - 1, want }

static void check_lengths(const struct bytes *t, size_t n, size_t (*f)(const u8 *, size_t))
{
	for (size_t i = 0; i < n; i++) {
		u8 *exact = malloc(t[i].len);
		size_t got;

		/* In memory of its own, for a sanitizer to see what is read behind it. */
		memcpy(exact, t[i].bytes, t[i].len);
		got = f(exact, t[i].len);
		if (got != t[i].want)
			fail_msg("instruction %zu: length %zu instead of %zu", i, got, t[i].want);
		for (size_t cut = 0; cut < t[i].want; cut++) {
			u8 *part = malloc(cut ? cut : 1);

			memcpy(part, t[i].bytes, cut);
			if (f(part, cut))
				fail_msg("instruction %zu cut to %zu bytes is taken", i, cut);
			free(part);
		}
		free(exact);
	}
}

static void test_nops(void **state)
{
	static const struct bytes t[] = {
		B("\x90", 1), B("\x66\x90", 2), B("\x0f\x1f\x00", 3), B("\x0f\x1f\x40\x00", 4),
		B("\x0f\x1f\x44\x00\x00", 5), B("\x66\x0f\x1f\x44\x00\x00", 6),
		B("\x0f\x1f\x80\0\0\0\0", 7), B("\x0f\x1f\x84\x00\0\0\0\0", 8),
		B("\x66\x0f\x1f\x84\x00\0\0\0\0", 9), B("\x66\x2e\x0f\x1f\x84\x00\0\0\0\0", 10),
		B("\x66\x66\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\0\0\0\0", 15),
		/* longer than an instruction may be; pause; hints that are no nops; others */
		B("\x66\x66\x66\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\0\0\0\0", 0),
		B("\xf3\x90", 0), B("\xf3\x0f\x1e\xfa", 0), B("\x0f\x1f\x48\x00", 0), B("\xc3", 0),
		B("\x66\xc3", 0), B("\x0f\x0b", 0), B("\xe8\0\0\0\0", 0),
	};

	check_lengths(t, ARRAY_SIZE(t), arch_nop);
}

static void test_landing_pads(void **state)
{
	static const struct bytes t[] = {
		B("\xf3\x0f\x1e\xfa", 4), B("\xf3\x0f\x1e\xfb", 4), B("\xf3\x0f\x1e\xfc", 0),
		B("\xf2\x0f\x1e\xfa", 0), B("\x0f\x1e\xfa\x90", 0),
	};

	check_lengths(t, ARRAY_SIZE(t), arch_landing_pad);
}

static void test_prologue(void **state)
{
	static const struct bytes t[] = {
		B("\x55", 1),					/* push %rbp */
		B("\x89\xe5", 2),
		B("\x83\xec\x10", 3),				/* sub $16, %esp */
		B("\x81\xec\x00\x10\0\0", 6),
		B("\x83\x0c\x24\x00", 4),			/* orl $0, (%esp) */
		B("\x8d\x4c\x24\x04", 4),			/* lea 4(%esp), %ecx */
		B("\xff\x71\xfc", 3),				/* push -4(%ecx) */
		B("\x68\x44\x33\x22\x11", 5),
		B("\xc7\x45\xfc\x01\0\0\0", 7),			/* movl $1, -4(%ebp) */
		B("\x66\xc7\x45\xfc\x01\x00", 6),
		B("\xc6\x45\xfc\x01", 4),
		B("\x0f\xb6\xc0", 3),
		B("\xf3\x0f\x11\x45\xf8", 5),			/* movss %xmm0, -8(%ebp) */
		B("\x66\x0f\x6f\x00", 4),
		B("\xc5\xf8\x29\x45\xe0", 5),			/* vmovaps %xmm0, -32(%ebp) */
		/* never passed: calls, returns, jumps, system calls, unknown */
		B("\xe8\0\0\0\0", 0), B("\xff\x15\0\0\0\0", 0), B("\xff\x25\0\0\0\0", 0),
		B("\xff\xd0", 0), B("\xff\xe0", 0), B("\xc3", 0), B("\xc9", 0), B("\xe9\0\0\0\0", 0),
		B("\xeb\x00", 0), B("\x0f\x05", 0), B("\xcd\x80", 0), B("\xcc", 0), B("\xf4", 0),
		B("\x0f\x0b", 0), B("\xc8\0\0\0", 0),
#ifdef __x86_64__
		B("\x48\x89\xe5", 3), B("\x41\x57", 2), B("\x48\x81\xec\x00\x01\0\0", 7),
		B("\x4c\x8d\x54\x24\x08", 5), B("\x41\xff\x72\xf8", 4),
		B("\x48\x83\xe4\xe0", 4),
		B("\x64\x48\x8b\x04\x25\x28\0\0\0", 9),		/* mov %fs:40, %rax */
		B("\x48\xb8\1\2\3\4\5\6\7\x08", 10),		/* mov $imm64, %rax */
		B("\xf2\x44\x0f\x11\x45\xf8", 6),
		B("\x41\xff\xd2", 0),				/* call *%r10 */
		B("\x48\x8b\x05\1\2\3\4", 7),			/* mov disp(%rip), %rax */
#endif
	};

	check_lengths(t, ARRAY_SIZE(t), arch_prologue_insn);
}

static void test_calls(void **state)
{
	u64 target = 0;
	u8 len = 0;

	assert_int_equal(arch_call((const u8 *)"\xe8\x10\0\0\0", 5, 0x1000, 0, &target, &len),
			 ARCH_CALL_DIRECT);
	assert_int_equal(target, 0x1015);
	assert_int_equal(len, 5);
	assert_int_equal(arch_call((const u8 *)"\xe8\xf0\xff\xff\xff", 5, 0x1000, 0, &target, &len),
			 ARCH_CALL_DIRECT);
	assert_int_equal(target, 0xff5);
	assert_int_equal(arch_call((const u8 *)"\xe8\x10\0\0\0", 4, 0x1000, 0, &target, &len),
			 ARCH_CALL_NONE);
	assert_int_equal(arch_call((const u8 *)"\x67\xe8\x10\0\0\0", 6, 0x1000, 0, &target, &len),
			 ARCH_CALL_DIRECT);
	assert_int_equal(target, 0x1016);
	assert_int_equal(len, 6);
	assert_int_equal(arch_call((const u8 *)"\xff\x15\x10\0\0\0", 6, 0x1000, 0, &target, &len),
			 ARCH_CALL_SLOT);
#ifdef __x86_64__
	assert_int_equal(target, 0x1016);
#else
	assert_int_equal(target, 0x10);
#endif
	assert_int_equal(arch_call((const u8 *)"\xff\x25\x10\0\0\0", 6, 0x1000, 0, &target, &len),
			 ARCH_CALL_NONE);
	assert_int_equal(arch_call((const u8 *)"\xff\x15\x10\0\0\0", 5, 0x1000, 0, &target, &len),
			 ARCH_CALL_NONE);
}

static void test_plt_entries(void **state)
{
	u64 slot = 0;

#ifdef __x86_64__
	assert_true(arch_plt_entry((const u8 *)"\xff\x25\x10\0\0\0", 6, 0x1000, 0, &slot));
	assert_int_equal(slot, 0x1016);
	assert_true(arch_plt_entry((const u8 *)"\xf3\x0f\x1e\xfa\xf2\xff\x25\x10\0\0\0", 11, 0x1000,
				   0, &slot));
	assert_int_equal(slot, 0x101b);
	assert_true(arch_plt_entry((const u8 *)"\xf3\x0f\x1e\xfa\xff\x25\x10\0\0\0", 10, 0x1000, 0,
				   &slot));
	assert_int_equal(slot, 0x101a);
#else
	assert_true(arch_plt_entry((const u8 *)"\xff\x25\x10\0\0\0", 6, 0x1000, 0, &slot));
	assert_int_equal(slot, 0x10);
	assert_true(arch_plt_entry((const u8 *)"\xff\xa3\x10\0\0\0", 6, 0x1000, 0x4000, &slot));
	assert_int_equal(slot, 0x4010);
#endif
	assert_false(arch_plt_entry((const u8 *)"\xff\x25\x10\0\0\0", 5, 0x1000, 0, &slot));
	assert_false(arch_plt_entry((const u8 *)"\xff\x15\x10\0\0\0", 6, 0x1000, 0, &slot));
	assert_false(arch_plt_entry((const u8 *)"\xf3\x0f\x1e\xfa", 4, 0x1000, 0, &slot));
}

/* The fast look for jumps passes none that arch_jump() knows. */
static void test_next_jump(void **state)
{
	u8 code[4096];
	u32 seed = 7;
	size_t jumps = 0;

	for (size_t i = 0; i < sizeof(code); i++)
		code[i] = (u8)((seed = seed * 1103515245 + 12345) >> 16);
	for (size_t i = 0; i + 6 < sizeof(code); i += 97)
		memcpy(code + i, "\xff\x25\0\0\0", 6);
	for (size_t i = 0; i < sizeof(code); i++) {
		u64 target;

		if (code[i] == 0xf2 || code[i] == 0xf3)
			continue;	/* prefixes: the jump behind them is found by itself */
		if (arch_jump(code + i, sizeof(code) - i, 0x1000 + i, 0, &target) ==
		    ARCH_CALL_NONE)
			continue;
		jumps++;
		assert_int_equal(arch_next_jump(code, i, sizeof(code)), i);
	}
	assert_true(jumps > 100);
	assert_int_equal(arch_next_jump((const u8 *)"\x90\x90\x90\xeb", 0, 4), 4);
	assert_int_equal(arch_next_jump((const u8 *)"\x90\x90\xeb\x01", 0, 4), 2);
	assert_int_equal(arch_next_jump((const u8 *)"", 0, 0), 0);
}

/* ---- names ---- */

static int entry_only(const char *name)
{
	return entry_only_name(name, strlen(name));
}

static void test_entry_only(void **state)
{
	static const char *const yes[] = { "setjmp", "_setjmp", "__sigsetjmp", "vfork", "__vfork",
		"getcontext", "swapcontext", "dlsym", "__libc_dlsym", "dlopen", "dlmopen", "dlvsym",
		"_Unwind_Resume", "__morestack" };
	static const char *const no[] = { "", "_", "main", "setjmp2", "mysetjmp", "setjm", "fork",
		"dlerror", "dl", "longjmp", "setcontext", "vforks", "dlsymbol" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!entry_only(yes[i]))
			fail_msg("%s is not entry-only", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (entry_only(no[i]))
			fail_msg("%s is entry-only", no[i]);
	/* Only the length counts, as with a version behind the name. */
	assert_true(entry_only_name("dlsym@@GLIBC_2.34", 5));
	assert_int_equal(symbols_name_length("dlsym@@GLIBC_2.34"), 5);
	assert_int_equal(symbols_name_length("@odd"), 4);
	assert_int_equal(symbols_name_length("plain"), 5);
}

/* ---- sorting ---- */

struct record {
	u64 key;
	unsigned long order, more;
};

static void test_sort(void **state)
{
	static struct record r[5000];
	unsigned long long seed = 1;

	for (int round = 0; round < 6; round++) {
		static const u64 masks[] = { 0, 0xff, 0xffff, 0xf0f0f0f0f0ull, ~0ull, 0xff00000000000000ull };
		size_t n = round == 0 ? 0 : 5000;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			r[i] = (struct record){ (seed ^ seed >> 29) & masks[round], i, ~i };
		}
		assert_int_equal(ft_sort(r, n, sizeof(r[0])), 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(r[i].more == ~r[i].order);
			if (i)
				assert_true(r[i - 1].key < r[i].key ||
					    (r[i - 1].key == r[i].key && r[i - 1].order < r[i].order));
		}
	}
}

/* ---- files that are none ---- */

static void test_no_files(void **state)
{
	char path[] = "/tmp/ftrace-find-XXXXXX";
	struct ftrace_finding f;
	int fd = mkstemp(path);

	assert_int_equal(ftrace_find("/nowhere/at/all", &f), -ENOENT);
	assert_int_equal(ftrace_find("/tmp", &f), -ENOEXEC);
	assert_int_equal(ftrace_find("/dev/null", &f), -ENOEXEC);
	assert_int_equal(ftrace_find(path, &f), -ENOEXEC);	/* empty */
	assert_int_equal(write(fd, "#!/bin/sh\nexit 0\n", 17), 17);
	assert_int_equal(ftrace_find(path, &f), -ENOEXEC);
	assert_int_equal(pwrite(fd, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0", 18, 0), 18);
	assert_int_equal(ftrace_find(path, &f), -EIO);
	close(fd);
	unlink(path);
	ftrace_find_done(&f);
	ftrace_find_done(&f);	/* twice is no harm */
	assert_int_equal(f.nfound, 0);
	assert_string_equal(f.symbols_from, "");

	/* This very program: not instrumented, and no error. */
	assert_int_equal(ftrace_find("/proc/self/exe", &f), 0);
	assert_int_equal(f.nfound, 0);
	assert_int_equal(strlen(f.build_id), 40);
	ftrace_find_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_glob_stars),
		cmocka_unit_test(test_nops),
		cmocka_unit_test(test_landing_pads),
		cmocka_unit_test(test_prologue),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_plt_entries),
		cmocka_unit_test(test_next_jump),
		cmocka_unit_test(test_entry_only),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

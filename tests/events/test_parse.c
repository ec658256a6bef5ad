/* SPDX-License-Identifier: MIT */
/* Definitions and filters: every form, every error with its place, and texts that are nearly right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftrace/ptrace.h>

#include "agent/event-filter.h"
#include "agent/probe.h"

static struct probe_def def;

static int parse(const char *text, struct probe_error *error)
{
	return probe_parse(&def, text, (u32)strlen(text), error);
}

static void good(const char *text)
{
	struct probe_error error;
	int err = parse(text, &error);

	if (err)
		fail_msg("%s: %s at %u", text, error.what, error.at);
}

/* ---- what is understood ---- */

static void test_places(void **state)
{
	good("f open");
	assert_int_equal(def.kind, PROBE_F);
	assert_string_equal(def.group, "fprobes");
	assert_string_equal(def.event, "open__entry");
	good("f open%return");
	assert_int_equal(def.kind, PROBE_F_RETURN);
	assert_string_equal(def.event, "open__exit");
	assert_int_equal(def.symbol_len, 4);
	good("p open+0x1c");
	assert_int_equal(def.kind, PROBE_P);
	assert_int_equal(def.offset, 0x1c);
	assert_string_equal(def.group, "kprobes");
	assert_string_equal(def.event, "p_open_28");
	good("p:mine/here libx*.so:open+8");
	assert_string_equal(def.group, "mine");
	assert_string_equal(def.event, "here");
	assert_int_equal(def.object_len, 8);
	assert_memory_equal(def.object, "libx*.so", 8);
	good("p 0x401000");
	assert_null(def.symbol);
	assert_int_equal(def.offset, 0x401000);
	assert_string_equal(def.event, "p_0x401000");
	good("r12:only open");
	assert_int_equal(def.kind, PROBE_R);
	assert_string_equal(def.event, "only");
	good("p open%return");
	assert_int_equal(def.kind, PROBE_R);
	good("f _ZN3foo3barEv.part.0");
	assert_string_equal(def.event, "_ZN3foo3barEv_part_0__entry");
	good("u libc:setjmp if arg2 > 3");
	assert_int_equal(def.kind, PROBE_USDT);
	assert_string_equal(def.group, "libc");
	assert_string_equal(def.event, "setjmp");
	assert_int_equal(def.nargs, PROBE_USDT_ARGS);
	assert_string_equal(def.args[11].name, "arg12");
	assert_int_equal(def.args[11].base, FETCH_USDT);
	assert_int_equal(def.args[11].value, 11);
	assert_memory_equal(def.filter, "arg2 > 3", 8);
	good("u:mine/here a-b:9.c");
	assert_string_equal(def.group, "mine");
	assert_string_equal(def.event, "here");
	good("u a-b:9.c");
	assert_string_equal(def.group, "a_b");
	assert_string_equal(def.event, "__c");
	good("-:mine/here");
	assert_int_equal(def.kind, PROBE_DELETE);
	good("-:mine/");
	assert_string_equal(def.group, "mine");
	assert_string_equal(def.event, "");
	good("f open a=$arg1 if a > 3");
	assert_int_equal(def.filter_len, 5);
	assert_memory_equal(def.filter, "a > 3", 5);
	assert_int_equal(def.nargs, 1);
}

struct form {
	const char *arg, *name;
	u8 base, type, size, count, nderef;
	u64 value;
};

static void test_arguments(void **state)
{
	static const struct form forms[] = {
		{ "$arg1", "arg1", FETCH_ARG, FETCH_X, sizeof(long), 0, 0, 0 },
		{ "n=$arg3:s32", "n", FETCH_ARG, FETCH_S, 4, 0, 0, 2 },
		{ "$stack", "arg1", FETCH_STACK, FETCH_X, sizeof(long), 0, 0, 0 },
		{ "$stack7:u8", "arg1", FETCH_STACK_N, FETCH_U, 1, 0, 0, 7 },
		{ "$comm", "arg1", FETCH_COMM, FETCH_STRING, 0, 0, 0, 0 },
		{ "$comm:string", "arg1", FETCH_COMM, FETCH_STRING, 0, 0, 0, 0 },
		{ "s=+0($arg1):string", "s", FETCH_ARG, FETCH_STRING, 0, 0, 1, 0 },
		{ "s=+u0($arg1):ustring", "s", FETCH_ARG, FETCH_STRING, 0, 0, 1, 0 },
		{ "s=+8(-4(+0x10($arg2))):x16[5]", "s", FETCH_ARG, FETCH_X, 2, 5, 3, 1 },
		{ "@counter:u64", "arg1", FETCH_SYMBOL, FETCH_U, 8, 0, 1, 0 },
		{ "@counter+16:u64", "arg1", FETCH_SYMBOL, FETCH_U, 8, 0, 1, 16 },
		{ "@counter-1:u64", "arg1", FETCH_SYMBOL, FETCH_U, 8, 0, 1, (u64)-1 },
		{ "@0x1000", "arg1", FETCH_ADDRESS, FETCH_X, sizeof(long), 0, 1, 0x1000 },
		{ "+8(@counter):u64", "arg1", FETCH_SYMBOL, FETCH_U, 8, 0, 2, 0 },
		{ "\\42:u8", "arg1", FETCH_IMM, FETCH_U, 1, 0, 0, 42 },
		{ "\\-1:s8", "arg1", FETCH_IMM, FETCH_S, 1, 0, 0, (u64)-1 },
		{ "\\\"two words\"", "arg1", FETCH_IMM_STRING, FETCH_STRING, 0, 0, 0, 0 },
		{ "c=$arg1:char", "c", FETCH_ARG, FETCH_CHAR, 1, 0, 0, 0 },
		{ "f=$arg1:symbol", "f", FETCH_ARG, FETCH_SYM, sizeof(long), 0, 0, 0 },
		{ "f=$arg1:symstr", "f", FETCH_ARG, FETCH_SYMSTR, sizeof(long), 0, 0, 0 },
		{ "+0($arg1):symbol[3]", "arg1", FETCH_ARG, FETCH_SYM, sizeof(long), 3, 1, 0 },
		{ "+0($arg1):string[64]", "arg1", FETCH_ARG, FETCH_STRING, 0, 64, 1, 0 },
		{ "$fparg2", "arg1", FETCH_FPARG, FETCH_F, 8, 0, 0, 1 },
		{ "$fparg8:f32", "arg1", FETCH_FPARG, FETCH_F, 4, 0, 0, 7 },
		{ "+0($arg1):libcxxstring", "arg1", FETCH_ARG, FETCH_STRING, 0, 0, 1, 0 },
		{ "@sym:libcxxlength", "arg1", FETCH_SYMBOL, FETCH_U, sizeof(long), 0, 1, 0 },
		{ "+0($arg1):f64[2]", "arg1", FETCH_ARG, FETCH_F, 8, 2, 1, 0 },
		{ "flag=$arg1:b3@5/32", "flag", FETCH_ARG, FETCH_U, 4, 0, 0, 0 },
	};
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];

		snprintf(text, sizeof(text), "f x %s", f->arg);
		good(text);
		assert_int_equal(def.nargs, 1);
		assert_string_equal(def.args[0].name, f->name);
		if (def.args[0].base != f->base || def.args[0].type != f->type || def.args[0].size != f->size ||
		    def.args[0].count != f->count || def.args[0].nderef != f->nderef ||
		    def.args[0].value != f->value)
			fail_msg("%s: base %u type %u size %u count %u nderef %u value %llx", text,
				 def.args[0].base, def.args[0].type, def.args[0].size, def.args[0].count,
				 def.args[0].nderef, (unsigned long long)def.args[0].value);
	}
	good("f x flag=$arg1:b3@5/32");
	assert_int_equal(def.args[0].bit_width, 3);
	assert_int_equal(def.args[0].bit_shift, 5);
	good("f x +8(-4(+0x10($arg2)))");
	assert_int_equal(def.args[0].deref[0], 0x10);
	assert_int_equal(def.args[0].deref[1], -4);
	assert_int_equal(def.args[0].deref[2], 8);
	good("r x $retval:s32 $arg6");
	assert_int_equal(def.ret_args, 6);
	good("r x $fpretval:f32");
	assert_true(def.fp);
	good("f x $fparg8.3:f64");
	assert_true(def.fp && def.args[0].value == 7 && def.args[0].word == 3);
	good("r x $x87retval $x87retval2.1:x16");
	assert_true(def.fp && !def.args[0].word && def.args[1].word == 1 && def.args[1].value == 1);
}

static void test_registers(void **state)
{
	char text[64];

	for (unsigned int at = 0; at < sizeof(struct pt_regs); at += sizeof(long)) {
		const char *name = regs_query_register_name(at);

		if (!name)
			continue;
		snprintf(text, sizeof(text), "p x+4 %%%s", name);
		good(text);
		assert_int_equal(def.args[0].base, FETCH_REG);
		assert_int_equal(def.args[0].value, at);
	}
}

/* ---- what is not: the caret stands below the ^ of the second text ---- */

struct bad {
	const char *text, *caret;
};

static void test_errors(void **state)
{
	static const struct bad bads[] = {
		{ "",
		  "^" },
		{ "q open",
		  "^" },
		{ "p",
		  " ^" },
		{ "p3 open",
		  " ^" },
		{ "r9x open",
		  " ^" },
		{ "r4097 open",
		  " ^" },
		{ "u open",
		  "  ^" },
		{ "u :open",
		  "  ^" },
		{ "u libc:",
		  "  ^" },
		{ "u3 libc:open",
		  " ^" },
		{ "u libc:open*",
		  "           ^" },
		{ "u libc:open $arg1",
		  "            ^" },
		{ "-open",
		  " ^" },
		{ "-",
		  " ^" },
		{ "-:a/b c",
		  "      ^" },
		{ "p: open",
		  "  ^" },
		{ "p:/b open",
		  "  ^" },
		{ "p:a-b/c open",
		  "  ^" },
		{ "p:a/b-c open",
		  "    ^" },
		{ "p:a/1b open",
		  "    ^" },
		{ "p 0xzz",
		  "  ^" },
		{ "f 0x1000",
		  "  ^" },
		{ "p :open",
		  "  ^" },
		{ "p lib:",
		  "      ^" },
		{ "p open+",
		  "       ^" },
		{ "p open+3x",
		  "       ^" },
		{ "f open+3",
		  "      ^" },
		{ "f open%retrun",
		  "  ^" },
		{ "f open x",
		  "       ^" },
		{ "f open =$arg1",
		  "       ^" },
		{ "f open a=",
		  "         ^" },
		{ "f open a-b=$arg1",
		  "       ^" },
		{ "f open __probe_ip=$arg1",
		  "       ^" },
		{ "f open a=$arg1 a=$arg2",
		  "               ^" },
		{ "f open arg2=$arg1 $arg2",
		  "                  ^" },
		{ "f open $arg0",
		  "       ^" },
		{ "f open $arg",
		  "       ^" },
		{ "f open $nothing",
		  "       ^" },
		{ "f open $retval",
		  "       ^" },
		{ "f open $fpretval",
		  "       ^" },
		{ "r open $fparg1",
		  "       ^" },
		{ "f open $fparg1.8",
		  "       ^" },
		{ "f open $x87retval",
		  "       ^" },
		{ "r open $x87retval.2",
		  "       ^" },
		{ "r open $arg7",
		  "       ^" },
		{ "p open+4 $arg1",
		  "         ^" },
		{ "p 0x1000 $arg1",
		  "         ^" },
		{ "f open $stackx",
		  "       ^" },
		{ "f open %nosuch",
		  "       ^" },
		{ "f open %",
		  "       ^" },
		{ "f open @",
		  "       ^" },
		{ "f open @0y",
		  "       ^" },
		{ "f open @sym+y",
		  "           ^" },
		{ "f open \\x",
		  "        ^" },
		{ "f open \\\"text",
		  "             ^" },
		{ "f open +8$arg1",
		  "              ^" },
		{ "f open +x($arg1)",
		  "        ^" },
		{ "f open +8($arg1",
		  "               ^" },
		{ "f open +8()",
		  "          ^" },
		{ "f open +8($comm)",
		  "          ^" },
		{ "f open +8($fparg1)",
		  "          ^" },
		{ "f open +8($arg1)y",
		  "                ^" },
		{ "f open +0(+0(+0(+0(+0(+0(+0(+0(+0($arg1)))))))))",
		  "                               ^" },
		{ "f open $arg1:u7",
		  "             ^" },
		{ "f open $arg1:",
		  "             ^" },
		{ "f open $arg1:f16",
		  "             ^" },
		{ "f open $arg1:f64",
		  "       ^" },
		{ "f open $fparg1:u64",
		  "               ^" },
		{ "f open $arg1:string",
		  "             ^" },
		{ "f open $comm:u64",
		  "             ^" },
		{ "f open $arg1:libcxxstring",
		  "             ^" },
		{ "f open $comm:libcxxstring",
		  "             ^" },
		{ "f open +0($arg1):libcxxlength[2]",
		  "                 ^" },
		{ "f open $arg1:u8[3]",
		  "             ^" },
		{ "f open +0($arg1):u8[",
		  "                    ^" },
		{ "f open +0($arg1):u8[3",
		  "                     ^" },
		{ "f open +0($arg1):u8[x]",
		  "                    ^" },
		{ "f open +0($arg1):u8[0]",
		  "                    ^" },
		{ "f open +0($arg1):u8[65]",
		  "                    ^" },
		{ "f open +0($arg1):u8[3]x",
		  "                      ^" },
		{ "f open $arg1:b3",
		  "             ^" },
		{ "f open $arg1:b0@0/32",
		  "             ^" },
		{ "f open $arg1:b3@30/32",
		  "             ^" },
		{ "f open $arg1:b3@3/24",
		  "             ^" },
		{ "f open +0($arg1):symstr[2]",
		  "                 ^" },
		{ "f open $arg1 if",
		  "             ^" },
	};

	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		struct probe_error error = { NULL, 0 };

		if (!parse(bads[i].text, &error))
			fail_msg("'%s' is taken for right", bads[i].text);
		assert_non_null(error.what);
		if (error.at == strlen(bads[i].caret) - 1)
			continue;
		print_error("'%s': %s at %u, not at %zu\n", bads[i].text, error.what, error.at,
			    strlen(bads[i].caret) - 1);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void test_too_much(void **state)
{
	struct probe_error error;
	char text[5000] = "f open";

	for (int i = 0; i < 33; i++)
		sprintf(text + strlen(text), " a%d=$arg1", i);
	assert_int_equal(parse(text, &error), -E2BIG);
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(parse(text, &error), -E2BIG);
	strcpy(text, "f:");
	memset(text + 2, 'g', 64);
	strcpy(text + 66, "/e open");
	assert_int_equal(parse(text, &error), -ENAMETOOLONG);
	strcpy(text, "f open ");
	memset(text + 7, 'n', 32);
	strcpy(text + 39, "=$arg1");
	assert_int_equal(parse(text, &error), -ENAMETOOLONG);
}

/* ---- filters ---- */

static int filter(const char *text, struct probe_error *error)
{
	struct event_filter *f = NULL;
	int err = event_filter_parse(&f, def.args, def.nargs, text, (u32)strlen(text), error);

	event_filter_free(f);
	return err;
}

static void test_filters(void **state)
{
	static const char *const right[] = {
		"n > 10", "n>10&&name~\"x*\"", "!(n & 4) || n == -3", "((n != 0x10))", "name == 'a b'",
		"name == word", "!!n <= 7", "common_pid == 1 && common_tid != 2", "comm ~ \"a[bc]*\"",
		"c == 'x'", "n >= 1 || n < 1 && n > 2",
	};
	static const struct bad wrong[] = {
		{ "",
		  "^" },
		{ "n",
		  " ^" },
		{ "n >",
		  "   ^" },
		{ "n > x",
		  "    ^" },
		{ "n > 3x",
		  "     ^" },
		{ "m > 3",
		  "^" },
		{ "n ~ \"x\"",
		  "  ^" },
		{ "name > \"x\"",
		  "     ^" },
		{ "name == \"x",
		  "        ^" },
		{ "(n > 3",
		  "      ^" },
		{ "n > 3)",
		  "     ^" },
		{ "n > 3 n > 4",
		  "      ^" },
		{ "n > 3 &&",
		  "        ^" },
		{ "n && 3",
		  "  ^" },
		{ "arr == 3",
		  "^" },
		{ "fp > 3",
		  "^" },
	};
	struct probe_error error;

	good("f open n=$arg1:s32 name=+0($arg2):string arr=+0($arg2):u8[4] fp=$fparg1 c=$arg3:char");
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		if (filter(right[i], &error))
			fail_msg("%s: %s at %u", right[i], error.what, error.at);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		error.what = NULL;
		if (filter(wrong[i].text, &error) != -EINVAL)
			fail_msg("'%s' is taken for right", wrong[i].text);
		if (error.at != strlen(wrong[i].caret) - 1)
			fail_msg("'%s': %s at %u, not at %zu", wrong[i].text, error.what, error.at,
				 strlen(wrong[i].caret) - 1);
	}
}

/* ---- texts that are nearly right ---- */

static void test_fuzz(void **state)
{
	static const char *const seeds[] = {
		"f:grp/ev lib.so:open%return a=+0(+8($arg1)):string b=$retval:s32 c=@sym+4:x8[4] if a == 3",
		"p:x open+4 %ax $stack3 \\\"a b\" \\-3:s8 +0($stack):b3@2/16 -8(%sp):symbol[3]",
		"n > 10 && (name ~ \"x*\" || !(n & 4)) && comm == 'a'",
	};
	static const char letters[] = ":/+-=()$%@\\\"'[]~&|!<> \tabx0189";
	struct probe_error error;
	char text[256];

	srandom(1);
	for (int round = 0; round < 300000; round++) {
		size_t len;
		int err;

		strcpy(text, seeds[round % 3]);
		len = strlen(text);
		for (long k = random() % 4; k >= 0; k--) {
			size_t at = (size_t)random() % len;

			if (random() % 2)
				text[at] = letters[(size_t)random() % (sizeof(letters) - 1)];
			else
				memmove(text + at, text + at + 1, len-- - at);
		}
		good("f open n=$arg1:s32 name=+0($arg2):string");
		error = (struct probe_error){ NULL, 0 };
		err = round % 3 == 2 ? filter(text, &error) : parse(text, &error);
		if (err)
			assert_true(error.what && error.at <= strlen(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

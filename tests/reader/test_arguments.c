/* SPDX-License-Identifier: MIT */
/* How values are shown, by the file "arguments" of a recording. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/arguments.h"

/* An event with up to eight values. */
struct made {
	struct trace_event event;
	struct trace_event_class class;
	struct trace_field fields[8];
	struct trace_value values[8];
	struct trace_process process;
};

static struct trace_recording recording;
static char folder[64];

/* Arguments of one call, "call f f TEXT", and what else is in the file. */
static struct trace_arguments *open_text(const char *text, const char *rest)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/arguments", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, TRACE_ARGUMENTS_HEAD "call f f %s\n%s", text, rest);
	fclose(file);
	return trace_arguments_open(&recording);
}

static void init(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->class.group = FTRACE_EVENT_ARGS_GROUP;
	m->class.name = "f";
	m->event.class = &m->class;
	m->event.process = &m->process;
	m->event.values = m->values;
	m->event.state = TRACE_EVENT_WHOLE;
}

static struct trace_value *add(struct made *m, const char *name, enum trace_field_type type, unsigned size)
{
	size_t i = m->event.nvalues++;

	m->fields[i] = (struct trace_field){ .name = name, .type = type, .size = size };
	m->values[i].field = &m->fields[i];
	return &m->values[i];
}

static void number(struct made *m, const char *name, unsigned size, uint64_t value)
{
	add(m, name, TRACE_FIELD_UNSIGNED, size)->u = value;
}

static void real(struct made *m, const char *name, double value)
{
	add(m, name, TRACE_FIELD_FLOAT, 8)->f = value;
}

static void string(struct made *m, const char *name, const char *value)
{
	add(m, name, TRACE_FIELD_STRING, 0)->string = value;
}

static void expect(const struct made *m, const char *text, const char *rest, const char *shown)
{
	struct trace_arguments *args = open_text(text, rest);
	char buf[1024], small[4];
	size_t len;

	assert_non_null(args);
	assert_true(trace_arguments_has(args, &m->event));
	len = trace_arguments_text(args, &m->event, 0, buf, sizeof(buf));
	assert_string_equal(buf, shown);
	assert_int_equal(len, strlen(shown));
	/* Cut off, it ends all the same, and says how long it is. */
	assert_int_equal(trace_arguments_text(args, &m->event, 0, small, sizeof(small)), len);
	assert_int_equal(strlen(small), len < 3 ? len : 3);
	trace_arguments_close(args);
}

static void test_numbers(void **state)
{
	struct made m;

	init(&m);
	number(&m, "a", 8, 0xfffffffe00000007ull);
	real(&m, "f", -1.5);
	expect(&m, "%{a:d}|%{a:u}|%{a:x}|%{a:d32@0}|%{a:d32@32}|%{a:u3@0}|%{a:o8@0}", "",
	       "-8589934585|18446744065119617031|0xfffffffe00000007|7|-2|7|07");
	expect(&m, "%{a:x8@8} %{a:o8@8} %{a:b1@0} %{a:b1@4} %{a:p} %{a:p8@8}", "", "0 0 true false 0xfffffffe00000007 NULL");
	expect(&m, "%{f:f} %{f:f64@0} %{f:f32@32} %{a:f64@0}", "", "-1.5 -1.5 -1.9375 nan");
}

static void test_floats(void **state)
{
	struct made m;

	init(&m);
	real(&m, "a", 0.1);
	real(&m, "b", 1e300);
	real(&m, "c", 1.0 / 3);
	add(&m, "d", TRACE_FIELD_FLOAT, 4)->f = 0.1f;
	real(&m, "e", -0.0);
	expect(&m, "%{a:f} %{b:f} %{c:f} %{d:f} %{e:f}", "", "0.1 1e+300 0.3333333333333333 0.1 -0");
	init(&m);
	number(&m, "lo", 8, 0xa000000000000000ull);
	number(&m, "hi", 2, 0xbfff);
	number(&m, "top", 2, 0x7fff);
	expect(&m, "%{lo:L,hi} %{lo:L,top}", "", "-1.25 nan");
	init(&m);
	number(&m, "least", 8, 1);
	number(&m, "zero", 8, 0);
	number(&m, "hi", 2, 0);
	number(&m, "minus", 2, 0x8000);
	expect(&m, "%{least:L,hi} %{least:L,minus} %{zero:L,minus}", "",
	       "3.6451995318824746e-4951 -3.6451995318824746e-4951 -0");
}

static void test_wide(void **state)
{
	struct made m;

	init(&m);
	number(&m, "lo", 8, ~0ull);
	number(&m, "hi", 8, ~0ull);
	number(&m, "one", 8, 1);
	expect(&m, "%{lo:I,hi} %{lo:U,one} %{lo:U,hi}", "",
	       "-1 36893488147419103231 340282366920938463463374607431768211455");
}

static void test_letters(void **state)
{
	struct made m;

	init(&m);
	number(&m, "a", 1, 'x');
	number(&m, "b", 1, '\n');
	number(&m, "c", 1, 0xe9);
	number(&m, "d", 4, 0x20ac);
	number(&m, "e", 4, 0xffffffff);
	number(&m, "f", 1, '\'');
	number(&m, "g", 4, 0x1f600);
	expect(&m, "%{a:c} %{b:c} %{c:c} %{d:c} %{e:c} %{f:c} %{g:c}", "", "'x' '\\n' '\\xe9' '\u20ac' -1 '\\'' '\U0001f600'");
}

static void test_text(void **state)
{
	char longest[FTRACE_EVENT_MAX_STRING], shown[256];
	struct made m;

	init(&m);
	string(&m, "s", "a\"b\\\t\033[1m\x9b\xc2\x9bgr\xc3\xbc\xed\xa0\x80");
	number(&m, "p", 8, 1);
	expect(&m, "%{s:s,p}", "", "\"a\\\"b\\\\\\t\\e[1m\\x9b\\xc2\\x9bgr\xc3\xbc\\xed\\xa0\\x80\"");
	m.values[1].u = 0;
	expect(&m, "%{s:s,p}", "", "NULL");
	m.values[1].u = 0x10;
	m.values[0].fault = 1;
	expect(&m, "%{s:s,p}", "", "0x10 (fault)");
	m.values[1].fault = 1;
	expect(&m, "%{s:s,p}", "", "(fault)");

	init(&m);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	string(&m, "s", longest);
	snprintf(shown, sizeof(shown), "\"%.96s\"...", longest);
	expect(&m, "%{s:s}", "", shown);
}

static void test_text_with_length(void **state)
{
	struct made m;

	init(&m);
	string(&m, "s", "hello world");
	number(&m, "n", 8, 5);
	expect(&m, "%{s:S,n}", "", "\"hello\"");
	m.values[1].u = 11;
	expect(&m, "%{s:S,n}", "", "\"hello world\"");
	/* A zero inside ended what was fetched. */
	m.values[1].u = 20;
	expect(&m, "%{s:S,n}", "", "\"hello world\"...");
	expect(&m, "%{s:S,#4}", "", "\"hell\"");
	m.values[0].fault = 1;
	expect(&m, "%{s:S,n}", "", "(fault)");
	/* Where nothing is to be read, nothing could not be read. */
	m.values[1].u = 0;
	m.values[0].string = "";
	expect(&m, "%{s:S,n}", "", "\"\"");
}

static void test_enums(void **state)
{
	static const char enums[] = "enum 1 RED:ffffffffffffffff:0 BLUE:ffffffffffffffff:5 BLACK:ffffffffffffffff:ffffffffffffffff\n"
				    "enum 2 O_RDONLY:3:0 O_WRONLY:3:1 O_RDWR:3:2 O_CREAT:40:40 O_SYNC:101000:101000 O_DSYNC:1000:1000\n"
				    "enum 3 NONE:ffffffffffffffff:0 READ:1:1 WRITE:2:2\n"
				    "enum 4 ns::deep::ONE:ffffffffffffffff:1\n";
	struct made m;

	init(&m);
	number(&m, "a", 4, 5);
	number(&m, "b", 4, 0xffffffff);
	number(&m, "c", 4, 0x41);
	number(&m, "d", 4, 0x101040);
	number(&m, "e", 4, 0);
	number(&m, "f", 4, 0x80000001);
	expect(&m, "%{a:e32,1} %{b:e32,1} %{c:e32,1} %{e:e32,1}", enums, "BLUE BLACK 65 RED");
	expect(&m, "%{c:e32,2} %{d:e32,2} %{e:e32,2} %{f:e32,2}", enums,
	       "O_WRONLY|O_CREAT O_RDONLY|O_CREAT|O_SYNC O_RDONLY O_WRONLY|0x80000000");
	m.values[3].u = 0x101000;
	expect(&m, "%{d:e32,2} %{e:e32,3} %{a:e32,3}", enums, "O_RDONLY|O_SYNC NONE READ|0x4");
	expect(&m, "%{f:e8@0,4} %{a:e32,9}", enums, "ns::deep::ONE 5");
}

static void test_conditions(void **state)
{
	struct made m;

	init(&m);
	number(&m, "flags", 4, 0x40);
	number(&m, "mode", 4, 0644);
	expect(&m, "%{flags:x}%[flags&40:, %{mode:o}%]", "", "0x40, 0644");
	m.values[0].u = 1;
	expect(&m, "%{flags:x}%[flags&40:, %{mode:o}%] end", "", "0x1 end");
}

static void test_faults(void **state)
{
	struct made m;

	init(&m);
	number(&m, "a", 4, 0);
	m.values[0].fault = 1;
	expect(&m, "{x=%{a:d}, y=%{none:d}}", "", "{x=(fault), y=?}");
}

/* Whatever stands in the file: no crash, nothing raw. */
static void test_damage(void **state)
{
	static const char *const texts[] = {
		"%", "%{", "%{}", "%{a", "%{a:", "%{a:}", "%{:d}", "%{a:d99}", "%{a:d3@99}", "%{a:e32}", "%{a:s,}", "%{a:S,#}",
		"%[", "%[a&", "%[a&1:", "%[b&1:x", "%]", "%%", "%{a:L}", "%{a:e32,99999999999999999999}", "\033[1m", "",
		"%{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:d}",
	};
	struct made m;
	char buf[64];

	init(&m);
	number(&m, "a", 4, 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct trace_arguments *args = open_text(texts[i], "enum 1 A\nenum x\nenum\ncall\ncall g\nnothing\nenum 2 A:1:1 B:z:1\nenum 3 A:::\n");

		assert_non_null(args);
		trace_arguments_text(args, &m.event, 0, buf, sizeof(buf));
		assert_null(strchr(buf, '\033'));
		trace_arguments_close(args);
	}
}

static void test_others(void **state)
{
	struct trace_arguments *args = open_text("%{a:d}", "");
	struct made m;

	init(&m);
	m.class.name = "g";
	assert_false(trace_arguments_has(args, &m.event));
	m.class.name = "f";
	m.class.group = "kprobes";
	assert_false(trace_arguments_has(args, &m.event));
	m.class.group = FTRACE_EVENT_ARGS_GROUP;
	m.event.state = TRACE_EVENT_INCOMPLETE;
	assert_false(trace_arguments_has(args, &m.event));
	trace_arguments_close(args);
	assert_false(trace_arguments_has(NULL, &m.event));
}

static int make_folder(void **state)
{
	strcpy(folder, "/tmp/ftrace-arguments-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	recording.path = folder;
	recording.dirfd = open(folder, O_RDONLY | O_DIRECTORY);
	return recording.dirfd < 0;
}

static int remove_folder(void **state)
{
	unlinkat(recording.dirfd, "arguments", 0);
	close(recording.dirfd);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_floats), cmocka_unit_test(test_wide),
		cmocka_unit_test(test_letters), cmocka_unit_test(test_text), cmocka_unit_test(test_text_with_length),
		cmocka_unit_test(test_enums), cmocka_unit_test(test_conditions), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_others),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* SPDX-License-Identifier: MIT */
/* engine/name-regex.c against regexec(), where both know the syntax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <regex.h>
#include <string.h>

#include "engine/name-regex.h"

static int ours(const char *expression, const char *name)
{
	struct regex *re;
	int err = regex_compile(&re, expression, strlen(expression));

	if (err)
		return err;
	err = regex_match(re, name);
	regex_free(re);
	return err;
}

static int theirs(const char *expression, const char *name)
{
	regex_t re;
	int found;

	if (regcomp(&re, expression, REG_EXTENDED | REG_NOSUB))
		return -1;
	found = !regexec(&re, name, 0, NULL, 0);
	regfree(&re);
	return found;
}

static void test_by_hand(void **state)
{
	assert_int_equal(ours("^foo$", "foo"), 1);
	assert_int_equal(ours("^foo$", "food"), 0);
	assert_int_equal(ours("oo", "foo"), 1);
	assert_int_equal(ours("^(a|bc)+x?$", "abcbca"), 1);
	assert_int_equal(ours("^(a|bc)+x?$", "abcbx"), 0);
	assert_int_equal(ours("[^a-c]", "abcabc"), 0);
	assert_int_equal(ours("[]x]", "]"), 1);
	assert_int_equal(ours("\\.part\\.[0-9]+$", "f.part.12"), 1);
	assert_int_equal(ours("\\.part\\.[0-9]+$", "fxpart.12"), 0);
	assert_int_equal(ours("^$", ""), 1);
	assert_int_equal(ours("a||b", "zzz"), 1);
	assert_true(ours("(", "x") < 0);
	assert_true(ours(")", "x") < 0);
	assert_true(ours("*a", "x") < 0);
	assert_true(ours("[a", "x") < 0);
	assert_true(ours("[z-a]", "x") < 0);
	assert_true(ours("a\\", "x") < 0);
}

/* An expression whose naive matching takes exponential time. */
static void test_bounded_time(void **state)
{
	char name[3001];

	memset(name, 'a', 3000);
	name[3000] = 0;
	assert_int_equal(ours("^(a*)*(a*)*(a*)*b$", name), 0);
}

/* Random expressions of a few letters: the same answer, or both refuse. */
static unsigned int seed = 20261121;

static unsigned int pick(unsigned int n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static void make(char *out, int depth)
{
	static const char *const atoms[] = { "a", "b", ".", "[ab]", "[^a]", "c" };
	static const char *const repeats[] = { "", "", "", "*", "+", "?" };
	int pieces = 1 + (int)pick(3);

	while (pieces--) {
		if (depth && pick(3) == 0) {
			strcat(out, "(");
			make(out, depth - 1);
			if (pick(2)) {
				strcat(out, "|");
				make(out, depth - 1);
			}
			strcat(out, ")");
		} else {
			strcat(out, atoms[pick(6)]);
		}
		strcat(out, repeats[pick(6)]);
	}
}

static void test_random(void **state)
{
	for (int i = 0; i < 20000; i++) {
		char expression[1000] = "", name[16] = "";
		int len = (int)pick(9);

		if (pick(3) == 0)
			strcat(expression, "^");
		make(expression, 3);
		if (pick(3) == 0)
			strcat(expression, "$");
		for (int k = 0; k < len; k++)
			name[k] = "abcd"[pick(4)];
		if (ours(expression, name) != theirs(expression, name))
			fail_msg("'%s' on '%s': ours %d, regexec %d", expression, name,
				 ours(expression, name), theirs(expression, name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_bounded_time),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

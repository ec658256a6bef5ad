/* SPDX-License-Identifier: MIT */
/* Patches for the server, one a definition. */
#include <ftrace/patch.h>

#ifdef FIX_ANSWER
KLP_SYMBOL_AT(volatile int, secret, 0, "server.c", "secret", 0);
KLP_SYMBOL(int, shown);
KLP_SYMBOL(int (int), helper);

static int fixed_answer(int x)
{
	return -(helper(x) + secret + shown);
}
KLP_REPLACE(answer, fixed_answer);
KLP_PATCH("answer", "1.2");
#endif

#ifdef FIX_TWIN		/* one by its file, the other by its position */
static int twin_of_server(void)
{
	return 11;
}
KLP_REPLACE_AT(0, "server.c", "twin", 0, twin_of_server);

#ifndef TWIN_POSITION
#define TWIN_POSITION 2
#endif
static int second_count(void)
{
	return 77;
}
KLP_REPLACE_POS(count, TWIN_POSITION, second_count);
#endif

#ifdef FIX_BLOCKED
static int fixed_blocked(void)
{
	return 200;
}
KLP_REPLACE(blocked, fixed_blocked);
static int also_answer(int x)
{
	return 5;
}
KLP_REPLACE(answer, also_answer);
#endif

#ifdef FIX_PAIR		/* inner() and outer() have another version between them */
static __attribute__((noipa)) int new_inner(int version)
{
	return version == 2;
}
KLP_SYMBOL(int (int), inner);

static int new_outer(void)
{
	return inner(2);	/* by its name: goes to the version of this thread */
}
KLP_REPLACE(inner, new_inner);
KLP_REPLACE(outer, new_outer);
#endif

#ifdef FIX_CALLBACKS
static int pre_fails;
static int shadows, *last;

static int made(void *obj, void *data, void *arg)
{
	*(int *)data = *(int *)arg;
	return 0;
}

static int shadow_answer(int x)
{
	last = klp_shadow_get_or_alloc(&shadows, 1, sizeof(*last), made, &x);
	return last ? 10000 + ++*last : 0;
}
KLP_REPLACE(answer, shadow_answer);

static int pre(struct klp_object *obj)
{
	struct klp_state *state = klp_get_state(klp_this_patch(), 9);

	return state && state->version == 3 && !pre_fails ? 0 : -5;
}

static void post_unpatch(struct klp_object *obj)
{
	klp_shadow_free_all(1, 0);
}
KLP_CALLBACKS(0, pre, 0, 0, post_unpatch);
KLP_STATE(9, 3);
#endif

#ifdef FIX_PRE_FAILS
static int pre(struct klp_object *obj)
{
	return -16;
}
static int never(int x)
{
	return 0;
}
KLP_REPLACE(answer, never);
KLP_CALLBACKS(0, pre, 0, 0, 0);
#endif

#ifdef FIX_MISSING
static int nothing(void)
{
	return 0;
}
KLP_SYMBOL(int, no_such_variable);
KLP_SYMBOL(int, mine);		/* thread-local */
static int use(void)
{
	return no_such_variable + mine;
}
KLP_REPLACE(no_such_function, nothing);
KLP_REPLACE(twin, nothing);	/* which? */
KLP_REPLACE_POS(twin, 3, nothing);
KLP_REPLACE(answer, use);
#endif

#ifdef FIX_ALL
static int instead(int x)
{
	return 1;
}
KLP_REPLACE(answer, instead);
KLP_ATOMIC_REPLACE;
KLP_STATE(9, 4);		/* knows those of the patches it replaces */
#endif

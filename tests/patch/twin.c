/* SPDX-License-Identifier: MIT */
/* A second source file of the server, with static functions and variables of the same names. */
#define NOIPA __attribute__((noipa))

static volatile int secret = 1;

static NOIPA int twin(void)
{
	return 2;
}

int twin_other(void)
{
	return twin();
}

static NOIPA int count(void)
{
	static volatile int calls = 10;

	calls += secret;
	return calls;
}

int count_other(void)
{
	return count();
}

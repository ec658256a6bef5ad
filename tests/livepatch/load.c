/* SPDX-License-Identifier: MIT */
/*
 * Functions that are changed together, transitions back and forth, under threads that do nothing but call
 * them, in each of the ways (chain-patch.h), and others that come and go: never one mixed call.
 *
 * FTRACE_KLP_TRANSITIONS=N: so many, however long it takes; else as many as 15 seconds have.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "chain-patch.h"

#define HAMMERS (CHAIN_CALLS + 2)

static volatile bool stop;

struct hammer {
	pthread_t thread;
	unsigned long kind;
	long long calls[3];	/* [version] */
	long mixed;
	unsigned long n;
};

static __thread struct hammer *self;

static void count(struct hammer *h, int got)
{
	if (got == 1 || got == 2)
		h->calls[got]++;
	else
		h->mixed++;
}

/* A call in the middle of another, or of the library at it. */
static void in_handler(int sig)
{
	if (self)
		count(self, chain_call(self->n));
}

static void *hammer(void *arg)
{
	struct hammer *h = self = arg;

	while (!stop) {
		count(h, chain_call(h->kind < CHAIN_CALLS ? h->kind : h->n));
		/* Some wait now and then, some are interrupted. */
		if (++h->n % 1024 == 0 && h->kind % 2)
			usleep(100);
		if (h->n % 512 == 0 && h->kind >= CHAIN_CALLS)
			raise(SIGUSR1);
	}
	return NULL;
}

static void *one_call(void *arg)
{
	struct hammer *h = arg;

	count(h, chain_call(h->n));
	return NULL;
}

static void *come_and_go(void *arg)
{
	struct hammer *h = arg;

	while (!stop) {
		pthread_t t;

		h->n++;
		if (!pthread_create(&t, NULL, one_call, h))
			pthread_join(t, NULL);
	}
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

int main(void)
{
	static struct hammer hammers[HAMMERS + 1];
	const char *env = getenv("FTRACE_KLP_TRANSITIONS");
	long wanted = env ? atol(env) : 0, done = 0, failed = 0, rounds = 0, turned = 0;
	long mixed = 0;
	long long calls[3] = { 0 };
	const int patience = wanted ? 100000 : 20000;	/* milliseconds: emulators are slow */
	double begin = now();

	ftrace_set_log(say);
	signal(SIGUSR1, in_handler);
	for (unsigned long i = 0; i < HAMMERS; i++) {
		hammers[i].kind = i;
		pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]);
	}
	pthread_create(&hammers[HAMMERS].thread, NULL, come_and_go, &hammers[HAMMERS]);
	while (!failed && (wanted ? done < wanted : done <= 10 || now() - begin < 15)) {
		/* Every eighth is turned round on its way, if it is not over by then. */
		failed = klp_enable_patch(&chain_patch);
		if (!failed && ++rounds % 8 == 0) {
			turned += klp_reverse_transition() == 0;
			done++;
		}
		failed = failed ?: klp_wait_transition(patience);
		if (!failed && klp_is_enabled(&chain_patch))
			failed = klp_disable_patch(&chain_patch) ?: klp_wait_transition(patience);
		done += 2;
	}
	if (failed)
		print_holders();
	stop = true;
	for (int i = 0; i <= HAMMERS; i++) {
		pthread_join(hammers[i].thread, NULL);
		mixed += hammers[i].mixed;
		calls[1] += hammers[i].calls[1];
		calls[2] += hammers[i].calls[2];
	}
	printf("# %ld transitions in %.1f s, %ld turned round; %lld calls old, %lld new\n", done,
	       now() - begin, turned, calls[1], calls[2]);
	ok(!failed, "every transition comes to its end (%ld)", failed);
	ok(done > 10 && calls[1] && calls[2], "there were some, and calls of both versions");
	ok(!mixed && !chain_mixed, "no mixed call (%ld, %ld)", mixed, chain_mixed);
	return tap_done();
}

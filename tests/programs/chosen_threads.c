/* SPDX-License-Identifier: MIT */
/*
 * Threads named "one" and "two", each with a function of its own that it calls about once a millisecond, and all with one in
 * common; "one" makes others all the time. Ends at SIGTERM with "ok"; at SIGUSR1 "one" ends.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t ends, one_ends;
static sem_t named;
static volatile int sink;
volatile unsigned int mains, ones, twos, children;	/* calls of the functions below */

#define CALLED	__attribute__((noinline, noipa))

CALLED void common(void) { sink++; }
CALLED void main_step(void) { common(); mains++; }
CALLED void one_step(void) { common(); ones++; }
CALLED void two_step(void) { common(); twos++; }
CALLED void child_step(void) { common(); children++; }

static void end(int sig)
{
	ends = 1;
}

static void end_one(int sig)
{
	one_ends = 1;
}

static void *child(void *unused)
{
	for (int i = 0; i < 5; i++)
		child_step();
	return unused;
}

static void *one(void *unused)
{
	pthread_setname_np(pthread_self(), "one");
	sem_post(&named);
	while (!ends && !one_ends) {
		pthread_t t;

		one_step();
		if (!pthread_create(&t, NULL, child, NULL))
			pthread_join(t, NULL);
		usleep(1000);
	}
	return unused;
}

static void *two(void *unused)
{
	pthread_setname_np(pthread_self(), "two");
	sem_post(&named);
	while (!ends) {
		two_step();
		usleep(1000);
	}
	return unused;
}

int main(void)
{
	pthread_t t[2];

	signal(SIGTERM, end);
	signal(SIGUSR1, end_one);
	sem_init(&named, 0, 0);
	pthread_create(&t[0], NULL, one, NULL);
	pthread_create(&t[1], NULL, two, NULL);
	for (int i = 0; i < 2; i++)
		while (sem_wait(&named))
			;
	puts("ready");
	fflush(stdout);
	while (!ends) {
		main_step();
		usleep(1000);
	}
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	puts("ok");
	return 0;
}

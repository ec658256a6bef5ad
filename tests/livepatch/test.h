/* SPDX-License-Identifier: MIT */
#ifndef TESTS_LIVEPATCH_TEST_H
#define TESTS_LIVEPATCH_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <ftrace/livepatch.h>

#include "targets.h"
#include "../unwind/reads.h"
#include "../unwind/said.h"
#include "../unwind/tap.h"

#define LONG	30000		/* milliseconds: a busy machine takes its time */

__attribute__((unused)) static int enable(struct klp_patch *p)
{
	int err = klp_enable_patch(p);

	return err ? err : klp_wait_transition(LONG);
}

__attribute__((unused)) static int disable(struct klp_patch *p)
{
	int err = klp_disable_patch(p);

	return err ? err : klp_wait_transition(LONG);
}

__attribute__((unused)) static int print_holder(const struct klp_holder *h, void *data)
{
	printf("# held by %d in %s: %s\n", h->tid, h->func ? h->func : "?", h->why);
	return 0;
}

__attribute__((unused)) static void print_holders(void)
{
	struct klp_transition t;

	klp_transition_status(&t, print_holder, NULL);
	printf("# %s, %u holders\n", t.patch ? "in transition" : "no transition", t.nholders);
}

#endif

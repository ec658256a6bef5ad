/* SPDX-License-Identifier: MIT */
/* What callbacks get as struct pt_regs, and what becomes of what they change in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "selftest-arch.h"

#include "tracers/selftest/selftest.h"
#include "tracers/selftest/targets.h"

static const char *const all[] = { ARCH_SELFTEST_NAMES };
static const char *const minimum[] = { ARCH_SELFTEST_MINIMUM };

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static unsigned long value(const struct pt_regs *regs, const char *name)
{
	int offset = regs_query_register_offset(name);

	if (offset < 0)
		selftest_give_up("regs_query_register_offset(\"%s\"): got %d", name, offset);
	return regs_get_register(regs, (unsigned int)offset);
}

static void compare(const char *what, const struct pt_regs *got, const struct pt_regs *want,
		    const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s, %s", what, names[i]);
		expect_hex(text, value(got, names[i]), value(want, names[i]));
	}
}

/* The part that every callback gets right. @out: of the call. */
static void check_place(const struct probe *p, const struct pt_regs *out)
{
	expect_hex("sp", p->sp, arch_selftest_sp(out));
	expect_hex("the return address at sp", p->return_address, instruction_pointer(out));
	expect_hex("parent_ip", p->parent, instruction_pointer(out));
	if (instruction_pointer(&p->regs) <= p->ip || instruction_pointer(&p->regs) > p->ip + 16)
		selftest_fail("ip: expected right behind the site at %#lx, got %#lx", p->ip,
			      instruction_pointer(&p->regs));
}

static void regs_saved(unsigned long flags, const char *const *names, size_t n)
{
	struct pt_regs in, out;
	struct probe p;

	for (unsigned int round = 0; round < 4; round++) {
		probe_init(&p, "target_one", flags);
		probe_start(&p);
		arch_selftest_fill(&in, round);
		arch_selftest_call(&in, &out, target_one);
		probe_stop(&p);
		if (!expect("calls", probe_count(&p), 1))
			return;
		if (!p.had_regs) {
			selftest_fail("regs: expected them, got NULL");
			return;
		}
		compare("in the callback", &p.regs, &in, names, n);
		check_place(&p, &out);
		/* Flags are dead at a function's entry and kept with SAVE_REGS only. */
		compare("after the call", &out, &in, all,
			COUNT(all) - !(flags & FTRACE_OPS_FL_SAVE_REGS));
	}
}

static void regs_full(void)
{
	regs_saved(FTRACE_OPS_FL_SAVE_REGS, all, COUNT(all));
}

static void regs_if_supported(void)
{
	regs_saved(FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED | FTRACE_OPS_FL_SAVE_REGS, all,
		   COUNT(all));
}

static void regs_minimum(void)
{
	regs_saved(0, minimum, COUNT(minimum));
}

/* One ops wants all of them and one does not, on the same function. */
static void regs_mixed(void)
{
	struct pt_regs in, out;
	struct probe a, b;

	probe_init(&a, "target_one", FTRACE_OPS_FL_SAVE_REGS);
	probe_init(&b, "target_one", 0);
	probe_start(&a);
	probe_start(&b);
	arch_selftest_fill(&in, 1);
	arch_selftest_call(&in, &out, target_one);
	expect("calls, with registers", probe_count(&a), 1);
	expect("calls, without", probe_count(&b), 1);
	compare("with", &a.regs, &in, all, COUNT(all));
	compare("without", &b.regs, &in, minimum, COUNT(minimum));
	check_place(&a, &out);
	check_place(&b, &out);
	probe_stop(&a);
	arch_selftest_call(&in, &out, target_one);
	expect("calls, without, alone", probe_count(&b), 2);
	compare("without, alone", &b.regs, &in, minimum, COUNT(minimum));
	probe_stop(&b);
}

static struct pt_regs instead;

static void change(struct probe *p, struct pt_regs *regs)
{
	for (size_t i = 0; i < COUNT(all); i++) {
		int offset = regs_query_register_offset(all[i]);

		memcpy((char *)regs + offset, (char *)&instead + offset, sizeof(long));
	}
}

static void regs_changed(void)
{
	struct pt_regs in, out;
	struct probe p;

	for (unsigned int round = 0; round < 4; round++) {
		probe_init(&p, "target_one", FTRACE_OPS_FL_SAVE_REGS);
		p.then = change;
		probe_start(&p);
		arch_selftest_fill(&in, round);
		arch_selftest_fill(&instead, round + 1);
		arch_selftest_call(&in, &out, target_one);
		probe_stop(&p);
		compare("changed by the callback", &out, &instead, all, COUNT(all));
	}
}

static unsigned long seen[8];

static void read_arguments(struct probe *p, struct pt_regs *regs)
{
	for (unsigned int i = 0; i < 8; i++)
		seen[i] = regs_get_argument(regs, i);
}

static void arguments(void)
{
	struct probe p;

	probe_init(&p, "target_sum", FTRACE_OPS_FL_SAVE_REGS);
	p.then = read_arguments;
	probe_start(&p);
	expect("the sum", target_sum(1, 20, 300, 4000, 50000, 600000, 7000000, 80000000),
	       87654321);
	for (unsigned long i = 0, want = 1, power = 1; i < 8; i++, power *= 10) {
		char what[32];

		want = (i + 1) * power;
		snprintf(what, sizeof(what), "argument %lu", i);
		expect(what, (long)seen[i], (long)want);
	}
	probe_stop(&p);
}

static volatile double spoiled;
static double fp_seen[2];

static void use_vectors(struct probe *p, struct pt_regs *regs)
{
	double x = 1.5, y = 2.5;

	fp_seen[0] = regs_get_fp_argument(regs, 0);
	fp_seen[1] = regs_get_fp_argument(regs, 1);
	for (int i = 0; i < 20; i++)
		spoiled = x = x * y + spoiled / 3;
	if (p->count == 2)
		regs_set_fp_argument(regs, 0, 100);
}

/* Vector registers: seen, kept over a callback that uses them, changed. */
static void vectors(void)
{
	const long in_registers = ARCH_SELFTEST_FP_REGISTERS;	/* no: nothing is seen of them */
	struct target_pair pair;
	struct probe p;
	double r;

	for (int round = 0; round < 2; round++) {
		probe_init(&p, "target_scale target_swap",
			   round ? FTRACE_OPS_FL_SAVE_REGS : 0);
		p.then = use_vectors;
		probe_start(&p);
		r = target_scale(6, 7);
		expect("6 * 7 + 1", (long)(r * 1000), 43000);
		expect("first argument", (long)(fp_seen[0] * 1000), in_registers * 6000);
		expect("second argument", (long)(fp_seen[1] * 1000), in_registers * 7000);
		r = target_scale(6, 7);
		if (in_registers)
			expect("100 * 7 + 1, the 100 from the callback", (long)(r * 1000), 701000);
		pair = target_swap(0.25, 0.5);
		expect("first of a pair returned", (long)(pair.a * 1000), 500);
		expect("second of a pair returned", (long)(pair.b * 1000), 250);
		probe_stop(&p);
	}
}

static void redirect(struct probe *p, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)target_product);
}

/* Another function takes over; one such ops a function. */
static void ipmodify(void)
{
	unsigned long flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY;
	struct probe p, second, watch;

	expect("the function itself", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 13);
	probe_init(&p, "target_sum", flags);
	p.then = redirect;
	probe_start(&p);
	expect("its replacement", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 42);

	probe_init(&second, "target_s*", flags);
	expect_error("a second ops with IPMODIFY", register_ftrace_function(&second.ops), -EBUSY);
	choose(&second.ops, "target_one", 1);
	need("IPMODIFY of another function", register_ftrace_function(&second.ops));
	target_one();
	expect("calls of the other function", probe_count(&second), 1);
	probe_stop(&second);

	/* Others may look on. */
	probe_init(&watch, "target_sum target_product", 0);
	probe_start(&watch);
	expect("its replacement, watched", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 42);
	expect("calls of function and replacement", probe_count(&watch), 2);
	probe_stop(&p);
	expect("the function itself again", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 13);
	expect("calls, the function alone", probe_count(&watch), 3);
	probe_stop(&watch);

	probe_init(&p, "target_sum", flags);
	probe_start(&p);
	expect("IPMODIFY that changes nothing", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 13);
	probe_stop(&p);
	probe_init(&p, "target_sum", FTRACE_OPS_FL_IPMODIFY);
	expect_error("IPMODIFY without SAVE_REGS", register_ftrace_function(&p.ops), -EINVAL);
}

const struct selftest selftest_registers[] = {
	{ "ftrace regs", regs_full, 20 },
	{ "ftrace regs if supported", regs_if_supported, 20 },
	{ "ftrace regs minimum", regs_minimum, 20 },
	{ "ftrace regs mixed", regs_mixed, 20 },
	{ "ftrace regs changed", regs_changed, 20 },
	{ "ftrace regs arguments", arguments, 20 },
	{ "ftrace regs vectors", vectors, 20 },
	{ "ftrace ipmodify", ipmodify, 20 },
	{ NULL, NULL, 0 }
};

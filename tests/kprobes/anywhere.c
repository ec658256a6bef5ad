/* SPDX-License-Identifier: MIT */
/* Probes at any instruction. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static const char *const functions[] = {
	"plain_add", "plain_leaf", "plain_mix", "plain_switch", "plain_recurse", "plain_corpus",
};

static unsigned long hits, posts, wrong_ip;

static int hit(struct kprobe *p, struct pt_regs *regs)
{
	hits++;
	wrong_ip += instruction_pointer(regs) != (unsigned long)p->addr;
	return 0;
}

static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	posts++;
}

struct result {
	unsigned long probes, jumps, never, wrong;
};

/* A probe at each byte where an instruction begins, one at a time. */
static struct result each(const char *name, bool post)
{
	unsigned long want = plain_corpus(12345);
	struct result r = { 0 };

	for (unsigned int offset = 0; offset < 4096; offset++) {
		struct kprobe kp = { .symbol_name = name, .offset = offset, .pre_handler = hit,
				     .post_handler = post ? after : NULL };
		int err;

		hits = posts = wrong_ip = 0;
		last_said[0] = 0;
		err = register_kprobe(&kp);
		if (err == -ERANGE)
			break;
		if (err) {
			if (err != -EILSEQ && !(post && strstr(last_said, "nobody can be told")))
				printf("# %s+%u: %s\n", name, offset, last_said);
			continue;
		}
		r.probes++;
		r.jumps += !!(kp.flags & KPROBE_FLAG_OPTIMIZED);
		if (plain_corpus(12345) != want || wrong_ip || (post && posts != hits)) {
			printf("# %s+%u: wrong result, %lu hits, %lu of another ip, %lu behind\n", name,
			       offset, hits, wrong_ip, posts);
			r.wrong++;
		}
		if (!hits)
			r.never++;
		unregister_kprobe(&kp);
		if (plain_corpus(12345) != want)
			r.wrong++;
	}
	return r;
}

static void test_each(void)
{
	for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		for (int post = 0; post < 2; post++) {
			struct result r = each(functions[i], post);

			ok(r.probes > 1 && !r.wrong, "%s: each instruction by itself%s", functions[i],
			   post ? ", told behind it" : "");
			printf("# %lu probes, %lu by a jump; %lu not come to\n", r.probes, r.jumps,
			       r.never);
		}
}

#define MAX_PROBES 1024

/* All of them at once. */
static void test_all(void)
{
	static struct kprobe kp[MAX_PROBES];
	unsigned long want = plain_corpus(777);
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		for (unsigned int offset = 0; offset < 4096 && n < MAX_PROBES; offset++) {
			int err;

			kp[n] = (struct kprobe){ .symbol_name = functions[i], .offset = offset,
						 .pre_handler = hit };
			err = register_kprobe(&kp[n]);
			if (err == -ERANGE)
				break;
			n += !err;
		}
	hits = wrong_ip = 0;
	ok(plain_corpus(777) == want && hits > n && !wrong_ip, "%u probes at once, at every instruction", n);
	printf("# %lu hits\n", hits);
	for (unsigned int i = 0; i < n; i++)
		unregister_kprobe(&kp[i]);
	hits = 0;
	ok(plain_corpus(777) == want && !hits, "and gone");
}

/* A library that was not compiled for tracing, and goes with a probe in it. */
static void test_dlclose(const char *path)
{
	bool good = true;

	for (int i = 0; i < 3; i++) {
		void *plugin = dlopen(path, RTLD_NOW);
		int (*value)(int) = (int (*)(int))dlsym(plugin, "plugin_value");
		struct kprobe kp = { .symbol_name = "plugin_value", .pre_handler = hit };

		hits = 0;
		good &= !register_kprobe(&kp) && !(kp.flags & KPROBE_FLAG_FTRACE) && value(1) == 2 &&
			hits == 1;
		dlclose(plugin);
		good &= kp.flags & KPROBE_FLAG_GONE && enable_kprobe(&kp) == -EINVAL;
		unregister_kprobe(&kp);
	}
	ok(good, "a library goes with a probe in it, and comes back, three times");
}

static void test_refusals(void)
{
	struct kprobe kp = { .addr = (kprobe_opcode_t *)&hits, .pre_handler = hit };

	ok(refused(register_kprobe(&kp), -EINVAL, "no code"), "no code is there");
	kp.addr = (kprobe_opcode_t *)dlsym(RTLD_DEFAULT, "register_kprobe");
	ok(refused(register_kprobe(&kp), -EINVAL, "library's own"), "in the library's own code");
}

int main(int argc, char **argv)
{
	ftrace_set_log(say);
	test_dlclose(argv[1]);
	test_refusals();
	test_each();
	test_all();
	return tap_done();
}

/* SPDX-License-Identifier: MIT */
/*
 * What happens to a process with functions that were never compiled for tracing: libraries come and go,
 * children by fork and vfork, threads begin and end, the right to stop threads is lost. TAP. Arguments: what,
 * plans, the library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

#include "moved-test.h"

#define TRACED __attribute__((noinline, noclone))

static volatile int stop, failed;
static volatile long hits, entered, returned;	/* compilers know that t_work() changes none of them */
static char said[2000];

static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&entered, 1, __ATOMIC_RELAXED);
	return 1;
}

static void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&returned, 1, __ATOMIC_RELAXED);
}

static void listen(const char *msg)
{
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", msg);
}

static struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_GENERAL_REGS };
static struct fgraph_ops gops = { .entryfunc = graph_entry, .retfunc = graph_return };

static volatile int sink;

TRACED int t_work(int x)
{
	sink = sink + 1;
	return x * 3 + 1;
}

static void *work(void *arg)
{
	while (!stop)
		for (int i = 0; i < 1000; i++)
			failed |= t_work(i) != i * 3 + 1;
	return arg;
}

static void filter(const char *names)
{
	ftrace_set_filter(&ops, names, (int)strlen(names), 1);
	ftrace_set_filter(&gops.ops, names, (int)strlen(names), 1);
}

/* ---- a library ---- */

typedef int function_t(int);

static u32 id_of(const char *name)
{
	for (u32 id = 1; id < ftrace_nsites(); id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (site && !strcmp(site->name, name))
			return id;
	}
	return 0;
}

static void comes_and_goes(const char *path)
{
	int wrong = 0, ids = 0, elsewhere = 0, left_on = 0, n = 60;
	pthread_t thread;
	void *last = NULL;
	u32 id = 0;

	pthread_create(&thread, NULL, work, NULL);
	ftrace_patterns_may_wait = 1;
	filter("lib_*");
	for (int i = 0; i < n; i++) {
		bool on = i % 3, toggled = i % 5 == 4;
		void *lib, *base;
		Dl_info info;
		function_t *calls;
		long before;
		int sum = 0;

		if (on && register_ftrace_function(&ops))
			wrong++;
		if (on && i % 2 && register_ftrace_graph(&gops))
			wrong++;
		lib = dlopen(path, RTLD_NOW);
		if (!lib) {
			printf("# %s\n", dlerror());
			exit(1);
		}
		calls = (function_t *)dlsym(lib, "lib_calls");
		dladdr((void *)calls, &info);
		base = info.dli_fbase;
		if (base != last)
			elsewhere++;
		last = base;
		if (!id)
			id = id_of("lib_calls");
		ids += id && id_of("lib_calls") == id;
		before = hits;
		for (int k = 0; k < 10; k++)
			sum += calls(10);
		wrong += hits - before != (on ? 10 * 12 : 0);
		if (toggled && on) {
			wrong += unregister_ftrace_function(&ops) != 0;
			before = hits;
			sum -= calls(10);
			wrong += hits != before;
			wrong += register_ftrace_function(&ops) != 0;
			sum += calls(10);
			wrong += hits - before != 12;
		}
		/* 3*0 + 5*1 + 7*2 + 11*3 + 3*4 + ... */
		wrong += sum != 10 * (3 * 0 + 5 * 1 + 7 * 2 + 11 * 3 + 3 * 4 + 5 * 5 + 7 * 6 + 11 * 7 +
				      3 * 8 + 5 * 9);
		/* Gone while it is on, or off again before. */
		if (i % 2) {
			dlclose(lib);
			left_on++;
		}
		if (on)
			wrong += unregister_ftrace_function(&ops) != 0;
		if (on && i % 2)
			unregister_ftrace_graph(&gops);
		if (!(i % 2))
			dlclose(lib);
		/* Its place is taken. */
		mmap(base, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		     0);
	}
	stop = 1;
	pthread_join(thread, NULL);
	ok(!wrong && !failed, "%d times loaded and unloaded, %d of them while on: %d wrong", n, left_on,
	   wrong + failed);
	ok(ids == n, "%d times with the same ids", ids);
	ok(elsewhere > n / 2, "%d times at another address", elsewhere);
	ok(entered > 0 && entered == returned, "%ld entered, %ld returned", entered, returned);
}

/* ---- children ---- */

static int in_child(void)
{
	long before;

	for (int i = 0; i < 20; i++) {
		if (register_ftrace_function(&ops))
			return 1;
		before = hits;
		for (int k = 0; k < 100; k++)
			failed |= t_work(k) != k * 3 + 1;
		if (hits - before != 100)
			return 2;
		if (unregister_ftrace_function(&ops))
			return 3;
		before = hits;
		failed |= t_work(1) != 4;
		if (hits != before)
			return 4;
	}
	return failed ? 5 : 0;
}

static void *fork_children(void *arg)
{
	int bad = 0, status;

	for (int i = 0; i < 25; i++) {
		pid_t pid = fork();

		if (!pid) {
			/* The parent may have left it on, with its lock held by another thread. */
			if (ops.flags & FTRACE_OPS_FL_ENABLED)
				unregister_ftrace_function(&ops);
			alarm(60);
			_exit(in_child());
		}
		waitpid(pid, &status, 0);
		if (status)
			printf("# child: status %#x\n", status);
		bad += status != 0;
	}
	*(int *)arg = bad;
	return NULL;
}

/* A child that shares our memory and takes its time. */
static void *vfork_child(void *arg)
{
	int status;

	for (int i = 0; i < 5; i++) {
		pid_t pid = vfork();

		if (!pid) {
			const struct timespec ts = { 0, 60000000 };

			for (int k = 0; k < 1000; k++)
				sink += t_work(k);
			syscall(SYS_nanosleep, &ts, NULL);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		failed |= status;
	}
	return arg;
}

static void toggle_while(void *(*func)(void *), const char *what)
{
	int child_bad = 0, on = 0, busy = 0, bad = 0;
	pthread_t workers[2], other;

	filter("t_work");
	pthread_create(&workers[0], NULL, work, NULL);
	pthread_create(&workers[1], NULL, work, NULL);
	pthread_create(&other, NULL, func, &child_bad);
	do {
		int err = register_ftrace_function(&ops);

		if (!err) {
			on++;
			bad += unregister_ftrace_function(&ops) != 0;
		} else if (err == -EBUSY) {
			busy++;
		} else {
			bad++;
		}
	} while (pthread_tryjoin_np(other, NULL));
	stop = 1;
	pthread_join(workers[0], NULL);
	pthread_join(workers[1], NULL);
	ok(!child_bad && !bad && !failed, "%s: %d children failed, %d toggles", what, child_bad, bad);
	ok(on > 0, "%d times on and off, %d busy", on, busy);
}

/* ---- threads ---- */

static void *one_call(void *arg)
{
	failed |= t_work(5) != 16;
	return arg;
}

static void *make_threads(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		pthread_t t[4];

		for (int k = 0; k < 4; k++)
			pthread_create(&t[k], NULL, one_call, NULL);
		for (int k = 0; k < 4; k++)
			pthread_join(t[k], NULL);
	}
	return arg;
}

/* ---- no right to stop anybody ---- */

static void without_rights(void)
{
	pthread_t thread;
	long before;
	int err;

	filter("t_work");
	err = register_ftrace_function(&ops);		/* one thread: nobody is to be stopped */
	ok(!err, "registered: %d", err);
	t_work(1);
	ok(hits == 1, "%ld calls", hits);
	if (syscall(SYS_setresuid, 65534, 65534, 65534) || prctl(PR_SET_DUMPABLE, 0)) {
		ok(!geteuid(), "cannot become another user");
		return;
	}
	pthread_create(&thread, NULL, work, NULL);
	ftrace_set_log(listen);
	err = unregister_ftrace_function(&ops);
	ok(!err, "unregistered: %d: %s", err, said);
	ok(strstr(said, "keep the jump") && strstr(said, "not dumpable"), "it is said why");
	usleep(1000);
	before = hits;
	for (int i = 0; i < 1000; i++)
		failed |= t_work(i) != i * 3 + 1;
	ok(hits == before, "nothing is seen any more");
	err = register_ftrace_function(&ops);		/* the jump is still there */
	before = hits;
	for (int i = 0; i < 1000; i++)
		failed |= t_work(i) != i * 3 + 1;
	ok(!err && hits - before >= 1000, "on again without stopping anybody: %d", err);
	said[0] = 0;
	unregister_ftrace_function(&ops);
	ftrace_set_log(NULL);
	filter("work");
	ftrace_set_log(listen);
	err = register_ftrace_function(&ops);
	ok(err == -EPERM && strstr(said, "cannot be traced now"), "another function cannot be had: %d: %s",
	   err, said);
	stop = 1;
	pthread_join(thread, NULL);
	ok(!failed, "results");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "library"))
		comes_and_goes(argv[argc - 1]);
	else if (!strcmp(what, "fork"))
		toggle_while(fork_children, "fork");
	else if (!strcmp(what, "vfork"))
		toggle_while(vfork_child, "vfork");
	else if (!strcmp(what, "threads"))
		toggle_while(make_threads, "threads");
	else if (!strcmp(what, "rights"))
		without_rights();
	return tap_done();
}

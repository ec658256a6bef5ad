/* SPDX-License-Identifier: MIT */
/* Rings of threads and processes that come and go, and the map that tells of them. */
#include "ring-world.h"

/* The child's records are in a ring of its own, its map says what it inherits. */
static void test_fork(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct ftrace_map_header header;
	struct trace_drain d;
	char name[64];
	int status;
	pid_t pid;

	make_session(4, 100, 0);
	for (int i = 0; i < 10; i++)
		assert_true(produce(&t, 5));
	pid = fork();
	if (!pid) {
		u32 parent = (u32)agent.pid, gen = agent.gen;

		memset(&t, 0, sizeof(t));	/* as the engine's memory is wiped */
		agent_rings_forked();
		agent.forked = true;
		if (agent_map_create(parent, gen, 123))
			_exit(1);
		t.tid = gettid();
		for (int i = 0; i < 20000; i++)
			if (!produce(&t, 6))
				_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 10; i++)
		assert_true(produce(&t, 5));
	snprintf(name, sizeof(name), "%d.0.map", pid);
	assert_int_equal(trace_map_read_header(&header, dir_fd, name), 0);
	assert_int_equal(header.parent_pid, getpid());
	assert_int_equal(header.inherited, 123);
	assert_int_equal(header.nrings, 1);
	/* Ours has our 20 and nothing of the child's. */
	assert_int_equal(open_drain(&d, 0), 0);
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	assert_int_equal(check_stream(0).records, 20);
	agent.pid = pid;
	unlinkat(dir_fd, "stream-0", 0);
	assert_int_equal(open_drain(&d, 0), 0);
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	assert_int_equal(check_stream(0).records, 20000);
	remove_session();
}

/* Threads one after the other share rings, also when nobody says that they ended. */
static void *short_thread(void *data)
{
	struct ftrace_thread t = { .tid = gettid() };

	for (int i = 0; i < 3; i++)
		if (!produce(&t, 5))
			return (void *)1;
	if (data)
		agent_thread_gone(&t);
	return NULL;
}

static void threads_in_turn(bool say_goodbye)
{
	pthread_t thread;
	void *failed;

	/* Which of the rings gets how much is chance: a flight recorder needs nobody to drain it. */
	make_session(64, 100, 1);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(pthread_create(&thread, NULL, short_thread,
						say_goodbye ? &thread : NULL), 0);
		pthread_join(thread, &failed);
		assert_null(failed);
	}
	assert_in_range(agent_nrings(), 1, 3);
	assert_int_equal(agent.map->threads_unrecorded, 0);
	remove_session();
}

static void test_threads_gone(void **state)
{
	threads_in_turn(true);
}

static void test_threads_vanish(void **state)
{
	threads_in_turn(false);
}

/* All at once: rings get smaller as they get many. */
#define MANY 200
static pthread_barrier_t together;

static void *waiting_thread(void *data)
{
	struct ftrace_thread t = { .tid = gettid() };
	bool done = produce(&t, 5);

	pthread_barrier_wait(&together);
	return done ? NULL : (void *)1;
}

static void test_many_threads(void **state)
{
	pthread_t threads[MANY];
	char name[64];
	struct stat st;
	void *failed;

	make_session(64, 100, 0);
	pthread_barrier_init(&together, NULL, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, waiting_thread, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(agent_nrings(), MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d.%u.%d", agent.pid, agent.gen, i);
		assert_int_equal(fstatat(dir_fd, name, &st, 0), 0);
		assert_int_equal(st.st_size, 4096 + 65536 * (i < 16 ? 64 : i < 128 ? 16 : 4));
		assert_int_equal(agent_ring((u32)i)->shared->npackets, i < 16 ? 64 : i < 128 ? 16 : 4);
	}
	pthread_barrier_destroy(&together);
	remove_session();
}

/* Under seccomp only rings that were made before can be had. */
static void test_no_syscalls(void **state)
{
	struct ftrace_thread t = { .tid = gettid() }, u = { .tid = gettid() + 1 };

	make_session(4, 100, 0);
	agent_rings_reserve(1);
	ftrace_no_syscalls = 1;
	assert_true(produce(&t, 5));
	assert_false(produce(&u, 5));
	assert_true(u.flags & FTRACE_THREAD_OFF);
	assert_int_equal(agent.map->threads_unrecorded, 1);
	assert_int_equal(agent_nrings(), 1);
	remove_session();
}

/* Another image of the same process takes the next number, never one that was used. */
static void test_generations(void **state)
{
	make_session(4, 100, 0);
	assert_int_equal(agent.gen, 0);
	assert_int_equal(agent_map_create(1, 0, 0), 0);
	assert_int_equal(agent.gen, 1);
	ftrace_gen_floors(session, session_size)[(u32)getpid() % FTRACE_GEN_FLOORS] = 5;
	assert_int_equal(agent_map_create(1, 0, 0), 0);
	assert_int_equal(agent.gen, 5);
	remove_session();
}

/* Objects and sites as the reader understands them, beyond what was reserved at first. */
static void test_map(void **state)
{
	static struct ftrace_found found[] = {
		{ .vaddr = 0x1004, .entry = 0x1000, .size = 0x20, .form = FTRACE_FORM_NOP },
		{ .vaddr = 0x1100, .entry = 0x1100, .form = FTRACE_FORM_NONE, .reason = "too short" },
		{ .vaddr = 0x2000, .entry = 0x2000, .size = 0x30, .form = FTRACE_FORM_NOP },
	};
	struct ftrace_object obj = {
		.path = "/usr/lib/lib with space.so", .name = "x", .base = 0x7f0000000000,
		.first_site = 1, .nsites = 2, .find = { .found = found, .nfound = 3, .nrefused = 1,
							.build_id = "abcd" },
	};
	struct trace_map map;
	char name[64];
	u64 before;

	make_session(4, 100, 0);
	sites[1] = (struct dyn_ftrace){ .id = 1, .ip = obj.base + 0x1004, .entry_delta = 4,
					.name = "first", .obj = &obj };
	sites[2] = (struct dyn_ftrace){ .id = 2, .ip = obj.base + 0x2000, .name = "_ZN1a1bEv",
					.obj = &obj };
	for (int i = 0; i < 5000; i++) {
		obj.index = (u32)i;
		before = agent_map_used();
		agent_map_object(&obj, false);
		assert_true(agent_map_used() > before);
		agent_map_object(&obj, true);
	}
	assert_int_equal(agent.map->map_len, agent_map_used());
	assert_int_equal(agent.map->untraceable, 5000);
	snprintf(name, sizeof(name), "%d.%u.map", agent.pid, agent.gen);
	assert_int_equal(trace_map_read(&map, dir_fd, name, NULL, "test"), 0);
	assert_int_equal(map.nobjects, 5000);
	assert_string_equal(map.objects[0].path, obj.path);
	assert_int_equal(map.objects[0].base, obj.base);
	assert_string_equal(trace_map_site(&map, 1)->name, "first");
	assert_int_equal(trace_map_site(&map, 1)->vaddr, 0x1000);
	assert_int_equal(trace_map_site(&map, 1)->size, 0x20);
	assert_string_equal(trace_map_site(&map, 2)->name, "_ZN1a1bEv");
	assert_int_equal(map.nrefusals, 5000);
	assert_string_equal(map.refusals[0].reason, "too short");
	trace_map_free(&map);
	remove_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_threads_gone),
		cmocka_unit_test(test_threads_vanish),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_no_syscalls),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

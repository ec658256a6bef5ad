/* SPDX-License-Identifier: MIT */
/*
 * Begin and end of the agent in a process image, and its children by fork.
 *
 * The library is linked -z initfirst: this constructor runs before any other, the C library's
 * included, so that functions can be armed while there is one thread and none of the program's own code has
 * run. Whatever fails here, the program runs on as if nothing was there.
 */
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

#include <ftrace/ftrace.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/event.h"
#include "agent/interpose.h"
#include "agent/patch.h"
#include "engine/guest.h"
#include "engine/loader.h"
#include "engine/site.h"
#include "tracers/tracer.h"

extern char **environ __attribute__((weak));

static const char *env_value(char *const *envp, const char *name)
{
	size_t len = ft_strlen(name);

	for (; envp && *envp; envp++)
		if (!ft_strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

/* valgrind runs translated copies of the code: changing the original shows nothing, or crashes. */
static bool under_valgrind(char *const *envp)
{
	const char *preload = env_value(envp, "LD_PRELOAD");

	for (; preload && *preload; preload++)
		if (ft_starts_with(preload, "vgpreload_core"))
			return true;
	return false;
}

/* The newest process image of @pid in the session, for a child to name as its parent. */
static u32 newest_gen(s32 pid)
{
	char path[AGENT_PATH_MAX];
	u32 gen;

	for (gen = agent_gen_floor(pid);; gen++) {
		ft_snprintf(path, sizeof(path), "%s/%d.%u.map", agent.dir, pid, gen);
		if (arch_syscall(SYS_faccessat, AT_FDCWD, (long)path, 0, 0, 0, 0))
			return gen ? gen - 1 : 0;
	}
}

/* Copied before use: the settings lie in memory that other processes can write. */
static int apply_settings(bool early)
{
	u32 len = agent.session->settings_len;
	char *copy;
	int err;

	if (!len)
		return 0;
	copy = ft_alloc(len);
	if (!copy)
		return ft_log(-ENOMEM, "settings: no memory for %u bytes", len);
	ft_memcpy(copy, agent.session->settings, len);
	err = control_apply(copy, len, early);
	ft_free(copy, len);
	return err;
}

static bool in_valgrind;
static bool initialised;	/* this is not the first recording */
static bool rings_there;	/* of a session that may have ended */

static void agent_code(void)
{
}


static void object_changed(struct ftrace_object *obj, bool gone)
{
	agent_map_object(obj, gone);
	if (gone)
		__atomic_fetch_add(&tracer_unloads, 1, __ATOMIC_RELEASE);
}

/* Called in a child of fork, in the slow path of the first call it makes. */
static void agent_forked(void)
{
	struct ftrace_map_header *parent = agent.map;
	u32 pid = (u32)agent.pid, gen = agent.gen;
	u64 used = agent_map_used();
	s32 tids[FTRACE_MAX_CHOSEN];
	int err;

	agent_rings_forked();
	agent.forked = true;
	if (!parent || READ_ONCE(agent.off))
		return;
	/* Only some threads are wanted, and its are none of them: it is no part of the recording. */
	if (ftrace_chosen_threads(FTRACE_CHOICE_TRACERS, tids) && ftrace_chosen_threads(FTRACE_CHOICE_EVENTS, tids)) {
		agent_stop();
		return;
	}
	err = agent_map_create(pid, gen, used + parent->inherited);
	if (err) {
		/* It changed its user or root: the session is out of its reach. */
		__atomic_fetch_add(&parent->threads_unrecorded, 1, __ATOMIC_RELAXED);
		agent_stop();
	} else {
		control_tracer_forked();
	}
}

const struct ftrace_stream_ops agent_stream_ops = {
	.refill = agent_refill,
	.flush = agent_flush,
	.lost = agent_lost,
	.thread_gone = agent_thread_gone,
	.forked = agent_forked,
};

static bool want_none(const char *path, bool executable)
{
	return false;
}

/* Nothing is to be recorded: the library, which came with us, is to change no code either. */
static void leave_alone(void)
{
	const struct link_map *map;

	for (map = ftrace_loaded_objects(); map; map = map->l_next)
		if (map->l_ld != _DYNAMIC && ftrace_links_library(map))
			return;
	ftrace_set_object_filter(want_none);
}

static bool is_wanted(const char *path, bool executable)
{
	return patch_object_wanted(path, executable) ||
	       (agent_is_recording() && control_object_wanted(path, executable));
}

void agent_look_at_objects(void)
{
	ftrace_set_object_filter(is_wanted);
	ftrace_set_object_plan(agent_object_plan);
}

/* Begin to take records, with the session that is open. */
int agent_start(void)
{
	int err;

	rings_there = true;
	err = apply_settings(true);
	if (err)
		return err;
	err = agent_map_create((u32)arch_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0),
			       newest_gen((s32)arch_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0)), 0);
	if (err)
		return ft_log(err, "no process map: nothing of this process is recorded (error %d)",
			      -err);
	if (in_valgrind)
		return ft_log(-ENOTSUP, "runs under valgrind, which executes copies of the code: "
					"nothing of it is recorded");
	if (!ftrace_loader())
		return ft_log(-ENOTSUP, "its dynamic loader is not glibc's (musl?): nothing of it is "
					"recorded");
	err = ftrace_set_stream_ops(&agent_stream_ops);
	if (err)
		return ft_log(err, "something else takes this process's records: not recorded");
	/* The settings are for every process of the recording, whatever functions it has. */
	ftrace_patterns_may_wait = 1;
	tracer_file = agent_tracer_file;
	agent_look_at_objects();
	event_sites_begin();
	ftrace_set_object_notify(object_changed);
	err = ftrace_is_guest() || initialised ? ftrace_guest_return() : ftrace_init();
	initialised = true;
	if (!err && ftrace_is_guest() && interpose_redirect())
		ft_log(0, "a seccomp filter that it installs later will not be noticed");
	control_objects_loaded();
	if (err)
		return err;
	event_objects_begin();
	return apply_settings(false);
}

/* The recording of this process ends, and it goes on as if nothing had been. */
int agent_leave(void)
{
	int err = control_reset();

	if (!err && !patches_are_there())
		err = ftrace_guest_leave();
	agent_end();
	agent_stop();
	agent_drop_rings();
	return err;
}

int agent_drop_rings(void)
{
	int err = rings_there ? ftrace_guest_drop_streams(agent_code) : 0;

	if (err)
		return err;
	rings_there = false;
	agent_rings_forked();
	agent_map_drop();
	return 0;
}

__attribute__((constructor))
static void agent_begin(int argc, char **argv, char **envp)
{
	const char *dir;

	/* Other C libraries pass constructors no arguments. */
	if (!ftrace_loader())
		envp = environ;
	dir = env_value(envp, FTRACE_SESSION_ENV);
	interpose_init();
	/* In a running program: agent/attach.c begins. */
	if (ftrace_is_guest())
		return;
	in_valgrind = under_valgrind(envp);
	if (!dir || agent_session_open(dir)) {
		leave_alone();
		return;
	}
	ftrace_set_log(agent_log);
	if (agent_start()) {
		leave_alone();
		agent_stop();
	}
}

__attribute__((destructor))
static void agent_destructor(void)
{
	agent_end();
}

void agent_end(void)
{
	/* Not in a child of vfork, nor in one of fork that never recorded anything. */
	if (!agent.map || !ftrace_same_process())
		return;
	/* Under a seccomp filter even getpid() may be deadly; vfork is none of its programs' then. */
	if (!READ_ONCE(ftrace_no_syscalls) && agent.pid != ft_getpid())
		return;
	WRITE_ONCE(agent.map->calls_dropped, ftrace_threads_dropped_by_choice());
	WRITE_ONCE(agent.map->calls_unshadowed, ftrace_threads_unshadowed());
	WRITE_ONCE(agent.map->state, FTRACE_PROCESS_DONE);
}

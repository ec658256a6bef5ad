/* SPDX-License-Identifier: MIT */
/*
 * Plans for objects that were never compiled for tracing: asked for in the session directory, made
 * by the recorder. <ftrace/trace-format.h> has the files' names and the order of things.
 *
 * Asking is a symbolic link, so that it is there with all it says, or not at all, without a
 * descriptor, and one asking is enough for however many processes want the same plan.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/patch.h"
#include "engine/plan.h"

#define PATH_SIZE	(AGENT_DIR_MAX + FTRACE_PLAN_ID_MAX)
#define TARGET_MAX	4096		/* of a symbolic link, NUL included */
#define SLICE_MS	50u		/* longest single sleep */
#define WAIT_MS		10000u		/* for a plan, while the recorder lives */
#define REASON_MAX	300

static void plan_path(char *path, const char *id, const char *suffix)
{
	ft_snprintf(path, PATH_SIZE, "%s/%s.%s", agent.dir, id, suffix);
}

static int stat_object(const char *path, u64 ino, struct statx *st)
{
	long err = arch_syscall(SYS_statx, AT_FDCWD, (long)path, 0, STATX_BASIC_STATS, (long)st, 0);

	if (err)
		return (int)err;
	return st->stx_ino == ino ? 0 : -ESTALE;
}

/* What the object is called in the session. An executable may have lost its name. */
int agent_plan_id(const char *object, u64 ino, char id[FTRACE_PLAN_ID_MAX])
{
	struct statx st;
	int err = stat_object(object, ino, &st);

	if (err && !stat_object("/proc/self/exe", ino, &st))
		err = 0;
	if (err)
		return err;
	ft_snprintf(id, FTRACE_PLAN_ID_MAX, FTRACE_PLAN_ID_FORMAT, st.stx_dev_major,
		    st.stx_dev_minor, (unsigned long long)st.stx_ino,
		    (unsigned long long)st.stx_size,
		    (unsigned long long)st.stx_mtime.tv_sec * 1000000000u + st.stx_mtime.tv_nsec);
	return 0;
}

/* The link that asks. 0 also when somebody else has asked already. */
static int ask(const char *id, const char *object)
{
	struct ftrace_session *s = agent.session;
	char path[PATH_SIZE], *target;
	long err;

	target = ft_alloc(TARGET_MAX);
	if (!target)
		return -ENOMEM;
	plan_path(path, id, "ask");
	if (ft_snprintf(target, TARGET_MAX, "%d %s", agent.pid, object) >= TARGET_MAX)
		err = -ENAMETOOLONG;
	else
		err = arch_syscall(SYS_symlinkat, (long)target, AT_FDCWD, (long)path, 0, 0, 0);
	ft_free(target, TARGET_MAX);
	if (err == -EEXIST)
		return 0;
	if (err)
		return (int)err;
	/*
	 * Orders asks before the doorbell's look at recorder_sleeps; pairs with the fence between the
	 * recorder's store of recorder_sleeps and its last look at asks.
	 */
	__atomic_fetch_add(&s->asks, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	agent_ring_doorbell();
	return 0;
}

static bool plan_is_there(const char *id)
{
	char path[PATH_SIZE];

	plan_path(path, id, "plan");
	return !arch_syscall(SYS_faccessat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

/* Has the recorder refused? Then its words are logged. */
static bool was_refused(const char *id, const char *object)
{
	char path[PATH_SIZE], reason[REASON_MAX];
	long n;

	plan_path(path, id, "noplan");
	n = arch_syscall(SYS_readlinkat, AT_FDCWD, (long)path, (long)reason, sizeof(reason) - 1, 0, 0);
	if (n < 0)
		return false;
	reason[n] = '\0';
	ft_log(-ENOTSUP, "%s: not traced: %s", object, reason);
	return true;
}

static int sleep_for_plans(u32 seen)
{
	struct { long sec, nsec; } slice = { 0, SLICE_MS * 1000000l };

	return (int)arch_syscall(SYS_futex, (long)&agent.session->plans, FUTEX_WAIT, (long)seen,
				 (long)&slice, 0, 0);
}

/* Until oID.plan (0) or oID.noplan (-ENOTSUP, logged) is there. */
static int wait_for_plan(const char *id, const char *object)
{
	u64 began = agent_clock_ns(CLOCK_MONOTONIC);

	for (;;) {
		/* Read before looking: an answer that comes later ends the sleep. */
		u32 seen = smp_load_acquire(&agent.session->plans);
		int err;

		if (plan_is_there(id))
			return 0;
		if (was_refused(id, object))
			return -ENOTSUP;
		if (READ_ONCE(agent.session->stopped) || !agent_recorder_exists() ||
		    agent_recorder_gone())
			return ft_log(-ESHUTDOWN, "%s: not traced: nothing records any more", object);
		/* Each time: the link is gone when who asked was gone before its object could be read. */
		err = ask(id, object);
		if (err)
			return ft_log(err, "%s: not traced: the recorder cannot be asked for its plan (error %d)%s",
				      object, -err, err == -EACCES || err == -ENOENT ?
				      ": the program changed its user or its root directory" : "");
		if ((agent_clock_ns(CLOCK_MONOTONIC) - began) / 1000000 > WAIT_MS)
			return ft_log(-ETIMEDOUT, "%s: not traced: its plan was not made within %u s; "
				      "'ftrace list' of that file makes it ahead", object, WAIT_MS / 1000);
		sleep_for_plans(seen);
	}
}

/* An executable without symbols: it is its libraries that there is something to see of. */
static void look_at_flags(const char *path)
{
	struct ftrace_plan_header header;
	int fd = ft_open(path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (ft_pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	    header.magic == FTRACE_PLAN_MAGIC && header.flags & FTRACE_PLAN_NO_SYMBOLS)
		control_want_libraries();
	ft_close(fd);
}

int agent_object_plan(const char *object, u64 dev, u64 ino, char *path, size_t size)
{
	char id[FTRACE_PLAN_ID_MAX];
	struct statx executable;
	int err;

	if (!READ_ONCE(ftrace_no_syscalls)) {
		err = patch_plan(object, ino, path, size);
		if (err != -ENOENT)
			return err;
	}
	if (!agent_is_recording())
		return -ESHUTDOWN;
	if (READ_ONCE(ftrace_no_syscalls))
		return ft_log(-EPERM, "%s: not traced: it was loaded under a seccomp filter, where nothing "
			      "more can be asked for", object);
	if (size < PATH_SIZE)
		return -ENAMETOOLONG;
	err = agent_plan_id(object, ino, id);
	if (err)
		return ft_log(err, "%s: not traced: its file is not there any more (error %d)", object,
			      -err);
	err = wait_for_plan(id, object);
	if (err)
		return err;
	plan_path(path, id, "plan");
	if (!stat_object("/proc/self/exe", ino, &executable))
		look_at_flags(path);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The session as a traced process sees it: control file, heartbeat, doorbell, log. */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/agent.h"
#include "engine/site.h"

/* The recorder counts its heartbeat up every 100 ms at least. */
#define GONE_MS		1000	/* silent for so long: gone, or as good as */
#define GONE_DEAD_MS	300	/* ... and its pid does not exist (here: another namespace has others) */
#define LOOK_MS		100	/* what counts from one look to the next, at most: see agent_recorder_gone() */

#define LOG_MAX		(256l << 10)

#define BEHIND_SETTINGS	(sizeof(struct ftrace_session_log) + FTRACE_GEN_FLOORS * sizeof(u16))

struct agent agent;

/* How long the heartbeat has been seen to stand still. Threads may race here: the loser's view is as good. */
static struct {
	u64 value;
	u32 looked_ms;		/* when anybody last looked; 0: nobody has */
	u32 silent_ms;
} heartbeat;

static bool pid_exists(s32 pid)
{
	return arch_syscall(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH;
}

static struct ftrace_session *map_control(const char *path, size_t *size)
{
	struct ftrace_session *s;
	int fd = ft_open(path, O_RDWR, 0);
	long len;

	if (fd < 0)
		return NULL;
	len = arch_syscall(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	if (len < (long)(FTRACE_SESSION_SIZE + BEHIND_SETTINGS)) {
		ft_close(fd);
		return NULL;
	}
	*size = (size_t)len;
	s = ft_mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ft_close(fd);
	return ft_is_err(s) ? NULL : s;
}

int agent_session_open(const char *dir)
{
	char path[AGENT_PATH_MAX];
	struct ftrace_session *s;
	size_t size = 0;

	if (ft_strlen(dir) >= AGENT_DIR_MAX)
		return -ENODEV;
	ft_snprintf(path, sizeof(path), "%s/control", dir);
	s = map_control(path, &size);
	if (!s)
		return -ENODEV;
	if (smp_load_acquire(&s->magic) != FTRACE_SESSION_MAGIC ||
	    s->version != FTRACE_SESSION_VERSION || s->stopped ||
	    s->settings_len > size - sizeof(*s) - BEHIND_SETTINGS ||
	    !pid_exists((s32)s->recorder_pid)) {
		arch_syscall(SYS_munmap, (long)s, (long)size, 0, 0, 0, 0);
		return -ENODEV;
	}
	ft_memcpy(agent.dir, dir, ft_strlen(dir) + 1);
	agent.session = s;
	agent.session_size = size;
	return 0;
}

int agent_session_reopen(const char *dir)
{
	struct ftrace_session *old = agent.session;
	size_t size = agent.session_size;
	int err;

	agent.session = NULL;
	err = agent_session_open(dir);
	if (err) {
		agent.session = old;
		return err;
	}
	if (old)
		arch_syscall(SYS_munmap, (long)old, (long)size, 0, 0, 0, 0);
	agent.forked = false;
	heartbeat.looked_ms = 0;
	WRITE_ONCE(agent.off, 0);
	__atomic_fetch_and(&ftrace_silent, ~(u32)FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
	return 0;
}

void agent_path(char *buf, u32 gen, const char *suffix)
{
	ft_snprintf(buf, AGENT_PATH_MAX, "%s/%d.%u.%s", agent.dir, agent.pid, gen, suffix);
}

u32 agent_gen_floor(s32 pid)
{
	u16 *floors = ftrace_gen_floors(agent.session, agent.session_size);

	return smp_load_acquire(&floors[(u32)pid % FTRACE_GEN_FLOORS]);
}

void agent_file_made(void)
{
	__atomic_fetch_add(&agent.session->nfiles, 1, __ATOMIC_RELEASE);
}

void agent_ring_doorbell(void)
{
	struct ftrace_session *s = agent.session;

	/* The exchange leaves one of several threads to make the call. */
	if (!READ_ONCE(s->recorder_sleeps) || READ_ONCE(ftrace_no_syscalls) ||
	    !__atomic_exchange_n(&s->recorder_sleeps, 0, __ATOMIC_RELAXED))
		return;
	__atomic_fetch_add(&s->doorbell, 1, __ATOMIC_RELEASE);
	arch_syscall(SYS_futex, (long)&s->doorbell, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

u64 agent_clock_ns(int clock)
{
	s64 ts[2] = { 0, 0 };

	arch_clock_gettime(clock, ts);
	return (u64)ts[0] * 1000000000u + (u64)ts[1];
}

bool agent_recorder_exists(void)
{
	return pid_exists((s32)agent.session->recorder_pid);
}

/*
 * Only time in which somebody looks counts. Who finds out that a second has gone by since the last look has not run
 * for so long (a machine that was stopped, or has too much to do), and neither may the recorder have.
 */
bool agent_recorder_gone(void)
{
	u64 value = READ_ONCE(agent.session->heartbeat);
	u32 now, last, silent;

	if (READ_ONCE(ftrace_no_syscalls))
		return false;
	now = (u32)(agent_clock_ns(CLOCK_MONOTONIC) / 1000000) | 1;
	last = __atomic_exchange_n(&heartbeat.looked_ms, now, __ATOMIC_RELAXED);
	if (!last || value != heartbeat.value) {
		heartbeat.value = value;
		WRITE_ONCE(heartbeat.silent_ms, 0);
		return false;
	}
	silent = (s32)(now - last) < 0 ? 0 : now - last < LOOK_MS ? now - last : LOOK_MS;
	silent = __atomic_add_fetch(&heartbeat.silent_ms, silent, __ATOMIC_RELAXED);
	return silent > GONE_MS ||
	       (silent > GONE_DEAD_MS && !pid_exists((s32)agent.session->recorder_pid));
}

void agent_stop(void)
{
	WRITE_ONCE(agent.off, 1);
	__atomic_fetch_or(&ftrace_silent, FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
}

/* Into the session's control file, which is mapped whatever happened since. */
static void log_in_control(const char *line, u32 len)
{
	struct ftrace_session_log *log = ftrace_session_log(agent.session, agent.session_size);
	u32 at;

	/* The first test keeps used from wrapping, however much there is to say. */
	if (READ_ONCE(log->used) > sizeof(log->text))
		return;
	at = __atomic_fetch_add(&log->used, len, __ATOMIC_RELAXED);
	if (at < sizeof(log->text) && len <= sizeof(log->text) - at)
		ft_memcpy(log->text + at, line, len);
}

/* False: the file cannot be opened. */
static bool log_in_file(const char *line, u32 len)
{
	char path[AGENT_PATH_MAX];
	int fd;

	ft_snprintf(path, sizeof(path), "%s/log", agent.dir);
	fd = ft_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		return false;
	/* Who has the same to say without end fills no memory with it. */
	if (arch_syscall(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0) < LOG_MAX)
		arch_syscall(SYS_write, fd, (long)line, len, 0, 0, 0);
	ft_close(fd);
	return true;
}

void agent_log(const char *msg)
{
	bool quiet = READ_ONCE(ftrace_no_syscalls);
	char line[600];
	int len;

	len = ft_snprintf(line, sizeof(line), "%s[%d]: %s\n", agent.map ? agent.map->comm : "?",
			  quiet ? agent.pid : ft_getpid(), msg);
	if (len >= (int)sizeof(line)) {
		len = sizeof(line) - 1;
		line[len - 1] = '\n';
	}
	if (quiet || !log_in_file(line, (u32)len))
		log_in_control(line, (u32)len);
}

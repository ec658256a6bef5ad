/* SPDX-License-Identifier: MIT */
/* Finishing a recording whose recorder was killed; repair.h tells the contract. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reader/drain.h"
#include "reader/message.h"
#include "reader/metadata.h"
#include "reader/recording.h"
#include "reader/repair.h"
#include "reader/session-files.h"
#include "reader/stream.h"

#define HEARTBEAT_MS	100
#define TURN_MS		2000	/* how long another reader's repair is waited for */
#define LEFT_SECONDS	60	/* what was left more recently is its own reader's */

struct totals {
	uint64_t records, discarded;
	uint64_t tick_hz;		/* as measured, 0: not */
	char machine[16];
};

uint64_t (*trace_ticks_now)(void);

/* The path in .session, without its newline. -ENOENT: the recording is finished. */
static int read_session_path(int dirfd, char *path, size_t size)
{
	int fd = openat(dirfd, ".session", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, path, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	path[n] = 0;
	path[strcspn(path, "\n")] = 0;
	return 0;
}

/*
 * A pid may have been given to somebody else since, so a recorder that exists also has to count up
 * its heartbeat, or to be called as we are (it may be stopped in a debugger).
 */
static int recorder_lives(const struct ftrace_session *control)
{
	uint64_t beat = __atomic_load_n(&control->heartbeat, __ATOMIC_RELAXED);
	pid_t pid = control->recorder_pid;
	char path[64], comm[32] = "";
	ssize_t n;
	int fd;

	if (pid <= 0 || pid == getpid() || (kill(pid, 0) && errno == ESRCH))
		return 0;
	for (int i = 0; i < 10; i++) {
		struct timespec wait = { .tv_nsec = HEARTBEAT_MS / 2 * 1000000 };

		nanosleep(&wait, NULL);
		if (__atomic_load_n(&control->heartbeat, __ATOMIC_RELAXED) != beat)
			return 1;
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	comm[n < 0 ? 0 : n] = 0;
	/* "PID (ftrace) S ...": not a zombie. */
	return strstr(comm, " (ftrace) ") && !strstr(comm, ") Z") && !strstr(comm, ") X");
}

/* Ticks a second, from the recording's beginning to now. 0: not known. */
static uint64_t measure_ticks(const struct trace_clock *begin)
{
	struct timespec now;
	uint64_t ticks, ns;

	if (!trace_ticks_now || !begin->ticks)
		return 0;
	ticks = trace_ticks_now();
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	if (ticks <= begin->ticks || ns <= begin->mono_ns)
		return 0;
	return (unsigned __int128)(ticks - begin->ticks) * 1000000000 / (ns - begin->mono_ns);
}

/* Count what the streams hold now. */
static void count(const char *path, struct totals *totals)
{
	struct trace_recording recording;

	if (trace_open_as_is(&recording, path))
		return;
	totals->tick_hz = measure_ticks(&recording.clock);
	if (recording.nprocesses)
		memcpy(totals->machine, recording.processes[0].header.machine,
		       sizeof(totals->machine));
	for (size_t i = 0; i < recording.nprocesses; i++) {
		struct trace_process *process = &recording.processes[i];

		for (size_t j = 0; j < process->nstreams; j++) {
			struct trace_cursor c;

			if (trace_cursor_open(&c, &recording, process, j, 0))
				continue;
			while (trace_cursor_packet(&c)) {
				totals->records += c.packet.content_size / 64 -
						   sizeof(struct ftrace_packet) / 8;
				totals->discarded += c.lost;
			}
			trace_cursor_close(&c);
		}
		trace_process_release(process);
	}
	trace_close(&recording);
}

/* @here: the session directory is there, so that this machine's clocks are the recording's. */
static int finish(const char *path, int dirfd, int here)
{
	struct totals totals = { 0 };
	struct trace_info info;
	int err;

	if (trace_info_read(&info, dirfd)) {
		memset(&info, 0, sizeof(info));
		trace_info_set(&info, "version", "1");
		trace_info_write(&info, dirfd);
	}
	count(path, &totals);
	if (here && totals.tick_hz && !trace_info_get(&info, "tick_hz"))
		trace_info_set(&info, "tick_hz", "%llu", (unsigned long long)totals.tick_hz);
	if (totals.machine[0] && !trace_info_get(&info, "machine"))
		trace_info_set(&info, "machine", "%s", totals.machine);
	trace_info_set(&info, "recorded", "interrupted");
	trace_info_set(&info, "records", "%llu", (unsigned long long)totals.records);
	trace_info_set(&info, "discarded", "%llu", (unsigned long long)totals.discarded);
	err = trace_info_write(&info, dirfd);
	trace_info_free(&info);
	if (err)
		return trace_error(-err, "%s/info: %s", path, strerror(-err));
	return trace_write_metadata(path);
}

/*
 * One takes it over at a time. Whoever has the lock for long is a child of the recorder that has survived it,
 * and changes nothing: then it goes without.
 */
static void take_turn(int session_fd)
{
	struct timespec wait = { .tv_nsec = 10 * 1000000 };

	for (int ms = 0; ms < TURN_MS && flock(session_fd, LOCK_EX | LOCK_NB); ms += 10)
		nanosleep(&wait, NULL);
}

/* The session directory is there: take over all that is in it. */
static int repair(const char *path, int dirfd, const char *session, int session_fd)
{
	struct ftrace_session *control = MAP_FAILED;
	int err, fd;

	fd = openat(session_fd, "control", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		struct stat st;

		if (!fstat(fd, &st) && (size_t)st.st_size >= sizeof(*control))
			control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED,
				       fd, 0);
		close(fd);
	}
	if (control != MAP_FAILED && control->magic == FTRACE_SESSION_MAGIC) {
		if (recorder_lives(control)) {
			err = trace_error(EBUSY, "%s: process %u is still recording it; wait until it ends, or stop it with 'kill -INT %u'",
					  path, control->recorder_pid, control->recorder_pid);
			munmap(control, sizeof(*control));
			return err;
		}
		__atomic_store_n(&control->stopped, 1, __ATOMIC_SEQ_CST);
	}
	if (control != MAP_FAILED)
		munmap(control, sizeof(*control));
	take_turn(session_fd);
	if (faccessat(dirfd, ".session", F_OK, 0) || faccessat(session_fd, "control", F_OK, 0))
		return 0;	/* somebody has done it meanwhile */

	fprintf(stderr, "ftrace: %s: its recorder was killed; finishing the recording\n", path);
	err = trace_take_session(session_fd, dirfd);
	if (err)
		return trace_error(-err, "%s: %s; nothing was lost yet: what is still in %s can be saved by trying again",
				   path, strerror(-err), session);
	err = finish(path, dirfd, 1);
	if (err)
		return err;
	trace_remove_session(session_fd, session);
	return 0;
}

int trace_repair_if_needed(const char *path)
{
	char session[4096];
	int err, dirfd, session_fd;

	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return 0;	/* trace_open() says why */
	err = read_session_path(dirfd, session, sizeof(session));
	if (err) {
		close(dirfd);
		return 0;
	}
	session_fd = open(session, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (session_fd < 0 && errno != ENOENT) {
		err = trace_error(errno, "%s: an unfinished recording, and %s: %s", path, session,
				  strerror(errno));
	} else if (session_fd < 0) {
		trace_warn("%s: its recorder was killed, and %s is gone; showing what had been written",
			   path, session);
		err = finish(path, dirfd, 0);
	} else {
		err = repair(path, dirfd, session, session_fd);
	}
	if (session_fd >= 0)
		close(session_fd);
	if (!err && unlinkat(dirfd, ".session", 0) && errno != ENOENT)
		trace_warn("%s/.session: %s", path, strerror(errno));
	close(dirfd);
	return err;
}

/* One that nobody has waited for yet is as dead. */
static int process_lives(uint32_t pid)
{
	struct pollfd end = { .events = POLLIN };
	int live;

	end.fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (end.fd < 0)
		return errno != ESRCH;
	live = poll(&end, 1, 0) != 1;
	close(end.fd);
	return live;
}

static int processes_live(int session_fd)
{
	int fd = openat(session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), live = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint32_t pid, gen;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 1;
	}
	while (!live && (entry = readdir(d)))
		if (trace_session_name(entry->d_name, &pid, &gen))
			live = process_lives(pid);
	closedir(d);
	return live;
}

/* Is it ours, and are its recorder and all its programs dead? It is locked then. */
static int is_left(int session_fd)
{
	struct stat st;

	/* Whoever could put files there could have us write to any place. */
	return !fstat(session_fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 077) &&
	       st.st_mtime + LEFT_SECONDS <= time(NULL) &&
	       !flock(session_fd, LOCK_EX | LOCK_NB) && !processes_live(session_fd);
}

/* How fast its ticks go, which is not known any more when the session directory is gone. */
static void note_ticks(const char *path, int dirfd)
{
	struct trace_recording recording;
	struct trace_info info;
	uint64_t hz;

	if (trace_open_as_is(&recording, path))
		return;
	hz = measure_ticks(&recording.clock);
	trace_close(&recording);
	if (!hz || trace_info_read(&info, dirfd))
		return;
	if (!trace_info_get(&info, "tick_hz") &&
	    !trace_info_set(&info, "tick_hz", "%llu", (unsigned long long)hz))
		trace_info_write(&info, dirfd);
	trace_info_free(&info);
}

/* Take @session_fd over into the recording at @path, if it is that one's. 1: done. */
static int take_left(int session_fd, const char *session, const char *path)
{
	int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), taken = 0;
	char its[4096];

	if (dirfd < 0)
		return 0;
	if (!read_session_path(dirfd, its, sizeof(its)) && !strcmp(its, session) &&
	    !trace_take_session(session_fd, dirfd)) {
		note_ticks(path, dirfd);
		trace_remove_session(session_fd, session);
		taken = 1;
	}
	close(dirfd);
	return taken;
}

void trace_take_left(const char *session)
{
	int session_fd = open(session, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[4096];
	ssize_t n;

	if (session_fd < 0)
		return;
	n = is_left(session_fd) ? readlinkat(session_fd, FTRACE_SESSION_RECORDING, path, sizeof(path) - 5) : -1;
	if (n > 0) {
		path[n] = 0;
		if (!take_left(session_fd, session, path)) {
			/* Where the next recording of that name has put it. */
			strcpy(path + n, ".old");
			take_left(session_fd, session, path);
		}
	}
	close(session_fd);
}

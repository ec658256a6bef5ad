/* SPDX-License-Identifier: MIT */
/* What a recorder's session directory holds, taken over into the recording; session-files.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/drain.h"
#include "reader/message.h"
#include "reader/map.h"
#include "reader/repair.h"
#include "reader/results.h"
#include "reader/session-files.h"

static int is_number(const char *s, const char *end)
{
	if (s == end)
		return 0;
	for (; s < end; s++)
		if (*s < '0' || *s > '9')
			return 0;
	return 1;
}

const char *trace_session_name(const char *name, uint32_t *pid, uint32_t *gen)
{
	const char *dot = strchr(name, '.'), *rest = dot ? strchr(dot + 1, '.') : NULL;

	if (!rest || !is_number(name, dot) || !is_number(dot + 1, rest))
		return NULL;
	*pid = strtoul(name, NULL, 10);
	*gen = strtoul(dot + 1, NULL, 10);
	rest++;
	return !strcmp(rest, "map") || is_number(rest, rest + strlen(rest)) ||
	       trace_is_result(rest) ? rest : NULL;
}

/* The directory of that process if the recording has one already, under whatever COMM. */
static int find_process_dir(int recording_fd, uint32_t pid, uint32_t gen, char *dir, size_t size)
{
	char suffix[32];
	struct dirent *entry;
	int found = 0, fd;
	DIR *d;

	snprintf(suffix, sizeof(suffix), "-%u.%u", pid, gen);
	fd = openat(recording_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!found && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name), tail = strlen(suffix);

		if (len <= tail || strcmp(entry->d_name + len - tail, suffix) || len >= size)
			continue;
		strcpy(dir, entry->d_name);
		found = 1;
	}
	closedir(d);
	return found;
}

int trace_make_process_dir(int recording_fd, const struct ftrace_map_header *header, char *dir)
{
	const char *comm = header->comm;
	char safe[17] = "";

	/* A file name, and one that babeltrace2 does not take for a hidden one. */
	for (int i = 0; i < 16 && comm[i]; i++) {
		unsigned char c = comm[i];

		safe[i] = c <= ' ' || c == '/' || c >= 0x7f || (c == '.' && i == 0) ? '_' : c;
	}
	snprintf(dir, 64, "%s-%u.%u", safe[0] ? safe : "unknown", header->pid, header->gen);
	if (mkdirat(recording_fd, dir, 0777) && errno != EEXIST)
		return -errno;
	return 0;
}

/* Find or make the directory of a process. */
static int process_dir(int recording_fd, const struct ftrace_map_header *header, char *dir)
{
	if (find_process_dir(recording_fd, header->pid, header->gen, dir, 64))
		return 0;
	return trace_make_process_dir(recording_fd, header, dir);
}

/* The same, opened: a descriptor, or -errno. @dir: its name, if it is known already; else it comes there. */
static int open_process_dir(int recording_fd, const struct ftrace_map_header *header, char *dir)
{
	int err = dir[0] ? 0 : process_dir(recording_fd, header, dir);
	int fd = err ? err : openat(recording_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return err ? err : fd < 0 ? -errno : fd;
}

static int copy_bytes(int from, int to, uint64_t size)
{
	static char buf[1 << 16];
	uint64_t at = 0;

	while (at < size) {
		size_t want = size - at < sizeof(buf) ? size - at : sizeof(buf);
		ssize_t n = pread(from, buf, want, at), done = 0, w;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		for (; done < n; done += w) {
			w = pwrite(to, buf + done, n - done, at + done);
			if (w < 0 && errno == EINTR)
				w = 0;
			else if (w <= 0)
				return w < 0 ? -errno : -ENOSPC;
		}
		at += n;
	}
	return 0;
}

int trace_copy_map(int session_fd, const char *name, int recording_fd, char *dir)
{
	struct ftrace_map_header header;
	int err, from, to = -1, dirfd = -1;
	uint64_t magic, size;
	struct stat st;

	from = openat(session_fd, name, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return -errno;
	if (pread(from, &magic, sizeof(magic), 0) != sizeof(magic) || magic == 0) {
		err = -EAGAIN;
		goto out;
	}
	err = trace_map_read_header(&header, session_fd, name);
	if (err)
		goto out;
	dirfd = open_process_dir(recording_fd, &header, dir);
	if (dirfd < 0) {
		err = dirfd;
		goto out;
	}
	to = openat(dirfd, ".map.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (to < 0 || fstat(from, &st)) {
		err = -errno;
		goto out;
	}
	/* Text beyond map_len may be half written; the file in the session may be larger, too. */
	size = FTRACE_MAP_HEADER_SIZE + header.map_len;
	if (size > (uint64_t)st.st_size)
		size = st.st_size;
	err = copy_bytes(from, to, size);
	if (!err && renameat(dirfd, ".map.tmp", dirfd, ".map"))
		err = -errno;
	if (err)
		unlinkat(dirfd, ".map.tmp", 0);
out:
	if (to >= 0)
		close(to);
	if (dirfd >= 0)
		close(dirfd);
	close(from);
	return err;
}

static int drain_ring(int session_fd, const char *name, int recording_fd, uint32_t pid,
		      uint32_t gen, const char *k)
{
	struct ftrace_map_header header = { .pid = pid, .gen = gen };
	struct trace_drain drain;
	char dir[64] = "", stream[32];
	int err, fd, dirfd;

	fd = openat(session_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dirfd = open_process_dir(recording_fd, &header, dir);
	if (dirfd < 0) {
		err = dirfd;
		goto out;
	}
	snprintf(stream, sizeof(stream), "stream-%.16s", k);
	err = trace_drain_open(&drain, fd, dirfd, stream);
	close(dirfd);
	if (err == -EAGAIN)
		err = 0;	/* its maker died before it was used */
	else if (!err) {
		err = trace_drain_rest(&drain);
		trace_drain_close(&drain);
	}
out:
	close(fd);
	return err < 0 ? err : 0;
}

/* Some of them may have been taken before this one. */
static int take_results(int session_fd, int recording_fd, uint32_t pid, uint32_t gen)
{
	struct ftrace_map_header header = { .pid = pid, .gen = gen };
	struct trace_results_totals totals = { 0 };
	char dir[64] = "";
	int dirfd = open_process_dir(recording_fd, &header, dir), err;

	if (dirfd < 0)
		return dirfd;
	err = trace_take_results(session_fd, pid, gen, dirfd, &totals);
	close(dirfd);
	return err;
}

/* Call @func for every file of the session directory that has to do with a process. */
static int for_each_file(int session_fd, int maps, int recording_fd)
{
	struct dirent *entry;
	int err = 0, fd;
	DIR *d;

	fd = openat(session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	while (!err && (entry = readdir(d))) {
		uint32_t pid, gen;
		const char *rest = trace_session_name(entry->d_name, &pid, &gen);
		char dir[64] = "";
		int one = 0;

		if (!rest)
			continue;
		if (maps && !strcmp(rest, "map"))
			one = trace_copy_map(session_fd, entry->d_name, recording_fd, dir);
		else if (!maps && trace_is_result(rest))
			one = take_results(session_fd, recording_fd, pid, gen);
		else if (!maps && strcmp(rest, "map"))
			one = drain_ring(session_fd, entry->d_name, recording_fd, pid, gen, rest);
		if (one == -ENOSPC || one == -EDQUOT || one == -EROFS || one == -EACCES)
			err = one;	/* nothing can be written: stop, keep everything */
		else if (one && one != -EAGAIN)
			trace_warn("%s: %s; left out", entry->d_name, strerror(-one));
	}
	closedir(d);
	return err;
}

int trace_take_session(int session_fd, int recording_fd)
{
	int err = for_each_file(session_fd, 1, recording_fd);

	return err ? err : for_each_file(session_fd, 0, recording_fd);
}

/* "oID.SUFFIX": see <ftrace/trace-format.h>. */
static int is_plan_file(const char *name)
{
	static const char *const suffixes[] = { ".ask", ".plan", ".noplan", ".part" };
	const char *dot = strrchr(name, '.');

	if (*name != 'o' || !dot || name + 1 + strspn(name + 1, "0123456789abcdef-") != dot)
		return 0;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (!strcmp(dot, suffixes[i]))
			return 1;
	return 0;
}

static int is_request_file(const char *name)
{
	const size_t len = sizeof(FTRACE_SESSION_REQUEST) - 1;

	return !strncmp(name, FTRACE_SESSION_REQUEST, len) && name[len] &&
	       !name[len + strspn(name + len, "0123456789")];
}

void trace_remove_session(int session_fd, const char *path)
{
	struct dirent *entry;
	int fd = openat(session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	while (d && (entry = readdir(d))) {
		uint32_t pid, gen;

		/* Only what is known to be a session's: the path came from a file. */
		if (trace_session_name(entry->d_name, &pid, &gen) || !strcmp(entry->d_name, "control") ||
		    !strcmp(entry->d_name, "log") || !strcmp(entry->d_name, FTRACE_SESSION_RECORDING) || is_plan_file(entry->d_name) || is_request_file(entry->d_name))
			unlinkat(session_fd, entry->d_name, 0);
	}
	if (d)
		closedir(d);
	if (rmdir(path))
		trace_warn("%s: %s; the session directory stays", path, strerror(errno));
}

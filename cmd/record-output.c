/* SPDX-License-Identifier: MIT */
/* The directory of a recording, and the disk space it may take. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/record.h"

#define DEFAULT_MAX_SIZE	(16ull << 30)
#define FREE_SHARE		8	/* the default takes this part of the free space at most */
#define RESERVE_NAME		".reserve"

/* Remove @name in @dirfd with all that is in it. */
static int remove_tree(int dirfd, const char *name)
{
	struct dirent *entry;
	int err = 0, fd;
	DIR *d;

	if (!unlinkat(dirfd, name, 0))
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && !err)
			err = remove_tree(fd, entry->d_name);
	closedir(d);
	if (!err && unlinkat(dirfd, name, AT_REMOVEDIR))
		err = -errno;
	return err;
}

/* A recording of ours: it has our info file, or was left unfinished. */
static bool is_recording(const char *path)
{
	char begin[16] = "";
	int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	bool ours;

	if (dirfd < 0)
		return false;
	ours = !faccessat(dirfd, ".session", F_OK, 0);
	fd = openat(dirfd, "info", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		ours |= read(fd, begin, sizeof(begin) - 1) > 0 && !strncmp(begin, "version=", 8);
		close(fd);
	}
	close(dirfd);
	return ours;
}

static bool is_empty_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	bool empty = d;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			empty = false;
	if (d)
		closedir(d);
	return empty;
}

/* Something is at @path already: move a recording of ours to PATH.old, refuse anything else. */
static int make_way(const char *path)
{
	char old[4096];
	int err;

	if (is_empty_directory(path))
		return 0;
	if (!is_recording(path))
		return cmd_error("%s: exists and is no recording; choose another directory with -o",
				   path);
	if ((size_t)snprintf(old, sizeof(old), "%s.old", path) >= sizeof(old))
		return cmd_error("%s: name too long; choose another with -o", path);
	if (!access(old, F_OK)) {
		if (!is_recording(old))
			return cmd_error("%s: exists and is no recording, so %s cannot be moved there; remove one of them",
					   old, path);
		err = remove_tree(AT_FDCWD, old);
		if (err)
			return cmd_error("%s: %s; remove it, or choose another directory with -o",
					   old, strerror(-err));
	}
	if (rename(path, old))
		return cmd_error("%s: cannot be moved to %s: %s; choose another directory with -o",
				   path, old, strerror(errno));
	return 0;
}

static void choose_max_size(struct record *r)
{
	struct statvfs fs;
	uint64_t free_bytes;

	r->max_size = r->opt->max_size;
	if (r->max_size)
		return;
	r->max_size = DEFAULT_MAX_SIZE;
	if (fstatvfs(r->out_fd, &fs))
		return;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (r->max_size > free_bytes / FREE_SHARE)
		r->max_size = free_bytes / FREE_SHARE;
}

int record_output_open(struct record *r)
{
	char path[4096];
	size_t len = strlen(r->opt->output);

	/* Without the slashes at its end, for DIR.old. */
	while (len > 1 && r->opt->output[len - 1] == '/')
		len--;
	if (len >= sizeof(path) - 8)
		return cmd_error("%s: name too long; choose another with -o",
				   r->opt->output);
	memcpy(path, r->opt->output, len);
	path[len] = 0;
	if (!access(path, F_OK) && make_way(path))
		return -1;
	if (mkdir(path, 0777) && errno != EEXIST)
		return cmd_error("%s: cannot be made: %s; choose another directory with -o",
				   path, strerror(errno));
	r->out_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->out_fd < 0 || faccessat(r->out_fd, ".", W_OK | X_OK, AT_EACCESS))
		return cmd_error("%s: %s; choose another directory with -o", path,
				   strerror(errno));
	choose_max_size(r);
	r->reserve_fd = -1;
	return 0;
}

void record_output_remove(struct record *r)
{
	record_output_unreserve(r);
	unlinkat(r->out_fd, ".session", 0);
	unlinkat(r->out_fd, "info", 0);
	rmdir(r->opt->output);
}

int record_output_note_session(struct record *r)
{
	int fd = openat(r->out_fd, ".session", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || dprintf(fd, "%s\n", r->session_dir) < 0)
		return cmd_error("%s/.session: %s; choose another directory with -o",
				   r->opt->output, strerror(errno));
	close(fd);
	return 0;
}

void record_output_reserve(struct record *r, uint64_t bytes)
{
	struct stat st;

	if (r->reserve_fd < 0)
		r->reserve_fd = openat(r->out_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	/* Where it cannot be had, a full disk may leave a recording without its metadata. */
	if (r->reserve_fd >= 0 && !fstat(r->reserve_fd, &st) && (uint64_t)st.st_size < bytes)
		if (fallocate(r->reserve_fd, 0, 0, (off_t)bytes))
			return;
}

void record_output_unreserve(struct record *r)
{
	if (r->reserve_fd < 0)
		return;
	close(r->reserve_fd);
	r->reserve_fd = -1;
	unlinkat(r->out_fd, RESERVE_NAME, 0);
}

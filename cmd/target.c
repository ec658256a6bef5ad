/* SPDX-License-Identifier: MIT */
/* A running process, seen from outside; see target.h. */
#include "cmd/target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/inject.h"
#include "cmd/cmd.h"

int target_read(const struct target *t, unsigned long addr, void *buf, size_t len)
{
	ssize_t n = pread(t->mem, buf, len, (off_t)addr);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

int target_write(const struct target *t, unsigned long addr, const void *buf, size_t len)
{
	ssize_t n = pwrite(t->mem, buf, len, (off_t)addr);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

unsigned long target_status(pid_t pid, const char *file, const char *key, int base,
			    unsigned long none)
{
	char path[64], line[4096];
	size_t len = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len)) {
			none = strtoul(line + len, NULL, base);
			break;
		}
	if (f)
		fclose(f);
	return none;
}

static int read_auxv(struct target *t)
{
	unsigned long words[2] = { 0 };
	uint32_t narrow[2];
	char path[64];
	bool more = true;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (more) {
		if (t->abi->wide) {
			more = read(fd, words, sizeof(words)) == sizeof(words);
		} else {
			more = read(fd, narrow, sizeof(narrow)) == sizeof(narrow);
			words[0] = narrow[0];
			words[1] = narrow[1];
		}
		if (!more || words[0] == AT_NULL)
			break;
		switch (words[0]) {
		case AT_PHDR:
			t->phdr = words[1];
			break;
		case AT_PHNUM:
			t->phnum = words[1];
			break;
		case AT_BASE:
			t->loader = words[1];
			break;
		case AT_SYSINFO_EHDR:
			t->vdso = (struct target_range){ words[1], words[1] + 0x2000 };
			break;
		}
	}
	close(fd);
	return t->phdr ? 0 : -ENOEXEC;
}

void target_comm(pid_t pid, char *comm, size_t size)
{
	char path[64];
	FILE *f;

	*comm = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(comm, (int)size, f))
		comm[strcspn(comm, "\n")] = 0;
	if (f)
		fclose(f);
}

int target_open(struct target *t, pid_t pid)
{
	char path[64];
	int err;

	*t = (struct target){ .pid = pid, .mem = -1, .abi = target_abi(pid) };
	target_comm(pid, t->comm, sizeof(t->comm));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	t->mem = open(path, O_RDWR | O_CLOEXEC);
	err = t->mem < 0 ? -errno : !t->abi ? -ENOEXEC : read_auxv(t);
	if (!err)
		err = target_read_objects(t);
	if (err) {
		cmd_error(err == -EAGAIN ?
			  "process %d (%s): its loader has loaded nothing yet; try again in a moment" :
			  "process %d (%s): its memory cannot be read: %s", pid, t->comm, strerror(-err));
		target_close(t);
		return -1;
	}
	return 0;
}

pid_t target_inner_pid(pid_t pid)
{
	char path[64], line[512];
	pid_t inner = pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "NSpid:", 6) && strrchr(line, '\t'))
			inner = (pid_t)atoi(strrchr(line, '\t') + 1);
	if (f)
		fclose(f);
	return inner;
}

void target_close(struct target *t)
{
	target_free_objects(t);
	if (t->mem >= 0)
		close(t->mem);
	t->mem = -1;
}

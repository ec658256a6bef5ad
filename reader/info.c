/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/info.h"

#define MAX_ENTRIES	10000

static struct trace_info_entry *find(const struct trace_info *info, const char *key)
{
	for (size_t i = 0; i < info->count; i++)
		if (!strcmp(info->entries[i].key, key))
			return &info->entries[i];
	return NULL;
}

/* Takes @value over, also on failure. */
static int put(struct trace_info *info, const char *key, char *value)
{
	struct trace_info_entry *entry = find(info, key);

	if (entry) {
		free(entry->value);
		entry->value = value;
		return 0;
	}
	entry = reallocarray(info->entries, info->count + 1, sizeof(*entry));
	if (entry) {
		info->entries = entry;
		entry += info->count;
		entry->key = strdup(key);
		entry->value = value;
		if (entry->key) {
			info->count++;
			return 0;
		}
	}
	free(value);
	return -ENOMEM;
}

int trace_info_read(struct trace_info *info, int dirfd)
{
	char *line = NULL, *equals, *value;
	size_t size = 0;
	ssize_t len;
	FILE *file;
	int err = 0, fd;

	memset(info, 0, sizeof(*info));
	fd = openat(dirfd, "info", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err && info->count < MAX_ENTRIES && (len = getline(&line, &size, file)) >= 0) {
		if (len && line[len - 1] == '\n')
			line[--len] = 0;
		equals = memchr(line, '=', len);
		if (!equals || equals == line)
			continue;
		*equals = 0;
		value = strdup(equals + 1);
		err = value ? put(info, line, value) : -ENOMEM;
	}
	if (!err && ferror(file))
		err = -EIO;
	free(line);
	fclose(file);
	if (err)
		trace_info_free(info);
	return err;
}

int trace_info_write(const struct trace_info *info, int dirfd)
{
	FILE *file;
	int err = 0, fd;

	fd = openat(dirfd, ".info.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		err = -errno;
		close(fd);
		return err;
	}
	for (size_t i = 0; i < info->count; i++)
		fprintf(file, "%s=%s\n", info->entries[i].key, info->entries[i].value);
	if (ferror(file))
		err = -EIO;
	if (fclose(file) && !err)
		err = -errno;
	if (!err && renameat(dirfd, ".info.tmp", dirfd, "info"))
		err = -errno;
	if (err)
		unlinkat(dirfd, ".info.tmp", 0);
	return err;
}

const char *trace_info_get(const struct trace_info *info, const char *key)
{
	const struct trace_info_entry *entry = find(info, key);

	return entry ? entry->value : NULL;
}

uint64_t trace_info_u64(const struct trace_info *info, const char *key, uint64_t missing)
{
	const char *value = trace_info_get(info, key);
	unsigned long long number;
	char *end;

	if (!value || value[0] < '0' || value[0] > '9')
		return missing;
	errno = 0;
	number = strtoull(value, &end, 10);
	return errno || *end ? missing : number;
}

int trace_info_set(struct trace_info *info, const char *key, const char *format, ...)
{
	va_list args;
	char *value;
	int n;

	va_start(args, format);
	n = vasprintf(&value, format, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	for (char *p = value; (p = strchr(p, '\n'));)
		*p = ' ';
	return put(info, key, value);
}

void trace_info_free(struct trace_info *info)
{
	for (size_t i = 0; i < info->count; i++) {
		free(info->entries[i].key);
		free(info->entries[i].value);
	}
	free(info->entries);
	memset(info, 0, sizeof(*info));
}

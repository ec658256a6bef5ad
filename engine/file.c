/* SPDX-License-Identifier: MIT */
/* Files by raw system calls. */
#include <fcntl.h>
#include <signal.h>

#include "base.h"

#define LINE_BUF 8192	/* a line of /proc/self/maps has at most some 4,200 bytes */

int ft_open(const char *path, int flags, int mode)
{
	return (int)arch_syscall(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, mode, 0, 0);
}

int ft_close(int fd)
{
	return (int)arch_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

long ft_pread(int fd, void *buf, size_t n, u64 off)
{
	long ret;

	do
		ret = arch_pread(fd, buf, n, off);
	while (ret == -EINTR);
	return ret;
}

long ft_pwrite(int fd, const void *buf, size_t n, u64 off)
{
	long ret;

	do
		ret = arch_pwrite(fd, buf, n, off);
	while (ret == -EINTR);
	return ret;
}

long ft_fallocate(int fd, u64 off, u64 len)
{
	const u64 all = ~0ull;
	u64 signals = 0;
	long ret, held = arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&signals, sizeof(all), 0, 0);

	do
		ret = arch_fallocate(fd, 0, off, len);
	while (ret == -EINTR);
	if (!held)
		arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&signals, 0, sizeof(signals), 0, 0);
	return ret;
}

static long read_some(int fd, void *buf, size_t n)
{
	long ret;

	do
		ret = arch_syscall(SYS_read, fd, (long)buf, (long)n, 0, 0, 0);
	while (ret == -EINTR);
	return ret;
}

long ft_read_file(const char *path, char *buf, size_t size)
{
	int fd = ft_open(path, O_RDONLY, 0);
	size_t len = 0;
	long ret;

	if (fd < 0)
		return fd;
	do {
		ret = read_some(fd, buf + len, size - len);
		if (ret > 0)
			len += (size_t)ret;
	} while (ret > 0 && len < size);
	ft_close(fd);
	return ret < 0 ? ret : (long)len;
}

/*
 * Hands out the complete lines of [buf, buf + len); returns what @line did if not 0. *@used: how
 * much was handed out. *@skip: the rest of a line that was too long is being passed over.
 */
static int split_lines(char *buf, size_t len, size_t *used, bool *skip,
		       int (*line)(char *text, void *data), void *data)
{
	size_t start = 0, i;
	int ret;

	for (i = 0; i < len; i++) {
		if (buf[i] != '\n')
			continue;
		buf[i] = '\0';
		ret = *skip ? 0 : line(buf + start, data);
		*skip = false;
		start = i + 1;
		if (ret)
			return ret;
	}
	*used = start;
	return 0;
}

static int each_line(int fd, char *buf, int (*line)(char *text, void *data), void *data)
{
	size_t len = 0, used;
	bool skip = false;
	long n;
	int ret;

	for (;;) {
		n = read_some(fd, buf + len, LINE_BUF - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		ret = split_lines(buf, len, &used, &skip, line, data);
		if (ret)
			return ret;
		ft_memmove(buf, buf + used, len - used);
		len -= used;
		if (len == LINE_BUF - 1) {	/* too long: its beginning is the line */
			buf[len] = '\0';
			ret = skip ? 0 : line(buf, data);
			if (ret)
				return ret;
			skip = true;
			len = 0;
		}
	}
	if (n < 0)
		return (int)n;
	if (!len || skip)
		return 0;
	buf[len] = '\0';	/* the last line lacks its newline */
	return line(buf, data);
}

int ft_for_each_line(const char *path, int (*line)(char *text, void *data), void *data)
{
	int fd, ret;
	char *buf;

	fd = ft_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	buf = ft_alloc(LINE_BUF);
	ret = buf ? each_line(fd, buf, line, data) : -ENOMEM;
	ft_free(buf, LINE_BUF);
	ft_close(fd);
	return ret;
}

static bool parse_hex(const char **p, unsigned long *value)
{
	const char *s = *p;

	for (*value = 0;; s++) {
		if (*s >= '0' && *s <= '9')
			*value = *value << 4 | (unsigned long)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			*value = *value << 4 | (unsigned long)(*s - 'a' + 10);
		else
			break;
	}
	if (s == *p)
		return false;
	*p = s;
	return true;
}

struct each_mapping {
	int (*each)(const struct ft_mapping *m, void *data);
	void *data;
};

static int maps_line(char *text, void *data)
{
	const struct each_mapping *e = data;
	size_t len = ft_strlen(text);
	struct ft_mapping m = {
		.heap = len > 6 && !ft_strcmp(text + len - 6, "[heap]"),
		.stack = len > 7 && !ft_strcmp(text + len - 7, "[stack]"),
	};
	const char *p = text;

	if (!parse_hex(&p, &m.lo) || *p++ != '-' || !parse_hex(&p, &m.hi))
		return 0;
	return e->each(&m, e->data);
}

int ft_for_each_mapping(int (*each)(const struct ft_mapping *m, void *data), void *data)
{
	struct each_mapping e = { each, data };

	return ft_for_each_line("/proc/self/maps", maps_line, &e);
}

int ft_getpid(void)
{
	return (int)arch_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int ft_gettid(void)
{
	return (int)arch_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

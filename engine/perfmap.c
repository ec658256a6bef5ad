/* SPDX-License-Identifier: MIT */
/* /tmp/perf-PID.map: see perfmap.h. */
#include "perfmap.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "chunk.h"
#include "gdb.h"
#include "site.h"
#include "trampoline.h"

#define BUFFER	16384

struct map_file {
	int fd;
	int err;
	size_t used;
	char buf[BUFFER];
};

static void flush(struct map_file *f)
{
	for (size_t done = 0; done < f->used && !f->err;) {
		long n = arch_syscall(SYS_write, f->fd, (long)(f->buf + done), (long)(f->used - done),
				      0, 0, 0);

		if (n == -EINTR)
			continue;
		if (n < 0)
			f->err = (int)n;
		else
			done += (size_t)n;
	}
	f->used = 0;
}

static void put_line(struct map_file *f, unsigned long at, u32 size, const char *prefix, const char *name)
{
	int n;

	/* A name that does not fit in the rest of the buffer; one that fits in none is cut. */
	if (BUFFER - f->used < ft_strlen(name) + 64)
		flush(f);
	n = ft_snprintf(f->buf + f->used, BUFFER - f->used, "%lx %x %s%s\n", at, size, prefix, name);
	if ((size_t)n >= BUFFER - f->used) {
		n = (int)(BUFFER - f->used - 1);
		f->buf[f->used + n - 1] = '\n';
	}
	f->used += n;
}

/* /tmp is everybody's: no link is followed, and no file taken that somebody else has put there. */
static int open_map(const char *path)
{
	struct statx st;
	int fd = ft_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
	int err;

	if (fd < 0)
		return fd == -ELOOP ? -EEXIST : fd;
	err = (int)arch_syscall(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BASIC_STATS, (long)&st,
				0);
	if (!err && (!S_ISREG(st.stx_mode) || st.stx_nlink != 1 ||
		     st.stx_uid != (u32)arch_syscall(SYS_geteuid, 0, 0, 0, 0, 0, 0)))
		err = -EEXIST;
	if (err) {
		ft_close(fd);
		return err;
	}
	return fd;
}

FTRACE_INTERNAL int ftrace_perf_map_write(void)
{
	static u32 written;		/* ids below this one are in the file ... */
	static u32 trampolines;		/* and as many of these ... */
	static int written_pid;		/* ... of this process */
	char path[64];
	const struct dyn_ftrace *site;
	unsigned long lo, hi;
	struct map_file *f;
	int lines = 0, pid = ft_getpid();
	u32 n = ftrace_nsites();

	ft_snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	f = ft_alloc(sizeof(*f));
	if (!f)
		return ft_log(-ENOMEM, "%s: no memory", path);
	f->fd = open_map(path);
	if (f->fd < 0) {
		int err = f->fd;

		ft_free(f, sizeof(*f));
		return ft_log(err, "%s: error %d", path, -err);
	}
	if (pid != written_pid)
		written = trampolines = 0;
	for (u32 id = written; id < n && !f->err; id++) {
		site = ftrace_site(id);
		if (!site || !(site->flags & FTRACE_SITE_ARMED) || !site->name)
			continue;
		put_line(f, ftrace_stub(id), FTRACE_STUB_SIZE, "ftrace:", site->name);
		/* Its own instructions, moved: the function's time is spent there. */
		if (site->form == FTRACE_FORM_MOVED)
			put_line(f, ftrace_copy(id), FTRACE_COPY_SIZE, "", site->name);
		written = id + 1;
		lines++;
	}
	for (; (site = ftrace_trampoline_site(trampolines)) && !f->err; trampolines++) {
		if (!ftrace_trampoline_range(site, &lo, &hi))
			continue;
		put_line(f, lo, (u32)(hi - lo), "ftrace:", site->name);
		lines++;
	}
	flush(f);
	if (f->err)
		lines = ft_log(f->err, "%s: error %d", path, -f->err);
	written_pid = pid;
	ft_close(f->fd);
	ft_free(f, sizeof(*f));
	return lines;
}

void ftrace_perf_map_update(void)
{
	if (ftrace_environment_has("FTRACE_PERF_MAP=1"))
		ftrace_perf_map_write();
}

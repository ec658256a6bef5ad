/* SPDX-License-Identifier: MIT */
/* Files of the session directory in which tracers keep what they find out. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "agent/agent.h"

/* A file larger than the program may make would be its death by SIGXFSZ. */
static bool within_limit(u64 size)
{
	struct { unsigned long soft, hard; } limit;

	return arch_getrlimit(RLIMIT_FSIZE, &limit) || size <= limit.soft;
}

static void *map(int fd, u64 offset, size_t bytes)
{
	long err;

	if (!within_limit(offset + bytes))
		return (void *)(long)-EFBIG;
	/* Memory for all of it now: a full /dev/shm is an error here, not a SIGBUS later. */
	err = ft_fallocate(fd, offset, bytes);
	if (err)
		return (void *)err;
	return ft_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

void *agent_tracer_file(const char *suffix, u64 offset, size_t bytes)
{
	char path[AGENT_PATH_MAX];
	void *p;
	int fd;

	if (!agent.map || READ_ONCE(ftrace_no_syscalls))
		return (void *)(long)-EPERM;
	bytes = ALIGN_UP(bytes, FT_PAGE_SIZE);
	agent_path(path, agent.gen, suffix);
	fd = ft_open(path, O_RDWR | (offset ? 0 : O_CREAT | O_EXCL), 0600);
	if (fd < 0)
		return (void *)(long)fd;
	p = map(fd, offset, bytes);
	ft_close(fd);
	if (ft_is_err(p) && !offset)
		arch_syscall(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
	else if (!offset)
		agent_file_made();
	return p;
}

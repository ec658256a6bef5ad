/* SPDX-License-Identifier: MIT */
/*
 * The process map: a file of text, written through a mapping that is backed by memory before it
 * is touched, so that a full /dev/shm is an error and never a SIGBUS.
 *
 * The header stays mapped. Of the text only a window at its end is: [window_lo, window_hi).
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "agent/agent.h"
#include "arch.h"
#include "engine/site.h"

#define FIRST_ROOM	(64ul << 10)	/* enough for most programs */
#define MORE_ROOM	(1ul << 20)
#define MAX_GENS	1000000u
#define MAX_REASONS	32
#define LINE_FIXED	128		/* the longest line without its name or path */

static struct {
	char *window;		/* the file's bytes from window_lo on */
	u64 window_lo;
	u64 window_hi;		/* backed by memory up to here */
	u64 used;		/* bytes of text; only memory of our own is right after a fork */
	struct ft_mutex lock;
} text;

u64 agent_map_used(void)
{
	return READ_ONCE(text.used);
}

static u64 end_offset(void)
{
	return FTRACE_MAP_HEADER_SIZE + text.used;
}

static void unmap_window(void)
{
	if (text.window)
		arch_syscall(SYS_munmap, (long)text.window, (long)(text.window_hi - text.window_lo),
			     0, 0, 0, 0);
	text.window = NULL;
}

/* Back [end of text, + @bytes) of @fd with memory and make it the window. */
static int map_window(int fd, size_t bytes)
{
	u64 lo = ALIGN_DOWN(end_offset(), FT_PAGE_SIZE);
	u64 hi = ALIGN_UP(end_offset() + bytes, FT_PAGE_SIZE);
	struct { unsigned long soft, hard; } limit;
	void *p;
	long err;

	if (!arch_getrlimit(RLIMIT_FSIZE, &limit) &&
	    hi > limit.soft)
		return -EFBIG;
	err = ft_fallocate(fd, lo, hi - lo);
	if (err)
		return (int)err;
	p = ft_mmap(NULL, hi - lo, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, lo);
	if (ft_is_err(p))
		return (int)(long)p;
	unmap_window();
	text.window = p;
	text.window_lo = lo;
	text.window_hi = hi;
	return 0;
}

/* Room for @bytes behind the text. A process that may make no system call has what it has. */
static int ensure(size_t bytes)
{
	char path[AGENT_PATH_MAX];
	int fd, err;

	if (text.window && end_offset() + bytes <= text.window_hi)
		return 0;
	if (READ_ONCE(ftrace_no_syscalls))
		return -EPERM;
	agent_path(path, agent.gen, "map");
	fd = ft_open(path, O_RDWR, 0);
	if (fd < 0)
		return fd;
	err = map_window(fd, bytes > MORE_ROOM ? bytes : MORE_ROOM);
	if (err)
		err = map_window(fd, bytes);
	ft_close(fd);
	return err;
}

int agent_map_reserve(size_t bytes)
{
	int err;

	if (!agent.map)
		return -ENODEV;
	ft_lock(&text.lock);
	err = ensure(bytes);
	ft_unlock(&text.lock);
	return err;
}

/* The same moment by three clocks: the tick counter is read on both sides of the other two. */
static void take_time(struct ftrace_map_header *map)
{
	u64 before = arch_ticks();

	map->start_mono_ns = agent_clock_ns(CLOCK_MONOTONIC);
	map->start_ticks = before + (arch_ticks() - before) / 2;
	map->start_real_ns = agent_clock_ns(CLOCK_REALTIME);
}

static void fill_header(struct ftrace_map_header *map)
{
	long n;

	map->pid = (u32)agent.pid;
	map->gen = agent.gen;
	map->word_size = sizeof(long);
	take_time(map);
	n = ft_read_file("/proc/self/comm", map->comm, sizeof(map->comm) - 1);
	if (n > 0 && map->comm[n - 1] == '\n')
		map->comm[n - 1] = '\0';
	ft_snprintf(map->machine, sizeof(map->machine), "%s", ARCH_MACHINE);
	n = arch_syscall(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)map->exe,
			 sizeof(map->exe) - 1, 0, 0);
	if (n <= 0)
		ft_snprintf(map->exe, sizeof(map->exe), "%s", map->comm);
}

/* The first PID.GEN.map that does not exist and never did, made. Its descriptor, or -errno. */
static int make_file(u32 *gen)
{
	char path[AGENT_PATH_MAX];
	int fd = -EEXIST;

	for (*gen = agent_gen_floor(agent.pid); *gen < MAX_GENS; ++*gen) {
		agent_path(path, *gen, "map");
		fd = ft_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd != -EEXIST)
			break;
	}
	return fd;
}

void agent_map_drop(void)
{
	struct ftrace_map_header *map = agent.map;

	agent.map = NULL;
	unmap_window();
	if (map)
		arch_syscall(SYS_munmap, (long)map, FTRACE_MAP_HEADER_SIZE, 0, 0, 0, 0);
}

int agent_map_create(u32 parent_pid, u32 parent_gen, u64 inherited)
{
	struct ftrace_map_header *map;
	char path[AGENT_PATH_MAX];
	int fd, err;

	/* What is there of a parent's is the parent's. Its header may still be looked at. */
	unmap_window();
	ft_memset(&text, 0, sizeof(text));
	agent.map = NULL;
	agent.pid = ft_getpid();
	fd = make_file(&agent.gen);
	if (fd < 0)
		return fd;
	err = map_window(fd, FIRST_ROOM);
	if (!err) {
		/* The window is at the file's end; the header was not backed yet. */
		err = (int)ft_fallocate(fd, 0, FTRACE_MAP_HEADER_SIZE);
	}
	if (!err) {
		map = ft_mmap(NULL, FTRACE_MAP_HEADER_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_POPULATE, fd, 0);
		err = ft_is_err(map) ? (int)(long)map : 0;
	}
	ft_close(fd);
	if (err) {
		unmap_window();
		agent_path(path, agent.gen, "map");
		arch_syscall(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
		return err;
	}
	map->parent_pid = parent_pid;
	map->parent_gen = parent_gen;
	map->inherited = inherited;
	fill_header(map);
	smp_store_release(&map->magic, FTRACE_MAP_MAGIC);
	agent.map = map;
	agent_file_made();
	return 0;
}

/* ---- lines ---- */

static char *put_str(char *p, const char *s)
{
	/* A newline would end the line early. */
	for (; *s; s++)
		*p++ = *s == '\n' ? '?' : *s;
	return p;
}

static char *put_hex(char *p, u64 v)
{
	unsigned int shift = v ? (63u - (unsigned int)__builtin_clzll(v)) & ~3u : 0;

	for (;; shift -= 4) {
		*p++ = "0123456789abcdef"[v >> shift & 15];
		if (!shift)
			return p;
	}
}

/* Where the next line of at most @bytes goes; NULL: no room. line_end() makes it part of the text. */
static char *line_begin(size_t bytes, int *err)
{
	if (!*err)
		*err = ensure(bytes);
	return *err ? NULL : text.window + (end_offset() - text.window_lo);
}

static void line_end(char *p)
{
	*p++ = '\n';
	text.used = text.window_lo + (u64)(p - text.window) - FTRACE_MAP_HEADER_SIZE;
}

static void put_object(struct ftrace_object *obj, int *err)
{
	char *p = line_begin(LINE_FIXED + ft_strlen(obj->path), err);

	if (!p)
		return;
	p = put_hex(put_str(p, "o "), obj->index);
	p = put_hex(put_str(p, " "), obj->base);
	p = put_str(put_str(p, " "), obj->find.build_id[0] ? obj->find.build_id : "-");
	p = put_str(put_str(p, " "), obj->path);
	line_end(p);
}

static void put_site(struct ftrace_object *obj, const struct dyn_ftrace *site, u64 size, int *err)
{
	char *p = line_begin(LINE_FIXED + ft_strlen(site->name), err);

	if (!p)
		return;
	p = put_hex(put_str(p, "s "), site->id);
	p = put_hex(put_str(p, " "), obj->index);
	p = put_hex(put_str(p, " "), site->ip - site->entry_delta - obj->base);
	p = put_hex(put_str(p, " "), size);
	p = put_str(put_str(p, " "), site->name);
	line_end(p);
}

/* Sites and what was found are both in the order of addresses: one walk through both. */
static void put_sites(struct ftrace_object *obj, int *err)
{
	const struct ftrace_found *f = obj->find.found, *end = f + obj->find.nfound;
	u32 id;

	for (id = obj->first_site; id < obj->first_site + obj->nsites && !*err; id++) {
		const struct dyn_ftrace *site = ftrace_site(id);

		if (!site || !site->name)
			continue;
		while (f < end && f->vaddr < site->ip - obj->base)
			f++;
		put_site(obj, site, f < end && f->vaddr == site->ip - obj->base ? f->size : 0, err);
	}
}

/* Reasons are static texts, few of them: counted by their address. */
static void put_refused(struct ftrace_object *obj, int *err)
{
	struct { const char *why; u32 count; } reasons[MAX_REASONS] = { { NULL, 0 } };
	u32 i, k;
	char *p;

	for (i = 0; i < obj->find.nfound; i++) {
		const struct ftrace_found *f = &obj->find.found[i];
		const char *why = f->reason ? f->reason : "not known why";

		if (f->form != FTRACE_FORM_NONE || f->flags & FTRACE_FOUND_PART)
			continue;
		for (k = 0; k < MAX_REASONS - 1 && reasons[k].why && reasons[k].why != why; k++)
			;
		if (k == MAX_REASONS - 1)
			why = "other reasons";
		reasons[k].why = why;
		reasons[k].count++;
		agent.map->untraceable++;
	}
	for (k = 0; k < MAX_REASONS && reasons[k].why; k++) {
		p = line_begin(LINE_FIXED + ft_strlen(reasons[k].why), err);
		if (!p)
			return;
		p = put_hex(put_str(p, "x "), obj->index);
		p = put_hex(put_str(p, " "), reasons[k].count);
		p = put_str(put_str(p, " "), reasons[k].why);
		line_end(p);
	}
}

static void put_gone(struct ftrace_object *obj, int *err)
{
	char *p = line_begin(LINE_FIXED, err);

	if (p)
		line_end(put_hex(put_str(p, "u "), obj->index));
}

void agent_map_object(struct ftrace_object *obj, bool gone)
{
	int err = 0;

	if (!agent.map)
		return;
	ft_lock(&text.lock);
	if (gone) {
		put_gone(obj, &err);
	} else {
		put_object(obj, &err);
		put_sites(obj, &err);
		put_refused(obj, &err);
	}
	/* The recorder and readers take lines up to here; what is not complete is not there. */
	smp_store_release(&agent.map->map_len, text.used);
	ft_unlock(&text.lock);
	if (err)
		ft_log(err, "%s: its functions have no names in the recording: the process map "
		       "cannot grow (error %d)", obj->name, -err);
}

int agent_map_line(const char *line)
{
	int err = 0;
	char *p;

	if (!agent.map)
		return -ENODEV;
	ft_lock(&text.lock);
	p = line_begin(ft_strlen(line) + 1, &err);
	if (p)
		line_end(put_str(p, line));
	smp_store_release(&agent.map->map_len, text.used);
	ft_unlock(&text.lock);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* Plans that were made before; see planner.h. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/elf-file.h"
#include "planner.h"

#define SUFFIX		".plan"
#define REVISION	5	/* of what planner_make() says of the same object: goes up when that changes */
#define LEFT_OVER	3600	/* seconds after which an unfinished file is nobody's any more */

/* An object, and what its plan is called in the cache. */
struct object {
	const char *path;
	struct stat st;
	char build_id[44];
	char name[160];
};

/* ---- the folder ---- */

/* Open the folder @path/@name, made if it is missing; -1: not to be had, or others may write to it. */
static int open_folder(const char *path, const char *name)
{
	char full[PATH_MAX];
	struct stat st;
	int fd;

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", path, name) >= sizeof(full))
		return -1;
	mkdir(full, 0700);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_cache(void)
{
	const char *base = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
	char path[PATH_MAX];
	int fd;

	if (base && base[0] == '/')
		return open_folder(base, "ftrace");
	if (!home || home[0] != '/')
		return -1;
	if ((size_t)snprintf(path, sizeof(path), "%s/.cache", home) >= sizeof(path))
		return -1;
	fd = open_folder(home, ".cache");
	if (fd < 0)
		return -1;
	close(fd);
	return open_folder(path, "ftrace");
}

/* ---- the name ---- */

static u64 mix(u64 hash, u64 value)
{
	return (hash ^ value) * 0x100000001b3ull;
}

static u64 mix_bytes(u64 hash, const u8 *p, u64 size)
{
	u64 word;

	for (; size >= sizeof(word); p += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = mix(hash, word);
		hash ^= hash >> 29;
	}
	while (size--)
		hash = mix(hash, *p++);
	return hash;
}

/*
 * A build-id stays when symbols are stripped, or merely have other names (linkers leave symbols out
 * of it); and names come from a separate debug file as well: each makes another plan.
 */
static u64 mix_file(u64 hash, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return hash;
	hash = mix(hash, (u64)st.st_size);
	return mix(hash, (u64)st.st_mtim.tv_sec * 1000000000u + (u64)st.st_mtim.tv_nsec);
}

static u64 symbol_files(const struct elf *e, const char *real, const char *build_id)
{
	const char *slash = strrchr(real, '/'), *link;
	int dir = slash ? (int)(slash - real) + 1 : 0;
	u64 hash = mix(0xcbf29ce484222325ull, e->size);
	char path[2 * PATH_MAX];
	struct elf_section s;
	u32 crc;

	if (elf_find_section(e, ".strtab", &s) && s.data)
		hash = mix_bytes(hash, s.data, s.size);
	if (build_id[0] && build_id[1] && build_id[2]) {
		snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id,
			 build_id + 2);
		hash = mix_file(hash, path);
	}
	link = elf_debug_link(e, &crc);
	if (!link || strlen(link) > NAME_MAX)
		return hash;
	snprintf(path, sizeof(path), "%.*s%s", dir, real, link);
	hash = mix_file(hash, path);
	snprintf(path, sizeof(path), "%.*s.debug/%s", dir, real, link);
	hash = mix_file(hash, path);
	snprintf(path, sizeof(path), "/usr/lib/debug%.*s%s", dir, real, link);
	return mix_file(hash, path);
}

/* False: no object that can be opened; planner_make() will say why. */
static bool identify(struct object *o, const char *path)
{
	char real[ELF_PATH_MAX];
	struct elf e;
	u64 hash;

	o->path = path;
	if (stat(path, &o->st) || elf_open(&e, path, real))
		return false;
	elf_build_id(&e, o->build_id);
	hash = symbol_files(&e, real, o->build_id);
	elf_close(&e);
	if (o->build_id[0])
		snprintf(o->name, sizeof(o->name), "%s-%d.%d-%016llx" SUFFIX, o->build_id,
			 FTRACE_PLAN_VERSION, REVISION, (unsigned long long)hash);
	else
		snprintf(o->name, sizeof(o->name), "%llx-%llx-%d.%d-%016llx" SUFFIX,
			 (unsigned long long)o->st.st_dev, (unsigned long long)o->st.st_ino,
			 FTRACE_PLAN_VERSION, REVISION, (unsigned long long)hash);
	return true;
}

/* ---- a plan in a file ---- */

static bool is_plan_of(const struct object *o, const void *plan, size_t size)
{
	const struct ftrace_plan_header *h = plan;

	if (size < sizeof(*h) || size % 8 || h->magic != FTRACE_PLAN_MAGIC ||
	    h->version != FTRACE_PLAN_VERSION || h->size != size ||
	    h->checksum != ftrace_plan_checksum(h + 1, size - sizeof(*h)))
		return false;
	if (o->build_id[0])
		return !strncmp(h->build_id, o->build_id, sizeof(h->build_id));
	return !h->build_id[0] && h->object_size == (u64)o->st.st_size &&
	       h->object_mtime_ns == (u64)o->st.st_mtim.tv_sec * 1000000000u +
				     (u64)o->st.st_mtim.tv_nsec;
}

/* Map the object's plan from the cache; NULL: there is no good one. */
static const void *map_cached(int cache, const struct object *o, size_t *size)
{
	int fd = openat(cache, o->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	void *plan = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_size > 0) {
		*size = (size_t)st.st_size;
		plan = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	}
	if (plan != MAP_FAILED && !is_plan_of(o, plan, *size)) {
		munmap(plan, *size);
		plan = MAP_FAILED;
	}
	/* Used now: the longest unused go first. */
	if (plan != MAP_FAILED)
		futimens(fd, NULL);
	close(fd);
	return plan == MAP_FAILED ? NULL : plan;
}

static int write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Whole or not at all: under another name first. */
static int write_file(int dir, const char *name, const void *data, size_t size)
{
	char temporary[64];
	int fd, ret;

	snprintf(temporary, sizeof(temporary), ".new-%d-%d", ft_getpid(), ft_gettid());
	unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, data, size);
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(dir, temporary, dir, name))
		ret = -errno;
	if (ret)
		unlinkat(dir, temporary, 0);
	return ret;
}

/* ---- not too many ---- */

struct kept {
	char name[160];
	struct timespec used;
	u64 size;
};

static int by_age(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static void prune(int cache)
{
	struct kept *kept = NULL;
	size_t n = 0, capacity = 0, i;
	u64 all = 0;
	struct dirent *entry;
	int fd = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		struct stat st;

		if (fstatat(cache, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!strncmp(entry->d_name, ".new-", 5) && time(NULL) - st.st_mtime > LEFT_OVER)
			unlinkat(cache, entry->d_name, 0);
		if (!ends_with(entry->d_name, SUFFIX) || strlen(entry->d_name) >= sizeof(kept->name))
			continue;
		if (n == capacity) {
			struct kept *more = reallocarray(kept, capacity = 2 * capacity + 64,
							 sizeof(*kept));

			if (!more)
				break;
			kept = more;
		}
		strcpy(kept[n].name, entry->d_name);
		kept[n].used = st.st_mtim;
		kept[n].size = (u64)st.st_size;
		all += kept[n++].size;
	}
	closedir(dir);
	if (n)
		qsort(kept, n, sizeof(*kept), by_age);
	for (i = 0; i < n && all > PLANNER_CACHE_SIZE; i++) {
		unlinkat(cache, kept[i].name, 0);
		all -= kept[i].size;
	}
	free(kept);
}

/* ---- for the command ---- */

/* @cache: where it was found or put, -1 for none; the caller closes it. */
static int get(const char *path, struct object *o, const void **plan, size_t *size, int *cache,
	       bool *cached, const char **why)
{
	void *made, *copy;
	int ret;

	*plan = NULL;
	*why = NULL;
	*cached = false;
	*cache = -1;
	if (identify(o, path)) {
		*cache = open_cache();
		if (*cache >= 0)
			*plan = map_cached(*cache, o, size);
		if (*plan) {
			*cached = true;
			return 0;
		}
	}
	ret = planner_make(path, &made, size, why);
	if (ret)
		return ret;
	if (*cache >= 0) {
		if (*size <= PLANNER_CACHE_SIZE / 4 && !write_file(*cache, o->name, made, *size)) {
			*cached = true;
			prune(*cache);
		}
	}
	copy = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy != MAP_FAILED) {
		memcpy(copy, made, *size);
		*plan = copy;
	}
	free(made);
	if (!*plan) {
		*why = "no memory";
		return -ENOMEM;
	}
	return 0;
}

int planner_get(const char *path, const void **plan, size_t *size, const char **why)
{
	struct object o = { 0 };
	bool cached;
	int cache, ret = get(path, &o, plan, size, &cache, &cached, why);

	if (cache >= 0)
		close(cache);
	return ret;
}

void planner_release(const void *plan, size_t size)
{
	if (plan)
		munmap((void *)plan, size);
}

int planner_write(const char *path, int dir_fd, const char *name, const char **why)
{
	struct object o = { 0 };
	const void *plan;
	size_t size;
	bool cached;
	int cache, ret = get(path, &o, &plan, &size, &cache, &cached, why);

	if (!ret) {
		unlinkat(dir_fd, name, 0);
		/* Another name of the same file where that can be: nobody writes to plans. */
		if (!cached || linkat(cache, o.name, dir_fd, name, 0)) {
			ret = write_file(dir_fd, name, plan, size);
			if (ret)
				*why = strerrordesc_np(-ret);
		}
		planner_release(plan, size);
	}
	if (cache >= 0)
		close(cache);
	return ret;
}

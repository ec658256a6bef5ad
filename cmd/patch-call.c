/* SPDX-License-Identifier: MIT */
/* Asking the agent of a process about patches; see patch-call.h. */
#include <stdio.h>

#include "cmd/patch-call.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <ftrace/patch-records.h>
#include <ftrace/trace-format.h>

#include "arch/inject.h"
#include "cmd/borrow.h"
#include "cmd/cmd.h"
#include "cmd/record.h"
#include "planner/planner.h"
#include "preload/preload-config.h"

#define SHM		"/dev/shm"
#define LOCK_MS		20000
#define BUSY_MS		3000	/* for the agent to finish what another command has asked */
#define ANSWER_MS	60000

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000l };

	nanosleep(&ts, NULL);
}

/* ---- a directory of ours, where the process sees it ---- */

static void remove_dir(int parent, const char *name, int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(fd, entry->d_name, 0);
	if (d)
		closedir(d);
	unlinkat(parent, name, AT_REMOVEDIR);
}

#define OLD_S	60

/* Those of commands that were killed: nobody holds their lock any more, and the process has seen what it was to see. */
static void remove_old(const char *shm)
{
	struct stat st;
	DIR *d = opendir(shm);
	struct dirent *entry;
	char begin[64];
	int fd;

	snprintf(begin, sizeof(begin), "ftrace-%u-patch-", geteuid());
	while (d && (entry = readdir(d))) {
		if (strncmp(entry->d_name, begin, strlen(begin)))
			continue;
		fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!fstat(fd, &st) && time(NULL) - st.st_mtime > OLD_S && !flock(fd, LOCK_EX | LOCK_NB))
			remove_dir(dirfd(d), entry->d_name, fd);
		close(fd);
	}
	if (d)
		closedir(d);
}

static int make_dir(struct patch_call *call)
{
	char prefix[64], shm[96];

	agent_shm_prefix(call->pid, prefix, sizeof(prefix));
	call->prefix = strlen(prefix);
	snprintf(shm, sizeof(shm), "%s" SHM, prefix);
	remove_old(shm);
	snprintf(call->dir, sizeof(call->dir), "%s/ftrace-%u-patch-XXXXXX", shm, geteuid());
	if (!mkdtemp(call->dir)) {
		call->dir[0] = 0;
		return cmd_error("%s: %s; it has to be writable, to share memory with the process", shm,
				 strerror(errno));
	}
	call->dirfd = open(call->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (call->dirfd < 0 || flock(call->dirfd, LOCK_EX | LOCK_NB) ||
	    (call->uid != geteuid() && fchown(call->dirfd, call->uid, call->gid)))
		return cmd_error("%s: %s", call->dir, strerror(errno));
	return 0;
}

/* ---- beginning and end ---- */

/* Two commands at one process: the second waits, not for long. */
static int lock(struct patch_call *call)
{
	uint64_t until = now_ms() + LOCK_MS;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", call->pid);
	call->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (call->lock >= 0 && flock(call->lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;		/* cannot be locked: go on without */
		if (now_ms() > until)
			return cmd_error("process %d (%s): another 'ftrace patch' is at work there; try again when that is done",
					 call->pid, call->comm);
		pause_ms(20);
	}
	return 0;
}

void patch_call_unlock(struct patch_call *call)
{
	if (call->lock >= 0)
		close(call->lock);
	call->lock = -1;
}

int patch_call_open(struct patch_call *call, pid_t pid)
{
	const struct inject_abi *abi;

	*call = (struct patch_call){ .pid = pid, .lock = -1, .pidfd = -1, .dirfd = -1 };
	target_comm(pid, call->comm, sizeof(call->comm));
	/* First: while another command borrows a thread, it has a tracer. */
	if (lock(call))
		goto fail;
	if (target_check(pid))
		goto fail;
	abi = target_abi(pid);
	if (!abi) {
		cmd_error("process %d (%s): has ended", pid, call->comm);
		goto fail;
	}
	call->wide = abi->wide;
	call->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (call->pidfd < 0) {
		cmd_error("process %d (%s): %s", pid, call->comm, strerror(errno));
		goto fail;
	}
	call->uid = (uid_t)target_status(pid, "status", "Uid:", 10, geteuid());
	call->gid = (gid_t)target_status(pid, "status", "Gid:", 10, getegid());
	return 0;
fail:
	patch_call_close(call);
	return -1;
}

static void forget_request(struct patch_call *call)
{
	if (call->request)
		agent_request_free(call->request, call->dirfd, call->request_name);
	call->request = NULL;
}

void patch_call_close(struct patch_call *call)
{
	forget_request(call);
	patch_call_unlock(call);
	if (call->pidfd >= 0)
		close(call->pidfd);
	if (call->dir[0] && call->dirfd >= 0)
		remove_dir(AT_FDCWD, call->dir, call->dirfd);
	if (call->dirfd >= 0)
		close(call->dirfd);
	call->pidfd = call->dirfd = -1;
	call->dir[0] = 0;
}

int patch_call_agent(struct patch_call *call)
{
	return agent_is_there(call->pid);
}

bool patch_call_gone(const struct patch_call *call)
{
	struct pollfd pfd = { call->pidfd, POLLIN, 0 };

	return poll(&pfd, 1, 0) > 0;
}

/* ---- what is told of a patch ---- */

int patch_call_plans(struct patch_call *call, struct patch_check *check)
{
	for (size_t i = 0; i < check->nobjects; i++) {
		const struct patch_object *o = &check->objects[i];
		char name[FTRACE_PLAN_ID_MAX + 8];
		struct stat st;
		const char *why;
		int err;

		if (!o->plan || stat(o->path, &st))
			continue;
		snprintf(name, sizeof(name), FTRACE_PLAN_ID_FORMAT ".plan", major(st.st_dev), minor(st.st_dev),
			 (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
			 (unsigned long long)st.st_mtim.tv_sec * 1000000000u + (unsigned long)st.st_mtim.tv_nsec);
		if (call->dirfd < 0 && make_dir(call))
			return -1;
		err = planner_write(o->path, call->dirfd, name, &why);
		if (!err && call->uid != geteuid() && fchownat(call->dirfd, name, call->uid, call->gid, 0)) {
			err = -errno;
			why = strerror(errno);
		}
		if (err) {
			cmd_error("%s: %s", o->path, why);
			return -1;
		}
	}
	return 0;
}

void patch_call_print_found(FILE *out, const struct patch_check *check)
{
	const char *name = check->file->name;

	for (size_t i = 0; i < check->file->nrecords; i++) {
		const struct patch_record *r = &check->file->records[i];
		const struct patch_object *o = NULL;

		for (size_t k = 0; k < check->nobjects; k++)
			if (patch_same_object(check->objects[k].name, r->object))
				o = &check->objects[k];
		if (!o || !o->path[0])
			continue;
		if (r->kind == KLP_RECORD_SYMBOL)
			fprintf(out, "livepatch/%s/symbol=%s %llx\n", name, r->text,
				(unsigned long long)(o->base + check->found[i].vaddr));
		/* What the source file tells is a number to the library. */
		if (r->kind == KLP_RECORD_FUNC && r->file)
			fprintf(out, "livepatch/%s/position=%x %lx\n", name, r->number, check->found[i].pos);
	}
	if (check->any_build)
		fprintf(out, "livepatch/%s/any_build=1\n", name);
}

/* ---- asking ---- */

struct preparation {
	struct patch_call *call;
	struct patch_check *check;
	const char *text;
};

static int make_request(struct patch_call *call)
{
	call->request = agent_request_make(call->dirfd, call->request_name, call->uid, call->gid, "");
	return call->request ? 0 : cmd_error("%s/%s: %s; room there is needed to ask the process", call->dir,
					     call->request_name, strerror(errno));
}

static int fill_request(struct patch_call *call, const char *text)
{
	char *all = NULL;
	int err;

	/* Plans, if there are any, first. */
	if (asprintf(&all, "livepatch/plans=%s\n%s", call->dir + call->prefix, text) < 0)
		return cmd_error("no memory");
	err = agent_request_fill(call->request, all);
	free(all);
	return err ? cmd_error("the patch has too many functions for one request") : 0;
}

/* The agent is there, and a thread is ours: load the patch, and say where it is. */
static int load_patch(struct agent_call *agent, struct borrowed *b)
{
	struct preparation *p = agent->data;
	struct patch_file *file = p->check->file;
	const char *slash = strrchr(file->path, '/');
	unsigned long map_at, base;
	char *text = NULL;
	size_t size;
	FILE *out;
	int err = agent_load_object(b, slash ? slash + 1 : file->path, file->data, file->size, &map_at);

	if (!err && target_read_word(b->t, map_at, &base))	/* of a struct link_map */
		err = cmd_error("process %d (%s): where the patch was loaded cannot be read", b->t->pid,
				b->t->comm);
	out = err ? NULL : open_memstream(&text, &size);
	if (out) {
		fprintf(out, "livepatch/load=%s %lx %lx %s %s\n", file->name, base + file->root, base,
			file->id, file->path);
		patch_call_print_found(out, p->check);
		fputs(p->text, out);
		err = fclose(out) ? cmd_error("no memory") : fill_request(p->call, text);
	} else if (!err) {
		err = cmd_error("no memory");
	}
	free(text);
	return err;
}

static void show_answer(const struct patch_call *call)
{
	uint32_t len = call->request->len < FTRACE_REQUEST_SIZE - sizeof(*call->request) ?
		       call->request->len : 0;
	const char *p = call->request->text, *end = p + len, *stop;

	for (; p < end; p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			stop = end;
		cmd_error("process %d (%s): %.*s", call->pid, call->comm, (int)(stop - p), p);
	}
	if (!len)
		cmd_error("process %d (%s): %s", call->pid, call->comm, strerror(-call->request->err));
}

static int wait_for_answer(struct patch_call *call)
{
	uint64_t until = now_ms() + ANSWER_MS, began = now_ms();

	while (__atomic_load_n(&call->request->state, __ATOMIC_ACQUIRE) != FTRACE_REQUEST_DONE) {
		if (patch_call_gone(call))
			return cmd_error("process %d (%s): has ended", call->pid, call->comm);
		if (now_ms() > until)
			return cmd_error("process %d (%s): its agent does not answer", call->pid, call->comm);
		pause_ms(now_ms() - began < 20 ? 0 : 5);
	}
	return 0;
}

#ifndef FTRACE_LIB_NARROW
#define FTRACE_LIB_NARROW FTRACE_LIB_WIDE	/* none such is attached to: target_check() */
#endif

/* The agent for programs of this width. */
static int find_agent(struct agent_call *agent, bool wide)
{
	static struct {
		bool known;
		char agent[PATH_MAX], library[PATH_MAX];
	} found[2], *files;
	static struct record r;

	files = &found[wide];
	if ((!r.preload[0] && record_find_agent(&r)) ||
	    (!files->known && agent_find_files(r.preload, wide ? FTRACE_LIB_WIDE : FTRACE_LIB_NARROW,
					       files->agent, files->library)))
		return -1;
	files->known = true;
	agent->agent = files->agent;
	agent->library = files->library;
	return 0;
}

int patch_call_ask(struct patch_call *call, const char *text, bool load, struct patch_check *check)
{
	struct preparation p = { call, check, text };
	struct agent_call agent = { .pid = call->pid, .load = load, .data = &p };
	char path[PATH_MAX];
	int err = 0;

	forget_request(call);
	if ((load && find_agent(&agent, call->wide)) || (call->dirfd < 0 && make_dir(call)))
		return -1;
	snprintf(call->request_name, sizeof(call->request_name), "request-%u", call->asked++);
	snprintf(path, sizeof(path), "%s/%s", call->dir + call->prefix, call->request_name);
	agent.request = path;
	if (make_request(call))
		return -1;
	agent.file = call->request;
	if (check)
		agent.prepare = load_patch;
	else
		err = fill_request(call, text);
	if (!err)
		err = agent_call(&agent);
	call->borrowed_ns += agent.stopped_ns;
	if (!err)
		err = wait_for_answer(call);
	if (err) {
		forget_request(call);
		return -1;
	}
	if (call->request->err) {
		show_answer(call);
		return -1;
	}
	return 0;
}

/* ---- watching ---- */

char *patch_call_watch(struct patch_call *call, bool *ended)
{
	struct ftrace_request *r = call->request;
	char *text = malloc(FTRACE_WATCH_SIZE);
	uint32_t seq, len;

	*ended = __atomic_load_n(&r->watch_ended, __ATOMIC_ACQUIRE);
	for (int i = 0; text; i++) {
		seq = __atomic_load_n(&r->watch_seq, __ATOMIC_ACQUIRE);
		len = r->watch_len < FTRACE_WATCH_SIZE ? r->watch_len : 0;
		memcpy(text, ftrace_request_watch(r), len);
		text[len] = 0;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if ((!(seq & 1) && __atomic_load_n(&r->watch_seq, __ATOMIC_RELAXED) == seq) || i == 100)
			break;
		pause_ms(1);
	}
	return text;
}

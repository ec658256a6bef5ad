/* SPDX-License-Identifier: MIT */
/* Loading the agent into a running process; see agent-call.h. */
#include "cmd/agent-call.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/inject.h"
#include "cmd/borrow.h"
#include "cmd/cmd.h"
#include "config.h"

/*
 * Where the loader finds a copy: written as nobody else would, for it takes two objects of the same name
 * for one.
 */
#define COPY_DIR	"/proc/self/./fd/"

#define RTLD_DLOPEN	0x80000000ul	/* for __libc_dlopen_mode(), what dlopen() adds itself */

/* A function that one of the C library's objects has. */
static unsigned long find_function(struct target *t, const char *name)
{
	unsigned long func = 0;

	for (size_t i = 0; i < t->nobjects && !func; i++) {
		struct target_object *obj = &t->objects[i];
		const char *slash = strrchr(obj->name, '/'), *base = slash ? slash + 1 : obj->name;

		if (!strncmp(base, "libc.so", 7) || !strncmp(base, "libc-2.", 7) ||
		    !strncmp(base, "libdl.so", 8) || !strncmp(base, "libdl-2.", 8))
			func = target_function(t, obj, name);
	}
	return func;
}

/*
 * What the agent calls @symbol, 0: no agent is there. It is known by what it defines: loaded from a descriptor it
 * has no name of its own.
 */
static unsigned long find_in_agent(struct target *t, const char *symbol)
{
	unsigned long addr = 0;

	for (size_t i = 0; i < t->nobjects && !addr; i++)
		if (strstr(t->objects[i].name, FTRACE_AGENT_NAME) ||
		    !strncmp(t->objects[i].name, COPY_DIR, sizeof(COPY_DIR) - 1))
			addr = target_function(t, &t->objects[i], symbol);
	return addr;
}

static unsigned long find_agent(struct target *t)
{
	return find_in_agent(t, FTRACE_AGENT_ENTER);
}

static bool agent_is_ready(struct target *t)
{
	unsigned long at = find_in_agent(t, FTRACE_AGENT_READY);
	uint32_t ready = 0;

	return at && !target_read(t, at, &ready, sizeof(ready)) && ready;
}

int agent_is_there(pid_t pid)
{
	struct target t;
	int there;

	if (target_open(&t, pid))
		return -1;
	there = find_agent(&t) != 0;
	target_close(&t);
	return there;
}

/* Call @func with a string (copied to the process) and a number. */
static int call_with_string(struct borrowed *b, unsigned long func, const char *string,
			    unsigned long number, unsigned long *result)
{
	unsigned long args[4] = { b->room + 64, number, 0, 0 };
	size_t len = strlen(string) + 1;
	int err;

	if (len > BORROW_DATA - 64)
		return -ENAMETOOLONG;
	err = target_write(b->t, args[0], string, len);
	return err ? err : borrow_call(b, func, args, result);
}

/* What dlerror() says, as far as it can be had. */
static void read_dlerror(struct borrowed *b, char *why, size_t size)
{
	unsigned long func = find_function(b->t, "dlerror"), text = 0;
	const unsigned long none[4] = { 0 };
	size_t n = 0;

	snprintf(why, size, "the loader refused");
	if (!func || borrow_call(b, func, none, &text) || !text)
		return;
	while (n + 1 < size && !target_read(b->t, text + n, why + n, 1) && why[n])
		n++;
	why[n] = 0;
}

/* @what: who is loaded, for messages. *@handle: what dlopen() returned. */
static int dlopen_there(struct borrowed *b, const char *path, const char *what, unsigned long *handle)
{
	unsigned long func = find_function(b->t, "dlopen"), mode = RTLD_NOW;
	char why[512];
	int err;

	*handle = 0;
	if (!func) {
		func = find_function(b->t, "__libc_dlopen_mode");
		mode |= RTLD_DLOPEN;
	}
	if (!func)
		return cmd_error("process %d (%s): its C library has no dlopen(); attach needs glibc",
				 b->t->pid, b->t->comm);
	err = call_with_string(b, func, path, mode, handle);
	if (err)
		return cmd_error("process %d (%s): loading %s %s", b->t->pid, b->t->comm, what,
				 err == -EFAULT ? "crashed there" : err == -ETIMEDOUT ?
				 "does not come to an end" : strerror(-err));
	if (*handle)
		return 0;
	read_dlerror(b, why, sizeof(why));
	return cmd_error("process %d (%s): %s cannot be loaded: %s%s", b->t->pid, b->t->comm, what, why,
			 strstr(why, "static TLS") ?
			 "; its threads have no room left for thread-local variables: set GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096 for it" : "");
}

/* Does the process see our file @path under that name? */
static bool sees(pid_t pid, const char *path)
{
	char there[PATH_MAX + 32];
	struct stat ours, theirs;

	snprintf(there, sizeof(there), "/proc/%d/root%s", pid, path);
	return !stat(path, &ours) && !stat(there, &theirs) && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* Copy our file @path into the memory file @fd of the process. */
static int fill_memfd(pid_t pid, long fd, const char *path)
{
	char there[64], buf[65536];
	int in = open(path, O_RDONLY | O_CLOEXEC), out;
	ssize_t n = 0;

	snprintf(there, sizeof(there), "/proc/%d/fd/%ld", pid, fd);
	out = open(there, O_WRONLY | O_CLOEXEC);
	if (in >= 0 && out >= 0)
		while ((n = read(in, buf, sizeof(buf))) > 0)
			if (write(out, buf, (size_t)n) != n) {
				n = -1;
				break;
			}
	if (in < 0 || out < 0)
		n = -1;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return n < 0 ? -1 : 0;
}

/* Load our file @path where the process cannot see it: from a memory file of its own, @fd. */
static int load_copy(struct borrowed *b, const char *path, long *copy)
{
	static const char name[] = "ftrace-agent";
	unsigned long handle;
	char there[64];
	long fd;
	int err;

	if (target_write(b->t, b->room + 64, name, sizeof(name)))
		return -1;
	fd = borrow_syscall(b, b->t->abi->calls->memfd_create, b->room + 64, MFD_CLOEXEC, 0, 0, 0, 0);
	if (fd < 0)
		return cmd_error("process %d (%s): sees other files, and no memory file can be made in it: %s",
				 b->t->pid, b->t->comm, strerror((int)-fd));
	*copy = fd;
	snprintf(there, sizeof(there), COPY_DIR "%ld", fd);
	if (fill_memfd(b->t->pid, fd, path))
		err = cmd_error("%s: cannot be copied into process %d (%s): %s", path, b->t->pid,
				b->t->comm, strerror(errno));
	else
		err = dlopen_there(b, there, "the agent", &handle);
	return err;
}

/*
 * Not two objects under one name, even after the number of the descriptor was used again: slashes and dots more
 * are another name.
 */
static int unused_name(struct target *t, long fd, char *name, size_t size)
{
	char dots[64] = "././";
	size_t i = 0;

	while (i < t->nobjects && strlen(dots) + 3 < sizeof(dots)) {
		snprintf(name, size, "/proc/self/%sfd/%ld", dots, fd);
		for (i = 0; i < t->nobjects && strcmp(t->objects[i].name, name); i++)
			;
		strcat(dots, "./");
	}
	return i < t->nobjects ? -EEXIST : 0;
}

int agent_load_object(struct borrowed *b, const char *name, const void *data, size_t size,
		      unsigned long *map)
{
	char there[64], path[128], label[240];
	long fd = -1;
	int out, err;

	snprintf(label, sizeof(label), "%s", name);
	err = target_write(b->t, b->room + 64, label, strlen(label) + 1);
	if (!err)
		fd = borrow_syscall(b, b->t->abi->calls->memfd_create, b->room + 64, MFD_CLOEXEC, 0, 0, 0, 0);
	if (err || fd < 0)
		return cmd_error("process %d (%s): no memory file for the patch can be made in it: %s",
				 b->t->pid, b->t->comm, strerror(err ? -err : (int)-fd));
	snprintf(there, sizeof(there), "/proc/%d/fd/%ld", b->t->pid, fd);
	out = open(there, O_WRONLY | O_CLOEXEC);
	for (size_t at = 0; out >= 0 && !err && at < size;) {
		ssize_t n = write(out, (const char *)data + at, size - at);

		err = n < 0 ? -errno : 0;
		at += n < 0 ? 0 : (size_t)n;
	}
	if (out < 0)
		err = -errno;
	else
		close(out);
	if (!err)
		err = unused_name(b->t, fd, path, sizeof(path));
	if (err)
		cmd_error("process %d (%s): the patch cannot be copied into it: %s", b->t->pid, b->t->comm,
			  strerror(-err));
	else
		err = dlopen_there(b, path, "the patch", map);
	borrow_syscall(b, b->t->abi->calls->close, (unsigned long)fd, 0, 0, 0, 0, 0);
	return err ? -1 : 0;
}

static int load(struct borrowed *b, const struct agent_call *call)
{
	/* The library by its own path first: the agent finds it by its name then, wherever it looks. */
	const char *const files[] = { call->library, call->agent };
	long copies[2] = { -1, -1 };	/* both open at the end, so that they have different names */
	unsigned long handle;
	int err = 0;

	for (int i = 0; i < 2 && !err; i++)
		err = sees(b->t->pid, files[i]) ? dlopen_there(b, files[i], "the agent", &handle) :
						  load_copy(b, files[i], &copies[i]);
	for (int i = 0; i < 2; i++)
		if (copies[i] >= 0)
			borrow_syscall(b, b->t->abi->calls->close, (unsigned long)copies[i], 0, 0, 0, 0, 0);
	return err;
}

/* -EBUSY, and nothing said: it is at another request. */
static int enter(struct borrowed *b, const struct agent_call *call)
{
	unsigned long func = find_agent(b->t), result = 0;
	int err = func ? call_with_string(b, func, call->request, 0, &result) : -ENOENT;

	if (!err)
		err = (int)result;
	if (!err || err == -EBUSY)
		return err;
	return cmd_error("process %d (%s): its agent does not take requests: %s", b->t->pid, b->t->comm,
			 err == -EINVAL ? "it is of another version than this command" : strerror(-err));
}

static int call_in(struct borrowed *b, struct agent_call *call)
{
	int err = 0;

	if (call->loaded && call->load) {
		err = load(b, call);
		if (!err && target_read_objects(b->t))
			err = cmd_error("process %d (%s): its loader's list cannot be read", b->t->pid,
					b->t->comm);
		call->load = false;
	}
	if (!err && call->prepare) {
		err = call->prepare(call, b);
		call->prepare = NULL;
	}
	return err ? err : enter(b, call);
}

/* The borrowed thread is back at its work. */
static void request_go(struct ftrace_request *request)
{
	uint32_t taken = FTRACE_REQUEST_TAKEN;

	if (__atomic_compare_exchange_n(&request->state, &taken, FTRACE_REQUEST_GO, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		syscall(SYS_futex, &request->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#define BUSY_MS		5000		/* for the agent to be done with another request ... */
#define BUSY_PAUSE_MS	20		/* ... tried so often */

/* 0, or -1 after having said what is wrong. */
static int call_it(struct agent_call *call)
{
	struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000l };
	struct borrowed b;
	struct target t;
	int err = -EBUSY;

	if (target_open(&t, call->pid))
		return -1;
	call->loaded = !find_agent(&t);
	t.needs_memfd = call->prepare;
	if (call->loaded && !call->load) {
		cmd_error("process %d (%s): is not attached to; 'ftrace attach %d' does that", t.pid,
			  t.comm, t.pid);
		target_close(&t);
		return -1;
	}
	for (int i = 0; err == -EBUSY && i < BUSY_MS / BUSY_PAUSE_MS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		/* What is loaded takes locks; what is there already, none. */
		err = !call->prepare && agent_is_ready(&t) ? borrow_any_thread(&b, &t) : borrow_thread(&b, &t);
		if (err)
			break;
		err = call_in(&b, call);
		borrow_end(&b);
		request_go(call->file);
		call->stopped_ns += b.stopped_ns;
	}
	if (err == -EBUSY)
		cmd_error("process %d (%s): its agent is busy with another request; try again", t.pid, t.comm);
	target_close(&t);
	return err ? -1 : 0;
}

/*
 * A borrowed thread whose tracer dies goes on where it is, which is the end of its process. So a child does it,
 * which nobody knows: whoever kills this command, in whatever way, or types Ctrl-C, does not reach it.
 */
static void call_in_child(struct agent_call *call)
{
	sigset_t all;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "ftrace-borrow");
	_exit(call_it(call) ? 1 : 0);
}

int agent_call(struct agent_call *call)
{
	struct agent_call *shared = mmap(NULL, sizeof(*call), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	if (shared == MAP_FAILED)
		return cmd_error("no memory");
	*shared = *call;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		call_in_child(shared);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*call = *shared;
	munmap(shared, sizeof(*shared));
	if (pid < 0)
		return cmd_error("fork: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return cmd_error("process %d: who had borrowed a thread of it was killed (signal %d)", call->pid,
				 WTERMSIG(status));
	return status ? -1 : 0;
}

void agent_shm_prefix(pid_t pid, char *prefix, size_t size)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(prefix, size, "%s", "");
	snprintf(path, sizeof(path), "/proc/%d/root/dev/shm", pid);
	if (!stat("/dev/shm", &ours) && !stat(path, &theirs) &&
	    (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino))
		snprintf(prefix, size, "/proc/%d/root", pid);
}

int agent_find_files(const char *preload, const char *lib, char *agent, char *library)
{
	char path[PATH_MAX + 128];
	int len = (int)strcspn(preload, "$");

	snprintf(path, sizeof(path), "%.*s%s/" FTRACE_AGENT_NAME, len, preload, lib);
	if (!realpath(path, agent))
		return cmd_error("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%.*s%s/libftrace.so.0", len, preload, lib);
	if (!realpath(path, library))
		return cmd_error("%s: %s", path, strerror(errno));
	return 0;
}

int agent_request_fill(struct ftrace_request *request, const char *text)
{
	size_t len = strlen(text);

	if (len + sizeof(*request) >= FTRACE_REQUEST_SIZE)
		return -E2BIG;
	request->len = (uint32_t)len;
	memcpy(request->text, text, len);
	return 0;
}

struct ftrace_request *agent_request_make(int dirfd, const char *name, uid_t uid, gid_t gid,
					  const char *text)
{
	struct ftrace_request *request;
	int fd;

	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	request = MAP_FAILED;
	if ((geteuid() == uid || !fchown(fd, uid, gid)) && !ftruncate(fd, FTRACE_REQUEST_SIZE))
		request = mmap(NULL, FTRACE_REQUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (request == MAP_FAILED) {
		unlinkat(dirfd, name, 0);
		return NULL;
	}
	if (agent_request_fill(request, text)) {
		agent_request_free(request, dirfd, name);
		errno = E2BIG;
		return NULL;
	}
	__atomic_store_n(&request->magic, FTRACE_REQUEST_MAGIC, __ATOMIC_RELEASE);
	return request;
}

void agent_request_free(struct ftrace_request *request, int dirfd, const char *name)
{
	munmap(request, FTRACE_REQUEST_SIZE);
	unlinkat(dirfd, name, 0);
}

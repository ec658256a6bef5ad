/* SPDX-License-Identifier: MIT */
/*
 * Answers to traced processes that ask for the plan of an object; <ftrace/trace-format.h> tells how
 * they ask. A plan may take long (a large object is decoded whole) and its object is whatever
 * somebody built: it is made in a child, so that rings are drained meanwhile, and so that nothing
 * that goes wrong there is the recorder's end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/record.h"
#include "planner/planner.h"

#define PLANNERS_MAX	4	/* at a time */
#define SECONDS_MAX	60	/* of processor time for one plan: then it is not worth having */
#define NAME_SIZE	(FTRACE_PLAN_ID_MAX + 8)

/* A plan that is being made. */
struct record_planner {
	pid_t pid;
	char id[FTRACE_PLAN_ID_MAX];
	struct record_planner *next;
};

/* ---- the answers ---- */

static void session_name(char name[NAME_SIZE], const char *id, const char *suffix)
{
	snprintf(name, NAME_SIZE, "%s.%s", id, suffix);
}

/* oID.plan with all its contents, or not at all. */
static int put_plan(const struct record *r, const char *id, const char *object, const char **why)
{
	char part[NAME_SIZE], name[NAME_SIZE];
	int err;

	session_name(part, id, "part");
	session_name(name, id, "plan");
	err = planner_write(object, r->session_fd, part, why);
	if (!err && renameat(r->session_fd, part, r->session_fd, name)) {
		err = -errno;
		*why = strerror(errno);
	}
	if (err)
		unlinkat(r->session_fd, part, 0);
	else
		record_attach_give(r, name);
	return err;
}

/* A symbolic link: it takes no room in a full /dev/shm. */
static int refuse(const struct record *r, const char *id, const char *reason)
{
	char name[NAME_SIZE];

	session_name(name, id, "noplan");
	return symlinkat(*reason ? reason : "no reason is known", r->session_fd, name) ? -errno : 0;
}

static bool is_there(const struct record *r, const char *id, const char *suffix)
{
	char name[NAME_SIZE];

	session_name(name, id, suffix);
	return !faccessat(r->session_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* The question goes, who waits looks again. */
static void answered(struct record *r, const char *id)
{
	char name[NAME_SIZE];

	session_name(name, id, "ask");
	unlinkat(r->session_fd, name, 0);
	__atomic_fetch_add(&r->control->plans, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &r->control->plans, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- in the child: one plan ---- */

/* Is @path the file and the contents that @id stands for? */
static bool is_object(const char *path, const char *id)
{
	char own[FTRACE_PLAN_ID_MAX];
	struct stat st;

	if (stat(path, &st))
		return false;
	snprintf(own, sizeof(own), FTRACE_PLAN_ID_FORMAT, major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
		 (unsigned long long)st.st_mtim.tv_sec * 1000000000u + (unsigned long)st.st_mtim.tv_nsec);
	return !strcmp(own, id);
}

/*
 * The object that @pid calls @object, as we can open it: by the same name, or through the process,
 * which may be in another root or mount namespace.
 */
static bool find_object(const char *id, long pid, const char *object, char *path, size_t size)
{
	if ((size_t)snprintf(path, size, "%s", object) < size && *object == '/' &&
	    is_object(path, id))
		return true;
	if ((size_t)snprintf(path, size, "/proc/%ld/%s%s", pid, *object == '/' ? "root" : "cwd/",
			     object) < size && is_object(path, id))
		return true;
	snprintf(path, size, "/proc/%ld/exe", pid);
	return is_object(path, id);
}

/* Exit status of the child: 0 when it has answered, or nobody is there to be answered. */
static int make_answer(const struct record *r, const char *id, long pid, const char *object)
{
	const char *why = "";
	char path[PATH_MAX + 64];

	if (find_object(id, pid, object, path, sizeof(path)))
		return put_plan(r, id, path, &why) && refuse(r, id, why);
	if (kill((pid_t)pid, 0) && errno == ESRCH)
		return 0;
	return refuse(r, id, "the recorder cannot open its file, or the file was changed since it was loaded") != 0;
}

static void child(const struct record *r, const char *id, char *question)
{
	struct rlimit cpu = { SECONDS_MAX, SECONDS_MAX }, none = { 0, 0 };
	char *object;
	long pid = strtol(question, &object, 10);
	sigset_t signals;
	int null;

	if (record_attach_pid(r, (pid_t)pid) > 0)
		pid = record_attach_pid(r, (pid_t)pid);
	/* Gone with the recorder; and what a terminal sends is not meant for it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, sig == SIGINT || sig == SIGQUIT || sig == SIGHUP || sig == SIGTSTP ||
			    sig == SIGTERM || sig == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &none);
	/* The program's output is not mixed with what a library has to say to a damaged file. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 1);
		dup2(null, 2);
	}
	if (*object != ' ' || pid <= 0)
		_exit(refuse(r, id, "its process asked in no known way") != 0);
	_exit(make_answer(r, id, pid, object + 1));
}

/* ---- in the recorder ---- */

static bool under_way(const struct record *r, const char *id)
{
	const struct record_planner *p = r->planners;

	while (p && strcmp(p->id, id))
		p = p->next;
	return p;
}

static void start(struct record *r, const char *id)
{
	struct record_planner *p = calloc(1, sizeof(*p));
	char name[NAME_SIZE], question[PATH_MAX];
	ssize_t n;

	session_name(name, id, "ask");
	n = readlinkat(r->session_fd, name, question, sizeof(question) - 1);
	if (n < 0 || !p) {
		free(p);
		r->asks_wait |= !p;
		return;
	}
	question[n] = 0;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->pid = fork();
	if (p->pid == 0)
		child(r, id, question);
	if (p->pid < 0) {
		refuse(r, id, "the recorder could start no process to plan it");
		answered(r, id);
		free(p);
		return;
	}
	p->next = r->planners;
	r->planners = p;
	r->nplanners++;
}

/* A question's name is "ID.ask". */
static void look_at(struct record *r, const char *name)
{
	size_t len = strlen(name);
	char id[FTRACE_PLAN_ID_MAX];

	if (*name != 'o' || len < 5 || len - 4 >= sizeof(id) || strcmp(name + len - 4, ".ask"))
		return;
	snprintf(id, sizeof(id), "%.*s", (int)(len - 4), name);
	if (under_way(r, id))
		return;
	if (is_there(r, id, "plan") || is_there(r, id, "noplan"))
		answered(r, id);	/* asked while it was being answered */
	else if (r->nplanners < PLANNERS_MAX)
		start(r, id);
	else
		r->asks_wait = true;
}

void record_plans_look(struct record *r)
{
	uint32_t asks = __atomic_load_n(&r->control->asks, __ATOMIC_ACQUIRE);
	struct dirent *entry;
	DIR *d;
	int fd;

	if (r->stopped_why || (asks == r->seen_asks && !r->asks_wait))
		return;
	fd = openat(r->session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	r->seen_asks = asks;
	r->asks_wait = false;
	while ((entry = readdir(d)))
		look_at(r, entry->d_name);
	closedir(d);
}

/* It has ended: with an answer, we hope. */
static void reap(struct record *r, const struct record_planner *p, int status)
{
	char why[128];

	if (status && !is_there(r, p->id, "plan") && !is_there(r, p->id, "noplan")) {
		if (WIFSIGNALED(status))
			snprintf(why, sizeof(why), "planning it was ended by signal %d (%s)",
				 WTERMSIG(status), strsignal(WTERMSIG(status)));
		else
			snprintf(why, sizeof(why), "planning it failed");
		refuse(r, p->id, why);
	}
	answered(r, p->id);
}

void record_plans_reap(struct record *r)
{
	struct record_planner **link = &r->planners, *p;
	int status;

	while ((p = *link)) {
		if (waitpid(p->pid, &status, WNOHANG) != p->pid) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		r->nplanners--;
		reap(r, p, status);
		free(p);
	}
}

bool record_plans_asked(const struct record *r)
{
	return !r->stopped_why && __atomic_load_n(&r->control->asks, __ATOMIC_ACQUIRE) != r->seen_asks;
}

void record_plans_end(struct record *r)
{
	while (r->planners) {
		struct record_planner *p = r->planners;

		r->planners = p->next;
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		free(p);
	}
	r->nplanners = 0;
	/* Who waits sees that the recording has stopped. */
	__atomic_fetch_add(&r->control->plans, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &r->control->plans, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

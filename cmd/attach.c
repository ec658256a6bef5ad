/* SPDX-License-Identifier: MIT */
/*
 * ftrace attach, detach, status, control: a recording of a running process that goes on behind the command.
 * The recorder is `ftrace record -p` without a terminal; it leaves its number in the session's directory,
 * where the other three find it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/agent-call.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/record.h"
#include "cmd/target.h"

#define SHM		"/dev/shm"
#define ANSWER_S	30
#define END_S		60	/* for a recorder to write what is left */

/* ---- attach ---- */

/* In the child: a recorder that has no terminal, and whose messages nobody sees once it has begun. */
static void be_recorder(struct record_options *opt, int report)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
	}
	opt->begun_fd = report;
	exit(record_run(opt));
}

int cmd_attach(int argc, char **argv)
{
	struct record_options opt;
	int report[2], status = 0, err = record_parse_attach(&opt, argc, argv);
	char byte;
	pid_t pid;

	if (!err && record_threads_find(&opt))
		err = 1;
	if (err)
		goto out;
	if (pipe2(report, O_CLOEXEC)) {
		err = cmd_error("pipe: %s", strerror(errno));
		goto out;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(report[0]);
		be_recorder(&opt, report[1]);
	}
	close(report[1]);
	if (pid < 0) {
		err = cmd_error("fork: %s", strerror(errno));
	} else if (read(report[0], &byte, 1) != 1) {
		/* It has said why. */
		waitpid(pid, &status, 0);
		err = WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
	} else {
		printf("recording into %s; 'ftrace detach %s' ends it\n", opt.output, opt.targets);
	}
	close(report[0]);
out:
	record_options_free(&opt);
	return err;
}

/* ---- where a process is recorded ---- */

struct session {
	pid_t pid;			/* the process */
	char dir[2 * PATH_MAX];		/* of its session */
	size_t prefix;			/* what of that the process does not see */
	int fd;
	pid_t recorder;
	char output[PATH_MAX];
};

/* "attached-PID" in the session directory @dir: one of ours, or of root's. */
static bool is_session(struct session *s, int shm, const char *name)
{
	char file[64], line[PATH_MAX];
	struct stat st;
	FILE *f;
	int fd;

	if (strncmp(name, "ftrace-", 7))
		return false;
	s->fd = openat(shm, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd < 0)
		return false;
	snprintf(file, sizeof(file), "attached-%d", s->pid);
	fd = openat(s->fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* What others have put there is not believed: it names a process that we send a signal to. */
	if (fd < 0 || fstat(fd, &st) || (st.st_uid != geteuid() && st.st_uid) || st.st_mode & 077) {
		if (fd >= 0)
			close(fd);
		close(s->fd);
		return false;
	}
	f = fdopen(fd, "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "recorder=", 9))
			s->recorder = (pid_t)atoi(line + 9);
		if (!strncmp(line, "output=", 7))
			snprintf(s->output, sizeof(s->output), "%s", line + 7);
	}
	if (f)
		fclose(f);
	return s->recorder > 0;
}

/* 0, or -1 without a word: it is in none. */
static int find_session(struct session *s, pid_t pid)
{
	char shm[PATH_MAX];
	struct dirent *entry;

	/* As the process sees it: its /dev/shm may be another one. */
	s->prefix = (size_t)snprintf(shm, sizeof(shm), "/proc/%d/root", pid);
	strcat(shm, SHM);
	*s = (struct session){ .pid = pid, .fd = -1, .prefix = s->prefix };
	DIR *d = opendir(shm);

	while (d && (entry = readdir(d)))
		if (is_session(s, dirfd(d), entry->d_name)) {
			snprintf(s->dir, sizeof(s->dir), "%s/%s", shm, entry->d_name);
			closedir(d);
			return 0;
		}
	if (d)
		closedir(d);
	return -1;
}

static int not_attached(pid_t pid)
{
	return cmd_error("process %d: is not attached to; 'ftrace attach %d' does that", pid, pid);
}

static bool recorder_lives(const struct session *s)
{
	char path[64], line[512], *state = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", s->recorder);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f))
		state = strrchr(line, ')');
	if (f)
		fclose(f);
	/* Nobody may have waited for it yet. */
	return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

/* ---- requests ---- */

static int wait_for_answer(const struct session *s, struct ftrace_request *request)
{
	struct timespec pause = { .tv_nsec = 500000 };
	time_t until = time(NULL) + ANSWER_S;

	while (__atomic_load_n(&request->state, __ATOMIC_ACQUIRE) != FTRACE_REQUEST_DONE) {
		if (kill(s->pid, 0) && errno == ESRCH)
			return cmd_error("process %d: has ended", s->pid);
		if (time(NULL) > until)
			return cmd_error("process %d: its agent does not answer", s->pid);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* The answer's text is printed, to stderr if the request failed. @quiet: only then. */
static int print_answer(const struct session *s, const struct ftrace_request *request, bool quiet)
{
	uint32_t len = request->len < FTRACE_REQUEST_SIZE - sizeof(*request) ? request->len : 0;
	const char *p = request->text, *end = p + len, *stop;

	if (!request->err) {
		if (!quiet)
			fwrite(p, 1, len, stdout);
		if (request->stops)
			fprintf(stderr, "ftrace: all threads stopped %llu time%s, %.2f ms at most\n",
				(unsigned long long)request->stops, request->stops == 1 ? "" : "s",
				(double)request->stop_max_ns / 1e6);
		return 0;
	}
	for (; p < end; p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			stop = end;
		cmd_error("process %d: %.*s", s->pid, (int)(stop - p), p);
	}
	if (!len)
		cmd_error("process %d: %s", s->pid, strerror(-request->err));
	return 1;
}

static int ask(const struct session *s, const char *text, bool quiet)
{
	struct ftrace_request *request;
	struct agent_call call = { .pid = s->pid };
	char name[64], path[2 * PATH_MAX + 80];
	uid_t uid = (uid_t)target_status(s->pid, "status", "Uid:", 10, geteuid());
	gid_t gid = (gid_t)target_status(s->pid, "status", "Gid:", 10, getegid());
	int err;

	snprintf(name, sizeof(name), "ask-%d-%d", s->pid, getpid());
	request = agent_request_make(s->fd, name, uid, gid, text);
	if (!request)
		return cmd_error("%s/%s: %s", s->dir, name, strerror(errno));
	snprintf(path, sizeof(path), "%s/%s", s->dir + s->prefix, name);
	call.request = path;
	call.file = request;
	err = agent_call(&call) ? 1 : 0;
	if (!err)
		err = wait_for_answer(s, request);
	if (!err)
		err = print_answer(s, request, quiet);
	agent_request_free(request, s->fd, name);
	return err;
}

/* ---- detach, status, control ---- */

static const struct cmd_option no_options[] = { { NULL, 0, NULL, NULL } };

static const struct cmd_usage detach_usage = {
	.name = "detach",
	.synopsis = "PID",
	.about = "End the recording of process PID that 'ftrace attach' began. The process goes on, with every\n"
		 "byte of its code as it was.",
	.tables = { no_options },
};

static const struct cmd_usage status_usage = {
	.name = "status",
	.synopsis = "PID",
	.about = "Show who records process PID, where to, and how its tracer is set.",
	.tables = { no_options },
};

static const struct cmd_usage control_usage = {
	.name = "control",
	.synopsis = "PID FILE[=VALUE]...",
	.about = "Read or write the tracer's control files in process PID, which is attached to.\n"
		 "FILE is one of current_tracer, available_tracers, tracing_on, set_ftrace_filter,\n"
		 "set_ftrace_notrace, available_filter_functions, max_graph_depth, tracing_thresh,\n"
		 "set_ftrace_pid, set_event_pid, snapshot, kprobe_events, available_events, error_log, or\n"
		 "one below events/ (ftrace-control(1)).\n"
		 "FILE+=VALUE appends. 'current_tracer=nop' leaves the code as it was, until another is set.",
	.tables = { no_options },
};

/* The words behind the options; at least @least, the first of which names a process. Nonzero: exit status. */
static int parse(const struct cmd_usage *usage, int argc, char **argv, int least, pid_t *pid)
{
	struct cmd_getopt g;

	cmd_getopt_init(&g, usage, argc, argv, 1);
	while (cmd_getopt(&g) != -1)
		;
	if (argc - optind < least)
		return cmd_bad_use(usage->name, argc == optind ? "no process is named" :
				   "no control file is named");
	if (least == 1 && argc - optind > 1)
		return cmd_bad_use(usage->name, "%s: one process at a time", argv[optind + 1]);
	return target_find(argv[optind], pid) ? 1 : 0;
}

static int end_recorder(const struct session *s)
{
	struct pollfd pfd = { .fd = (int)syscall(SYS_pidfd_open, s->recorder, 0), .events = POLLIN };
	int got = 1;

	if (pfd.fd >= 0) {
		if (syscall(SYS_pidfd_send_signal, pfd.fd, SIGINT, NULL, 0))
			return cmd_error("its recorder, process %d: %s", s->recorder, strerror(errno));
		got = poll(&pfd, 1, END_S * 1000);
		close(pfd.fd);
	}
	return got > 0 ? 0 : cmd_error("its recorder, process %d, has not ended yet", s->recorder);
}

int cmd_detach(int argc, char **argv)
{
	char file[64];
	struct session s;
	pid_t pid;
	int err = parse(&detach_usage, argc, argv, 1, &pid);

	if (err)
		return err;
	if (find_session(&s, pid))
		return not_attached(pid);
	if (recorder_lives(&s)) {
		err = end_recorder(&s);
		if (!err)
			printf("recorded into %s\n", s.output);
	} else {
		/* Killed: the agent is told by ourselves. */
		err = ask(&s, "detach\n", true);
		snprintf(file, sizeof(file), "attached-%d", pid);
		unlinkat(s.fd, file, 0);
	}
	close(s.fd);
	return err;
}

int cmd_status(int argc, char **argv)
{
	static const char *const files[] = { "current_tracer", "tracing_on", "set_ftrace_filter",
					     "set_ftrace_notrace", "set_ftrace_pid", "max_graph_depth" };
	struct session s;
	pid_t pid;
	int err = parse(&status_usage, argc, argv, 1, &pid);

	if (err)
		return err;
	if (find_session(&s, pid))
		return not_attached(pid);
	if (recorder_lives(&s))
		printf("recorder: process %d\noutput: %s\n", s.recorder, s.output);
	else
		printf("recorder: was killed; 'ftrace detach %d' ends what is left\n", pid);
	for (size_t i = 0; !err && i < sizeof(files) / sizeof(files[0]); i++) {
		char text[64];

		printf("%s: ", files[i]);
		fflush(stdout);
		snprintf(text, sizeof(text), "%s?\n", files[i]);
		err = ask(&s, text, false);
	}
	close(s.fd);
	return err;
}

/*
 * A setting as the process takes it: tracing_thresh with a unit, as 'record -t' has it, in ticks. Nonzero: no such time.
 */
static int put_setting(FILE *out, const char *setting)
{
	static const char thresh[] = "tracing_thresh=";
	const char *value = setting + sizeof(thresh) - 1;
	uint64_t ns;

	if (strncmp(setting, thresh, sizeof(thresh) - 1) || !value[strspn(value, "0123456789")]) {
		fprintf(out, "%s%s\n", setting, strchr(setting, '=') ? "" : "?");
		return 0;
	}
	if (cmd_parse_duration(value, &ns) || ns > 3600000000000ull)
		return cmd_bad_use("control", "%s: not a time of at most an hour, like 500ns or 10us, nor a number of ticks",
				   setting);
	fprintf(out, "%s%llu\n", thresh, (unsigned long long)((unsigned __int128)ns * record_tick_rate() / 1000000000u));
	return 0;
}

int cmd_control(int argc, char **argv)
{
	char *text = NULL;
	struct session s;
	size_t size;
	FILE *out;
	pid_t pid;
	int err = parse(&control_usage, argc, argv, 2, &pid);

	if (err)
		return err;
	if (find_session(&s, pid))
		return not_attached(pid);
	out = open_memstream(&text, &size);
	for (int i = optind + 1; out && !err && i < argc; i++)
		err = put_setting(out, argv[i]);
	if (out)
		fclose(out);
	if (!err)
		err = text ? ask(&s, text, false) : cmd_error("no memory");
	free(text);
	close(s.fd);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* The session directory: where the recorder and the traced processes meet. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/record.h"
#include "reader/repair.h"

#define SHM		"/dev/shm"
#define LOG_LINES	20	/* of what traced processes say, so many are shown */

/* What the control tree of each traced process is told, in this order. */
static char *make_settings(const struct record_options *opt, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out)
		return NULL;
	for (const struct record_choice *c = opt->choices; c; c = c->next)
		fprintf(out, "%s+=%s\n", c->file, c->setting ? c->setting : c->value);
	record_threads_put(opt, out);
	record_events_put(opt, out);
	if (opt->depth)
		fprintf(out, "max_graph_depth=%u\n", opt->depth);
	if (opt->threshold_ns) {
		unsigned __int128 ticks = (unsigned __int128)opt->threshold_ns * record_tick_rate();

		fprintf(out, "tracing_thresh=%llu\n", (unsigned long long)(ticks / 1000000000u));
	}
	if (opt->event_settings)
		fputs(opt->event_settings, out);
	/* Last: it starts with everything set. */
	fprintf(out, "current_tracer=%s\n", opt->tracer);
	return fclose(out) ? NULL : text;
}

static uint32_t ring_packets(uint64_t bytes)
{
	uint32_t n = 2;

	while (n * 2ull * FTRACE_PACKET_SIZE <= bytes)
		n *= 2;
	return n;
}

static int make_control(struct record *r, const char *settings, size_t len)
{
	struct ftrace_session *s;
	int fd = openat(r->session_fd, "control", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	r->control_size = FTRACE_SESSION_SIZE + ((len + 4095) & ~4095ul) +
			  sizeof(struct ftrace_session_log) + FTRACE_GEN_FLOORS * sizeof(uint16_t);
	if (fallocate(fd, 0, 0, (off_t)r->control_size)) {
		int err = -errno;

		close(fd);
		return err;
	}
	s = mmap(NULL, r->control_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (s == MAP_FAILED)
		return -errno;
	s->version = FTRACE_SESSION_VERSION;
	s->recorder_pid = (uint32_t)getpid();
	s->overwrite = r->opt->overwrite;
	s->ring_packets = ring_packets(r->opt->buffer);
	s->wait_ms = r->opt->wait_ms;
	s->settings_len = (uint32_t)len;
	memcpy(s->settings, settings, len);
	__atomic_store_n(&s->magic, FTRACE_SESSION_MAGIC, __ATOMIC_RELEASE);
	r->control = s;
	r->gen_floors = ftrace_gen_floors(s, r->control_size);
	return 0;
}

/* What killed recorders have left takes memory. */
static void take_what_was_left(void)
{
	char prefix[32], path[300];
	struct dirent *entry;
	DIR *d = opendir(SHM);
	int len = snprintf(prefix, sizeof(prefix), "ftrace-%u-", geteuid());

	while (d && (entry = readdir(d)))
		/* Six letters, as mkdtemp() has made them below. */
		if (!strncmp(entry->d_name, prefix, (size_t)len) && strlen(entry->d_name + len) == 6) {
			snprintf(path, sizeof(path), SHM "/%s", entry->d_name);
			trace_take_left(path);
		}
	if (d)
		closedir(d);
}

/* For whom finds the directory when we are gone: that we are, and whose it is. */
static int note_recording(struct record *r)
{
	char path[PATH_MAX];

	if (flock(r->session_fd, LOCK_EX | LOCK_NB))
		return -errno;
	return realpath(r->opt->output, path) &&
	       !symlinkat(path, r->session_fd, FTRACE_SESSION_RECORDING) ? 0 : -errno;
}

int record_session_open(struct record *r)
{
	char prefix[64] = "";
	size_t len = 0;
	char *settings;
	int err;

	take_what_was_left();
	if (r->attach)
		record_attach_place(r, prefix, sizeof(prefix));
	r->session_prefix = strlen(prefix);
	snprintf(r->session_dir, sizeof(r->session_dir), "%s" SHM "/ftrace-%u-XXXXXX", prefix, geteuid());
	r->session_fd = -1;
	if (!mkdtemp(r->session_dir))
		return cmd_error(SHM ": %s; a writable " SHM " is needed to share memory with the program",
				 strerror(errno));
	r->session_fd = open(r->session_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	settings = make_settings(r->opt, &len);
	err = r->session_fd < 0 ? -errno : settings ? note_recording(r) : -ENOMEM;
	if (!err)
		err = make_control(r, settings, len);
	free(settings);
	if (!err && r->attach)
		err = record_attach_own(r);
	if (err) {
		record_session_close(r);
		return cmd_error("%s: %s; room in " SHM " is needed to share memory with the program",
				 r->session_dir, strerror(-err));
	}
	return 0;
}

void record_session_close(struct record *r)
{
	int fd = r->session_fd < 0 ? -1 : openat(r->session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		unlinkat(fd, entry->d_name, 0);
	if (d)
		closedir(d);
	if (r->control)
		munmap(r->control, r->control_size);
	r->control = NULL;
	if (r->session_fd >= 0)
		close(r->session_fd);
	r->session_fd = -1;
	rmdir(r->session_dir);
}

/* The message of a line "COMM[PID]: MESSAGE": many processes may have the same to say. */
static const char *message_of(const char *line)
{
	const char *p = strstr(line, "]: ");

	return p ? p + 3 : line;
}

/* What was shown, and how much was not. */
struct shown {
	char *lines[LOG_LINES];
	size_t n, more;
};

static void show_line(struct shown *shown, const char *line)
{
	for (size_t i = 0; i < shown->n; i++)
		if (!strcmp(message_of(line), message_of(shown->lines[i])))
			return;
	if (shown->n == LOG_LINES || !(shown->lines[shown->n] = strdup(line))) {
		shown->more++;
		return;
	}
	shown->n++;
	cmd_error("%s", line);
}

static void show_lines(struct shown *shown, FILE *log)
{
	char *line = NULL;
	size_t size = 0;

	while (log && getline(&line, &size, log) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			show_line(shown, line);
	}
	free(line);
	if (log)
		fclose(log);
}

void record_session_show_log(struct record *r)
{
	struct ftrace_session_log *lines = ftrace_session_log(r->control, r->control_size);
	int fd = openat(r->session_fd, "log", O_RDONLY | O_CLOEXEC);
	size_t len = strnlen(lines->text, sizeof(lines->text));
	struct shown shown = { 0 };

	if (fd >= 0)
		show_lines(&shown, fdopen(fd, "r"));
	if (len)
		show_lines(&shown, fmemopen(lines->text, len, "r"));
	if (shown.more)
		cmd_error("%zu more lines like these were left out", shown.more);
	for (size_t i = 0; i < shown.n; i++)
		free(shown.lines[i]);
}

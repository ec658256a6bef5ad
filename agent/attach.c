/* SPDX-License-Identifier: MIT */
/*
 * Requests to the agent of a running process: <ftrace/trace-attach.h>. The call comes in a thread that was
 * borrowed from the program and is to be back at its work soon; a thread of our own does what is asked.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <time.h>

#include <ftrace/ftrace.h>
#include <ftrace/livepatch.h>
#include <ftrace/trace-attach.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/interpose.h"
#include "agent/patch.h"
#include "engine/guest.h"
#include "engine/site.h"

static __thread char somewhere;		/* in our part of a thread's storage */

static struct {
	char dir[AGENT_DIR_MAX];	/* of the request */
	struct ftrace_request *file;
	s32 tid;			/* who carries it out */
	s32 borrowed;			/* who brought it */
	bool watch;			/* its file is written to as long as there is a transition */
	struct control_text out;	/* the answer */
	char *buf;
} now;

/*
 * While a patch is in transition the thread goes on looking at that, and takes what else is asked for from here.
 */
enum { INBOX_CLOSED, INBOX_EMPTY, INBOX_BEING_FILLED, INBOX_FULL };
static u32 inbox;

#define MAX_WATCHED	8
static struct ftrace_request *watched[MAX_WATCHED];

#define ANSWER_SIZE	(FTRACE_REQUEST_SIZE - FTRACE_WATCH_SIZE - (u32)sizeof(struct ftrace_request))

/* Log lines of the thread that carries a request out are part of the answer. */
static void log_line(const char *msg)
{
	if (agent.session)
		agent_log(msg);
	if (now.buf && now.tid == ft_gettid())
		control_printf(&now.out, "%s\n", msg);
}

/* ---- what can be asked ---- */

/* Does its heart beat? It does so every 40 ms. */
static bool recorder_lives(void)
{
	struct { long sec, nsec; } pause = { 0, 25000000 };
	u64 before = READ_ONCE(agent.session->heartbeat);

	for (int i = 0; i < 20 && agent_recorder_exists(); i++) {
		if (READ_ONCE(agent.session->heartbeat) != before)
			return true;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
	return false;
}

static int attach(void)
{
	int err;

	if (agent.map && !READ_ONCE(agent.off)) {
		if (recorder_lives())
			return ft_log(-EBUSY, "it is being recorded already");
		agent_leave();
	}
	err = agent_drop_rings();
	if (err)
		return ft_log(err, "a thread still writes to an earlier recording: try again");
	err = agent_session_reopen(now.dir);
	if (err)
		return ft_log(err, "the recorder's session cannot be opened in it: error %d", -err);
	err = agent_start();
	if (err)
		agent_leave();
	return err;
}

static int detach(void)
{
	if (!agent.map || READ_ONCE(agent.off))
		return ft_log(-ENODEV, "it is not being recorded");
	return agent_leave();
}

static int read_file(const char *name)
{
	long n;

	/* Twice: the first tells how much there is. */
	if (now.out.len + 1 >= now.out.size)
		return -E2BIG;
	n = control_read(name, now.out.buf + now.out.len, now.out.size - now.out.len);
	if (n == -ENOENT)
		return ft_log(-ENOENT, "%s: no such control file", name);
	if (n < 0)
		return ft_log((int)n, "%s: cannot be read", name);
	now.out.len += (size_t)n;
	return 0;
}

static int carry_out(char *line)
{
	char *p;
	size_t len = ft_strlen(line);

	if (!ft_strcmp(line, "attach"))
		return attach();
	if (!ft_strcmp(line, "detach"))
		return detach();
	if (!ft_strcmp(line, "watch")) {
		now.watch = true;
		return 0;
	}
	if (len && line[len - 1] == '?') {
		line[len - 1] = '\0';
		return read_file(line);
	}
	p = ft_strchr(line, '=');
	if (!p || p == line)
		return ft_log(-EINVAL, "neither FILE=VALUE nor FILE?");
	if (!control_is_patch(line, (size_t)(p - line)) && !agent_is_recording())
		return ft_log(-ENODEV, "it is not being recorded");
	if (p[-1] == '+')
		return control_write(line, (size_t)(p - line) - 1, p + 1, ft_strlen(p + 1),
				     CONTROL_APPEND);
	return control_write(line, (size_t)(p - line), p + 1, ft_strlen(p + 1), CONTROL_REPLACE);
}

static int carry_out_all(char *text)
{
	int err = 0;

	while (*text && !err) {
		char *end = ft_strchr(text, '\n'), *next = end ? end + 1 : text + ft_strlen(text);

		if (end)
			*end = '\0';
		err = *text ? carry_out(text) : 0;
		text = next;
	}
	return err;
}

/* ---- the thread ---- */

static void answer(int err, u64 began)
{
	struct ftrace_request *file = now.file;
	size_t len = now.out.len < ANSWER_SIZE ? now.out.len : ANSWER_SIZE - 1;

	if (now.buf)
		ft_memcpy(file->text, now.buf, len);
	file->len = (u32)len;
	file->err = err;
	file->stops = ftrace_stops.count;
	file->stops_ns = ftrace_stops.total_ns;
	file->stop_max_ns = ftrace_stops.max_ns;
	file->took_ns = agent_clock_ns(CLOCK_MONOTONIC) - began;
	smp_store_release(&file->state, FTRACE_REQUEST_DONE);
	arch_syscall(SYS_futex, (long)&file->state, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

static void *anonymous(size_t size)
{
	void *p = ft_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ft_is_err(p) ? NULL : p;
}

/* Who asked may have been killed, and so let go of the thread without a word. */
static bool is_traced(s32 tid)
{
	char path[48], text[1024];
	const char *line;
	long n;

	ft_snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	n = ft_read_file(path, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	for (line = text; line && !ft_starts_with(line, "TracerPid:"); line++)
		line = ft_strchr(line, '\n') ? ft_strchr(line, '\n') : text + ft_strlen(text) - 1;
	return n > 0 && ft_starts_with(line, "TracerPid:") && !ft_starts_with(line, "TracerPid:\t0");
}

/* The borrowed thread has a tracer still, so that nobody else could stop it. */
static void wait_for_tracer(void)
{
	struct { long sec, nsec; } slice = { 0, 100000000 };

	for (int i = 0; i < 100 && smp_load_acquire(&now.file->state) == FTRACE_REQUEST_TAKEN; i++) {
		if (i && !is_traced(now.borrowed))
			return;
		arch_syscall(SYS_futex, (long)&now.file->state, FUTEX_WAIT, FTRACE_REQUEST_TAKEN,
			     (long)&slice, 0, 0);
	}
}

static void unmap_request(struct ftrace_request *file)
{
	arch_syscall(SYS_munmap, (long)file, FTRACE_REQUEST_SIZE, 0, 0, 0, 0);
}

static void end_watch(struct ftrace_request *file)
{
	smp_store_release(&file->watch_ended, 1);
	arch_syscall(SYS_futex, (long)&file->watch_seq, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	unmap_request(file);
}

static void add_watch(struct ftrace_request *file)
{
	/* The oldest has waited longest, and is told. */
	if (watched[MAX_WATCHED - 1])
		end_watch(watched[MAX_WATCHED - 1]);
	ft_memmove(watched + 1, watched, (MAX_WATCHED - 1) * sizeof(watched[0]));
	watched[0] = file;
}

/* Carry out what now.file asks for. */
static void carry_out_request(void)
{
	u64 began;
	u32 len;
	char *text;
	int err = -ENOMEM;

	wait_for_tracer();
	ftrace_stops = (struct ftrace_stops){ 0 };
	began = agent_clock_ns(CLOCK_MONOTONIC);
	now.watch = false;
	/* Copied before use: others can write to the file. */
	len = READ_ONCE(now.file->len);
	len = len < ANSWER_SIZE ? len : ANSWER_SIZE - 1;
	text = anonymous(len + 1);
	now.buf = anonymous(ANSWER_SIZE);
	now.out = (struct control_text){ .buf = now.buf, .size = now.buf ? ANSWER_SIZE : 0 };
	if (text && now.buf) {
		ft_memcpy(text, now.file->text, len);
		err = carry_out_all(text);
	}
	patches_settle();
	answer(err, began);
	if (text)
		arch_syscall(SYS_munmap, (long)text, len + 1, 0, 0, 0, 0);
	if (now.buf)
		arch_syscall(SYS_munmap, (long)now.buf, ANSWER_SIZE, 0, 0, 0, 0);
	now.buf = NULL;
	if (now.watch)
		add_watch(now.file);
	else
		unmap_request(now.file);
}

static void tell_watchers(void)
{
	for (u32 i = 0; i < MAX_WATCHED && watched[i]; i++) {
		struct ftrace_request *file = watched[i];
		struct control_text out = {
			.buf = ftrace_request_watch(file), .size = FTRACE_WATCH_SIZE,
		};

		__atomic_fetch_add(&file->watch_seq, 1, __ATOMIC_ACQ_REL);
		patch_show(&out);
		file->watch_len = out.len < FTRACE_WATCH_SIZE ? (u32)out.len : FTRACE_WATCH_SIZE - 1;
		__atomic_fetch_add(&file->watch_seq, 1, __ATOMIC_RELEASE);
		arch_syscall(SYS_futex, (long)&file->watch_seq, FUTEX_WAKE, INT_MAX, 0, 0, 0);
	}
}

/* Short pauses at first: most transitions are over after one or two. */
#define PAUSE_MIN_NS	1000000l
#define PAUSE_MAX_NS	100000000l
#define PAUSES_SHORT	100		/* then one a second, as the kernel's */

/* What was asked meanwhile; false: nothing. */
static bool take_from_inbox(void)
{
	while (smp_load_acquire(&inbox) == INBOX_BEING_FILLED)
		arch_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	if (READ_ONCE(inbox) != INBOX_FULL)
		return false;
	carry_out_request();
	smp_store_release(&inbox, INBOX_EMPTY);
	return true;
}

static void follow_transition(void)
{
	struct { long sec, nsec; } pause = { 0, PAUSE_MIN_NS };
	u32 looks = 0, empty = INBOX_EMPTY;

	smp_store_release(&inbox, INBOX_EMPTY);
again:
	while (patch_in_transition()) {
		tell_watchers();
		arch_syscall(SYS_futex, (long)&inbox, FUTEX_WAIT, INBOX_EMPTY, (long)&pause, 0, 0);
		if (take_from_inbox()) {
			pause.sec = looks = 0;
			pause.nsec = PAUSE_MIN_NS;
			continue;
		}
		klp_transition_work();
		pause.nsec = pause.nsec < PAUSE_MAX_NS / 2 ? 2 * pause.nsec : PAUSE_MAX_NS;
		if (++looks > PAUSES_SHORT) {
			pause.sec = 1;
			pause.nsec = 0;
		}
	}
	if (!__atomic_compare_exchange_n(&inbox, &empty, INBOX_CLOSED, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		empty = INBOX_EMPTY;
		take_from_inbox();
		goto again;
	}
	patches_settle();
	tell_watchers();
	for (u32 i = 0; i < MAX_WATCHED && watched[i]; i++) {
		end_watch(watched[i]);
		watched[i] = NULL;
	}
}

static void work(void *data)
{
	const u64 all = ~0ull;

	arch_syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&all, 0, sizeof(all), 0, 0);
	now.tid = ft_gettid();
	/* What a parent of this process had to tell. */
	ft_memset(watched, 0, sizeof(watched));
	WRITE_ONCE(inbox, INBOX_CLOSED);
	carry_out_request();
	follow_transition();
}

/* ---- the call, in a thread of the program ---- */

static int open_request(const char *path)
{
	const char *slash = ft_strrchr(path, '/');
	struct ftrace_request *file;
	int fd;

	if (!slash || slash - path >= AGENT_DIR_MAX)
		return -EINVAL;
	fd = ft_open(path, O_RDWR | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	file = ft_mmap(NULL, FTRACE_REQUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!ft_is_err(file) &&
	    arch_syscall(SYS_lseek, fd, 0, 2 /* SEEK_END */, 0, 0, 0) != FTRACE_REQUEST_SIZE) {
		arch_syscall(SYS_munmap, (long)file, FTRACE_REQUEST_SIZE, 0, 0, 0, 0);
		file = (void *)(long)-EINVAL;
	}
	ft_close(fd);
	if (ft_is_err(file))
		return (int)(long)file;
	if (smp_load_acquire(&file->magic) != FTRACE_REQUEST_MAGIC ||
	    file->state != FTRACE_REQUEST_ASKED) {
		arch_syscall(SYS_munmap, (long)file, FTRACE_REQUEST_SIZE, 0, 0, 0, 0);
		return -EINVAL;
	}
	ft_memcpy(now.dir, path, (size_t)(slash - path));
	now.dir[slash - path] = '\0';
	now.file = file;
	return 0;
}

FTRACE_PUBLIC __attribute__((used)) long ftrace_agent_enter(const char *path);
FTRACE_PUBLIC extern u32 ftrace_agent_ready;
u32 ftrace_agent_ready __attribute__((used));

FTRACE_PUBLIC __attribute__((used)) long ftrace_agent_enter(const char *path)
{
	static u32 entered;
	u32 empty = INBOX_EMPTY;
	bool busy;
	int err;

	if (__atomic_exchange_n(&entered, 1, __ATOMIC_ACQUIRE))
		return -EBUSY;
	busy = ftrace_guest_busy();
	/* It may be about to end; then the next try meets none. */
	if (busy && !__atomic_compare_exchange_n(&inbox, &empty, INBOX_BEING_FILLED, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		err = -EBUSY;
	else
		err = open_request(path);
	if (!err) {
		if (ftrace_is_guest())
			ftrace_guest_prepare();
		WRITE_ONCE(ftrace_agent_ready, 1);
		ftrace_set_log(log_line);
		now.borrowed = ft_gettid();
		WRITE_ONCE(now.file->state, FTRACE_REQUEST_TAKEN);
		err = busy ? 0 : ftrace_guest_run(work, NULL, &somewhere);
		if (err)
			unmap_request(now.file);
	}
	if (busy && empty == INBOX_EMPTY) {
		smp_store_release(&inbox, err ? INBOX_EMPTY : INBOX_FULL);
		arch_syscall(SYS_futex, (long)&inbox, FUTEX_WAKE, 1, 0, 0, 0);
	}
	__atomic_store_n(&entered, 0, __ATOMIC_RELEASE);
	return err;
}

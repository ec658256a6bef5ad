/* SPDX-License-Identifier: MIT */
/* Making single threads stand still, and what /proc tells of them; in the helper. See stop-inner.h. */
#include "stop-inner.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "arch.h"

u64 stop_now_ns(void)
{
	s64 ts[2] = { 0, 0 };

	arch_clock_gettime(CLOCK_MONOTONIC, ts);
	return (u64)ts[0] * 1000000000u + (u64)ts[1];
}

int stop_refuse(struct stop *s, int err, const char *why)
{
	s->err = err;
	s->why = why;
	return err;
}

/* ---- files of /proc ---- */

bool stop_task_file(struct stop *s, s32 tid, const char *name, char *buf, size_t size)
{
	char path[64];
	long n;

	ft_snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", s->pid, tid, name);
	n = ft_read_file(path, buf, size - 1);
	if (n < 0)
		return false;
	buf[n] = 0;
	return true;
}

u64 stop_number(const char **p, unsigned int base)
{
	u64 v = 0;

	for (;; ++*p) {
		unsigned int digit = **p >= '0' && **p <= '9' ? (unsigned int)(**p - '0') :
				     **p >= 'a' && **p <= 'f' ? (unsigned int)(**p - 'a' + 10) : 99;

		if (digit >= base)
			return v;
		v = v * base + digit;
	}
}

u32 ftrace_count_threads(void)
{
	char buf[512];
	const char *p;
	long n = ft_read_file("/proc/self/stat", buf, sizeof(buf) - 1);
	u32 threads;

	if (n <= 0)
		return 0;
	buf[n] = 0;
	p = ft_strrchr(buf, ')');
	/* Field 20 of the line, the 18th behind the name (proc(5)). */
	for (int field = 2; p && *p && field < 20; p++)
		field += *p == ' ';
	threads = p ? (u32)stop_number(&p, 10) : 0;
	return threads ? threads : 1;	/* qemu's user mode shows 0s */
}

char stop_task_state(struct stop *s, s32 tid)
{
	char buf[512], *p;

	if (!stop_task_file(s, tid, "stat", buf, sizeof(buf)))
		return 'X';
	p = ft_strrchr(buf, ')');
	return p && p[1] == ' ' ? p[2] : '?';
}

static bool is_zombie(struct stop *s, s32 tid)
{
	char state = stop_task_state(s, tid);

	return state == 'Z' || state == 'X';
}

/* ---- making them stand ---- */

static const char *why_not_traced(struct stop *s, s32 tid)
{
	static const char tracer[] = "\nTracerPid:\t";
	char buf[1024];
	const char *p = buf;

	if (arch_syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) != 1)
		return "its threads cannot be stopped: the process is not dumpable, so ptrace is not permitted";
	if (stop_task_file(s, tid, "status", buf, sizeof(buf)))
		for (; (p = ft_strchr(p, '\n')); p++)
			if (ft_starts_with(p, tracer) && p[sizeof(tracer) - 1] != '0')
				return "its threads cannot be stopped: a debugger has them";
	return "its threads cannot be stopped: ptrace is not permitted";
}

int stop_seize(struct stop *s, s32 tid)
{
	long err = arch_syscall(SYS_ptrace, PTRACE_SEIZE, tid, 0, 0, 0, 0);

	if (err == -ESRCH || (err && is_zombie(s, tid)))
		return 0;
	if (err)
		return stop_refuse(s, (int)err, why_not_traced(s, tid));
	if (s->n + 1 == s->room)	/* one is the caller's */
		return stop_refuse(s, -EAGAIN, "it makes too many threads to stop them");
	s->threads[s->n++] = (struct ftrace_stopped){ .tid = tid, .pending = true };
	s->npending++;
	arch_syscall(SYS_ptrace, PTRACE_INTERRUPT, tid, 0, 0, 0, 0);
	return 0;
}

static struct ftrace_stopped *find(struct stop *s, s32 tid)
{
	for (u32 i = 0; i < s->n; i++)
		if (s->threads[i].tid == tid)
			return &s->threads[i];
	return NULL;
}

bool stop_take_event(struct stop *s, struct ftrace_stopped **what)
{
	struct arch_stopped regs;
	struct ftrace_stopped *t;
	int status = 0;
	long tid = arch_syscall(SYS_wait4, -1, (long)&status, __WALL | WNOHANG, 0, 0, 0);

	*what = NULL;
	if (tid <= 0)
		return false;
	t = find(s, (s32)tid);
	if (!t) {		/* it was not waited for any longer */
		if (WIFSTOPPED(status))
			arch_syscall(SYS_ptrace, PTRACE_DETACH, tid, 0,
				     status >> 16 ? 0 : WSTOPSIG(status), 0, 0);
		return true;
	}
	if (t->pending)
		s->npending--;
	t->pending = false;
	if (!WIFSTOPPED(status)) {		/* it has ended: its number may come round */
		s->seen[tid / 8] &= (u8)~(1u << (tid & 7));
		*t = s->threads[--s->n];
		return true;
	}
	/* An event of our own making, or a signal on its way, which it gets when it goes on. */
	t->signal = status >> 16 ? 0 : (u32)WSTOPSIG(status);
	/* Whatever becomes of this stop: its system call must not know. */
	if (!arch_stopped_get((s32)tid, &regs)) {
		t->pc = regs.pc;
		t->sp = regs.sp;
		t->restarts = regs.restarts;
	}
	*what = t;
	return true;
}

void stop_wait(long ns)
{
	struct stop_signals sigchld = { 0 };
	struct timespec pause = { 0, ns };

	stop_add_signal(&sigchld, SIGCHLD);
	arch_syscall(SYS_rt_sigtimedwait, (long)&sigchld, 0, (long)&pause, sizeof(sigchld), 0, 0);
}

/* SPDX-License-Identifier: MIT */
/* Stopping the threads of the process; see stop.h. */
#include "stop-inner.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/mman.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "arch.h"
#include "scratch.h"
#include "site.h"
#include "thread.h"

#define HELPER_STACK	(64ul << 10)
#define STOP_SLOW_NS	20000000ull	/* who is not there by then may be in the kernel for long */
#define STOP_TIMEOUT_NS	5000000000ull	/* for all threads to stand still */
#define MAX_TID		(4u << 20)	/* the kernel's own limit (PID_MAX_LIMIT) */

struct ftrace_stops ftrace_stops;

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

/* Reads /proc/PID/task/TID/@name as a string. False: cannot. */
static bool task_file(struct stop *s, s32 tid, const char *name, char *buf, size_t size)
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

static u64 number(const char **p, unsigned int base)
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
	threads = p ? (u32)number(&p, 10) : 0;
	return threads ? threads : 1;	/* qemu's user mode shows 0s */
}

/* Its state as ps(1) shows it; 'X': it is gone. */
char stop_task_state(struct stop *s, s32 tid)
{
	char buf[512], *p;

	if (!task_file(s, tid, "stat", buf, sizeof(buf)))
		return 'X';
	p = ft_strrchr(buf, ')');
	return p && p[1] == ' ' ? p[2] : '?';
}

static bool is_zombie(struct stop *s, s32 tid)
{
	char state = stop_task_state(s, tid);

	return state == 'Z' || state == 'X';
}

/* ---- in the helper: making them stand ---- */

static const char *why_not_traced(struct stop *s, s32 tid)
{
	static const char tracer[] = "\nTracerPid:\t";
	char buf[1024];
	const char *p = buf;

	if (arch_syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) != 1)
		return "its threads cannot be stopped: the process is not dumpable, so ptrace is not permitted";
	if (task_file(s, tid, "status", buf, sizeof(buf)))
		for (; (p = ft_strchr(p, '\n')); p++)
			if (ft_starts_with(p, tracer) && p[sizeof(tracer) - 1] != '0')
				return "its threads cannot be stopped: a debugger has them";
	return "its threads cannot be stopped: ptrace is not permitted";
}

static bool note_seen(struct stop *s, s32 tid)
{
	u8 *byte, bit = (u8)(1u << (tid & 7));

	if (tid < 0 || (u32)tid >= MAX_TID)
		return true;
	byte = &s->seen[tid / 8];
	if (*byte & bit)
		return true;
	*byte |= bit;
	return false;
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

/*
 * Seize the threads that were not there before; how many were found, or -errno. One that ends meanwhile counts: the
 * kernel's list ends at a thread that is gone by the time it goes on from there, with others behind.
 */
static int seize_new(struct stop *s, int dir)
{
	char buf[4096] __attribute__((aligned(8)));
	int found = 0;
	bool caller_there = false;
	long n;
	int err;

	if (arch_syscall(SYS_lseek, dir, 0, SEEK_SET, 0, 0, 0) < 0)
		return stop_refuse(s, -EIO, "its threads cannot be listed: /proc cannot be read");
	while ((n = arch_syscall(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n;) {
			/* struct linux_dirent64: ino, off, 16 bits of length, type, name */
			const char *entry = buf + at, *p = entry + 19;
			s32 tid = (s32)number(&p, 10);

			at += *(const u16 *)(entry + 16);
			if (!tid)
				continue;
			caller_there |= tid == s->caller;
			if (tid == s->caller || note_seen(s, tid))
				continue;
			found++;
			err = stop_seize(s, tid);
			if (err)
				return err;
		}
	}
	if (n < 0 || !caller_there)
		return stop_refuse(s, -EIO, "its threads cannot be listed: /proc is another namespace's");
	return found;
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

/* As the kernel has it: words of a long's size, the first signals in the first. */
struct signals {
	unsigned long word[sizeof(u64) / sizeof(long)];
};

static void add_signal(struct signals *set, unsigned int sig)
{
	set->word[(sig - 1) / (8 * sizeof(long))] |= 1ul << (sig - 1) % (8 * sizeof(long));
}

void stop_wait(long ns)
{
	struct signals sigchld = { 0 };
	struct timespec pause = { 0, ns };

	add_signal(&sigchld, SIGCHLD);
	arch_syscall(SYS_rt_sigtimedwait, (long)&sigchld, 0, (long)&pause, sizeof(sigchld), 0, 0);
}

/*
 * A thread that does not come is in the kernel for long (a disk, vfork): it will stand still as soon
 * as it would be back, and until then its place is told by the kernel. False: it is not there.
 */
static bool stands_in_kernel(struct stop *s, struct ftrace_stopped *t)
{
	unsigned long value = 0;
	char buf[256];
	const char *p = buf;
	long nr = -1;

	if (!task_file(s, t->tid, "syscall", buf, sizeof(buf)) || *p == 'r')
		return false;
	if (*p != '-')
		nr = (long)number(&p, 10);
	/* Up to the last two words: sp and pc. */
	while (*p) {
		if (*p == '0' && p[1] == 'x') {
			p += 2;
			t->sp = value;
			value = (unsigned long)number(&p, 16);
		} else {
			p++;
		}
	}
	t->pc = value;
	t->restarts = nr >= 0;
	t->fixed = true;
	/* The child of a vfork runs meanwhile, in our memory. */
	switch (nr) {
#ifdef SYS_vfork
	case SYS_vfork:
#endif
#ifdef SYS_clone3
	case SYS_clone3:
#endif
	case SYS_clone:
		return false;
	}
	return t->pc;
}

/*
 * Those that have not come: 1: they can be counted as standing, 0: they are on their way and want to be
 * waited for, -errno.
 */
static int look_at_pending(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];
		char state;

		if (!t->pending || t->fixed)
			continue;
		state = stop_task_state(s, t->tid);
		if (state == 'Z' || state == 'X')
			continue;
		if (state != 'D')
			return 0;
		if (!stands_in_kernel(s, t))
			return stop_refuse(s, -EAGAIN, "a thread does not stop: it is in vfork(), or busy in "
				      "the kernel");
	}
	return 1;
}

/*
 * Threads that could run are waited for much longer than others: a system call of theirs that was
 * interrupted is only seen to when they stand.
 */
static int wait_for_all(struct stop *s, u64 began)
{
	struct ftrace_stopped *t;

	for (;;) {
		u64 waited = stop_now_ns() - began;

		while (stop_take_event(s, &t))
			;
		if (!s->npending)
			return 0;
		if (waited > STOP_SLOW_NS) {
			int ret = look_at_pending(s);

			if (ret)
				return ret < 0 ? ret : 0;
		}
		if (waited > STOP_TIMEOUT_NS)
			return stop_refuse(s, -EAGAIN, "a thread does not stop");
		stop_wait(1000000);
	}
}

/* Is one of those that have not come neither ended nor in the kernel for long? */
static bool on_the_way(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		const struct ftrace_stopped *t = &s->threads[i];
		char state = t->pending && !t->fixed ? stop_task_state(s, t->tid) : 'X';

		if (state != 'Z' && state != 'X' && state != 'D')
			return true;
	}
	return false;
}

/*
 * The stop comes to nothing. Whoever was interrupted has to stand all the same before he is let go: only then is
 * seen to that his system call does not end with EINTR.
 */
static void settle(struct stop *s)
{
	u64 began = stop_now_ns();
	struct ftrace_stopped *t;

	for (;;) {
		while (stop_take_event(s, &t))
			;
		if (!s->npending || stop_now_ns() - began > STOP_TIMEOUT_NS || !on_the_way(s))
			return;
		stop_wait(1000000);
	}
}

/* Is there a process that runs in our memory and is none of our threads? */
static bool memory_is_shared(struct stop *s, s32 tid)
{
	char buf[1024];
	const char *p = buf;

	if (!task_file(s, tid, "children", buf, sizeof(buf)))
		return false;
	while (*p) {
		s32 child = (s32)number(&p, 10);

		if (child && child != s->helper &&
		    arch_syscall(SYS_kcmp, s->pid, child, KCMP_VM, 0, 0, 0) == 0)
			return true;
		while (*p && (*p < '0' || *p > '9'))
			p++;
	}
	return false;
}

static int stop_all(struct stop *s)
{
	char path[32];
	int dir, err, fresh;

	ft_snprintf(path, sizeof(path), "/proc/%d/task", s->pid);
	dir = ft_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return stop_refuse(s, dir, "its threads cannot be listed: there is no /proc");
	s->began = stop_now_ns();
	/* Threads that had not stopped yet may have made others: until nobody new is there. */
	do {
		fresh = seize_new(s, dir);
		err = fresh < 0 ? fresh : wait_for_all(s, s->began);
	} while (!err && fresh);
	ft_close(dir);
	return err;
}

/* ---- in the helper: where they stand ---- */

struct by_sp {
	u64 sp;
	struct ftrace_stopped *t;
};

struct stack_walk {
	struct by_sp *next, *end;
};

static int find_stack_end(const struct ft_mapping *m, void *data)
{
	struct stack_walk *w = data;

	while (w->next < w->end && w->next->sp < m->lo)
		w->next++;
	while (w->next < w->end && w->next->sp < m->hi) {
		w->next->t->stack_end = m->hi;
		w->next++;
	}
	return w->next == w->end;
}

static int look_at_all(struct stop *s)
{
	struct stack_walk w;
	struct by_sp *order;
	u32 n = 0;
	int err;

	/* The caller waits in the kernel; its stack is as good as any other. */
	s->threads[s->n++] = (struct ftrace_stopped){ .tid = s->caller, .sp = s->caller_sp };
	order = scratch_alloc(s->n * sizeof(*order));
	if (!order)
		return stop_refuse(s, -ENOMEM, "no memory");
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];

		if (!t->sp)			/* a zombie, or killed meanwhile */
			continue;
		order[n++] = (struct by_sp){ t->sp, t };
	}
	err = n > 1 ? ft_sort(order, n, sizeof(*order)) : 0;
	if (!err) {
		w = (struct stack_walk){ order, order + n };
		err = ft_for_each_mapping(find_stack_end, &w);
		err = err < 0 ? err : 0;
	}
	scratch_free(order, s->n * sizeof(*order));
	return err ? stop_refuse(s, err, "the threads' stacks cannot be found") : 0;
}

static void let_go(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		struct ftrace_stopped *t = &s->threads[i];

		if (t->tid == s->caller)
			continue;
		if (t->new_pc)
			arch_stopped_set_pc(t->tid, t->new_pc);
		arch_syscall(SYS_ptrace, PTRACE_DETACH, t->tid, 0, t->signal, 0, 0);
	}
	s->ended = stop_now_ns();
}

static void crashed(int signal)
{
	arch_syscall(SYS_exit, 128 + signal, 0, 0, 0, 0, 0);
}

/*
 * Handlers of our own, for a process of its own: the end of a stop is told by SIGCHLD, also where the
 * program ignores it; and a fault here must not become a core dump, which ends all who share memory.
 */
static void set_signals(void)
{
	struct {
		void (*handler)(int signal);
		unsigned long flags;
		void (*restorer)(void);
		struct signals mask;
	} sa = { 0 };
	struct signals faults = { 0 };

	arch_syscall(SYS_rt_sigaction, SIGCHLD, (long)&sa, 0, sizeof(sa.mask), 0, 0);
	add_signal(&faults, SIGSEGV);
	add_signal(&faults, SIGBUS);
	sa.handler = crashed;
	arch_syscall(SYS_rt_sigaction, SIGSEGV, (long)&sa, 0, sizeof(sa.mask), 0, 0);
	arch_syscall(SYS_rt_sigaction, SIGBUS, (long)&sa, 0, sizeof(sa.mask), 0, 0);
	arch_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&faults, 0, sizeof(faults), 0, 0);
}

/*
 * Where it may, it runs before all others for these moments: on a busy machine most of the time that a thread
 * stands is that this process waits for a processor. A filter may kill whoever makes a system call that it does not know.
 */
static void hurry(struct stop *s)
{
	const int priority = 1;
	char buf[2048];
	const char *p = buf;

	if (!task_file(s, s->caller, "status", buf, sizeof(buf)))
		return;
	while ((p = ft_strchr(p, '\n')) && !ft_starts_with(p, "\nSeccomp:\t0"))
		p++;
	if (p)
		arch_syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, (long)&priority, 0, 0, 0);
}

static int help(void *arg)
{
	struct stop *s = arg;
	int err;

	while (!smp_load_acquire(&s->go))
		arch_syscall(SYS_futex, (long)&s->go, FUTEX_WAIT, 0, 0, 0, 0);
	set_signals();
	hurry(s);
	if (s->visit) {
		stop_each(s);
		smp_store_release(&s->done, 1);
		return 0;
	}
	err = stop_all(s);
	for (u32 i = 0; !err && i < s->n; i++)
		if (memory_is_shared(s, s->threads[i].tid))
			err = stop_refuse(s, -EAGAIN, "another process runs in its memory (vfork)");
	if (!err && memory_is_shared(s, s->caller))
		err = stop_refuse(s, -EAGAIN, "another process runs in its memory (vfork)");
	if (!err)
		err = look_at_all(s);
	if (!err)
		s->err = s->work(s->threads, s->n, s->data);
	else
		settle(s);
	let_go(s);
	smp_store_release(&s->done, 1);
	return 0;
}

/* ---- in the calling thread ---- */

/* Where yama lets only ancestors trace, the helper, a child, must be named. */
static void allow(s32 helper)
{
	char scope[4];

	if (ft_read_file("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope)) > 0 &&
	    scope[0] == '1')
		arch_syscall(SYS_prctl, PR_SET_PTRACER, helper, 0, 0, 0, 0);
}

static void with_helper(struct stop *s, void *stack)
{
	const u64 all = ~0ull;
	u64 signals;
	long err;
	int pid;

	arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&signals, sizeof(all), 0, 0);
	s->caller_sp = (unsigned long)__builtin_frame_address(0);
	pid = arch_clone_helper((char *)stack + HELPER_STACK, help, s);
	if (pid < 0) {
		stop_refuse(s, pid, "its threads cannot be stopped: no process can be made for that");
	} else {
		s->helper = pid;
		allow(pid);
		smp_store_release(&s->go, 1);
		arch_syscall(SYS_futex, (long)&s->go, FUTEX_WAKE, 1, 0, 0, 0);
		do
			err = arch_syscall(SYS_wait4, pid, 0, __WALL, 0, 0, 0);
		while (err == -EINTR);
		if (!s->done)
			stop_refuse(s, -EIO, "its threads cannot be stopped: who was to do it was killed");
	}
	arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&signals, 0, sizeof(all), 0, 0);
}

static void note_time(const struct stop *s)
{
	u64 ns = s->visit ? s->longest : s->ended - s->began;

	ftrace_stops.count++;
	ftrace_stops.last_ns = ns;
	ftrace_stops.total_ns += ns;
	if (ns > ftrace_stops.max_ns)
		ftrace_stops.max_ns = ns;
}

/* As @asked says, for that many threads. */
static int with_others(u32 threads, const struct stop *asked, const char **why)
{
	const u32 room = 2 * threads + 64;	/* some may be made meanwhile */
	const size_t threads_size = room * sizeof(struct ftrace_stopped);
	struct stop *s = scratch_alloc(sizeof(*s));
	char *stack = scratch_alloc(HELPER_STACK);
	int err = -ENOMEM;

	*why = "no memory";
	if (s && stack && (s->threads = scratch_alloc(threads_size)) &&
	    (s->seen = scratch_alloc(MAX_TID / 8))) {
		s->work = asked->work;
		s->data = asked->data;
		s->tids = asked->tids;
		s->ntids = asked->ntids;
		s->visit = asked->visit;
		s->room = room;
		s->pid = ft_getpid();
		s->caller = ft_gettid();
		with_helper(s, stack);
		if (s->done)
			note_time(s);
		err = s->err;
		*why = s->why;
	}
	if (s) {
		scratch_free(s->threads, threads_size);
		scratch_free(s->seen, MAX_TID / 8);
	}
	scratch_free(stack, HELPER_STACK);
	scratch_free(s, sizeof(*s));
	return err;
}

struct own_stack {
	unsigned long sp, end;
};

static int find_own(const struct ft_mapping *m, void *data)
{
	struct own_stack *own = data;

	if (own->sp >= m->hi)
		return 0;
	own->end = own->sp >= m->lo ? m->hi : own->sp;
	return 1;
}

int ftrace_stop_threads(ftrace_stopped_work_t *work, void *data, const char **why)
{
	u32 threads = ftrace_count_threads();

	*why = NULL;
	if (READ_ONCE(ftrace_no_syscalls) && threads != 1) {
		*why = "its threads cannot be stopped: it has forbidden itself system calls (seccomp)";
		return -EPERM;
	}
	if (!threads) {
		*why = "its threads cannot be counted: there is no /proc";
		return -ENOENT;
	}
	if (threads == 1) {
		struct own_stack own = { (unsigned long)__builtin_frame_address(0), 0 };
		struct ftrace_stopped self = { .tid = ft_gettid(), .sp = own.sp };

		own.end = own.sp;
		ft_for_each_mapping(find_own, &own);
		self.stack_end = own.end;
		return work(&self, 1, data);
	}
	return with_others(threads, &(struct stop){ .work = work, .data = data }, why);
}

int ftrace_visit_threads(const s32 *tids, u32 n, ftrace_visit_t *visit, void *data,
			 const char **why)
{
	*why = NULL;
	if (!n)
		return 0;
	if (READ_ONCE(ftrace_no_syscalls)) {
		*why = "its threads cannot be stopped: it has forbidden itself system calls (seccomp)";
		return -EPERM;
	}
	return with_others(n, &(struct stop){ .tids = tids, .ntids = n, .visit = visit,
					      .data = data }, why);
}

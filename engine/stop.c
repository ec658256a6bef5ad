/* SPDX-License-Identifier: MIT */
/* Stopping the threads of the process: the helper that does it, and who asks for it. See stop.h. */
#include "stop-inner.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "arch.h"
#include "scratch.h"
#include "site.h"
#include "thread.h"

#define HELPER_STACK	(64ul << 10)

struct ftrace_stops ftrace_stops;

/* ---- in the helper ---- */

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
		struct stop_signals mask;
	} sa = { 0 };
	struct stop_signals faults = { 0 };

	arch_syscall(SYS_rt_sigaction, SIGCHLD, (long)&sa, 0, sizeof(sa.mask), 0, 0);
	stop_add_signal(&faults, SIGSEGV);
	stop_add_signal(&faults, SIGBUS);
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

	if (!stop_task_file(s, s->caller, "status", buf, sizeof(buf)))
		return;
	while ((p = ft_strchr(p, '\n')) && !ft_starts_with(p, "\nSeccomp:\t0"))
		p++;
	if (p)
		arch_syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, (long)&priority, 0, 0, 0);
}

static int help(void *arg)
{
	struct stop *s = arg;
	const long patience[2] = { 5, 0 };	/* seconds and nanoseconds, each a long as SYS_futex has them */

	/*
	 * The process may be killed before it says go: nobody would ever wake us, and its pipes stay open. If it only has
	 * not been run for so long, it has yet to say it.
	 */
	while (!smp_load_acquire(&s->go))
		if (arch_syscall(SYS_futex, (long)&s->go, FUTEX_WAIT, 0, (long)patience, 0, 0) == -ETIMEDOUT &&
		    arch_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != s->pid)
			return 1;
	set_signals();
	hurry(s);
	if (s->visit)
		stop_each(s);
	else
		stop_all(s);
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
	    (s->seen = scratch_alloc(STOP_MAX_TID / 8))) {
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
		scratch_free(s->seen, STOP_MAX_TID / 8);
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

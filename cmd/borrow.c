/* SPDX-License-Identifier: MIT */
/* Borrowing a thread of another process; see borrow.h. Where it may be is decided in borrow-place.c. */
#include "cmd/borrow.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/inject.h"
#include "cmd/borrow-place.h"
#include "cmd/cmd.h"

#define TRY_MS		3000	/* for a thread at a good place */
#define STOP_MS		200	/* for one thread to stop */
#define CALL_MS		20000	/* for a function to return */
#define SYSCALL_STOP	(SIGTRAP | 0x80)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The next thing the kernel has to say of @tid. 0: @deadline has passed; -1: the thread is gone. */
static int wait_until(pid_t tid, uint64_t deadline, int *status)
{
	struct timespec pause = { .tv_nsec = 20000 };

	for (unsigned int i = 0;; i++) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got == tid)
			return WIFSTOPPED(*status) ? 1 : -1;
		if (got < 0 && errno != EINTR)
			return -1;
		if (now_ns() > deadline)
			return 0;
		nanosleep(&pause, NULL);
		if (i > 50)
			pause.tv_nsec = 200000;
	}
}

static bool is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

/* ---- running something ---- */

/* Let it run until the next stop that is not about job control or an interrupt of ours. */
static int go_on(struct borrowed *b, int request, uint64_t deadline, int *status)
{
	int got;

	do {
		if (ptrace(request, b->tid, NULL, NULL))
			return -errno;
		got = wait_until(b->tid, deadline, status);
		if (got < 0)
			return -ESRCH;
		if (!got)
			return -ETIMEDOUT;
	} while (is_event_stop(*status));
	return 0;
}

long borrow_syscall(struct borrowed *b, long nr, unsigned long a0, unsigned long a1,
		    unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	const unsigned long args[6] = { a0, a1, a2, a3, a4, a5 };
	uint64_t deadline = now_ns() + CALL_MS * 1000000ull;
	unsigned long result = 0, pc;
	int status, err;

	err = inject_prepare_syscall(b->tid, b->state, b->insn, nr, args);
	/* Into it, and out of it. */
	for (int i = 0; i < 2 && !err; i++) {
		err = go_on(b, PTRACE_SYSCALL, deadline, &status);
		if (!err && WSTOPSIG(status) != SYSCALL_STOP)
			err = -EFAULT;
	}
	if (!err)
		err = inject_result(b->tid, b->state, &result, &pc);
	return err ? err : (long)result;
}

int borrow_call(struct borrowed *b, unsigned long func, const unsigned long args[4],
		unsigned long *result)
{
	unsigned long pc;
	int status, err;

	err = inject_prepare_call(b->tid, b->state, b->code, func, args, b->room + BORROW_ROOM);
	if (!err)
		err = go_on(b, PTRACE_CONT, now_ns() + CALL_MS * 1000000ull, &status);
	if (err == -ETIMEDOUT) {
		ptrace(PTRACE_INTERRUPT, b->tid, NULL, NULL);
		wait_until(b->tid, now_ns() + STOP_MS * 1000000ull, &status);
	}
	if (err)
		return err;
	err = inject_result(b->tid, b->state, result, &pc);
	if (!err && (WSTOPSIG(status) != SIGTRAP || pc != b->code_end))
		err = -EFAULT;
	return err;
}

/* ---- stopping it ---- */

/*
 * Seize @tid and make it stand. 1: it stands; 0: not this one; -1: not this process, @why tells why.
 */
static int stop_thread(pid_t tid, const char **why)
{
	uint64_t deadline = now_ns() + STOP_MS * 1000000ull;
	int status, got, sig;

	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD)) {
		bool stopped = errno == EPERM && target_stops_itself(tid);

		*why = errno == EPERM ? "ptrace is not permitted, or another process traces it" :
					strerror(errno);
		return errno == ESRCH || stopped ? 0 : -1;
	}
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	for (;;) {
		got = wait_until(tid, deadline, &status);
		if (got < 0)
			return 0;
		if (!got) {
			/* It can be let go only when it stands: which it does as soon as it is back. */
			deadline += 10 * STOP_MS * 1000000ull;
			got = wait_until(tid, deadline, &status);
			if (got <= 0) {
				*why = "a thread does not stop: it is busy in the kernel";
				return got < 0 ? 0 : -1;
			}
		}
		if (is_event_stop(status))
			break;
		/* A signal that was on its way: it gets it. */
		sig = WSTOPSIG(status);
		ptrace(PTRACE_CONT, tid, NULL, (void *)(long)sig);
	}
	if (WSTOPSIG(status) == SIGTRAP)
		return 1;
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
	*why = "it is stopped by a signal; let it go on (kill -CONT)";
	return -1;
}

static void put_back(struct borrowed *b)
{
	inject_restore(b->tid, b->state);
	ptrace(PTRACE_SETSIGMASK, b->tid, (void *)sizeof(b->signals), &b->signals);
	ptrace(PTRACE_DETACH, b->tid, NULL, NULL);
	b->stopped_ns = now_ns() - b->began_ns;
	inject_free(b->state);
	b->state = NULL;
}

/*
 * Try @tid. 1: it stands at a good place (@places NULL: any is); 0: not this one, not now; -1: none of this
 * process.
 */
static int try_thread(struct borrowed *b, pid_t tid, struct places *places, bool strict,
		      const char **why)
{
	int got;

	b->tid = tid;
	b->began_ns = now_ns();
	got = stop_thread(tid, why);
	if (got <= 0)
		return got;
	b->state = inject_save(b->t->abi, tid);
	if (!b->state ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(b->signals), &b->signals)) {
		*why = errno == ENOEXEC ? "its threads run code of another width than its program's" :
					  strerror(errno);
		inject_free(b->state);
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return 0;
	}
	if (!place_may_call(b->t, tid, why)) {
		put_back(b);
		return -1;
	}
	if (!places || places_are_good(places, b->t, tid, b->state, strict, why))
		return 1;
	put_back(b);
	return 0;
}

/* Threads of the process, those that wait in a system call first. Their number. */
static size_t list_threads(const struct target *t, pid_t *tids, size_t max)
{
	char path[64];
	size_t n = 0, waiting = 0;
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	d = opendir(path);
	while (d && n < max && (entry = readdir(d))) {
		pid_t tid = (pid_t)atoi(entry->d_name);

		if (tid <= 0 || !isdigit((unsigned char)entry->d_name[0]))
			continue;
		tids[n++] = tid;
		if (place_is_waiting(t, tid)) {
			tids[n - 1] = tids[waiting];
			tids[waiting++] = tid;
		}
	}
	if (d)
		closedir(d);
	return n;
}

#define MAX_TRIED	64	/* threads in one round */

static int find_thread(struct borrowed *b, struct places *places)
{
	uint64_t began = now_ns(), until = began + TRY_MS * 1000000ull;
	struct timespec pause = { .tv_nsec = 500000 };
	const char *why = "it has no thread any more";
	pid_t tids[MAX_TRIED];
	int got;

	do {
		bool strict = now_ns() < began + TRY_MS * 500000ull;
		size_t n = list_threads(b->t, tids, MAX_TRIED);

		for (size_t i = 0; i < n; i++) {
			got = try_thread(b, tids[i], places, strict, &why);
			if (got > 0)
				return 0;
			if (got < 0) {
				cmd_error("process %d (%s): %s", b->t->pid, b->t->comm, why);
				return -1;
			}
		}
		if (!n)
			break;
		nanosleep(&pause, NULL);
	} while (now_ns() < until);
	cmd_error("process %d (%s): no thread came to a place where it could be borrowed: %s; try again",
		  b->t->pid, b->t->comm, why);
	return -1;
}

/* ---- memory of ours there ---- */

/* In [r->lo, r->hi). False: there is none. */
static bool find_insn_in(struct borrowed *b, const struct target_range *r)
{
	uint8_t page[4096];
	long at = -1;

	for (unsigned long p = r->lo; at < 0 && p < r->hi; p += sizeof(page))
		if (!target_read(b->t, p, page, sizeof(page))) {
			at = inject_find_syscall(b->t->abi, page, sizeof(page));
			b->insn = p + (unsigned long)at;
		}
	return at >= 0;
}

static int find_insn(struct borrowed *b)
{
	if (find_insn_in(b, &b->t->vdso))
		return 0;
	for (size_t i = 0; i < b->t->nobjects; i++)
		if (find_insn_in(b, &b->t->objects[i].text))
			return 0;
	return -ENOENT;
}

static int make_room(struct borrowed *b)
{
	uint8_t code[INJECT_CODE_SIZE];
	long p;

	p = borrow_syscall(b, b->t->abi->calls->mmap, 0, BORROW_ROOM, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1ul, 0);
	if (p < 0 && p > -4096)
		return (int)p;
	b->room = (unsigned long)p;
	p = borrow_syscall(b, b->t->abi->calls->mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1ul, 0);
	if (p < 0 && p > -4096)
		return (int)p;
	b->code = (unsigned long)p;
	inject_code(code, b->code, &b->code_end);
	return target_write(b->t, b->code, code, sizeof(code));
}

/* A trap that is ignored would be made no longer ignored by the kernel: what it was is kept. */
static void keep_trap(struct borrowed *b)
{
	unsigned long ignored = target_status(b->t->pid, "status", "SigIgn:", 16, 0);

	b->trap_ignored = ignored >> (SIGTRAP - 1) & 1 &&
			  !borrow_syscall(b, b->t->abi->calls->rt_sigaction, SIGTRAP, 0, b->room, 8, 0, 0);
}

/* Only what tells of a fault, and our own trap, may come to it. */
static void set_signals(struct borrowed *b)
{
	uint64_t mask = ~0ull;

	for (size_t i = 0; i < 6; i++) {
		static const int faults[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };

		mask &= ~(1ull << (faults[i] - 1));
	}
	ptrace(PTRACE_SETSIGMASK, b->tid, (void *)sizeof(mask), &mask);
}

/* It stands where it may be borrowed. */
static int take_thread(struct borrowed *b)
{
	const struct target *t = b->t;
	int err;

	set_signals(b);
	err = find_insn(b);
	if (!err)
		err = make_room(b);
	if (err) {
		borrow_end(b);
		cmd_error("process %d (%s): no memory can be made in it: %s", t->pid, t->comm,
			  strerror(-err));
		return -1;
	}
	keep_trap(b);
	return 0;
}

int borrow_thread(struct borrowed *b, struct target *t)
{
	struct places places = { 0 };
	int err;

	*b = (struct borrowed){ .t = t };
	err = places_find(&places, t);
	if (!err)
		err = find_thread(b, &places);
	places_free(&places);
	return err ? -1 : take_thread(b);
}

int borrow_any_thread(struct borrowed *b, struct target *t)
{
	*b = (struct borrowed){ .t = t };
	return find_thread(b, NULL) ? -1 : take_thread(b);
}

/*
 * A system call that is to start again does so when the thread leaves a stop that has to do with
 * signals, and not when it comes from a system call of ours.
 */
static void stop_for_signals(struct borrowed *b)
{
	uint64_t deadline = now_ns() + STOP_MS * 1000000ull;
	int status;

	ptrace(PTRACE_INTERRUPT, b->tid, NULL, NULL);
	if (!ptrace(PTRACE_CONT, b->tid, NULL, NULL))
		wait_until(b->tid, deadline, &status);
}

void borrow_end(struct borrowed *b)
{
	if (b->trap_ignored)
		borrow_syscall(b, b->t->abi->calls->rt_sigaction, SIGTRAP, b->room, 0, 8, 0, 0);
	if (b->code)
		borrow_syscall(b, b->t->abi->calls->munmap, b->code, 4096, 0, 0, 0, 0);
	if (b->room)
		borrow_syscall(b, b->t->abi->calls->munmap, b->room, BORROW_ROOM, 0, 0, 0, 0);
	stop_for_signals(b);
	put_back(b);
}

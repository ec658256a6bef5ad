/* SPDX-License-Identifier: MIT */
/*
 * What programs share that single-step through drive() and walk the stack at every instruction. In C++. drive() ends with
 * WALK_END(drive), main() begins with WALK_BEGIN(main) and ends with WALK_END(main).
 */
#ifndef TESTS_UNWIND_WALK_H
#define TESTS_UNWIND_WALK_H

#include <csignal>
#include <cstring>
#include <ucontext.h>
#include <unwind.h>

#define WALK_BEGIN(func)	asm volatile(#func "_begin: .globl " #func "_begin")
#define WALK_END(func)		asm volatile(#func "_end: .globl " #func "_end")

extern "C" int drive(int n);
extern char walk_main_begin[] asm("main_begin"), walk_main_end[] asm("main_end"), walk_drive_end[] asm("drive_end");

/* libgcc's _Unwind_GetCFA() is the CFA of the frame before, which has to differ; LLVM's is the frame's sp. */
static bool walk_by_sp;

struct walk {
	int frames;
	bool at_drive, at_main;		/* both were seen, drive() first */
	bool order;			/* each frame has a CFA of its own */
	unsigned long cfa;
};

__attribute__((noinline)) static _Unwind_Reason_Code walk_frame(struct _Unwind_Context *c, void *data)
{
	auto *w = static_cast<walk *>(data);
	unsigned long ip = _Unwind_GetIP(c), cfa = _Unwind_GetCFA(c);

	/* A stub leaves its caller's sp as it found it. */
	if (walk_by_sp ? cfa < w->cfa : cfa <= w->cfa)
		w->order = false;
	w->cfa = cfa;
	w->frames++;
	if (ip >= (unsigned long)drive && ip < (unsigned long)walk_drive_end)
		w->at_drive = true;
	if (ip >= (unsigned long)walk_main_begin && ip <= (unsigned long)walk_main_end)
		w->at_main = w->at_drive;
	return w->frames > 100 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* From the handler of SIGTRAP. */
__attribute__((noinline)) static walk walk_stack()
{
	walk w = {};

	w.order = true;
	_Unwind_Backtrace(walk_frame, &w);
	return w;
}

static inline void walk_at_traps(void (*on_trap)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_trap;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGTRAP, &sa, nullptr);
}

/* The compiler's call frame information knows no pushfq: no steps count from there to the next line. */
__attribute__((always_inline)) static inline void walk_steps(bool on)
{
	if (on)
		asm volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
	else
		asm volatile("pushfq; andl $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

#endif /* TESTS_UNWIND_WALK_H */

// SPDX-License-Identifier: MIT
//
// Single-steps through traced calls and walks the stack at every instruction: each walk must see
// all callers up to main, every frame with a CFA of its own.
//
// With LLVM's unwinder, steps outside stubs do not count: for the frame a signal interrupted it
// looks up pc - 1, so it is wrong at any function's first instruction and behind each push, stubs
// or not.
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

#include "stubs.h"
#include "tap.h"
#include "walk.h"

static volatile int sink;
static bool llvm;

// Called in the signal handler: traced calls must do no harm there.
TRACED int in_handler(int x)
{
	asm volatile("");
	return x + 1;
}

static long steps, lost, unordered, in_stub, lost_at[64], seen_at[64], not_counted;
static long lost_own[320], seen_own[320];	// in trampolines of the functions' own
static volatile sig_atomic_t stepping;

// Steps since the last stub. Loops of the recorder that go over all of a packet are left alone until
// the next round of drive(): stepped through they are slower than the clock that starts them again.
static int away;
static const int too_far = 3000;

static const int own_instructions = 60;		// arch/x86/trampoline.S

// Is @pc a function's first instruction? LLVM's unwinder looks for what a signal interrupted one byte before
// its address: there it takes the rules of the function before, and may crash.
UNTRACED static bool llvm_goes_wrong(void *pc)
{
	return llvm && _Unwind_FindEnclosingFunction(pc) == pc;
}

UNTRACED static void on_trap(int, siginfo_t *, void *context)
{
	auto *uc = static_cast<ucontext_t *>(context);
	int offset = stub_offset(uc->uc_mcontext.gregs[REG_RIP]);
	int own = trampoline_offset(uc->uc_mcontext.gregs[REG_RIP]);
	bool ours = offset >= 0 || own >= 0;
	walk w;

	if (!stepping)
		return;
	steps++;
	away = ours ? 0 : away + 1;
	if (away > too_far)
		uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	// More of the library's own code is gone through where trampolines call stubs.
	if (!ours && llvm && stubs_own) {
		not_counted++;
		return;
	}
	if (!ours && llvm_goes_wrong((void *)uc->uc_mcontext.gregs[REG_RIP])) {
		not_counted++;
		return;
	}
	w = walk_stack();
	if (offset >= 0) {
		in_stub++;
		seen_at[offset]++;
	}
	if (own >= 0)
		seen_own[own]++;
	if (!w.at_main) {
		if (offset >= 0)
			lost_at[offset]++;
		if (own >= 0)
			lost_own[own]++;
		if (ours || !llvm)
			lost++;
		else
			not_counted++;
	}
	if (!w.order)
		unordered++;
	// Not every time: who writes a record starts over when a handler took its place.
	if (steps % 61 == 0)
		sink = in_handler(sink);
	if (stubs_stepped)
		stubs_stepped(offset, own);
}

TRACED int leaf(int x)
{
	asm volatile("");
	return x * 3;
}

TRACED int two(int x)
{
	int r = leaf(x) + leaf(x + 1);

	asm volatile("");
	return r;
}

TRACED int three(int x)
{
	int r = two(x) + 1;

	asm volatile("");
	return r;
}

// Jumps from traced to traced function (needs -O2): the stub of the second finds that of the first
// as its caller.
TRACED int tail(int x)
{
	return three(x + 1);
}

TRACED int tail_of_tail(int x)
{
	return tail(x + 1);
}

extern "C" UNTRACED int drive(int n)
{
	int r = 0;

	for (int i = 0; i < n; i++) {
		stepping = 0;
		away = 0;
		walk_steps(true);
		stepping = 1;
		r += three(i) + tail_of_tail(i);
	}
	stepping = 0;
	walk_steps(false);
	WALK_END(drive);
	return r;
}

int main()
{
	int r, plain;

	WALK_BEGIN(main);
	plain = 0;
	// Where one function has a stub, and not all the time, it takes more calls.
	const char *ops = getenv("STUBS_OPS");
	int rounds = ops && !strcmp(ops, "replaced") ? 100 : 20;
	for (int i = 0; i < rounds; i++)
		plain += three(i) + tail_of_tail(i);

	llvm = walk_by_sp = dlsym(RTLD_DEFAULT, "__unw_add_dynamic_fde");
	printf("# unwinder: %s\n", llvm ? "LLVM libunwind" : "libgcc");
	stubs_start();
	walk_at_traps(on_trap);
	r = drive(rounds);
	WALK_END(main);

	ok(r == plain, "result %d, untraced %d", r, plain);
	if (stubs_counted)
		ok(stubs_entered > (stubs_replaced ? 20 : 160), "calls hooked: %ld entered, %ld returned", stubs_entered,
		   stubs_returned);
	ok(in_stub > 500, "%ld steps, %ld of them in stubs", steps, in_stub);
	ok(lost == 0, "%ld walks did not see drive and main", lost);
	if (llvm)
		printf("# outside stubs LLVM's unwinder lost its way %ld times\n", not_counted);
	for (int i = 0; i < 64; i++)
		if (lost_at[i])
			printf("# offset %d: lost %ld of %ld\n", i, lost_at[i], seen_at[i]);
	for (int i = 0; i < 320; i++)
		if (lost_own[i])
			printf("# offset %d of a trampoline: lost %ld of %ld\n", i, lost_own[i], seen_own[i]);
	ok(unordered == 0, "%ld walks with frames that share a CFA", unordered);
	// Every instruction of a stub was stood on: these always, those behind by hooked calls.
	static const int offsets[] = {0, 2, 8, 14, 16, 50, 52, 18, 23, 28, 33, 35, 41, 47, 49};
	int missed = 0;
	for (int i = 0; i < (stubs_hook ? 15 : 7); i++) {
		if (seen_at[offsets[i]])
			continue;
		missed++;
		printf("# offset %d: never stepped on\n", offsets[i]);
	}
	if (stubs_replaced && !seen_at[57]) {
		missed++;
		printf("# offset 57: never stepped on\n");
	}
	if (stubs_own) {
		int seen = 0;
		for (int i = 0; i < 320; i++)
			seen += seen_own[i] != 0;
		ok(seen == own_instructions, "%d of a trampoline's %d instructions stepped on", seen, own_instructions);
	}
	ok(missed == 0, "%d instructions of a stub never stepped on", missed);
	return tap_done();
}

/* SPDX-License-Identifier: MIT */
/*
 * What the engine asks of an architecture: all of it. Every arch/<isa>/ fills the same files:
 *
 *	arch-ptrace.h	struct pt_regs, installed as <ftrace/arch-ptrace.h>
 *	arch-site.h	constants of a site and a stub; arch-elf.h: of its object files
 *	syscall.h	raw system calls
 *	asm-offsets.c	becomes asm-offsets.h at build time
 *	entry.S		the trampolines that call callbacks; entry-record.S: those that write records
 *	ptrace.c	register names, arguments
 *	recognise.c	what a compiler left at an entry
 *	insn.c		the bytes of a site and of a stub
 *	insn-copy.c	instructions moved elsewhere
 *	poke.c		making changed code seen by every processor
 *	stop.c		threads stopped by ptrace
 *	thread.c	threads of our own
 *	thunk.c		short ways from a function to what replaces it
 *	trampoline.c	trampolines of functions' own, the code of trampoline.S
 *	unwind.c	call frame information for stubs
 *	unwind-regs.c	where unwinding begins
 */
#ifndef FTRACE_ARCH_H
#define FTRACE_ARCH_H

#include "../engine/base.h"
#include "arch-site.h"

struct dyn_ftrace;
struct pt_regs;

/* ---- insn.c: the bytes of a site ---- */

/* Bytes to be written somewhere in text. */
struct arch_patch {
	unsigned long addr;
	u8 len;
	u8 bytes[15];		/* the longest nop may stand there */
};
#define ARCH_SITE_PATCHES	2

/*
 * What arms @site for a stub at @stub, switched off: 1 or 2 patches, in the order they are to be
 * written. -ERANGE: the stub is out of reach. FTRACE_FORM_MOVED: the one patch that switches it on,
 * ARCH_SITE_SIZE bytes at @site->ip, which nobody may stand in.
 */
int arch_site_arm(const struct dyn_ftrace *site, unsigned long stub,
		  struct arch_patch patch[ARCH_SITE_PATCHES]);

/* The byte at @site->ip that turns an armed site @on or off. */
u8 arch_site_byte(const struct dyn_ftrace *site, bool on);

/*
 * Do the bytes at @site->ip still look as what was found in the file, so that they may be
 * changed? NULL: yes; else why not, in words.
 */
const char *arch_site_check(const struct dyn_ftrace *site);

/*
 * The same for FTRACE_FORM_MOVED: are the @len bytes read at a site, @now, those of its file, @orig?
 */
const char *arch_moved_check(const u8 *now, const u8 *orig, unsigned int len);

/* A jump to @back bytes before itself (at most FTRACE_BEFORE_MAX), ARCH_SHORT_SIZE bytes. */
void arch_short_jump(u8 *out, unsigned int back);

/* How far a stub may be from its site, in bytes. */
unsigned long arch_site_reach(void);

/* Write the stub for @site, to run at @stub, into writable memory at @out (FTRACE_STUB_SIZE). */
void arch_stub_write(u8 *out, const struct dyn_ftrace *site, unsigned long stub);

/* Address where @site's function goes on behind the site's bytes. */
unsigned long arch_site_body(const struct dyn_ftrace *site);

/*
 * The bytes that make the function at @from jump to @to, for a function that does nothing (the
 * loader's notification). Their number, at most ARCH_JUMP_MAX; -EBUSY: something else stands there.
 */
#define ARCH_JUMP_MAX	16
int arch_function_replace(unsigned long from, unsigned long to, u8 *out);

/* Ask the resolver of an IFUNC, at @resolver, for its choice, as the loader does. */
unsigned long arch_resolve(unsigned long resolver);

/* ---- thunk.c: where ARCH_HAS_THUNKS is defined; see engine/thunk.h ---- */

/* Can @site's jump be directed elsewhere while it is off? */
bool arch_thunk_possible(const struct dyn_ftrace *site);

/* Write the thunk for @site, to run at @at, into writable memory at @out (FTRACE_STUB_SIZE). -ERANGE. */
int arch_thunk_write(u8 *out, const struct dyn_ftrace *site, unsigned long at);

/* ---- trampoline.c: where ARCH_HAS_TRAMPOLINES is defined; see engine/trampoline.h ---- */

/*
 * Write the trampoline of @site, which has a thunk and its stub at @stub, to run at @at, into writable memory at @out
 * (ARCH_TRAMPOLINE_SIZE). -ERANGE.
 */
int arch_trampoline_write(u8 *out, const struct dyn_ftrace *site, unsigned long at, unsigned long stub);

/*
 * Write call frame information for the trampolines in [@start, @start + @len), pages of them, to @out (ARCH_UNWIND_SIZE(0)
 * bytes within reach): an .eh_frame_hdr, and .eh_frame at *@eh_frame. Returns its size; 0: out of reach.
 */
size_t arch_trampoline_table(u8 *out, unsigned long start, size_t len, size_t *eh_frame);

/* ---- insn-copy.c ---- */

struct ftrace_template;

/*
 * Write the copy of moved instructions that @t describes, to run at @at, into writable memory at @out
 * (FTRACE_COPY_SIZE). @base: where the object is loaded. -ERANGE: @at is too far from what the
 * instructions refer to. -EINVAL: the template is damaged.
 */
int arch_copy_write(u8 *out, unsigned long at, unsigned long base, const struct ftrace_template *t);

/* ---- detour.c: where ARCH_HAS_DETOURS is defined; see engine/detour.h ---- */

struct probe_copy;

/* What probes need to know of an instruction. */
struct arch_insn {
	u8 len;
	bool branches;			/* what comes next is not, or not always, what stands behind it */
	bool indirect;			/* a jump to nobody knows where: by a register, through memory */
	unsigned long target;		/* of a branch or call by a distance; 0: none */
};

/* What engine/general.c needs to know of one. */
struct arch_general {
	u8 len;
	bool ends;			/* what stands behind it is not next: a jump, a return */
	unsigned long target;		/* as above */
};

/* As arch_insn(); false as well where vector, mask or x87 registers may change, or it goes nobody knows where. */
bool arch_insn_is_general(const u8 *code, size_t avail, unsigned long addr, struct arch_general *insn);

/* Decode what stands at @code, @avail bytes, for address @addr. False: no instruction. */
bool arch_insn(struct arch_insn *insn, const u8 *code, size_t avail, unsigned long addr);

/*
 * Make the copy of the instructions at @code, @need bytes or a few more, whose address is @addr; @size: bytes up to
 * their function's end, @avail: that can be read. NULL: done; else why they cannot be moved, in words.
 */
const char *arch_insn_move(const u8 *code, size_t avail, size_t size, unsigned long addr,
			   unsigned int need, struct probe_copy *copy);

/*
 * Do what the branch at @code does, its address being @regs' ip: ip and sp are changed, and the stack by a call. False: not
 * possible, and nothing is changed. @regs NULL: is it possible?
 */
bool arch_insn_emulate(const u8 *code, struct pt_regs *regs);

/*
 * Write a detour's code, to run at @at, to @out (FTRACE_DETOUR_SIZE): the copy @all of its instructions, and for
 * post_handlers, if @first is not NULL, those of the first one and of the others (NULL: there are none).
 * -ERANGE, -EINVAL as arch_copy_write().
 */
int arch_detour_write(u8 *out, unsigned long at, const struct probe_copy *all,
		      const struct probe_copy *first, const struct probe_copy *rest);

/* A jump from @from to @to, ARCH_SITE_SIZE bytes. -ERANGE. */
int arch_jump_write(u8 *out, unsigned long from, unsigned long to);

/* What traps, ARCH_BREAKPOINT_SIZE bytes. */
extern const u8 arch_breakpoint[];

/*
 * How many bytes a detour has pushed from offset @at on, up to the next one's; ends with bytes 0. The parts before
 * the first copy, from ARCH_DETOUR_AGAIN on and from ARCH_DETOUR_POST on.
 */
struct arch_pushed {
	u8 at, bytes;
};
extern const struct arch_pushed arch_detour_before[], arch_detour_again[], arch_detour_post[];

/* ---- usdt.c: where ARCH_HAS_DETOURS is defined ---- */

/*
 * The value of @operand, @len characters, as the assembler writes it; *@memory: it is the address of that. -EOPNOTSUPP:
 * in a form that is not known.
 */
int arch_usdt_operand(const char *operand, size_t len, struct pt_regs *regs, unsigned long *value,
		      bool *memory);

/* ---- trap.c: where ARCH_HAS_DETOURS is defined: signals as the kernel has them ---- */

struct arch_sigaction {			/* the kernel's */
	unsigned long handler, flags, restorer;
	u64 mask;
};

/* Without a restorer @act gets one. 0 or -errno. */
int arch_signal_action(int sig, const struct arch_sigaction *act, struct arch_sigaction *old);

/* Of the context that a handler gets as its third argument. */
unsigned long arch_signal_ip(const void *uc);
void arch_signal_set_ip(void *uc, unsigned long ip);
u64 *arch_signal_mask(void *uc);

/* ---- stop.c: threads stopped by ptrace, seen from a process of our own ---- */

/* A process that shares memory and descriptors with this one, running @func(@arg) on the stack that ends
 * at @stack_end (16-aligned), with signal handlers of its own; no signal tells of its end (wait with
 * __WALL). Its pid or -errno. */
int arch_clone_helper(void *stack_end, int (*func)(void *arg), void *arg);

struct arch_stopped {
	unsigned long pc, sp;
	bool restarts;		/* it goes back by ARCH_SYSCALL_SIZE bytes, to its system call, when it goes on */
};

/*
 * Where the stopped thread @tid is. A system call that gave EINTR because of the stop alone is made to start
 * again, or to give EINTR if a signal's handler runs first. 0 or -errno.
 */
int arch_stopped_get(int tid, struct arch_stopped *s);
int arch_stopped_set_pc(int tid, unsigned long pc);

/* ---- thread.c: a thread of our own, which the C library knows nothing of ---- */

/* This thread's pointer to its thread-local storage. */
unsigned long arch_thread_pointer(void);

/*
 * Make the zeroed @block one of thread-local storage, with room for @below bytes of variables (as far
 * as any is from a thread's pointer) and ARCH_THREAD_HEAD behind. What to give to
 * arch_clone_thread(), NULL: not known here.
 */
#define ARCH_THREAD_HEAD	4096u
void *arch_thread_block(void *block, size_t below);

/*
 * A thread that runs @func(@arg), which may use what is built with base.h and no libc, on the stack that ends at
 * @stack_end (16-aligned), with thread-local storage @tp. *@tid is its number until it has ended, then 0.
 * The number or -errno.
 */
int arch_clone_thread(void *stack_end, void *tp, u32 *tid, void (*func)(void *arg), void *arg);

/* ---- ptrace.c ---- */

/* The registers of struct pt_regs, as <ftrace/ptrace.h> names them. Ends with name NULL. */
struct arch_register {
	const char *name;
	unsigned int offset;
};
extern const struct arch_register arch_registers[];

/* The frame pointer register, and setting the stack pointer. */
unsigned long arch_frame_pointer(const struct pt_regs *regs);
void arch_set_stack_pointer(struct pt_regs *regs, unsigned long sp);

/*
 * Where the return address is, at a function's entry: what is stored there counts. A call's slot is
 * another thing: the stack pointer that its function was entered with, on x86 the same address. (Behind
 * a prologue the slot is where the return address is.)
 */
unsigned long *arch_return_address(struct pt_regs *regs);

/*
 * Floating-point argument @n (from 0), or what a function returned (@ret, @n 0): its bits, as those of a
 * number of @size bytes (8 or 4: a float is passed otherwise than a double). @word: of a register that holds
 * more, a vector, its eight bytes of that number. False: it is not in a register that was saved.
 */
FTRACE_INTERNAL bool ftrace_fp_bits(struct pt_regs *regs, unsigned int n, bool ret, u32 size,
				    u32 word, u64 *bits);

/*
 * What a function returned in st(0), @n 1: in st(1), as it is there: the fraction, @word 1: sign and exponent. False:
 * there is no such register.
 */
FTRACE_INTERNAL bool ftrace_x87_bits(struct pt_regs *regs, unsigned int n, u32 word, u64 *bits);

/* Were the vector registers saved for the callback that gets @regs, so that it may change them? */
bool arch_vectors_saved(const struct pt_regs *regs);

/* Once, before any trampoline runs: what this processor has. */
void arch_init(void);

/*
 * From now on callbacks find all vector registers saved, also those that no argument is in. A caller
 * of a function that was compiled without room for a tracer may rely on what that function leaves alone
 * (-fipa-ra).
 */
void arch_keep_all_vectors(void);

/* ---- poke.c ---- */

/* Once, before the first change of code while other threads run. */
void arch_poke_init(void);

/*
 * How many bytes of text may be written at once through /proc/self/mem, so that whoever runs there sees
 * all of them? Any number on a processor; under emulators 1, or 0: only a new mapping is noticed.
 */
size_t arch_text_write_max(void);

/* Every processor running this process sees code written before, when this returns. 0 or -errno. */
int arch_poke_sync(void);

/* ---- entry.S: what dyn_ftrace.entry and .exit point at; never called from C ---- */

void ftrace_stub_pass(void);		/* nobody is told: run the function */
void ftrace_record_function(void);	/* one record at entry, returns not hooked */
void ftrace_record_entry(void);		/* a record at entry ... */
void ftrace_record_exit(void);		/* ... and at return: the fast path */
void ftrace_record_function_chosen(void);	/* the entries of both where only some threads are recorded */
void ftrace_record_entry_chosen(void);
void ftrace_record_entry_checked(void);	/* entry and return with depth and threshold, in C */
void ftrace_record_exit_checked(void);
void ftrace_caller(void);		/* dyn_ftrace.ops called with the minimum of registers */
void ftrace_regs_caller(void);		/* with all of them */
/*
 * dyn_ftrace.ops is struct klp_ops, and says which function runs. Where there is none of its own it is one of those that
 * do everything.
 */
#ifdef ARCH_HAS_REPLACE_CALLER
void ftrace_replace_caller(void);
#else
#define ftrace_replace_caller	ftrace_graph_caller
#endif
void ftrace_graph_caller(void);		/* all of them, in C: any mixture of function and graph ops */
void ftrace_graph_return(void);		/* return of a call entered through ftrace_graph_caller */

void ftrace_probe_pass(void);		/* what detours call: nobody is told, */
void ftrace_probe_caller(void);		/* all registers saved, */
void ftrace_probe_caller_general(void);	/* all but vector registers */

/* ---- slow paths that entry.S calls (engine/record.c, engine/graph.c) ---- */

/*
 * Write a record the fast path could not. @id_event: site id << 2 | event. @slot: address of the
 * word on the stack that holds the return address. @fp: the frame pointer, for sites behind a
 * prologue. Returns 0 when a call entered is hooked now; nonzero: run the function unhooked.
 */
long ftrace_record_slow(unsigned long id_event, unsigned long *slot, unsigned long fp);

/* How a call goes on after ftrace_regs_func(). */
enum {
	FTRACE_GO_ON,		/* into the function, its return not hooked */
	FTRACE_GO_HOOKED,	/* into the function; the return address is in the shadow */
	FTRACE_GO_ELSEWHERE,	/* to regs' ip, with regs' sp */
};

/* All of a site's business with full registers: function ops and graph entry. */
long ftrace_regs_func(struct pt_regs *regs, struct dyn_ftrace *site);

/*
 * Where a call of @site, which is replaced, goes on: the address, 0: the function's body. @regs: those of a
 * callback without SAVE_REGS, and those that unwinding begins with.
 */
unsigned long ftrace_replace_func(struct pt_regs *regs, struct dyn_ftrace *site);

/*
 * A detour was come to. *@ret: where it will be returned to, which may be changed. Nonzero: to regs' ip with
 * regs' sp instead.
 */
long ftrace_probe_hit(struct pt_regs *regs, unsigned long *ret);

/* The parent_ip a callback is told, for the return address @ip found at @slot. */
unsigned long ftrace_real_parent(unsigned long ip, unsigned long slot);

/* The return: callbacks, record. Returns the address to return to. */
unsigned long ftrace_graph_return_func(struct pt_regs *regs, struct dyn_ftrace *site);

/* The slot of the call of @site that has returned to its stub, @regs being as it returned. */
unsigned long arch_return_slot(const struct pt_regs *regs, struct dyn_ftrace *site);

/* ---- the shadow of a stack: the word that holds a moved return address ---- */

/*
 * Where addresses are wide, the shadow of @slot is at the same address with bits flipped (ARCH_SHADOW_XOR: none of
 * them makes two pages of one, but a word's neighbour may be elsewhere), and
 * what else is kept of the call is in the shadow of the word below. Where they are narrow nothing
 * can be kept free for that: shadows lie anywhere, ARCH_SHADOW_WORDS words for every word of the stack,
 * and a table tells for each page of the address space how far from it.
 */
#ifdef ARCH_SHADOW_XOR

static inline unsigned long *arch_shadow(unsigned long slot)
{
	return (unsigned long *)(slot ^ ARCH_SHADOW_XOR);
}

/* Where the slot of the recorded call around the one at @slot is kept. */
static inline unsigned long *arch_shadow_around(unsigned long slot)
{
	return arch_shadow(slot - sizeof(long));
}

#else

#define ARCH_SHADOW_AROUND	1
#define ARCH_SHADOW_SITE	2	/* index: whose call it is, site id << 2; 0 once it has returned */
#define ARCH_SHADOW_WORDS	4

/* For each page, what is to be added to ARCH_SHADOW_WORDS times an address; 0: no shadow. */
extern unsigned long ftrace_shadow_pages[] __attribute__((visibility("hidden")));

static inline unsigned long *arch_shadow(unsigned long slot)
{
	return (unsigned long *)(ftrace_shadow_pages[slot / FT_PAGE_SIZE] +
				 slot * ARCH_SHADOW_WORDS);
}

static inline unsigned long *arch_shadow_around(unsigned long slot)
{
	return arch_shadow(slot) + ARCH_SHADOW_AROUND;
}

#endif

static inline void arch_shadow_set(unsigned long slot, unsigned long ret, unsigned long around,
				   u32 site)
{
	arch_shadow(slot)[0] = ret;
	*arch_shadow_around(slot) = around;
#ifdef ARCH_SHADOW_SITE
	arch_shadow(slot)[ARCH_SHADOW_SITE] = (unsigned long)site << 2;
#endif
}

/* ---- unwind-regs.c: registers as call frame information numbers them; see engine/unwind-stack.h ---- */

struct unwind_regs;

/* The caller's, as they are behind this call: for unwinding from there while its frame is there. */
void arch_unwind_here(struct unwind_regs *regs);

/* Those of the caller of a function, at whose entry @regs were saved. */
void arch_unwind_caller(const struct pt_regs *entry, struct unwind_regs *regs);

/*
 * Those of thread @tid, which this process has stopped by ptrace; and its thread pointer, where that can be
 * told. 0 or -errno.
 */
int arch_unwind_stopped(int tid, struct unwind_regs *regs, unsigned long *thread_pointer);

/*
 * Where ARCH_SIGNAL_FRAMES is defined, no table tells of the kernel's frames: is @w's frame at the system call that
 * returns from a signal's handler? Then *@interrupted is what the signal has interrupted.
 */
struct unwind_walk;
bool arch_unwind_signal(const struct unwind_walk *w, struct unwind_regs *interrupted);

/* ---- unwind.c ---- */

/*
 * Call frame information for the stubs at [@start, @start + @len): an .eh_frame_hdr with its
 * .eh_frame behind it, written to @out (at most ARCH_UNWIND_SIZE() bytes), to live at address
 * @at, within 2 GiB of @start. Returns the bytes written. @eh_frame (may be NULL) gets the offset
 * of the .eh_frame.
 */
size_t arch_unwind_table(u8 *out, unsigned long at, unsigned long start, size_t len,
			 size_t *eh_frame);

/* ---- ticks ---- */

/* The counter that records carry. */
FTRACE_INTERNAL u64 arch_ticks(void);

#endif /* FTRACE_ARCH_H */

/* SPDX-License-Identifier: MIT */
/*
 * The function tracer: callbacks at the entry of functions.
 *
 * A program (or a library in it) describes what it wants to see in a struct ftrace_ops, chooses
 * functions with a filter and registers the ops:
 *
 *	static void hit(unsigned long ip, unsigned long parent_ip,
 *			struct ftrace_ops *op, struct pt_regs *regs) { ... }
 *	static struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_SAVE_REGS };
 *
 *	ftrace_set_filter(&ops, "parse_*", strlen("parse_*"), 1);
 *	register_ftrace_function(&ops);
 *
 * Names and meanings are those of the Linux kernel (Documentation/trace/ftrace-uses.rst); what
 * differs in user space is said at each function.
 *
 * Unless a function says otherwise: it may be called at any time from any thread, before main()
 * and from constructors of objects loaded by dlopen() included; it is not async-signal-safe; it
 * returns 0 or a negative errno, and says why in one line through the log callback.
 */
#ifndef FTRACE_FTRACE_H
#define FTRACE_FTRACE_H

#include <ftrace/ptrace.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What this library can do on this architecture, as the kernel tells its modules. Where there are
 * direct calls, <ftrace/arch-ptrace.h> defines ARCH_SUPPORTS_FTRACE_DIRECT_CALLS as well.
 */
#define ARCH_SUPPORTS_FTRACE_OPS	1
#define ARCH_SUPPORTS_FTRACE_SAVE_REGS	1

struct ftrace_ops;

/*
 * A callback. @ip: the address of the traced function's patched instruction (its entry, behind
 * an endbr64 if there is one). @parent_ip: where the function will return to, the caller. @op: the
 * registered ops. @regs: the registers at the function's entry; see FTRACE_OPS_FL_SAVE_REGS.
 *
 * It runs on the traced thread's stack, below the function's arguments, with the stack aligned
 * as the ABI wants it. Vector registers are saved around it (see FTRACE_OPS_FL_GENERAL_REGS): 0-15
 * in the widest form the processor has. (zmm16-31 and k0-7 are not: no caller keeps anything in
 * them over a call of a function compiled for tracing, gcc turns -fipa-ra off there; they are saved as
 * well where functions that were not compiled for it are traced.) The direction
 * flag is taken for clear, as the x86_64 psABI (3.2.1) has it at every function's entry; with
 * SAVE_REGS it is looked after all the same. errno is not saved: a callback that may change it does
 * so. It must return: no longjmp() (also not out of a handler of a signal that interrupts
 * it), no exception may leave it. What it calls may be traced itself: see FTRACE_OPS_FL_RECURSION.
 */
typedef void (*ftrace_func_t)(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *op, struct pt_regs *regs);

enum {
	/* Set by the library while the ops is registered. */
	FTRACE_OPS_FL_ENABLED = 1 << 0,
	/* The program allocated this ops at run time. Accepted for the kernel's sake; no effect. */
	FTRACE_OPS_FL_DYNAMIC = 1 << 1,
	/*
	 * @regs holds every general register, flags as they were at entry, sp as the caller's
	 * call left it (it points at the return address), ip: where the function goes on, which is in
	 * its copy if its first instructions were moved. Every one of them is put back from
	 * @regs when the callback returns, changed ones included.
	 * Without it @regs holds the documented minimum: the argument registers (x86_64: rax,
	 * rdi, rsi, rdx, rcx, r8, r9 and r10; i386: eax, edx and ecx), ip and sp, and only those are
	 * put back; the rest of *regs is not to be read.
	 */
	FTRACE_OPS_FL_SAVE_REGS = 1 << 2,
	/* As SAVE_REGS where the architecture can, otherwise without. */
	FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED = 1 << 3,
	/*
	 * The library keeps the callback from being entered again by what it calls: calls made
	 * while this thread is in a callback of this ops are not reported to it. Without it the
	 * callback protects itself, or calls nothing that is traced.
	 */
	FTRACE_OPS_FL_RECURSION = 1 << 4,
	/*
	 * The callback changes regs->ip (instruction_pointer_set()) to make another function run
	 * instead. Needs SAVE_REGS. One such ops a function: a second gets -EBUSY, as does one
	 * for a function that has a direct call; a function whose site lies behind the prologue
	 * (plain -pg) gets -EINVAL.
	 */
	FTRACE_OPS_FL_IPMODIFY = 1 << 5,
	/* Only calls by the threads of ftrace_set_pid() are reported. */
	FTRACE_OPS_FL_PID = 1 << 6,
	/*
	 * The callback and all it calls are compiled -mgeneral-regs-only (or otherwise known to
	 * change no vector register), so none need saving. Not in the kernel, where it goes
	 * without saying. On x86 the library sets it while the ops is registered where it sees as
	 * much in the callback's code: a small one (16 functions of 1 KiB, at most) that calls nothing
	 * through a pointer or a linkage table. When a function in that code is later replaced or
	 * probed, vectors are saved again.
	 */
	FTRACE_OPS_FL_GENERAL_REGS = 1 << 7,
	/*
	 * @func is not called; each call is written to the thread's record stream instead. For
	 * tracers; -ENODEV when nothing takes records.
	 */
	FTRACE_OPS_FL_RECORD = 1 << 8,
	/* Set by the library while the ops is registered with register_ftrace_direct(). */
	FTRACE_OPS_FL_DIRECT = 1 << 9,
};

/*
 * One user of the function tracer. Zero what is not used. The structure belongs to the library
 * from the first ftrace_set_*() or register_ftrace_function() until unregister_ftrace_function()
 * and ftrace_free_filter() have returned.
 */
struct ftrace_ops {
	ftrace_func_t	func;		/* the callback */
	unsigned long	flags;		/* FTRACE_OPS_FL_* */
#ifdef __cplusplus
	void		*private_data;	/* `private` is a keyword there */
#else
	void		*private;	/* the program's own; never looked at */
#endif
	void		*reserved[6];	/* the library's own; zero at first */
};

/*
 * Start calling @ops->func at the functions its filter chose (all functions that can be traced
 * when it has none).
 *
 * -EBUSY: already registered, or IPMODIFY and one of the functions has such an ops already.
 * -EINVAL: no func, unknown flags, IPMODIFY without SAVE_REGS, or a function IPMODIFY cannot do.
 * -EDEADLK: called from a callback, with IPMODIFY for a function that callbacks run of which the library set GENERAL_REGS.
 * -ENODEV: no function of any loaded object can be traced.
 * -ENOSPC: 64 ops with RECURSION are registered.
 * -EPERM: the code cannot be changed here (the log line says what was tried).
 */
int register_ftrace_function(struct ftrace_ops *ops);

/*
 * Stop calling @ops->func. When it returns 0, no thread is in the callback and none will be:
 * its code and data may go away.
 *
 * A callback that a signal handler left by siglongjmp() counts as under way until its thread makes
 * another traced call further up the stack, or calls this function from there.
 *
 * -ENOENT: not registered. -EDEADLK: called from a callback, which could never end the wait.
 */
int unregister_ftrace_function(struct ftrace_ops *ops);

/*
 * Choose the functions @ops traces, by name. @buf: @len bytes, patterns separated by spaces,
 * commas or newlines. A pattern is the kernel's glob over the whole name, as the symbol table has
 * it (C++ and Rust: mangled): `*` any string, `?` any character, `[a-z]`, `[!a-z]` sets; `!` before a pattern takes away
 * what it matches. @reset: non-zero forgets earlier patterns first. Functions of objects loaded later
 * are matched as they come.
 *
 * May be called while @ops is registered: the change is in effect when it returns.
 * -EINVAL: no function matches (earlier patterns stay), or a malformed pattern. -ENOMEM.
 */
int ftrace_set_filter(struct ftrace_ops *ops, const char *buf, int len, int reset);

/* As ftrace_set_filter(), for functions @ops must not trace; this wins over the filter. */
int ftrace_set_notrace(struct ftrace_ops *ops, const char *buf, int len, int reset);

/*
 * Add the function at @ip (its symbol's address or its patched instruction's) to the filter of
 * @ops; @remove non-zero takes it away. @reset as above.
 * -ENOENT: no traceable function begins at @ip.
 */
int ftrace_set_filter_ip(struct ftrace_ops *ops, unsigned long ip, int remove, int reset);

/* The same for @cnt addresses at once; all or none. */
int ftrace_set_filter_ips(struct ftrace_ops *ops, unsigned long *ips, unsigned int cnt,
			  int remove, int reset);

/*
 * Choose threads for FTRACE_OPS_FL_PID: @tid is added (as gettid() numbers them); @reset forgets
 * earlier ones first; @tid 0 adds none. At most 64. -ENOSPC, -EINVAL.
 */
int ftrace_set_pid(struct ftrace_ops *ops, int tid, int reset);

/* Forget the filters of @ops and free their memory. -EBUSY while it is registered. */
int ftrace_free_filter(struct ftrace_ops *ops);

/*
 * Direct calls: the functions that the filter of @ops chose (there must be one) call @addr when they
 * are entered, a trampoline written for this, without the library in between. It finds every register
 * as the function's caller left it and, at the top of the stack, the address where the function
 * goes on, above that the return address into the caller; it changes nothing the function could miss
 * and ends with a return instruction. @ops->func is not to be set. Together with other ops and
 * graph ops at one function these are told first; then the trampoline runs.
 *
 * One a function, and none with FTRACE_OPS_FL_IPMODIFY beside it: -EBUSY. -EINVAL: no filter, no @addr,
 * func is set, or a function whose site lies behind the prologue. -EOPNOTSUPP: not on this
 * architecture, or not at one of these functions (the log line says which). Others as
 * register_ftrace_function(). A function that a tracer is on for is not traced for the moment
 * that its first direct call takes to be prepared.
 */
int register_ftrace_direct(struct ftrace_ops *ops, unsigned long addr);

/*
 * Call @addr instead from now on. A thread that has begun to call the old one may still be in it
 * when this returns: nobody can tell when it has left; the same goes for unregistering.
 * -EINVAL: not registered as a direct call, or no @addr.
 */
int modify_ftrace_direct(struct ftrace_ops *ops, unsigned long addr);

/* End it. @addr: what is called now. @free_filters nonzero: also ftrace_free_filter(). -EINVAL. */
int unregister_ftrace_direct(struct ftrace_ops *ops, unsigned long addr, int free_filters);

/*
 * Silence every tracer at once (the kernel's function_trace_stop), and let them speak again.
 * One flag that every entry looks at: takes effect at the next call of each thread, changes no
 * code. Direct calls, ops with FTRACE_OPS_FL_IPMODIFY and patches are no tracers: they stay.
 * Async-signal-safe. Not counted: one ftrace_start() ends any number of ftrace_stop().
 */
void ftrace_stop(void);
void ftrace_start(void);

/*
 * Where the library says what went wrong: one call a line, @msg without a newline, complete in
 * itself ("register_ftrace_function: ..."). The default writes "libftrace: MSG" to stderr. NULL
 * silences. Returns the callback that was set before.
 */
typedef void (*ftrace_log_func_t)(const char *msg);
ftrace_log_func_t ftrace_set_log(ftrace_log_func_t func);

/*
 * Call @func for every function that can be traced, in the order of their ids: @ip is the
 * address callbacks get, @entry the symbol's address, @name as the symbol table has it. Stops when
 * @func returns non-zero, and returns that. @func must not call the library.
 */
int ftrace_for_each_function(int (*func)(unsigned long ip, unsigned long entry,
					 const char *name, void *data), void *data);

/* The library's version, "MAJOR.MINOR.PATCH". Async-signal-safe. */
const char *ftrace_version(void);

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_FTRACE_H */

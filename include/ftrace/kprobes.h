/* SPDX-License-Identifier: MIT */
/*
 * Probes: handlers at any instruction of the program, and at the return of functions.
 *
 *	static int hit(struct kprobe *p, struct pt_regs *regs) { ...; return 0; }
 *	static struct kprobe kp = { .symbol_name = "parse", .offset = 0x1c, .pre_handler = hit };
 *
 *	register_kprobe(&kp);
 *
 * Names and meanings are those of the kernel's kprobes (Documentation/trace/kprobes.rst); what differs in
 * user space is said at each of them. How a probe gets its hits, by what is at its address:
 *
 *	KPROBE_FLAG_FTRACE	the entry of a function that can be traced: as a callback of the tracer
 *	KPROBE_FLAG_OPTIMIZED	a jump stands there, and the instructions it took the place of run elsewhere
 *	neither			a breakpoint stands there (int3), and the one instruction runs elsewhere
 *
 * Handlers run on the thread that hit the probe, on its stack, with its signal mask, and not in a
 * signal handler, whichever of the three it is. They may call anything that a function called at that place might; vector
 * registers are saved around them (see KPROBE_FLAG_GENERAL_REGS), errno is not. They must
 * return: no longjmp(), no exception may leave them. A probe that is hit while its thread runs a
 * handler of any probe is not run but counted in nmissed.
 *
 * Functions return 0 or a negative errno, and say why in one line through the log callback
 * (<ftrace/ftrace.h>). They may be called from any thread, before main() and from constructors; not
 * from handlers, and they are not async-signal-safe.
 */
#ifndef FTRACE_KPROBES_H
#define FTRACE_KPROBES_H

#include <stddef.h>

#include <ftrace/ptrace.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kprobe;
struct kretprobe;
struct kretprobe_instance;

typedef unsigned char kprobe_opcode_t;

/*
 * Before the probed instruction. @regs: every general register, the flags, sp, and as ip the probe's
 * address. Each one may be changed. Return 0: the instruction is executed, with the registers as they
 * are now (ip is put back). Nonzero: ip was changed, and execution goes on there with all other registers of
 * @regs, sp too; neither the instruction, nor other probes at this address, nor post_handler run. (Nonzero
 * with ip as it was is taken for 0: it would be the same probe again.)
 */
typedef int (*kprobe_pre_handler_t)(struct kprobe *p, struct pt_regs *regs);

/*
 * Behind the probed instruction: @regs as it left them, ip where execution goes on, the target of a
 * branch that was taken included. Changed registers count, a changed ip does not. @flags: 0. At the
 * entry of a traced function (KPROBE_FLAG_FTRACE) the instruction is the tracer's own, which does nothing.
 */
typedef void (*kprobe_post_handler_t)(struct kprobe *p, struct pt_regs *regs,
				      unsigned long flags);

/* kprobe.flags */
enum {
	KPROBE_FLAG_GONE = 1 << 0,	/* its object was unloaded: it is to be unregistered, no more */
	/* Handlers are not called. May be set before it is registered; later by disable_kprobe(). */
	KPROBE_FLAG_DISABLED = 1 << 1,
	KPROBE_FLAG_OPTIMIZED = 1 << 2,
	KPROBE_FLAG_FTRACE = 1 << 3,
	KPROBE_FLAG_ON_FUNC_ENTRY = 1 << 4,
	/*
	 * Given by the program, not in the kernel: its handlers and all they call change no vector register
	 * (compiled -mgeneral-regs-only), so that none needs saving. The library sets it where it sees as much in
	 * their code, as it does with FTRACE_OPS_FL_GENERAL_REGS, which see.
	 */
	KPROBE_FLAG_GENERAL_REGS = 1 << 16,
};

/*
 * One probe. Zero what is not used. It belongs to the library while it is registered.
 *
 * Where: the function @symbol_name plus @offset bytes, or the address @addr plus @offset; not both.
 * @symbol_name is looked for as the symbol tables have it, among functions that can be traced first, then in every
 * loaded object by the loader's order; "libfoo.so.1:name" in that object only (its base name or
 * path). @addr is filled in. A function's own address stands for where its tracer's site is, if it has
 * one (behind an endbr64; behind the prologue with plain -pg).
 */
struct kprobe {
	kprobe_opcode_t		*addr;
	const char		*symbol_name;
	unsigned int		offset;
	unsigned int		flags;		/* KPROBE_FLAG_* */
	kprobe_pre_handler_t	pre_handler;	/* may be NULL */
	kprobe_post_handler_t	post_handler;	/* may be NULL */
	unsigned long		nmissed;	/* hits while a handler was running in the thread */
	void			*reserved[4];	/* the library's own; zero at first */
};

/*
 * Begin to call the handlers of @p. Several probes may be at one address: they are called in the order
 * they were registered in.
 *
 * -EINVAL: already registered, both of symbol and address given or none, no executable code there, in a function that
 *	must not be probed (the library's own, the dynamic loader's).
 * -ENOENT: no loaded object has that function.
 * -EADDRNOTAVAIL: an object has several of that name: give the address.
 * -ERANGE: the offset is beyond the function's end.
 * -EILSEQ: in the middle of an instruction.
 * -EOPNOTSUPP: an instruction that can run nowhere else (it tells where it is), or an architecture that has probes
 *	at entries of functions only.
 * -EBUSY: a debugger's breakpoint is there, the function's first bytes are in use by the tracer, or a
 *	thread blocks SIGTRAP where only a breakpoint is possible; or no jump fits there, and libc runs the function with
 *	all signals blocked at times (it begins or ends a thread, say), where a breakpoint would end the program.
 *	Not seen, so that a breakpoint met then ends the program: SIGTRAP blocked by system call instructions of the
 *	program's own, by a mask that siglongjmp() or setcontext() puts in force, or in a statically linked program; and
 *	functions of the program that libc calls with all signals blocked.
 * -EPERM: code cannot be changed here. -ENOMEM.
 */
int register_kprobe(struct kprobe *p);

/*
 * End it. When this returns no thread is in its handlers and none will be. From a handler it does
 * nothing but say so.
 */
void unregister_kprobe(struct kprobe *p);

/* The same for @num of them at once, which changes code once: all or none. */
int register_kprobes(struct kprobe **kps, int num);
void unregister_kprobes(struct kprobe **kps, int num);

/*
 * Not to call handlers, and to call them again. With no enabled probe at an address the code there is as it was.
 * -EINVAL: not registered, or its object is gone.
 */
int disable_kprobe(struct kprobe *p);
int enable_kprobe(struct kprobe *p);

/* ---- returns ---- */

/*
 * @ri: the call. A kretprobe's entry_handler, where the function begins: nonzero, and this call's return
 * is let go. Its handler, where the function has returned: @regs hold what it returned
 * (regs_return_value()), which may be changed, and its value is ignored.
 */
typedef int (*kretprobe_handler_t)(struct kretprobe_instance *ri, struct pt_regs *regs);

/*
 * A probe of a function's return. @kp says where, as above, and it must be the entry of a function that can be
 * traced and whose return can be hooked (<ftrace/fgraph.h>); kp's handlers are not called.
 */
struct kretprobe {
	struct kprobe		kp;
	kretprobe_handler_t	handler;
	kretprobe_handler_t	entry_handler;	/* may be NULL: every call */
	int			maxactive;	/* not looked at: there is no limit of calls under way */
	int			nmissed;	/* calls whose return was not hooked: in a handler, no memory */
	size_t			data_size;	/* of kretprobe_instance.data, at most KRETPROBE_MAX_DATA_SIZE */
	void			*reserved[2];	/* the library's own; zero at first */
};

#define KRETPROBE_MAX_DATA_SIZE	4096

/* A call under way. It is gone when the handler has returned, or when the call was left by longjmp() or an exception. */
struct kretprobe_instance {
	struct kretprobe	*rp;
	kprobe_opcode_t		*ret_addr;	/* where the function returns to */
	void			*fp;		/* the word of the stack that held it */
	unsigned long		reserved[3];
	char			data[] __attribute__((aligned(16)));	/* data_size bytes, zeroed */
};

static inline struct kretprobe *get_kretprobe(struct kretprobe_instance *ri)
{
	return ri->rp;
}

static inline unsigned long get_kretprobe_retaddr(struct kretprobe_instance *ri)
{
	return (unsigned long)ri->ret_addr;
}

/*
 * As register_kprobe(). -EINVAL also: no handler, data_size too large, not a function's entry.
 * -EOPNOTSUPP: the return of this function cannot be hooked (it returns twice, or reads its return address; the log
 * line says).
 */
int register_kretprobe(struct kretprobe *rp);
void unregister_kretprobe(struct kretprobe *rp);
int register_kretprobes(struct kretprobe **rps, int num);
void unregister_kretprobes(struct kretprobe **rps, int num);

static inline int disable_kretprobe(struct kretprobe *rp)
{
	return disable_kprobe(&rp->kp);
}

static inline int enable_kretprobe(struct kretprobe *rp)
{
	return enable_kprobe(&rp->kp);
}

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_KPROBES_H */

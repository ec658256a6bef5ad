/* SPDX-License-Identifier: MIT */
/*
 * What the command asks of an architecture to borrow a thread of another process: a thread that stands
 * still under ptrace is made to run a system call or a function, and put back as it was. For the
 * command only; what runs inside a traced process has arch.h.
 */
#ifndef FTRACE_INJECT_H
#define FTRACE_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A system call that the agent needs, by one set of arguments that a filter may look at. */
struct inject_need {
	short nr;
	const char *name;
	unsigned long args[6];
};

/* Numbers of system calls; see inject-calls.h. */
struct inject_calls {
	short mmap;			/* where words are narrow: whose offset is in pages */
	short munmap, memfd_create, close, rt_sigaction;
	const short *waits;		/* those that wait for something outside, and take no lock while they do */
	size_t nwaits;
	const short *again;		/* those that a stop ends with EINTR, and that can be made again */
	size_t nagain;
	const struct inject_need *needed;
	size_t nneeded;
};

/* Where in a thread's registers is what. */
struct inject_layout;

/* A kind of programs whose threads can be borrowed: this machine's own, and the narrow ones that it runs. */
struct inject_abi {
	bool wide;			/* words of 64 bits */
	uint16_t machine;		/* as ELF files call it */
	uint32_t audit_arch;		/* as seccomp filters call it */
	const struct inject_calls *calls;
	const struct inject_layout *layout;
};

/* The kind of programs whose ELF header begins so, NULL: none that we know. */
const struct inject_abi *inject_abi(const uint8_t ident[16], unsigned int machine);

/* All registers of a thread, its floating point and vector state included. */
struct inject_state;

/*
 * Those of the stopped thread @tid. A system call that the stop has ended with EINTR, though no
 * handler ran, is noted as one that starts again. NULL: errno says why not; ENOEXEC: it runs code of another kind.
 */
struct inject_state *inject_save(const struct inject_abi *abi, pid_t tid);

/* Put them back: the thread goes on, its system call starts again, as if nothing had been. 0 or -errno. */
int inject_restore(pid_t tid, const struct inject_state *state);

void inject_free(struct inject_state *state);

/* Where the thread stood. @nr: the system call it was in, -1: none. */
void inject_where(const struct inject_state *state, unsigned long *pc, unsigned long *sp, long *nr);

/* The offset of an instruction in @code that makes a system call, -1: there is none. */
long inject_find_syscall(const struct inject_abi *abi, const uint8_t *code, size_t len);

/*
 * Let the thread stand at @insn, which makes system call @nr. Everything else is as in @state. 0 or
 * -errno.
 */
int inject_prepare_syscall(pid_t tid, const struct inject_state *state, unsigned long insn, long nr,
			   const unsigned long args[6]);

/*
 * The code inject_prepare_call() needs in the process, somewhere it can be executed: calls the function,
 * and stops with SIGTRAP at *@end.
 */
#define INJECT_CODE_SIZE	16
void inject_code(uint8_t code[INJECT_CODE_SIZE], unsigned long at, unsigned long *end);

/*
 * Let the thread stand at @code, which calls @func with up to four arguments, on the stack that ends at
 * @stack. 0 or -errno.
 */
int inject_prepare_call(pid_t tid, const struct inject_state *state, unsigned long code,
			unsigned long func, const unsigned long args[4], unsigned long stack);

/*
 * After either: the result, as wide as ours: a small negative number is one here too. @pc: where the thread
 * stands. 0 or -errno.
 */
int inject_result(pid_t tid, const struct inject_state *state, unsigned long *result, unsigned long *pc);

/*
 * Frames of signal handlers: does @code (INJECT_RETURN_CODE bytes, at a word found on a stack) end a
 * handler? Then the interrupted pc is so many bytes above that word; 0: it does not.
 */
#define INJECT_RETURN_CODE	16
size_t inject_frame_pc(const struct inject_abi *abi, const uint8_t code[INJECT_RETURN_CODE]);

/* Do the bytes before @code + @len end in a call, so that the address behind them may be one that is returned to? */
#define INJECT_CALL_CODE	8
bool inject_is_behind_call(const uint8_t code[INJECT_CALL_CODE]);

#endif /* FTRACE_INJECT_H */

/* SPDX-License-Identifier: MIT */
/* x86: threads stopped by ptrace; see arch.h. */
#include <linux/sched.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "arch.h"

#ifdef __x86_64__
#define PC(r)		((r).rip)
#define SP(r)		((r).rsp)
#define RESULT(r)	((r).rax)
#define NUMBER(r)		((long)(r).orig_rax)
#else
#define PC(r)		((r).eip)
#define SP(r)		((r).esp)
#define RESULT(r)	((r).eax)
#define NUMBER(r)		((r).orig_eax)
#endif

/* Results that the kernel shows to nobody but a tracer (include/linux/errno.h there). */
enum { ERESTARTSYS = 512, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

int arch_clone_helper(void *stack_end, int (*func)(void *arg), void *arg)
{
	const unsigned long flags = CLONE_VM | CLONE_FILES | CLONE_UNTRACED;
	long *sp = stack_end;
	long ret;

#ifdef __x86_64__
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;

	*--sp = (long)arg;
	*--sp = (long)func;
	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "popq %%rax\n\t"
			 "popq %%rdi\n\t"
			 "call *%%rax\n\t"
			 "movl %%eax, %%edi\n\t"
			 "movl %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "D"(flags), "S"(sp), "d"(0), "r"(r10), "r"(r8),
			   [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
#else
	sp -= 3;			/* the call finds its stack aligned */
	*--sp = (long)arg;
	*--sp = (long)func;
	__asm__ volatile("int $0x80\n\t"
			 "testl %%eax, %%eax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "popl %%eax\n\t"
			 "call *%%eax\n\t"
			 "movl %%eax, %%ebx\n\t"
			 "movl %[exit], %%eax\n\t"
			 "int $0x80\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "b"(flags), "c"(sp), "d"(0), "S"(0), "D"(0),
			   [exit] "i"(SYS_exit)
			 : "memory");
#endif
	return (int)ret;
}

static long ptrace_regs(int request, int tid, struct user_regs_struct *regs)
{
	return arch_syscall(SYS_ptrace, request, tid, 0, (long)regs, 0, 0);
}

static bool may_start_again(long nr)
{
#define CALL(name) SYS_##name
	static const short calls[] = {
#include "start-again.h"
	};
#undef CALL

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i] == nr)
			return true;
	return false;
}

int arch_stopped_get(int tid, struct arch_stopped *s)
{
	struct user_regs_struct regs;
	long err = ptrace_regs(PTRACE_GETREGS, tid, &regs), result;

	if (err)
		return (int)err;
	result = (long)RESULT(regs);
	if (NUMBER(regs) >= 0 && result == -EINTR && may_start_again(NUMBER(regs))) {
		/* The kernel's own word for this: again, but EINTR where a handler runs. */
		result = -ERESTARTNOHAND;
		RESULT(regs) = (unsigned long)result;
		err = ptrace_regs(PTRACE_SETREGS, tid, &regs);
		if (err)
			return (int)err;
	}
	s->pc = PC(regs);
	s->sp = SP(regs);
	s->restarts = NUMBER(regs) >= 0 && result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
	return 0;
}

int arch_stopped_set_pc(int tid, unsigned long pc)
{
	struct user_regs_struct regs;
	long err = ptrace_regs(PTRACE_GETREGS, tid, &regs);

	if (err)
		return (int)err;
	PC(regs) = pc;
	return (int)ptrace_regs(PTRACE_SETREGS, tid, &regs);
}

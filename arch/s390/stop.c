/* SPDX-License-Identifier: MIT */
/* s390, both widths: threads stopped by ptrace; see arch.h. */
#include <elf.h>
#include <linux/sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "arch.h"
#include "stopped.h"

/* Results that the kernel shows to nobody but a tracer (include/linux/errno.h there). */
enum { ERESTARTSYS = 512, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

/* The first bit of a narrow address tells of the addressing mode. */
#define AMODE_BITS	(sizeof(long) == 4 ? 0x80000000ul : 0)

#ifdef __s390x__
#define LOAD		"lg"
#define COMPARE		"cghi"
#define MOVE_NUMBER	"lghi"
#else
#define LOAD		"l"
#define COMPARE		"chi"
#define MOVE_NUMBER	"lhi"
#endif

int arch_clone_helper(void *stack_end, int (*func)(void *arg), void *arg)
{
	/* At its bottom the register save area that @func may use, with a back chain that ends. */
	unsigned long *frame = (unsigned long *)((char *)stack_end - ARCH_ABI_FRAME - 2 * sizeof(long));
	/* The machine's order of clone's arguments: the stack first. */
	register long r1 __asm__("r1") = SYS_clone;
	register long r2 __asm__("r2") = (long)frame;
	register long r3 __asm__("r3") = CLONE_VM | CLONE_FILES | CLONE_UNTRACED;
	register long r4 __asm__("r4") = 0;
	register long r5 __asm__("r5") = 0;
	register long r6 __asm__("r6") = 0;

	frame[0] = 0;
	frame[ARCH_ABI_FRAME / sizeof(long)] = (unsigned long)func;
	frame[ARCH_ABI_FRAME / sizeof(long) + 1] = (unsigned long)arg;
	__asm__ volatile("svc 0\n\t"
			 COMPARE " %%r2, 0\n\t"
			 "jne 1f\n\t"
			 LOAD " %%r1, %[func](%%r15)\n\t"
			 LOAD " %%r2, %[arg](%%r15)\n\t"
			 "basr %%r14, %%r1\n\t"
			 MOVE_NUMBER " %%r1, %[exit]\n\t"
			 "svc 0\n\t"
			 ".short 0\n"			/* no instruction */
			 "1:"
			 : "+r"(r2)
			 : "r"(r1), "r"(r3), "r"(r4), "r"(r5), "r"(r6), [exit] "i"(SYS_exit),
			   [func] "i"(ARCH_ABI_FRAME), [arg] "i"(ARCH_ABI_FRAME + sizeof(long))
			 : "cc", "memory");
	return (int)r2;
}

int stopped_regset(int request, int tid, long set, void *regs, size_t size)
{
	struct iovec iov = { regs, size };

	return (int)arch_syscall(SYS_ptrace, request, tid, set, (long)&iov, 0, 0);
}

static bool may_start_again(u32 nr)
{
#define CALL(name) SYS_##name
	static const u16 calls[] = {
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
	struct stopped_regs regs;
	u32 call = 0;		/* length of the instruction and number; 0: it is in no system call */
	long result;
	int err = stopped_regset(PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs, sizeof(regs));

	if (!err)
		err = stopped_regset(PTRACE_GETREGSET, tid, NT_S390_SYSTEM_CALL, &call, sizeof(call));
	if (err)
		return err;
	result = (long)regs.gprs[2];
	if (call && result == -EINTR && may_start_again(call & 0xffff)) {
		/* The kernel's own word for this: again, but EINTR where a handler runs. */
		result = -ERESTARTNOHAND;
		regs.gprs[2] = (unsigned long)result;
		err = stopped_regset(PTRACE_SETREGSET, tid, NT_PRSTATUS, &regs, sizeof(regs));
		if (err)
			return err;
	}
	s->pc = ARCH_CODE_ADDRESS(regs.psw_addr);
	s->sp = regs.gprs[15];
	s->restarts = call && result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
	return 0;
}

int arch_stopped_set_pc(int tid, unsigned long pc)
{
	struct stopped_regs regs;
	int err = stopped_regset(PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs, sizeof(regs));

	if (err)
		return err;
	regs.psw_addr = pc | AMODE_BITS;
	return stopped_regset(PTRACE_SETREGSET, tid, NT_PRSTATUS, &regs, sizeof(regs));
}

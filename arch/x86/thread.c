/* SPDX-License-Identifier: MIT */
/* x86: threads the C library knows nothing of; see arch.h. */
#include <linux/sched.h>

#include "arch.h"

#ifdef __x86_64__

unsigned long arch_thread_pointer(void)
{
	unsigned long tp;

	__asm__("movq %%fs:0, %0" : "=r"(tp));
	return tp;
}

void *arch_thread_block(void *block, size_t below)
{
	unsigned long tp = ALIGN_UP((unsigned long)block + below, 64ul);
	unsigned long *head = (unsigned long *)tp;

	head[0] = head[2] = tp;		/* to itself, as the psABI and glibc have it */
	return head;
}

int arch_clone_thread(void *stack_end, void *tp, u32 *tid, void (*func)(void *arg), void *arg)
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
				    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	register u32 *clear __asm__("r10") = tid;
	register void *tls __asm__("r8") = tp;
	long *sp = stack_end;
	long ret;

	*--sp = (long)arg;
	*--sp = (long)func;
	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 /* It has no caller: whoever unwinds it has come to its start. */
			 ".cfi_remember_state\n\t"
			 ".cfi_undefined rip\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "popq %%rax\n\t"
			 "popq %%rdi\n\t"
			 "call *%%rax\n\t"
			 "xorl %%edi, %%edi\n\t"
			 "movl %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n\t"
			 ".cfi_restore_state\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "D"(flags), "S"(sp), "d"(tid), "r"(clear), "r"(tls),
			   [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return (int)ret;
}

#else /* i386: a thread pointer is a segment, made of a descriptor that each thread has for itself */

/* As the kernel has it (<asm/ldt.h>). */
struct user_desc {
	u32 entry;
	u32 base, limit;
	u32 flags;
};
#define DESC_FLAGS	(1u << 0 | 1u << 4 | 1u << 6)	/* of 32 bits, its limit in pages, usable */

unsigned long arch_thread_pointer(void)
{
	unsigned long tp;

	__asm__("movl %%gs:0, %0" : "=r"(tp));
	return tp;
}

void *arch_thread_block(void *block, size_t below)
{
	unsigned long tp = ALIGN_UP((unsigned long)block + below, 64ul);
	unsigned long *head = (unsigned long *)tp;

	head[0] = head[2] = tp;		/* to itself, as the ABI and glibc have it */
	return head;
}

int arch_clone_thread(void *stack_end, void *tp, u32 *tid, void (*func)(void *arg), void *arg)
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
				    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	struct user_desc desc = { .base = (u32)(unsigned long)tp, .limit = 0xfffff, .flags = DESC_FLAGS };
	u32 selector;
	long *sp = stack_end;
	long ret;

	/* In the same entry as this thread's: the selector is inherited. */
	__asm__("movl %%gs, %0" : "=r"(selector));
	desc.entry = (selector & 0xffff) >> 3;
	sp -= 3;			/* the call finds its stack aligned */
	*--sp = (long)arg;
	*--sp = (long)func;
	__asm__ volatile("int $0x80\n\t"
			 "testl %%eax, %%eax\n\t"
			 "jnz 1f\n\t"
			 /* It has no caller: whoever unwinds it has come to its start. */
			 ".cfi_remember_state\n\t"
			 ".cfi_undefined eip\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "popl %%eax\n\t"
			 "call *%%eax\n\t"
			 "xorl %%ebx, %%ebx\n\t"
			 "movl %[exit], %%eax\n\t"
			 "int $0x80\n\t"
			 "hlt\n\t"
			 ".cfi_restore_state\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "b"(flags), "c"(sp), "d"(tid), "S"(&desc), "D"(tid),
			   [exit] "i"(SYS_exit)
			 : "memory");
	return (int)ret;
}

#endif

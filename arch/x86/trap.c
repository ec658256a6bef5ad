/* SPDX-License-Identifier: MIT */
/* x86, both widths: signals as the kernel delivers them; see arch.h. */
#include <asm/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>

#include "arch.h"

#ifdef __x86_64__
#define IP(uc)	((uc)->uc_mcontext.rip)
#else
#define IP(uc)	((uc)->uc_mcontext.eip)
#endif

unsigned long arch_signal_ip(const void *uc)
{
	return IP((const struct ucontext *)uc);
}

void arch_signal_set_ip(void *uc, unsigned long ip)
{
	IP((struct ucontext *)uc) = ip;
}

u64 *arch_signal_mask(void *uc)
{
	return (u64 *)&((struct ucontext *)uc)->uc_sigmask;
}

/* Unwinders know a signal's frame by these bytes. */
void arch_signal_return(void);
#ifdef __x86_64__
__asm__(".text\n"
	"	nop\n"
	"	.p2align 4\n"
	".globl arch_signal_return\n"
	".hidden arch_signal_return\n"
	".type arch_signal_return, @function\n"
	"arch_signal_return:\n"
	"	movq $15, %rax\n"
	"	syscall\n"
	".size arch_signal_return, . - arch_signal_return\n");
#else
__asm__(".text\n"
	"	nop\n"
	"	.p2align 4\n"
	".globl arch_signal_return\n"
	".hidden arch_signal_return\n"
	".type arch_signal_return, @function\n"
	"arch_signal_return:\n"
	"	movl $173, %eax\n"
	"	int $0x80\n"
	".size arch_signal_return, . - arch_signal_return\n");
#endif

#define RESTORER	0x04000000ul

int arch_signal_action(int sig, const struct arch_sigaction *act, struct arch_sigaction *old)
{
	struct arch_sigaction ours;

	/* i386: the kernel has one of its own, which for handlers of one argument is another. */
	if (act && !act->restorer && (sizeof(long) == 8 || act->flags & SA_SIGINFO)) {
		ours = *act;
		ours.restorer = (unsigned long)arch_signal_return;
		ours.flags |= RESTORER;
		act = &ours;
	}
	return (int)arch_syscall(SYS_rt_sigaction, sig, (long)act, (long)old, 8, 0, 0);
}

/* SPDX-License-Identifier: MIT */
/* A library to be probed when it comes: in the middle of a function, at an entry, at a USDT probe; its constructor, too. */
#include "../events/probes.h"

long stepped(long n);
long plain(long n);
long late_entry(long n);

/* The place is at stepped+8 in both widths, behind what the tracer moves of it. */
__asm__(".text\n.globl stepped\n.type stepped, @function\nstepped:\n.cfi_startproc\n"
#ifdef __x86_64__
	"push %rbx\n.cfi_adjust_cfa_offset 8\nmov %rdi, %rbx\nlea 1(%rbx), %rax\npop %rbx\n.cfi_adjust_cfa_offset -8\nret\n"
#else
	"mov 4(%esp), %eax\n.byte 0x0f, 0x1f, 0x40, 0\nadd $1, %eax\nret\n"
#endif
	".cfi_endproc\n.size stepped, . - stepped\n");

__attribute__((noinline, noipa)) long plain(long n)
{
	return n * 3;
}

long late_entry(long n)
{
	__asm__ volatile(USDT("0", "late", "probe", "-%c0@%1") : : "i" (sizeof(n)), "r" (n));
	return stepped(n) + plain(n);
}

__attribute__((constructor)) static void constructed(void)
{
	stepped(1000);
}

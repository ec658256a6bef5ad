/* SPDX-License-Identifier: MIT */
/* USDT probes: found, watched, their arguments, their semaphores. */
#include <ftrace/usdt.h>

#include "test.h"

/* As <sys/sdt.h> writes it. */
#define NOTE(sem, provider, name, args)							\
	"990: nop\n"									\
	".pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n"			\
	".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"	\
	"993: " ADDR " 990b\n" ADDR " _.stapsdt.base\n" ADDR " " sem "\n"		\
	".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n"		\
	"994: .balign 4\n.popsection\n"

#ifdef __x86_64__
#define ADDR ".8byte"
#else
#define ADDR ".4byte"
#endif

unsigned short watch_semaphore __attribute__((section(".probes"), used));
void watch_it(long a, int b);
void watch_other(void);

__asm__(".pushsection .stapsdt.base, \"a\", \"progbits\"\n"
	".weak _.stapsdt.base\n.hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n"
	".text\n.globl watch_it, watch_other\n.type watch_it, @function\n.type watch_other, @function\n"
	"watch_it: .cfi_startproc\n"
#ifdef __x86_64__
	"subq $24, %rsp\n.cfi_adjust_cfa_offset 24\nmovl $-77, 8(%rsp)\nmovl $2, %eax\n"
	NOTE("watch_semaphore", "tests", "watched",
	     "8@%rdi -4@%esi -4@8(%rsp) -2@$-5 1@%sil 4@4(%rsp,%rax,2) 8@%xmm0")
	"addq $24, %rsp\n.cfi_adjust_cfa_offset -24\n"
#else
	"subl $24, %esp\n.cfi_adjust_cfa_offset 24\nmovl $-77, 8(%esp)\nmovl $2, %eax\n"
	"movl 28(%esp), %ecx\nmovl 32(%esp), %edx\n"
	NOTE("watch_semaphore", "tests", "watched",
	     "4@%ecx -4@%edx -4@8(%esp) -2@$-5 1@%dl 4@4(%esp,%eax,2) 8@%xmm0")
	"addl $24, %esp\n.cfi_adjust_cfa_offset -24\n"
#endif
	"ret\n.cfi_endproc\n.size watch_it, . - watch_it\n"
	"watch_other: .cfi_startproc\n"
	NOTE("0", "tests", "other", "")
	NOTE("0", "tests", "watched", "4@$1")
	"ret\n.cfi_endproc\n.size watch_other, . - watch_other\n");

static long value[7], first;
static int err[8], hits;

static void hit(struct usdt_probe *u, const struct usdt_site *site, struct pt_regs *regs)
{
	hits++;
	for (unsigned int i = 0; i < 7; i++)
		err[i] = usdt_arg(site, i, regs, &value[i]);
	err[7] = usdt_arg(site, 7, regs, &first);
}

static int listed;

static int list(const struct usdt_site *site, void *data)
{
	listed += !strcmp(site->provider, "tests");
	return !strcmp(site->provider, "tests") && !strcmp(site->name, data);
}

int main(void)
{
	struct usdt_probe u = { .provider = "tests", .name = "watched", .handler = hit };
	struct usdt_probe none = { .name = "no_such_probe", .handler = hit };

	ftrace_set_log(say);
	ok(usdt_for_each(list, "no_such_probe") == 0 && listed == 3, "three probes are listed");
	ok(usdt_for_each(list, "other") == 1, "until one is found");
	ok(refused(register_usdt(&none), -ENOENT, "no_such_probe"), "an unknown one is refused");
	ok(!register_usdt(&u) && u.nsites == 2, "a probe at two places");
	ok(watch_semaphore == 1, "its semaphore is counted up");
	watch_it(123456, -9);
	ok(hits == 1, "it is hit");
	ok(!err[0] && value[0] == 123456, "an argument in a register");
	ok(!err[1] && value[1] == -9, "a signed one of four bytes");
	ok(!err[2] && value[2] == -77, "one in memory");
	ok(!err[3] && value[3] == -5, "a constant");
	ok(!err[4] && value[4] == 0xf7, "the lowest byte of a register");
	ok(!err[5] && (unsigned int)value[5] == (unsigned int)-77, "one behind an index");
	ok(err[6] == -EOPNOTSUPP && err[7] == -ENOENT, "a vector register is not read, and no eighth one");
	watch_other();
	ok(hits == 2 && !err[0] && value[0] == 1 && err[1] == -ENOENT, "the other place");
	unregister_usdt(&u);
	watch_it(1, 1);
	ok(hits == 2 && !watch_semaphore, "gone, and counted down");
	return tap_done();
}

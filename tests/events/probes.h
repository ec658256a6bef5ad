/* SPDX-License-Identifier: MIT */
/* USDT probes as <sys/sdt.h> writes them, which need not be installed. SEMAPHORE: a symbol, "0" none. */
#ifdef __x86_64__
#define USDT_ADDR ".8byte"
#else
#define USDT_ADDR ".4byte"
#endif

#define USDT(semaphore, provider, name, args)						\
	"990: nop\n"									\
	".pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n"			\
	".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"	\
	"993: " USDT_ADDR " 990b\n" USDT_ADDR " _.stapsdt.base\n"			\
	USDT_ADDR " " semaphore "\n"							\
	".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n"		\
	"994: .balign 4\n.popsection\n"

__asm__(".pushsection .stapsdt.base, \"a\", \"progbits\"\n"
	".weak _.stapsdt.base\n.hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n");

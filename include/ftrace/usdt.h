/* SPDX-License-Identifier: MIT */
/*
 * USDT: probes that programs and libraries have in them (<sys/sdt.h>, DTRACE_PROBE, STAP_PROBE): a nop, and a note
 * (.note.stapsdt) of where it is, what it is called and where its arguments are at that moment. x86_64 and i386.
 *
 *	static void hit(struct usdt_probe *u, const struct usdt_site *site, struct pt_regs *regs)
 *	{
 *		long size;
 *
 *		if (!usdt_arg(site, 0, regs, &size)) ...
 *	}
 *	static struct usdt_probe probe = { .provider = "libc", .name = "memory_sbrk_more", .handler = hit };
 *
 *	register_usdt(&probe);
 *
 * Functions return 0 or a negative errno, and say why in one line through the log callback (<ftrace/ftrace.h>).
 */
#ifndef FTRACE_USDT_H
#define FTRACE_USDT_H

#include <ftrace/kprobes.h>

#ifdef __cplusplus
extern "C" {
#endif

struct usdt_probe;

/* One place where a probe is: there may be several of one name. */
struct usdt_site {
	const char	*object;	/* path of the object */
	const char	*provider;
	const char	*name;
	const char	*args;		/* as the note has them: "8@%rdi -4@-20(%rbp)"; "" for none */
	unsigned long	addr;		/* of the nop */
	unsigned long	semaphore;	/* of the 16 bits that are counted up while it is watched; 0: none */
};

/* On the thread that comes by, as a kprobe's pre_handler (<ftrace/kprobes.h>). */
typedef void (*usdt_handler_t)(struct usdt_probe *u, const struct usdt_site *site,
			       struct pt_regs *regs);

struct usdt_probe {
	const char	*provider;	/* NULL: any */
	const char	*name;
	usdt_handler_t	handler;
	unsigned int	flags;		/* KPROBE_FLAG_GENERAL_REGS or 0 */
	unsigned int	nsites;		/* set by register_usdt(): places that are watched */
	void		*reserved[2];	/* the library's own; zero at first */
};

/*
 * Call @u->handler at every place of that name in what is loaded now; semaphores are counted up.
 * -ENOENT: there is none. -EINVAL: no name, no handler, registered already. Others as register_kprobe().
 */
int register_usdt(struct usdt_probe *u);

/* End it; semaphores are counted down. When this returns no thread is in the handler. */
void unregister_usdt(struct usdt_probe *u);

/*
 * Argument @n (from 0) at @site, in its handler: the number that the note says, with its size and sign.
 * -ENOENT: it has not so many. -EOPNOTSUPP: in a form that is not read (a vector register, a symbol).
 */
int usdt_arg(const struct usdt_site *site, unsigned int n, struct pt_regs *regs, long *value);

/*
 * Call @func for every probe in what is loaded, until it returns nonzero, which is returned. What @site points
 * to is gone afterwards.
 */
int usdt_for_each(int (*func)(const struct usdt_site *site, void *data), void *data);

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_USDT_H */

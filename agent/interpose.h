/* SPDX-License-Identifier: MIT */
/*
 * Functions of the C library the agent stands in for, each only to learn of one thing:
 *
 *	prctl, syscall	that a seccomp filter is about to be installed: from then on a system call of
 *			ours, or reading the clock, might end the program
 *	chroot, setuid, seteuid, setreuid, setresuid, setrlimit, prlimit
 *			that the session may be out of reach afterwards: rings are made before
 *	_exit, _Exit	that the process ends without destructors
 *
 * Each passes its call on unchanged.
 */
#ifndef FTRACE_AGENT_INTERPOSE_H
#define FTRACE_AGENT_INTERPOSE_H

/* Look the real ones up. Before anything else of the agent. */
void interpose_init(void);

/* In a running program the order of symbols does not send it to them: its calls are. 0 or -errno. */
int interpose_redirect(void);

#endif /* FTRACE_AGENT_INTERPOSE_H */

/* SPDX-License-Identifier: MIT */
/*
 * A process under seccomp filters: would they let do what the agent needs? The filters are read from the
 * kernel and run here, so that the answer comes before anything that one of them might punish.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "arch/inject.h"
#include "cmd/borrow-place.h"

#define MAX_FILTERS	64

/* The filter's verdict. What is not a filter's instruction ends it with the worst. */
static uint32_t run_filter(const struct sock_filter *code, unsigned int len, const struct seccomp_data *d)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 }, v;

	for (unsigned int pc = 0; pc < len; pc++) {
		const struct sock_filter *f = &code[pc];

		v = BPF_SRC(f->code) == BPF_X ? x : f->k;
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k > sizeof(*d) - 4)
				return SECCOMP_RET_KILL_PROCESS;
			memcpy(&a, (const char *)d + f->k, 4);
			break;
		case BPF_LD | BPF_W | BPF_LEN:
			a = sizeof(*d);
			break;
		case BPF_LDX | BPF_W | BPF_LEN:
			x = sizeof(*d);
			break;
		case BPF_LD | BPF_IMM:
			a = f->k;
			break;
		case BPF_LDX | BPF_IMM:
			x = f->k;
			break;
		case BPF_LD | BPF_MEM:
			a = mem[f->k % BPF_MEMWORDS];
			break;
		case BPF_LDX | BPF_MEM:
			x = mem[f->k % BPF_MEMWORDS];
			break;
		case BPF_ST:
			mem[f->k % BPF_MEMWORDS] = a;
			break;
		case BPF_STX:
			mem[f->k % BPF_MEMWORDS] = x;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_MISC | BPF_TXA:
			a = x;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_RET | BPF_A:
			return a;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		default:
			if (BPF_CLASS(f->code) == BPF_JMP) {
				bool yes = BPF_OP(f->code) == BPF_JEQ ? a == v :
					   BPF_OP(f->code) == BPF_JGT ? a > v :
					   BPF_OP(f->code) == BPF_JGE ? a >= v : (a & v) != 0;

				pc += yes ? f->jt : f->jf;
			} else if (BPF_CLASS(f->code) == BPF_ALU) {
				uint8_t op = BPF_OP(f->code);

				if ((op == BPF_DIV && !v) || op == BPF_MOD)
					return SECCOMP_RET_KILL_PROCESS;
				a = op == BPF_ADD ? a + v : op == BPF_SUB ? a - v : op == BPF_MUL ? a * v :
				    op == BPF_DIV ? a / v : op == BPF_OR ? a | v : op == BPF_AND ? a & v :
				    op == BPF_XOR ? a ^ v : op == BPF_LSH ? a << (v & 31) :
				    op == BPF_RSH ? a >> (v & 31) : 0 - a;
			} else {
				return SECCOMP_RET_KILL_PROCESS;
			}
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool allows(const struct sock_filter *code, unsigned int len, const struct seccomp_data *d)
{
	uint32_t verdict = run_filter(code, len, d) & SECCOMP_RET_ACTION_FULL;

	return verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_LOG;
}

/* The first of the calls that the filter does not let through, NULL: it lets all. */
static const char *not_allowed(const struct target *t, const struct sock_filter *code, unsigned int len)
{
	const struct inject_need *needed = t->abi->calls->needed;
	struct seccomp_data d = { .nr = (int)t->abi->calls->memfd_create, .arch = t->abi->audit_arch };

	if (t->needs_memfd && !allows(code, len, &d))
		return "memfd_create";
	for (size_t i = 0; i < t->abi->calls->nneeded; i++) {
		d.nr = needed[i].nr;
		for (int k = 0; k < 6; k++)
			d.args[k] = t->abi->wide ? needed[i].args[k] : (uint32_t)needed[i].args[k];
		if (!allows(code, len, &d))
			return needed[i].name;
	}
	return NULL;
}

bool place_may_call(const struct target *t, pid_t tid, const char **why)
{
	static char text[160];
	const char *name = NULL;
	struct sock_filter *code;
	long len = 0;

	if (target_status(t->pid, "status", "Seccomp:", 10, 0) != 2)
		return true;
	*why = text;
	for (unsigned long i = 0; i < MAX_FILTERS && !name; i++) {
		len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
		if (len < 0 && errno == ENOENT && i)
			return true;
		code = len > 0 ? calloc((size_t)len, sizeof(*code)) : NULL;
		if (!code || ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, code) != len) {
			snprintf(text, sizeof(text), "is under a seccomp filter, and what that allows cannot be seen (%s); attach as root",
				 strerror(errno));
			free(code);
			return false;
		}
		name = not_allowed(t, code, (unsigned int)len);
		free(code);
	}
	snprintf(text, sizeof(text), "its seccomp filter does not allow %s(), which the agent needs; start it under 'ftrace record'",
		 name ? name : "so many filters");
	return false;
}

/* SPDX-License-Identifier: MIT */
/* One line about what went wrong, to whoever the program chose. */
#include <ftrace/ftrace.h>

#include "base.h"

#define LOG_LINE 512

static void log_to_stderr(const char *msg)
{
	char line[LOG_LINE + 16];
	int len = ft_snprintf(line, sizeof(line), "libftrace: %s\n", msg);

	/* One write, so that lines of several processes do not mix; nobody to tell if it fails. */
	arch_syscall(SYS_write, 2, (long)line, len, 0, 0, 0);
}

static ftrace_log_func_t log_func = log_to_stderr;

FTRACE_PUBLIC ftrace_log_func_t ftrace_set_log(ftrace_log_func_t func)
{
	return __atomic_exchange_n(&log_func, func, __ATOMIC_ACQ_REL);
}

int ft_log(int err, const char *fmt, ...)
{
	ftrace_log_func_t func = smp_load_acquire(&log_func);
	char line[LOG_LINE];
	va_list ap;

	if (func) {
		va_start(ap, fmt);
		ft_vsnprintf(line, sizeof(line), fmt, ap);
		va_end(ap);
		func(line);
	}
	return err;
}

/* SPDX-License-Identifier: MIT */
/* The last errors of definitions and filters, with a caret, as tracefs has them in error_log. */
#include <time.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/event.h"

#define ERRORS		8u
#define COMMAND_MAX	256u

static struct error {
	u64 ns;
	const char *system, *what;
	u32 at;
	char command[COMMAND_MAX];
} errors[ERRORS];
static u32 nerrors;		/* since the log was cleared */

int event_error(int err, const char *system, const char *command, u32 len, u32 at,
		const char *what)
{
	struct error *e = &errors[nerrors++ % ERRORS];

	e->ns = READ_ONCE(ftrace_no_syscalls) ? 0 : agent_clock_ns(CLOCK_MONOTONIC);
	e->system = system;
	e->what = what;
	e->at = at;
	if (len >= COMMAND_MAX)
		len = COMMAND_MAX - 1;
	ft_memcpy(e->command, command, len);
	e->command[len] = '\0';
	return ft_log(err, "%s: %s: at letter %u of '%s'", system, what, at + 1, e->command);
}

void event_error_log_show(struct control_text *out)
{
	for (u32 i = nerrors > ERRORS ? nerrors - ERRORS : 0; i < nerrors; i++) {
		const struct error *e = &errors[i % ERRORS];

		control_printf(out, "[%5llu.%06llu] %s: error: ",
			       (unsigned long long)(e->ns / 1000000000),
			       (unsigned long long)(e->ns / 1000 % 1000000), e->system);
		control_puts(out, e->what);
		control_puts(out, "\n  Command: ");
		control_puts(out, e->command);
		control_puts(out, "\n           ");
		for (u32 k = 0; k < e->at && k < COMMAND_MAX; k++)
			control_puts(out, " ");
		control_puts(out, "^\n");
	}
}

void event_error_log_clear(void)
{
	nerrors = 0;
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/color.h"

static int enabled;

void cmd_color_init(int when)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when < 0)
		when = isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb");
	enabled = when;
}

const char *cmd_color(enum cmd_color color)
{
	static const char *const sequences[] = {
		[COLOR_NONE] = "\033[m",
		[COLOR_DIM] = "\033[2m",
		[COLOR_BOLD] = "\033[1m",
		[COLOR_NAME] = "\033[36m",
		[COLOR_VALUE] = "\033[32m",
		[COLOR_WARM] = "\033[33m",
		[COLOR_HOT] = "\033[1;31m",
		[COLOR_LOST] = "\033[1;35m",
	};

	return enabled ? sequences[color] : "";
}

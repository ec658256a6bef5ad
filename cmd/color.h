/* SPDX-License-Identifier: MIT */
#ifndef CMD_COLOR_H
#define CMD_COLOR_H

enum cmd_color {
	COLOR_NONE,
	COLOR_DIM,
	COLOR_BOLD,
	COLOR_NAME,
	COLOR_VALUE,
	COLOR_WARM,	/* 10 us and more */
	COLOR_HOT,	/* 10 ms and more */
	COLOR_LOST,
};

/*
 * Decide once: @when is 1 always, 0 never, -1 for a terminal whose TERM is not dumb, with NO_COLOR
 * unset or empty. Ask before the pager takes stdout's place.
 */
void cmd_color_init(int when);

/* The escape sequence, "" where colours are off; COLOR_NONE ends a colour. */
const char *cmd_color(enum cmd_color color);

#endif /* CMD_COLOR_H */

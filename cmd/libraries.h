/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_CMD_LIBRARIES_H
#define FTRACE_CMD_LIBRARIES_H

/*
 * Calls @each with the path of each shared library that the program or library @path needs, as its
 * loader finds them; the loader itself is left out. 0; else 1, and the user was told why.
 */
int cmd_for_each_library(const char *path, void (*each)(const char *file, void *data), void *data);

#endif /* FTRACE_CMD_LIBRARIES_H */

/* SPDX-License-Identifier: MIT */
#ifndef CMD_PAGER_H
#define CMD_PAGER_H

/*
 * If stdout is a terminal and @wanted, run $FTRACE_PAGER, $PAGER or less and let stdout be a pipe
 * to it. When the command exits, it closes the pipe and waits for the pager; when the pager is
 * left first, the command ends quietly by SIGPIPE. PAGER=cat or an empty one: none.
 */
void cmd_pager(int wanted);

#endif /* CMD_PAGER_H */

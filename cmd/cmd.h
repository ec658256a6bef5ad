/* SPDX-License-Identifier: MIT */
/* The ftrace command: its subcommands, one file each. */
#ifndef CMD_H
#define CMD_H

/*
 * A subcommand. argv[0] is its name ("record"), options follow. Returns the exit status:
 * 0, 1 for an error (already printed), 2 for bad use; `record` passes on its program's.
 */
int cmd_record(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_control(int argc, char **argv);
int cmd_patch(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_graph(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_selftest(int argc, char **argv);

/*
 * Print "ftrace: " and the message, "what: why; what to do", on stderr. Returns 1, the exit status
 * that goes with it.
 */
int cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for bad use: adds "see 'ftrace NAME --help'" and returns 2. */
int cmd_bad_use(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif /* CMD_H */

/* SPDX-License-Identifier: MIT */
/*
 * Debuggers: gdb's interface for code made at run time (also read by lldb).
 */
#ifndef FTRACE_ENGINE_GDB_H
#define FTRACE_ENGINE_GDB_H

#include "base.h"

struct ftrace_unwind_region;

/*
 * Show @r to debuggers, attached now or later: its call frame information, and one symbol for all
 * of its stubs. Takes 1 KiB. Calls must not overlap. Without memory it does nothing: the program
 * runs as well.
 */
void ftrace_gdb_add(const struct ftrace_unwind_region *r);

/*
 * Called when sites have been armed or moved: names their stubs and copies if the environment asks for it
 * (FTRACE_GDB=symbols); copies too if a debugger is there, which has no other name for them. Calls must not overlap.
 */
void ftrace_gdb_update(void);

/*
 * Give each stub its function's name, "ftrace:NAME", in place of the one symbol of its region.
 * Costs some 50 bytes a site (50,000 sites: 2 ms, 2.4 MiB), so it is done only when asked for: by
 * ftrace_gdb_update(), or `call (void)ftrace_gdb_symbols()` in gdb. Sites armed later need
 * another call. Also shows the copies of moved instructions ("ftrace_copy:NAME"): what is known of them
 * is made only then.
 */
void ftrace_gdb_symbols(void);

/* Is @assignment ("NAME=value") in the environment? Only while the program does not change it. */
bool ftrace_environment_has(const char *assignment);

#endif /* FTRACE_ENGINE_GDB_H */

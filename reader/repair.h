/* SPDX-License-Identifier: MIT */
/*
 * A recording has a file .session while it runs: the path of the session directory, where the
 * rings and process maps are. If the recorder was killed, it is still there afterwards.
 */
#ifndef TRACE_REPAIR_H
#define TRACE_REPAIR_H

#include <stdint.h>

/*
 * Reads this machine's tick counter, NULL where the program knows none. With it, repair measures how
 * fast the ticks of a recording go whose recorder died before it wrote that down: its session
 * directory is still there, so it was made on this machine since it was booted.
 */
extern uint64_t (*trace_ticks_now)(void);

/*
 * If @path holds an unfinished recording whose recorder is gone, do what the recorder would have
 * done: drain the rings, copy the maps, write the metadata and the totals (recorded=interrupted),
 * remove the session directory. May be called again after it was interrupted itself.
 *
 * Returns 0 if the recording can be read now, also when its session directory is gone (after a
 * warning), -EBUSY if it is still being recorded, or another negative errno; the reason is printed.
 */
int trace_repair_if_needed(const char *path);

/*
 * If the session directory @session is one of ours whose recorder and programs all died, a minute ago at least, take
 * all that is in it over into its recording and remove it. That costs no more than it holds: metadata and totals are
 * still left to the recording's next reader. Where the recording is not found any more (it may have been
 * moved), or cannot be written to, nothing changes.
 */
void trace_take_left(const char *session);

/*
 * Copy the map @name ("PID.GEN.map") of the session directory @session_fd to the recording
 * directory @recording_fd: COMM-PID.GEN/.map, whole or not at all, making the directory if it is
 * not there. A directory of that process that exists under another COMM (the process renamed
 * itself) is used as it is. @dir, of at least 64 bytes, gets the directory's name; if it holds one
 * already (it is not ""), that directory is used without looking for another.
 *
 * The recorder calls it when a map appears (so that a recording can be read whatever happens to the
 * session directory) and again at the end.
 *
 * Returns 0, -EAGAIN if the map is not finished yet, or another negative errno.
 */
int trace_copy_map(int session_fd, const char *name, int recording_fd, char *dir);

struct ftrace_map_header;

/*
 * Make the directory of a process image that has none yet, for trace_copy_map(): its name goes to
 * @dir, of at least 64 bytes. Returns 0 or a negative errno.
 */
int trace_make_process_dir(int recording_fd, const struct ftrace_map_header *header, char *dir);

#endif /* TRACE_REPAIR_H */

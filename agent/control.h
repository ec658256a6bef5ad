/* SPDX-License-Identifier: MIT */
/*
 * The control tree inside a traced process: one table of files with tracefs names, each with what
 * reading and writing it does. Whoever sets something here (the recorder's settings today) goes
 * through this table, so every setting has one implementation.
 *
 * Each group of files is a control_*.c of its own.
 */
#ifndef FTRACE_AGENT_CONTROL_H
#define FTRACE_AGENT_CONTROL_H

#include "engine/base.h"

/* Text being put together: as with snprintf(), len counts what did not fit, too. */
struct control_text {
	char *buf;
	size_t size, len;
};

void control_puts(struct control_text *out, const char *s);
void control_printf(struct control_text *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As a shell writes a file: with > or with >>. Most files make no difference. */
enum control_mode { CONTROL_REPLACE, CONTROL_APPEND };

struct control_file {
	const char *name;
	u32 flags;			/* CONTROL_* */
	/* The file's text, as tracefs would show it. 0 or -errno. NULL: cannot be read. */
	int (*read)(struct control_text *out);
	/*
	 * @value: @len bytes, without a newline at its end. 0 or -errno, after having logged what is
	 * wrong with the value. NULL: cannot be written.
	 */
	int (*write)(const char *value, size_t len, enum control_mode mode);
};

enum {
	CONTROL_EARLY = 1 << 0,	/* decides which objects are looked at: written before ftrace_init() */
};

/* The groups; each ends with a file without a name. */
extern const struct control_file control_event_files[];	/* control_events.c */
extern const struct control_file control_filter_files[];	/* control_filter.c */
extern const struct control_file control_graph_files[];	/* control_graph.c */
extern const struct control_file control_thread_files[];	/* control_threads.c */
extern const struct control_file control_tracer_files[];	/* control_tracer.c */

/* Is it one of those of patches (patch.h), which a folder each has? They are there without a recording, too. */
bool control_is_patch(const char *name, size_t len);

/* The file called @name (@len bytes), NULL: none. */
const struct control_file *control_find(const char *name, size_t len);

/*
 * Write @value to the file called @name. -ENOENT, -EACCES (it cannot be written), or what the
 * file says. One line is logged for each error.
 */
int control_write(const char *name, size_t name_len, const char *value, size_t len,
		  enum control_mode mode);

/*
 * The text of the file called @name into @buf, NUL-terminated. Its whole length (which may be more
 * than fitted), -ENOENT, -EACCES, or what the file says.
 */
long control_read(const char *name, char *buf, size_t size);

/*
 * Write each "file=value" (or "file+=value", to append) line of @settings whose file is early (@early) or is not. The first
 * error ends it and is returned.
 */
int control_apply(const char *settings, size_t len, bool early);

/* Every file as it is in a process that nothing was written to. 0 or -errno: the tracer cannot be ended. */
int control_reset(void);

/* An unsigned decimal number that fills all of @value. -EINVAL, -ERANGE beyond @max. */
int control_number(const char *value, size_t len, u64 max, u64 *number);

/* This process is a new child of fork: the tracer is to know. */
void control_tracer_forked(void);

/* control_events.c: files below events/, which come and go. @name is without that. As control_write() and _read(). */
int control_events_write(const char *name, size_t name_len, const char *value, size_t len);
int control_events_read(const char *name, size_t name_len, struct control_text *out);

/* ---- what one group tells another ---- */

/*
 * The executable has no function symbols: unless set_object_filter chose something, the libraries
 * that are loaded with it are wanted, all but libc. Until control_objects_loaded().
 */
void control_want_libraries(void);
void control_objects_loaded(void);

/* No filter, no object chosen. */
void control_filter_reset(void);

/* Is @path of an object that set_object_filter (or being the executable, or the above) chose? */
bool control_object_wanted(const char *path, bool executable);

#endif /* FTRACE_AGENT_CONTROL_H */

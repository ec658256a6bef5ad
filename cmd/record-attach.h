/* SPDX-License-Identifier: MIT */
/* Recording processes that run already: what is known of them, for record-targets.c and record-attach.c. */
#ifndef FTRACE_CMD_RECORD_ATTACH_H
#define FTRACE_CMD_RECORD_ATTACH_H

#include <limits.h>

#include "cmd/record.h"

struct ftrace_request;

enum target_state { TARGET_NEW, TARGET_BEGINS, TARGET_RECORDED, TARGET_ENDS, TARGET_DONE };

/* A process that is attached to. */
struct record_target {
	pid_t pid;
	pid_t inner_pid;		/* its number where it lives, in its own namespace */
	bool wide;			/* its words have 64 bits */
	char comm[32];
	int pidfd;
	enum target_state state;
	struct ftrace_request *request;
	char request_name[32];
	uint64_t asked_ns;		/* when the request was made */
	uint64_t stopped_ns;		/* for how long a thread was borrowed */
	bool failed;
};

struct record_attach {
	struct record_target *targets;
	size_t n;
	uid_t uid;			/* whose processes they are */
	gid_t gid;
	bool other_pids;		/* they have another pid namespace */
	struct agent_files {
		char agent[PATH_MAX], library[PATH_MAX];
	} files[2];			/* for narrow programs, and for wide ones */
	uint64_t until_ns;		/* 0: no limit */
	uint64_t looked_ns;		/* when threads were looked at last */
	bool ending, all_begun;
	int failures;
};

#endif /* FTRACE_CMD_RECORD_ATTACH_H */

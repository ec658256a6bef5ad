/* SPDX-License-Identifier: MIT */
/* Where arch/ cannot borrow threads of running processes: -p is refused. */
#include "cmd/cmd.h"
#include "cmd/record.h"

int record_attach_check(struct record *r)
{
	return cmd_error("%s %s: attaching to running processes is not made for this kind of processor yet; start the program under 'ftrace record'",
			 r->opt->command[0], r->opt->command[1]);
}

int record_threads_add(struct record_options *opt, const char *list)
{
	return cmd_error("--tid %s: attaching to running processes is not made for this kind of processor yet", list);
}

int record_threads_find(struct record_options *opt)
{
	return 0;
}

void record_threads_put(const struct record_options *opt, FILE *out)
{
}

static int none(const char *what)
{
	return cmd_error("%s: attaching to running processes is not made for this kind of processor yet", what);
}

int cmd_attach(int argc, char **argv)
{
	return none("attach");
}

int cmd_detach(int argc, char **argv)
{
	return none("detach");
}

int cmd_status(int argc, char **argv)
{
	return none("status");
}

int cmd_control(int argc, char **argv)
{
	return none("control");
}

int cmd_patch(int argc, char **argv)
{
	return none("patch");
}

int record_attach_names(struct record *r, struct record_options *opt)
{
	return 1;
}

void record_attach_place(const struct record *r, char *prefix, size_t size)
{
	*prefix = 0;
}

int record_attach_own(struct record *r)
{
	return 0;
}

void record_attach_give(const struct record *r, const char *name)
{
}

pid_t record_attach_pid(const struct record *r, pid_t pid)
{
	return pid;
}

int record_attach_start(struct record *r)
{
	return -1;
}

void record_attach_poll(struct record *r)
{
}

bool record_attach_failed(const struct record *r)
{
	return false;
}

void record_attach_free(struct record *r)
{
}

/* SPDX-License-Identifier: MIT */
/* Options of the subcommands: one table says what is parsed and what --help prints. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <getopt.h>	/* optind */
#include <stdint.h>

#include "reader/filter.h"
#include "reader/merge.h"
#include "reader/recording.h"

struct cmd_option {
	const char *name;	/* long name; NULL ends the table */
	int key;		/* the short option's letter, or a number above 255 if there is none */
	const char *arg;	/* name of its argument, NULL: takes none */
	const char *help;	/* one or several lines */
};

struct cmd_usage {
	const char *name;	/* "replay" */
	const char *synopsis;	/* "[OPTION...]" */
	const char *about;	/* paragraphs for --help */
	const struct cmd_option *tables[4];	/* one after the other; unused ones NULL */
	const char *notes;	/* after the options; NULL: none */
};

struct cmd_getopt {
	const struct cmd_usage *usage;
	int argc;
	char **argv;
	const char *arg;	/* of the option just returned */
	void *private;
};

/*
 * Start parsing @argv (argv[0] is the subcommand's name). Parsing stops at the first word that is no
 * option or behind "--", so that what follows may be a program with options of its own;
 * @permute 1 finds options behind words as well.
 */
void cmd_getopt_init(struct cmd_getopt *g, const struct cmd_usage *usage, int argc, char **argv,
		     int permute);

/*
 * The next option's key; -1 when there are no more (then argv + optind is what is left). --help
 * prints the usage and exits 0; bad use prints what is wrong and exits 2.
 */
int cmd_getopt(struct cmd_getopt *g);

/*
 * Values with units. Each returns 0, or -1 if @text is not one.
 * A duration: 10ns, 1.5us, 20ms, 2s, 3m; a number alone is nanoseconds.
 * A size: 512, 64K, 10M, 2G, 1T (powers of 1024), also 64KiB, 64kB.
 * A list of numbers: 12,34; appended to *list.
 */
int cmd_parse_duration(const char *text, uint64_t *ns);
int cmd_parse_size(const char *text, uint64_t *bytes);
int cmd_parse_number(const char *text, uint64_t *number);
int cmd_parse_list(const char *text, uint32_t **list, size_t *count);

/*
 * A range of time, A~B, either end may be missing. With a unit an end is the time since the recording
 * began (2ms~1.5s); without one it is a timestamp in seconds as --abs-time prints it.
 */
struct cmd_range {
	uint64_t ns[2];
	int absolute[2];
	int given[2];
};
int cmd_parse_range(const char *text, struct cmd_range *range);

/* What all reading subcommands have in common. */
struct cmd_read {
	const char *dir;
	struct trace_filter filter;
	struct trace_select select;
	struct cmd_range range;
	uint64_t threshold_ns;
	uint32_t *tids, *pids;
	int raw_names;		/* --no-demangle */
	int color;		/* -1 auto, 0, 1 */
	int pager;
};

/* Their tables: where and how to read, and what to select. */
extern const struct cmd_option cmd_read_options[];
extern const struct cmd_option cmd_select_options[];

void cmd_read_init(struct cmd_read *read);

/*
 * Handle @key if it is one of the two tables. Returns 1 if it was, 0 if not. A bad argument prints
 * what is wrong and exits 2.
 */
int cmd_read_option(struct cmd_read *read, struct cmd_getopt *g, int key);

/*
 * Open the recording and turn range and threshold into ticks. Returns 0 or -1 after printing why.
 */
int cmd_read_open(struct cmd_read *read, struct trace_recording *recording);
void cmd_read_free(struct cmd_read *read);

#endif /* CMD_OPTIONS_H */

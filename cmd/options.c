/* SPDX-License-Identifier: MIT */
/* The option parser and --help; what values mean is in values.c, common options in read.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"

#define MAX_OPTIONS	64
#define HELP_COLUMN	28
#define KEY_HELP	0x1000

struct private {
	struct option longs[MAX_OPTIONS + 2];
	char shorts[2 * MAX_OPTIONS + 8];
};

static const struct cmd_option help_option[] = {
	{ "help", KEY_HELP, NULL, "print this" },
	{ NULL, 0, NULL, NULL },
};

static void print_option(const struct cmd_option *o)
{
	const char *text = o->help, *end;
	int column;

	if (o->key < 256)
		column = printf("  -%c, --%s", o->key, o->name);
	else
		column = printf("      --%s", o->name);
	if (o->arg && o->arg[0] == '[')
		column += printf("%s", o->arg);
	else if (o->arg)
		column += printf("=%s", o->arg);
	if (column > HELP_COLUMN - 2) {
		putchar('\n');
		column = 0;
	}
	do {
		end = strchr(text, '\n');
		printf("%*s%.*s\n", HELP_COLUMN - column, "",
		       end ? (int)(end - text) : (int)strlen(text), text);
		text = end + 1;
		column = 0;
	} while (end);
}

static void print_help(const struct cmd_usage *usage)
{
	printf("usage: ftrace %s %s\n\n%s\n", usage->name, usage->synopsis, usage->about);
	for (int t = 0; t < 4 && usage->tables[t]; t++) {
		putchar('\n');
		for (const struct cmd_option *o = usage->tables[t]; o->name; o++)
			print_option(o);
	}
	print_option(help_option);
	if (usage->notes)
		printf("\n%s\n", usage->notes);
}

void cmd_getopt_init(struct cmd_getopt *g, const struct cmd_usage *usage, int argc, char **argv,
		     int permute)
{
	static struct private private;
	struct option *l = private.longs;
	char *s = private.shorts;

	/* '+': stop at the first word; ':': a missing argument is told from an unknown option. */
	if (!permute)
		*s++ = '+';
	*s++ = ':';
	for (int t = 0; t <= 4; t++) {
		const struct cmd_option *o = t < 4 ? usage->tables[t] : help_option;

		for (; o && o->name; o++) {
			if (l - private.longs >= MAX_OPTIONS)
				abort();
			l->name = o->name;
			l->has_arg = !o->arg ? no_argument :
				     o->arg[0] == '[' ? optional_argument : required_argument;
			l->flag = NULL;
			l->val = o->key;
			l++;
			if (o->key < 256) {
				*s++ = o->key;
				if (o->arg)
					*s++ = ':';
				if (o->arg && o->arg[0] == '[')
					*s++ = ':';
			}
		}
	}
	memset(l, 0, sizeof(*l));
	*s = 0;
	g->usage = usage;
	g->argc = argc;
	g->argv = argv;
	g->private = &private;
	optind = 0;
	opterr = 0;
}

static int is_ambiguous(const struct private *p, const char *word)
{
	size_t len = strcspn(word + 2, "=");
	int n = 0;

	for (const struct option *o = p->longs; o->name; o++)
		n += !strncmp(o->name, word + 2, len);
	return len && n > 1;
}

int cmd_getopt(struct cmd_getopt *g)
{
	struct private *p = g->private;
	int at = optind ? optind : 1;
	int key = getopt_long(g->argc, g->argv, p->shorts, p->longs, NULL);
	const char *name = g->usage->name, *word = at < g->argc ? g->argv[at] : "";

	g->arg = optarg;
	if (key == KEY_HELP) {
		print_help(g->usage);
		exit(0);
	}
	if (key != '?' && key != ':')
		return key;
	/* With permute, the word at fault is the one getopt has just stepped over. */
	if (strncmp(word, "-", 1) && optind > 0 && optind <= g->argc)
		word = g->argv[optind - 1];
	if (key == ':')
		exit(cmd_bad_use(name, "%s: the option needs an argument", word));
	if (optopt > 0 && optopt < 256 && strncmp(word, "--", 2))
		exit(cmd_bad_use(name, "-%c: no such option", optopt));
	if (optopt)
		exit(cmd_bad_use(name, "%s: the option takes no argument", word));
	if (!strncmp(word, "--", 2) && is_ambiguous(p, word))
		exit(cmd_bad_use(name, "%s: short for several options", word));
	exit(cmd_bad_use(name, "%s: no such option", word));
}

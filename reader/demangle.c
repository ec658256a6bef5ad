/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_IBERTY
#include <libiberty/demangle.h>
#endif

#include "reader/demangle.h"

/* Longer names are damaged maps or worse; the demangler's output can grow faster than its input. */
#define MAX_MANGLED	4096

/* What may be shown on a terminal. */
static char *cleaned(char *text)
{
	if (text)
		for (unsigned char *p = (unsigned char *)text; *p; p++)
			if (*p < ' ' || *p == 0x7f)
				*p = '?';
	return text;
}

/* NULL: not a mangled name, or nothing here that can. */
static char *demangle(const char *name, int parameters)
{
	if (name[0] != '_' || strlen(name) > MAX_MANGLED)
		return NULL;
#ifdef HAVE_IBERTY
	return cleaned(cplus_demangle(name, DMGL_AUTO |
					    (parameters ? DMGL_PARAMS | DMGL_ANSI : 0)));
#else
	return NULL;
#endif
}

char *trace_demangle(const char *name, int raw)
{
	char *shown = raw ? NULL : demangle(name, 0);

	return shown ? shown : cleaned(strdup(name));
}

char *trace_demangle_full(const char *name)
{
	return demangle(name, 1);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_IBERTY
#include <libiberty/demangle.h>
#endif

#include "reader/demangle.h"

/* Longer names are damaged maps or worse; the demangler's output can grow faster than its input. */
#define MAX_MANGLED	4096

char *trace_demangle(const char *name, int raw)
{
	char *shown = NULL;

#ifdef HAVE_IBERTY
	if (!raw && name[0] == '_' && strlen(name) <= MAX_MANGLED)
		shown = cplus_demangle(name, DMGL_AUTO);
#endif
	if (!shown)
		shown = strdup(name);
	if (shown)
		for (unsigned char *p = (unsigned char *)shown; *p; p++)
			if (*p < ' ' || *p == 0x7f)
				*p = '?';
	return shown;
}

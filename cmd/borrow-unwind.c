/* SPDX-License-Identifier: MIT */
/*
 * Which calls are under way in a stopped thread, exactly: by call frame information, where every frame
 * down to the thread's beginning has some. For threads whose stacks hold words left over from earlier calls.
 */
#include "cmd/borrow-place.h"

#ifdef HAVE_LIBDW

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FRAMES	20000u

struct walk {
	const struct places *places;
	unsigned int n;
	bool bad;
};

/* None: unwinding does without, and looking for it may ask servers. */
static int no_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	return -1;
}

static pid_t unwound;		/* whose files are looked for */

/* By the names that the process has for them: it may see other files than we do. */
static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **found, Elf **elf)
{
	char *path;
	int fd;

	if (*name != '/' || asprintf(&path, "/proc/%d/root%s", unwound, name) < 0)
		return dwfl_linux_proc_find_elf(module, data, name, base, found, elf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		*found = path;
		return fd;
	}
	free(path);
	return dwfl_linux_proc_find_elf(module, data, name, base, found, elf);
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = no_debuginfo,
};

static int look_at_frame(Dwfl_Frame *frame, void *data)
{
	struct walk *w = data;
	bool activation;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &activation))
		w->bad = true;
	else
		w->bad = places_have(w->places, pc - !activation);
	return w->bad || ++w->n > MAX_FRAMES ? DWARF_CB_ABORT : DWARF_CB_OK;
}

static Dwfl *begin(pid_t pid)
{
	Dwfl *dwfl = dwfl_begin(&callbacks);

	unwound = pid;
	if (dwfl && !dwfl_linux_proc_report(dwfl, pid) && !dwfl_report_end(dwfl, NULL, NULL) &&
	    !dwfl_linux_proc_attach(dwfl, pid, true))
		return dwfl;
	dwfl_end(dwfl);
	return NULL;
}

bool place_unwinds_well(struct places *p, pid_t pid, pid_t tid)
{
	struct walk w = { .places = p };

	if (!p->unwinder)
		p->unwinder = begin(pid);
	/* 0: the beginning was reached. */
	return p->unwinder && !dwfl_getthread_frames(p->unwinder, tid, look_at_frame, &w) && w.n &&
	       !w.bad;
}

void place_unwind_end(struct places *p)
{
	if (p->unwinder)
		dwfl_end(p->unwinder);
	p->unwinder = NULL;
}

#else

bool place_unwinds_well(struct places *p, pid_t pid, pid_t tid)
{
	return false;
}

void place_unwind_end(struct places *p)
{
}

#endif

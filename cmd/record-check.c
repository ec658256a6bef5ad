/* SPDX-License-Identifier: MIT */
/* Can the agent get into this program? Asked before anything is started, so that the answer is one line. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/record.h"
#include "config.h"
#include "preload/preload-config.h"

#define LIBRARY_NAME	"libftrace.so.0"
#define MAX_SCRIPTS	4	/* interpreters that are scripts themselves; the kernel's limit */

/* As execvp() would find it. */
static int find_program(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH"), *end;
	int err = ENOENT;
	struct stat st;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return ENAMETOOLONG;
		return stat(path, &st) ? errno : 0;
	}
	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (; ; dirs = end + 1) {
		end = strchrnul(dirs, ':');
		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)(end - dirs), dirs,
				     end == dirs ? "" : "/", name) < size &&
		    !stat(path, &st) && S_ISREG(st.st_mode)) {
			if (!access(path, X_OK))
				return 0;
			err = EACCES;
		}
		if (!*end)
			return err;
	}
}

/*
 * The loader ignores LD_PRELOAD when the program gains rights by being executed. Rights that it
 * would not gain (root's own set-user-ID programs) do no harm.
 */
static int check_privileges(const char *path, const struct stat *st)
{
	const char *what = NULL;

	if (st->st_mode & S_ISUID && st->st_uid != geteuid())
		what = "is set-user-ID";
	else if (st->st_mode & S_ISGID && st->st_mode & S_IXGRP && st->st_gid != getegid())
		what = "is set-group-ID";
	else if (geteuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		what = "has file capabilities";
	if (!what)
		return 0;
	cmd_error("%s: %s, so the loader lets no agent into it; record as %s, or a copy without these rights",
		    path, what, st->st_mode & S_ISUID ? "its owner" : "root");
	return -1;
}

static int not_elf_here(const char *path, const char *why)
{
	cmd_error("%s: %s; a program for this machine is needed", path, why);
	return -1;
}

/* An ELF header's part that is asked about, of both classes. */
struct header {
	unsigned char class, data;
	uint16_t type, machine, phnum, phentsize;
	uint64_t phoff;
};

static int read_header(int fd, struct header *h)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} eh;

	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return -1;
	h->class = eh.ident[EI_CLASS];
	h->data = eh.ident[EI_DATA];
	h->type = eh.wide.e_type;
	h->machine = eh.wide.e_machine;
	if (h->class == ELFCLASS64) {
		h->phoff = eh.wide.e_phoff;
		h->phnum = eh.wide.e_phnum;
		h->phentsize = eh.wide.e_phentsize;
	} else {
		h->phoff = eh.narrow.e_phoff;
		h->phnum = eh.narrow.e_phnum;
		h->phentsize = eh.narrow.e_phentsize;
	}
	return 0;
}

/* The loader that the program names, into @loader; false: none. */
static bool read_interpreter(int fd, const struct header *h, char loader[PATH_MAX])
{
	Elf32_Word type;	/* both classes' program headers begin with it */
	Elf32_Phdr narrow;
	Elf64_Phdr wide;
	ssize_t n;
	int err;

	for (int i = 0; i < h->phnum; i++) {
		off_t at = (off_t)(h->phoff + i * (uint64_t)h->phentsize);

		if (pread(fd, &type, sizeof(type), at) != sizeof(type))
			return false;
		if (type != PT_INTERP)
			continue;
		if (h->class == ELFCLASS64)
			err = pread(fd, &wide, sizeof(wide), at) != sizeof(wide);
		else if (!(err = pread(fd, &narrow, sizeof(narrow), at) != sizeof(narrow)))
			wide = (Elf64_Phdr){ .p_offset = narrow.p_offset,
					     .p_filesz = narrow.p_filesz };
		n = err ? -1 : pread(fd, loader, wide.p_filesz < PATH_MAX ? wide.p_filesz :
				     PATH_MAX - 1, (off_t)wide.p_offset);
		loader[n > 0 ? n : 0] = 0;
		return true;
	}
	return false;
}

/* The narrow programs of this machine, and how they are called. */
#ifdef FTRACE_MACHINE_NARROW
#define NARROW_MACHINE	FTRACE_MACHINE_NARROW
#else
#define NARROW_MACHINE	NULL
#endif

/* Is @h that of a narrow program of the machine that @own is of? */
static bool is_narrow_here(const struct header *h, const struct header *own)
{
	static const struct {
		uint16_t wide, narrow;
	} machines[] = { { EM_X86_64, EM_386 }, { EM_S390, EM_S390 } };

	if (h->class != ELFCLASS32 || own->class != ELFCLASS64 || h->data != own->data)
		return false;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (own->machine == machines[i].wide && h->machine == machines[i].narrow)
			return true;
	return false;
}

/* Compared with our own ELF header: the agent was built for the same, and perhaps for narrow programs. */
static int check_elf(const char *path, int fd)
{
	char loader[PATH_MAX];
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct header h, own;
	int err = read_header(self, &own);

	if (self >= 0)
		close(self);
	if (err || read_header(fd, &h))
		return not_elf_here(path, "not a complete ELF file");
	if (is_narrow_here(&h, &own)) {
		if (!NARROW_MACHINE) {
			cmd_error("%s: a 32-bit program, and libftrace was built without the library for these; build it where the compiler makes them (gcc -m32; Debian: gcc-12-multilib)",
				  path);
			return -1;
		}
	} else if (h.class != own.class || h.data != own.data || h.machine != own.machine) {
		return not_elf_here(path, h.class == own.class || h.data != own.data ?
				    "a program for another kind of processor" :
				    h.class == ELFCLASS32 ? "a 32-bit program" : "a 64-bit program");
	}
	if (h.type != ET_EXEC && h.type != ET_DYN)
		return not_elf_here(path, "neither a program nor a script");
	if (!read_interpreter(fd, &h, loader)) {
		cmd_error("%s: statically linked, so nothing can be loaded into it; link it dynamically, or link libftrace.a into it and use the library's functions (libftrace(3))",
			    path);
		return -1;
	}
	if (strstr(loader, "/ld-musl-")) {
		cmd_error("%s: linked with musl, whose loader (%s) takes no agent that is linked with glibc; build it with glibc",
			  path, loader);
		return -1;
	}
	return 0;
}

/* The interpreter named in a script's first line, into @path. */
static int script_interpreter(const char *script, const char *line, char *path, size_t size)
{
	size_t len;

	line += strspn(line, " \t");
	len = strcspn(line, " \t\n");
	if (!len || len >= size) {
		cmd_error("%s: a script without an interpreter in its first line; name the program that runs it",
			    script);
		return -1;
	}
	memcpy(path, line, len);
	path[len] = 0;
	return 0;
}

static int check_file(const char *path, int depth)
{
	char begin[PATH_MAX] = "", interpreter[PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd, err;

	if (stat(path, &st) || (S_ISREG(st.st_mode) && access(path, X_OK))) {
		cmd_error("%s: %s; name a program that can be executed", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		cmd_error("%s: not a file; name a program that can be executed", path);
		return -1;
	}
	if (check_privileges(path, &st))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		cmd_error("%s: %s; a program must be readable to be traced", path,
			    strerror(errno));
		return -1;
	}
	n = pread(fd, begin, sizeof(begin) - 1, 0);
	if (n >= 4 && !memcmp(begin, ELFMAG, SELFMAG)) {
		err = check_elf(path, fd);
	} else if (n > 2 && !memcmp(begin, "#!", 2)) {
		err = script_interpreter(path, begin + 2, interpreter, sizeof(interpreter));
		if (!err)
			err = depth < MAX_SCRIPTS ? check_file(interpreter, depth + 1) : -1;
	} else {
		err = not_elf_here(path, "neither a program nor a script");
	}
	close(fd);
	return err;
}

int record_check(struct record *r)
{
	const char *name = r->opt->command[0];
	int err = find_program(name, r->program, sizeof(r->program));

	if (err) {
		cmd_error("%s: %s; %s", name, strerror(err),
			    strchr(name, '/') ? "check its path" : "it was looked for in $PATH");
		return -1;
	}
	return check_file(r->program, 0);
}

/* Is everything below @dir that a program of the class with $LIB @lib needs? */
static bool has_class(const char *dir, const char *lib)
{
	char path[PATH_MAX + 128];

	snprintf(path, sizeof(path), "%s/%s/" FTRACE_AGENT_NAME, dir, lib);
	if (access(path, R_OK))
		return false;
	snprintf(path, sizeof(path), "%s/%s/" LIBRARY_NAME, dir, lib);
	return !access(path, R_OK);
}

/*
 * The agent, and the library it is linked with: named as well, so that it comes before libc in
 * the order in which symbols are looked up (it stands in for some of libc's). By folders that
 * the loader itself names, so that every program gets those of its own class.
 */
static bool find_preload(struct record *r, const char *folder)
{
	char dir[PATH_MAX];

	if (!realpath(folder, dir) || !has_class(dir, FTRACE_LIB_WIDE) || strpbrk(dir, " :$"))
		return false;
	return (size_t)snprintf(r->preload, sizeof(r->preload), "%s/$LIB/%s:%s/$LIB/%s", dir,
				FTRACE_AGENT_NAME, dir, LIBRARY_NAME) < sizeof(r->preload);
}

int record_find_agent(struct record *r)
{
	char self[PATH_MAX], folder[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	/* In the build tree first: beside the command's folder. */
	if (n > 0) {
		self[n] = 0;
		*strrchr(self, '/') = 0;
		snprintf(folder, sizeof(folder), "%s/%s", self, FTRACE_PRELOAD_BUILD_SUBDIR);
		if (find_preload(r, folder))
			return 0;
	}
	if (find_preload(r, FTRACE_AGENT_DIR "/preload"))
		return 0;
	return cmd_error("%s: not found with " LIBRARY_NAME " in %s, or that path has a space or colon, which the loader does not take; install libftrace, or build it whole",
			 FTRACE_AGENT_NAME, FTRACE_AGENT_DIR "/preload");
}

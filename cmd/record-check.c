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

#define LIBRARY_NAME		"libftrace.so.0"
#define LIBRARY_BUILD_SUBDIR	"../engine"
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

/* The loader that the program names, into @loader; false: none. */
static bool read_interpreter(int fd, const Elf64_Ehdr *eh, char loader[PATH_MAX])
{
	Elf64_Phdr ph;
	ssize_t n;

	for (int i = 0; i < eh->e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(eh->e_phoff + i * (uint64_t)eh->e_phentsize)) !=
		    sizeof(ph))
			return false;
		if (ph.p_type != PT_INTERP)
			continue;
		n = pread(fd, loader, ph.p_filesz < PATH_MAX ? ph.p_filesz : PATH_MAX - 1,
			  (off_t)ph.p_offset);
		loader[n > 0 ? n : 0] = 0;
		return true;
	}
	return false;
}

/* Compared with our own ELF header: the agent was built for the same. */
static int check_elf(const char *path, int fd)
{
	char loader[PATH_MAX];
	Elf64_Ehdr eh, own;
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = self < 0 ? -1 : pread(self, &own, sizeof(own), 0);

	if (self >= 0)
		close(self);
	if (n != sizeof(own) || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return not_elf_here(path, "not a complete ELF file");
	if (eh.e_ident[EI_CLASS] != own.e_ident[EI_CLASS])
		return not_elf_here(path, eh.e_ident[EI_CLASS] == ELFCLASS32 ? "a 32-bit program"
									     : "a 64-bit program");
	if (eh.e_ident[EI_DATA] != own.e_ident[EI_DATA] || eh.e_machine != own.e_machine)
		return not_elf_here(path, "a program for another kind of processor");
	if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
		return not_elf_here(path, "neither a program nor a script");
	if (!read_interpreter(fd, &eh, loader)) {
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

/* "DIR/NAME" without links, if it is there. */
static bool find_file(const char *dir, const char *name, char *path, size_t size)
{
	char joined[PATH_MAX], real[PATH_MAX];

	if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", dir, name) >= sizeof(joined) ||
	    !realpath(joined, real) || access(real, R_OK))
		return false;
	return (size_t)snprintf(path, size, "%s", real) < size;
}

/*
 * The agent, and the library it is linked with: named as well, so that it comes before libc in
 * the order in which symbols are looked up (it stands in for some of libc's).
 */
static bool find_preload(struct record *r, const char *agent_dir, const char *library_dir)
{
	char agent[PATH_MAX], library[PATH_MAX];

	if (!find_file(agent_dir, FTRACE_AGENT_NAME, agent, sizeof(agent)) ||
	    !find_file(library_dir, LIBRARY_NAME, library, sizeof(library)))
		return false;
	return (size_t)snprintf(r->preload, sizeof(r->preload), "%s:%s", agent, library) <
	       sizeof(r->preload) && !strpbrk(agent, " :") && !strpbrk(library, " :");
}

int record_find_agent(struct record *r)
{
	char self[PATH_MAX], agent_dir[PATH_MAX + 64], library_dir[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	/* In the build tree first: beside the command's folder. */
	if (n > 0) {
		self[n] = 0;
		*strrchr(self, '/') = 0;
		snprintf(agent_dir, sizeof(agent_dir), "%s/%s", self, FTRACE_AGENT_BUILD_SUBDIR);
		snprintf(library_dir, sizeof(library_dir), "%s/%s", self, LIBRARY_BUILD_SUBDIR);
		if (find_preload(r, agent_dir, library_dir))
			return 0;
	}
	if (find_preload(r, FTRACE_AGENT_DIR, FTRACE_AGENT_DIR "/.."))
		return 0;
	return cmd_error("%s: not found with " LIBRARY_NAME " in %s, or that path has a space or colon, which the loader does not take; install libftrace, or build it whole",
			 FTRACE_AGENT_NAME, FTRACE_AGENT_DIR);
}

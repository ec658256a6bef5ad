/* SPDX-License-Identifier: MIT */
/* Which process is meant, can it be attached to, and may we? Asked before anything is changed. */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/inject.h"
#include "cmd/cmd.h"
#include "cmd/target.h"
#include "preload/preload-config.h"

#define CAP_SYS_PTRACE_BIT	19

static void read_comm(pid_t pid, char *comm, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, comm, size - 1);
	if (fd >= 0)
		close(fd);
	comm[n > 0 ? n : 0] = 0;
	comm[strcspn(comm, "\n")] = 0;
}

/* ---- by name ---- */

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* Names are the kernel's (15 letters), or those of the program's file. */
static bool has_name(pid_t pid, const char *name)
{
	char path[64], comm[32], exe[4096];
	const char *slash;
	ssize_t n;

	read_comm(pid, comm, sizeof(comm));
	if (!strcmp(comm, name))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	slash = strrchr(exe, '/');
	return slash && !strcmp(slash + 1, name);
}

static int find_by_name(const char *name, pid_t *found)
{
	char list[256] = "";
	DIR *d = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d))) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		size_t len = strlen(list);

		if (!is_number(entry->d_name) || pid == getpid() || !has_name(pid, name))
			continue;
		if (n++ < 8)
			snprintf(list + len, sizeof(list) - len, "%s%d", len ? ", " : "", pid);
		*found = pid;
	}
	if (d)
		closedir(d);
	if (n == 1)
		return 0;
	if (!n)
		cmd_error("%s: no process has this name; 'ps -e' lists them", name);
	else
		cmd_error("%s: %zu processes have this name (%s%s); choose one by its number", name, n,
			  list, n > 8 ? ", ..." : "");
	return -1;
}

int target_find(const char *text, pid_t *pid)
{
	unsigned long n;

	if (!is_number(text))
		return find_by_name(text, pid);
	errno = 0;
	n = strtoul(text, NULL, 10);
	if (errno || !n || n > 1ul << 22) {
		cmd_error("%s: not a process's number; 'ps -e' lists them", text);
		return -1;
	}
	*pid = (pid_t)n;
	return 0;
}

/* ---- what it is ---- */

static char task_state(pid_t pid)
{
	char path[64], line[512] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	p = strrchr(line, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

static int refuse(pid_t pid, const char *comm, const char *why)
{
	cmd_error("process %d (%s): %s", pid, comm, why);
	return -1;
}

static int check_kind(pid_t pid, const char *comm)
{
	char path[64], exe[4096];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st)) {
		cmd_error("%d: there is no such process; 'ps -e' lists them", pid);
		return -1;
	}
	if (target_status(pid, "status", "Tgid:", 10, (unsigned long)pid) != (unsigned long)pid) {
		cmd_error("%d: a thread of process %lu; attach to that", pid,
			  target_status(pid, "status", "Tgid:", 10, 0));
		return -1;
	}
	if (pid == getpid())
		return refuse(pid, comm, "this command itself; choose another process");
	switch (task_state(pid)) {
	case 'Z':
	case 'X':
		return refuse(pid, comm, "has ended already and waits only for its parent (a zombie); there is nothing left to trace");
	case 'T':
		return refuse(pid, comm, "is stopped by a signal; let it go on (kill -CONT) and attach then");
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (readlink(path, exe, sizeof(exe)) < 0 && errno == ENOENT)
		return refuse(pid, comm, "a thread of the kernel; the kernel has its own ftrace, in /sys/kernel/tracing");
	return 0;
}

/* ---- may we? ---- */

static int scope_of_yama(void)
{
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char c = '0';

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '0';
	if (fd >= 0)
		close(fd);
	return c - '0';
}

static bool have_cap_ptrace(void)
{
	return target_status(getpid(), "status", "CapEff:", 16, 0) >> CAP_SYS_PTRACE_BIT & 1;
}

bool target_stops_itself(pid_t tid)
{
	unsigned long tracer = target_status(tid, "status", "TracerPid:", 10, 0);

	return !tracer || target_status((pid_t)tracer, "status", "PPid:", 10, 0) ==
			  target_status(tid, "status", "Tgid:", 10, 1);
}

static int check_tracer(pid_t pid, const char *comm)
{
	unsigned long tracer = target_status(pid, "status", "TracerPid:", 10, 0);
	char name[32];

	if (!tracer || target_stops_itself(pid))
		return 0;
	read_comm((pid_t)tracer, name, sizeof(name));
	cmd_error("process %d (%s): is being traced by process %lu (%s), and only one at a time can do that; end that first",
		  pid, comm, tracer, name);
	return -1;
}

/* Has its program's file given it another user than who started it? */
static bool is_set_id(pid_t pid)
{
	unsigned long real = 0, effective = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Uid: %lu %lu", &real, &effective) == 2)
			break;
	if (f)
		fclose(f);
	return real != effective;
}

/* Access was refused: of the reasons there may be, the one that holds. */
static int explain_refusal(pid_t pid, const char *comm)
{
	unsigned long uid = target_status(pid, "status", "Uid:", 10, 0);
	int scope = scope_of_yama();

	if (have_cap_ptrace())
		return refuse(pid, comm, "a security module forbids to trace it");
	if (!geteuid())
		return refuse(pid, comm, "cannot be traced by root without CAP_SYS_PTRACE (a container?); add the capability, or attach from outside");
	if (target_status(pid, "status", "Uid:", 10, 0) == (unsigned long)getuid() && is_set_id(pid))
		return refuse(pid, comm, "cannot be traced by its user, since its program is set-user-ID; attach as root");
	if (uid != (unsigned long)getuid()) {
		cmd_error("process %d (%s): runs as user %lu, not as you; attach as root, or as that user",
			  pid, comm, uid);
		return -1;
	}
	if (scope == 3)
		return refuse(pid, comm, "kernel.yama.ptrace_scope is 3, which forbids to trace any process until the next boot");
	if (scope == 2)
		return refuse(pid, comm, "kernel.yama.ptrace_scope is 2, which permits it only with CAP_SYS_PTRACE; attach as root");
	if (scope == 1)
		return refuse(pid, comm, "kernel.yama.ptrace_scope is 1, which permits to trace one's own children only; attach as root, or set it to 0");
	return refuse(pid, comm, "cannot be traced by its user: its program is set-user-ID, cannot be read, or has forbidden it (prctl PR_SET_DUMPABLE); attach as root");
}

/* By trying: /proc/PID/mem asks for what ptrace() asks. */
static int check_rights(pid_t pid, const char *comm)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return explain_refusal(pid, comm);
	if (fd < 0) {
		cmd_error("process %d (%s): its memory cannot be opened: %s", pid, comm,
			  strerror(errno));
		return -1;
	}
	close(fd);
	/* yama asks at attaching only. */
	if (!have_cap_ptrace() && scope_of_yama() >= 1)
		return explain_refusal(pid, comm);
	return 0;
}

/* ---- its program ---- */

/* The ELF header of its program. False: it cannot be read. */
static bool read_header(int fd, Elf64_Ehdr *eh)
{
	Elf32_Ehdr narrow;

	if (fd < 0 || pread(fd, eh, sizeof(*eh), 0) < (ssize_t)sizeof(narrow))
		return false;
	if (eh->e_ident[EI_CLASS] != ELFCLASS32)
		return true;
	memcpy(&narrow, eh, sizeof(narrow));
	eh->e_machine = narrow.e_machine;
	eh->e_phoff = narrow.e_phoff;
	eh->e_phnum = narrow.e_phnum;
	eh->e_phentsize = narrow.e_phentsize;
	return true;
}

static int open_program(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

const struct inject_abi *target_abi(pid_t pid)
{
	int fd = open_program(pid);
	const struct inject_abi *abi = NULL;
	Elf64_Ehdr eh;

	if (read_header(fd, &eh))
		abi = inject_abi(eh.e_ident, eh.e_machine);
	if (fd >= 0)
		close(fd);
	return abi;
}

/* Its loader, "": it has none. */
static void read_interpreter(int fd, const Elf64_Ehdr *eh, char *name, size_t size)
{
	bool wide = eh->e_ident[EI_CLASS] == ELFCLASS64;
	uint64_t at;
	ssize_t n;

	*name = 0;
	for (int i = 0; i < eh->e_phnum; i++) {
		union {
			Elf64_Phdr wide;
			Elf32_Phdr narrow;
		} ph;
		ssize_t len = wide ? sizeof(ph.wide) : sizeof(ph.narrow);

		if (pread(fd, &ph, (size_t)len, (off_t)(eh->e_phoff + (uint64_t)i * eh->e_phentsize)) != len ||
		    ph.wide.p_type != PT_INTERP)
			continue;
		at = wide ? ph.wide.p_offset : ph.narrow.p_offset;
		n = pread(fd, name, size - 1, (off_t)at);
		name[n > 0 ? n : 0] = 0;
		return;
	}
}

static int check_program(pid_t pid, const char *comm)
{
	const struct inject_abi *abi;
	char interpreter[256] = "";
	int fd = open_program(pid);
	Elf64_Ehdr eh;

	if (!read_header(fd, &eh)) {
		if (fd >= 0)
			close(fd);
		return refuse(pid, comm, "its program cannot be read");
	}
	abi = inject_abi(eh.e_ident, eh.e_machine);
	read_interpreter(fd, &eh, interpreter, sizeof(interpreter));
	close(fd);
	if (!abi)
		return refuse(pid, comm, "a program for another kind of processor (emulated?); attach cannot follow it");
	if (!*interpreter)
		return refuse(pid, comm, "statically linked, so nothing can be loaded into it; link it dynamically, or link libftrace.a into it (libftrace(3))");
	if (strstr(interpreter, "/ld-musl-"))
		return refuse(pid, comm, "linked with musl, whose loader takes no agent that is linked with glibc; build it with glibc");
#ifndef FTRACE_LIB_NARROW
	if (!abi->wide)
		return refuse(pid, comm, "a 32-bit program, and ftrace was built without an agent for those: it takes a compiler that makes them (gcc -m32)");
#endif
	return 0;
}

int target_check(pid_t pid)
{
	char comm[32];

	read_comm(pid, comm, sizeof(comm));
	if (check_kind(pid, comm) || check_tracer(pid, comm) || check_rights(pid, comm) ||
	    check_program(pid, comm))
		return -1;
	if (target_status(pid, "status", "Seccomp:", 10, 0) == 1)
		return refuse(pid, comm, "has forbidden itself almost every system call (seccomp strict mode); no agent can run there");
	return 0;
}

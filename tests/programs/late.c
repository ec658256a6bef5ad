/* SPDX-License-Identifier: MIT */
/*
 * usage: late HOW LIBRARY		load LIBRARY only after the process has changed
 *
 * HOW: nothing; uid (it is nobody's then); chroot (to LIBRARY's folder); seccomp (a filter that kills
 * for any system call but those of dlopen() and printing); closed (every descriptor but 0 to 2);
 * fork (in a child of a child); stopped (a process that sends itself SIGSTOP before, for a test
 * that kills the recorder meanwhile).
 */
#include "t.h"
#include <dlfcn.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }

#define ALLOW(nr)								\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),				\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void forbid(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write), ALLOW(SYS_read), ALLOW(SYS_exit_group), ALLOW(SYS_rt_sigreturn),
		ALLOW(SYS_newfstatat), ALLOW(SYS_openat), ALLOW(SYS_close), ALLOW(SYS_mmap),
		ALLOW(SYS_munmap), ALLOW(SYS_mprotect), ALLOW(SYS_pread64), ALLOW(SYS_brk),
		ALLOW(SYS_futex), ALLOW(SYS_fstat), ALLOW(SYS_getcwd), ALLOW(SYS_getrandom),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void in_child(void)
{
	for (int i = 0; i < 2; i++) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0)
			continue;
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[1] : "", *path = argc > 2 ? argv[2] : "";
	long (*entry)(long), sum = 0;
	char folder[4096];
	void *library;

	for (int i = 0; i < 1000; i++)
		sum = work(sum);
	if (!strcmp(how, "uid")) {
		CHECK(setresgid(65534, 65534, 65534) == 0);
		CHECK(setresuid(65534, 65534, 65534) == 0);
	} else if (!strcmp(how, "chroot")) {
		strcpy(folder, path);
		*strrchr(folder, '/') = 0;
		path = strrchr(path, '/');
		CHECK(chroot(folder) == 0 && chdir("/") == 0);
	} else if (!strcmp(how, "seccomp")) {
		forbid();
	} else if (!strcmp(how, "closed")) {
		CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
	} else if (!strcmp(how, "fork")) {
		in_child();
	} else if (!strcmp(how, "stopped")) {
		raise(SIGSTOP);
	}
	library = dlopen(path, RTLD_NOW);
	if (!library)
		printf("%s\n", dlerror());
	CHECK(library != NULL);
	CHECK((entry = (long (*)(long))dlsym(library, "plugin_entry")) != NULL);
	for (int i = 0; i < 1000; i++)
		sum += entry(i) + work(i);
	printf("%s: %ld\n", how, sum);
	fflush(stdout);
	CHECK(dlclose(library) == 0);
	return 5;
}

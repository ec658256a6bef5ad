/* SPDX-License-Identifier: MIT */
/*
 * The only program of a virtual machine that is there to run tests: runs the lines of /commands, one after
 * the other, and turns the machine off. A line is words parted by blanks:
 *
 *	SECONDS [NAME=VALUE]... PROGRAM [ARGUMENT]...	run it, at most so long
 *	send DIRECTORY					print its files, in hexadecimal
 *	remove DIRECTORY
 *
 * Lines that begin with @@ are ours: "@@ begin N", "@@ end N WAITSTATUS MILLISECONDS" around a command's
 * output, "@@ file PATH", and "@=" before what is in one.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 64

static void send_file(const char *path)
{
	unsigned char bytes[32];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		return;
	printf("@@ file %s\n", path);
	while ((n = fread(bytes, 1, sizeof(bytes), f))) {
		fputs("@=", stdout);
		for (size_t i = 0; i < n; i++)
			printf("%02x", bytes[i]);
		putchar('\n');
	}
	fclose(f);
}

static void send(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[4096];
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			send(path);
		else if (S_ISREG(st.st_mode))
			send_file(path);
	}
	if (d)
		closedir(d);
}

static int split(char *line, char **words)
{
	int n = 0;

	for (char *word = strtok(line, " \n"); word && n < MAX_WORDS; word = strtok(NULL, " \n"))
		words[n++] = word;
	words[n] = NULL;
	return n;
}

/* Its wait status; it, and what it started, is killed after @seconds. */
static int run(char **words, int seconds)
{
	int status = -1, done;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		while (*words && strchr(*words, '='))
			putenv(*words++);
		if (*words)
			execvp(*words, words);
		printf("%s: %s\n", *words ? *words : "nothing", strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	for (int i = 0; i < seconds * 50; i++) {
		done = waitpid(pid, &status, WNOHANG);
		if (done == pid)
			return status;
		nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	}
	printf("still running after %d s\n", seconds);
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

static long milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	return remove(path);
}

int main(void)
{
	static char line[4096];
	char *words[MAX_WORDS + 1];
	int number = 0, n;
	FILE *commands;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	/* The kernel's own words about programs that crash would stand among theirs. */
	write_file("/proc/sys/debug/exception-trace", "0");
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/tmp", 1);
	chdir("/tmp");
	commands = fopen("/commands", "r");
	while (commands && fgets(line, sizeof(line), commands)) {
		n = split(line, words);
		printf("@@ begin %d\n", number);
		if (n > 1 && !strcmp(words[0], "send")) {
			send(words[1]);
			printf("@@ end %d 0\n", number++);
		} else if (n > 1 && !strcmp(words[0], "remove")) {
			nftw(words[1], remove_one, 16, FTW_DEPTH | FTW_PHYS);
			printf("@@ end %d 0\n", number++);
		} else if (n > 1) {
			long began = milliseconds();
			int status = run(words + 1, atoi(words[0]));

			printf("\n@@ end %d %d %ld\n", number++, status, milliseconds() - began);
		}
		fflush(stdout);
		/* Whatever it left behind. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}

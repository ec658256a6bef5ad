/* SPDX-License-Identifier: MIT */
/*
 * A running process, seen from outside: its memory, what its loader has loaded, symbols in that. All
 * of it is read from the process's memory, so that it does not matter which files this command can see.
 */
#ifndef CMD_TARGET_H
#define CMD_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inject_abi;

struct target_range {
	unsigned long lo, hi;
};

/* An object in the loader's list. */
struct target_object {
	char *name;			/* as the loader has it; "" for the executable */
	unsigned long base;
	unsigned long dynamic;		/* address of its dynamic section */
	struct target_range text;	/* its executable segment */
	/* Its dynamic symbols; NULL: not read, or none. */
	struct target_symbol *symbols;
	size_t nsymbols;
	char *strings;
	size_t strings_len;
};

/* A function that an object defines. */
struct target_symbol {
	const char *name;
	unsigned long addr, size;
};

struct target {
	pid_t pid;
	char comm[32];
	const struct inject_abi *abi;	/* of its program; a narrow one's words are half as wide as ours */
	int mem;			/* /proc/PID/mem, for reading and writing */
	bool needs_memfd;		/* memfd_create() will be called in it */
	unsigned long phdr, phnum, loader;	/* of its auxiliary vector; loader: where ld.so is, 0: none */
	struct target_range vdso;
	struct target_object *objects;
	size_t nobjects;
};

/*
 * Open process @pid; its loader's list is read, which changes while its threads run: the answer counts
 * again when one of them stands still. 0, or -1 after having said what is wrong.
 */
int target_open(struct target *t, pid_t pid);

/* The number of process or thread @pid in its own pid namespace. */
pid_t target_inner_pid(pid_t pid);

/* The name of process @pid's command, "" if it is gone. */
void target_comm(pid_t pid, char *comm, size_t size);
void target_close(struct target *t);

/* 0 or -errno, -EIO when only a part could be read. */
int target_read(const struct target *t, unsigned long addr, void *buf, size_t len);
int target_write(const struct target *t, unsigned long addr, const void *buf, size_t len);

/* A line of /proc/PID/@file that begins with @key: what follows it, as a number in @base. @none: no such line. */
unsigned long target_status(pid_t pid, const char *file, const char *key, int base,
			    unsigned long none);

/* ---- target-elf.c ---- */

/* Read the loader's list, again: t->objects. 0 or -errno. */
int target_read_objects(struct target *t);
void target_free_objects(struct target *t);

/* The executable segment of the object whose ELF header is at its base: obj->text. */
void target_find_text(const struct target *t, struct target_object *obj);

/* The functions that @obj defines, each version of one: obj->symbols. 0 or -errno. */
int target_read_symbols(const struct target *t, struct target_object *obj);

/* Where the function @name that @obj defines is (one of its versions). 0: none. */
unsigned long target_function(const struct target *t, struct target_object *obj, const char *name);

/* The build-id that stands in the memory of the process, which its file may not have any more. "": none. */
void target_build_id(const struct target *t, const struct target_object *obj, char hex[41]);

/* The first word of what is at @addr: a struct link_map's is where its object was loaded. 0 or -errno. */
int target_read_word(const struct target *t, unsigned long addr, unsigned long *word);

/* ---- target-check.c ---- */

/* Of what kind its program is, NULL: none whose threads can be borrowed, or it cannot be read. */
const struct inject_abi *target_abi(pid_t pid);

/*
 * Is thread @tid traced by a helper that its own process has made, to stop its threads for a moment (engine/stop.c)? Or by
 * nobody any more.
 */
bool target_stops_itself(pid_t tid);

/* Can @pid be attached to, and may we? 0, or -1 after having said why not. Changes nothing. */
int target_check(pid_t pid);

/*
 * The processes that @text names: a number, or a name that one process has. 0, or -1 after having said
 * what is wrong.
 */
int target_find(const char *text, pid_t *pid);

#endif /* CMD_TARGET_H */

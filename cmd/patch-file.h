/* SPDX-License-Identifier: MIT */
/* A patch as a file (<ftrace/patch.h>): read without running any of it. */
#ifndef CMD_PATCH_FILE_H
#define CMD_PATCH_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record; strings may be NULL. */
struct patch_record {
	uint32_t kind;			/* enum klp_record_kind */
	uint32_t number;		/* among those in the file */
	unsigned long pos;
	const char *object, *file, *name, *text;
	uint64_t func[4];		/* addresses in the file */
};

struct patch_file {
	const char *path;
	char name[64], version[64];
	char id[20];			/* tells these contents from others' */
	bool replace;
	bool wide;			/* for 64-bit programs */
	uint64_t root;			/* address of klp_patch_root */
	struct patch_record *records;
	size_t nrecords;

	void *data;			/* the file */
	size_t size;
	uint8_t *image;			/* its segments as they will be loaded, at address 0 */
	size_t image_size;
	uint64_t root_offset;		/* in the file */
};

/* 0, or -1 after having said what is wrong with the file. */
int patch_file_open(struct patch_file *p, const char *path);
void patch_file_close(struct patch_file *p);

/* The build-id, in hex, that it is for in @object; NULL: none in particular. */
const char *patch_file_build_id(const struct patch_file *p, const char *object);

/* Are these names of one object? */
bool patch_same_object(const char *a, const char *b);

/* Name for people. */
const char *patch_object_name(const char *object);

/*
 * Write into the file at its path that it is for @build_id of @object. 0, or -1 after having said what is
 * wrong.
 */
int patch_file_stamp(struct patch_file *p, const char *object, const char *build_id);

#endif /* CMD_PATCH_FILE_H */

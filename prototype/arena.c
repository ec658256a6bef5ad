/* SPDX-License-Identifier: MIT */
/* Memory that goes all at once. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "prototype/prototype.h"
#include "reader/message.h"

#define BLOCK_SIZE	(64u << 10)

struct proto_block {
	struct proto_block *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

void *proto_alloc(struct proto_arena *arena, size_t size)
{
	struct proto_block *b = arena->blocks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!b || b->size - b->used < size) {
		size_t bytes = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		b = calloc(1, sizeof(*b) + bytes);
		if (!b) {
			trace_error(ENOMEM, "no memory for the prototypes of functions; choose fewer with -F");
			exit(1);
		}
		b->size = bytes;
		b->next = arena->blocks;
		arena->blocks = b;
	}
	p = b->bytes + b->used;
	b->used += size;
	return p;
}

char *proto_strdup(struct proto_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(proto_alloc(arena, size), text, size);
}

char *proto_format(struct proto_arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = proto_alloc(arena, (size_t)len + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}

void proto_free(struct proto_arena *arena)
{
	while (arena->blocks) {
		struct proto_block *b = arena->blocks;

		arena->blocks = b->next;
		free(b);
	}
}

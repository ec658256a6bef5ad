/* SPDX-License-Identifier: MIT */
/*
 * .gnu_debugdata is compressed with xz. liblzma is asked for only where such a section is, and
 * only through dlopen(): nobody else should have to have it.
 */
#include "scratch.h"
#include "symbols.h"

/* Of libc; not there in a static program, which has no .gnu_debugdata worth it either. */
extern void *dlopen(const char *file, int mode) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));
extern int dlclose(void *handle) __attribute__((weak));

bool symbols_without_libc;

#define RTLD_NOW 2

#define LZMA_OK		0
#define LZMA_BUF_ERROR	10
#define MEMORY_LIMIT	(256ull << 20)
#define MAX_UNPACKED	(1ul << 30)

/* lzma_stream_buffer_decode() of liblzma 5 */
typedef int (*decode_func_t)(uint64_t *memlimit, uint32_t flags, const void *allocator,
			     const uint8_t *in, size_t *in_pos, size_t in_size,
			     uint8_t *out, size_t *out_pos, size_t out_size);

static void *unpack(decode_func_t decode, const u8 *data, size_t len, size_t *size)
{
	/* The unpacked size is not told in front: try with more and more room. */
	size_t room = ALIGN_UP(len * 8, FT_PAGE_SIZE);

	for (; room <= MAX_UNPACKED; room *= 4) {
		uint64_t limit = MEMORY_LIMIT;
		size_t in = 0, out = 0;
		void *p = scratch_alloc(room), *exact = NULL;
		int ret;

		if (!p)
			return NULL;
		ret = decode(&limit, 0, NULL, data, &in, len, p, &out, room);
		if (ret == LZMA_OK) {
			exact = scratch_alloc(out);
			if (exact)
				ft_memcpy(exact, p, out);
			*size = out;
		}
		scratch_free(p, room);
		if (ret != LZMA_BUF_ERROR)
			return exact;
	}
	return NULL;
}

void *symbols_unxz(const u8 *data, size_t len, size_t *size)
{
	decode_func_t decode;
	void *lzma, *p = NULL;

	if (symbols_without_libc || !dlopen || !dlsym || !dlclose || !len || len > MAX_UNPACKED / 8)
		return NULL;
	lzma = dlopen("liblzma.so.5", RTLD_NOW);
	if (!lzma) {
		ft_log(0, "names in .gnu_debugdata are not used: liblzma.so.5 cannot be loaded");
		return NULL;
	}
	decode = (decode_func_t)dlsym(lzma, "lzma_stream_buffer_decode");
	if (decode)
		p = unpack(decode, data, len, size);
	dlclose(lzma);
	return p;
}

/* SPDX-License-Identifier: MIT */
/* Making rings: files in the session directory, mapped and backed by memory from the start. */
#include <fcntl.h>
#include <linux/magic.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include <ftrace/trace-event.h>

#include "agent/ring.h"

#define CHUNK		256u

/* How many rings of a process are large; the rest are smaller and smaller. */
#define LARGE_RINGS	16u
#define MIDDLE_RINGS	128u
#define MIDDLE_PACKETS	16u
#define SMALL_PACKETS	4u

/* No ring takes more than this part of what is left in /dev/shm: others live there too. */
#define ROOM_SHARE	16u

static struct agent_ring *chunks[AGENT_MAX_RINGS / CHUNK];
static u32 nrings;	/* begun so far */

struct agent_ring *agent_ring(u32 k)
{
	struct agent_ring *chunk;

	if (k >= READ_ONCE(nrings) || k >= AGENT_MAX_RINGS)
		return NULL;
	chunk = smp_load_acquire(&chunks[k / CHUNK]);
	return chunk ? &chunk[k % CHUNK] : NULL;
}

u32 agent_nrings(void)
{
	return READ_ONCE(nrings);
}

static size_t ring_size(u32 npackets)
{
	return FTRACE_RING_HEADER_SIZE + (size_t)npackets * FTRACE_PACKET_SIZE;
}

/* May a file of @size bytes be made here? RLIMIT_FSIZE kills with a signal, so it is asked first. */
static bool room_for(int fd, size_t size)
{
	struct { unsigned long soft, hard; } limit;
	struct statfs fs;

	if (!arch_getrlimit(RLIMIT_FSIZE, &limit) &&
	    size > limit.soft)
		return false;
	if (arch_syscall(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0) || !fs.f_blocks)
		return true;	/* not known, or a file system without limit: fallocate will tell */
	return size / (size_t)fs.f_bsize < fs.f_bavail / ROOM_SHARE;
}

/*
 * Map @fd so that its packets begin at multiples of their size: whether an address is in a given
 * packet is then one comparison of upper bits.
 */
static struct ftrace_ring *map_aligned(int fd, size_t size)
{
	size_t space = size + FTRACE_PACKET_SIZE;
	char *p = ft_mmap(NULL, space, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *first, *at;
	void *ring;

	if (ft_is_err(p))
		return NULL;
	first = (char *)ALIGN_UP((unsigned long)p + FTRACE_RING_HEADER_SIZE,
				 (unsigned long)FTRACE_PACKET_SIZE);
	at = first - FTRACE_RING_HEADER_SIZE;
	ring = ft_mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
	if (ft_is_err(ring)) {
		arch_syscall(SYS_munmap, (long)p, (long)space, 0, 0, 0, 0);
		return NULL;
	}
	/* A core file would hold what the recording holds. */
	arch_syscall(SYS_madvise, (long)at, (long)size, MADV_DONTDUMP, 0, 0, 0);
	if (at > p)
		arch_syscall(SYS_munmap, (long)p, at - p, 0, 0, 0, 0);
	if (at + size < p + space)
		arch_syscall(SYS_munmap, (long)(at + size), p + space - (at + size), 0, 0, 0, 0);
	return ring;
}

/* One try with @npackets. The memory is there when it returns: a full /dev/shm is an error here. */
static struct ftrace_ring *make_file(const char *path, u32 npackets)
{
	int fd = ft_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct ftrace_ring *ring = NULL;
	size_t size = ring_size(npackets);

	if (fd < 0)
		return NULL;
	if (room_for(fd, size) && !ft_fallocate(fd, 0, size))
		ring = map_aligned(fd, size);
	ft_close(fd);
	if (!ring)
		arch_syscall(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
	return ring;
}

static u32 packets_of(u32 k, s32 owner)
{
	u32 n = agent.session->ring_packets;

	if ((k >= LARGE_RINGS || agent.forked || !AGENT_RING_TID(owner) ||
	     owner & AGENT_RING_EVENTS) && n > MIDDLE_PACKETS)
		n = MIDDLE_PACKETS;
	if ((k >= MIDDLE_RINGS || owner & AGENT_RING_RESERVE) && n > SMALL_PACKETS)
		n = SMALL_PACKETS;
	return n;
}

static struct ftrace_ring *make_shared(u32 k, s32 owner)
{
	char path[AGENT_PATH_MAX], number[16];
	struct ftrace_ring *ring;
	u32 npackets;

	ft_snprintf(number, sizeof(number), "%u", k);
	agent_path(path, agent.gen, number);
	for (npackets = packets_of(k, owner);; npackets = npackets > MIDDLE_PACKETS ? MIDDLE_PACKETS :
						   npackets > SMALL_PACKETS ? SMALL_PACKETS : 2) {
		ring = make_file(path, npackets);
		if (ring)
			break;
		if (npackets <= 2)
			return NULL;
	}
	ring->npackets = npackets;
	ring->overwrite = agent.session->overwrite;
	ring->stream_id = owner & AGENT_RING_EVENTS ? FTRACE_STREAM_EVENTS : FTRACE_STREAM_RECORDS;
	ring->tid = (u32)AGENT_RING_TID(owner);
	smp_store_release(&ring->magic, FTRACE_RING_MAGIC);
	return ring;
}

/* The chunk that holds ring @k, made when needed. Two threads may both make it: one wins. */
static struct agent_ring *chunk_of(u32 k)
{
	struct agent_ring **place = &chunks[k / CHUNK], *none = NULL, *fresh;

	if (smp_load_acquire(place))
		return *place;
	fresh = ft_alloc(CHUNK * sizeof(*fresh));
	if (!fresh)
		return NULL;
	if (__atomic_compare_exchange_n(place, &none, fresh, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return fresh;
	ft_free(fresh, CHUNK * sizeof(*fresh));
	return none;
}

struct agent_ring *agent_ring_make(s32 owner)
{
	struct agent_ring *chunk, *r;
	struct ftrace_ring *shared;
	u32 k;

	if (READ_ONCE(ftrace_no_syscalls) || !agent.map || READ_ONCE(nrings) >= AGENT_MAX_RINGS)
		return NULL;
	k = __atomic_fetch_add(&nrings, 1, __ATOMIC_RELAXED);
	if (k >= AGENT_MAX_RINGS)
		return NULL;
	chunk = chunk_of(k);
	if (!chunk)
		return NULL;
	r = &chunk[k % CHUNK];
	WRITE_ONCE(r->owner, 1ull << 32 | (u32)(AGENT_RING_TID(owner) ? owner : 0));
	shared = make_shared(k, owner);
	if (!shared) {
		u32 next = k + 1;

		/* Its number is free again, unless somebody took the next one meanwhile. */
		__atomic_compare_exchange_n(&nrings, &next, k, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
		return NULL;
	}
	smp_store_release(&r->shared, shared);
	__atomic_fetch_add(&agent.map->nrings, 1, __ATOMIC_RELAXED);
	agent_file_made();
	return r;
}

void agent_rings_forget(void)
{
	u32 k, n = nrings;

	for (k = 0; k < n; k++) {
		struct agent_ring *r = agent_ring(k);

		if (!r)
			continue;
		if (r->shared)
			arch_syscall(SYS_munmap, (long)r->shared,
				     (long)ring_size(r->shared->npackets), 0, 0, 0, 0);
		ft_memset(r, 0, sizeof(*r));
	}
	nrings = 0;
}

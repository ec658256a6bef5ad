/* SPDX-License-Identifier: MIT */
/*
 * Live patching: who has not gone over, a table of thread ids that is changed while it is read.
 *
 * A transition begins with everybody in the version it leads away from, and whoever is given that version puts itself
 * into the table (KLP_VIEW_OPEN). Then all threads that there are are put into it: those it has been
 * given to have come by themselves, also if they were made a moment ago, and the others were there before there was
 * anything to choose. From then on (KLP_VIEW_CLOSED) who is not in the table is in the version that is led to,
 * new threads are. Nobody need be stopped for that.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

#include "livepatch.h"
#include "stop.h"

static u32 slot_of(const struct klp_view *v, s32 tid)
{
	return (u32)tid * 0x9e3779b1u >> 7 & v->mask;
}

bool klp_view_has(const struct klp_view *v, s32 tid)
{
	u32 i = slot_of(v, tid);

	for (u32 n = 0; n <= v->mask; n++, i = (i + 1) & v->mask) {
		s32 there = READ_ONCE(v->tid[i]);

		if (there == tid)
			return true;
		if (!there)
			return false;
	}
	return false;
}

bool klp_view_add(struct klp_view *v, s32 tid)
{
	u32 i = slot_of(v, tid);

	for (u32 n = 0; n <= v->mask; n++, i = (i + 1) & v->mask) {
		s32 there = READ_ONCE(v->tid[i]);

		if (there == tid)
			return true;
		if (!there && (__atomic_compare_exchange_n(&v->tid[i], &there, tid, false,
							   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
			       there == tid))
			return true;
	}
	return false;
}

void klp_view_remove(struct klp_view *v, s32 tid)
{
	u32 i = slot_of(v, tid);

	for (u32 n = 0; n <= v->mask && READ_ONCE(v->tid[i]); n++, i = (i + 1) & v->mask)
		if (READ_ONCE(v->tid[i]) == tid)
			WRITE_ONCE(v->tid[i], -1);
	klp_next_epoch();
}

bool klp_view_wants(const struct klp_view *v, s32 tid)
{
	return !v->gone || !klp_view_has(v->gone, tid);
}

u32 klp_view_ids(const struct klp_view *v, s32 *tids, u32 room)
{
	u32 n = 0;

	for (u32 i = 0; i <= v->mask; i++) {
		s32 tid = READ_ONCE(v->tid[i]);

		if (tid > 0 && n < room)
			tids[n++] = tid;
	}
	return n;
}

/* Every thread in @dir (/proc/self/task); how many there are, or -errno. */
static int add_listed(struct klp_view *v, int dir)
{
	char buf[4096] __attribute__((aligned(8)));
	bool self_there = false;
	s32 self = ft_gettid();
	int listed = 0;
	long n;

	if (arch_syscall(SYS_lseek, dir, 0, SEEK_SET, 0, 0, 0) < 0)
		return -EIO;
	while ((n = arch_syscall(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0)
		for (long at = 0; at < n; at += *(const u16 *)(buf + at + 16)) {
			s32 tid = 0;

			/* struct linux_dirent64: ino, off, 16 bits of length, type, name */
			for (const char *p = buf + at + 19; *p >= '0' && *p <= '9'; p++)
				tid = 10 * tid + *p - '0';
			if (!tid)
				continue;
			listed++;
			self_there |= tid == self;
			if (klp_view_wants(v, tid) && !klp_view_add(v, tid))
				return -EAGAIN;
		}
	return n < 0 || !self_there ? -EIO : listed;
}

/*
 * The kernel's list ends at a thread that is gone by the time it goes on from there. Then it is shorter
 * than there were threads before: those that are behind, and new ones at its end, are not in it.
 */
int klp_view_fill(struct klp_view *v)
{
	int dir = ft_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), listed = 0;
	u32 there = 1;

	if (dir < 0)
		return dir;
	for (u32 i = 0; i < 1000 && listed >= 0 && (u32)listed < there; i++) {
		there = ftrace_count_threads();
		listed = add_listed(v, dir);
	}
	ft_close(dir);
	return listed < 0 ? listed : (u32)listed < there ? -EAGAIN : 0;
}

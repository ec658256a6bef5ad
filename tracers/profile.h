/* SPDX-License-Identifier: MIT */
/* The profile tracer's tables: one a thread, functions in the order of their first call. */
#ifndef FTRACE_TRACERS_PROFILE_H
#define FTRACE_TRACERS_PROFILE_H

#include <ftrace/trace-results.h>

#include "engine/base.h"

struct profile_call;

struct profile_key {
	unsigned long ip;		/* 0: free */
	struct ftrace_profile_entry *entry;
	struct profile_call *outermost;	/* the last call that was no recursion; see profile.c */
};

#define PROFILE_CHUNKS		14u
#define PROFILE_FIRST_CHUNK	256u	/* entries; each later one has twice the last one's */

struct profile_table {
	struct ftrace_profile *shared;
	struct profile_key *keys;	/* hash table, open addressing */
	u32 shift;			/* 64 minus the logarithm of its size */
	u32 used;
	u32 number;			/* K of PID.GEN.K.prof */
	s32 owner;			/* tid; 0: nobody */
	struct ftrace_profile_entry *chunks[PROFILE_CHUNKS];
	u32 room;			/* entries in all chunks there are */
	u32 unloads;			/* tracer_unloads when keys were last looked through */
};

extern __thread struct profile_table *profile_mine;

/* This thread's table the first time: a dead thread's, or a new one. NULL: none can be had. */
struct profile_table *profile_table_slow(void);

static inline struct profile_table *profile_table(void)
{
	return likely(profile_mine != NULL) ? profile_mine : profile_table_slow();
}

static inline u32 profile_hash(unsigned long ip, u32 shift)
{
	return (u32)((u64)ip * 0x9e3779b97f4a7c15ull >> shift);
}

/* The key of a function seen first. NULL: no memory, or its site is gone. */
struct profile_key *profile_add(struct profile_table *table, unsigned long ip);

/* The key of the function whose site is at @ip. Good until the next call. */
static inline struct profile_key *profile_find(struct profile_table *table, unsigned long ip)
{
	u32 mask = (u32)(~0ull >> table->shift), at = profile_hash(ip, table->shift);

	for (; table->keys[at].ip; at = (at + 1) & mask)
		if (table->keys[at].ip == ip)
			return &table->keys[at];
	return profile_add(table, ip);
}

/* Objects were unloaded: forget the keys that mean nothing any more. */
void profile_look_through(struct profile_table *table);

/* A call of a thread that has no table could not be counted. */
void profile_missed(void);

/* In a child of fork: start over with no table. */
void profile_forget(void);

#endif /* FTRACE_TRACERS_PROFILE_H */

/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a recording: records, packets, rings, the process map, the session.
 *
 * A recording is a directory of Common Trace Format 1.8 traces, one a process image:
 *
 *	ftrace.data/
 *		info			text, key=value lines: what was recorded, how, totals
 *		.session		path of the session directory; only while a recording runs
 *		COMM-PID.GEN/		one CTF trace; GEN counts the images (exec) of one pid
 *			metadata	CTF metadata (text); written when the recording ends
 *			stream-K	packets, one file a ring
 *			events-K	the same, of rings with events (<ftrace/trace-event.h>)
 *			.map		struct ftrace_map_header and its text: objects, functions
 *
 * While it runs, the traced processes and the recorder share files in a directory of mode 0700
 * under /dev/shm, the session directory:
 *
 *	control				struct ftrace_session
 *	PID.GEN.map			struct ftrace_map_header and its text
 *	PID.GEN.K			ring K of that process image: struct ftrace_ring and packets
 *	log				lines that traced processes have to say
 *	recording			symbolic link: the recording's directory
 *	oID.ask, .plan, .noplan		plans of objects that were never compiled for tracing, below
 *
 * A dead program leaves its rings there for the recorder; a dead recorder leaves them there for
 * the next reader, or the next recorder. The session directory is locked (flock) by its recorder. All numbers are in the byte order of the traced machine.
 *
 * Source: Common Trace Format 1.8.3, sections 5 (packet header and context) and 6 (events).
 */
#ifndef FTRACE_TRACE_FORMAT_H
#define FTRACE_TRACE_FORMAT_H

#include <stdint.h>

/*
 * A record is one 64-bit word: in memory the low half of the tick counter, 32 bits; the event, enum
 * ftrace_event, 2 bits; the site id, or for FTRACE_EVENT_EXTENDED an enum ftrace_extended, 30 bits. CTF
 * counts bits from the least significant one in little-endian traces and from the most significant
 * one in big-endian ones, so that as a number it is
 *
 *	little-endian	bits 0..31 tick, bits 32..33 event, bits 34..63 site
 *	big-endian	bits 32..63 tick, bits 30..31 event, bits 0..29 site
 *
 * The functions below know. The first form, whatever the machine's byte order is, is what
 * readers get (reader/stream.h).
 */
enum ftrace_event {
	FTRACE_EVENT_ENTRY = 0,		/* a function was entered; its exit will be recorded */
	FTRACE_EVENT_EXIT = 1,		/* the function with this site id returned */
	FTRACE_EVENT_FUNCTION = 2,	/* a function was entered; nothing is known of its return */
	FTRACE_EVENT_EXTENDED = 3,	/* see enum ftrace_extended */
};

enum ftrace_extended {
	FTRACE_EXT_PADDING = 4,		/* no event: a slot given back; readers skip it */
	/*
	 * The last entry (of a function that is still open) was reached by a tail call, and its return will be recorded as that
	 * of the function it was called from. Optional: where it is missing, readers find tail calls
	 * by exits that never come, and can mistake a function that tail-calls itself.
	 */
	FTRACE_EXT_TAIL = 5,
	/*
	 * The innermost call that is open, with those that it tail-called, was left by an exception or
	 * longjmp before now: its exit never comes. Optional, too: written when the thread's next entry
	 * shows that the frame is gone; an exit further out says the same without it.
	 */
	FTRACE_EXT_LEFT = 6,
};

#define FTRACE_RECORD_SITE_SHIFT	34	/* of the first form */
#define FTRACE_RECORD_EVENT_SHIFT	32
#define FTRACE_MAX_SITES		((1u << 30) - 1)	/* the last id is never given out */

/* What a record says beside the time, as in the upper half of the first form. */
#define FTRACE_ID_EVENT(event, site)	((uint32_t)(site) << 2 | (uint32_t)(event))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FTRACE_RECORD_TICK_AT	0	/* bits the two halves of a record are shifted by */
#define FTRACE_RECORD_ID_AT	32
#define FTRACE_RECORD_ID(event, site)	FTRACE_ID_EVENT(event, site)
#else
#define FTRACE_RECORD_TICK_AT	32
#define FTRACE_RECORD_ID_AT	0
#define FTRACE_RECORD_ID(event, site)	((uint32_t)(event) << 30 | (uint32_t)(site))
#endif

/* The record of @id_event at @tick. */
static inline uint64_t ftrace_record_word(uint32_t tick, uint32_t id_event)
{
	return (uint64_t)tick << FTRACE_RECORD_TICK_AT |
	       (uint64_t)FTRACE_RECORD_ID(id_event & 3, id_event >> 2) << FTRACE_RECORD_ID_AT;
}

static inline uint64_t ftrace_record(uint32_t tick, enum ftrace_event event, uint32_t site)
{
	return ftrace_record_word(tick, FTRACE_ID_EVENT(event, site));
}

static inline uint32_t ftrace_record_tick(uint64_t word)
{
	return (uint32_t)(word >> FTRACE_RECORD_TICK_AT);
}

static inline uint32_t ftrace_record_id_event(uint64_t word)
{
	uint32_t id = (uint32_t)(word >> FTRACE_RECORD_ID_AT);

	return FTRACE_RECORD_ID_AT ? id : id << 2 | id >> 30;
}

/*
 * A slot nobody wrote yet holds 0 or, from a ring's second lap on, all ones above the lap's number:
 * an interrupted writer that comes back a lap later finds a value it does not expect, and writes
 * nothing. No record looks like either: site id 2^30 - 1 is never given out, and a record that
 * is 0 would be an entry of site 0 at tick 0 exactly, and site 0 is never given out.
 */
static inline uint64_t ftrace_unwritten(uint64_t lap)
{
	return lap ? (uint64_t)(uint32_t)lap << FTRACE_RECORD_TICK_AT |
		     0xffffffffull << FTRACE_RECORD_ID_AT : 0;
}

static inline int ftrace_is_unwritten(uint64_t word)
{
	return word == 0 || (uint32_t)(word >> FTRACE_RECORD_ID_AT) == 0xffffffffu;
}

/* Packet header and context of the CTF stream, in this order, without holes. */
#define FTRACE_PACKET_MAGIC	0xc1fc1fc1u
#define FTRACE_PACKET_SIZE	65536u		/* bytes in a ring; files keep the used part, long ones in whole pages */

struct ftrace_packet {
	uint32_t magic;			/* FTRACE_PACKET_MAGIC */
	uint32_t stream_id;		/* 0; 1: events, see <ftrace/trace-event.h> */
	uint64_t timestamp_begin;	/* ticks, all 64 bits; every record shares its upper half */
	uint64_t timestamp_end;		/* ticks; 0 while the packet is open */
	uint64_t content_size;		/* bits, this header included; 0 while the packet is open */
	uint64_t packet_size;		/* bits, to the next packet; in a file hardly more than content_size */
	uint64_t events_discarded;	/* records lost by this stream so far */
	uint64_t packet_seq_num;	/* counts up by one within a stream file */
	uint32_t tid;			/* the thread that wrote every record of this packet */
	uint32_t reserved;		/* 0 */
};

/* A ring: one page of header, then npackets packets of FTRACE_PACKET_SIZE. */
#define FTRACE_RING_MAGIC	0x31676e7266747266ull
#define FTRACE_RING_HEADER_SIZE	4096u

struct ftrace_ring {
	uint64_t magic;			/* FTRACE_RING_MAGIC; stored last, when the rest is valid */
	uint32_t npackets;		/* a power of two */
	uint32_t overwrite;		/* 1: flight recorder, the writer takes the oldest packet back */
	uint32_t stream_id;		/* of all its packets */
	uint32_t reserved1;
	uint64_t reserved0[5];
	/* The writer's line. Packets [tail, head) are complete, packet head is being written. */
	_Alignas(64) uint64_t head;	/* packets completed since the ring was made */
	uint64_t discarded;		/* records lost so far, room or time missing */
	uint64_t stalls;		/* times the writer had to wait for the consumer */
	uint32_t tid;			/* owner now; 0: nobody's, free for the next thread */
	uint32_t writer_waits;		/* futex: the writer sleeps until tail moves */
	/* The consumer's line. */
	_Alignas(64) uint64_t tail;	/* packets consumed; their slots are unwritten again */
};

/* The process map: one page of header, then text up to map_len bytes. */
#define FTRACE_MAP_MAGIC	0x3170616d66747266ull
#define FTRACE_MAP_HEADER_SIZE	4096u

/*
 * The text is lines, fields parted by one space, numbers in hexadecimal without 0x:
 *
 *	o OBJ BASE BUILDID PATH		object OBJ was loaded at BASE (BUILDID: hex, or - for none)
 *	s ID OBJ VADDR SIZE NAME	site ID: function at BASE + VADDR, as the symbol table names it
 *	x OBJ COUNT REASON		COUNT functions of OBJ cannot be traced, REASON in words
 *	u OBJ				object OBJ was unloaded (its sites may come back with an o line)
 *	e ...				an event with payload, see <ftrace/trace-event.h>
 *
 * VADDR is the function's entry as symbols know it. NAME is the rest of the line, not demangled.
 */
enum ftrace_process_state {
	FTRACE_PROCESS_RUNNING = 0,
	FTRACE_PROCESS_DONE = 1,	/* the image ran its destructors or called exec */
};

struct ftrace_map_header {
	uint64_t magic;			/* FTRACE_MAP_MAGIC; stored last */
	uint64_t map_len;		/* bytes of text that are complete */
	uint32_t pid, gen;		/* gen: 0, 1, ... for the images of one pid */
	uint32_t parent_pid, parent_gen;
	/*
	 * A fork: this many bytes of the parent's text, counted with what the parent inherited itself,
	 * come before this one's. 0: nothing is inherited.
	 */
	uint64_t inherited;
	uint32_t nrings;		/* rings made so far */
	uint32_t state;			/* enum ftrace_process_state */
	uint64_t start_ticks;		/* the same moment by the tick counter ... */
	uint64_t start_mono_ns;		/* ... by CLOCK_MONOTONIC ... */
	uint64_t start_real_ns;		/* ... and by CLOCK_REALTIME */
	uint64_t calls_unshadowed;	/* calls not recorded: no shadow for their stack */
	uint64_t calls_dropped;		/* calls dropped by depth or threshold */
	uint64_t threads_unrecorded;	/* threads that could get no ring */
	uint32_t untraceable;		/* functions that cannot be traced, all reasons */
	uint32_t word_size;		/* 8 or 4 */
	char comm[16];
	char machine[16];		/* "x86_64", "s390x", ... */
	char exe[1024];
	uint64_t records_lost;		/* of threads that had no ring, or none yet */
};

/*
 * Plans (engine/plan.h). A process that needs the plan of an object and finds neither oID.plan nor
 * oID.noplan makes the symbolic link oID.ask, whose target is "PID PATH": the object's path as that
 * process sees it. It counts asks up, rings the doorbell and waits for plans to change. The
 * recorder makes oID.plan (the plan) or oID.noplan (a symbolic link whose target says why there is none, in
 * words), removes oID.ask, counts plans up and wakes all who wait. Both stay for later processes.
 *
 * ID names a file and its contents: device (major, minor), inode, size, time of modification in ns,
 * in hexadecimal, with FTRACE_PLAN_ID_FORMAT.
 */
#define FTRACE_PLAN_ID_FORMAT	"o%x-%x-%llx-%llx-%llx"
#define FTRACE_PLAN_ID_MAX	96		/* longest ID with its suffix and NUL */

/* The session: shared by the recorder and every traced process. */
#define FTRACE_SESSION_MAGIC	0x3173657366747266ull
#define FTRACE_SESSION_VERSION	3u
#define FTRACE_SESSION_SIZE	65536u
#define FTRACE_SESSION_RECORDING	"recording"
#define FTRACE_SESSION_REQUEST	"request-"	/* and a process's id: what a recorder asks of it, while it attaches */
#define FTRACE_SESSION_ENV	"FTRACE_SESSION"	/* environment: path of the session directory */

struct ftrace_session {
	uint64_t magic;			/* FTRACE_SESSION_MAGIC; stored last */
	uint32_t version;		/* FTRACE_SESSION_VERSION */
	uint32_t recorder_pid;
	uint32_t stopped;		/* 1: no process records any more */
	uint32_t overwrite;		/* rings are flight recorders */
	uint32_t ring_packets;		/* packets of a ring, a power of two; later threads get fewer */
	uint32_t wait_ms;		/* how long a writer waits in a full ring before it drops */
	uint64_t heartbeat;		/* the recorder counts up at least every 100 ms */
	uint32_t doorbell;		/* futex: a writer half full or waiting counts up and wakes */
	uint32_t recorder_sleeps;	/* the recorder is in a futex wait on doorbell */
	uint32_t nfiles;		/* counts up when a process makes a file here */
	uint32_t settings_len;
	uint32_t asks;			/* counts up when a process asks for a plan */
	uint32_t plans;			/* futex: counts up when one has been answered */
	/*
	 * Flight recorders: a process that wants a snapshot stores taken + 1 in asked, or counts missed up
	 * where that is there already; the recorder copies all rings, stores it in taken and wakes who waits for that.
	 */
	uint32_t snapshots_asked;
	uint32_t snapshots_taken;	/* futex */
	uint32_t snapshots_missed;
	uint32_t reserved;
	char settings[];		/* "file=value" lines for the control tree, in order */
};

/*
 * Behind the settings, at the end of the file: for each pid (modulo FTRACE_GEN_FLOORS) the smallest
 * GEN a new process image may take. The recorder removes the files of images that have ended, so
 * that a name being free does not say that it was never used.
 */
#define FTRACE_GEN_FLOORS	4096u

static inline uint16_t *ftrace_gen_floors(struct ftrace_session *session, uint64_t file_size)
{
	return (uint16_t *)((char *)session + file_size) - FTRACE_GEN_FLOORS;
}

/*
 * Before those: lines of processes that can open the file `log` no more (another user or root, a
 * seccomp filter). Each takes its room by adding its length to used; what does not fit is lost.
 */
#define FTRACE_SESSION_LOG_SIZE	4096u

struct ftrace_session_log {
	uint32_t used;
	char text[FTRACE_SESSION_LOG_SIZE - sizeof(uint32_t)];
};

static inline struct ftrace_session_log *ftrace_session_log(struct ftrace_session *session,
							    uint64_t file_size)
{
	return (struct ftrace_session_log *)ftrace_gen_floors(session, file_size) - 1;
}

#endif /* FTRACE_TRACE_FORMAT_H */

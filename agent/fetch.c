/* SPDX-License-Identifier: MIT */
/* See fetch.h. Runs in the middle of the traced program's calls. */
#include <sys/prctl.h>

#include <ftrace/ptrace.h>
#include <ftrace/usdt.h>

#include "agent/fetch.h"
#include "arch.h"
#include "engine/thread.h"
#include "engine/usdt.h"

#define HEAD		((u32)sizeof(struct ftrace_event_head))
#define COMM_SIZE	16u

/* ---- bases ---- */

/* Argument @n at a function's entry: from its register, or from the stack if that is there for certain. */
static bool entry_argument(const struct fetch_site *at, u64 n, u64 *v)
{
	unsigned long sp = user_stack_pointer(at->regs);

	if (n >= PROBE_MAX_RET_ARGS &&
	    ftrace_peek_direct(&at->peek, sp) < (n + 2) * sizeof(long) + 160)
		return false;
	*v = regs_get_argument(at->regs, (unsigned int)n);
	return true;
}

static bool argument(const struct fetch_site *at, u64 n, u64 *v)
{
	if (!at->ret)
		return entry_argument(at, n, v);
	if (!at->entry_args)
		return false;
	*v = at->entry_args[n];
	return true;
}

/* Memory of an operand need not be there: the program itself perhaps never reads it. */
static bool usdt_argument(const struct fetch_site *at, u64 n, u64 *v)
{
	struct usdt_operand operand;
	u32 bytes;

	if (!at->usdt || ftrace_usdt_operand(at->usdt->args, (unsigned int)n, at->regs, &operand))
		return false;
	*v = operand.value;
	if (operand.memory) {
		bytes = (u32)(operand.size < 0 ? -operand.size : operand.size);
		*v = 0;
		if (!ftrace_peek_read(&at->peek, v, operand.value, bytes < sizeof(*v) ? bytes : sizeof(*v)))
			return false;
	}
	*v = ftrace_usdt_extend(*v, operand.size);
	return true;
}

/* The number, or the address that dereferences begin at. False: a fault. */
static bool base_value(const struct fetch_arg *arg, unsigned long symbol, const struct fetch_site *at,
		       u64 *v)
{
	unsigned long word;

	switch (arg->base) {
	case FETCH_REG:
		*v = regs_get_register(at->regs, (unsigned int)arg->value);
		return true;
	case FETCH_ARG:
		return argument(at, arg->value, v);
	case FETCH_FPARG:
	case FETCH_FPRETVAL:
		return ftrace_fp_bits(at->regs, (unsigned int)arg->value, arg->base == FETCH_FPRETVAL,
				      arg->size, arg->word, v);
	case FETCH_X87RETVAL:
		return ftrace_x87_bits(at->regs, (unsigned int)arg->value, arg->word, v);
	case FETCH_RETVAL:
		*v = regs_return_value(at->regs);
		return true;
	case FETCH_STACK:
		*v = user_stack_pointer(at->regs);
		return true;
	case FETCH_STACK_N:
		if (!ftrace_peek_read(&at->peek, &word, user_stack_pointer(at->regs) +
				      (unsigned long)arg->value * sizeof(word), sizeof(word)))
			return false;
		*v = word;
		return true;
	case FETCH_USDT:
		return usdt_argument(at, arg->value, v);
	case FETCH_SYMBOL:
		*v = symbol + arg->value;
		return symbol != 0;
	default:
		*v = arg->value;
		return true;
	}
}

/* ---- scalars ---- */

static u64 load(const void *p, u32 size)
{
	u16 two;
	u32 four;
	u64 eight;

	switch (size) {
	case 1:
		return *(const u8 *)p;
	case 2:
		ft_memcpy(&two, p, 2);
		return two;
	case 4:
		ft_memcpy(&four, p, 4);
		return four;
	}
	ft_memcpy(&eight, p, 8);
	return eight;
}

static void store(void *p, u64 v, u32 size)
{
	u16 two = (u16)v;
	u32 four = (u32)v;

	switch (size) {
	case 1:
		*(u8 *)p = (u8)v;
		break;
	case 2:
		ft_memcpy(p, &two, 2);
		break;
	case 4:
		ft_memcpy(p, &four, 4);
		break;
	default:
		ft_memcpy(p, &v, 8);
	}
}

/* A value of the type's size: signed ones as 64 bits, bit fields alone. */
static u64 cut(const struct fetch_arg *arg, u64 v)
{
	u32 unused = 64 - 8u * arg->size;

	v = v << unused >> unused;
	if (arg->type == FETCH_S)
		v = (u64)((s64)(v << unused) >> unused);
	if (arg->bit_width)
		v = v >> arg->bit_shift & (~0ull >> (64 - arg->bit_width));
	return v;
}

/* ---- strings ---- */

struct letters {
	char *at;
	u32 left;
};

/* How long the string at @addr is; its letters are kept if the kernel had to read them and there is room. */
static long measure(const struct fetch_site *at, unsigned long addr, const char **kept,
		    struct letters *scratch)
{
	size_t direct = ftrace_peek_direct(&at->peek, addr);
	u32 max = FTRACE_EVENT_MAX_STRING;
	size_t most = direct < max ? direct : max;
	long len;

	*kept = NULL;
	for (size_t i = 0; i < most; i++)
		if (!((const volatile char *)addr)[i])
			return (long)i + 1;
	if (direct >= max)
		return (long)max;
	/* A long one, or none at all, is read once more when it is stored. */
	if (scratch->left >= 2) {
		len = ftrace_peek_string(&at->peek, scratch->at, addr, scratch->left);
		if (len < 0)
			return len;
		if (len < (long)scratch->left || scratch->left >= max) {
			*kept = scratch->at;
			scratch->at += len;
			scratch->left -= (u32)len;
			return len;
		}
	}
	return (long)max;
}

/* A name that is a string itself. */
static void whole_string(const struct fetch_arg *arg, struct fetched *out, struct letters *scratch)
{
	if (arg->base == FETCH_IMM_STRING) {
		/* In the definition: with a NUL behind it by whoever keeps that. */
		out->kept = arg->text;
		out->len = arg->text_len + 1 < FTRACE_EVENT_MAX_STRING ? arg->text_len + 1 :
									 FTRACE_EVENT_MAX_STRING;
		return;
	}
	if (scratch->left < COMM_SIZE || READ_ONCE(ftrace_no_syscalls) ||
	    arch_syscall(SYS_prctl, PR_GET_NAME, (long)scratch->at, 0, 0, 0, 0)) {
		out->fault = true;
		return;
	}
	scratch->at[COMM_SIZE - 1] = '\0';
	out->kept = scratch->at;
	out->len = (u32)ft_strlen(scratch->at) + 1;
	scratch->at += out->len;
	scratch->left -= out->len;
}

/* An array of pointers to strings. */
static void measure_strings(const struct fetch_arg *arg, const struct fetch_site *at,
			    struct fetched *out)
{
	for (u32 i = 0; i < arg->count && !out->fault; i++) {
		char buf[128];
		struct letters some = { buf, sizeof(buf) };
		const char *kept;
		unsigned long p;
		long len = -EFAULT;

		if (ftrace_peek_read(&at->peek, &p, (unsigned long)out->v + i * sizeof(p), sizeof(p)))
			len = measure(at, p, &kept, &some);
		if (len < 0)
			out->fault = true;
		else
			out->len += (u32)len;
	}
}

/*
 * Text and length of libc++'s std::string at @addr, as its stable ABI has it: capacity, size and address, or, where they
 * have room, the letters themselves behind a byte with their number. A bit of the first byte tells which.
 */
static bool libcxx_string(const struct fetch_site *at, u64 addr, u64 *text, u64 *length)
{
	unsigned long words[3];
	u8 first, is_long;

	if (!ftrace_peek_read(&at->peek, words, (unsigned long)addr, sizeof(words)))
		return false;
	first = *(const u8 *)words;
	is_long = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? first & 1 : first & 0x80;
	*text = is_long ? words[2] : addr + 1;
	if (is_long)
		*length = words[1];
	else
		*length = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? first >> 1 : first;
	return true;
}

/* ---- the first step ---- */

static void fetch_one(const struct fetch_arg *arg, unsigned long symbol, const struct fetch_site *at,
		      struct fetched *out, struct letters *scratch)
{
	u32 i, last = arg->nderef - 1u;
	u64 v = 0, length;
	unsigned long word;
	long len;

	out->v = 0;
	out->kept = NULL;
	out->len = 0;
	out->fault = false;
	if (arg->base == FETCH_COMM || arg->base == FETCH_IMM_STRING) {
		whole_string(arg, out, scratch);
		return;
	}
	if (!base_value(arg, symbol, at, &v))
		goto fault;
	if (!arg->nderef) {
		out->v = cut(arg, v);
		return;
	}
	for (i = 0; i < last; i++) {
		if (!ftrace_peek_read(&at->peek, &word, (unsigned long)(v + (u64)arg->deref[i]),
				      sizeof(word)))
			goto fault;
		v = word;
	}
	v += (u64)arg->deref[last];
	if (arg->libcxx) {
		if (!libcxx_string(at, v, &v, &length))
			goto fault;
		if (arg->type != FETCH_STRING) {
			out->v = cut(arg, length);
			return;
		}
	}
	if (arg->type == FETCH_STRING && !arg->count) {
		len = measure(at, (unsigned long)v, &out->kept, scratch);
		if (len < 0)
			goto fault;
		out->len = (u32)len;
		out->v = v;
	} else if (arg->count) {
		out->v = (unsigned long)v;
		if (arg->type == FETCH_STRING)
			measure_strings(arg, at, out);
	} else {
		u64 buf = 0;

		if (!ftrace_peek_read(&at->peek, &buf, (unsigned long)v, arg->size))
			goto fault;
		out->v = cut(arg, load(&buf, arg->size));
	}
	return;
fault:
	out->fault = true;
}

void fetch_values(const struct fetch_arg *args, u32 n, const unsigned long *symbols,
		  const struct fetch_site *at, struct fetched *out, char *scratch)
{
	struct letters letters = { scratch, FETCH_SCRATCH };

	for (u32 i = 0; i < n; i++)
		fetch_one(&args[i], symbols[i], at, &out[i], &letters);
}

/* ---- the second step ---- */

u32 fetch_size(const struct fetch_arg *args, u32 n, const struct fetched *values)
{
	u32 size = HEAD;

	for (u32 i = 0; i < n; i++) {
		u32 each = fetch_recorded_size(&args[i]), count = args[i].count ? args[i].count : 1;

		if (args[i].type == FETCH_STRING)
			size += values[i].fault ? count : values[i].len;
		else
			size = ALIGN_UP(size, each) + each * count;
	}
	return ALIGN_UP(size, 8u);
}

/* @p: where, @end: of the room, in which @keep bytes are for what follows. Returns behind its NUL; NULL: a fault. */
static char *store_string(const struct fetch_site *at, unsigned long addr, const char *kept, u32 len,
			  char *p, const char *end)
{
	long room = end - p;

	if (room < 1)
		return NULL;
	if (kept) {
		ft_memcpy(p, kept, len - 1);
		p[len - 1] = '\0';
		return p + len;
	}
	if (room > (long)FTRACE_EVENT_MAX_STRING)
		room = FTRACE_EVENT_MAX_STRING;
	len = (u32)(len < (u32)room ? len : (u32)room);
	room = len > 1 ? ftrace_peek_string(&at->peek, p, addr, len) : 1;
	if (len <= 1)
		*p = '\0';
	return room < 0 ? NULL : p + room;
}

static char *store_strings(const struct fetch_arg *arg, const struct fetch_site *at,
			   const struct fetched *value, char *p)
{
	char *begin = p, *end = p + value->len;

	for (u32 i = 0; i < arg->count; i++) {
		unsigned long word;
		char *next = NULL;
		u32 left = arg->count - i - 1;

		if (ftrace_peek_read(&at->peek, &word, (unsigned long)value->v + i * sizeof(word),
				     sizeof(word)) && end - p > (long)left)
			next = store_string(at, word, NULL, (u32)(end - p) - left, p, end - left);
		if (!next) {
			ft_memset(begin, 0, arg->count);
			return NULL;
		}
		p = next;
	}
	return p;
}

/* Elements of an array; on 32-bit machines addresses become 64 bits. */
static bool store_array(const struct fetch_arg *arg, const struct fetch_site *at,
			const struct fetched *value, char *p)
{
	u32 each = fetch_recorded_size(arg);
	u64 word = 0;

	if (each == arg->size && !arg->bit_width)
		return ftrace_peek_read(&at->peek, p, (unsigned long)value->v, each * arg->count);
	for (u32 i = 0; i < arg->count; i++) {
		if (!ftrace_peek_read(&at->peek, &word, (unsigned long)value->v + i * arg->size,
				      arg->size))
			return false;
		store(p + i * each, cut(arg, load(&word, arg->size)), each);
	}
	return true;
}

u32 fetch_store(const struct fetch_arg *args, u32 n, const struct fetch_site *at,
		const struct fetched *values, char *payload, u32 size, u32 *faults)
{
	char *p = payload + HEAD, *aligned, *next;

	*faults = 0;
	for (u32 i = 0; i < n; i++) {
		const struct fetched *v = &values[i];
		u32 each = fetch_recorded_size(&args[i]), count = args[i].count ? args[i].count : 1;
		bool fault = v->fault;

		if (args[i].type == FETCH_STRING) {
			next = fault ? NULL : args[i].count ? store_strings(&args[i], at, v, p) :
			       store_string(at, (unsigned long)v->v, v->kept, v->len, p,
					    payload + size);
			if (!next) {
				ft_memset(p, 0, count);
				next = p + count;
				*faults |= 1u << i;
			}
			p = next;
			continue;
		}
		aligned = payload + ALIGN_UP((u32)(p - payload), each);
		ft_memset(p, 0, (size_t)(aligned - p));
		p = aligned;
		if (!fault && args[i].count)
			fault = !store_array(&args[i], at, v, p);
		else if (!fault)
			store(p, v->v, each);
		if (fault) {
			ft_memset(p, 0, each * count);
			*faults |= 1u << i;
		}
		p += each * count;
	}
	aligned = payload + ALIGN_UP((u32)(p - payload), 8u);
	ft_memset(p, 0, (size_t)(aligned - p));
	return (u32)(p - payload);
}

const char *fetch_string(const struct fetch_site *at, const struct fetched *value, char *buf, u32 size)
{
	if (value->fault)
		return NULL;
	if (value->kept)
		return value->kept;
	return ftrace_peek_string(&at->peek, buf, (unsigned long)value->v, size) < 0 ? NULL : buf;
}

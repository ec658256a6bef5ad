/* SPDX-License-Identifier: MIT */
/*
 * Backtraces as they are without tracing. The return address of a call whose return is hooked is in its stub, so that
 * an unwinder finds a frame there between the function and its caller. Exceptions and debuggers need it;
 * a program that asks for a list of its callers, to print it or to count a sample for it, gets the list without,
 * as the kernel's unwinder leaves out return_to_handler.
 *
 * Two functions give out such lists: libgcc_s's (or LLVM's) _Unwind_Backtrace(), and libc's backtrace(), which
 * calls the former past the order of symbols. Each is passed on; the frames of stubs, and ours, are not.
 * Both are called in signal handlers (crash reports): no allocation, no lock of ours. Only in the shared
 * library; a program that is linked with the static one has its own libc's functions.
 */
#include <dlfcn.h>
#include <execinfo.h>

#include "arch.h"
#include "guest.h"
#include "scratch.h"
#include "thread.h"
#include "unwind.h"

/* The linker says where a section with such a name begins and ends. */
#define IN_WALK		__attribute__((section("ftrace_walk"), noinline, used))
extern const char __start_ftrace_walk[] __attribute__((visibility("hidden")));
extern const char __stop_ftrace_walk[] __attribute__((visibility("hidden")));

/* A list of so many may lie on the caller's stack, which may be a signal's of 8 KiB: beside the caller's own, as long. */
#define FEW_FRAMES	64

/* <unwind.h>'s (Itanium C++ ABI: Exception Handling, 1.2), which has the name of one of our own headers. */
struct _Unwind_Context;
typedef int trace_fn_t(struct _Unwind_Context *context, void *arg);
typedef int unwind_backtrace_t(trace_fn_t *func, void *arg);
typedef unsigned long get_ip_t(struct _Unwind_Context *context);
#define URC_NO_REASON		0
#define URC_END_OF_STACK	5

typedef int backtrace_t(void **, int);

static unwind_backtrace_t walk_unwind_backtrace;
static backtrace_t walk_backtrace;

static backtrace_t *libc_backtrace;

/* The two of one unwinder: their contexts fit no other's. */
struct unwinder {
	unwind_backtrace_t *backtrace;
	get_ip_t *get_ip;
};
/* Of those that the program began with: what is loaded later may go again. */
static struct unwinder global_unwinder;

static bool is_ours(unsigned long pc)
{
	return ftrace_unwind_is_stub(pc) ||
	       (pc >= (unsigned long)__start_ftrace_walk && pc < (unsigned long)__stop_ftrace_walk);
}

/* The next definition of @name behind ours; in a guest, which is last, the first. */
static void *next(const char *name, void *ours)
{
	void *func = dlsym(ftrace_is_guest() ? RTLD_DEFAULT : RTLD_NEXT, name);

	return func == ours ? NULL : func;
}

static bool from_handle(struct unwinder *u, const char *path, int flags)
{
	void *handle = dlopen(path, flags);

	if (!handle)
		return false;
	u->backtrace = (unwind_backtrace_t *)dlsym(handle, "_Unwind_Backtrace");
	if (u->backtrace == walk_unwind_backtrace)
		u->backtrace = NULL;
	u->get_ip = (get_ip_t *)dlsym(handle, "_Unwind_GetIP");
	if (flags & RTLD_NOLOAD)
		dlclose(handle);
	return u->backtrace && u->get_ip;
}

static bool find_global_unwinder(struct unwinder *u)
{
	u->backtrace = (unwind_backtrace_t *)next("_Unwind_Backtrace", (void *)walk_unwind_backtrace);
	u->get_ip = (get_ip_t *)next("_Unwind_GetIP", NULL);
	return u->backtrace && u->get_ip;
}

/*
 * The unwinder that @caller would have come to: the first in the order of symbols, else that of its own
 * object, which was loaded with its needs for itself (RTLD_LOCAL). libgcc_s is loaded for who asked
 * only because we made the symbol known to it (a weak reference).
 */
static bool find_unwinder(struct unwinder *u, void *caller)
{
	Dl_info info;

	if (global_unwinder.backtrace) {
		*u = global_unwinder;
		return true;
	}
	return find_global_unwinder(u) ||
	       (dladdr(caller, &info) && info.dli_fname &&
		from_handle(u, info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)) ||
	       from_handle(u, "libgcc_s.so.1", RTLD_LAZY | RTLD_NOLOAD) ||
	       from_handle(u, "libgcc_s.so.1", RTLD_LAZY);
}

static void find_libc_backtrace(void)
{
	libc_backtrace = (backtrace_t *)next("backtrace", (void *)walk_backtrace);
}

/* Looked up now: later it may be in a signal handler. */
__attribute__((constructor)) static void look_up(void)
{
	struct unwinder u;

	if (find_global_unwinder(&u))
		global_unwinder = u;
	find_libc_backtrace();
}

/* ---- _Unwind_Backtrace() ---- */

struct walk {
	trace_fn_t *func;
	void *arg;
	get_ip_t *get_ip;
};

IN_WALK static int pass_frame(struct _Unwind_Context *context, void *arg)
{
	const struct walk *w = arg;

	return is_ours(w->get_ip(context)) ? URC_NO_REASON : w->func(context, w->arg);
}

IN_WALK static int walk_unwind_backtrace(trace_fn_t *func, void *arg)
{
	struct walk w = { func, arg, NULL };
	struct unwinder u;
	int ret;

	if (!find_unwinder(&u, __builtin_return_address(0)))
		return URC_END_OF_STACK;
	w.get_ip = u.get_ip;
	ret = u.backtrace(pass_frame, &w);
	barrier();		/* no tail call: our frame is told by where it is */
	return ret;
}

/* ---- backtrace() ---- */

static int leave_out(void **to, void *const *from, int n, int room)
{
	int kept = 0;

	for (int i = 0; i < n && kept < room; i++)
		if (!is_ours((unsigned long)from[i]))
			to[kept++] = from[i];
	return kept;
}

/* There are more frames than @size: half of them may be ours. */
IN_WALK static int from_long_list(void **array, int size)
{
	size_t room = 2 * (size_t)size + 2, bytes = room * sizeof(void *);
	void **list = READ_ONCE(ftrace_no_syscalls) ? NULL : scratch_alloc(bytes);
	int n;

	if (!list)
		return leave_out(array, array, size, size);
	n = leave_out(array, list, libc_backtrace(list, (int)room), size);
	scratch_free(list, bytes);
	return n;
}

/* No more of the stack than is needed. */
IN_WALK static int from_short_list(void **array, int size)
{
	int room = 2 * size + 2;
	void **list = __builtin_alloca((size_t)room * sizeof(void *));

	return leave_out(array, list, libc_backtrace(list, room), size);
}

IN_WALK static int walk_backtrace(void **array, int size)
{
	int n;

	if (!libc_backtrace)
		find_libc_backtrace();
	if (!libc_backtrace || size <= 0)
		return 0;
	n = libc_backtrace(array, size);
	if (n < size)
		n = leave_out(array, array, n, n);
	else if (size <= FEW_FRAMES)
		n = from_short_list(array, size);
	else if (size < __INT_MAX__ / 2 - 1)
		n = from_long_list(array, size);
	barrier();		/* no tail call, as above */
	return n;
}

FTRACE_PUBLIC unwind_backtrace_t _Unwind_Backtrace
	__attribute__((weak, alias("walk_unwind_backtrace")));
FTRACE_PUBLIC backtrace_t backtrace __attribute__((weak, alias("walk_backtrace")));

int backtrace_redirect(void)
{
	static const struct ftrace_redirection list[] = {
		{ "_Unwind_Backtrace", (void *)walk_unwind_backtrace },
		{ "backtrace", (void *)walk_backtrace },
	};

	return ftrace_redirect_locked(list, ARRAY_SIZE(list));
}

/* SPDX-License-Identifier: MIT */
/*
 * Where libc runs with all signals blocked, by system calls of its own: while it begins and ends threads, makes
 * processes, raises a signal, waits for timers. The kernel ends who meets a breakpoint there; a jump does no harm. See trap.h.
 *
 * Found out by stepping through glibc 2.36: what was executed with signals blocked while threads, processes
 * and timers came and went, and what these functions call otherwise.
 */
#include <elf.h>
#include <link.h>

#include "elf-file.h"
#include "kprobe.h"
#include "loader.h"
#include "object.h"
#include "scratch.h"
#include "symbols.h"
#include "trap.h"

#ifdef ARCH_HAS_DETOURS

/* Without leading underscores, and what is behind a dot or a version. */
static const char *const names[] = {
	"abort", "advise_stack_range", "alloc_new_heap", "alloc_perturb", "allocate_stack", "arena_get2",
	"arena_get_retry", "call_tls_dtors", "clone", "clone3", "clone_internal", "close", "create_thread", "ctype_init",
	"do_system", "dup2", "Fork", "execve", "execvpe_common", "execvpex", "fchdir", "chdir", "fcntl64_nocancel", "fcntl",
	"fork", "free", "free_mem", "getpagesize", "glibc_tls_internal_free", "heap_trim", "int_free", "int_malloc",
	"libc_dlerror_result_free", "libc_fork", "libc_sigaction", "libc_thread_freeres", "madvise", "malloc",
	"malloc_arena_thread_freeres", "malloc_consolidate", "memset", "mmap", "mmap64", "mprotect", "munmap",
	"new_heap", "nptl_deallocate_stack", "nptl_deallocate_tsd", "nptl_free_stacks", "nptl_free_tcb",
	"nptl_stack_list_add", "nptl_stack_list_del", "open64_nocancel", "open_nocancel", "pthread_create",
	"pthread_create_2_1", "pthread_disable_asynccancel", "pthread_enable_asynccancel", "pthread_exit",
	"pthread_kill", "pthread_kill_implementation", "pthread_kill_internal", "pthread_mutex_lock",
	"pthread_mutex_lock_full", "pthread_mutex_unlock", "pthread_mutex_unlock_usercnt", "pthread_sigmask",
	"raise", "res_thread_freeres", "resolv_context_freeres", "rpc_thread_destroy", "sched_setparam",
	"sched_setscheduler", "setjmp", "setpgid", "setresgid", "setresuid", "setsid", "shrink_heap", "sigaction",
	"sigjmp_save", "sigprocmask", "sigsetjmp", "sigtimedwait", "sigwaitinfo", "spawni", "spawni_child", "spawnix",
	"start_thread", "sysmalloc", "systrim", "tcache_init", "tcache_thread_shutdown", "timer_helper_thread",
	"timer_sigev_thread", "unlink_chunk", "vfork",
};

struct function {
	u64 addr, end;
	bool blocked;
};

/* For good: libc stays. */
static struct windows {
	unsigned long base, lo, hi;
	bool complete;			/* all functions have symbols */
	u32 n;
	struct function function[];
} *windows;

static bool is_blocked(const char *name)
{
	size_t len = 0;

	while (*name == '_')
		name++;
	while (name[len] && name[len] != '@' && name[len] != '.')
		len++;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!ft_strncmp(name, names[i], len) && !names[i][len])
			return true;
	return len > 6 && !ft_strncmp(name, "memset_", 7);	/* one for each kind of processor */
}

/* Where the object at @base is. */
static void range_of(unsigned long base, unsigned long *lo, unsigned long *hi)
{
	const ElfW(Ehdr) *e = (const void *)base;
	const ElfW(Phdr) *ph = (const void *)(base + e->e_phoff);

	*lo = base;
	*hi = base;
	for (u32 i = 0; i < e->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && base + ph[i].p_vaddr + ph[i].p_memsz > *hi)
			*hi = base + ph[i].p_vaddr + ph[i].p_memsz;
}

static bool is_libc(const char *path)
{
	return ft_starts_with(ft_base_name(path), "libc.so.6");
}

static struct windows *load(const char *path, char *real, unsigned long base)
{
	struct windows *w = NULL;
	struct symbols s;
	char build_id[41];
	struct elf elf;

	if (elf_open(&elf, path, real))
		return NULL;
	elf_build_id(&elf, build_id);
	ft_memset(&s, 0, sizeof(s));
	if (!symbols_load(&s, &elf, real, build_id)) {
		w = ft_alloc(sizeof(*w) + s.n * sizeof(w->function[0]));
		for (u32 i = 0; w && i < s.n; i++) {
			struct function *f = w->n ? &w->function[w->n - 1] : NULL;

			if (!f || f->addr != s.sym[i].addr)
				f = &w->function[w->n++];
			f->addr = s.sym[i].addr;
			if (f->end < s.sym[i].addr + s.sym[i].size)
				f->end = s.sym[i].addr + s.sym[i].size;
			f->blocked |= is_blocked(s.sym[i].name);
		}
		if (w) {
			w->complete = s.complete;
			w->base = base;
			range_of(base, &w->lo, &w->hi);
		}
		symbols_unload(&s);
	}
	elf_close(&elf);
	return w;
}

void trap_windows_look(unsigned long addr)
{
	char *path = scratch_alloc(2 * ELF_PATH_MAX);
	unsigned long base, lo, hi;

	for (u32 i = 1; path && !smp_load_acquire(&windows) &&
			probe_loaded_object(i, path, ELF_PATH_MAX, &base); i++) {
		struct windows *w;

		if (!is_libc(path))
			continue;
		range_of(base, &lo, &hi);
		if (addr < lo || addr >= hi)
			break;
		w = load(path, path + ELF_PATH_MAX, base);
		if (w)
			smp_store_release(&windows, w);
		break;
	}
	scratch_free(path, 2 * ELF_PATH_MAX);
}

bool trap_in_window(unsigned long addr)
{
	const struct windows *w = smp_load_acquire(&windows);
	u32 lo = 0, hi = w ? w->n : 0;

	if (!w || addr < w->lo || addr >= w->hi)
		return false;
	addr -= w->base;
	while (lo < hi) {		/* the first behind it */
		u32 mid = lo + (hi - lo) / 2;

		if (w->function[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Functions in functions there are none; what has no symbol may be any of them. */
	if (lo && addr < w->function[lo - 1].end)
		return w->function[lo - 1].blocked;
	return !w->complete;
}

#endif

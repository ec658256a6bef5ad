/* SPDX-License-Identifier: MIT */
#include <sys/syscall.h>

#include <ftrace/trace-format.h>

#include "arch.h"
#include "callback.h"
#include "chunk.h"
#include "general.h"
#include "graph.h"
#include "ops.h"
#include "thread.h"
#include "thunk.h"

struct ft_mutex *ftrace_lock;
struct ftrace_ops *ftrace_ops_list;

/* Threads chosen with ftrace_set_pid(). */
#define MAX_PIDS	64
struct ftrace_pids {
	u32 n;
	s32 tid[MAX_PIDS];
};

static ftrace_call_t call_of(const struct ftrace_ops *ops)
{
	return (ftrace_call_t)ops->reserved[FTRACE_OPS_CALL];
}

static bool pid_wanted(const struct ftrace_ops *ops, s32 tid)
{
	const struct ftrace_pids *pids = __atomic_load_n(
		(struct ftrace_pids **)&ops->reserved[FTRACE_OPS_PIDS], __ATOMIC_ACQUIRE);

	for (u32 i = 0; pids && i < READ_ONCE(pids->n); i++)
		if (pids->tid[i] == tid)
			return true;
	return false;
}

/* For ops with RECURSION or PID: what stands between the trampoline and their callback. */
static void assist(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		   struct pt_regs *regs, struct dyn_ftrace *site)
{
	struct ftrace_thread *t = ftrace_self;
	u64 bit = 1ull << ((unsigned long)op->reserved[FTRACE_OPS_BIT] & 63);

	if (!t)
		return;
	if ((op->flags & FTRACE_OPS_FL_PID) && !pid_wanted(op, t->tid))
		return;
	if (!(op->flags & FTRACE_OPS_FL_RECURSION)) {
		op->func(ip, parent_ip, op, regs);
		return;
	}
	if (t->recursion & bit)
		return;
	t->recursion |= bit;
	barrier();
	op->func(ip, parent_ip, op, regs);
	barrier();
	t->recursion &= ~bit;
}

/* FTRACE_OPS_FL_RECORD, where it shares a site with others and so cannot have the fast path. */
static void record(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		   struct pt_regs *regs, struct dyn_ftrace *site)
{
	if (ftrace_self && !READ_ONCE(ftrace_self->unchosen))
		ftrace_record_event(ftrace_self,
				    FTRACE_ID_EVENT(FTRACE_EVENT_FUNCTION, site->id),
				    user_stack_pointer(regs));
}

static bool needs_regs(const struct ftrace_ops *ops)
{
	return ops->flags & FTRACE_OPS_FL_SAVE_REGS;
}

/*
 * Have the registers been saved that @ops may change? Not always while it is being registered: a
 * trampoline may have looked at the site before, and asks for the ops after. It is called from the
 * next call on.
 */
bool ftrace_ops_may_run(const struct ftrace_ops *ops, const struct pt_regs *regs)
{
	return (ops->flags & (FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_RECORD)) ||
	       arch_vectors_saved(regs);
}

/*
 * Several ops at one site. Called with the registers that the most demanding of them needs. The call's record comes
 * behind what others have to say of it: readers find events just before it, as with function_graph.
 */
static void call_list(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *list,
		      struct pt_regs *regs, struct dyn_ftrace *site)
{
	struct ftrace_ops *ops = __atomic_load_n(&ftrace_ops_list, __ATOMIC_ACQUIRE);
	bool recorded = false;

	for (; ops; ops = ftrace_ops_next(ops)) {
		if (ops->flags & FTRACE_OPS_FL_RECORD) {
			recorded |= ftrace_ops_wants(ops, site);
			continue;
		}
		if ((needs_regs(ops) && !needs_regs(list)) || !ftrace_ops_may_run(ops, regs))
			continue;
		if (ftrace_ops_wants(ops, site))
			call_of(ops)(ip, parent_ip, ops, regs, site);
	}
	if (!recorded)
		return;
	for (ops = __atomic_load_n(&ftrace_ops_list, __ATOMIC_ACQUIRE); ops; ops = ftrace_ops_next(ops))
		if ((ops->flags & FTRACE_OPS_FL_RECORD) && ftrace_ops_wants(ops, site))
			call_of(ops)(ip, parent_ip, ops, regs, site);
}

struct ftrace_ops ftrace_list_ops = {
	.reserved = { [FTRACE_OPS_CALL] = (void *)call_list },
};
struct ftrace_ops ftrace_list_regs_ops = {
	.flags = FTRACE_OPS_FL_SAVE_REGS,
	.reserved = { [FTRACE_OPS_CALL] = (void *)call_list },
};

/* Of a site's ops, those alone that are never silent. */
static void call_loud(struct pt_regs *regs, unsigned long *slot, unsigned long ret,
			   struct dyn_ftrace *site)
{
	struct ftrace_ops *ops = __atomic_load_n(&ftrace_ops_list, __ATOMIC_ACQUIRE);

	for (; ops; ops = ftrace_ops_next(ops))
		if (ftrace_ops_is_never_silent(ops) && ftrace_ops_may_run(ops, regs) &&
		    ftrace_ops_wants(ops, site))
			call_of(ops)(site->ip, ftrace_real_parent(ret, (unsigned long)slot), ops,
				     regs, site);
}

long ftrace_regs_func(struct pt_regs *regs, struct dyn_ftrace *site)
{
	unsigned long body = arch_site_body(site), sp = user_stack_pointer(regs);
	unsigned long *slot = (unsigned long *)sp, *ret = arch_return_address(regs);
	bool hooked = false, nested = true, silent = READ_ONCE(ftrace_silent);
	struct ftrace_ops *ops;
	struct ftrace_thread *t;

	instruction_pointer_set(regs, body);
	if (silent && !(site->flags & FTRACE_SITE_LOUD))
		return FTRACE_GO_ON;
	t = ftrace_thread_quick();
	if (t)
		nested = ftrace_callback_begin(t, sp, (unsigned long)__builtin_frame_address(0));
	if (ftrace_site_is_behind_prologue(site))
		ret = slot = (unsigned long *)arch_frame_pointer(regs) + 1;
	ops = __atomic_load_n(&site->ops, __ATOMIC_ACQUIRE);
	if (silent || !t)
		call_loud(regs, slot, *ret, site);
	else if (ops && (call_of(ops) == call_list || ftrace_ops_may_run(ops, regs)))
		call_of(ops)(site->ip, ftrace_real_parent(*ret, (unsigned long)slot), ops, regs,
			     site);
	if (READ_ONCE(site->graph) && t)
		hooked = ftrace_graph_enter(t, site, regs, slot, *ret);
	if (t)
		ftrace_callback_end(t, nested);

	if (hooked && (instruction_pointer(regs) != body || user_stack_pointer(regs) != sp ||
		       ftrace_site_is_behind_prologue(site))) {
		/* The stub calls the body and nothing else: what runs instead returns to it. */
		*ret = ftrace_stub(site->id) + ARCH_STUB_RET;
		hooked = false;
	}
	if (instruction_pointer(regs) == body && user_stack_pointer(regs) == sp)
		return hooked ? FTRACE_GO_HOOKED : FTRACE_GO_ON;
	/* Below sp stands our own frame: it can be raised, not lowered. */
	if (user_stack_pointer(regs) < sp)
		arch_set_stack_pointer(regs, sp);
	return FTRACE_GO_ELSEWHERE;
}

/*
 * For ftrace_replace_caller. When it was called the site had no other ops; if it has now, they are told from the
 * next call on. The one ops asks for nobody's parent.
 */
unsigned long ftrace_replace_func(struct pt_regs *regs, struct dyn_ftrace *site)
{
	unsigned long body = arch_site_body(site), sp = user_stack_pointer(regs);
	struct ftrace_thread *t = ftrace_thread_get();
	struct ftrace_ops *ops;
	bool nested = true;

	instruction_pointer_set(regs, body);
	if (t)
		nested = ftrace_callback_begin(t, sp, (unsigned long)__builtin_frame_address(0));
	ops = __atomic_load_n(&site->ops, __ATOMIC_ACQUIRE);
	if (ops && !(ops->flags & FTRACE_OPS_FL_REPLACE)) {
		ops = __atomic_load_n(&ftrace_ops_list, __ATOMIC_ACQUIRE);
		while (ops && !(ops->flags & FTRACE_OPS_FL_REPLACE && ftrace_ops_wants(ops, site)))
			ops = ftrace_ops_next(ops);
	}
	if (ops)
		call_of(ops)(site->ip, 0, ops, regs, site);
	if (t)
		ftrace_callback_end(t, nested);
	return instruction_pointer(regs) != body ? instruction_pointer(regs) : 0;
}

/* For ops that change what functions do: can they, and does nobody else? */
static int check_permanent(struct ftrace_ops *ops, const char *what)
{
	bool direct = ops->flags & FTRACE_OPS_FL_DIRECT;
	u32 n = ftrace_nsites();

	for (u32 id = 1; id < n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (!site || !(site->flags & FTRACE_SITE_ARMED) || !ftrace_ops_wants(ops, site))
			continue;
		if (ftrace_site_is_behind_prologue(site))
			return ft_log(-EINVAL, "%s: %s is traced behind its prologue (plain -pg), "
				      "where another function cannot take over", what, site->name);
		if (site->flags & FTRACE_SITE_IPMODIFY)
			return ft_log(-EBUSY, "%s: %s has an ops with IPMODIFY already", what,
				      site->name);
		if (site->flags & FTRACE_SITE_DIRECT)
			return ft_log(-EBUSY, "%s: %s has a direct call already", what, site->name);
		if (direct && !ftrace_thunk_possible(site))
			return ft_log(-EOPNOTSUPP, "%s: %s cannot have a direct call: its site is "
				      "of a form (or on an architecture) that has none", what,
				      site->name);
	}
	return 0;
}

static void mark_sites(struct ftrace_ops *ops, u32 first, u32 n, bool on)
{
	u32 mark = 0;

	if (ops->flags & FTRACE_OPS_FL_IPMODIFY)
		mark |= FTRACE_SITE_IPMODIFY;
	if (ops->flags & FTRACE_OPS_FL_DIRECT)
		mark |= FTRACE_SITE_DIRECT;

	for (u32 id = first; id < first + n; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (!site || !ftrace_ops_wants(ops, site))
			continue;
		if (on)
			site->flags |= mark;
		else
			site->flags &= ~mark;
	}
}

static void mark_permanent(struct ftrace_ops *ops, bool on)
{
	u32 n = ftrace_nsites();

	if (n > 1)
		mark_sites(ops, 1, n - 1, on);
}

void ftrace_ops_new_sites(u32 first, u32 n)
{
	for (struct ftrace_ops *ops = ftrace_ops_list; ops; ops = ftrace_ops_next(ops)) {
		ftrace_filter_new_sites(ops, first, n);
		if (ftrace_ops_is_permanent(ops))
			mark_sites(ops, first, n, true);
	}
	for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++)
		if (fgraph_array[i])
			ftrace_filter_new_sites(&fgraph_array[i]->ops, first, n);
}

/* Is it about to change what callbacks run of which something was seen (general.h)? */
static bool general_rests_on(const struct ftrace_ops *ops)
{
	u32 n = ftrace_nsites();

	for (u32 id = 1; id < n && ftrace_ops_is_permanent(ops); id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		if (site && ftrace_general_at(site->ip) && ftrace_ops_wants((struct ftrace_ops *)ops, site))
			return true;
	}
	return false;
}

FTRACE_INTERNAL int ftrace_ops_move(struct ftrace_ops *ops, struct ftrace_ops *changed, const char *what)
{
	int err;

	if (general_rests_on(changed))
		return ft_log(-EBUSY, "%s: callbacks of yours run one of these functions: register the ops anew", what);
	mark_permanent(ops, false);
	err = check_permanent(changed, what);
	mark_permanent(err ? ops : changed, true);
	return err;
}

#define KNOWN_FLAGS	(FTRACE_OPS_FL_DYNAMIC | FTRACE_OPS_FL_SAVE_REGS | \
			 FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED | FTRACE_OPS_FL_RECURSION | \
			 FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PID | \
			 FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_RECORD)

static int check(struct ftrace_ops *ops)
{
	if (!ops || (!ops->func && !(ops->flags & FTRACE_OPS_FL_RECORD)))
		return ft_log(-EINVAL, "register_ftrace_function: no callback given");
	if (ops->flags & FTRACE_OPS_FL_ENABLED)
		return ft_log(-EBUSY, "register_ftrace_function: already registered");
	if (ops->flags & ~(unsigned long)KNOWN_FLAGS)
		return ft_log(-EINVAL, "register_ftrace_function: unknown flags 0x%lx",
			      ops->flags & ~(unsigned long)KNOWN_FLAGS);
	if ((ops->flags & FTRACE_OPS_FL_IPMODIFY) && !needs_regs(ops))
		return ft_log(-EINVAL, "register_ftrace_function: IPMODIFY needs SAVE_REGS");
	if ((ops->flags & FTRACE_OPS_FL_RECORD) && !ftrace_stream_ops())
		return ft_log(-ENODEV, "register_ftrace_function: nothing takes records");
	return 0;
}

/* Two ops with one bit would hide each other's calls. */
static int choose_recursion_bit(struct ftrace_ops *ops)
{
	u64 used = 0;

	for (struct ftrace_ops *o = ftrace_ops_list; o; o = ftrace_ops_next(o))
		if (o->flags & FTRACE_OPS_FL_RECURSION)
			used |= 1ull << (unsigned long)o->reserved[FTRACE_OPS_BIT];
	if (used == ~0ull)
		return ft_log(-ENOSPC, "register_ftrace_function: 64 ops with RECURSION are "
			      "registered, which is the most there can be");
	ops->reserved[FTRACE_OPS_BIT] = (void *)(unsigned long)__builtin_ctzll(~used);
	return 0;
}

FTRACE_INTERNAL int ftrace_ops_register(struct ftrace_ops *ops, const char *what)
{
	int err = 0;

	ft_lock(ftrace_lock);
	if (general_rests_on(ops)) {
		ft_unlock(ftrace_lock);
		if (ftrace_in_callback((unsigned long)__builtin_frame_address(0)))
			return ft_log(-EDEADLK, "%s: called from a callback, while others have to be waited for that "
				      "run one of these functions", what);
		probes_general_end();
		ft_lock(ftrace_lock);
	}
	if (!ftrace_nsites() && !(ops->flags & FTRACE_OPS_FL_CHOOSE) &&
	    !(ops->flags & FTRACE_OPS_FL_RECORD && ftrace_patterns_may_wait)) {
		err = ft_log(-ENODEV, "%s: no loaded object was compiled for tracing "
			     "(-fpatchable-function-entry=5)", what);
		goto out;
	}
	if (ftrace_ops_is_permanent(ops)) {
		err = check_permanent(ops, what);
		if (err)
			goto out;
	}
	if (ops->flags & FTRACE_OPS_FL_RECORD)
		ops->reserved[FTRACE_OPS_CALL] = (void *)record;
	else if (ops->flags & (FTRACE_OPS_FL_RECURSION | FTRACE_OPS_FL_PID))
		ops->reserved[FTRACE_OPS_CALL] = (void *)assist;
	else
		ops->reserved[FTRACE_OPS_CALL] = (void *)ops->func;
	if (ops->flags & FTRACE_OPS_FL_RECURSION) {
		err = choose_recursion_bit(ops);
		if (err)
			goto out;
	}
	ftrace_ops_see_general(ops);
	ops->flags |= FTRACE_OPS_FL_ENABLED;
	if (ftrace_ops_is_permanent(ops))
		mark_permanent(ops, true);
	ops->reserved[FTRACE_OPS_NEXT] = ftrace_ops_list;
	__atomic_store_n(&ftrace_ops_list, ops, __ATOMIC_RELEASE);
	err = ftrace_update_all();
out:
	ft_unlock(ftrace_lock);
	if (err && ops->flags & FTRACE_OPS_FL_ENABLED) {
		unregister_ftrace_function(ops);
		return ft_log(err, "%s: the code of traced functions cannot be changed (error %d)",
			      what, -err);
	}
	return err;
}

FTRACE_PUBLIC int register_ftrace_function(struct ftrace_ops *ops)
{
	int err = ftrace_init();

	if (err)
		return err;
	if (ops && (ops->flags & FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED))
		ops->flags |= FTRACE_OPS_FL_SAVE_REGS;
	err = check(ops);
	return err ? err : ftrace_ops_register(ops, "register_ftrace_function");
}

FTRACE_PUBLIC int unregister_ftrace_function(struct ftrace_ops *ops)
{
	struct ftrace_ops **at;
	int err;

	if (!ops || !(ops->flags & FTRACE_OPS_FL_ENABLED))
		return ft_log(-ENOENT, "unregister_ftrace_function: not registered");
	if (ftrace_in_callback((unsigned long)__builtin_frame_address(0)))
		return ft_log(-EDEADLK, "unregister_ftrace_function: called from a callback");
	ft_lock(ftrace_lock);
	for (at = &ftrace_ops_list; *at; at = (struct ftrace_ops **)&(*at)->reserved[FTRACE_OPS_NEXT])
		if (*at == ops)
			break;
	if (!*at) {
		ft_unlock(ftrace_lock);
		return ft_log(-ENOENT, "unregister_ftrace_function: not registered");
	}
	__atomic_store_n(at, ftrace_ops_next(ops), __ATOMIC_RELEASE);
	if (ftrace_ops_is_permanent(ops))
		mark_permanent(ops, false);
	ops->flags &= ~(unsigned long)FTRACE_OPS_FL_ENABLED;
	err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	ftrace_synchronize();
	ftrace_ops_forget_general(ops);
	ops->reserved[FTRACE_OPS_NEXT] = NULL;
	return err;
}

FTRACE_PUBLIC int ftrace_set_pid(struct ftrace_ops *ops, int tid, int reset)
{
	struct ftrace_pids *pids;
	int err = ftrace_init();

	if (err)
		return err;
	if (!ops || tid < 0)
		return ft_log(-EINVAL, "ftrace_set_pid: bad thread id %d", tid);
	ft_lock(ftrace_lock);
	pids = ops->reserved[FTRACE_OPS_PIDS];
	if (!pids) {
		pids = ft_alloc(sizeof(*pids));
		if (!pids) {
			err = -ENOMEM;
			goto out;
		}
		__atomic_store_n((struct ftrace_pids **)&ops->reserved[FTRACE_OPS_PIDS], pids,
				 __ATOMIC_RELEASE);
	}
	if (reset)
		WRITE_ONCE(pids->n, 0);
	if (tid && pids->n == MAX_PIDS) {
		err = ft_log(-ENOSPC, "ftrace_set_pid: more than %u threads", MAX_PIDS);
	} else if (tid) {
		pids->tid[pids->n] = tid;
		smp_store_release(&pids->n, pids->n + 1);
	}
out:
	ft_unlock(ftrace_lock);
	return err;
}

void ftrace_free_pids(struct ftrace_pids *pids)
{
	if (pids)
		ft_free(pids, sizeof(*pids));
}

u32 ftrace_silent;
/* The same word by a name that entry.S can reach without the GOT. */
extern u32 ftrace_silent_local __attribute__((alias("ftrace_silent"), visibility("hidden")));

FTRACE_PUBLIC void ftrace_stop(void)
{
	__atomic_fetch_or(&ftrace_silent, FTRACE_SILENT_STOP, __ATOMIC_SEQ_CST);
}

FTRACE_PUBLIC void ftrace_start(void)
{
	__atomic_fetch_and(&ftrace_silent, ~(u32)FTRACE_SILENT_STOP, __ATOMIC_SEQ_CST);
}

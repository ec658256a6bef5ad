/* SPDX-License-Identifier: MIT */
/* Names of numbers that the C library's functions take, with this machine's values. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prototype/libc-enums.h"

#define ONE(name)		{ #name, ~0ull, (uint64_t)(int64_t)(name) }
#define FLAG(name)		{ #name, (uint64_t)(uint32_t)(name), (uint64_t)(uint32_t)(name) }
#define PART(name, mask)	{ #name, (uint64_t)(uint32_t)(mask), (uint64_t)(uint32_t)(name) }

static const struct proto_enumerator open_flags[] = {
	PART(O_RDONLY, O_ACCMODE), PART(O_WRONLY, O_ACCMODE), PART(O_RDWR, O_ACCMODE),
	FLAG(O_CREAT), FLAG(O_EXCL), FLAG(O_NOCTTY), FLAG(O_TRUNC), FLAG(O_APPEND), FLAG(O_NONBLOCK),
	FLAG(O_SYNC), FLAG(O_DSYNC), FLAG(O_ASYNC), FLAG(O_DIRECT), FLAG(O_TMPFILE), FLAG(O_DIRECTORY), FLAG(O_NOFOLLOW),
	FLAG(O_NOATIME), FLAG(O_CLOEXEC), FLAG(O_PATH),
};
static const struct proto_enumerator whence[] = {
	ONE(SEEK_SET), ONE(SEEK_CUR), ONE(SEEK_END), ONE(SEEK_DATA), ONE(SEEK_HOLE),
};
static const struct proto_enumerator dirfds[] = { ONE(AT_FDCWD) };
static const struct proto_enumerator at_flags[] = {
	FLAG(AT_SYMLINK_NOFOLLOW), FLAG(AT_REMOVEDIR), FLAG(AT_SYMLINK_FOLLOW), FLAG(AT_NO_AUTOMOUNT), FLAG(AT_EMPTY_PATH),
};
static const struct proto_enumerator access_modes[] = { ONE(F_OK), FLAG(R_OK), FLAG(W_OK), FLAG(X_OK) };
static const struct proto_enumerator fcntl_commands[] = {
	ONE(F_DUPFD), ONE(F_GETFD), ONE(F_SETFD), ONE(F_GETFL), ONE(F_SETFL), ONE(F_GETLK), ONE(F_SETLK), ONE(F_SETLKW),
	ONE(F_SETOWN), ONE(F_GETOWN), ONE(F_SETSIG), ONE(F_GETSIG), ONE(F_SETLEASE), ONE(F_GETLEASE), ONE(F_NOTIFY),
	ONE(F_DUPFD_CLOEXEC), ONE(F_SETPIPE_SZ), ONE(F_GETPIPE_SZ), ONE(F_ADD_SEALS), ONE(F_GET_SEALS),
};
static const struct proto_enumerator ioctls[] = {
	ONE(TCGETS), ONE(TCSETS), ONE(TCSETSW), ONE(TIOCGWINSZ), ONE(TIOCSWINSZ), ONE(TIOCGPGRP), ONE(TIOCSPGRP),
	ONE(TIOCSCTTY), ONE(TIOCNOTTY), ONE(FIONREAD), ONE(FIONBIO), ONE(FIOCLEX), ONE(FIONCLEX),
};
static const struct proto_enumerator fadvise[] = {
	ONE(POSIX_FADV_NORMAL), ONE(POSIX_FADV_RANDOM), ONE(POSIX_FADV_SEQUENTIAL), ONE(POSIX_FADV_WILLNEED),
	ONE(POSIX_FADV_DONTNEED), ONE(POSIX_FADV_NOREUSE),
};
static const struct proto_enumerator flocks[] = { FLAG(LOCK_SH), FLAG(LOCK_EX), FLAG(LOCK_UN), FLAG(LOCK_NB) };
static const struct proto_enumerator vbufs[] = { ONE(_IOFBF), ONE(_IOLBF), ONE(_IONBF) };
static const struct proto_enumerator prots[] = {
	ONE(PROT_NONE), FLAG(PROT_READ), FLAG(PROT_WRITE), FLAG(PROT_EXEC), FLAG(PROT_GROWSDOWN), FLAG(PROT_GROWSUP),
};
static const struct proto_enumerator map_flags[] = {
	PART(MAP_SHARED, 15), PART(MAP_PRIVATE, 15), PART(MAP_SHARED_VALIDATE, 15),
	FLAG(MAP_FIXED), FLAG(MAP_ANONYMOUS), FLAG(MAP_GROWSDOWN), FLAG(MAP_DENYWRITE), FLAG(MAP_EXECUTABLE), FLAG(MAP_LOCKED),
	FLAG(MAP_NORESERVE), FLAG(MAP_POPULATE), FLAG(MAP_NONBLOCK), FLAG(MAP_STACK), FLAG(MAP_HUGETLB), FLAG(MAP_SYNC),
	FLAG(MAP_FIXED_NOREPLACE),
};
static const struct proto_enumerator mremap_flags[] = { FLAG(MREMAP_MAYMOVE), FLAG(MREMAP_FIXED) };
static const struct proto_enumerator madvise_values[] = {
	ONE(MADV_NORMAL), ONE(MADV_RANDOM), ONE(MADV_SEQUENTIAL), ONE(MADV_WILLNEED), ONE(MADV_DONTNEED), ONE(MADV_FREE),
	ONE(MADV_REMOVE), ONE(MADV_DONTFORK), ONE(MADV_DOFORK), ONE(MADV_MERGEABLE), ONE(MADV_HUGEPAGE),
	ONE(MADV_NOHUGEPAGE), ONE(MADV_DONTDUMP), ONE(MADV_DODUMP), ONE(MADV_WIPEONFORK), ONE(MADV_KEEPONFORK),
};
static const struct proto_enumerator msync_flags[] = { FLAG(MS_ASYNC), FLAG(MS_INVALIDATE), FLAG(MS_SYNC) };
static const struct proto_enumerator memfd_flags[] = {
	FLAG(MFD_CLOEXEC), FLAG(MFD_ALLOW_SEALING), FLAG(MFD_HUGETLB),
};
static const struct proto_enumerator errnos[] = {
	ONE(EPERM), ONE(ENOENT), ONE(ESRCH), ONE(EINTR), ONE(EIO), ONE(ENXIO), ONE(E2BIG), ONE(ENOEXEC), ONE(EBADF),
	ONE(ECHILD), ONE(EAGAIN), ONE(ENOMEM), ONE(EACCES), ONE(EFAULT), ONE(EBUSY), ONE(EEXIST), ONE(EXDEV), ONE(ENODEV),
	ONE(ENOTDIR), ONE(EISDIR), ONE(EINVAL), ONE(ENFILE), ONE(EMFILE), ONE(ENOTTY), ONE(EFBIG), ONE(ENOSPC), ONE(ESPIPE),
	ONE(EROFS), ONE(EMLINK), ONE(EPIPE), ONE(EDOM), ONE(ERANGE), ONE(EDEADLK), ONE(ENAMETOOLONG), ONE(ENOSYS),
	ONE(ENOTEMPTY), ONE(ELOOP), ONE(EILSEQ), ONE(EPROTO), ONE(EOVERFLOW), ONE(ENOTSOCK), ONE(EOPNOTSUPP), ONE(EADDRINUSE),
	ONE(EADDRNOTAVAIL), ONE(ENETUNREACH), ONE(ECONNABORTED), ONE(ECONNRESET), ONE(ENOBUFS), ONE(EISCONN), ONE(ENOTCONN),
	ONE(ETIMEDOUT), ONE(ECONNREFUSED), ONE(EHOSTUNREACH), ONE(EALREADY), ONE(EINPROGRESS), ONE(ESTALE), ONE(ECANCELED),
};
static const struct proto_enumerator signals[] = {
	ONE(SIGHUP), ONE(SIGINT), ONE(SIGQUIT), ONE(SIGILL), ONE(SIGTRAP), ONE(SIGABRT), ONE(SIGBUS), ONE(SIGFPE), ONE(SIGKILL),
	ONE(SIGUSR1), ONE(SIGSEGV), ONE(SIGUSR2), ONE(SIGPIPE), ONE(SIGALRM), ONE(SIGTERM), ONE(SIGCHLD), ONE(SIGCONT),
	ONE(SIGSTOP), ONE(SIGTSTP), ONE(SIGTTIN), ONE(SIGTTOU), ONE(SIGURG), ONE(SIGXCPU), ONE(SIGXFSZ), ONE(SIGVTALRM),
	ONE(SIGPROF), ONE(SIGWINCH), ONE(SIGIO), ONE(SIGPWR), ONE(SIGSYS),
};
static const struct proto_enumerator sigmasks[] = { ONE(SIG_BLOCK), ONE(SIG_UNBLOCK), ONE(SIG_SETMASK) };
static const struct proto_enumerator locales[] = {
	ONE(LC_CTYPE), ONE(LC_NUMERIC), ONE(LC_TIME), ONE(LC_COLLATE), ONE(LC_MONETARY), ONE(LC_MESSAGES), ONE(LC_ALL),
	ONE(LC_PAPER), ONE(LC_NAME), ONE(LC_ADDRESS), ONE(LC_TELEPHONE), ONE(LC_MEASUREMENT), ONE(LC_IDENTIFICATION),
};
static const struct proto_enumerator dlopen_modes[] = {
	PART(RTLD_LAZY, 3), PART(RTLD_NOW, 3), FLAG(RTLD_NOLOAD), FLAG(RTLD_DEEPBIND), FLAG(RTLD_GLOBAL), FLAG(RTLD_NODELETE),
};
static const struct proto_enumerator sysconfs[] = {
	ONE(_SC_ARG_MAX), ONE(_SC_CHILD_MAX), ONE(_SC_CLK_TCK), ONE(_SC_NGROUPS_MAX), ONE(_SC_OPEN_MAX), ONE(_SC_PAGESIZE),
	ONE(_SC_NPROCESSORS_CONF), ONE(_SC_NPROCESSORS_ONLN), ONE(_SC_PHYS_PAGES), ONE(_SC_AVPHYS_PAGES), ONE(_SC_IOV_MAX),
	ONE(_SC_GETPW_R_SIZE_MAX), ONE(_SC_GETGR_R_SIZE_MAX), ONE(_SC_HOST_NAME_MAX), ONE(_SC_LINE_MAX),
	ONE(_SC_LEVEL1_DCACHE_SIZE), ONE(_SC_LEVEL1_DCACHE_LINESIZE), ONE(_SC_LEVEL2_CACHE_SIZE), ONE(_SC_LEVEL3_CACHE_SIZE),
};
static const struct proto_enumerator waits[] = {
	FLAG(WNOHANG), FLAG(WUNTRACED), FLAG(WEXITED), FLAG(WCONTINUED), FLAG(WNOWAIT),
};
static const struct proto_enumerator rlimits[] = {
	ONE(RLIMIT_CPU), ONE(RLIMIT_FSIZE), ONE(RLIMIT_DATA), ONE(RLIMIT_STACK), ONE(RLIMIT_CORE), ONE(RLIMIT_RSS),
	ONE(RLIMIT_NPROC), ONE(RLIMIT_NOFILE), ONE(RLIMIT_MEMLOCK), ONE(RLIMIT_AS), ONE(RLIMIT_LOCKS), ONE(RLIMIT_SIGPENDING),
	ONE(RLIMIT_MSGQUEUE), ONE(RLIMIT_NICE), ONE(RLIMIT_RTPRIO), ONE(RLIMIT_RTTIME),
};
static const struct proto_enumerator rusages[] = { ONE(RUSAGE_SELF), ONE(RUSAGE_CHILDREN), ONE(RUSAGE_THREAD) };
static const struct proto_enumerator prctls[] = {
	ONE(PR_SET_PDEATHSIG), ONE(PR_GET_PDEATHSIG), ONE(PR_GET_DUMPABLE), ONE(PR_SET_DUMPABLE), ONE(PR_SET_NAME),
	ONE(PR_GET_NAME), ONE(PR_GET_SECCOMP), ONE(PR_SET_SECCOMP), ONE(PR_CAPBSET_READ), ONE(PR_CAPBSET_DROP),
	ONE(PR_SET_TIMERSLACK), ONE(PR_SET_MM), ONE(PR_SET_CHILD_SUBREAPER), ONE(PR_SET_NO_NEW_PRIVS),
	ONE(PR_GET_NO_NEW_PRIVS), ONE(PR_SET_PTRACER), ONE(PR_SET_THP_DISABLE), ONE(PR_SET_KEEPCAPS),
};
static const struct proto_enumerator ptraces[] = {
	ONE(PTRACE_TRACEME), ONE(PTRACE_PEEKTEXT), ONE(PTRACE_PEEKDATA), ONE(PTRACE_PEEKUSER), ONE(PTRACE_POKETEXT),
	ONE(PTRACE_POKEDATA), ONE(PTRACE_POKEUSER), ONE(PTRACE_CONT), ONE(PTRACE_KILL), ONE(PTRACE_SINGLESTEP),
	ONE(PTRACE_ATTACH), ONE(PTRACE_DETACH), ONE(PTRACE_SYSCALL), ONE(PTRACE_SETOPTIONS), ONE(PTRACE_GETEVENTMSG),
	ONE(PTRACE_GETSIGINFO), ONE(PTRACE_SETSIGINFO), ONE(PTRACE_GETREGSET), ONE(PTRACE_SETREGSET), ONE(PTRACE_SEIZE),
	ONE(PTRACE_INTERRUPT), ONE(PTRACE_LISTEN),
};
static const struct proto_enumerator scheds[] = {
	ONE(SCHED_OTHER), ONE(SCHED_FIFO), ONE(SCHED_RR), ONE(SCHED_BATCH), ONE(SCHED_IDLE),
};
static const struct proto_enumerator clocks[] = {
	ONE(CLOCK_REALTIME), ONE(CLOCK_MONOTONIC), ONE(CLOCK_PROCESS_CPUTIME_ID), ONE(CLOCK_THREAD_CPUTIME_ID),
	ONE(CLOCK_MONOTONIC_RAW), ONE(CLOCK_REALTIME_COARSE), ONE(CLOCK_MONOTONIC_COARSE), ONE(CLOCK_BOOTTIME), ONE(CLOCK_TAI),
};
static const struct proto_enumerator epolls[] = { ONE(EPOLL_CTL_ADD), ONE(EPOLL_CTL_DEL), ONE(EPOLL_CTL_MOD) };
static const struct proto_enumerator domains[] = {
	ONE(AF_UNSPEC), ONE(AF_UNIX), ONE(AF_INET), ONE(AF_INET6), ONE(AF_NETLINK), ONE(AF_PACKET), ONE(AF_VSOCK),
	ONE(AF_ALG), ONE(AF_BLUETOOTH), ONE(AF_CAN),
};
static const struct proto_enumerator socket_types[] = {
	PART(SOCK_STREAM, 15), PART(SOCK_DGRAM, 15), PART(SOCK_RAW, 15), PART(SOCK_RDM, 15), PART(SOCK_SEQPACKET, 15),
	FLAG(SOCK_CLOEXEC), FLAG(SOCK_NONBLOCK),
};
static const struct proto_enumerator protocols[] = {
	ONE(IPPROTO_IP), ONE(IPPROTO_ICMP), ONE(IPPROTO_TCP), ONE(IPPROTO_UDP), ONE(IPPROTO_IPV6), ONE(IPPROTO_SCTP),
	ONE(IPPROTO_RAW),
};
static const struct proto_enumerator levels[] = {
	ONE(SOL_SOCKET), ONE(IPPROTO_IP), ONE(IPPROTO_TCP), ONE(IPPROTO_UDP), ONE(IPPROTO_IPV6),
};
static const struct proto_enumerator shuts[] = { ONE(SHUT_RD), ONE(SHUT_WR), ONE(SHUT_RDWR) };
static const struct proto_enumerator msgs[] = {
	FLAG(MSG_OOB), FLAG(MSG_PEEK), FLAG(MSG_DONTROUTE), FLAG(MSG_CTRUNC), FLAG(MSG_TRUNC), FLAG(MSG_DONTWAIT), FLAG(MSG_EOR),
	FLAG(MSG_WAITALL), FLAG(MSG_CONFIRM), FLAG(MSG_ERRQUEUE), FLAG(MSG_NOSIGNAL), FLAG(MSG_MORE), FLAG(MSG_CMSG_CLOEXEC),
};

#define ENUM(name, list)	{ name, list, sizeof(list) / sizeof(list[0]), 0 }

struct proto_enum proto_libc_enums[] = {
	ENUM("open", open_flags), ENUM("whence", whence), ENUM("dirfd", dirfds), ENUM("at", at_flags),
	ENUM("access", access_modes), ENUM("fcntl", fcntl_commands), ENUM("ioctl", ioctls), ENUM("fadvise", fadvise),
	ENUM("flock", flocks), ENUM("vbuf", vbufs), ENUM("prot", prots), ENUM("mapflags", map_flags),
	ENUM("mremap", mremap_flags), ENUM("madvise", madvise_values), ENUM("msync", msync_flags),
	ENUM("memfd", memfd_flags), ENUM("errno", errnos), ENUM("signal", signals), ENUM("sigmask", sigmasks),
	ENUM("locale", locales), ENUM("dlopen", dlopen_modes), ENUM("sysconf", sysconfs), ENUM("wait", waits),
	ENUM("rlimit", rlimits), ENUM("rusage", rusages), ENUM("prctl", prctls), ENUM("ptrace", ptraces),
	ENUM("sched", scheds), ENUM("clock", clocks), ENUM("epoll", epolls), ENUM("domain", domains),
	ENUM("socktype", socket_types), ENUM("proto", protocols), ENUM("sol", levels), ENUM("shut", shuts),
	ENUM("msg", msgs),
};
const size_t proto_libc_nenums = sizeof(proto_libc_enums) / sizeof(proto_libc_enums[0]);
const uint64_t proto_libc_creates = (uint64_t)(O_CREAT | (O_TMPFILE & ~O_DIRECTORY));

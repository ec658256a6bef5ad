/* SPDX-License-Identifier: MIT */
/*
 * System calls that a stop ends with EINTR though no handler has run (signal(7)), and that can be made
 * again: nothing has happened yet. A list of CALL(name), of those that there are; it is included once for
 * each place and width.
 */
	CALL(epoll_wait), CALL(epoll_pwait), CALL(rt_sigtimedwait), CALL(io_getevents),
#ifdef __NR_epoll_pwait2
	CALL(epoll_pwait2),
#endif
#ifdef __NR_io_pgetevents
	CALL(io_pgetevents),
#endif
#ifdef __NR_io_uring_enter
	CALL(io_uring_enter),
#endif
#ifdef __NR_semtimedop
	CALL(semtimedop),
#endif
#ifdef __NR_semop
	CALL(semop),
#endif
#ifdef __NR_accept
	CALL(accept),
#endif
#ifdef __NR_ipc
	CALL(ipc), CALL(socketcall),
#endif
	/* Where words are narrow, those with times of 64 bits are others. */
#ifdef __NR_rt_sigtimedwait_time64
	CALL(rt_sigtimedwait_time64), CALL(io_pgetevents_time64), CALL(semtimedop_time64),
	CALL(recvmmsg_time64),
#endif
	/* Sockets with a time limit of their own. */
	CALL(accept4), CALL(connect), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg), CALL(sendto),
	CALL(sendmsg), CALL(sendmmsg), CALL(read), CALL(readv), CALL(write), CALL(writev),

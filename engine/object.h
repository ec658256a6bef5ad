/* SPDX-License-Identifier: MIT */
/* Objects: finding what is loaded, giving it sites, following dlopen and dlclose. */
#ifndef FTRACE_ENGINE_OBJECT_H
#define FTRACE_ENGINE_OBJECT_H

#include "base.h"

/*
 * Look at what the loader has mapped: give sites to objects that are new, put away those that are
 * gone. ftrace_lock is held. @fresh: new objects were just mapped and none of their code has run,
 * so that they may be armed though other threads run.
 */
void ftrace_objects_scan(bool fresh);

/*
 * The same without any system call, in a process that may have forbidden them: nothing new is taken
 * in, but what is gone is put away. True: something that was wanted is left out.
 */
bool ftrace_objects_scan_quietly(void);

/* Be told by the loader of every dlopen and dlclose, before constructors run. 0 or -errno, logged. */
int ftrace_loader_hook(void);

#endif /* FTRACE_ENGINE_OBJECT_H */

/* SPDX-License-Identifier: MIT */
/* The tracer that traces nothing: what is current before another one is chosen. */
#include <stddef.h>

#include "tracers/tracer.h"

struct tracer tracer_nop = { .name = "nop" };

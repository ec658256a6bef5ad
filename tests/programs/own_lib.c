/* SPDX-License-Identifier: MIT */
/* For own.c. */
#include "t.h"

NOINLINE long own_library(long x);
NOINLINE long own_library(long x) { KEEP(); return x + 1; }

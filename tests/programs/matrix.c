/* SPDX-License-Identifier: MIT */
#define EXTERN_C
#define EXTRA_FUNCTIONS(X)
#define EXTRA_CODE
#define EXTRA_RUN
#include "matrix.inc"

/* SPDX-License-Identifier: MIT */
#define NAME(what)	across_##what
#include "crossing.inc"

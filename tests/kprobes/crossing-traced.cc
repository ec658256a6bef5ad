/* SPDX-License-Identifier: MIT */
#define NAME(what)	traced_##what
#include "crossing.inc"

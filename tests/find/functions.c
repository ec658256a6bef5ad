/* SPDX-License-Identifier: MIT */
#include "functions.inc"

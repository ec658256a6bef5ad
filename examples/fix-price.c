/* SPDX-License-Identifier: MIT */
/*
 * fix-price: a patch for the program shop, to be put into it while it runs.
 *
 *	cc -O2 shop.c -o shop && ./shop &
 *	cc -O2 -shared -fPIC fix-price.c -o fix-price.so $(pkg-config --cflags libftrace)
 *	ftrace patch stamp fix-price.so shop
 *	ftrace patch apply shop fix-price.so
 *	ftrace patch revert shop
 */
#include <ftrace/patch.h>

KLP_SYMBOL(long, discount);		/* static in shop.c */

/* The bug: the discount is taken off negative prices, too. */
static long fixed_price(long cents)
{
	return cents < 0 ? cents : cents - discount;
}

KLP_REPLACE(price, fixed_price);
KLP_PATCH("fix-price", "1");

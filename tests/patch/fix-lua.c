/* SPDX-License-Identifier: MIT */
/*
 * A patch for Lua 5.4.4, one of whose known bugs is that utf8.codes() takes no notice of continuation bytes that
 * continue nothing; 5.4.5 and later report them. Both iterators of lutf8lib.c are static, and call nothing of
 * it here but what any program's extension may call.
 */
#include <ftrace/patch.h>

#include "lauxlib.h"
#include "lua.h"

static int continues(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The character at @s, and its length; -1: there is none. @strict: in today's range only. */
static int decode(const unsigned char *s, size_t len, int strict, lua_Integer *code)
{
	static const unsigned long least[] = { 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000 };
	int more = 0;
	unsigned long c;

	if (s[0] < 0x80) {
		*code = s[0];
		return 1;
	}
	while (more < 6 && s[0] & (0x40 >> more))
		more++;
	if (!more || more > 5 || (size_t)more >= len)
		return -1;
	c = s[0] & (0x3f >> more);
	for (int i = 1; i <= more; i++) {
		if (!continues(s[i]))
			return -1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[more] || (strict && (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))))
		return -1;
	*code = (lua_Integer)c;
	return more + 1;
}

/* utf8.codes' iterator: the string, and where the last character began, from 1; 0 at first. */
static int next_code(lua_State *L, int strict)
{
	size_t len;
	const unsigned char *s = (const unsigned char *)luaL_checklstring(L, 1, &len);
	size_t at = (size_t)lua_tointeger(L, 2);
	lua_Integer code;
	int n;

	while (at && at < len && continues(s[at]))
		at++;
	if (at >= len)
		return 0;
	n = decode(s + at, len - at, strict, &code);
	if (n < 0 || (at + (size_t)n < len && continues(s[at + (size_t)n])))
		return luaL_error(L, "invalid UTF-8 code");
	lua_pushinteger(L, (lua_Integer)at + 1);
	lua_pushinteger(L, code);
	return 2;
}

static int next_strict(lua_State *L)
{
	return next_code(L, 1);
}

static int next_lax(lua_State *L)
{
	return next_code(L, 0);
}

KLP_REPLACE(iter_auxstrict, next_strict);
KLP_REPLACE(iter_auxlax, next_lax);
KLP_PATCH("utf8-codes", "5.4.4-1");

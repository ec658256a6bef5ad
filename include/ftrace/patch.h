/* SPDX-License-Identifier: MIT */
/*
 * Writing a patch: a shared object with new versions of functions, for 'ftrace patch' (ftrace-patch(1)) to put
 * into running programs.
 *
 *	#include <ftrace/patch.h>
 *
 *	KLP_SYMBOL(int, limit);				// the program's own, static ones too
 *	KLP_SYMBOL(void (const char *), complain);
 *
 *	static int fixed_parse(const char *text)
 *	{
 *		if (strlen(text) > (size_t)limit)	// was: >=
 *			complain(text);
 *		...
 *	}
 *	KLP_REPLACE(parse, fixed_parse);
 *
 *	$ cc -shared -fPIC -O2 fix.c -o fix.so
 *	$ ftrace patch stamp fix.so /usr/bin/program	(for this build of it, and no other)
 *	$ ftrace patch check fix.so /usr/bin/program	(what of it can be applied?)
 *	$ ftrace patch apply PID fix.so
 *
 * C or C++, gcc or clang, one source file or several; nothing has to be linked. The macros below write
 * records into the section klp_records of the object, for others to read without running it. All of them
 * stand outside of functions and end with a semicolon.
 *
 * Objects are named by the base name of their file ("libssl.so.3"), or by a path; NULL is the executable. A
 * function is known by its symbol (in C++ the mangled one), wherever that can be had: .symtab, .dynsym,
 * .gnu_debugdata, a separate debug file. Where an object has several functions of a name, @pos tells which, by
 * address from 1, or @file does: the source file's name as the symbol table has it ("parse.c").
 *
 * What a new version must know. It is called with the arguments of the old one and returns to its caller, so it has
 * the same type. Functions of that name that the compiler has inlined elsewhere are not replaced: replace those
 * that contain it. Threads go over to the new versions when none of the replaced functions is on their stack
 * (<ftrace/livepatch.h>). Static variables of the patch are its own, and begin anew. Constructors of the
 * patch run when it is loaded, before what KLP_SYMBOL() declares is there. What the patch has handed out
 * (strings, callbacks) may be in use after it is reverted: so it stays loaded.
 *
 * From <ftrace/livepatch.h> a patch can use shadow variables and states; the library fills them in.
 */
#ifndef FTRACE_PATCH_H
#define FTRACE_PATCH_H

#include <ftrace/livepatch.h>
#include <ftrace/patch-records.h>

/* Without linking to the library: filled in when the patch is applied. */
#pragma weak klp_shadow_get
#pragma weak klp_shadow_alloc
#pragma weak klp_shadow_get_or_alloc
#pragma weak klp_shadow_free
#pragma weak klp_shadow_free_all
#pragma weak klp_get_state
#pragma weak klp_get_prev_state

/* ---- what is replaced ---- */

/* Put @new_func in the place of the executable's function @old. */
#define KLP_REPLACE(old, new_func)		KLP_REPLACE_AT(0, 0, #old, 0, new_func)

/* The same of the @pos-th of several of that name. */
#define KLP_REPLACE_POS(old, pos, new_func)	KLP_REPLACE_AT(0, 0, #old, pos, new_func)

/*
 * The same of the shared library @object. Where it is not loaded yet, when it will be: if it was compiled for tracing
 * (-fpatchable-function-entry=5), and the patch refers to no symbol of it.
 */
#define KLP_REPLACE_IN(object, old, new_func)	KLP_REPLACE_AT(object, 0, #old, 0, new_func)

/* All of it said; @object, @file and @name are strings, @object and @file may be NULL, @pos 0. */
#define KLP_REPLACE_AT(object, file, name, pos, new_func) \
	KLP_RECORD_(KLP_RECORD_FUNC, pos, object, file, name, 0, (void *)(new_func), 0, 0, 0)

/* ---- what is used of the program ---- */

/*
 * Declare @name, a variable or function of the executable, of type @type: KLP_SYMBOL(struct conf *, conf),
 * KLP_SYMBOL(char[16], buffer), KLP_SYMBOL(int (int, char *), helper). Static ones, and static variables inside of
 * functions (KLP_SYMBOL_AT(int, count, NULL, NULL, "count.2", 0)) as well. A replaced function that is called by
 * its name is the new one. Thread-local variables, and functions that are chosen at load time, cannot be had.
 * What the dynamic linker knows (libc's functions, say) needs no such declaration.
 */
#define KLP_SYMBOL(type, name)			KLP_SYMBOL_AT(type, name, 0, 0, #name, 0)
#define KLP_SYMBOL_POS(type, name, pos)		KLP_SYMBOL_AT(type, name, 0, 0, #name, pos)
#define KLP_SYMBOL_IN(object, type, name)	KLP_SYMBOL_AT(type, name, object, 0, #name, 0)

/* All of it said: it is called @name here, and @symbol in the object. Names must differ in all of the patch. */
#define KLP_SYMBOL_AT(type, name, object, file, symbol, pos) \
	extern __typeof__(type) name __asm__(KLP_ALIAS_ #name) __attribute__((weak)); \
	KLP_RECORD_(KLP_RECORD_SYMBOL, pos, object, file, symbol, KLP_ALIAS_ #name, 0, 0, 0, 0)

/* ---- about the patch ---- */

/* Its name, instead of that of its file, and its version, for people. */
#define KLP_PATCH(name, version) \
	KLP_RECORD_(KLP_RECORD_PATCH, 0, 0, 0, name, version, 0, 0, 0, 0)

/* The build-id, in hex, of the @object that the patch is for; 'ftrace patch stamp' does the same afterwards. */
#define KLP_BUILD_ID(object, hex) \
	KLP_RECORD_(KLP_RECORD_BUILD_ID, 0, object, 0, 0, hex, 0, 0, 0, 0)

/* It takes the place of all patches that are there (struct klp_patch.replace). */
#define KLP_ATOMIC_REPLACE \
	KLP_RECORD_(KLP_RECORD_REPLACE, 0, 0, 0, 0, 0, 0, 0, 0, 0)

/*
 * What is to be done around the patching of @object, of which the patch must replace something: struct
 * klp_callbacks; any may be NULL. They run in a thread that the C library does not know: they may call
 * what this header offers, functions of the patch and of the program that do not need the C library, and system calls;
 * no malloc(), no stdio, nothing that sets errno.
 */
#define KLP_CALLBACKS(object, pre_patch, post_patch, pre_unpatch, post_unpatch) \
	KLP_RECORD_(KLP_RECORD_CALLBACKS, 0, object, 0, 0, 0, (void *)(pre_patch), \
		    (void *)(post_patch), (void *)(pre_unpatch), (void *)(post_unpatch))

/* A state of the system that the patch changes: klp_get_state(klp_this_patch(), @id). */
#define KLP_STATE(id, version) \
	KLP_RECORD_(KLP_RECORD_STATE, version, 0, 0, 0, 0, (void *)(unsigned long)(id), 0, 0, 0)

/* ---- how it is done ---- */

#define KLP_PASTE2_(a, b)	a##b
#define KLP_PASTE_(a, b)	KLP_PASTE2_(a, b)
#define KLP_RECORD_(kind_, pos_, object_, file_, name_, text_, f0, f1, f2, f3) \
	static struct klp_record KLP_PASTE_(klp_record_, __COUNTER__) \
		__attribute__((used, section("klp_records"), aligned(8))) = { \
		KLP_RECORD_MAGIC, kind_, pos_, object_, file_, name_, text_, { f0, f1, f2, f3 } }

/* The section is there, however few records there are. */
KLP_RECORD_(KLP_RECORD_NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0);

#ifdef __cplusplus
extern "C" {
#endif
extern struct klp_record __start_klp_records[] __attribute__((visibility("hidden")));
extern struct klp_record __stop_klp_records[] __attribute__((visibility("hidden")));

extern struct klp_patch_root klp_patch_root;
__attribute__((weak, used, visibility("default"))) struct klp_patch_root klp_patch_root = {
	KLP_ROOT_MAGIC, __start_klp_records, __stop_klp_records, 0, { 0, 0, 0, 0 },
	{ { { 0 }, { 0 } } },
};
#ifdef __cplusplus
}
#endif

/* The patch itself, for klp_get_state(). NULL until it is enabled for the first time. */
static inline struct klp_patch *klp_this_patch(void)
{
	return klp_patch_root.patch;
}

#endif /* FTRACE_PATCH_H */

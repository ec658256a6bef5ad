# SPDX-License-Identifier: MIT
"""Functions that read their own return address: entries only, and nobody else's returns are lost."""
import glob
import itertools
import os
import re
import subprocess

import pytest

import ftracetest
from ftracetest import have
from findtest import ENTRY_ONLY, FORMS, Found, compile_text, copy

ROOT = os.path.dirname(ftracetest.TESTS)

# Those that read it begin with reads_; no other does.
TEXT = r"""
#ifdef __cplusplus
extern "C" {
#endif
#define N __attribute__((noinline, used))
#define RA __builtin_return_address(0)
typedef unsigned long word;
void *volatile kept;
volatile word number;
struct pair { void *from; word more; } pairs[8];
N __attribute__((cold)) void complain(void *from, int a) { kept = from; number = a; }
N void take(void *from, int a) { kept = from; number += a; }
N void *reads_plainly(void) { return RA; }
N void *reads_with_frame(int a) { volatile char b[200]; b[a] = 1; take(0, b[a / 2]); return RA; }
N int reads_behind_condition(int a) { if (a > 3) kept = RA; return a + 1; }
N int reads_when_unlikely(int a) { if (__builtin_expect(a > 3, 0)) complain(RA, a); return a + 1; }
N void reads_and_passes(int a) { take(RA, a); number = a; }
N void reads_at_the_end(int a) { take(0, a); take(0, a + 1); take(RA, a); }
N int reads_and_compares(void *p) { return p == RA; }
N int reads_and_orders(void *p) { return p < RA ? 3 : 4; }
N int reads_and_tests(void) { return RA == 0; }
N word reads_and_adds(word a) { return a + (word)RA; }
N word reads_half(word a) { return (unsigned)a ^ (unsigned)(word)RA; }
N void reads_into_pair(word a, word i) { pairs[i].from = RA; pairs[i].more = a; }
N void reads_into_pair_behind(word a, word i) { pairs[i].more = a; pairs[i].from = RA; }
N word reads_with_many(word a, word b, word c, word d, word e, word f, word g, word h)
{ take(0, a); take(0, b); take(0, c); take(0, d); take(0, e); take(0, f); take(RA, g);
  return a + b + c + d + e + f + g + h; }
void take_many(word, word, word, word, word, word, void *, word);
N word reads_and_pushes(word a) { take_many(1, 2, 3, 4, 5, 6, RA, a); return a; }
void take_many(word a, word b, word c, word d, word e, word f, void *g, word h) { kept = g; }
N word reads_with_alloca(word n) { char *p = (char *)__builtin_alloca(n); take(p, n); take(RA, 1); return p[0]; }
N word reads_in_loop(word n) { word s = 0; while (n--) { s += (word)RA; take(0, n); } return s; }
static inline __attribute__((always_inline)) void *inlined(void) { return RA; }
N void *reads_inlined(int a) { take(0, a); return inlined(); }
N word stack_arguments(word a, word b, word c, word d, word e, word f, word g, word h)
{ take(0, g); return a + h; }
N word locals(word a) { volatile word w[20]; for (int i = 0; i < 20; i++) w[i] = a; return w[a]; }
N word ends_of_locals(word a) { word w[3]; for (word *p = w; p < w + 3; p++) take(p, a); return w[a]; }
N word variable(int n, ...)
{ __builtin_va_list l; word s = 0; __builtin_va_start(l, n); while (n--) s += __builtin_va_arg(l, word);
  __builtin_va_end(l); return s; }
N word allocates(word n) { char *p = (char *)__builtin_alloca(n); take(p, n); return p[n / 2]; }
N word wide_alignment(word n) { volatile __attribute__((aligned(64))) word w[8]; w[n] = n; return w[n / 2]; }
N void *frame(void) { return __builtin_frame_address(0); }
N word calls_reader(word a) { kept = reads_plainly(); return a; }
N word spills(word a, word b) { take(0, 1); take(0, 2); return a * b + number; }
int main(void) { return (int)calls_reader(spills(1, 2)); }
#ifdef __cplusplus
}
#endif
"""

# Entries only by their names, should such a function be among ours; the last one does read it.
LISTED = {"dlsym", "dlopen", "_Unwind_Backtrace"}
READERS = set(re.findall(r"\bN \S+ \*?(reads_\w+)", TEXT))


def marked(path):
    found = Found(path)
    assert len(found.sites) > 5
    return {site.name for site in found.sites if site.flags & ENTRY_ONLY}, {
        site.name for site in found.sites}


def compilers(language):
    return [cc for cc in (("gcc", "clang") if language == "c" else ("g++", "clang++")) if have(cc)]


@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("language", ["c", "c++"])
def test_readers(language, level, tmp_path):
    frames = [[], ["-fno-omit-frame-pointer"], ["-mavx2"], ["-fno-pie", "-no-pie"]]
    for cc, protection, frame in itertools.product(compilers(language), ("none", "full"), frames):
        path = os.path.join(tmp_path, "x")
        flags = [level, f"-fcf-protection={protection}", *frame, *FORMS["nops5"]]
        subprocess.run([cc, "-w", "-x", language, "-", "-o", path, *flags], input=TEXT.encode(),
                       check=True)
        entry_only, names = marked(path)
        assert READERS < names and len(names) > len(READERS) + 10
        assert entry_only == READERS, (cc, flags)


@pytest.mark.parametrize("form", ["nops16_8", "short7_5", "mfentry", "mcount"])
def test_forms(form, tmp_path):
    for level in ("-O0", "-O2"):
        entry_only, _ = marked(compile_text(tmp_path, TEXT, level, *FORMS[form]))
        assert entry_only == READERS, level


def test_stripped(tmp_path):
    """The unwind table is enough."""
    path = compile_text(tmp_path, TEXT, "-O2", *FORMS["nops5"])
    wanted = {site.entry for site in Found(path).sites if site.name in READERS}
    stripped = copy(path, tmp_path, "stripped")
    subprocess.run(["strip", stripped], check=True)
    assert {site.entry for site in Found(stripped).sites if site.flags & ENTRY_ONLY} == wanted


def test_tail_calls(tmp_path):
    """Who jumps to a reader lends it its own return address; so does one whose cold part reads it."""
    path = compile_text(tmp_path, """
        #define N __attribute__((noinline, noipa))
        void *volatile kept;
        N void *who(int a) { kept = __builtin_return_address(0); return kept; }
        N void *tail(int a) { return who(a + 1); }
        N void *tail_of_tail(int a) { return tail(a + 1); }
        N void *no_tail(int a) { kept = who(a); return 0; }
        N __attribute__((patchable_function_entry(0))) void *not_a_site(int a)
        { kept = __builtin_return_address(0); return kept; }
        N void *tail_of_no_site(int a) { return not_a_site(a + 1); }
        N void *other(int a) { return 0; }
        N void *tail_of_other(int a) { return other(a + 1); }
        int main(void) { return 0; }""", "-O2", *FORMS["nops5"])
    entry_only, _ = marked(path)
    assert entry_only == {"who", "tail", "tail_of_tail", "tail_of_no_site"}


def test_ordinary_functions(tmp_path):
    """Of thousands of functions that never do, hardly one is taken for a reader."""
    sources = [file for folder in ("engine", "reader") for file in
               sorted(glob.glob(os.path.join(ROOT, folder, "*.c")))]
    includes = ["-I" + os.path.join(ROOT, folder) for folder in (
        "", "include", "arch", "arch/x86", "arch/x86/include", "engine")]
    includes += ["-I" + os.path.join(ftracetest.BUILD, folder) for folder in ("", "arch")]
    total, wrong = 0, []
    for cc, level in itertools.product(compilers("c"), ("-O0", "-O2")):
        subprocess.run([cc, "-w", "-std=gnu11", "-D_GNU_SOURCE", level, "-fPIC", "-c", *includes,
                        *FORMS["nops5"], *sources], check=True, cwd=tmp_path)
        path = os.path.join(tmp_path, "all.so")
        objects = glob.glob(os.path.join(tmp_path, "*.o"))
        subprocess.run([cc, "-shared", "-Wl,-z,muldefs", "-Wl,--unresolved-symbols=ignore-all", "-o",
                        path, *objects], check=True)
        for file in objects:
            os.unlink(file)
        entry_only, names = marked(path)
        total += len(names)
        wrong += [(cc, level, name) for name in sorted(entry_only - LISTED)]
    print(f"{len(wrong)} of {total} functions taken for readers of their return address: {wrong}")
    assert total > 1500 and len(wrong) <= total // 1000

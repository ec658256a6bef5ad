# SPDX-License-Identifier: MIT
"""The finder of functions against the symbol table: every compile form, kind of object, compiler,
level and protection; damaged files."""
import os
import re
import subprocess

import pytest

import ftracetest
from findtest import DUMP, ENTRY_ONLY, FORMS, Found, KINDS, RARE, add_debug_data, command, compile_text, copy, has_linker, \
    program, separate, symbols

FUZZ = os.path.join(ftracetest.BUILD, "tests", "find", "find-fuzz")
EXPECTED = {
    "nops5": {"nop", "nops"}, "nops16_8": {"nop", "nops"}, "short7_5": {"short"},
    "short9_5": {"short"}, "few3": set(), "few5_4": set(), "before5_5": set(),
    "mfentry_rec": {"call", "call-got"}, "mfentry_nop": {"nop"}, "mfentry": {"call", "call-got"},
    "mcount_rec": {"mcount", "mcount-got"}, "mcount_nop": {"mcount"}, "mcount": {"mcount", "mcount-got"},
}
REASONS = {"few3": "too few nops", "few5_4": "too few nops", "before5_5": "all its nops are before"}


def wanted(path):
    """Addresses of the functions that were compiled for tracing: name(s) by address."""
    by_address = {}
    for name, (address, _) in symbols(path).items():
        if "traced_" in name and ".cold" not in name:
            by_address.setdefault(address, set()).add(name)
    return by_address


def read_code(path):
    """A function (address, length) -> bytes as they stand in the loaded file."""
    segments = []
    output = subprocess.run(["readelf", "-lW", path], stdout=subprocess.PIPE, check=True).stdout
    for line in output.decode().splitlines():
        fields = line.split()
        if fields and fields[0] == "LOAD":
            segments.append([int(f, 16) for f in (fields[1], fields[2], fields[4])])
    with open(path, "rb") as file:
        data = file.read()

    def code(address, length):
        for offset, start, size in segments:
            if start <= address and address + length <= start + size:
                return data[offset + address - start:][:length]
        raise AssertionError(f"{address:x} is not in the file")
    return code


ENDBR = b"\xf3\x0f\x1e\xfa"


def check_bytes(code, site):
    at = code(site.vaddr, site.len)
    pad = 4 if code(site.entry, 4) == ENDBR else 0
    where = f"{site}: {at.hex()}"
    if site.form in ("nop", "nops"):
        assert re.fullmatch(rb"(?:\x66*\x90|\x66*\x2e?\x0f\x1f[\x00\x40\x44\x80\x84].*)+", at,
                            re.DOTALL), where
        assert site.len >= 5, where
    elif site.form == "short":
        assert 2 <= site.len <= 4 and at[0] in (0x90, 0x66, 0x0f), where
        before = code(site.entry - 5, 5)
        assert before in (b"\x90" * 5, b"\x0f\x1f\x44\0\0"), where
    elif site.len == 5:
        assert at[0] == 0xe8 or at == b"\x0f\x1f\x44\0\0", where
    else:
        assert site.len == 6 and at[:2] in (b"\xff\x15", b"\x67\xe8"), where
    if site.form.startswith("mcount"):
        assert site.vaddr > site.entry + pad, where
    else:
        assert site.vaddr == site.entry + pad, where


def check(path, form):
    found, expected, code = Found(path), wanted(path), read_code(path)
    assert found.error is None
    assert len(expected) > 10
    ours = {site.entry: site for site in found.sites
            if "traced_" in site.name or "plain_" in site.name}
    refused = {r.entry: r for r in found.refused if "traced_" in r.name or "plain_" in r.name}
    missing = {a: n for a, n in expected.items() if a not in ours and a not in refused}
    extra = [s for a, s in [*ours.items(), *refused.items()] if a not in expected]
    assert not missing and not extra, (missing, extra)
    if form in REASONS:
        assert all(r.reason.startswith(REASONS[form]) for r in refused.values())
        assert len(refused) > len(ours)
    else:
        assert not refused, list(refused.values())[:5]
    for site in ours.values():
        # A loop at the beginning is aligned with more nops, which serve as well.
        more = {"nops", "nop", "short"} if "patchable" in FORMS[form][0] and (
            "_noreturn" in site.name or "_loop_at_" in site.name) else set()
        assert site.form in EXPECTED[form] | more, site
        assert site.name in expected[site.entry], site
        assert site.size == symbols_of(path)[site.name][1], site
        # The realigned frame holds a copy of the return address only.
        if site.flags:
            assert site.flags == ENTRY_ONLY and "realigned" in site.name, site
            assert form.startswith("mcount"), site
        check_bytes(code, site)
    return found


def symbols_of(path):
    if path not in symbols_of.known:
        symbols_of.known[path] = symbols(path)
    return symbols_of.known[path]


symbols_of.known = {}


@pytest.mark.parametrize("form,kind", [(form, kind) for form in FORMS for kind in KINDS
                                       if RARE.get(form, kind) == kind])
def test_matrix(form, kind):
    if not has_linker(KINDS[kind][1]):
        pytest.skip(f"the linker does not take {' '.join(KINDS[kind][1])}")
    check(program(form, kind), form)


def test_entry_only(tmp_path):
    names = ["vfork", "_setjmp", "__sigsetjmp", "getcontext", "swapcontext", "dlsym", "dlopen"]
    others = ["vforks", "my_setjmp", "dlsym_of"]
    text = "".join(f"int {name}(void) {{ return 1; }}\n" for name in names + others)
    text += "int alias_of_vfork(void) __attribute__((alias(\"vfork\")));\n"
    path = compile_text(tmp_path, text + "int main(void) { return 0; }", "-fno-builtin",
                        "-fpatchable-function-entry=5")
    flags = {site.name: site.flags for site in Found(path).sites}
    assert flags == {**{name: ENTRY_ONLY for name in names}, **{name: 0 for name in others},
                     "main": 0}


def test_tail_calls(tmp_path):
    """Who jumps to dlsym() passes its own return address on, and so does who jumps there."""
    text = """
        #include <dlfcn.h>
        #define N __attribute__((noinline))
        void *volatile kept;
        N void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
        N void *again(const char *name) { return next(name); }
        N void *once_more(const char *name) { return again(name); }
        N void *maybe(const char *name) { return name ? dlsym(RTLD_NEXT, name) : 0; }
        N void *not_tail(const char *name) { kept = dlsym(RTLD_NEXT, name); return kept; }
        N int other(int a) { while (a > 3) a /= 3; return a; }
        N int jumps(int a) { return other(a + 1); }
        int main(void) { return !again("x") + jumps(1); }"""
    for flags in (["-O2"], ["-O2", "-fno-plt"], ["-O2", "-no-pie", "-fno-pie"], ["-O2", "-fcf-protection"]):
        path = compile_text(tmp_path, "#define _GNU_SOURCE\n" + text, *flags,
                            "-fno-inline", "-fno-ipa-icf", *FORMS["nops5"])
        flagged = {site.name for site in Found(path).sites if site.flags & ENTRY_ONLY}
        assert flagged == {"next", "again", "once_more", "maybe"}, flags


def test_names_at_one_address(tmp_path):
    """Global before weak before local; the shortest; the first in the alphabet."""
    path = compile_text(tmp_path, """
        int bbb(void) { return 1; }
        int aaa(void) __attribute__((alias("bbb")));
        int longer(void) __attribute__((alias("bbb")));
        int w(void) __attribute__((weak, alias("bbb")));
        static int l(void) __attribute__((used, alias("bbb")));
        static int s(void) { return 2; }
        int weak_one(void) __attribute__((weak, alias("s")));
        int main(void) { return s(); }""", "-O0", "-fpatchable-function-entry=5")
    assert {site.name for site in Found(path).sites} == {"aaa", "weak_one", "main"}


def test_versioned_name(tmp_path):
    script = os.path.join(tmp_path, "map")
    with open(script, "w", encoding="ascii") as file:
        file.write("V1 { global: *; };\n")
    path = compile_text(tmp_path, """
        int impl(void) { return 3; }
        __asm__(".symver impl, f@@V1");""", "-shared", "-fPIC", "-fpatchable-function-entry=5",
        f"-Wl,--version-script={script}")
    assert "f@@V1" in symbols(path)
    assert [site.name for site in Found(path).sites] == ["f"]


def test_own_nops(tmp_path):
    """Nops of the function's own do not count where it jumps back to them."""
    text = """
        void spins(void) { for (;;) __asm__ volatile("nop"); }
        void passes(void) { __asm__ volatile("nop"); }
        int main(void) { return 0; }"""
    found = Found(compile_text(tmp_path, text, "-O1", "-fcf-protection=none",
                               "-fpatchable-function-entry=4"))
    assert [site.name for site in found.sites] == ["passes"]
    assert {r.name: r.reason.split(",")[0].split(":")[0] for r in found.refused} == {
        "spins": "too few nops", "main": "too few nops"}
    found = Found(compile_text(tmp_path, text, "-O1", *FORMS["nops5"]))
    assert len(found.sites) == 3


def test_no_information(tmp_path):
    """Neither symbols nor unwind table: an entry is known by its landing pad or not at all."""
    text = "static int f(int a) { return a; } int main(void) { return f(0); }"
    options = ["-O0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
               "-Wl,--no-eh-frame-hdr", "-s", "-fpatchable-function-entry=5"]
    found = Found(compile_text(tmp_path, text, *options, "-fcf-protection=none"))
    assert not found.sites
    assert {r.reason for r in found.refused} == {
        "no symbol and no unwind entry tells where the function begins"} and len(found.refused) == 2
    found = Found(compile_text(tmp_path, text, *options, "-fcf-protection=full"))
    assert len(found.sites) == 2 and all(s.vaddr == s.entry + 4 for s in found.sites)


def test_custom_fentry_name(tmp_path):
    """A list of locations needs no name of the callee."""
    path = compile_text(tmp_path, "void hook(void) {} int main(void) { return 0; }", "-O2", "-pg",
                        "-no-pie", "-fno-pie", "-mfentry", "-mrecord-mcount", "-mfentry-name=hook")
    assert {"main"} <= {site.name for site in Found(path).sites}


def test_two_ways_at_once(tmp_path):
    """One site a function, the better one."""
    path = compile_text(tmp_path, "int f(int a) { return a; } int main(void) { return f(0); }",
                        "-O0", "-pg", "-mfentry", "-fpatchable-function-entry=5")
    found = Found(path)
    assert sorted(s.name for s in found.sites) == ["f", "main"]
    assert {s.form for s in found.sites} <= {"nops", "call-got"}


def test_runtimes(tmp_path):
    text = "int main(void) { return 0; }"
    for option, key in (("-fsanitize=address", "asan"), ("-fsanitize=thread", "tsan")):
        for more in ([], ["-static-lib" + key]):
            path = compile_text(tmp_path, text, option, *more)
            found = Found(path).object
            assert found[key] == "1" and found["go"] == "0", (option, more)
            assert found["tsan" if key == "asan" else "asan"] == "0"
    plain = compile_text(tmp_path, text)
    assert [Found(plain).object[key] for key in ("go", "tsan", "asan")] == ["0", "0", "0"]
    for section in (".go.buildinfo", ".note.go.buildid", ".gopclntab"):
        marked = copy(plain, tmp_path, "marked")
        command("objcopy", "--add-section", f"{section}=/etc/hostname", marked)
        assert Found(marked).object["go"] == "1", section


def test_other_machine(tmp_path):
    text = "int main(void) { return 0; }"
    try:
        path = compile_text(tmp_path, text, "-m32", "-nostdlib", "-r")
    except subprocess.CalledProcessError:
        pytest.skip("gcc -m32 does not work here")
    assert Found(path).error == 8		# ENOEXEC
    assert Found(compile_text(tmp_path, text, "-c")).error == 8


def test_fifty_thousand(tmp_path):
    """Found and named in less than 30 ms of processor time."""
    # As gcc -fpatchable-function-entry=5 writes it; gcc itself would take a minute.
    function = """
	.section __patchable_function_entries,"aw",@progbits
	.quad 1f
	.text
	.globl {0}
	.type {0}, @function
{0}:
	.cfi_startproc
1:	.skip 5, 0x90
	lea {1}(%rdi), %eax
	ret
	.cfi_endproc
	.size {0}, .-{0}
"""
    text = "".join(function.format(f"function_number_{i}" if i else "main", i) for i in range(50000))
    source = os.path.join(tmp_path, "big.s")
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    path = os.path.join(tmp_path, "big")
    command("gcc", source, "-o", path)
    for how in ("with", "without"):
        assert len(Found(path).sites) == 50000
        took = float(subprocess.run([DUMP, "-t", path], stdout=subprocess.PIPE,
                                    check=True).stdout.split()[-1])
        print(f"50,000 functions {how} symbols: {took} ms")
        command("strip", path)


# ---- damaged files ----

def fuzz_files(tmp_path):
    small = """#include <stdio.h>
        static int f(int a) { return a * 3 + getchar(); }
        int g(int a, ...) { return f(a) + 1; }
        int main(int c, char **v) { return g(c) + f(c); }"""
    files = []
    for number, flags in enumerate([
            [*FORMS["nops5"]], [*FORMS["nops5"], "-no-pie"], [*FORMS["short7_5"], "-fcf-protection"],
            [*FORMS["mfentry"]], [*FORMS["mcount"]], [*FORMS["mcount"], "-no-pie"],
            [*FORMS["mfentry_rec"], "-no-pie", "-fno-pie"], [*FORMS["nops16_8"], "-s"],
            [*FORMS["nops5"], "-shared", "-fPIC"]]):
        files.append(compile_text(tmp_path, small, "-O2", *flags, name=f"seed{number}"))
    folder = os.path.join(tmp_path, "packed")
    os.makedirs(folder)
    files.append(add_debug_data(files[0], folder))
    linked = os.path.join(tmp_path, "linked")
    os.makedirs(linked)
    files.append(separate(files[0], linked, os.path.join(linked, "its.debug")))
    return files


@pytest.mark.limit(300)
@pytest.mark.parametrize("seed", ["1", "2"])
def test_damaged_files(seed, tmp_path):
    if not os.path.exists(FUZZ):
        pytest.skip("no find-fuzz: the compiler has no sanitizers")
    done = subprocess.run([FUZZ, seed, "3000", *fuzz_files(tmp_path)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    words = done.stdout.decode().split()
    counts = dict(zip(words[::2], words[1::2]))
    # Damage must have been noticed, and survived where it does no harm.
    assert int(counts["rounds"]) == 11 * 3000
    assert int(counts["good"]) > 3000 and int(counts["errno5"]) > 3000


def test_cut_short(tmp_path):
    """Every length of a small object."""
    path = compile_text(tmp_path, "int f(int a) { return a; }", "-shared", "-fPIC", "-nostdlib",
                        "-s", *FORMS["nops5"])
    with open(path, "rb") as file:
        data = file.read()
    assert len(Found(path).sites) == 1
    cuts = []
    for length in list(range(0, len(data), 61)) + [len(data) - 1]:
        cuts.append(os.path.join(tmp_path, f"cut{length}"))
        with open(cuts[-1], "wb") as file:
            file.write(data[:length])
    done = subprocess.run([DUMP, *cuts], stdout=subprocess.PIPE, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(cuts)
    assert all(re.fullmatch(r"error \S+ (5|8)", line) for line in lines)

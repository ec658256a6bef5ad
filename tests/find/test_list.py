# SPDX-License-Identifier: MIT
"""ftrace list: what it prints, where, and with which exit status."""
import os
import re
import subprocess

import pytest

from ftracetest import run
from findtest import compile_text

NOPS = "-fpatchable-function-entry=5"
TEXT = """
	int alpha(int a) { return a; }
	int beta(int a) { return a + 1; }
	__attribute__((patchable_function_entry(2))) int short_one(int a) { return a; }
	__attribute__((patchable_function_entry(0))) int plain(int a) { return a; }
	int main(void) { return 0; }"""


@pytest.fixture
def listed(ftrace):
    """listed(arguments...): (lines of stdout, stderr, status)"""
    def go(*arguments, **options):
        result = run([ftrace, "list", *arguments], **options)
        return (result.stdout.decode().splitlines(), result.stderr.decode(), result.status)
    return go


def test_functions(listed, tmp_path):
    path = compile_text(tmp_path, TEXT, "-O0", NOPS)
    lines, errors, status = listed(path)
    assert (sorted(lines), errors, status) == (["alpha", "beta", "main"], "", 0)
    assert listed(path, "*a")[0] == ["alpha", "beta"]
    assert sorted(listed(path, "m*", "[b]eta")[0]) == ["beta", "main"]
    assert listed(path, "nothing_like_it") == ([], "", 1)


def test_refused(listed, tmp_path):
    path = compile_text(tmp_path, TEXT, "-O0", NOPS)
    lines, errors, status = listed("--refused", path)
    assert len(lines) == 1 and (errors, status) == ("", 0)
    assert re.fullmatch("short_one: too few nops: 5 bytes .*", lines[0])
    assert listed("-r", path, "alpha") == ([], "", 0)


def one_line(errors, *words):
    assert errors.startswith("ftrace: ") and errors.count("\n") == 1, errors
    for word in words:
        assert word in errors, errors


def test_not_instrumented(listed, tmp_path):
    """Never compiled for tracing: what can be moved is listed, with symbols or without."""
    path = compile_text(tmp_path, TEXT.replace("patchable_function_entry(2)", "noinline"), "-O0",
                        "-fcf-protection=none")
    lines, errors, status = listed(path)
    assert (errors, status) == ("", 0)
    assert {"alpha", "beta", "short_one", "main"} <= set(lines)
    lines, errors, status = listed("--refused", path)
    assert (errors, status) == ("", 0)
    assert any(re.fullmatch("_start: the program.s first instructions: .*", line) for line in lines), lines
    assert not {"alpha", "beta", "short_one", "main"} & {line.split(":")[0] for line in lines}
    subprocess.run(["strip", path], check=True)
    lines, errors, status = listed(path)
    # main's address is taken and beta is never called: only one of them can be told to be a function.
    name = os.path.basename(path)
    assert (errors, status) == ("", 0) and lines
    assert all(re.fullmatch(rf"{name}\+0x[0-9a-f]+", line) for line in lines), lines


def test_cache(listed, tmp_path):
    """A plan that is kept is used again; a folder of somebody else's or a damaged plan is not."""
    path = compile_text(tmp_path, "int main(void) { return 0; }", name="kept")
    home = os.path.join(tmp_path, "home")
    os.makedirs(home, mode=0o700)
    env = dict(os.environ, HOME=home)
    env.pop("XDG_CACHE_HOME", None)
    native = listed(path, env=env)
    folder = os.path.join(home, ".cache", "ftrace")
    plan, = [os.path.join(folder, name) for name in os.listdir(folder)]
    assert os.stat(plan).st_mode & 0o777 == 0o600 and os.stat(folder).st_mode & 0o777 == 0o700
    # That it is used shows when it lies.
    with open(plan, "r+b") as file:
        data = bytearray(file.read())
        at = data.index(b"\0main\0")
        data[at + 1:at + 5] = b"niam"
        file.seek(0)
        file.write(data)
    assert listed(path, env=env) == native      # the checksum does not agree
    with open(plan, "rb") as file:
        assert b"\0main\0" in file.read()       # and it was made again
    for damaged in (b"", b"x" * 100, bytes(data[:4000])):
        with open(plan, "wb") as file:
            file.write(damaged)
        assert listed(path, env=env) == native
    inode = os.stat(plan).st_ino
    assert listed(path, env=env) == native and os.stat(plan).st_ino == inode
    os.unlink(plan)
    os.chmod(folder, 0o777)
    assert listed(path, env=env) == native and not os.listdir(folder)
    os.chmod(folder, 0o500)
    assert listed(path, env=env) == native
    for nothing in ({"HOME": "/nowhere"}, {}, {"XDG_CACHE_HOME": "relative", "HOME": "/dev/null"}):
        assert listed(path, env=dict(PATH=os.environ["PATH"], **nothing)) == native
    os.chmod(folder, 0o700)


def test_all_refused(listed, tmp_path):
    path = compile_text(tmp_path, TEXT, "-fpatchable-function-entry=3")
    lines, errors, status = listed(path)
    assert (lines, status) == ([], 1)
    one_line(errors, "--refused")


def test_static(listed, tmp_path):
    for flag in ("-static", "-static-pie"):
        path = compile_text(tmp_path, TEXT, "-O0", NOPS, flag)
        lines, errors, status = listed(path)
        assert {"alpha", "beta", "main"} <= set(lines) and status == 0
        one_line(errors, "statically linked", "libftrace.a")


def test_libraries(listed, tmp_path):
    library = compile_text(tmp_path, "int in_library(int a) { return a; }", "-shared", "-fPIC", NOPS,
                           name="libown.so")
    path = compile_text(tmp_path, "int in_library(int); int main(void) { return in_library(0); }",
                        NOPS, library, "-Wl,-rpath,$ORIGIN")
    named = compile_text(tmp_path, "int in_library(int a) { return a; }", "-shared", "-fPIC", NOPS,
                         "-Wl,-soname,libown.so", name="libown.so")
    by_path, path = path, compile_text(
        tmp_path, "int in_library(int); int main(void) { return in_library(0); }", NOPS, named,
        "-Wl,-rpath,$ORIGIN", name="y")
    def with_libraries(name, **options):
        """What --libs lists of the program and its own library: the C library's are many."""
        lines, errors, status = listed("--libs", name, **options)
        assert any(line.endswith("[libc.so.6]") for line in lines)
        return [line for line in lines if not line.endswith("[libc.so.6]")], errors, status

    for either in (by_path, path):
        assert listed(either)[0] == ["main"]
        assert with_libraries(either) == (["main", "in_library [libown.so]"], "", 0)
    # A name without a slash is a file here, also for the loader.
    assert with_libraries(os.path.basename(path), cwd=tmp_path)[0] == [
        "main", "in_library [libown.so]"]
    assert listed(library) == (["in_library"], "", 0)
    os.unlink(library)
    lines, errors, status = listed("--libs", path)
    assert lines[0] == "main" and status == 1
    assert "libown.so: cannot open" in errors and "ftrace: " in errors.splitlines()[-1]


# As <sys/sdt.h> writes it, which need not be installed. SEMAPHORE: a symbol, or 0.
NOTE = """
    #if __LP64__
    #define ADDR ".8byte"
    #else
    #define ADDR ".4byte"
    #endif
    #define PROBE(semaphore, provider, name, args)                                              \\
        "990: nop\\n.pushsection .note.stapsdt, \\"\\", \\"note\\"\\n.balign 4\\n"                    \\
        ".4byte 992f-991f, 994f-993f, 3\\n991: .asciz \\"stapsdt\\"\\n992: .balign 4\\n"          \\
        "993: " ADDR " 990b\\n" ADDR " _.stapsdt.base\\n" ADDR " " semaphore "\\n"              \\
        ".asciz \\"" provider "\\"\\n.asciz \\"" name "\\"\\n.asciz \\"" args "\\"\\n"              \\
        "994: .balign 4\\n.popsection\\n"
    __asm__(".pushsection .stapsdt.base, \\"a\\", @progbits\\n"
        ".weak _.stapsdt.base\\n.hidden _.stapsdt.base\\n"
        "_.stapsdt.base: .space 1\\n.size _.stapsdt.base, 1\\n.popsection\\n");
    #define FUNCTION(name, before, probes)                                                      \\
        __asm__(".text\\n.globl " name "\\n.type " name ", @function\\n" name ":\\n"             \\
                before probes "ret\\n.size " name ", . - " name "\\n")
    """
PROBES = NOTE + """
    unsigned short guard __attribute__((section(".probes"), used));
    FUNCTION("one", "nop\\nnop\\n", PROBE("guard", "tests", "watched", "8@%rdi -4@-8(%rbp)") "nop\\n"
             PROBE("0", "tests", "plain", ""));
    FUNCTION("other", "", PROBE("0", "others", "watched", "4@$1"));
    int main(void) { return 0; }"""
PROBE_LINES = ["tests:watched at one+0x2, semaphore: 8@%rdi -4@-8(%rbp)", "tests:plain at one+0x4",
               "others:watched at other+0x0: 4@$1"]


def test_probes(listed, tmp_path):
    for flags in ([], ["-static"], ["-no-pie"]):
        path = compile_text(tmp_path, PROBES, *flags)
        assert listed("--usdt", path) == (PROBE_LINES, "", 0), flags
    assert listed("--usdt", path, "tests:*")[0] == PROBE_LINES[:2]
    assert listed("--usdt", path, "*:plain", "others:w*")[0] == PROBE_LINES[1:]
    assert listed("--usdt", path, "watched") == ([], "", 1)
    # Without symbols: where it is in the file.
    subprocess.run(["strip", path], check=True)
    lines, errors, status = listed("--usdt", path)
    assert (len(lines), errors, status) == (3, "", 0)
    assert all(re.search(r" at x\+0x[0-9a-f]+", line) for line in lines), lines


def test_probes_of_libraries(listed, tmp_path):
    library = compile_text(tmp_path, PROBES.replace("int main", "int in_library"), "-shared", "-fPIC",
                           name="libprobes.so")
    path = compile_text(tmp_path, NOTE + """
        int in_library(void);
        FUNCTION("mine", "", PROBE("0", "program", "here", ""));
        int main(void) { return in_library(); }""", library, "-Wl,-rpath,$ORIGIN", name="uses")
    own = ["program:here at mine+0x0"]
    assert listed("--usdt", path) == (own, "", 0)
    lines, errors, status = listed("--usdt", "--libs", path)
    named = [line.replace(" at ", " [libprobes.so] at ") for line in PROBE_LINES]
    assert (errors, status) == ("", 0)
    assert [line for line in lines if "[libc.so.6]" not in line] == own + named


def test_no_probes(listed, tmp_path):
    path = compile_text(tmp_path, TEXT)
    lines, errors, status = listed("--usdt", path)
    assert (lines, status) == ([], 1)
    one_line(errors, path, ".note.stapsdt", "--libs")
    for path, words in [("/nowhere/x", "no such file"), (str(tmp_path), "not an ELF file"),
                        (compile_text(tmp_path, PROBES, "-c", name="x.o"), "not linked yet")]:
        lines, errors, status = listed("--usdt", path)
        assert (lines, status) == ([], 1)
        one_line(errors, path, words, ";")
    for option in ("--args", "--refused"):
        lines, errors, status = listed("--usdt", option, path)
        assert (lines, status) == ([], 2)
        one_line(errors, "--usdt", option)


def test_damaged_probes(listed, tmp_path):
    """Each word of the notes replaced: no crash, and what is printed is fit for a terminal."""
    path = compile_text(tmp_path, PROBES)
    with open(path, "rb") as file:
        data = file.read()
    begin = data.index(b"stapsdt\0") - 12
    end = data.index(b"4@$1\0") + 5
    for at in range(begin, end, 4):
        for word in (b"\0\0\0\0", b"\x7f\x7f\x7f\x7f", b"\x1b[1m"):
            with open(path, "wb") as file:
                file.write(data[:at] + word + data[at + 4:])
            lines, errors, status = listed("--usdt", path)
            assert status in (0, 1) and len(lines) <= 3, (at, word)
            assert not any("\x1b" in line or "\x7f" in line for line in lines), (at, word)


def test_demangle(listed, tmp_path):
    path = os.path.join(tmp_path, "x")
    text = b"namespace n { int f(int a) { return a; } } int main() { return n::f(0); }"
    subprocess.run(["g++", "-O0", NOPS, "-x", "c++", "-", "-o", path], input=text, check=True)
    assert sorted(listed(path)[0]) == ["_ZN1n1fEi", "main"]
    assert sorted(listed("--demangle", path)[0]) == ["main", "n::f"]
    assert listed("-C", path, "n::*")[0] == ["n::f"]


def test_by_path(listed, tmp_path):
    path = compile_text(tmp_path, TEXT, "-O0", NOPS, name="a_program_of_the_path")
    found = listed(os.path.basename(path), env={"PATH": f"/nowhere:{tmp_path}"})
    assert sorted(found[0]) == ["alpha", "beta", "main"]


def test_what_is_no_program(listed, tmp_path):
    text = os.path.join(tmp_path, "text")
    with open(text, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n")
    program = compile_text(tmp_path, TEXT, NOPS)
    cut = os.path.join(tmp_path, "cut")
    with open(program, "rb") as file, open(cut, "wb") as out:
        out.write(file.read()[:5000])
    for path, words in [("/nowhere/x", "no such file"), (text, "not an ELF file"),
                        (str(tmp_path), "not an ELF file"), (cut, "cut short"),
                        (compile_text(tmp_path, TEXT, "-c", name="x.o"), "not linked yet")]:
        lines, errors, status = listed(path)
        assert (lines, status) == ([], 1)
        one_line(errors, path, words, ";")


def test_bad_use(listed):
    for arguments in ([], ["--no-such-option", "x"]):
        lines, errors, status = listed(*arguments)
        assert (lines, status) == ([], 2)
        one_line(errors, "ftrace list --help")

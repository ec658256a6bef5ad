# SPDX-License-Identifier: MIT
"""ftrace list: what it prints, where, and with which exit status."""
import os
import re
import subprocess

import pytest

from ftracetest import run
from test_find import compile_text

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

# SPDX-License-Identifier: MIT
"""The whole command under AddressSanitizer and UndefinedBehaviorSanitizer: it records, attaches, plans, lists
and reads as usual, and they say nothing. (Damaged recordings, objects and symbol tables: tests/reader,
tests/find, tests/planner.)"""
import os
import subprocess

import pytest

import ftracetest
from ftracetest import BUILD, PATCHABLE, build, run, run_in_new_folder

PROGRAM = os.path.join(BUILD, "tests", "sanitized", "ftrace-sanitized")


@pytest.fixture(scope="session")
def command():
    """The command, with what it looks for beside its folder."""
    if not os.path.exists(PROGRAM):
        pytest.skip(f"{PROGRAM} is not built: this compiler has no sanitizers")
    for name in ("preload", "tracers", "compat"):
        link = os.path.join(BUILD, "tests", name)
        if not os.path.islink(link):
            os.symlink(os.path.join("..", name), link)
    return PROGRAM


@pytest.fixture
def sanitized(command, tmp_path):
    """sanitized(argument...): runs it, and fails where a sanitizer has anything to say."""
    log = tmp_path / "sanitizer"
    # What the command holds when it ends is given back by its end.
    options = {"ASAN_OPTIONS": f"detect_leaks=0:log_path={log}", "UBSAN_OPTIONS": f"log_path={log}"}

    def call(*arguments, status=0, **more):
        result = run_in_new_folder([command, *map(str, arguments)], timeout=60, env=options, **more)
        reports = "\n".join(path.read_text(errors="replace") for path in tmp_path.glob("sanitizer.*"))
        assert not reports, f"{result}\n{reports[:6000]}"
        assert result.status == status, str(result)
        return result
    return call


PATCHED = [PATCHABLE, "-O2", "-pthread"]
RECORD = {
    "program": lambda: [build("exact_threads.c", *PATCHED)],
    "entries": lambda: ["--tracer", "function", build("exact_threads.c", *PATCHED)],
    "overwrite": lambda: ["--overwrite", build("exact_threads.c", *PATCHED)],
    "small": lambda: ["--max-size", "1M", build("exact_threads.c", *PATCHED)],
    "profile": lambda: ["--profile", build("exact_threads.c", *PATCHED)],
    "stack": lambda: ["--tracer", "stack", build("stack_deep.c", *PATCHED), "fork"],
    "names": lambda: ["-F", "Shape::*", "-F", "/pa[ir]+/", "-N", "*x*", build("names.cc", *PATCHED, "-w")],
    "never recompiled": lambda: ["-L", "*", "ls", "/"],
    "shell": lambda: ["-L", "libc*", "-D", "3", "-t", "1us", "sh", "-c", "ls /; (exit 3) || git --version"],
}


@pytest.mark.parametrize("what", RECORD)
def test_record(what, sanitized, tmp_path):
    recorded = sanitized("record", "-o", tmp_path / "data", *RECORD[what]())
    assert b"ftrace: " in recorded.stderr
    shown = sanitized("report", "-i", tmp_path / "data").stdout
    assert shown.count(b"\n") > 1, shown
    sanitized("info", "-i", tmp_path / "data")
    if what not in ("profile", "stack"):
        sanitized("replay", "--no-pager", "-i", tmp_path / "data")
        sanitized("graph", "-i", tmp_path / "data")
        sanitized("report", "--json", "--sort", "self", "-i", tmp_path / "data")


@pytest.mark.parametrize("path", ["/bin/sh", "libc.so.6", "libstdc++.so.6", "libcrypto.so.3"])
def test_list(path, sanitized):
    if "/" not in path:
        path = ftracetest.run(["gcc", f"-print-file-name={path}"]).stdout.decode().strip()
    if not os.path.exists(path):
        pytest.skip(f"no {path}")
    assert sanitized("list", path).stdout.count(b"\n") > 100
    sanitized("list", "--refused", path)


def test_attach(sanitized, tmp_path):
    program = build("attach_loop.c", *PATCHED)
    with subprocess.Popen([program, "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        try:
            target.stdout.readline()
            sanitized("record", "-p", target.pid, "--duration", "200ms", "-o", tmp_path / "data")
            sanitized("report", "-i", tmp_path / "data")
        finally:
            target.kill()


@pytest.mark.parametrize("arguments,status", [
    (["record", "/nowhere"], 1), (["record", "--nonsense"], 2), (["record", "-p", "no process is called so"], 1),
    (["record", "-t", "5parsecs", "true"], 2), (["report", "-i", "/nowhere"], 1), (["list", "/dev/null"], 1),
    (["graph", "--sort"], 2), (["nothing"], 2), (["--help"], 0), (["selftest", "dynamic"], 0)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value))
def test_errors(arguments, status, sanitized):
    sanitized(*arguments, status=status)

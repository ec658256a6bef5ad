# SPDX-License-Identifier: MIT
"""Functions that were never compiled for tracing, from plans: small programs linked with the library's own
objects, which give it plans made here (makeplan.py), without the command and the agent."""
import os
import re
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
import ftracetest as ft  # noqa: E402
import makeplan  # noqa: E402

if os.uname().machine != "x86_64":
    pytest.skip("plans are made for x86_64 only", allow_module_level=True)


INCLUDE = [f"{option}{os.path.join(ft.SOURCE, name)}"
           for option, names in (("-I", ("", "include", "arch/x86/include")),
                                 ("-iquote", ("engine", "arch", "arch/x86"))) for name in names]


def program(source, *more, flags=(), name=None):
    """Builds a program of this folder with the library in it."""
    ft.need_library()
    paths = [os.path.join(HERE, path) for path in (source, *more)]
    objects = os.path.join(ft.BUILD, "engine", "libftrace-objects.a")
    return ft.compile_once([ft.compiler_for(source), "-g", "-O2", "-Wall", *INCLUDE, *paths,
                            "-Wl,--whole-archive", objects, "-Wl,--no-whole-archive", "-pthread",
                            *flags],
                           [*paths, os.path.join(HERE, "moved-test.h"), os.path.join(HERE, "../unwind/walk.h"), ft.libftrace()],
                           name or os.path.splitext(os.path.basename(source))[0])


def plan(path, folder, names=None):
    """A plan made here, of simple functions and without much proof."""
    file = os.path.join(folder, os.path.basename(path) + ".plan")
    with open(file, "wb") as out:
        out.write(makeplan.make(path, names))
    return file


def planned(path, folder):
    """A plan made by the planner."""
    tool = os.path.join(ft.BUILD, "tests", "moved", "make-plan")
    if not os.path.exists(tool):
        pytest.skip("the build has no planner (libzydis-dev is missing)")
    file = os.path.join(folder, os.path.basename(path) + ".plan")
    made = ft.run([tool, path, file])
    assert made.status == 0, str(made)
    return file


def tap(result):
    assert result.status == 0, str(result)
    assert re.search(rb"^1\.\.\d+$", result.stdout, re.M), str(result)
    assert b"\nnot ok" not in b"\n" + result.stdout, str(result)
    return result


def test_toggle(tmp_path):
    """On and off under running threads and blocked system calls."""
    path = program("toggle.c")
    made = plan(path, tmp_path, ["slow_path", "quick_read", "last_read"])
    tap(ft.run([path, made, "1500"], timeout=120))


@pytest.mark.parametrize("tracer", ["graph", "function"])
def test_unwinding(tmp_path, tracer):
    """From every instruction of copies."""
    path = program("step.cc")
    tap(ft.run([path, planned(path, tmp_path), tracer], timeout=120))


@pytest.mark.parametrize("mode", ["minimal", "regs", "general", "regs-general", "several", "graph",
                                  "graph-general", "both", "twice", "change", "off", "replaced",
                                  "replaced-gone", "replaced-stays"])
def test_fidelity(tmp_path, mode):
    """Every register, zmm16-31 and the masks too: callers know what such a function leaves alone.
    (The planner refuses this target, which reads flags.)"""
    path = program("../fidelity/fidelity.c", "../fidelity/driver.S",
                   flags=["-DMOVED", "-DWITH_LIBRARY", "-Wno-unused-function"], name="fidelity-moved")
    command = [path, mode, "20000", "31", "upper", plan(path, tmp_path, ["fidelity_target",
                                                                         "fidelity_tail",
                                                                         "fidelity_hold"])]
    if mode in ("minimal", "general") or mode.startswith("replaced"):
        command.append("no-df")
    result = ft.run(command, timeout=60)
    assert result.status == 0 and result.stdout.startswith(b"ok 20000"), str(result)


@pytest.mark.parametrize("what", ["fork", "vfork", "threads", "rights"])
def test_life(tmp_path, what):
    """Children, threads that begin and end, no right to stop threads any more: see life.c."""
    path = program("life.c")
    # Also where another user may not look into this folder any more.
    tap(ft.run([path, what, planned(path, tmp_path)], timeout=60))


def test_library(tmp_path):
    """A library comes and goes at one address after the other while a thread runs."""
    path = program("life.c")
    library = os.path.join(HERE, "life-lib.c")
    library = ft.compile_once(["gcc", "-O2", "-shared", "-fPIC", library], [library], "life-lib.so")
    tap(ft.run([path, "library", planned(path, tmp_path),
                f"life-lib.so={planned(library, tmp_path)}", library], timeout=60))


def test_signals(tmp_path):
    """Signals that a system call waits for end it, while threads are stopped again and again."""
    path = program("signals.c")
    tap(ft.run([path, "signals", planned(path, tmp_path)], timeout=60))


def test_ifunc(tmp_path):
    """memcpy is known by its name, though only its resolver has a symbol."""
    path = program("signals.c")
    libraries = ft.run(["ldd", path])
    libc = re.search(rb"libc\.so\.6 => (\S+)", libraries.stdout)
    assert libc, str(libraries)
    libc = os.path.realpath(libc[1].decode())
    tap(ft.run([path, "memcpy", f"{os.path.basename(libc)}={planned(libc, tmp_path)}",
                planned(path, tmp_path)], timeout=60))

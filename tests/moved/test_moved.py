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


def program(source, *flags):
    """Builds a program of this folder with the library in it."""
    ft.need_library()
    path = os.path.join(HERE, source)
    objects = os.path.join(ft.BUILD, "engine", "libftrace-objects.a")
    include = [f"-I{os.path.join(ft.SOURCE, name)}"
               for name in ("", "include", "arch/x86/include", "engine", "arch", "arch/x86")]
    return ft.compile_once([ft.compiler_for(path), "-g", "-O2", "-Wall", "-D_GNU_SOURCE", *include,
                            path, "-Wl,--whole-archive", objects, "-Wl,--no-whole-archive",
                            "-pthread", *flags],
                           [path, os.path.join(HERE, "moved-test.h"), ft.libftrace()],
                           os.path.splitext(source)[0])


def plan(path, folder, names=None):
    file = os.path.join(folder, os.path.basename(path) + ".plan")
    with open(file, "wb") as out:
        out.write(makeplan.make(path, names))
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

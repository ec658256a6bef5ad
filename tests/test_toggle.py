# SPDX-License-Identifier: MIT
"""Sites turned on and off thousands of times under running threads: see programs/toggle.c."""
import pytest

import ftracetest
from ftracetest import PATCHABLE, api_program, build, run

DONE = b"bad values 0, callbacks after unregister 0, called yes\n"


@pytest.mark.parametrize("what,toggles", [("register", 3000), ("filter", 5000), ("graph", 2000),
                                          ("mixed", 1000), ("threads", 1500)])
def test_toggle(what, toggles):
    result = run([api_program("toggle.c"), what, str(toggles)], timeout=110)
    assert result.status == 0 and result.stdout == DONE, str(result)


@pytest.mark.parametrize("what,toggles", [("filter", 4000), ("mixed", 700), ("threads", 1500)])
def test_toggle_general(what, toggles):
    """Callbacks that may be called by a trampoline of the function's own."""
    result = run([api_program("toggle.c"), what, str(toggles), "general"], timeout=110)
    assert result.status == 0 and result.stdout == DONE, str(result)


def test_own():
    """programs/own.c: callbacks that a trampoline of the function's own calls; others come and go meanwhile."""
    if ftracetest.ARCH != "x86_64":
        pytest.skip("functions have no trampolines of their own there")
    library = build("own_lib.c", "-O2", "-shared", "-fPIC", PATCHABLE, name="own_lib.so")
    result = run([api_program("own.c"), library], timeout=110)
    assert result.status == 0 and result.stdout == (
        b"by its own\nthread: all calls, right\nthread: all calls, right\nby its own\n"
        b"library: all calls\n"), str(result)


def test_toggle_under_gdb():
    """A debugger that watches: no breakpoint of ours must ever stop it."""
    if not ftracetest.have("gdb"):
        pytest.skip("gdb is not installed")
    result = run(["gdb", "-batch", "-nx", "-ex", "set confirm off", "-ex", "run", "-ex", "bt",
                  "--args", api_program("toggle.c"), "mixed", "300"], timeout=110)
    assert DONE in result.stdout and b"exited normally" in result.stdout, str(result)
    for bad in (b"SIGTRAP", b"SIGSEGV", b"SIGILL"):
        assert bad not in result.stdout, str(result)


@pytest.mark.parametrize("arguments", [("filter", "600"), ("graph", "600"), ("filter", "600", "general")],
                         ids=" ".join)
def test_toggle_one_processor(arguments):
    """All threads share one processor: a toggle lands between any two of their instructions."""
    result = run(["taskset", "-c", "0", api_program("toggle.c"), *arguments], timeout=110)
    assert result.status == 0 and result.stdout == DONE, str(result)

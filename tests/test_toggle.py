# SPDX-License-Identifier: MIT
"""Sites turned on and off thousands of times under running threads: see programs/toggle.c."""
import pytest

import ftracetest
from ftracetest import api_program, run

DONE = b"bad values 0, callbacks after unregister 0, called yes\n"


@pytest.mark.parametrize("what,toggles", [("register", 3000), ("filter", 5000), ("graph", 2000),
                                          ("mixed", 1000), ("threads", 1500)])
def test_toggle(what, toggles):
    result = run([api_program("toggle.c"), what, str(toggles)], timeout=110)
    assert result.status == 0 and result.stdout == DONE, str(result)


def test_toggle_under_gdb():
    """A debugger that watches: no breakpoint of ours must ever stop it."""
    if not ftracetest.have("gdb"):
        pytest.skip("gdb is not installed")
    result = run(["gdb", "-batch", "-nx", "-ex", "set confirm off", "-ex", "run", "-ex", "bt",
                  "--args", api_program("toggle.c"), "mixed", "300"], timeout=110)
    assert DONE in result.stdout and b"exited normally" in result.stdout, str(result)
    for bad in (b"SIGTRAP", b"SIGSEGV", b"SIGILL"):
        assert bad not in result.stdout, str(result)


@pytest.mark.parametrize("what", ["filter", "graph"])
def test_toggle_one_processor(what):
    """All threads share one processor: a toggle lands between any two of their instructions."""
    result = run(["taskset", "-c", "0", api_program("toggle.c"), what, "600"], timeout=110)
    assert result.status == 0 and result.stdout == DONE, str(result)

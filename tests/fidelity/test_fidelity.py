# SPDX-License-Identifier: MIT
"""Register fidelity: see fidelity.c, which compares every register itself."""
import os

import pytest

import ftracetest
from ftracetest import compile_once, library_flags, run

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVER = {"x86_64": "driver.S", "i386": "driver-32.S"}.get(ftracetest.ARCH)
SOURCES = [os.path.join(HERE, name) for name in ("fidelity.c", DRIVER)] if DRIVER else []
FLAGS = [*ftracetest.ARCH_FLAGS, *(["-fno-pie", "-no-pie"] if ftracetest.ARCH == "i386" else [])]
ROUNDS = "20000"


def program(*flags, name):
    if not DRIVER:
        pytest.skip(f"no driver for {ftracetest.ARCH}")
    return compile_once(["gcc", *FLAGS, "-O2", "-g", "-Wall", *SOURCES, *flags],
                        [*SOURCES, *(os.path.join(HERE, name) for name in ("state.h", "attach.h"))], name)


def expect_ok(result):
    assert result.status == 0 and result.stdout.startswith(b"ok " + ROUNDS.encode()), str(result)


def test_nobody_traces():
    """The comparison itself: nothing differs when nothing is enabled."""
    expect_ok(run([program(name="fidelity"), "none", ROUNDS, "1", "upper"]))


@pytest.mark.parametrize("seed", ["11", "12"])
@pytest.mark.parametrize("mode", ["minimal", "regs", "general", "regs-general", "several", "graph",
                                  "graph-general", "both", "twice", "change", "off", "replaced",
                                  "replaced-gone", "replaced-stays"])
def test_library(mode, seed):
    ftracetest.need_library()
    command = [program("-DWITH_LIBRARY", *library_flags(), name="fidelity-api"), mode, ROUNDS, seed]
    if mode in ("minimal", "general", "replaced-gone", "replaced-stays"):
        # The ABI has the direction flag clear at an entry; these trampolines rely on it (ftrace.h).
        command.append("no-df")
    expect_ok(run(command, timeout=60))


@pytest.mark.parametrize("tracer", ["function_graph", "function"])
def test_recorded(tracer, record):
    command = [program(name="fidelity"), "none", ROUNDS, "21", "upper"]
    recording = record(command, ["--tracer", tracer], timeout=60)
    expect_ok(recording.result)
    if ftracetest.NATIVE:
        return
    calls = recording.report()
    assert calls.get("fidelity_target") == int(ROUNDS), calls
    assert calls.get("fidelity_tail") == int(ROUNDS) // 2, calls

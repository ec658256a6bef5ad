# SPDX-License-Identifier: MIT
"""The programs whose control flow is hard on a tracer (tests/test_programs.py), built without any
instrumentation."""
import pytest

import ftracetest
import test_programs
from ftracetest import PATCHABLE

TRACERS = {
    "program": ["--tracer", "function_graph"],
    "everything": ["--tracer", "function_graph", "-L", "*"],
    "function": ["--tracer", "function", "-L", "*"],
}


def plain(flags):
    return [flag for flag in flags if flag != PATCHABLE]


@pytest.fixture(autouse=True)
def without_instrumentation(monkeypatch):
    """Every program, plugin and library of the corpus loses the flag that asks for entry nops."""
    build = ftracetest.build

    def plain_build(source, *flags, **more):
        return build(source, *plain(flags), **more)

    monkeypatch.setattr(test_programs, "build", plain_build)
    monkeypatch.setattr(test_programs, "native_results", native_results)


native_results = {}


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", test_programs.ALL)
def test_recorded(name, tracer, record):
    command = test_programs.prepare(name)
    options = ["--max-size", "48M", *TRACERS[tracer]]
    if tracer == "program" and name in ("dlcycle", "dlthreads"):
        options += ["-L", "plugin*"]
    if tracer == "program" and name == "ctor_thread":
        options += ["-L", "libctor*"]
    recording = record.same(command, options, native=test_programs.native_run(name, command),
                            timeout=test_programs.TIME_LIMIT)
    if ftracetest.NATIVE or name == "seccomp_first":
        return
    assert recording.report(), f"nothing was recorded\n{recording.result}"

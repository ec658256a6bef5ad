# SPDX-License-Identifier: MIT
"""A program's first instructions have no caller, whatever their unwind information says."""
import os

import pytest

import ftracetest

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.c")


@pytest.mark.skipif(ftracetest.ARCH != "x86_64", reason="start.c is x86_64's")
def test_start(record):
    program = ftracetest.build(SOURCE, "-O1", "-nostartfiles", name="start")
    refused = ftracetest.run([ftracetest.FTRACE, "list", "--refused", program]).stdout.decode()
    assert "_start: the program's first instructions: nobody has called them" in refused
    recording = record([program, "first"], [])
    assert recording.result.status == 0, str(recording.result)
    assert recording.result.stdout == b"2 arguments, the first is first\n"
    assert recording.report().get("begin") == 1

# SPDX-License-Identifier: MIT
"""Programs with runtimes that read return addresses off the stack: entries are traced, returns are not hooked."""
import os

import pytest

import ftracetest

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime.c")


@pytest.mark.parametrize("kind,why", [("JVM", "Java virtual machine"), ("OCAML", "OCaml runtime")])
def test_runtime(kind, why, record):
    program = ftracetest.build(SOURCE, "-O1", "-fno-omit-frame-pointer", f"-D{kind}",
                               name=f"runtime-{kind}")
    listed = ftracetest.run([ftracetest.FTRACE, "list", program])
    assert why in listed.stderr.decode() and "entries" in listed.stderr.decode(), str(listed)
    recording = record([program], [])
    assert recording.result.status == 0, str(recording.result)
    assert recording.result.stdout == b"1 own return address\n", str(recording.result)
    assert why in recording.result.stderr.decode(), str(recording.result)
    assert recording.report().get("main") == 1

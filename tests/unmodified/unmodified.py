# SPDX-License-Identifier: MIT
"""What the tests of never recompiled programs share: native against fully traced."""
import os
import re
import shutil

import pytest

import ftracetest
from ftracetest import compare_recorded, run_in_new_folder

# How much is traced: the executable (or what stands for it), into files; every library, libc included, into
# memory that is written over, so that all of the run is recorded, however long it is.
FORMS = {"program": ["--max-size", "64M"], "everything": ["-L", "*", "--overwrite", "--buffer", "512K"]}


def need(*tools):
    for tool in tools:
        if not ftracetest.have(tool):
            pytest.skip(f"{tool} is not installed")


def need_file(path):
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    return path


def own_stderr(result):
    """The program's own words on standard error: the command's begin with its name."""
    return re.sub(rb"(?m)^ftrace: .*\n", b"", result.stderr)


def changing(text):
    """Without what differs from run to run: times, addresses, process ids (bash pads a short one to five
    columns, which shows when the kernel's numbers have just started again)."""
    text = re.sub(rb"\b\d+\.\d+ ?(s|ms|sec|seconds)?\b", b"TIME", text)
    text = re.sub(rb"0x[0-9a-f]{6,}", b"ADDRESS", text)
    return re.sub(rb"(?m)^(bash: line \d+:) +\d+ ", rb"\1 PID ", text)


def same(record, command, options=(), native=None, stderr=True, calls=1, **run_options):
    """Recorder.same() for a program of the distribution: standard error is the same as well, and at least
    `calls` calls were recorded."""
    run_options.setdefault("timeout", 110)
    if native is None:
        native = run_in_new_folder(command, **run_options)
    assert native.status is not None, f"native run: {native}"
    recording = record(command, options, **run_options)
    compare_recorded(native, recording.result)
    if stderr:
        assert changing(own_stderr(recording.result)) == changing(native.stderr), \
            f"native stderr:\n{native.stderr.decode(errors='replace')}\n{recording.result}"
    if ftracetest.NATIVE or not calls:
        return recording		# of a tracer that counts none
    counted = re.search(rb"(?m)^ftrace: (\d+) calls? of ", recording.result.stderr)
    assert counted and int(counted.group(1)) >= calls, str(recording.result)
    return recording


def library(name):
    """Path of a shared library of the distribution."""
    for folder in (f"/usr/lib/{os.uname().machine}-linux-gnu", "/usr/lib64", "/usr/lib"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    pytest.skip(f"{name} is not installed")
    return None


def tool(name):
    need(name)
    return shutil.which(name)

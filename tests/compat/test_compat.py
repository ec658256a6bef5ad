# SPDX-License-Identifier: MIT
"""What is special to narrow programs: their calling conventions, and living beside wide ones."""
import os
import re
import struct
import subprocess

import pytest

import ftracetest
from ftracetest import ARCH, BUILD, FTRACE, PATCHABLE, SOURCE, build, compare, run, run_in_new_folder

HERE = os.path.dirname(os.path.abspath(__file__))


def conventions(*flags):
    if ARCH != "i386":
        pytest.skip(f"{ARCH} has one calling convention")
    return build(os.path.join(HERE, "conventions.c"), "-w", "-std=gnu11", "-msse2", *flags)


# Frames as close to each other as they can be: the words of two calls are neighbours.
CLOSE = ["-O2", "-mpreferred-stack-boundary=2", "-fomit-frame-pointer"]
WAYS = {
    "O0": ["-O0", PATCHABLE],
    "O2": ["-O2", PATCHABLE],
    "close": [*CLOSE, PATCHABLE],
    "fixed_address": ["-O2", "-fno-pie", "-no-pie", PATCHABLE],
    "landing_pads": ["-O2", "-fcf-protection", PATCHABLE],
    "mcount": ["-O2", "-pg"],
    "mcount_fixed_address": ["-O2", "-fno-pie", "-no-pie", "-pg"],
    "fentry": ["-O2", "-fno-pie", "-no-pie", "-pg", "-mfentry"],
    "fentry_nop": ["-O2", "-fno-pie", "-no-pie", "-pg", "-mfentry", "-mrecord-mcount",
                   "-mnop-mcount"],
    "short": ["-O2", "-fpatchable-function-entry=7,5"],
}


@pytest.mark.parametrize("tracer", ["function_graph", "function"])
@pytest.mark.parametrize("way", WAYS)
def test_conventions(way, tracer, record):
    program = conventions(*WAYS[way])
    env = {"GMON_OUT_PREFIX": None}
    native = run_in_new_folder([program], env=env)
    native.files.pop("gmon.out", None)
    recording = record([program], ["--tracer", tracer], env=env)
    recording.result.files.pop("gmon.out", None)
    ftracetest.compare_recorded(native, recording.result)
    calls = recording.report()
    assert calls["std1"] == calls["fast4"] == calls["reg4"] == 300, calls
    assert calls["std_jump"] == 900 and calls["big"] == 600 and calls["std_tail"] == 300, calls
    assert recording.babeltrace() > 10000


@pytest.mark.parametrize("mode", ["all", "graph", "regs", "minimal"])
@pytest.mark.parametrize("way", ["O2", "close", "mcount"])
def test_conventions_through_library(way, mode, tmp_path):
    program = conventions(*WAYS[way])
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(16))
    native = run_in_new_folder([program])
    traced = run_in_new_folder([program], env={
        "LD_PRELOAD": ftracetest.api_all(), "FTRACE_TEST_API": mode,
        "FTRACE_TEST_COUNTER": str(counter)})
    native.files.pop("gmon.out", None)
    traced.files.pop("gmon.out", None)
    compare(native, traced)
    assert struct.unpack("=QQ", counter.read_bytes())[0] > 5000


def wide(source):
    path = os.path.join(BUILD, "tests-e2e", "wide-" + os.path.basename(source))
    subprocess.run(["gcc", "-O2", PATCHABLE, source, "-o", path], check=True)
    return path


@pytest.mark.parametrize("first", ["wide", "narrow"])
@pytest.mark.parametrize("how", ["exec", "spawn"])
def test_both_widths(how, first, record):
    """Wide and narrow programs that execute each other: all recorded, and the loader says nothing."""
    source = os.path.join(HERE, "enter.c")
    programs = [wide(source), build(source, "-O2", PATCHABLE)]
    if first == "narrow":
        programs.reverse()
    command = []
    for program in programs * 2:
        command += [program] + (["spawn"] if how == "spawn" else [])
    recording = record.same(command[:-1] if how == "spawn" else command)
    assert b"ld.so" not in recording.result.stderr, str(recording.result)
    widths = []
    for trace in recording.traces():
        with open(os.path.join(trace, "metadata"), encoding="utf-8") as file:
            widths += re.findall(r"word_size = (\d);", file.read())
    assert sorted(widths) == ["4", "4", "8", "8"], widths
    assert recording.report()["work"] == 400
    assert recording.babeltrace() >= 800


def test_recording_is_read_by_the_wide_command(record):
    program = build(os.path.join(HERE, "enter.c"), "-O2", PATCHABLE)
    recording = record.same([program])
    shown = run([FTRACE, "replay", "-i", recording.folder])
    assert shown.status == 0 and shown.stdout.count(b"work();") == 100, str(shown)
    trace, = recording.traces()
    with open(os.path.join(trace, "metadata"), encoding="utf-8") as file:
        assert f'architecture = "{ARCH}";' in file.read()


def test_selftest():
    done = run([FTRACE, "selftest", "--machine", ARCH, "dynamic"], timeout=60)
    assert done.status == 0 and b"0 failed" in done.stdout, str(done)
    done = run([FTRACE, "selftest", "--machine", "pdp11"])
    assert done.status == 1 and b"pdp11" in done.stderr, str(done)


def test_offsets_are_generated():
    """No offset into a structure of ours is written as a number in assembly."""
    folder = os.path.join(SOURCE, "arch", ftracetest.ARCH_FOLDER)
    for name in ("entry-32.S", "entry-record-32.S"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for line in file:
                code = line.split("/*")[0]
                assert "prefetch" in code or \
                    not re.search(r"(?<![\w$+*(-])\d+\(%e(si|di|cx|dx)\)", code), line

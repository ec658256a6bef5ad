# SPDX-License-Identifier: MIT
"""Tracers that write no records: the deepest stack."""
import os
import re
import signal
import subprocess
import time

import pytest

import ftracetest
from ftracetest import FTRACE, PATCHABLE, build, run
from test_programs import PROGRAMS, TIME_LIMIT, native_run, prepare

STEP = 1000		# bytes of a frame of stack_deep's grow(), and a few more
FRAME = re.compile(r" *(\d+)\) +(\d+) +(\d+)   (\S+)$")


def stack_deep():
    return build("stack_deep.c", "-O1", "-fno-stack-protector", PATCHABLE, "-pthread")


def stacks(folder):
    """[(heading, [(depth, size, function), ...]), ...] of `ftrace report`."""
    shown = run([FTRACE, "report", "-i", folder])
    assert shown.status == 0, str(shown)
    found, rest = [], None
    for line in shown.stdout.decode().splitlines():
        match = FRAME.match(line)
        if line.startswith("# ") and "CALLS WERE" not in line:
            found.append((line, []))
        elif match:
            frames = found[-1][1]
            assert int(match[1]) == len(frames), str(shown)
            frames.append((int(match[2]), int(match[3]), match[4].split("+")[0]))
        elif "before the outermost" in line:
            rest = int(line.split()[0])
            frames = found[-1][1]
            assert frames[0][0] == sum(size for _, size, _ in frames) + rest, str(shown)
    return found


def names(frames):
    return [name for _, _, name in frames]


def check_grown(frames, times):
    """times + 1 frames of grow() below leaf() or grow(): each with STEP bytes and not many more."""
    grown = [size for _, size, name in frames if name == "grow"]
    assert len(grown) == times + 1, frames
    for size in grown[1:]:
        assert STEP <= size < STEP + 200, frames
    depths = [depth for depth, _, _ in frames]
    assert depths == sorted(depths, reverse=True)


def recorded(record, how):
    ftracetest.need_ftrace()
    recording = record([stack_deep(), how], ["--tracer", "stack"])
    assert recording.result.status == (137 if how == "kill" else 0), str(recording.result)
    return recording, stacks(recording.folder)


@pytest.mark.parametrize("how", ["main", "longjmp", "kill"])
def test_deepest_stack(how, record):
    recording, found = recorded(record, how)
    assert len(found) == 1, found
    frames = found[0][1]
    check_grown(frames, 10)
    assert names(frames) == ["leaf"] + ["grow"] * 11 + ["main"], found
    assert b"Depth    Size   Location" in recording.result.stderr


def test_thread(record):
    _, found = recorded(record, "thread")
    frames = found[0][1]
    check_grown(frames, 20)
    assert names(frames)[-1] == "thread", found
    heading = re.search(r"stack_deep-(\d+)\.0, thread (\d+)", found[0][0])
    assert heading and heading[1] != heading[2], found


def test_child_has_its_own(record):
    _, found = recorded(record, "fork")
    assert len(found) == 2, found
    check_grown(found[0][1], 30)
    check_grown(found[1][1], 6)


def test_each_image_has_its_own(record):
    _, found = recorded(record, "exec")
    assert len(found) == 2, found
    check_grown(found[0][1], 10)
    check_grown(found[1][1], 6)


def test_too_deep_says_so(record):
    recording, _ = recorded(record, "deep")
    assert b"NESTED TOO DEEP" in recording.result.stderr, str(recording.result)


def test_killed_recorder(tmp_path):
    """Whoever reads next takes the result from the session directory."""
    ftracetest.need_ftrace()
    folder = str(tmp_path / "recording")
    with subprocess.Popen([FTRACE, "record", "--tracer", "stack", "-o", folder, stack_deep(), "wait"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          start_new_session=True) as recorder:
        try:
            assert recorder.stdout.readline() == b"ready\n"
            os.kill(recorder.pid, signal.SIGKILL)
            recorder.wait()
            time.sleep(0.1)
            found = stacks(folder)
        finally:
            ftracetest.kill_session(recorder.pid)
    check_grown(found[0][1], 10)


def test_damaged_result(record):
    """A damaged result is an error of the reader, not a crash."""
    recording, _ = recorded(record, "main")
    (trace,) = recording.traces()
    path = os.path.join(trace, ".stack")
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        for position in range(0, 200, 8):
            file.seek(0)
            damaged = bytearray(data)
            damaged[position:position + 8] = b"\xff" * 8
            file.write(damaged)
            file.flush()
            shown = run([FTRACE, "report", "-i", recording.folder])
            assert shown.status in (0, 1), str(shown)
        file.truncate(100)
    shown = run([FTRACE, "report", "-i", recording.folder])
    assert shown.status == 1 and b"damaged" in shown.stderr, str(shown)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_programs_run_the_same(name, record):
    if ftracetest.NATIVE:
        pytest.skip("FTRACE_TEST_NATIVE=1: nothing is recorded")
    command = prepare(name)
    options = ["--tracer", "stack"]
    if name in ("dlcycle", "dlthreads"):
        options += ["-L", "plugin*"]
    if name == "ctor_thread":
        options += ["-L", "libctor*"]
    record.same(command, options, native=native_run(name, command), timeout=TIME_LIMIT)

# SPDX-License-Identifier: MIT
"""Tracers that write no records: the deepest stack, the profile."""
import json
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


@pytest.mark.parametrize("levels", [6000, 1000000])
def test_deep_recursion(levels, record):
    """Every call is followed, the 4096 innermost functions are shown, with the right depths."""
    ftracetest.need_ftrace()
    recording = record([stack_deep(), "deep", str(levels)], ["--tracer", "stack"],
                       timeout=TIME_LIMIT)
    assert recording.result.status == 0, str(recording.result)
    shown = run([FTRACE, "report", "-i", recording.folder]).stdout.decode()
    # deep_thread, deep(levels) to deep(0), leaf
    assert f"({levels + 3} entries)" in shown, shown[:500]
    assert f"({levels + 3 - 4096} functions further out are not shown)" in shown, shown[-500:]
    (_, frames), = stacks(recording.folder)
    assert names(frames) == ["leaf"] + ["deep"] * 4095, frames[:5]
    size, = {size for _, size, _ in frames[2:]}
    last, = re.findall(r" (\d+) +\(\d+ functions further out", shown)
    assert frames[1][0] - frames[1][1] - int(last) == 4094 * size
    assert frames[0][0] > levels * size


def test_deep_recursion_counts(record):
    """The profile sees all calls of a deep recursion, and the time of the outermost one."""
    rows, recording = profiled(record, [stack_deep(), "deep", "1000000"])
    assert rows["deep"]["calls"] == 1000001 and rows["leaf"]["calls"] == 1000001 + 4
    assert rows["deep"]["unfinished"] == 0
    assert rows["deep"]["total_ns"] == rows["deep"]["max_ns"]
    assert b"not counted" not in recording.result.stderr, str(recording.result)


def test_deep_recursion_without_memory(record):
    """Where memory for more calls cannot be had, that is said, and the program runs on."""
    ftracetest.need_ftrace()
    recording = record(["dash", "-c", f"ulimit -v 180000; exec {stack_deep()} deep 1000000"],
                       ["--tracer", "stack"], timeout=TIME_LIMIT)
    assert recording.result.status == 0, str(recording.result)
    assert recording.result.stdout == b"done\n"
    shown = run([FTRACE, "report", "-i", recording.folder]).stdout
    assert b"CALLS COULD NOT BE FOLLOWED FOR WANT OF MEMORY" in shown, shown[-500:]


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


# ---- profile ----

def profiled(record, command, options=(), status=0):
    """Rows of `ftrace report --json` by function name, and the Recording."""
    ftracetest.need_ftrace()
    recording = record(command, ["--profile", *options], timeout=TIME_LIMIT)
    assert recording.result.status == status, str(recording.result)
    return rows_of(recording.folder), recording


def rows_of(folder, *options):
    shown = run([FTRACE, "report", "--json", "-i", folder, *options])
    assert shown.status == 0, str(shown)
    return {row["name"]: row for row in json.loads(shown.stdout)["functions"]}


def profile_calls(*flags):
    return build("profile_calls.c", "-O1", PATCHABLE, "-pthread", *flags)


def test_profile_counts(record):
    rows, recording = profiled(record, [profile_calls(), "main"])
    calls = {name: row["calls"] for name, row in rows.items()}
    assert calls == {"main": 1, "outer": 10, "inner": 1000, "recursive": 51, "slow": 2}
    assert not [name for name in os.listdir(recording.traces()[0]) if name.startswith("stream")]
    for row in rows.values():
        assert row["unfinished"] == 0 and row["min_ns"] <= row["avg_ns"] <= row["max_ns"], row
        assert row["self_ns"] <= row["total_ns"] <= rows["main"]["total_ns"], row
    # slow() sleeps 20 ms twice; recursive()'s total is that of one call, which is its max.
    assert 40e6 <= rows["slow"]["total_ns"] and rows["slow"]["min_ns"] >= 20e6
    assert rows["recursive"]["total_ns"] == rows["recursive"]["max_ns"]
    # All time is somebody's own, once. Rounding: a nanosecond a function.
    own = sum(row["self_ns"] for row in rows.values())
    assert abs(own - rows["main"]["total_ns"]) <= len(rows), rows
    assert b"1064 calls of 1 thread in 1 process" in recording.result.stderr


def test_profile_filter(record):
    rows, recording = profiled(record, [profile_calls(), "main"], ["-F", "inner outer"])
    assert set(rows) == {"inner", "outer"}
    assert set(rows_of(recording.folder, "-N", "inner")) == {"outer"}
    shown = run([FTRACE, "report", "-i", recording.folder, "-D", "2"])
    assert shown.status == 1 and b"knows nothing of depths" in shown.stderr, str(shown)
    assert b"  inner" in run([FTRACE, "report", "-i", recording.folder]).stdout
    assert run([FTRACE, "report", "--csv", "-i", recording.folder]).stdout.count(b",,,\n") == 2


def test_profile_threads(record):
    """One after the other they use one table again; at once each has its own."""
    rows, recording = profiled(record, [profile_calls(), "threads"])
    assert rows["inner"]["calls"] == 20 * 100 + 4 * 100000
    assert b" of 25 threads in 1 process" in recording.result.stderr, str(recording.result)


def test_profile_jumps(record):
    """Left by longjmp: counted, without time; what follows is right again."""
    rows, _ = profiled(record, [profile_calls(), "longjmp"])
    assert rows["jumps"]["calls"] == rows["jumps"]["unfinished"] == 100
    assert rows["outer"]["calls"] == 1 and rows["outer"]["unfinished"] == 0
    assert rows["inner"]["calls"] == 100 and rows["inner"]["unfinished"] == 0
    assert rows["outer"]["total_ns"] <= rows["main"]["total_ns"]


def test_profile_jumps_out_of_signals(record):
    """A signal handler may leave the tracer itself; calls are counted again from the next one on."""
    rows, recording = profiled(record, [profile_calls(), "storm"])
    jumps = int(recording.result.stdout.split()[0])
    assert jumps > 100 and rows["inner"]["unfinished"] <= jumps
    assert rows["outer"]["calls"] == 1 and rows["outer"]["unfinished"] == 0
    assert rows["recursive"]["calls"] == 51
    # inner() calls nothing: with each of its calls an outermost one, both are the same, but for
    # those that were left between one addition and the other.
    assert rows["inner"]["total_ns"] == pytest.approx(rows["inner"]["self_ns"], rel=0.01)


def test_profile_forks(record):
    rows, recording = profiled(record, [profile_calls(), "fork"])
    assert len(recording.traces()) == 2
    assert rows["inner"]["calls"] == 300 and rows["main"]["calls"] == 1


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_profile_of_a_killed_program(how, record):
    rows, _ = profiled(record, [profile_calls(), how], status=137 if how == "kill" else 3)
    assert rows["inner"]["calls"] == 1000 and rows["inner"]["unfinished"] == 0
    assert rows["main"]["calls"] == rows["main"]["unfinished"] == 1


def test_profile_many_functions(record):
    """More than a first chunk of entries and a first table of keys hold."""
    program = build("profile_many.c", "-O0", PATCHABLE)
    rows, _ = profiled(record, [program])
    names = [name for name in rows if name.startswith("f_")]
    assert len(names) == 4096 and all(rows[name]["calls"] == 2 for name in names)


def test_profile_reloaded_objects(record):
    """Two objects that take turns, likely at one address: each call is its own function's."""
    plugins = [build("reload_lib.c", "-shared", "-fPIC", "-O1", PATCHABLE, f"-DWORK={work}",
                     f"-DCOUNT={count}", name=f"lib{work}.so") for work, count in (("alpha", 3), ("beta", 5))]
    rows, _ = profiled(record, [build("reload.c", "-O1", PATCHABLE, "-ldl"), *plugins],
                       ["-L", "lib*a.so"])
    assert rows["alpha"]["calls"] == 150 and rows["beta"]["calls"] == 250, rows


def test_profile_killed_recorder(tmp_path):
    ftracetest.need_ftrace()
    folder = str(tmp_path / "recording")
    with subprocess.Popen([FTRACE, "record", "--profile", "-o", folder, profile_calls(), "wait"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          start_new_session=True) as recorder:
        try:
            assert recorder.stdout.readline() == b"ready\n"
            os.kill(recorder.pid, signal.SIGKILL)
            recorder.wait()
            time.sleep(0.1)
            rows = rows_of(folder)
        finally:
            ftracetest.kill_session(recorder.pid)
    assert rows["inner"]["calls"] == 1000


def test_profile_no_room(record):
    """A table that may not grow: what fits is counted, the rest is said to be missing."""
    ftracetest.need_ftrace()
    program = build("profile_many.c", "-O0", PATCHABLE)
    # 160 blocks of 512 bytes: room for 256 + 512 functions, not for the next chunk.
    recording = record(["dash", "-c", f"ulimit -f 160; exec {program}"], ["--profile", "-N", "dash+*"])
    assert recording.result.status == 0, str(recording.result)
    shown = run([FTRACE, "report", "--json", "-i", recording.folder])
    assert shown.status == 0, str(shown)
    found = json.loads(shown.stdout)
    assert len(found["functions"]) == 768
    assert found["calls"] + found["lost"] == 2 * 4096 + 1
    assert b"COULD NOT BE FOLLOWED" in run([FTRACE, "report", "-i", recording.folder]).stdout


def test_profile_damaged(record):
    _, recording = profiled(record, [profile_calls(), "main"])
    path = os.path.join(recording.traces()[0], ".profile")
    with open(path, "ab") as file:
        file.write(b"p zzz\np 1 2 3 4 5\np ffffffff 1 1 1 1 1 1 1\n" + b"\xff" * 1000)
    shown = run([FTRACE, "report", "--json", "-i", recording.folder])
    assert shown.status == 0 and b"damaged lines" in shown.stderr, str(shown)


@pytest.mark.parametrize("tracer", ["stack", "profile"])
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_programs_run_the_same(name, tracer, record):
    if ftracetest.NATIVE:
        pytest.skip("FTRACE_TEST_NATIVE=1: nothing is recorded")
    command = prepare(name)
    options = ["--tracer", tracer]
    if name in ("dlcycle", "dlthreads"):
        options += ["-L", "plugin*"]
    if name == "ctor_thread":
        options += ["-L", "libctor*"]
    record.same(command, options, native=native_run(name, command), timeout=TIME_LIMIT)

# SPDX-License-Identifier: MIT
"""What a recording holds: exact numbers of calls, readable by babeltrace2, time never going back,
also when a signal arrives at any instruction of a trampoline and its handler never returns."""
import os
import re

import pytest

import ftracetest
from ftracetest import PATCHABLE, build, check_streams, need_ftrace, run

O2 = ["-O2", PATCHABLE]


def check_whole(recording, total=None):
    """As many records by our own reader as by babeltrace2; @total, if that is given."""
    seen = check_streams(recording.folder)
    assert recording.babeltrace() == seen
    assert total is None or seen == total


def shown_depths(recording):
    """Each function's depths as ftrace replay shows its calls, in that order; 1: main."""
    shown = run([ftracetest.FTRACE, "replay", "--no-pager", "-i", recording.folder])
    depths = {}
    for line in shown.stdout.decode().splitlines():
        # A # in front is a comment; before the time it says that the call was a long one.
        found = re.match(r"(?!#)[^|]*\|( +)(\w+)\(\)", line)
        if found:
            depths.setdefault(found.group(2), []).append(len(found.group(1)) // 2)
    return depths


def step_program():
    return build("step.c", *O2, "-pthread", name="step")


def run_with_api(how, mode, timeout, **env):
    """programs/step.c ends as it does alone."""
    native = run([step_program(), how])
    traced = run([step_program(), how], timeout=timeout,
                 env={"LD_PRELOAD": ftracetest.api_all(), "FTRACE_TEST_API": mode, **env})
    assert (traced.status, traced.stdout) == (native.status, native.stdout), str(traced)


@pytest.mark.parametrize("tracer,per_call", [("function_graph", 2), ("function", 1)])
def test_exact(tracer, per_call, record):
    """fib(20) is 21891 calls; leaf 100,000; caller 50,000; main. (-O1: -O2 makes a loop of fib.)"""
    program = build("exact.c", "-O1", PATCHABLE, name="exact_O1")
    recording = record.same([program], ["--tracer", tracer])
    if ftracetest.NATIVE:
        return
    calls = recording.report()
    assert calls == {"main": 1, "fib": 21891, "leaf": 100000, "caller": 50000}, calls
    check_whole(recording, sum(calls.values()) * per_call)


def test_calls_left_by_longjmp_end(record):
    """What longjmp leaves is over at the next call: nothing is shown inside it."""
    program = build("left.c", *O2)
    recording = record.same([program])
    if ftracetest.NATIVE:
        return
    assert recording.report() == {"main": 1, "dive": 600, "leaf": 101, "even": 501, "odd": 500}
    depths = shown_depths(recording)
    assert set(depths["leaf"]) == {2}, sorted(set(depths["leaf"]))
    assert depths["dive"] == [2, 3, 4, 5, 6, 7] * 100
    recording.babeltrace()


def test_calls_anywhere_on_the_stack(record):
    """Return addresses at every word of two pages: each comes back, and each call knows the one around it."""
    program = build("places.c", *O2)
    recording = record.same([program])
    if ftracetest.NATIVE:
        return
    assert recording.report() == {"main": 1, "outer": 1024, "leaf": 4096, "around": 1024, "thrower": 1024}
    depths = shown_depths(recording)
    assert depths["outer"] == depths["around"] == [2] * 1024
    assert depths["leaf"] == [3] * 2048 + [4, 2] * 1024
    recording.babeltrace()


def test_threads_exact(record):
    """Four threads at once, each its own stream; nothing lost or doubled."""
    program = build("exact_threads.c", *O2, "-pthread")
    recording = record.same([program])
    if ftracetest.NATIVE:
        return
    calls = recording.report()
    assert calls == {"main": 1, "thread": 4, "work": 4 * 300000}, calls
    check_whole(recording, 2 * sum(calls.values()))


def test_signals_exact(record):
    """A 200 us timer whose handler is traced: every call of it is there."""
    program = build("sigalrm.c", "-O1", PATCHABLE, name="sigalrm_O1")
    recording = record.same([program, "main", "300"])
    if ftracetest.NATIVE:
        return
    data = recording.report_json()
    calls, lost = ftracetest.report_calls(data), data["lost"]
    # Also of handlers that interrupt the change from one packet to the next.
    assert lost == 0 and calls["handler"] >= 300, (calls, lost)
    assert calls["middle"] <= calls["handler"] and calls["inner"] == 2 * calls["handler"], calls
    assert calls["fib"] % 465 == 21891 % 465, calls		# fib(12) is 465 calls
    check_whole(recording, data["records"])


@pytest.mark.limit(240)
@pytest.mark.parametrize("tracer", ["function_graph", "function"])
@pytest.mark.parametrize("how", ["return", "jump", "unwind", "cold", "coldjump"])
def test_signal_at_every_instruction(how, tracer, record):
    """programs/step.c: a signal whose handler is traced at each instruction of traced calls."""
    recording = record.same([step_program(), how], ["--tracer", tracer], timeout=100)
    if ftracetest.NATIVE:
        return
    check_whole(recording)
    match = re.search(rb"outside the program (\d+) worked (\d+)", recording.result.stderr)
    assert match and int(match.group(1)) > 0, str(recording.result)
    data = recording.report_json()
    calls = ftracetest.report_calls(data)
    if how in ("return", "unwind"):
        rounds = {"return": 101, "unwind": 11}[how]
        assert calls["top"] == rounds and calls["leaf"] == 4 * rounds, calls
        # Also in a change of packets.
        worked, seen = int(match.group(2)) + 1, calls["handler_work"]
        assert (seen, data["lost"]) == (worked, 0), (calls, str(recording.result))


@pytest.mark.limit(240)
@pytest.mark.parametrize("mode", ["graph", "regs", "minimal", "general", "several", "all"])
@pytest.mark.parametrize("how", ["return", "jump", "unwind"])
def test_signal_at_every_instruction_api(how, mode):
    """The same with callbacks of the library's API at every entry and return."""
    run_with_api(how, mode, 100)


@pytest.mark.limit(240)
@pytest.mark.parametrize("how", ["return", "jump", "unwind"])
def test_signal_at_every_instruction_replaced(how, tmp_path):
    """The same while a function is being replaced, and back: each call is of one version or the other."""
    if (how, ftracetest.ARCH) == ("unwind", "i386"):
        pytest.skip("system calls with six arguments have pushes that no unwind table tells of")
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(16))
    run_with_api(how, "replaced", 200, FTRACE_TEST_COUNTER=str(counter))
    new = int.from_bytes(counter.read_bytes()[:8], "little")
    # Who jumps out of every look at its own stack does not go over.
    assert new > 10 or how == "jump", f"{new} calls of the new version"


@pytest.mark.limit(240)
@pytest.mark.parametrize("tracer", ["function_graph", "function"])
def test_stepped_from_outside(tracer, record):
    """A debugger-like parent single-steps a child by ptrace and delivers a signal at each step."""
    need_ftrace()
    program = build("ptrace_step.c", *O2, name="ptrace_step")
    recording = record.same([program], ["--tracer", tracer], timeout=100)
    check_whole(recording)
    data = recording.report_json()
    calls = ftracetest.report_calls(data)
    assert calls["handler"] > 100 and calls["top"] == 3 and calls["leaf"] == 6, calls
    assert calls["handler"] == calls["handler_work"] and not data["lost"], (calls, data["lost"])


def test_time_is_ordered_across_threads(record):
    """Two threads pass a token by turns: entries of their streams alternate in time."""
    program = build("token.c", *O2, "-pthread")
    recording = record.same([program])
    if ftracetest.NATIVE:
        return
    (trace,) = ftracetest.ctf_traces(recording.folder)
    merged = []
    for name in os.listdir(trace):
        if name.startswith("stream"):
            tids, records = ftracetest.read_stream(os.path.join(trace, name))
            merged += [(now, min(tids)) for now, event, site in records if event == 0]
    merged.sort()
    # Every entry of turn() comes from the other thread than the one before; but a processor may read
    # the clock some nanoseconds before the load that found the token.
    switches = sum(a[1] != b[1] for a, b in zip(merged, merged[1:]))
    assert len(merged) == 2000 and switches > 1500, switches

# SPDX-License-Identifier: MIT
"""Reading a large recording: `ftrace report` and `ftrace replay | head`."""
import os
import subprocess
import time

from benchlib import Failure, median, run, size_of
import calls


def replay_head(bench, recording):
    """Seconds until `ftrace replay | head -40` has ended."""
    start = time.monotonic()
    replay = subprocess.Popen([bench.need_ftrace(), "replay", "-i", recording],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [replay.stdout.readline() for _ in range(40)]
    seconds = time.monotonic() - start
    replay.stdout.close()
    error = replay.stderr.read().decode(errors="replace")
    replay.wait()
    if not lines[-1]:
        raise Failure(f"ftrace replay: fewer than 40 lines: {error.strip()}")
    return seconds


def fib_calls(n):
    """How many calls fib(n) makes."""
    a, b = 0, 1
    for _ in range(n + 1):
        a, b = b, a + b
    return 2 * a - 1


def make(bench, *numbers):
    """A recording of fib of each of @numbers: its path, and how many calls it holds."""
    program = calls.build(bench, "fib", "patchable")
    recording = bench.fresh("fib" + "-".join(map(str, numbers)))
    calls.record_ours(bench, recording, [program, *map(str, numbers)])
    made = sum(map(fib_calls, numbers))
    records = size_of(recording, "stream") / 8
    if records < 2 * made:
        raise Failure(f"recording of fib{numbers} holds {records:,.0f} records where {2 * made:,} are due")
    return recording, made


def report(bench, recording, made):
    """One run of ftrace report on one processor; its numbers are checked."""
    done = run([bench.need_ftrace(), "report", "-i", recording, "--csv"],
               prefix=["taskset", "-c", "1"] if os.cpu_count() > 1 else [])
    if str(made) not in done.out:
        raise Failure(f"ftrace report: {made} calls of fib expected, not found in: "
                      + done.out[:300])
    return done


def reading(bench):
    # 0.8 and 8.7, or 8.7 and 102 million records.
    small_n, large_n, rounds = ([26], [31], 3) if bench.quick else ([31], [36, 30], 7)
    small, small_calls = make(bench, *small_n)
    large, large_calls = make(bench, *large_n)
    times, peaks, small_peaks, heads, small_heads = [], [], [], [], []
    for turn in range(rounds):
        bench.say(f"reading {2 * large_calls:,} records, round {turn + 1} of {rounds}")
        done = report(bench, large, large_calls)
        times.append(done.wall)
        peaks.append(done.peak_kib)
        small_peaks.append(report(bench, small, small_calls).peak_kib)
        heads.append(replay_head(bench, large) * 1e3)
        small_heads.append(replay_head(bench, small) * 1e3)
    bench.row(f"ftrace report, {2 * large_calls / 1e6:.1f} M records", median(times) * 1e3, "ms wall")
    speed = [2 * large_calls / seconds / 1e6 for seconds in times]
    bench.row("ftrace report: records a second", median(speed), "M/s", at_least=30,
              target_is="value", samples=speed)
    bench.row(f"its memory, {2 * large_calls / 1e6:.1f} M records", median(peaks) / 1024, "MiB",
              median(peaks) / median(small_peaks),
              f"{2 * small_calls / 1e6:.1f} M records", at_most=1.1)
    bench.row(f"replay | head, {2 * large_calls / 1e6:.1f} M records", median(heads), "ms",
              median(heads) / median(small_heads), f"{2 * small_calls / 1e6:.1f} M records",
              samples=heads)
    bench.drop(small)
    bench.drop(large)

# SPDX-License-Identifier: MIT
"""What the tests of the reader share: the command's output, and recordings in a few words."""
import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tracegen import ENTRY, EXIT, EXTENDED, FUNCTION, PADDING, TAIL, Recording, packet, packets

N = [(1, "main"), (2, "foo"), (3, "bar"), (4, "baz"), (5, "_ZN5shape4areaEd"),
     (6, "_RNvCskwGfYPst2Cb_3foo16example_function"), (7, "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE")]
NAMES = {1: "main", 2: "foo", 3: "bar", 4: "baz", 5: "shape::area", 6: "foo::example_function",
         7: "core::fmt::Write::write_fmt"}


def run(ftrace, *args, status=0, env=None):
    done = subprocess.run([ftrace, *map(str, args)], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, **(env or {})))
    assert done.returncode == status, done.stderr + done.stdout
    if status == 0:
        done.quiet = done.stderr == ""
    return done


def replay(ftrace, recording, *args, header=False):
    text = run(ftrace, "replay", "-i", recording.dir, *args).stdout
    return [l for l in text.split("\n")[:-1] if header or not l.startswith("#")]


def shape(lines):
    """Replay lines without durations and thread: what is called, how deep."""
    return [re.sub(r"^ *\d+\) .{14}\|  ", "", line) for line in lines]


def report(ftrace, recording, *args):
    return json.loads(run(ftrace, "report", "-i", recording.dir, "--json", *args).stdout)


def one(tmp_path, records, tid=100, **how):
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    p.thread(tid, records, **how)
    return r


def simple(*what):
    """("+main", "-foo", ".bar", "tail") at 1000, 1010, 1020 ... ticks."""
    ids = {name: i for i, name in N[:4]}
    out, time = [], 1000
    for word in what:
        event = {"+": ENTRY, "-": EXIT, ".": FUNCTION, "t": EXTENDED}[word[0]]
        out.append((time, event, TAIL if word == "tail" else ids[word[1:]]))
        time += 10
    return out


def random_thread(rng, start, length):
    """Records with everything in them, but for what no reader could tell apart: an exit that leaves
    behind an inner call of the same function."""
    records, open_, time = [], [], start
    for _ in range(length):
        time += rng.choice((4, 10, 50, 400, 4000)) * 16
        kind = rng.random()
        if kind < 0.02:
            records.append((time, EXTENDED, PADDING))
        elif kind < 0.04:
            records.append((time, FUNCTION, rng.randint(1, 7)))
        elif kind < 0.05:
            absent = [s for s in range(1, 8) if s not in open_]
            if absent:
                records.append((time, EXIT, rng.choice(absent)))
        elif kind < 0.52 and len(open_) < 30 or not open_:
            open_.append(rng.randint(1, 7))
            records.append((time, ENTRY, open_[-1]))
            if rng.random() < 0.05:
                time += 16
                records.append((time, EXTENDED, TAIL))
        else:
            at = len(open_) - 1
            if rng.random() < 0.1:
                at = rng.randrange(len(open_))
            records.append((time, EXIT, open_[at]))
            # As the reader sees it, which model.calls_of() works out for itself.
            last = max(i for i, s in enumerate(open_) if s == open_[at])
            del open_[last:]
    return records


def varied(path, seed=1):
    rng = random.Random(seed)
    r = Recording(path)
    p = r.process("prog", 100, functions=N)
    for tid in (100, 101):
        p.stream(packets(tid, [(t + tid - 99, e, s) for t, e, s in random_thread(rng, 16000, 700)],
                         per_packet=60))
    p.stream([packet(102, [(20000, ENTRY, 1), (20010, ENTRY, 2)], 0),
              packet(103, [(20500, ENTRY, 4), (20600, EXIT, 4)], 1, discarded=3)])
    q = r.process("child", 200, start=30000, functions=[(9, "kid")], parent=(100, 0), inherited=60)
    q.thread(200, [(31000 + 10 * i, i & 1, 9) for i in range(50)])
    return r


def survive(command, directory, what):
    """Any answer is right but a crash, a sanitizer's report, an endless run, or silence about why."""
    done = subprocess.run([command[0], *command[1:], "-i", directory], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60,
                          env=dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1"))
    text = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 1), f"{what}: {command}: {done.returncode}\n{text}"
    assert "Sanitizer" not in text and "runtime error" not in text, f"{what}: {command}\n{text}"
    for line in text.splitlines():
        assert line.startswith("ftrace: "), f"{what}: {line}"
    if done.returncode == 1:
        assert text, f"{what}: {command} failed without a word"
    return done


def babeltrace(recording, events):
    """babeltrace2 reads the recording and counts that many events. Returns its output."""
    if not shutil.which("babeltrace2"):
        pytest.skip("babeltrace2 is not installed")
    done = subprocess.run(["babeltrace2", recording.dir], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == events
    return lines

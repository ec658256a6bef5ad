# SPDX-License-Identifier: MIT
"""Recordings that are damaged, or huge; and babeltrace2's opinion of what we write."""
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from readertest import N, babeltrace, replay, report, run, shape, simple, survive, varied
from tracegen import ENTRY, EXIT, EXTENDED, FUNCTION, PADDING, TAIL, Recording, packet, packets

COMMANDS = [["replay"], ["replay", "-t", "1us", "--abs-time"], ["replay", "--flat", "-F", "ba*"],
            ["report"], ["report", "--json", "-G", "foo", "-D", "3"], ["graph"], ["graph", "bar"],
            ["info", "--threads"]]


def files_of(directory):
    return sorted(os.path.join(base, name) for base, _, names in os.walk(directory)
                  for name in names)


def damage(rng, directory):
    """One to five changes somewhere in the recording. Says what it did."""
    done = []
    for _ in range(rng.randint(1, 5)):
        path = rng.choice(files_of(directory))
        with open(path, "rb") as f:
            data = bytearray(f.read())
        kind = rng.choice(("bytes", "bytes", "header", "cut", "insert", "remove", "zero", "number"))
        at = rng.randrange(len(data) + 1)
        if kind == "bytes":
            for _ in range(rng.randint(1, 20)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == "header" and data:
            data[rng.randrange(min(len(data), 128))] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 300)))
        elif kind == "remove":
            del data[at:at + rng.randint(1, 300)]
        elif kind == "zero":
            data[at:at + 200] = bytes(len(data[at:at + 200]))
        elif kind == "number" and len(data) >= 8:
            at = at % (len(data) - 7) & ~7
            data[at:at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f",
                                          struct.pack("<Q", 1 << rng.randrange(64))))
        with open(path, "wb") as f:
            f.write(data)
        done.append(f"{kind} in {os.path.relpath(path, directory)}")
    return "; ".join(done)


@pytest.mark.parametrize("part", range(6))
@pytest.mark.limit(300)
def test_random_damage(sanitized, tmp_path, part):
    varied(tmp_path / "sound")
    for case in range(25):
        rng = random.Random(1000 * part + case)
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        shutil.copytree(tmp_path / "sound", tmp_path / "r")
        what = f"seed {1000 * part + case}: {damage(rng, tmp_path / 'r')}"
        for command in rng.sample(COMMANDS, 3):
            survive([sanitized, *command], tmp_path / "r", what)


def test_cut_at_every_length(ftrace, sanitized, tmp_path):
    """A stream cut anywhere gives exactly the records before the cut."""
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    records = simple("+main", "+foo", "-foo", "+bar", "-bar", "-main")
    path = p.stream([packet(100, records[:3], 0), packet(100, records[3:], 1)])
    with open(path, "rb") as f:
        data = f.read()
    for length in range(len(data)):
        with open(path, "wb") as f:
            f.write(data[:length])
        left = max(0, min(3, (length - 64) // 8))
        if length > 64 + 24:
            left = 3 + max(0, (length - 2 * 64 - 24) // 8)
        command = sanitized if length % 7 == 0 else ftrace
        done = survive([command, "report", "--json"], r.dir, f"cut at {length}")
        assert f'"records": {left},' in done.stdout.decode(), (length, left)
        assert (b"cut short" in done.stderr) == (length not in (0, 64 + 24))


def test_no_recording(ftrace, sanitized, tmp_path):
    for command in COMMANDS:
        done = survive([sanitized, *command], tmp_path / "nothing", "no directory")
        assert done.returncode == 1 and b"ftrace record" in done.stderr
        done = survive([sanitized, *command], tmp_path, "an empty directory")
        assert done.returncode == 1 and b"no recording" in done.stderr
    (tmp_path / "file").write_text("x")
    done = survive([sanitized, "replay"], tmp_path / "file", "a file")
    assert done.returncode == 1 and b"a recording is a directory" in done.stderr
    r = varied(tmp_path / "r")
    r.info["version"] = 2
    r.write_info()
    assert "format 2" in run(ftrace, "replay", "-i", r.dir, status=1).stderr


def test_empty_recording(sanitized, tmp_path):
    r = Recording(tmp_path / "r")
    for command in COMMANDS:
        if command != ["graph", "bar"]:
            assert survive([sanitized, *command], r.dir, "nothing recorded").returncode == 0
    r.process("prog", 100, functions=N)
    for command in COMMANDS:
        if command != ["graph", "bar"]:
            assert survive([sanitized, *command], r.dir, "no streams").returncode == 0


def test_resynchronises(ftrace, tmp_path):
    """One broken packet costs that packet only, and is shown as a loss."""
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    records = [simple("+main", "+foo"), [(t + 500, e, s) for t, e, s in simple("-foo", "+bar")],
               [(t + 1000, e, s) for t, e, s in simple("+baz", "-baz", "-main")]]
    path = p.stream([packet(100, part, i) for i, part in enumerate(records)])
    with open(path, "r+b") as f:
        f.seek(64 + 16)
        f.write(b"\0\0\0\0")
    done = run(ftrace, "replay", "-i", r.dir)
    assert "no packet at byte 80" in done.stderr
    assert shape(done.stdout.split("\n")[4:-1]) == ["main() {", "  foo() {", "[LOST EVENTS]",
                                                    "    baz();", "  } /* foo */", "} /* main */"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.limit(300)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_valgrind_clean(ftrace, build_dir, tmp_path, command):
    r = varied(tmp_path / "r")
    done = subprocess.run(["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
                           "--show-leak-kinds=all", "--errors-for-leak-kinds=all",
                           os.path.realpath(ftrace), *command, "-i", r.dir],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "==" not in done.stderr, done.stderr


# ---- size ----

# A process of its own starts the command: what it may ever have occupied counts from its fork, and
# this one, at the end of a long run of tests, is larger than what is measured.
MEASURE = """
import os, sys
pid = os.fork()
if pid == 0:
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
status, usage = os.wait4(pid, 0)[1:]
print(status, usage.ru_maxrss)
"""


def measure(command):
    """Peak resident KiB of a command."""
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, *command], check=True,
                          capture_output=True, text=True)
    status, kib = done.stdout.split()
    assert status == "0"
    return int(kib)


@pytest.fixture(scope="module")
def big(build_dir, tmp_path_factory):
    """20 and 2 million records."""
    base = tmp_path_factory.mktemp("big")
    for records in (20_000_000, 2_000_000):
        subprocess.run([os.path.join(build_dir, "tests", "reader", "genbig"), base / str(records),
                        str(records), "4"], check=True)
    yield base
    shutil.rmtree(base)


@pytest.mark.parametrize("command", [["report"], ["replay"], ["replay", "-t", "1ms"], ["info"]],
                         ids=" ".join)
@pytest.mark.limit(300)
def test_memory_does_not_grow(ftrace, big, command):
    small = measure([ftrace, *command, "-i", str(big / "2000000")])
    large = measure([ftrace, *command, "-i", str(big / "20000000")])
    assert large < small * 1.25 + 1024 and large < 64 * 1024, (small, large)


def test_replay_starts_at_once(ftrace, big):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(f"{ftrace} replay -i {big / '20000000'} | head -6", shell=True,
                          capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert done.stderr == "" and done.stdout.count("\n") == 6


def test_closed_pipe_is_quiet(ftrace, big):
    """Also where SIGPIPE is ignored, as Python leaves it."""
    process = subprocess.Popen([ftrace, "replay", "-i", str(big / "2000000")], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=False)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in (141, -signal.SIGPIPE)
    process.stderr.close()


def test_many_streams(ftrace, tmp_path):
    """More streams than descriptors may be open."""
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    for i in range(700):
        p.thread(1000 + i, [(1000 + i, ENTRY, 1), (5000 + i, ENTRY, 2), (9000 + i, EXIT, 2),
                            (13000 + i, EXIT, 1)])
    command = f"ulimit -n 450; exec {ftrace} "
    out = subprocess.run(command + f"report --csv -i {r.dir}", shell=True, capture_output=True, text=True)
    assert out.returncode == 0 and out.stderr == "", out.stderr
    assert {tuple(l.split(",")[:3:2]) for l in out.stdout.splitlines()[1:]} == {("main", "700"), ("foo", "700")}
    out = subprocess.run(command + f"replay --abs-time -i {r.dir}", shell=True, capture_output=True, text=True)
    assert out.returncode == 0 and out.stderr == "", out.stderr
    stamps = [float(l.split()[0]) for l in out.stdout.splitlines() if "us    |" in l]
    assert len(stamps) == 1400 and stamps == sorted(stamps)


def test_many_processes(ftrace, tmp_path):
    """... nor does every process cost one."""
    r = Recording(tmp_path / "r")
    first = r.process("prog", 100, functions=N)
    first.thread(100, simple("+main", "-main"))
    for i in range(1, 400):
        child = r.process("prog", 100 + i, start=2000 + i, functions=[(100 + i, f"only_{i}")],
                          parent=(100, 0), inherited=len(first.text))
        child.thread(100 + i, [(3000 + 100 * i, ENTRY, 2), (3010 + 100 * i, ENTRY, 100 + i),
                               (3020 + 100 * i, EXIT, 2)])
    for command in (["report", "--limit", "1"], ["replay"], ["graph"], ["info"]):
        done = subprocess.run(f"ulimit -n 430; exec {ftrace} {' '.join(command)} -i {r.dir}", shell=True,
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert "unknown" not in done.stdout
    assert report(ftrace, r)["calls"] == 1 + 2 * 399


def test_deep_recursion(ftrace, tmp_path):
    n = 300_000
    records = [(1000 + i, ENTRY, 2) for i in range(n)] + [(1000 + n + i, EXIT, 2) for i in range(n)]
    r = Recording(tmp_path / "r")
    r.process("prog", 100, functions=N).thread(100, records)
    row, = report(ftrace, r)["functions"]
    assert row["calls"] == n and row["total_ns"] == (2 * n - 1) // 2 and row["self_ns"] == (2 * n - 1) // 2
    lines = replay(ftrace, r)
    assert len(lines) == 2 * n - 1 and max(map(len, lines)) < 300
    graph = run(ftrace, "graph", "-i", r.dir).stdout.splitlines()
    assert len(graph) == 2 and f"({n - 1} of the calls inside itself)" in graph[1]


# ---- babeltrace2 ----

def with_metadata(ftrace, r):
    """Let repair write the metadata, as the recorder does at its end."""
    with open(os.path.join(r.dir, ".session"), "w") as f:
        f.write("/dev/shm/ftrace-was-here\n")
    run(ftrace, "info", "-i", r.dir)


def test_babeltrace_reads_everything(ftrace, tmp_path):
    g = 1 << 32
    r = Recording(tmp_path / "r")
    odd = [(1, "main"), (2, 'operator""_x'), (3, "a\\b"), (4, "same"), (5, "same"), (6, "tab\there"),
           (0x3FFFFF, "far away")]
    p = r.process("prog", 100, functions=odd[:-1])
    p.stream(packets(100, [(1000, ENTRY, 1), (g - 1, ENTRY, 2), (g, EXTENDED, PADDING), (g + 5, FUNCTION, 3),
                           (g + 6, ENTRY, 4), (g + 7, EXTENDED, TAIL), (3 * g + 6, EXIT, 2),
                           (7 * g, EXIT, 1)]) +
             [packet(101, [(7 * g + 5, ENTRY, 5), (7 * g + 6, EXIT, 5)], 5)])
    p.thread(102, [(2000 + 10 * i, i & 1, 1 + i // 2 % 6) for i in range(20000)])
    q = r.process("child", 200, start=2 * g, functions=[(7, "kid")], parent=(100, 0), inherited=len(p.text))
    q.thread(200, [(4 * g, ENTRY, 1), (4 * g + 9, ENTRY, 7), (4 * g + 10, EXIT, 7)])
    with_metadata(ftrace, r)
    lines = babeltrace(r, 8 + 2 + 20000 + 3)
    text = "\n".join(l for l in lines if "tid = 102" not in l)
    for event, name in (("func_entry", "main"), ("func", "a\\\\b"), ("func_entry", "same"),
                        ("func_entry", "kid"), ("func_exit", 'operator\\"\\"_x')):
        assert re.search(rf' {event}: .*"{re.escape(name)}"', text), (event, name, text)
    assert " padding: " in text and " tail_call: " in text
    stamps = [l[1:l.index("]")] for l in lines]
    assert stamps == sorted(stamps)
    assert stamps[0].endswith("20.000000500")	# 22:13:20 UTC and 1000 ticks of half a nanosecond
    # The same moments as ours.
    last = run(ftrace, "replay", "--abs-time", "-i", r.dir).stdout.splitlines()[-1].split()[0]
    assert last.split(".")[1] == stamps[-2].split(".")[1]


def test_babeltrace_without_functions(ftrace, tmp_path):
    r = Recording(tmp_path / "r")
    r.process("prog", 100).thread(100, [(1000, ENTRY, 77), (1010, EXIT, 77)])
    with_metadata(ftrace, r)
    babeltrace(r, 2)


def test_babeltrace_with_many_functions(ftrace, build_dir, tmp_path):
    """A program of 60,000 functions of which few were called: no minutes in babeltrace2."""
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=[(i, f"function_{i}") for i in range(1, 60001)])
    sites = [1, 500, 30000, 60000]
    p.thread(100, [(1000 + 10 * i, i & 1, sites[i // 2 % 4]) for i in range(20000)])
    with_metadata(ftrace, r)
    began = time.monotonic()
    lines = babeltrace(r, 20000)
    assert time.monotonic() - began < 60
    assert {re.search(r'"(\w+)"', l).group(1) for l in lines} == {f"function_{i}" for i in sites}

# SPDX-License-Identifier: MIT
"""replay, report and graph against a second implementation of their rules (model.py), on recordings
made at random and on small ones whose output is written out here."""
import csv
import io
import os
import random
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import model
from readertest import N, NAMES, one, random_thread, replay, report, run, shape, simple
from tracegen import ENTRY, EXIT, EXTENDED, PADDING, Recording, packet, packets


# ---- the shapes calls come in ----

def test_nesting_and_leaves(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "-foo", "+bar", "+baz", "-baz", "-bar", "-main"))
    assert replay(ftrace, r) == [
        "     100)               |  main() {",
        "     100)   0.005 us    |    foo();",
        "     100)               |    bar() {",
        "     100)   0.005 us    |      baz();",
        "     100)   0.015 us    |    }",
        "     100)   0.035 us    |  }"]


def test_tail_call_ends_with_its_caller(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "+bar", "-foo", "+baz", "-baz", "-main"))
    assert shape(replay(ftrace, r)) == ["main() {", "  foo() {", "    bar();", "  }", "  baz();", "}"]
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["bar"]["total_ns"] == 5 and rows["foo"]["total_ns"] == 10
    assert rows["foo"]["self_ns"] == 5


def test_marked_tail_call_of_itself(ftrace, tmp_path):
    records = simple("+main", "+foo", "+foo", "tail", "+foo", "tail", "-foo", "+bar", "-bar", "-main")
    r = one(tmp_path, records)
    assert shape(replay(ftrace, r)) == ["main() {", "  foo() {", "    foo() {", "      foo();",
                                        "    }", "  }", "  bar();", "}"]
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["foo"]["calls"] == 3 and rows["foo"]["unfinished"] == 0
    assert rows["foo"]["total_ns"] == 25


def test_frames_left_by_longjmp(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "+bar", "+baz", "-foo", "+bar", "-bar", "-main"))
    assert shape(replay(ftrace, r)) == ["main() {", "  foo() {", "    bar() {", "      baz();",
                                        "    }", "  }", "  bar();", "}"]


def test_exit_without_entry_is_ignored(ftrace, tmp_path):
    r = one(tmp_path, simple("-foo", "-main", "+foo", "-foo", "-bar", "+bar", "-bar"))
    assert shape(replay(ftrace, r)) == ["foo();", "bar();"]
    assert {f["name"]: f["calls"] for f in report(ftrace, r)["functions"]} == {"foo": 1, "bar": 1}


def test_open_at_the_end(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "-foo", "+bar"))
    assert shape(replay(ftrace, r)) == ["main() {", "  foo();", "  bar() {"]
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["main"]["unfinished"] == 1 and "min_ns" not in rows["main"]
    assert rows["foo"]["unfinished"] == 0


def test_points(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", ".foo", ".bar", "-main"))
    lines = replay(ftrace, r)
    assert lines[1] == "     100)               |    foo();"
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["foo"]["calls"] == 1 and rows["foo"]["unfinished"] == 0
    assert rows["foo"]["total_ns"] == 0


def test_lost_records(ftrace, tmp_path):
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    first = simple("+main", "+foo")
    second = [(t + 1000, e, s) for t, e, s in simple("+bar", "-bar", "-main")]
    p.stream([packet(100, first, 0), packet(100, second, 1, discarded=7)])
    assert replay(ftrace, r) == [
        "     100)               |  main() {",
        "     100)               |    foo() {",
        "     100)               |  [LOST 7 EVENTS]",
        "     100)   0.005 us    |      bar();",
        "     100)               |    } /* foo */",
        "     100)               |  } /* main */"]
    found = report(ftrace, r)
    rows = {f["name"]: f for f in found["functions"]}
    assert found["lost"] == 7
    assert rows["main"]["unfinished"] == 1 and rows["bar"]["total_ns"] == 5
    assert "LOST 7 EVENTS" in run(ftrace, "report", "-i", r.dir).stdout
    assert "LOST 7 EVENTS" in run(ftrace, "graph", "-i", r.dir).stdout


def test_time_wraps_and_padding(ftrace, tmp_path):
    g = 1 << 32
    records = [(g - 20, ENTRY, 1), (g - 10, ENTRY, 2), (g - 5, EXTENDED, PADDING), (g + 10, EXIT, 2),
               (5 * g, EXIT, 1)]
    r = one(tmp_path, records)
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["foo"]["total_ns"] == 10
    assert rows["main"]["total_ns"] == (4 * g + 20) // 2
    assert replay(ftrace, r)[-1].split("|")[0].split() == ["100)", "$", str((4 * g + 20) // 2000), "us"]


def test_marks(ftrace, tmp_path):
    records, time = [], 1000
    for ns in (9_999, 10_000, 10_001, 100_001, 1_000_001, 10_000_001, 100_000_001, 1_000_000_001):
        records += [(time, ENTRY, 2), (time + 2 * ns, EXIT, 2)]
        time += 2 * ns + 10
    lines = replay(ftrace, one(tmp_path, records))
    assert [line[10:24] for line in lines] == [
        "  9.999 us    ", "  10.000 us   ", "+ 10.001 us   ", "! 100.001 us  ", "# 1000.001 us ",
        "* 10000.00 us ", "@ 100000.0 us ", "$ 1000000 us  "]


# ---- threads and processes ----

def test_threads_of_one_stream_and_one_thread_in_two_streams(ftrace, tmp_path):
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N)
    # Thread 7 goes from stream 0 to stream 1 in the middle of a call, and back; 8 takes over its ring.
    p.stream([packet(7, [(1000, ENTRY, 1), (1010, ENTRY, 2)], 0),
              packet(8, [(1100, ENTRY, 4), (1120, EXIT, 4)], 1),
              packet(7, [(1300, EXIT, 1)], 2)])
    p.stream([packet(7, [(1150, EXIT, 2), (1160, ENTRY, 3), (1170, EXIT, 3)], 0)])
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["main"]["total_ns"] == 150 and rows["foo"]["total_ns"] == 70
    assert rows["main"]["self_ns"] == 150 - 70 - 5
    assert shape(replay(ftrace, r, "--tid", 7)) == ["main() {", "  foo() {", "  }", "  bar();", "}"]
    lines = replay(ftrace, r)
    assert " " + "-" * 42 in lines and "       8)  prog-7  =>  prog-8" in lines
    assert run(ftrace, "info", "-i", r.dir, "--threads").stdout.count("thread  ") == 2


def test_forked_process_has_its_parents_names(ftrace, tmp_path):
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=N[:3])
    p.thread(100, simple("+main", "+foo", "-foo", "-main"))
    later = p.text
    p.text += "s 9 1 9000 10 loaded_after_the_fork\n"
    p.write_map((0, 0), 0)
    c = r.process("prog", 101, start=3000, functions=[(20, "only_child")], parent=(100, 0),
                  inherited=len(later))
    c.thread(101, [(5000, ENTRY, 1), (5010, ENTRY, 20), (5020, EXIT, 20), (5030, ENTRY, 9),
                   (5040, EXIT, 9)])
    g = r.process("prog", 102, start=4000, text="s 21 1 9100 10 only_grandchild\n", parent=(101, 0),
                  inherited=len(later) + len(c.text))
    g.thread(102, [(6000, ENTRY, 2), (6010, ENTRY, 20), (6020, ENTRY, 0x21)])
    assert shape(replay(ftrace, r, "--pid", 101)) == ["main() {", "  only_child();", "  [unknown 9]();"]
    assert shape(replay(ftrace, r, "--pid", 102)) == ["foo() {", "  only_child() {",
                                                      "    only_grandchild() {"]
    rows = {f["name"]: f for f in report(ftrace, r)["functions"]}
    assert rows["main"]["calls"] == 2 and rows["foo"]["calls"] == 2


def test_missing_map(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "-foo", "-main"))
    os.unlink(os.path.join(r.dir, "prog-100.0", ".map"))
    done = run(ftrace, "replay", "-i", r.dir)
    assert "[unknown 2]();" in done.stdout and "shown by number" in done.stderr


# ---- options ----

CALLS = ("+main", "+foo", "+bar", "-bar", "+baz", "+bar", "-bar", "-baz", "-foo", "+bar", "-bar", "-main")


@pytest.mark.parametrize("args, expected", [
    (["-F", "ba*"], ["bar();", "baz() {", "  bar();", "}", "bar();"]),
    (["-F", "/^ba[rz]$/"], ["bar();", "baz() {", "  bar();", "}", "bar();"]),
    (["-F", "main", "-F", "bar"], ["main() {", "  bar();", "  bar();", "  bar();", "}"]),
    (["-N", "foo"], ["main() {", "  bar();", "  baz() {", "    bar();", "  }", "  bar();", "}"]),
    (["-F", "!foo"], ["main() {", "  bar();", "  baz() {", "    bar();", "  }", "  bar();", "}"]),
    (["-G", "baz"], ["baz() {", "  bar();", "}"]),
    (["-G", "foo", "-D", "2"], ["foo() {", "  bar();", "  baz() {", "  }", "}"]),
    (["-D", "1"], ["main() {", "}"]),
    (["-D", "2"], ["main() {", "  foo() {", "  }", "  bar();", "}"]),
    (["-t", "15ns"], ["main() {", "  foo() {", "    baz();", "  }", "}"]),
    (["-t", "0.016us"], ["main() {", "  foo();", "}"]),
    (["-t", "16ns", "-N", "foo"], ["main();"]),
    (["-t", "1s"], []),
    (["--time-range", "5ns~20ns"], ["foo() {", "  bar();", "  baz() {"]),
    (["--time-range", "~9.9ns"], ["main() {", "  foo() {"]),
    (["--time-range", "45ns~"], ["bar();"]),
    (["--tail", "-D", "1"], ["main() {", "} /* main */"]),
])
def test_filters(ftrace, tmp_path, args, expected):
    r = one(tmp_path, simple(*CALLS))
    lines = shape(replay(ftrace, r, *args))
    assert lines == expected


def test_hidden_time_is_the_callers(ftrace, tmp_path):
    r = one(tmp_path, simple(*CALLS))
    rows = {f["name"]: f for f in report(ftrace, r, "-N", "foo")["functions"]}
    assert set(rows) == {"main", "bar", "baz"}
    # main 55 ns, in it bar 5, baz 15, bar 5.
    assert rows["main"]["total_ns"] == 55 and rows["main"]["self_ns"] == 55 - 5 - 15 - 5
    rows = {f["name"]: f for f in report(ftrace, r, "-t", "10ns")["functions"]}
    assert set(rows) == {"main", "foo", "baz"} and rows["baz"]["self_ns"] == 15
    graph = run(ftrace, "graph", "-i", r.dir, "-N", "foo").stdout
    assert [re.sub(r".* ns +(?=[+|m])", "", l) for l in graph.split("\n")[1:-1]] == \
        ["main", "+- baz", "|  +- bar", "+- bar"]


def test_abs_time_and_range_agree(ftrace, tmp_path):
    r = one(tmp_path, simple(*CALLS))
    lines = replay(ftrace, r, "--abs-time")
    assert lines[0] == "   5000.000000500 |     100)               |  main() {"
    stamps = [l.split()[0] for l in lines]
    assert stamps[2] == "5000.000000510"
    again = replay(ftrace, r, "--abs-time", "--time-range", f"{stamps[2]}~{stamps[2]}")
    assert [l.split()[0] for l in again] == [stamps[2]]


def test_flat(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "+foo", "-foo", ".bar", "-main", "+baz", "-baz"))
    assert replay(ftrace, r, "--flat") == [
        "            prog-100       5000.000000500: main",
        "            prog-100       5000.000000505: foo <-main",
        "            prog-100       5000.000000515: bar",
        "            prog-100       5000.000000525: baz"]


def test_far_closing_line_has_a_name(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", *["+foo", "-foo"] * 20, "-main"))
    assert shape(replay(ftrace, r))[-1] == "}"
    r = one(tmp_path / "far", simple("+main", *["+foo", "-foo"] * 21, "-main"))
    assert shape(replay(ftrace, r))[-1] == "} /* main */"


def test_demangling(ftrace, tmp_path):
    records = [(1000 + 10 * i, i & 1, 5 + i // 2) for i in range(6)]
    r = one(tmp_path, records)
    assert shape(replay(ftrace, r)) == [NAMES[i] + "();" for i in (5, 6, 7)]
    assert shape(replay(ftrace, r, "--no-demangle")) == [name + "();" for _, name in N[4:]]
    assert shape(replay(ftrace, r, "-F", "shape::*")) == ["shape::area();"]
    assert shape(replay(ftrace, r, "-F", "_ZN5shape*")) == ["shape::area();"]


def test_colours(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "-main"))
    plain = run(ftrace, "replay", "-i", r.dir, "--color", "never").stdout
    assert "\033" not in plain and plain == run(ftrace, "replay", "-i", r.dir).stdout
    coloured = run(ftrace, "replay", "-i", r.dir, "--color=always").stdout
    assert "\033[" in coloured and re.sub(r"\033\[[\d;]*m", "", coloured) == plain


def on_terminal(command, env=None):
    """Output of a command whose stdout is a terminal; stdin and stderr are not."""
    import pty
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PAGER": "", **(env or {})}
    process = subprocess.Popen(command, stdout=slave, stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=environment)
    os.close(slave)
    out = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    assert process.wait(30) == 0, process.stderr.read()
    os.close(master)
    process.stderr.close()
    return out.decode().replace("\r\n", "\n")


def test_terminal_gets_colours_and_pager(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "-main"))
    command = [ftrace, "replay", "-i", r.dir]
    assert "\033[36mmain" in on_terminal(command)
    assert "\033" not in on_terminal(command, {"NO_COLOR": "1"})
    assert "\033" not in on_terminal(command, {"TERM": "dumb"})
    paged = on_terminal(command, {"PAGER": "sed s/main/paged/"})
    assert "paged" in paged and "main" not in paged
    assert "main" in on_terminal(command + ["--no-pager"], {"PAGER": "sed s/main/paged/"})
    for missing in ("no-such-pager", "no-such-pager -R"):
        assert "main" in on_terminal(command, {"PAGER": missing})
    assert "main" in on_terminal(command, {"PATH": "/nowhere", "PAGER": "less"})


def test_csv_and_json(ftrace, tmp_path):
    odd = 'odd "name", with\\everything\x01'
    r = Recording(tmp_path / "r")
    p = r.process("prog", 100, functions=[(1, "main"), (2, odd)])
    p.thread(100, simple("+main", "+foo", "-foo", "-main"))
    found = report(ftrace, r)
    shown = odd.replace("\x01", "?")
    assert {f["name"] for f in found["functions"]} == {"main", shown}
    assert found["records"] == 4 and found["calls"] == 2 and found["threads"] == 1
    rows = list(csv.DictReader(io.StringIO(run(ftrace, "report", "-i", r.dir, "--csv").stdout)))
    assert {row["function"] for row in rows} == {"main", shown}
    for row in rows:
        match = next(f for f in found["functions"] if f["name"] == row["function"])
        for key in ("calls", "total_ns", "self_ns", "min_ns", "avg_ns", "max_ns", "p50_ns", "p99_ns"):
            assert int(row[key]) == match[key]


def test_sort_and_limit(ftrace, tmp_path):
    r = one(tmp_path, simple(*CALLS))
    by = lambda *args: [f["name"] for f in report(ftrace, r, *args)["functions"]]
    assert by("--sort", "calls")[0] == "bar"
    assert by("--sort", "total")[0] == "main"
    assert by("--sort", "name") == ["bar", "baz", "foo", "main"]
    assert by("-s", "total", "-n", "2") == ["main", "foo"]
    assert "not a column" in run(ftrace, "report", "-i", r.dir, "--sort", "size", status=2).stderr


def test_graph_of_a_function(ftrace, tmp_path):
    r = one(tmp_path, simple(*CALLS))
    lines = run(ftrace, "graph", "-i", r.dir, "bar").stdout.split("\n")
    assert [re.split(r"  +", l.strip(), 1)[0] for l in lines if "bar" in l] == ["3", "3"]
    text = "\n".join(lines)
    assert re.search(r"1 +5 ns +<- baz\n +1 +5 ns +\S* *<- foo\n", text)
    assert "no such function was called" in run(ftrace, "graph", "-i", r.dir, "nothing", status=1).stderr


# ---- against the model ----

@pytest.mark.parametrize("seed", range(12))
def test_random_recordings(ftrace, tmp_path, seed):
    rng = random.Random(seed)
    hz = rng.choice((1_000_000_000, 2_000_000_000, 250_000_000, 4_000_000_000))
    r = Recording(tmp_path / "r", hz=hz)
    p = r.process("prog", 100, start=500, functions=N)
    threads, spread = {}, False
    for tid in range(100, 100 + rng.randint(1, 5)):
        start = rng.choice((1000, 1 << 20, (1 << 32) - 5000)) * 16
        # Times of different threads differ by their residue: the merged order is certain.
        threads[tid] = [(t + tid - 99, e, s) for t, e, s in random_thread(rng, start, rng.randint(1, 1500))]
        how = {"per_packet": rng.choice((1, 7, 100, 8184))}
        parts = packets(tid, threads[tid], **how)
        if rng.random() < 0.4 and len(parts) > 3:
            # Spread over three stream files.
            spread = True
            for i in range(3):
                p.stream([set_seq(part, n) for n, part in enumerate(parts[i::3])])
        else:
            p.stream(parts)

    found = report(ftrace, r)
    rows = {f["name"]: f for f in found["functions"]}
    expected = model.report(threads.values(), r.ns)
    assert set(rows) == {NAMES[s] for s in expected}
    for site, want in expected.items():
        got, ticks = rows[NAMES[site]], want["durations"]
        assert got["calls"] == want["calls"] and got["unfinished"] == want["unfinished"]
        assert abs(got["total_ns"] - r.ns(want["total"])) <= 1
        assert abs(got["self_ns"] - r.ns(want["self"])) <= 1
        if ticks:
            assert abs(got["min_ns"] - r.ns(min(ticks))) <= 1
            assert abs(got["max_ns"] - r.ns(max(ticks))) <= 1
            assert abs(got["avg_ns"] - r.ns(sum(ticks)) // len(ticks)) <= 1
            for percent in (50, 90, 99):
                exact = r.ns(model.percentile(ticks, percent))
                assert abs(got[f"p{percent}_ns"] - exact) <= max(1, exact * 0.01)
    assert found["records"] == sum(1 for t in threads.values() for _, e, s in t
                                   if (e, s) != (EXTENDED, PADDING))

    visible = {tid: [x for x in t if x[1:] != (EXTENDED, PADDING)] for tid, t in threads.items()}
    if not spread:
        assert replay(ftrace, r) == model.replay(visible, r.ns, NAMES.get, "prog")
    for tid in visible:
        # Where packets of a thread lie in several streams, some leaves are shown in two lines.
        assert unfold(replay(ftrace, r, "--tid", tid)) == \
            unfold(model.replay({tid: visible[tid]}, r.ns, NAMES.get, "prog"))

    nodes = model.paths(threads.values())
    lines = run(ftrace, "graph", "-i", r.dir).stdout.split("\n")[1:-1]
    got, path = {}, []
    for line in lines:
        match = re.match(r" *(\d+) +([\d.]+ \S+) +([\d.]+ \S+)  ((?:[| +-]  ?|\+- )*)(\S+)(?:  \((\d+) of.*)?$",
                         line)
        assert match, line
        depth = len(match.group(4)) // 3
        path[depth:] = [match.group(5)]
        got[tuple(path)] = (int(match.group(1)), int(match.group(6) or 0))
    assert got == {tuple(NAMES[s] for s in path): (n[0], n[3]) for path, n in nodes.items()}


def unfold(lines):
    out = []
    for line in lines:
        line = re.sub(r" /\* .*", "", line)
        match = re.match(r"( *\d+\) )(.* us +\|  )( *)(.*)\(\);$", line)
        if match:
            start, took, indent, name = match.groups()
            out += [f"{start}{model.NO_DURATION}{indent}{name}() {{", f"{start}{took}{indent}}}"]
        else:
            out.append(line)
    return out


def set_seq(part, n):
    import struct
    return part[:48] + struct.pack("<Q", n) + part[56:]


def test_recordings_of_the_function_tracer(ftrace, tmp_path):
    r = one(tmp_path, simple(".main", ".foo", ".bar", ".foo"))
    r.info["tracer"] = "function"
    r.write_info()
    assert [l.split(": ")[1] for l in replay(ftrace, r)] == ["main", "foo", "bar", "foo"]
    rows = run(ftrace, "report", "-i", r.dir).stdout.splitlines()
    assert rows[1].split()[0] == "2" and rows[1].split()[-1] == "foo"


def test_process_that_is_not_there(ftrace, tmp_path):
    r = one(tmp_path, simple("+main", "-main"))
    assert "none of these processes" in run(ftrace, "replay", "-i", r.dir, "--pid", 5, status=1).stderr


def test_no_byte_of_a_recording_steers_the_terminal(ftrace, tmp_path):
    r = Recording(tmp_path / "r", info={"note": "a\033[31mb"})
    p = r.process("pr\033[2Jog", 100, functions=[(1, "na\033]0;me\007"), (2, "foo")],
                  text="o 1 400000 - /bin/x\ns 1 1 1000 10 na\033]0;me\007\ns 2 1 1010 10 foo\n"
                       "x 1 3 be\033cause\n")
    p.thread(100, simple("+main", "+foo", "-foo", "-main"))
    p.thread(101, [(2000, ENTRY, 1), (2010, EXIT, 1)])
    for command in (["replay"], ["replay", "--flat"], ["report"], ["graph"], ["info", "--threads"]):
        out = run(ftrace, *command, "-i", r.dir).stdout
        assert not re.search(r"[\0-\x08\x0b-\x1f\x7f]", out), command


def test_info(ftrace, tmp_path):
    r = Recording(tmp_path / "r", info={"status": 3, "note": "kept as it is", "end_real_ns":
                                        Recording.REAL0 + 1_500_000_000, "tracer": "function_graph"})
    p = r.process("prog", 100, text="o 1 400000 - /bin/prog\ns 1 1 1000 10 main\nx 1 2 too short\n"
                                    "x 1 3f no unwind information\n")
    p.stream([packet(100, [(1000, ENTRY, 1), (2000, EXIT, 1)], 0),
              packet(101, [(4000, ENTRY, 1)], 1, discarded=5)])
    p.write_map((99, 0), 0, untraceable=65, calls_dropped=12, calls_unshadowed=1)
    c = r.process("child", 200, start=5000, parent=(100, 0), inherited=len(p.text))
    c.write_map((100, 0), len(p.text), untraceable=65)
    text = run(ftrace, "info", "-i", r.dir, "--threads", env={"TZ": "UTC"}).stdout
    fields = dict(re.split(r"  +", line, maxsplit=1) for line in text.split("\n\n")[0].split("\n"))
    assert fields["command"] == "./prog 'an arg'" and fields["exit status"] == "3"
    assert fields["begun"] == "2023-11-14 22:13:20.000 +0000" and fields["took"] == "1.500 s"
    assert fields["clock"] == "2000.000000 MHz" and fields["recorded"] == "complete"
    assert fields["note"] == "kept as it is" and fields["tracer"] == "function_graph"
    assert fields["records"] == "3 in 2 packets" and fields["size"] == "152 B in 1 stream"
    assert fields["lost"] == "5 records" and fields["dropped"] == "12 calls, by depth or threshold"
    assert re.search(r"^ +100\.0 +99 +2 +3 +152 B +1\.500 us  /bin/prog$", text, re.M)
    assert re.search(r"^ +200\.0 +100 +0 +0 +0 B +-  /bin/child$", text, re.M)
    assert re.search(r"thread +100 +2 +500 ns", text)
    assert "# 65 FUNCTIONS COULD NOT BE TRACED" in text
    assert re.search(r"^ +63  no unwind information\n +2  too short$", text, re.M)

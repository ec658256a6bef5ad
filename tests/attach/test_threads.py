# SPDX-License-Identifier: MIT
"""Only some threads of a running process are recorded: --tid, set_ftrace_pid, set_event_pid."""
import glob
import os
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attachtest import PLAIN, Target, attached, build_narrow, calls, ft, record_until  # noqa: E402

OTHERS = ("main_step", "one_step", "two_step", "child_step")
ALL = {"mains": 20, "ones": 20, "twos": 20, "children": 20}


@pytest.fixture(name="target", params=["64", "32"])
def _target(request):
    narrow = request.param == "32"
    with Target([build_narrow("chosen_threads.c") if narrow else ft.build("chosen_threads.c", *PLAIN)]) as target:
        yield target
        target.check_end()


def tid_of(target, name):
    for comm in glob.glob(f"/proc/{target.pid}/task/*/comm"):
        with open(comm, encoding="ascii") as file:
            if file.read() == name + "\n":
                return comm.split("/")[4]
    raise AssertionError(f"no thread {name}")


def record_one(target, output, *options):
    """Until the one thread has done enough."""
    return record_until(target, output, target.more(ones=20), *options, who=("--tid", tid_of(target, "one")))


def check_only(seen, *names):
    """Of the functions of threads only those of @names were called, and what is common as often."""
    assert all(seen.get(name, 0) > 10 for name in names), seen
    assert not any(name in seen for name in OTHERS if name not in names), seen
    assert abs(seen["common"] - sum(seen[name] for name in names)) <= len(names), seen


@pytest.mark.parametrize("options", [(), ("--tracer", "function"), ("--profile",), ("-D", "1"),
                                     ("-t", "1ns")])
def test_one(target, tmp_path, options):
    before = target.text()
    attached(record_one(target, tmp_path / "data", *options))
    seen = calls(tmp_path / "data")
    if "-D" in options:
        seen["common"] = seen["one_step"]       # it is deeper
    check_only(seen, "one_step")
    assert target.text() == before


def test_several(target, tmp_path):
    """The main thread's number is the process's. The next recording without --tid has all."""
    tids = f"{target.pid},{tid_of(target, 'two')}"
    attached(record_until(target, tmp_path / "data", target.more(**ALL), who=("--tid", tids, "-p", str(target.pid))))
    check_only(calls(tmp_path / "data"), "main_step", "two_step")
    attached(record_until(target, tmp_path / "data", target.more(**ALL)))
    assert all(calls(tmp_path / "data").get(name, 0) > 10 for name in OTHERS)


def test_events(target, tmp_path):
    """Whoever calls the function, only chosen threads hit the event; with and without a tracer beside it."""
    for tracer in ("nop", "function_graph", "function"):
        attached(record_one(target, tmp_path / "data", "--tracer", tracer, "-e", "f common"))
        done = ft.run([ft.FTRACE, "replay", "-i", str(tmp_path / "data"), "--no-pager"])
        assert done.status == 0, done
        lines = [line.split() for line in done.stdout.decode().splitlines() if "common__entry" in line]
        tids = {re.search(r"\d+", line[0].rpartition("-")[2]).group() for line in lines}
        assert len(lines) > 10 and tids == {tid_of(target, "one")}, (tids, len(lines))


def test_forks(tmp_path):
    """Children of a thread that is chosen are not: no part of the recording, and nothing is different for them."""
    with Target([ft.build("attach_threads.cc", *PLAIN), "forks"]) as target:
        done = record_until(target, tmp_path / "data", target.more(_ZL6forked=5), who=("--tid", str(target.pid)))
        attached(done)
        assert b" in 1 process, " in done.stderr, done
        attached(record_until(target, tmp_path / "data", target.more(_ZL6forked=5)))
        target.check_end()


def test_stack(target, tmp_path):
    done = record_one(target, tmp_path / "data", "--tracer", "stack")
    attached(done)
    shown = done.stderr.decode()
    assert "one_step" in shown and "main_step" not in shown, shown


def control(target, setting):
    done = ft.run([ft.FTRACE, "control", str(target.pid), setting], timeout=60)
    assert done.status == 0, done
    return done.stdout.decode()


def test_control(target, tmp_path):
    """The choice changes while it is recorded: each change holds from then on."""
    begin = target.counter("ones")
    done = ft.run([ft.FTRACE, "attach", "-o", str(tmp_path / "data"), "--tracer", "function", str(target.pid)], timeout=60)
    assert done.status == 0, done
    before = target.counter("ones") - begin		# some of them are not recorded
    assert control(target, "set_ftrace_pid") == "no pid\n"
    control(target, f"set_ftrace_pid={tid_of(target, 'one')}")
    control(target, f"set_ftrace_pid+={tid_of(target, 'two')}")
    assert control(target, "set_ftrace_pid").split() == [tid_of(target, "one"), tid_of(target, "two")]
    control(target, f"set_ftrace_pid={tid_of(target, 'two')}")
    left_out = target.counter("ones")
    target.wait_for(target.more(ones=before + 100, twos=20))
    left_out = target.counter("ones") - left_out
    control(target, "set_ftrace_pid=")
    target.wait_for(target.more(ones=20, twos=20))
    bad = ft.run([ft.FTRACE, "control", str(target.pid), "set_ftrace_pid=x1"], timeout=60)
    assert bad.status == 1 and b"not the number of a thread" in bad.stderr, bad
    assert ft.run([ft.FTRACE, "detach", str(target.pid)], timeout=60).status == 0
    seen = calls(tmp_path / "data")
    # One call may be under way at each end.
    assert 0 < seen["one_step"] <= target.counter("ones") - begin - left_out + 2 and seen["two_step"] >= 40, (seen, left_out)


def test_thread_ends(target, tmp_path):
    """The recording ends with the last thread that it is of, and the process goes on."""
    process = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "--tid", tid_of(target, "one")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert b"attached to" in process.stderr.readline()
    target.wait_for(target.more(ones=20))
    os.kill(target.pid, signal.SIGUSR1)
    _, err = process.communicate(timeout=20 * ft.PATIENCE)
    assert process.returncode == 0 and b"the threads that were recorded have ended" in err, err
    check_only({**calls(tmp_path / "data")}, "one_step")


def test_errors(target, tmp_path):
    def refused(*words):
        done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), *words], timeout=60)
        assert done.status in (1, 2) and not (tmp_path / "data").exists(), done
        return done.stderr.decode()

    assert "there is no such thread" in refused("--tid", "4194303")
    assert "not the number of a thread" in refused("--tid", "one")
    assert "not the number of a thread" in refused("--tid", "1,,2")
    assert "exclude each other" in refused("--tid", str(target.pid), "true")
    assert f"it is one of process {os.getpid()}" in refused("--tid", str(os.getpid()), "-p", str(target.pid))
    assert "none of its threads is one of --tid" in refused("--tid", str(target.pid), "-p",
                                                             f"{target.pid},{os.getpid()}")
    assert "more than 64 threads" in refused("--tid", ",".join(str(n) for n in range(1, 66)))


def test_threshold(target, tmp_path):
    """Ticks, or a time as ftrace record -t takes it."""
    assert ft.run([ft.FTRACE, "attach", "-o", str(tmp_path / "data"), str(target.pid)], timeout=60).status == 0
    control(target, "tracing_thresh=12345")
    assert control(target, "tracing_thresh") == "12345\n"
    control(target, "tracing_thresh=10us")
    ticks = int(control(target, "tracing_thresh"))
    bad = ft.run([ft.FTRACE, "control", str(target.pid), "tracing_thresh=10parsec"], timeout=60)
    assert bad.status == 2 and b"not a time" in bad.stderr, bad
    assert ft.run([ft.FTRACE, "detach", str(target.pid)], timeout=60).status == 0
    info = ft.run([ft.FTRACE, "info", "-i", str(tmp_path / "data")]).stdout.decode()
    assert abs(ticks - 10 * float(re.search(r"clock\s+([0-9.]+) MHz", info).group(1))) < 1000, (ticks, info)

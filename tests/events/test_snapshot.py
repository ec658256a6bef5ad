# SPDX-License-Identifier: MIT
"""Snapshots of a flight recorder: by a trigger, and through the control tree."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced", allow_module_level=True)

CALLS = 200000
EVENTS = ("-e", "f before n=$arg1:u32", "-e", "f moment round=$arg1:u32")


@pytest.fixture(scope="session", name="flight", params=[ft.PATCHABLE, ""], ids=["recompiled", "plain"])
def _flight(request):
    if not request.param and os.uname().machine != "x86_64":
        pytest.skip("programs that were not compiled for it are traced on x86 only")
    return ft.build("flight.c", "-O2", *request.param.split())


def record(output, *options, status=0):
    done = ft.run([ft.FTRACE, "record", "--overwrite", "--buffer", "256K", "-o", str(output), *options], timeout=120)
    assert done.status == status, done
    return done.stderr.decode()


def replay(path):
    done = ft.run([ft.FTRACE, "replay", "-i", str(path), "--no-pager"])
    assert done.status == 0, done
    return done.stdout.decode()


def check_moment(path, round_number):
    """It ends with what was before the moment, without a hole, and the moment itself."""
    text = replay(path)
    numbers = [int(n) for n in re.findall(r"\(before\) n=(\d+)", text)]
    assert len(numbers) > 1000
    assert numbers == list(range(CALLS - len(numbers), CALLS))
    at = text.index(f"(moment) round={round_number}")
    assert "after();" not in text[:at] and "(before)" not in text[at:]
    assert len(re.findall(r"\bbefore\(\);", text)) > 5000


def test_trigger(flight, tmp_path):
    """The ring is overwritten many times behind the moment: the snapshot has it, the recording has not."""
    said = record(tmp_path / "data", *EVENTS, "--trigger", "snapshot:1", flight)
    assert f"ftrace: 1 snapshot: {tmp_path}/data.snapshot-1\n" in said
    check_moment(tmp_path / "data.snapshot-1", 0)
    assert not re.search(r"\b(moment|before)\(\);", replay(tmp_path / "data"))


def test_every_time(flight, tmp_path):
    said = record(tmp_path / "data", *EVENTS, "--trigger", "snapshot:2 if round >= 1", flight, "4")
    assert f"ftrace: 2 snapshots: {tmp_path}/data.snapshot-1 to -2\n" in said, said
    check_moment(tmp_path / "data.snapshot-1", 1)
    check_moment(tmp_path / "data.snapshot-2", 2)
    # An older one is never written over.
    record(tmp_path / "data", *EVENTS, "--trigger", "snapshot if round == 3", flight, "4")
    check_moment(tmp_path / "data.snapshot-3", 3)


def test_at_the_end(flight, tmp_path):
    """The last thing that happens."""
    record(tmp_path / "data", "-e", "f after n=$arg1:u32", "--trigger", f"snapshot if n == {CALLS - 1}", flight)
    assert f"(after) n={CALLS - 1}\n" in replay(tmp_path / "data.snapshot-1").replace(" */", "")


def test_babeltrace(flight, tmp_path):
    if not ft.have("babeltrace2"):
        pytest.skip("babeltrace2 is not installed")
    record(tmp_path / "data", *EVENTS, "--trigger", "snapshot:1", flight)
    done = ft.run(["babeltrace2", str(tmp_path / "data.snapshot-1")])
    assert done.status == 0 and done.stdout.count(b"moment") >= 1, done
    # Nor is it part of the recording, which has one in its ring of events.
    assert ft.run(["babeltrace2", str(tmp_path / "data")]).stdout.count(b"moment__entry") == 1


def test_room(flight, tmp_path):
    """No room for more: said, and the recording is what it is."""
    said = record(tmp_path / "data", "--max-size", "64K", *EVENTS, "--trigger", "snapshot", flight, "4")
    assert re.search(r"1 snapshot: .*; [0-9]+ more asked for", said), said


def test_refused(flight, tmp_path):
    """Where there is no flight recorder, before anything runs."""
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), *EVENTS, "--trigger", "snapshot", flight])
    assert done.status == 2 and b"only a flight recorder" in done.stderr, done
    assert b"ok" not in done.stdout and not (tmp_path / "data").exists()


def control(pid, setting, status=0):
    done = ft.run([ft.FTRACE, "control", str(pid), setting], timeout=60)
    assert done.status == status, done
    return (done.stdout + done.stderr).decode()


def cpu_time(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
        return int(stat.read().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("overwrite", [True, False])
def test_control(flight, tmp_path, overwrite):
    if os.uname().machine != "x86_64":
        pytest.skip("attaching is made for x86 only")
    with subprocess.Popen([flight, "wait"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            options = ["--overwrite"] if overwrite else ["-F", "moment"]
            assert ft.run([ft.FTRACE, "attach", "-o", str(tmp_path / "data"), *options, str(process.pid)],
                          timeout=60).status == 0
            if overwrite:
                # Until it has had the processor for a while since: before() takes less than a microsecond.
                begun = cpu_time(process.pid)
                while cpu_time(process.pid) < begun + 0.05:
                    time.sleep(0.01)
                control(process.pid, "snapshot=1")
                while "taken: 1, being written: 0" not in control(process.pid, "snapshot"):
                    time.sleep(0.05)
                assert "not 1, which takes one" in control(process.pid, "snapshot=0", status=1)
            else:
                assert "no flight recorder" in control(process.pid, "snapshot=1", status=1)
                assert "No flight recorder" in control(process.pid, "snapshot")
                control(process.pid, "kprobe_events=f:m moment")
                assert "no flight recorder" in control(process.pid, "events/fprobes/m/trigger=snapshot", status=1)
            assert ft.run([ft.FTRACE, "detach", str(process.pid)], timeout=60).status == 0
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20 * ft.PATIENCE) == 0
    if overwrite:
        assert replay(tmp_path / "data.snapshot-1").count("before();") > 1000

# SPDX-License-Identifier: MIT
"""Commands in set_ftrace_filter: FUNC:traceon, traceoff, stacktrace, snapshot, with a count or not, and away again."""
import os
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced", allow_module_level=True)
if os.uname().machine != "x86_64":
    pytest.skip("attaching is made for x86 only", allow_module_level=True)

CALLS = 200000
NONE = "#### all functions enabled ####\n"


class Recorded:
    """A program that waits with before(), then calls moment() and after() of ROUNDS rounds; its recording."""

    def __init__(self, path, rounds, *options):
        self.path = path
        self.process = subprocess.Popen([ft.build("flight.c", "-O2"), "wait", str(rounds)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        done = ft.run([ft.FTRACE, "attach", "-o", str(path), *options, str(self.process.pid)], timeout=60)
        assert done.status == 0, done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def control(self, setting, status=0):
        done = ft.run([ft.FTRACE, "control", str(self.process.pid), setting], timeout=60)
        assert done.status == status, done
        return (done.stdout + done.stderr).decode()

    def commands(self, *commands):
        for command in commands:
            self.control("set_ftrace_filter=" + command)

    def end(self):
        """How often each function was recorded, and all of it as text."""
        ft.run([ft.FTRACE, "status", str(self.process.pid)])
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0 and self.process.stdout.read() == b"ok\n"
        ft.run([ft.FTRACE, "detach", str(self.process.pid)], timeout=60)
        while os.path.exists(self.path / ".session"):       # the recorder ends with the process
            subprocess.run(["sleep", "0.1"], check=True)
        done = ft.run([ft.FTRACE, "replay", "-i", str(self.path), "--no-pager"], timeout=60)
        assert done.status == 0, done
        text = done.stdout.decode()
        return {name: len(re.findall(rf"\b{name}\(\);", text)) for name in ("moment", "after")}, text


CHOSEN = ("-F", "moment after", "--buffer", "16M")


def test_traceoff(tmp_path):
    with Recorded(tmp_path / "data", 2, *CHOSEN) as r:
        r.commands("moment:traceoff")
        assert r.control("set_ftrace_filter") == "moment\nafter\nmoment:traceoff:unlimited\n"
        assert r.control("available_events") == "" and r.control("kprobe_events") == ""
        seen, _ = r.end()
        assert seen["after"] == 0


def test_count(tmp_path):
    """Only so many times; and what would change nothing does not count."""
    with Recorded(tmp_path / "data", 4, *CHOSEN) as r:
        r.commands("moment:traceoff:2")
        assert "moment:traceoff:count=2\n" in r.control("set_ftrace_filter")
        r.commands("a*r:traceon")
        seen, text = r.end()
        # Off at moment, on again with the first after, each time.
        assert 4 * CALLS - 2 <= seen["after"] <= 4 * CALLS and seen["moment"] >= 2, (seen, text[:500])


def test_away(tmp_path):
    with Recorded(tmp_path / "data", 1, *CHOSEN) as r:
        r.commands("moment:traceoff", "moment:stacktrace:3", "!moment:traceoff")
        assert r.control("set_ftrace_filter").endswith("moment:stacktrace:count=3\n")
        assert "already" in r.control("set_ftrace_filter=moment:stacktrace", status=1)
        r.commands("!moment:stacktrace:0")
        assert r.control("set_ftrace_filter") == "moment\nafter\n"
        assert "no such command" in r.control("set_ftrace_filter=!moment:stacktrace", status=1)
        assert "no such trigger" in r.control("set_ftrace_filter=moment:traceof", status=1)
        assert "no count" in r.control("set_ftrace_filter=moment:traceoff:0", status=1)
        assert "no flight recorder" in r.control("set_ftrace_filter=moment:snapshot", status=1)
        assert "without a function" in r.control("set_ftrace_filter=:traceoff", status=1)
        assert r.control("set_ftrace_filter") == "moment\nafter\n"
        seen, _ = r.end()
        assert seen == {"moment": 1, "after": CALLS}


def test_stacktrace_and_traceon(tmp_path):
    """Beside the filter, which stays; on again where it was off."""
    with Recorded(tmp_path / "data", 1, "-F", "moment after") as r:
        r.control("tracing_on=0")
        r.commands("moment:traceon,moment:stacktrace")
        seen, text = r.end()
        assert seen["after"] == CALLS
        stack = text[text.index("stack trace"):][:400]
        assert "moment" in stack and "main" in stack, stack


def test_snapshot(tmp_path):
    with Recorded(tmp_path / "data", 1, "--overwrite", "--buffer", "256K") as r:
        r.commands("moment:snapshot:1")
        r.end()
    done = ft.run([ft.FTRACE, "replay", "-i", str(tmp_path / "data.snapshot-1"), "--no-pager"])
    text = done.stdout.decode()
    assert done.status == 0 and text.count("before();") > 5000, done


def test_record(tmp_path):
    """As a filter of ftrace record, without any other: all is traced."""
    program = ft.build("flight.c", "-O2")
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-F", "moment:traceoff", program, "1"], timeout=60)
    assert done.status == 0, done
    done = ft.run([ft.FTRACE, "report", "-i", str(tmp_path / "data")])
    assert b" before\n" in done.stdout and b" after\n" not in done.stdout, done

# SPDX-License-Identifier: MIT
"""ftrace report --events: counts, and values of integer fields."""
import csv
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced", allow_module_level=True)

CALLS = 200000


@pytest.fixture(scope="module", name="recording")
def _recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "data"
    done = ft.run([ft.FTRACE, "record", "--tracer", "nop", "-o", str(path), "-e", "f before n=$arg1:u32 bad=+0($arg1):u32 s=+0($arg1):string",
                   "-e", "f after%return m=$arg1:s32", "-e", "f:some/moment moment low=$arg1:s8",
                   ft.build("flight.c", "-O2", *ft.PATCHABLE.split()), "2"], timeout=120)
    assert done.status == 0, done
    return str(path)


def report(recording, *options, status=0):
    done = ft.run([ft.FTRACE, "report", "-i", recording, "--events", *options])
    assert done.status == status, done
    return (done.stdout if status == 0 else done.stderr).decode()


def test_json(recording):
    got = json.loads(report(recording, "--json"))
    assert got["lost"] == 0 and got["incomplete"] == 0
    events = {event["name"]: event for event in got["events"]}
    assert [event["count"] for event in got["events"]] == [2 * CALLS, 2 * CALLS, 2]
    n, bad = events["before__entry"]["fields"]
    assert n == {"name": "n", "values": 2 * CALLS, "faults": 0, "min": 0, "avg": (CALLS - 1) // 2, "max": CALLS - 1}
    assert bad == {"name": "bad", "values": 0, "faults": 2 * CALLS}
    assert events["after__exit"]["fields"][0]["max"] == CALLS - 1
    assert events["moment"] == {"group": "some", "name": "moment", "count": 2,
                                "fields": [{"name": "low", "values": 2, "faults": 0, "min": 0, "avg": 0, "max": 1}]}


def test_csv(recording):
    rows = list(csv.DictReader(report(recording, "--csv").splitlines()))
    assert {"event": "some:moment", "count": "2", "field": "", "faults": "", "min": "", "avg": "", "max": ""} in rows
    assert {"event": "fprobes:before__entry", "count": str(2 * CALLS), "field": "n", "faults": "0", "min": "0",
            "avg": str((CALLS - 1) // 2), "max": str(CALLS - 1)} in rows


def test_table(recording):
    text = report(recording)
    assert f"{2 * CALLS:9}  fprobes:before__entry\n" in text
    assert f"n  min 0  avg {(CALLS - 1) // 2}  max {CALLS - 1}\n" in text
    assert f"bad  (fault) {2 * CALLS}\n" in text
    assert "# 2 more events\n" in report(recording, "-n", "1")


def test_refused(recording, tmp_path):
    assert "only one of them" in report(recording, "--stack", status=2)
    assert "how often" in report(recording, "--sort", "name", status=2)
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), ft.build("flight.c", "-O2", *ft.PATCHABLE.split()), "1"])
    assert done.status == 0, done
    assert "no event in it" in report(str(tmp_path / "data"), status=1)

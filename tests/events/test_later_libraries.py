# SPDX-License-Identifier: MIT
"""Probes in libraries that are loaded later, unloaded, and loaded again."""
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced", allow_module_level=True)
if ft.ARCH not in ("x86_64", "i386"):
    pytest.skip("probes elsewhere than at entries are made for x86 only", allow_module_level=True)

ROUNDS = 20
HERE = os.path.dirname(os.path.abspath(__file__))
REGISTER = "%bx" if ft.ARCH == "x86_64" else "%ax"


@pytest.fixture(scope="session", name="program")
def _program():
    return [ft.build("late_probes.c", "-O2", "-ldl"),
            ft.build("late_probes_lib.c", "-O2", "-shared", "-fPIC", name="liblate.so", deps=[os.path.join(HERE, "probes.h")])]


def replay(path, what):
    done = ft.run([ft.FTRACE, "replay", "-i", str(path), "--no-pager"])
    assert done.status == 0, done
    return [int(n) for n in re.findall(rf"{what}: \(.*?\) (?:n|arg1)=(-?\d+)", done.stdout.decode())]


DEFINITIONS = {
    "mid": f"p:mid stepped+8 n={REGISTER}:s64",
    "object": f"p:object liblate.so:stepped+8 n={REGISTER}:s64",
    "entry": "p:entry liblate.so:plain n=$arg1:s64",
    "probe": "u late:probe",
}
EACH = {"mid": [n for k in range(ROUNDS) for n in (1000, k)], "entry": list(range(ROUNDS)), "probe": list(range(ROUNDS))}
EACH["object"] = EACH["mid"]


def test_comes_and_goes(program, tmp_path):
    """Every time, from its constructor on; nothing of it is traced otherwise."""
    events = [word for name in ("mid", "entry", "probe") for word in ("-e", DEFINITIONS[name])]
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), *events, *program, str(ROUNDS)], timeout=60)
    assert done.status == 0 and done.stdout == b"ok\n", done
    assert b"libftrace" not in done.stderr and b"register" not in done.stderr, done
    for name in ("mid", "entry", "probe"):
        assert replay(tmp_path / "data", name) == EACH[name], name


def test_object_named(program, tmp_path):
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-e", DEFINITIONS["object"], "-e",
                   f"p:other other.so:stepped+8 n={REGISTER}:s64", *program, str(ROUNDS)], timeout=60)
    assert done.status == 0 and done.stdout == b"ok\n", done
    assert replay(tmp_path / "data", "object") == EACH["object"]
    assert replay(tmp_path / "data", "other") == []


def test_traced_as_well(program, tmp_path):
    """Its functions are traced: entries are hit by the tracer, the rest as before."""
    done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-L", "liblate*", "-e", DEFINITIONS["mid"], "-e",
                   DEFINITIONS["entry"], *program, str(ROUNDS)], timeout=60)
    assert done.status == 0 and done.stdout == b"ok\n", done
    assert replay(tmp_path / "data", "entry") == EACH["entry"]
    assert replay(tmp_path / "data", "mid") == EACH["mid"]


def test_while_it_runs(program, tmp_path):
    """Defined and enabled by ftrace control, and disabled, while the library is not there."""
    if os.uname().machine != "x86_64":
        pytest.skip("attaching is made for x86 only")

    def control(*settings):
        for setting in settings:
            done = ft.run([ft.FTRACE, "control", str(process.pid), setting], timeout=60)
            assert done.status == 0, done

    with subprocess.Popen([*program, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        def rounds(count):
            for _ in range(count):
                process.stdin.write(b"\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"done\n"

        assert process.stdout.readline() == b"ready\n"
        assert ft.run([ft.FTRACE, "attach", "-o", str(tmp_path / "data"), str(process.pid)], timeout=60).status == 0
        rounds(1)
        control("kprobe_events=" + DEFINITIONS["mid"], "events/kprobes/mid/enable=1")
        rounds(2)
        control("events/kprobes/mid/enable=0")
        rounds(1)
        control("events/kprobes/mid/enable=1")
        rounds(1)
        assert ft.run([ft.FTRACE, "detach", str(process.pid)], timeout=60).status == 0
        rounds(1)
        process.stdin.close()
        assert process.wait(timeout=20 * ft.PATIENCE) == 0 and process.stdout.read() == b"ok\n"
    assert replay(tmp_path / "data", "mid") == [1000, 1, 1000, 2, 1000, 4]

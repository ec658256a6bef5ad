# SPDX-License-Identifier: MIT
"""Functions chosen by the C++ and Rust names that people write."""
import json

import pytest

from ftracetest import FTRACE, PATCHABLE, build, need_ftrace, run

TIMES = 7
AREA, CTOR = "shape::Circle::area", "shape::Circle::Circle"
SCALE = "shape::Circle::scale"
LESS = "shape::Circle::operator<"
PAIR, PAIR2 = "shape::pair<int, char>", "shape::pair<long, long>"
FOO, BAR = "mycrate::inner::foo", "mycrate::bar"
FREE, MAIN = "free_function", "main"
CIRCLE = {CTOR: 14, AREA: 7, SCALE: 14, LESS: 7}
ALL = {**CIRCLE, PAIR: 7, PAIR2: 7, FOO: 7, BAR: 7, FREE: 7, MAIN: 1}


def without(*names):
    return {name: calls for name, calls in ALL.items() if name not in names}


CHOICES = [
    (["-F", "shape::Circle::*"], CIRCLE),
    (["-F", "shape::Circle::area"], {AREA: 7}),
    (["-F", "shape::Circle::area, mycrate::*"], {AREA: 7, FOO: 7, BAR: 7}),
    (["-F", "shape::Circle::scale(double)"], {SCALE: 7}),
    (["-F", "shape::Circle::scale(*)"], {SCALE: 14}),
    (["-F", "shape::pair<int, char>"], {PAIR: 7}),
    (["-F", "shape::pair<*"], {PAIR: 7, PAIR2: 7}),
    (["-F", "*::operator< main"], {LESS: 7, MAIN: 1}),
    (["-F", "free_function"], {FREE: 7}),
    (["-F", "_Z13free_functioni"], {FREE: 7}),
    (["-F", "/^shape::Circle::(area|scale)$/"], {AREA: 7, SCALE: 14}),
    (["-F", "shape::*", "-N", "shape::Circle::*"], {PAIR: 7, PAIR2: 7}),
    (["-F", "shape::* !shape::Circle::*"], {PAIR: 7, PAIR2: 7}),
    (["-F", "shape::*", "-F", "!*scale"], {**CIRCLE, PAIR: 7, PAIR2: 7, SCALE: None}),
    (["-N", "mycrate::*"], without(FOO, BAR)),
    (["-F", "mycrate::inner::foo"], {FOO: 7}),
    (["-F", "mycrate::b?r"], {BAR: 7}),
    # A type that only a parameter has names no function.
    (["-F", "*double*"], {}),
]


def program():
    need_ftrace()
    return build("names.cc", "-O1", PATCHABLE)


def shown(folder, *options):
    result = run([FTRACE, "report", "--json", "-i", folder, *options])
    assert result.status == 0, str(result)
    calls = {}
    for row in json.loads(result.stdout)["functions"]:
        calls[row["name"]] = calls.get(row["name"], 0) + row["calls"]
    return calls


@pytest.mark.parametrize("options,expected", CHOICES)
def test_record(options, expected, tmp_path):
    folder = str(tmp_path / "d")
    result = run([FTRACE, "record", "-o", folder, *options, "--", program(), str(TIMES)])
    assert result.status == 0, str(result)
    expected = {name: calls for name, calls in expected.items() if calls}
    assert shown(folder) == expected, str(result)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("names") / "d")
    result = run([FTRACE, "record", "-o", folder, "--", program(), str(TIMES)])
    assert result.status == 0, str(result)
    assert shown(folder) == ALL
    return folder


@pytest.mark.parametrize("options,expected", [
    (options, expected) for options, expected in CHOICES if not any(" " in o for o in options)])
def test_report(options, expected, whole):
    expected = {name: calls for name, calls in expected.items() if calls}
    assert shown(whole, *options) == expected


def test_report_parameters(whole):
    assert shown(whole, "-F", "shape::pair<int, char>") == {PAIR: 7}
    assert shown(whole, "-F", r"/scale\(int\)/") == {SCALE: 7}


def test_no_such_name(tmp_path):
    folder = str(tmp_path / "d")
    result = run([FTRACE, "record", "-o", folder, "-F", "no::such", "--", program(), "1"])
    assert result.status == 0 and b"no::such: no function of" in result.stderr, str(result)
    assert shown(folder) == {}


def test_library(tmp_path):
    """Names of a library: by -L; and all that are needed are searched for what is found nowhere else."""
    library = build("names.cc", "-O1", "-fPIC", "-shared", "-Dmain=lib_main", PATCHABLE,
                    name="libnames.so")
    user = build("names_user.cc", "-O1", PATCHABLE, library, "-Wl,-rpath," + library.rsplit("/", 1)[0])
    folder = str(tmp_path / "d")
    result = run([FTRACE, "record", "-o", folder, "-L", "libnames*", "-F", "shape::Circle::*", "--",
                  user])
    assert result.status == 0 and shown(folder) == CIRCLE, str(result)


def test_list():
    listed = run([FTRACE, "list", program(), "shape::Circle::*", "main"])
    assert sorted(set(listed.stdout.decode().splitlines())) == sorted([*CIRCLE, MAIN]), str(listed)

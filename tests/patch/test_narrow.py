# SPDX-License-Identifier: MIT
"""ftrace patch: 32-bit programs, whose functions the 64-bit command replaces by those of a 32-bit patch."""
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ftracetest as ft  # noqa: E402
from test_patch import FORMS, NEW, OLD, Server, build_server, ftrace, held_up, patch  # noqa: E402

NARROW = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]


@pytest.fixture(name="server", params=list(FORMS), scope="module")
def _server(request):
    if ft.compiles("gcc", "c", "-m32") is not True:
        pytest.skip("gcc makes no 32-bit programs here")
    try:
        return build_server(*FORMS[request.param], *NARROW, name="server32")
    except subprocess.CalledProcessError as error:
        pytest.skip("no 32-bit libraries: " + str(error.output).splitlines()[0])


def narrow(*names, **options):
    return patch(*names, flags=NARROW, **options)


def test_apply_and_revert(server, tmp_path):
    """With variables and functions of the program's own, of which there are several."""
    fix = narrow("ANSWER", folder=tmp_path, stamp=server)
    assert "can be applied" in ftrace("check", fix, server)
    with Server(server) as target:
        before = target.text()
        assert "can be applied to process" in ftrace("check", fix, target.pid)
        for i in range(3):
            said = ftrace("apply", target.pid, fix)
            assert re.search(r"answer: applied to process \d+ \(server\w*\) in [0-9.]+ ms: 1 function;", said), said
            assert target.answer() == NEW
            assert "enabled" in ftrace("list", target.pid)
            assert "version 1.2" in ftrace("list", target.pid)
            assert "state:    enabled" in ftrace("status", target.pid)
            assert "answer: reverted in process" in ftrace("revert", target.pid, *[["answer"], [fix], []][i])
            assert target.answer() == OLD
            assert target.text() == before
        target.check_end()


def test_by_file_and_position(server, tmp_path):
    fix = narrow("TWIN", folder=tmp_path, stamp=server)
    with Server(server) as target:
        ftrace("apply", target.pid, fix)
        said = target.ask()
        assert said["twin"] == 11 and said["twin2"] == 2 and 77 in (said["count"], said["count2"]), said
        ftrace("revert", target.pid)
        assert target.ask()["twin"] == 1
        target.check_end()


def test_held_up_and_forced(server, tmp_path):
    """Who holds it up is said; turned round; forced."""
    fix = narrow("BLOCKED", folder=tmp_path, stamp=server)
    with Server(server) as target:
        target.say("block")
        held_up(target, fix)
        said = ftrace("apply", "--timeout", "200ms", target.pid, fix, status=1)
        assert re.search(r"not done in time.* waits for 1 thread: \d+ in blocked \(it is on its stack\)", said), said
        shown = ftrace("status", target.pid)
        assert "state:    enabling" in shown and " in blocked " in shown, shown
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        assert target.say("wake") == "100"
        target.say("block")
        ftrace("apply", "--no-wait", target.pid, fix, status=1)
        assert "forced in process" in ftrace("force", target.pid, "blocked")
        assert "was forced" in ftrace("status", target.pid)
        assert target.say("wake") == "100" and target.answer() == 5
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_under_load(server, tmp_path):
    """A pair with another agreement between them, under threads that do nothing but call it."""
    fix = narrow("PAIR", folder=tmp_path, stamp=server)
    with Server(server) as target:
        target.say("load 3")
        for _ in range(5):
            ftrace("apply", target.pid, fix)
            ftrace("revert", target.pid)
        mixed, calls = map(int, target.say("mixed").split())
        assert mixed == 0 and calls > 1000
        target.check_end()


def test_callbacks_states_and_shadows(server, tmp_path):
    fix = narrow("CALLBACKS", folder=tmp_path, stamp=server)
    fails = narrow("PRE_FAILS", folder=tmp_path, stamp=server)
    with Server(server) as target:
        assert "pre_patch callback" in ftrace("apply", target.pid, fails, status=1)
        ftrace("apply", target.pid, fix)
        first = target.answer()
        assert target.answer() == first + 1 > 10000
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_the_other_width(server, tmp_path):
    """Said with what to do, and nothing is changed."""
    wide_fix = patch("ANSWER", folder=tmp_path)
    os.mkdir(tmp_path / "narrow")
    fix = narrow("ANSWER", folder=tmp_path / "narrow")
    wide = build_server()
    with Server(server) as target, Server(wide) as other:
        before = target.text(), other.text()
        for options in ([], ["--any-build"]):
            said = ftrace("apply", *options, target.pid, wide_fix, status=1)
            assert "it is a 64-bit patch, and the program is a 32-bit one; build it with 'cc -m32'" in said
            said = ftrace("apply", *options, other.pid, fix, status=1)
            assert "it is a 32-bit patch, and the program is a 64-bit one; build it with 'cc -m64'" in said
        assert "is a 32-bit one" in ftrace("check", wide_fix, server, status=1)
        assert (target.text(), other.text()) == before
        assert (target.answer(), other.answer()) == (OLD, OLD)
        target.check_end()
        other.check_end()


def test_refused(server, tmp_path):
    """Another build, a file cut short, names that are not there: the process goes on as it was."""
    fix = narrow("ANSWER", folder=tmp_path, stamp=build_server(*NARROW, "-DOTHER", "-Wl,--build-id=0x1234567890",
                                                              name="other32"))
    missing = narrow("MISSING", folder=tmp_path, stamp=server)
    with Server(server) as target:
        before = target.text()
        assert "another build of the executable" in ftrace("apply", target.pid, fix, status=1)
        said = ftrace("apply", target.pid, missing, status=1)
        assert "no_such_variable cannot be referred to" in said and "no_such_function cannot be replaced" in said
        with open(fix, "rb") as f:
            data = f.read()
        for size in (64, 500, len(data) // 3, len(data) - 400):
            with open(fix, "wb") as f:
                f.write(data[:size])
            ftrace("apply", "--any-build", target.pid, fix, status=1)
        assert target.text() == before and target.answer() == OLD
        target.check_end()

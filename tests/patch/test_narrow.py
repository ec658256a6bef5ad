# SPDX-License-Identifier: MIT
"""ftrace patch: what differs with 32-bit programs; the rest is tried with both widths in test_patch.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from patchtest import NARROW, OLD, Server, build_server, ftrace, patch, skip_elsewhere  # noqa: E402

skip_elsewhere()


def test_by_file_and_position(narrow, tmp_path):
    fix = patch("TWIN", folder=tmp_path, stamp=narrow)
    with Server(narrow) as target:
        ftrace("apply", target.pid, fix)
        said = target.ask()
        assert said["twin"] == 11 and said["twin2"] == 2 and 77 in (said["count"], said["count2"]), said
        ftrace("revert", target.pid)
        assert target.ask()["twin"] == 1
        target.check_end()


def test_the_other_width(narrow, tmp_path):
    """Said with what to do, and nothing is changed."""
    wide_fix = patch("ANSWER", folder=tmp_path)
    os.mkdir(tmp_path / "narrow")
    fix = patch("ANSWER", folder=tmp_path / "narrow", flags=NARROW)
    wide = build_server()
    with Server(narrow) as target, Server(wide) as other:
        before = target.text(), other.text()
        for options in ([], ["--any-build"]):
            said = ftrace("apply", *options, target.pid, wide_fix, status=1)
            assert "it is a 64-bit patch, and the program is a 32-bit one; build it with 'cc -m32'" in said
            said = ftrace("apply", *options, other.pid, fix, status=1)
            assert "it is a 32-bit patch, and the program is a 64-bit one; build it with 'cc -m64'" in said
        assert "is a 32-bit one" in ftrace("check", wide_fix, narrow, status=1)
        assert (target.text(), other.text()) == before
        assert (target.answer(), other.answer()) == (OLD, OLD)
        target.check_end()
        other.check_end()


def test_refused(narrow, tmp_path):
    """Another build, a file cut short, names that are not there: the process goes on as it was."""
    fix = patch("ANSWER", folder=tmp_path, stamp=build_server(*NARROW, "-DOTHER", "-Wl,--build-id=0x1234567890",
                                                             name="other32"))
    missing = patch("MISSING", folder=tmp_path, stamp=narrow)
    with Server(narrow) as target:
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

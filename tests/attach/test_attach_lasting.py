# SPDX-License-Identifier: MIT
"""attach, status, control, detach: a recording that outlives the command."""
import glob
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attachtest import Target, calls, ftrace, state_of  # noqa: E402


def test_lasting(loop, tmp_path):
    """attach, status, control, detach."""
    with Target([loop, "sleep"]) as target:
        before = target.text()
        assert "is not attached to" in ftrace("status", target.pid, status=1)
        assert "is not attached to" in ftrace("control", target.pid, "tracing_on", status=1)
        assert f"'ftrace detach {target.pid}' ends it" in \
            ftrace("attach", "-o", tmp_path / "data", "-F", "branch", target.pid)
        assert "being recorded already" in ftrace("attach", "-o", tmp_path / "two", target.pid, status=1)
        shown = ftrace("status", target.pid)
        assert f"output: {tmp_path}/data" in shown and "current_tracer: function_graph\n" in shown
        assert "set_ftrace_filter: branch\n" in shown
        assert target.text() != before
        # Off is off: the code is as it was.
        assert "all threads stopped 1 time" in ftrace("control", target.pid, "current_tracer=nop")
        assert target.text() == before
        ftrace("control", target.pid, "set_ftrace_filter=leaf", "current_tracer=function")
        assert target.text() != before
        assert "no such file" in ftrace("control", target.pid, "current_trace=nop", status=1)
        assert "no tracer of that name" in ftrace("control", target.pid, "current_tracer=x", status=1)
        assert ftrace("control", target.pid, "current_tracer", "tracing_on") == "function\n1\n"
        functions = ftrace("control", target.pid, "available_filter_functions").split("\n")
        assert {"leaf", "branch", "main"} <= set(functions)
        target.wait_for(target.more(rounds=20))
        ftrace("control", target.pid, "tracing_on=0")
        assert f"recorded into {tmp_path}/data" in ftrace("detach", target.pid)
        assert "is not attached to" in ftrace("detach", target.pid, status=1)
        assert target.text() == before
        seen = calls(tmp_path / "data")
        assert seen["branch"] > 10 and seen["leaf"] > 10
        target.check_end()


def test_detach_without_recorder(loop, tmp_path):
    with Target([loop, "sleep"]) as target:
        before = target.text()
        ftrace("attach", "-o", tmp_path / "data", target.pid)
        recorder = int(re.search(r"recorder: process (\d+)", ftrace("status", target.pid)).group(1))
        os.kill(recorder, signal.SIGKILL)
        target.wait_for(lambda: state_of(recorder) in "ZX")
        assert "was killed" in ftrace("status", target.pid)
        ftrace("detach", target.pid)
        assert target.text() == before
        target.check_end()


def test_private(loop, tmp_path):
    """What it is asked through is nobody else's."""
    with Target([loop, "sleep"]) as target:
        ftrace("attach", "-o", tmp_path / "data", target.pid)
        folders = [folder for folder in glob.glob("/dev/shm/ftrace-*")
                   if os.path.exists(f"{folder}/attached-{target.pid}")]
        assert len(folders) == 1
        assert os.stat(folders[0]).st_mode & 0o777 == 0o700
        assert {os.stat(file).st_mode & 0o177 for file in glob.glob(f"{folders[0]}/*")
                if not os.path.islink(file)} == {0}
        ftrace("detach", target.pid)
        target.check_end()


def test_control_files(loop, tmp_path):
    """Every setting, changed while it runs; what is recorded then shows it."""
    with Target([loop, "sleep"]) as target:
        def control(*files):
            return ftrace("control", target.pid, *files)

        def switched(*files):
            """What stands in the executable afterwards is (True) or is not what stood there before."""
            control(*files)
            return target.text() != before

        before = target.text()
        ftrace("attach", "-o", tmp_path / "data", "--tracer", "nop", target.pid)
        assert not switched("current_tracer=nop")
        for tracer in control("available_tracers").split():
            assert switched(f"current_tracer={tracer}") == (tracer != "nop"), tracer
            assert control("current_tracer") == f"{tracer}\n"
        control("current_tracer=nop", "set_ftrace_filter=leaf", "set_ftrace_filter+=branch",
                "set_ftrace_notrace=branch", "max_graph_depth=3", "tracing_thresh=5")
        assert control("set_ftrace_filter", "set_ftrace_notrace", "max_graph_depth", "tracing_thresh") == \
            "leaf\nbranch\nbranch\n3\n5\n"
        assert switched("current_tracer=function_graph")
        # A pause keeps the stubs.
        assert switched("tracing_on=0") and control("tracing_on") == "0\n"
        assert switched("tracing_on=1", "tracing_thresh=0")
        target.wait_for(target.more(rounds=60))
        assert "all threads stopped" in control("current_tracer=nop") and target.text() == before
        ftrace("detach", target.pid)
        # Before there was a filter each branch had its three leaves.
        seen = calls(tmp_path / "data")
        assert seen.get("leaf", 0) > 3 * seen.get("branch", 0) + 12, seen
        target.check_end()


def test_options_behind_the_process(tmp_path, loop):
    """attach, detach, status and control take no command of the program's, so options may stand anywhere."""
    with Target([loop, "sleep"]) as target:
        ftrace("attach", target.pid, "-o", tmp_path / "data", "--tracer", "nop")
        assert (tmp_path / "data").is_dir()
        assert "FILE[=VALUE]" in ftrace("control", target.pid, "--help")
        ftrace("detach", target.pid)
        target.check_end()

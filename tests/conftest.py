# SPDX-License-Identifier: MIT
"""Fixtures of every pytest file below tests/. The tools themselves are in ftracetest.py."""
import faulthandler
import os
import shutil
import signal

import pytest

import ftracetest


def pytest_configure(config):
    # A shell starts what is to run in the background with these ignored, and so would be all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    config.addinivalue_line("markers", "slow: takes more than about 10 seconds")
    config.addinivalue_line("markers", "limit(seconds): the test's own time limit (default 120), "
                            "times ftracetest.PATIENCE")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A time limit for each test, so that one that hangs fails instead of holding up the rest."""
    marker = item.get_closest_marker("limit")
    seconds = (marker.args[0] if marker else 120) * ftracetest.PATIENCE

    def late(number, frame):
        pytest.fail(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pytest_terminal_summary(terminalreporter):
    """The reason of every skip, whatever options pytest was started with."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"skipped {report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def build_dir():
    return ftracetest.BUILD


@pytest.fixture(scope="session")
def ftrace():
    """Path of the built command; without it a test fails."""
    ftracetest.need_ftrace()
    return ftracetest.FTRACE


@pytest.fixture
def record(tmp_path):
    """record(command): a Recording; record.same(command): the same, compared with a native run."""
    yield ftracetest.Recorder(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def environment():
    """What a user's shell might have set must not reach the programs."""
    faulthandler.enable()
    for name in ("LD_PRELOAD", "FTRACE_SESSION", "LANGUAGE", "LC_ALL"):
        os.environ.pop(name, None)
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ["DEBUGINFOD_URLS"] = ""

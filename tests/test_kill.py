# SPDX-License-Identifier: MIT
"""kill -9 of either side at random moments (fixed seed): the program is never disturbed by the
recorder's end, and what was recorded until then can be read, by us and by babeltrace2."""
import os
import random
import signal
import subprocess
import time

import pytest

import ftracetest
from ftracetest import FTRACE, PATCHABLE, Recording, build, check_streams, need_ftrace, run

TIMES = 50
SEED = 20261121


def shared_memory():
    return set(os.listdir("/dev/shm"))


class Victim:
    """`ftrace record` of programs/endless.c, started."""

    def __init__(self, folder, milliseconds):
        need_ftrace()
        program = build("endless.c", "-O2", PATCHABLE, "-pthread")
        self.data, self.file = os.path.join(folder, "data"), os.path.join(folder, "progress")
        with open(os.path.join(folder, "stderr"), "wb") as err:
            self.recorder = subprocess.Popen([FTRACE, "record", "-o", self.data, "--", program,
                                              str(milliseconds), self.file], stderr=err,
                                             stdin=subprocess.DEVNULL, start_new_session=True)

    def progress(self):
        try:
            with open(self.file, encoding="ascii") as file:
                return file.read().split()
        except OSError:
            return []

    def wait_for(self, count, seconds=40 * ftracetest.PATIENCE):
        """Waits until the program wrote that many words; 2: it runs, 3: it ended."""
        end = time.monotonic() + seconds
        while len(self.progress()) < count:
            if time.monotonic() > end:
                ftracetest.kill_session(self.recorder.pid)
                self.recorder.wait()
                pytest.fail(f"the program got to {self.progress()} in {seconds} s")
            time.sleep(0.002)
        return self.progress()


def check_recording(data, may_be_empty=False):
    """Our readers repair it, then its streams are whole and babeltrace2 counts the same events."""
    shown = run([FTRACE, "report", "--json", "-i", data], timeout=60)
    if may_be_empty and shown.status == 1 and shown.stderr.startswith(b"ftrace: "):
        return None
    assert shown.status == 0, str(shown)
    total = check_streams(data)
    if may_be_empty and total == 0:		# killed before the program was there: no trace at all
        return None
    assert Recording(data, None).babeltrace() == total
    return total


@pytest.mark.slow
@pytest.mark.limit(300)
def test_kill_the_program(tmp_path):
    """The recorder ends by itself, passes the status on, and loses nothing that was recorded."""
    choice = random.Random(SEED)
    for number in range(TIMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        victim = Victim(str(folder), 60000)
        pid = int(victim.wait_for(2)[1])
        with open(os.path.join(victim.data, ".session"), encoding="ascii") as file:
            session = file.read().strip()
        time.sleep(choice.random() ** 3 * 0.2)
        os.kill(pid, signal.SIGKILL)
        try:
            status = victim.recorder.wait(20 * ftracetest.PATIENCE)
        except subprocess.TimeoutExpired:
            ftracetest.kill_session(victim.recorder.pid)
            pytest.fail(f"round {number}: the recorder does not end after the program's death")
        assert status == 128 + signal.SIGKILL, f"round {number}: {status}"
        assert check_recording(victim.data) > 0, f"round {number}"
        assert not os.path.exists(session), f"round {number}: left in /dev/shm"
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.limit(300)
def test_kill_the_recorder(tmp_path):
    """The program goes on to its end with the right result; the recording so far is readable."""
    choice, before = random.Random(SEED + 1), shared_memory()
    for number in range(TIMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        victim = Victim(str(folder), 150)
        started = choice.random() < 0.7
        if started:
            victim.wait_for(2)
        time.sleep(choice.random() ** 2 * 0.1)
        victim.recorder.kill()
        victim.recorder.wait()
        if started:
            assert victim.wait_for(3)[2] == "done", f"round {number}: {victim.progress()}"
        else:
            # The program may just be starting, or never does.
            while ftracetest.processes_of(victim.recorder.pid):
                time.sleep(0.01)
            assert not victim.progress() or victim.progress()[2:] == ["done"], f"round {number}: {victim.progress()}"
        total = check_recording(victim.data, may_be_empty=not started) \
            if os.path.exists(victim.data) else None
        if started:
            assert total, f"round {number}: nothing kept"
        ftracetest.kill_session(victim.recorder.pid)
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    left = shared_memory() - before
    assert len(left) < TIMES * 0.3, f"left in /dev/shm: {left}"


@pytest.mark.limit(120)
def test_kill_both(tmp_path):
    choice = random.Random(SEED + 2)
    for number in range(15):
        folder = tmp_path / str(number)
        folder.mkdir()
        victim = Victim(str(folder), 60000)
        victim.wait_for(2)
        time.sleep(choice.random() * 0.1)
        ftracetest.kill_session(victim.recorder.pid)
        victim.recorder.wait()
        assert check_recording(victim.data) > 0, f"round {number}"
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_stop_the_recorder(tmp_path):
    """A recorder that is stopped (SIGSTOP) holds the program up for a bounded time only."""
    victim = Victim(str(tmp_path), 300)
    victim.wait_for(2)
    victim.recorder.send_signal(signal.SIGSTOP)
    try:
        assert victim.wait_for(3, seconds=20 * ftracetest.PATIENCE)[2] == "done"
    finally:
        victim.recorder.send_signal(signal.SIGCONT)
    assert victim.recorder.wait(20 * ftracetest.PATIENCE) == 9
    assert check_recording(victim.data) > 0


def test_killed_recorder_leaves_what_it_knew(tmp_path):
    """What was recorded, and when, is known from the beginning on."""
    victim = Victim(str(tmp_path), 300)
    victim.wait_for(2)
    victim.recorder.kill()
    victim.recorder.wait()
    assert victim.wait_for(3)[2] == "done"
    shown = run([FTRACE, "info", "-i", victim.data]).stdout.decode()
    assert "endless" in shown and "function_graph" in shown, shown
    with open(os.path.join(victim.data, "info"), encoding="utf-8") as file:
        info = dict(line.rstrip("\n").split("=", 1) for line in file)
    assert info["command"].endswith(f"300 {victim.file}"), info
    assert abs(int(info["start_real_ns"]) / 1e9 - time.time()) < 600, info
    assert info["recorded"] == "interrupted" and int(info["tick_hz"]) > 0, info
    ftracetest.kill_session(victim.recorder.pid)


def leave_behind(folder, program_too=True):
    """A recording whose recorder was killed, and the program with it or not: victim, its session directory."""
    victim = Victim(str(folder), 60000)
    victim.wait_for(2)
    time.sleep(0.1)
    with open(os.path.join(victim.data, ".session"), encoding="ascii") as file:
        session = file.read().strip()
    victim.recorder.kill()
    victim.recorder.wait()
    if program_too:
        ftracetest.kill_session(victim.recorder.pid)
    return victim, session


def grow_old(session):
    os.utime(session, (time.time() - 3600,) * 2)


def record_something(folder):
    """Another recording, which says nothing of others."""
    shown = run([FTRACE, "record", "-o", str(folder / "other"), "true"])
    assert shown.status == 0 and len(shown.stderr.splitlines()) <= 1, str(shown)


def test_next_recorder_takes_what_was_left(tmp_path):
    """Memory of a recording that nobody has read is given back by the next `ftrace record`; nothing is lost."""
    victim, session = leave_behind(tmp_path)
    # As where it was killed while it attached to a process.
    with open(os.path.join(session, "request-12345"), "w", encoding="ascii") as file:
        file.write("gone")
    for name in (session, victim.data):
        subprocess.run(["cp", "-a", name, tmp_path / ("copy-" + os.path.basename(name))], check=True)
    copy = tmp_path / "copy-data"
    (copy / ".session").write_text(f"{tmp_path}/copy-{os.path.basename(session)}\n")
    total = check_recording(str(copy))
    # Of a minute ago at least: its own reader may come any moment.
    record_something(tmp_path)
    assert os.path.isdir(session)
    grow_old(session)
    record_something(tmp_path)
    assert not os.path.exists(session)
    assert check_recording(victim.data) == total > 0
    with open(os.path.join(victim.data, "info"), encoding="utf-8") as file:
        info = dict(line.rstrip("\n").split("=", 1) for line in file)
    assert info["recorded"] == "interrupted" and int(info["tick_hz"]) > 0, info


def test_next_recorder_finds_what_was_put_aside(tmp_path):
    """ftrace.data became ftrace.data.old when the next recording began."""
    victim, session = leave_behind(tmp_path)
    assert run([FTRACE, "record", "-o", victim.data, "true"]).status == 0
    grow_old(session)
    record_something(tmp_path)
    assert not os.path.exists(session)
    assert check_recording(victim.data + ".old") > 0


@pytest.mark.parametrize("why", ["program lives", "recording moved", "recorder lives", "others may write"])
def test_next_recorder_leaves_alone(why, tmp_path):
    if why == "recorder lives":
        victim = Victim(str(tmp_path), 60000)
        victim.wait_for(2)
        with open(os.path.join(victim.data, ".session"), encoding="ascii") as file:
            session = file.read().strip()
    else:
        victim, session = leave_behind(tmp_path, program_too=why != "program lives")
    if why == "recording moved":
        os.rename(victim.data, tmp_path / "moved")
        victim.data = str(tmp_path / "moved")
    elif why == "others may write":
        os.chmod(session, 0o770)
    grow_old(session)
    files = set(os.listdir(session))
    try:
        record_something(tmp_path)
        assert files <= set(os.listdir(session))
    finally:
        ftracetest.kill_session(victim.recorder.pid)
        victim.recorder.wait()
    assert check_recording(victim.data) > 0
    assert not os.path.exists(session)

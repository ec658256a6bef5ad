# SPDX-License-Identifier: MIT
"""What the tests of attaching share: programs to attach to, recording them, what is said and recorded then."""
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
if os.uname().machine != "x86_64":
    pytest.skip("attaching is made for x86_64 only", allow_module_level=True)

PLAIN = ("-O2", "-pthread")


class Target(ft.Child):
    """A program that says "ready" and ends at SIGTERM with "ok"."""

    def __init__(self, command, **options):
        super().__init__(command, **options)
        self.symbols = {}
        assert self.process.stdout.readline() == b"ready\n"

    def end(self, sig=signal.SIGTERM):
        """Its status, output and errors."""
        if sig:
            self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=20 * ft.PATIENCE)
        return self.process.returncode, out.decode(), err.decode()

    def check_end(self):
        assert self.end() == (0, "ok\n", "")

    def counter(self, name):
        """An unsigned int of the program's."""
        exe = f"/proc/{self.pid}/exe"
        if name not in self.symbols:
            with open(exe, "rb") as file:
                movable = file.read(18)[16] == 3
            shown = subprocess.run(["nm", exe], stdout=subprocess.PIPE, text=True, check=True).stdout
            address = int(re.search(rf"^(\w+) [bBdD] {name}$", shown, re.M).group(1), 16)
            with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
                base = next(line for line in maps if os.readlink(exe) in line)
            self.symbols[name] = address + (int(base.split("-")[0], 16) if movable else 0)
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as mem:
            return int.from_bytes(os.pread(mem.fileno(), 4, self.symbols[name]), "little")

    def more(self, **counters):
        """Asks whether each of these counters has grown by so much since it was first asked."""
        each = [grown(lambda name=name: self.counter(name), by) for name, by in counters.items()]
        return lambda: all([has() for has in each])

    def wait_for(self, condition):
        """For as long as it takes: a test has a time limit of its own."""
        while not condition():
            assert self.process.poll() is None, self.process.returncode
            time.sleep(0.002)

    def status(self, key):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return re.search(rf"^{key}:\s*(\w+)", status.read(), re.M).group(1)


def grown(read, by):
    """Asks whether what read() says has grown by so much since it was first asked."""
    first = []

    def has():
        first.append(read())
        return (first[-1] - first[0]) % 2 ** 32 >= by
    return has


def record(pid, output, *options, duration="300ms", timeout=60):
    return ft.run([ft.FTRACE, "record", "-o", str(output), "--duration", duration, *options, "-p",
                   str(pid)], timeout=timeout)


def record_until(target, output, condition, *options, who=None, processes=1):
    """As record(), until the program has done something, first asked for when it is attached to. Of no time
    can be said what a program does in it where others want the processors."""
    command = [ft.FTRACE, "record", "-o", str(output), *options, *(who or ("-p", str(target.pid)))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0) as recorder:
        try:
            said, line = b"", b"-"
            while line and said.count(b"attached to") < processes:
                line = recorder.stderr.readline()
                said += line
            if line:
                target.wait_for(condition)
                recorder.send_signal(signal.SIGINT)
            said += recorder.communicate(timeout=20 * ft.PATIENCE)[1]
        finally:
            recorder.kill()
    return ft.Result(command, recorder.returncode, b"", said, 0)


def calls(output):
    """Function to number of calls, as ftrace report has them."""
    done = ft.run([ft.FTRACE, "report", "-i", str(output)])
    assert done.status == 0, done
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {words[-1]: int(words[0]) for words in lines if words and words[0].isdigit()}


def attached(done):
    assert done.status == 0, str(done)
    match = re.search(r"attached to process \d+ \(.*\) in ([0-9.]+) ms: one thread borrowed for "
                      r"([0-9.]+) ms, all threads stopped (\d+) times?, ([0-9.]+) ms at most",
                      done.stderr.decode())
    assert match, str(done)
    return [float(x) for x in match.groups()]


def state_of(pid):
    """One letter; X where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def build_narrow(source, *flags):
    if ft.compiles("gcc", "c", "-m32") is not True:
        pytest.skip("gcc makes no 32-bit programs here")
    try:
        return ft.build(source, *PLAIN, "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu", *flags,
                        name=os.path.splitext(source)[0] + "_narrow")
    except subprocess.CalledProcessError as error:
        pytest.skip("no 32-bit libraries: " + error.output.splitlines()[0])


def ftrace(*args, status=0):
    done = ft.run([ft.FTRACE, *map(str, args)])
    assert done.status == status, done
    return done.stdout.decode() + done.stderr.decode()


def refused(pid, tmp_path, *words):
    done = record(pid, tmp_path / "data", timeout=20)
    assert done.status == 1, done
    assert done.stderr.startswith(b"ftrace: ") and done.stderr.count(b"\n") == 1, done
    for word in words:
        assert word.encode() in done.stderr, done
    assert not os.path.exists(tmp_path / "data")

# SPDX-License-Identifier: MIT
"""Attaching to running processes: nothing of what they do may change, whatever happens to them."""
import glob
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced", allow_module_level=True)
if os.uname().machine != "x86_64":
    pytest.skip("attaching is made for x86_64 only", allow_module_level=True)

PLAIN = ("-O2", "-pthread")


class Target:
    """A program that says "ready" and ends at SIGTERM with "ok"."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.PIPE, **options)
        self.pid = self.process.pid
        self.symbols = {}
        assert self.process.stdout.readline() == b"ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

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

    def text(self):
        """The executable's code as it stands in memory."""
        exe = os.readlink(f"/proc/{self.pid}/exe")
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            ranges = [line.split()[0].split("-") for line in maps
                      if exe in line and " r-xp " in line]
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as mem:
            return b"".join(os.pread(mem.fileno(), int(hi, 16) - int(lo, 16), int(lo, 16))
                            for lo, hi in ranges)


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


@pytest.fixture(scope="session", name="threads")
def _threads():
    return ft.build("attach_threads.cc", *PLAIN)


@pytest.fixture(scope="session", name="loop")
def _loop():
    return ft.build("attach_loop.c", *PLAIN)


@pytest.mark.parametrize("flags", ["", ft.PATCHABLE, "-pg -mfentry", "-pg", "-fpatchable-function-entry=7,5"])
@pytest.mark.parametrize("kind", ["loop", "sleep", "trap"])
def test_records(tmp_path, kind, flags):
    """Programs that were compiled for tracing, too."""
    if flags.startswith("-pg"):
        program = ft.build("attach_loop.c", *PLAIN, *flags.split(), name="attach_pg")
    else:
        program = ft.build("attach_loop.c", *PLAIN, *flags.split())
    with Target([program, kind], cwd=tmp_path) as target:
        before = target.text()
        for _ in range(2):
            attached(record_until(target, tmp_path / "data", target.more(rounds=20)))
            assert target.text() == before
            seen = calls(tmp_path / "data")
            assert seen["branch"] > 10
            # Three leaves a branch; functions are not switched all at one moment.
            assert 2.5 * seen["branch"] - 6 <= seen["leaf"] <= 3.5 * seen["branch"] + 6
        target.check_end()


def test_blocked_for_ever(loop, tmp_path):
    """Nothing wakes it: its system call goes on, and a later signal ends it with EINTR. A sleep keeps its length."""
    for kind in ("poll", "read", "epoll", "futex", "long"):
        with Target([loop, kind]) as target:
            for _ in range(3):
                attached(record(target.pid, tmp_path / "data", duration="50ms"))
            target.check_end()


def test_read_goes_on(loop, tmp_path):
    with Target([loop, "read"]) as target:
        target.wait_for(lambda: target.counter("rounds") == 1)
        recorder = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-p",
                                     str(target.pid)], stderr=subprocess.PIPE)
        while b"attached" not in recorder.stderr.readline():
            assert recorder.poll() is None
        for _ in range(100):
            target.process.stdin.write(b"x")
            target.process.stdin.flush()
        target.wait_for(lambda: target.counter("rounds") == 101)
        recorder.send_signal(signal.SIGINT)
        recorder.communicate(timeout=20 * ft.PATIENCE)
        assert recorder.returncode == 0
        assert calls(tmp_path / "data")["branch"] == 100
        assert target.end(sig=None) == (0, "ok\n", "")


@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize("kind", ["sleep", "poll", "read"])
def test_libraries(loop, tmp_path, kind, width):
    """All libraries, libc too: the thread that waits in one is behind a stub, where others cannot unwind it."""
    program = loop if width == "wide" else build_narrow("attach_loop.c")
    with Target([program, kind]) as target:
        for _ in range(3):
            attached(record(target.pid, tmp_path / "data", "-L", "*", duration="50ms"))
        target.check_end()


@pytest.mark.parametrize("kind", ["plain", "forks", "compiled"])
def test_threads(threads, tmp_path, kind):
    """Again and again at random moments, to threads in every kind of work."""
    if kind == "compiled":
        threads = ft.build("attach_threads.cc", *PLAIN, ft.PATCHABLE)
    with Target([threads, kind]) as target:
        before, took = target.text(), []
        attached(record_until(target, tmp_path / "data", target.more(_ZL4done=100)))
        assert calls(tmp_path / "data")["catcher"] > 0
        for _ in range(12):
            done = record(target.pid, tmp_path / "data", duration=f"{random.randint(1, 80)}ms")
            _, borrowed, _, stopped = attached(done)
            took.append(max(borrowed, stopped))
            time.sleep(random.random() * 0.05)
        # Each is longer by what other processes ran meanwhile.
        assert min(took) < 500, took
        assert target.text() == before
        target.check_end()


def test_dlopen(tmp_path):
    """Libraries come and go while they are looked at."""
    with Target([ft.build("attach_dlopen.c", *PLAIN)]) as target:
        for _ in range(10):
            attached(record(target.pid, tmp_path / "data", "-L", "libz*", duration="5ms"))
        target.check_end()


def test_exceptions(threads, tmp_path):
    """Thrown through calls that are traced, in a program whose unwinder was there before us."""
    with Target([threads]) as target:
        attached(record_until(target, tmp_path / "data", target.more(_ZL4done=1000), "-F", "thrower,catcher"))
        seen = calls(tmp_path / "data")
        # They are not switched at one moment.
        assert seen["thrower"] > 100 and 0.8 < seen["thrower"] / seen["catcher"] < 1.2
        target.check_end()


# How often test_does_not_grow attaches: 1000 takes some minutes.
ATTACHES = int(os.environ.get("FTRACE_ATTACHES", "25"))


def proc_count(target, name):
    path = f"/proc/{target.pid}/{name}"
    if os.path.isdir(path):
        return len(os.listdir(path))
    with open(path, encoding="utf-8") as lines:
        return len(lines.readlines())


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_does_not_grow(threads, tmp_path, width):
    """Memory, mappings and descriptors of a program under load, which checks every answer it gets."""
    program = threads if width == "wide" else build_narrow("attach_threads.cc")
    with Target([program]) as target:
        size, maps, files, resident = [], [], [], []
        for _ in range(ATTACHES):
            attached(record(target.pid, tmp_path / "data", duration="5ms"))
            size.append(int(target.status("VmSize")))
            resident.append(int(target.status("VmRSS")))
            maps.append(proc_count(target, "maps"))
            files.append(proc_count(target, "fd"))

        def begin_and_end(values):
            # Threads that come and go are a stack more or less: the least of some.
            return f"{min(values[2:7])} {min(values[-5:])}"

        print(f"{ATTACHES} attached and detached, {width}: after 2 and in the end: VmSize {begin_and_end(size)} kB, VmRSS "
              f"{begin_and_end(resident)} kB, mappings {begin_and_end(maps)}, descriptors {begin_and_end(files)}")
        # What is made once, when it is first needed, stays.
        for values, limit in ((size, 2048), (maps, 8), (files, 2)):
            least = [min(values[i:i + 5]) for i in range(2, len(values) - 4)]
            grown = [after - before for before, after in zip(least, least[1:]) if after > before]
            # In between it may be more for a while; over all it is not.
            assert least[-1] - least[0] < limit, (least[0], least[-1], grown)
            if ATTACHES <= 100:
                assert len(grown) <= 2 and sum(grown) < limit, values
        target.check_end()


def test_second_recorder(loop, tmp_path):
    """One recording at a time; the first goes on."""
    with Target([loop, "sleep"]) as target:
        first = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "one"), "-p",
                                  str(target.pid)], stderr=subprocess.PIPE)
        while b"attached" not in first.stderr.readline():
            assert first.poll() is None
        done = record(target.pid, tmp_path / "two")
        assert done.status == 1 and b"being recorded already" in done.stderr, done
        target.wait_for(target.more(rounds=2))
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=20 * ft.PATIENCE)
        assert first.returncode == 0 and calls(tmp_path / "one")["leaf"] > 0
        target.check_end()


def test_recorder_killed(loop, tmp_path):
    """kill -9 of the recorder: the program goes on, and can be attached to again."""
    with Target([loop, "sleep"]) as target:
        first = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "one"), "-p",
                                  str(target.pid)], stderr=subprocess.PIPE)
        while b"attached" not in first.stderr.readline():
            assert first.poll() is None
        first.kill()
        first.communicate()
        attached(record_until(target, tmp_path / "two", target.more(rounds=2)))
        assert calls(tmp_path / "two")["leaf"] > 0
        target.check_end()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT, signal.SIGQUIT])
def test_ended_at_any_moment(threads, tmp_path, sig):
    """Whatever ends the command, also while it has borrowed a thread: the program does not know."""
    with Target([threads, "forks"]) as target:
        for i in range(20):
            recorder = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / f"data-{i}"), "-p",
                                         str(target.pid)], stderr=subprocess.DEVNULL,
                                        start_new_session=True, cwd=tmp_path)
            time.sleep(random.random() * 0.1)
            recorder.send_signal(sig)
            recorder.communicate(timeout=20 * ft.PATIENCE)
        # Who was killed in the middle of it may have left a thread borrowed, for some milliseconds.
        for _ in range(200):
            done = record_until(target, tmp_path / "data", target.more(_ZL4done=100))
            if done.status == 0:
                break
            time.sleep(0.1)
        attached(done)
        assert calls(tmp_path / "data").get("catcher", 0) > 0, str(done)
        target.check_end()
    forget_sessions(target.pid)


def forget_sessions(pid):
    """Of recorders that were killed: what they recorded of @pid is not wanted."""
    for name in os.listdir("/dev/shm"):
        folder = os.path.join("/dev/shm", name)
        if name.startswith("ftrace-") and os.path.isdir(folder) and \
                any(re.fullmatch(rf"(request|attached)-{pid}|{pid}\..*", file)
                    for file in os.listdir(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def test_two_processes(loop, tmp_path):
    with Target([loop, "sleep"]) as one, Target([loop, "sleep"]) as two:
        done = record(f"{one.pid},{two.pid}", tmp_path / "data")
        assert done.status == 0, done
        assert done.stderr.count(b"attached to process") == 2
        assert sorted(int(name.rpartition("-")[2].split(".")[0]) for name in
                      os.listdir(tmp_path / "data") if "-" in name) == sorted([one.pid, two.pid])
        one.check_end()
        two.check_end()


def test_by_name(loop, tmp_path):
    path = tmp_path / "attach_byname"
    shutil.copy(loop, path)
    with Target([path, "sleep"]) as one:
        attached(record("attach_byname", tmp_path / "data"))
        with Target([path, "sleep"]) as two:
            done = record("attach_byname", tmp_path / "data")
            assert done.status == 1
            assert re.search(rb"2 processes have this name \(.*\); choose one", done.stderr), done
            assert str(one.pid).encode() in done.stderr and str(two.pid).encode() in done.stderr
            two.check_end()
        one.check_end()
    assert b"no process has this name" in record("attach_byname", tmp_path / "data").stderr


def test_python(tmp_path):
    program = ("import math,signal,sys,time\nend=[]\nsignal.signal(signal.SIGTERM,lambda *_:end.append(1))\n"
               "print('ready',flush=True)\nwhile not end:\n"
               " assert sorted(range(200,0,-1))[0]==1\n assert ''.join(map(str,range(10)))=='0123456789'\n"
               " try: int('x')\n except ValueError: pass\n time.sleep(.001)\nprint('ok',flush=True)\n")
    with Target(["/usr/bin/python3", "-c", program]) as target:
        for _ in range(3):
            attached(record(target.pid, tmp_path / "data", duration="200ms", timeout=120))
        target.check_end()


def ftrace(*args, status=0):
    done = ft.run([ft.FTRACE, *map(str, args)])
    assert done.status == status, done
    return done.stdout.decode() + done.stderr.decode()


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


def state_of(pid):
    """One letter; X where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


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


def waits(pid):
    """Whether it has nothing to do: it sleeps, and has not been woken since a moment ago."""
    def woken():
        with open(f"/proc/{pid}/status", encoding="latin-1") as status:
            return re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read(), re.M).group(1)
    before = woken()
    time.sleep(0.1)
    return state_of(pid) == "S" and woken() == before


@pytest.mark.parametrize("command", ["sleep 60", "cat", "bash", "make -f -", "lua5.4 -", "sqlite3",
                                     "/usr/bin/python3 -m http.server -b 127.0.0.1 0", "perl -"])
def test_real_programs(tmp_path, command):
    """As they are, waiting: it is attached to whatever earlier calls have left on their stacks."""
    command = command.split()
    if not ft.have(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, cwd=tmp_path) as process:
        try:
            while not waits(process.pid):
                assert process.poll() is None
            for _ in range(2):
                attached(record(process.pid, tmp_path / "data", duration="20ms"))
            assert process.poll() is None
            if command[0] in ("cat", "bash", "perl"):
                process.stdin.write(b"exit\n")
                process.stdin.close()
                assert process.wait(timeout=20 * ft.PATIENCE) == 0
        finally:
            process.kill()


# ---- who cannot be attached to ----

def refused(pid, tmp_path, *words):
    done = record(pid, tmp_path / "data", timeout=20)
    assert done.status == 1, done
    assert done.stderr.startswith(b"ftrace: ") and done.stderr.count(b"\n") == 1, done
    for word in words:
        assert word.encode() in done.stderr, done
    assert not os.path.exists(tmp_path / "data")


def test_no_such_process(tmp_path):
    refused(2 ** 22 - 7, tmp_path, "no such process")


def test_zombie(tmp_path):
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        refused(process.pid, tmp_path, "zombie")


def test_kernel_thread(tmp_path):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            if stat.read().rpartition(")")[2].split()[1] == "2":
                refused(pid, tmp_path, "thread of the kernel")
                return
    pytest.skip("no kernel thread can be seen here (a container)")


def test_stopped(loop, tmp_path):
    with Target([loop, "sleep"]) as target:
        target.process.send_signal(signal.SIGSTOP)
        target.wait_for(lambda: target.status("State") == "T")
        refused(target.pid, tmp_path, "kill -CONT")
        target.process.send_signal(signal.SIGCONT)
        target.check_end()


def test_debugged(loop, tmp_path):
    if not ft.have("gdb"):
        pytest.skip("gdb is not installed")
    with Target([loop, "sleep"]) as target:
        os.mkfifo(tmp_path / "fifo")
        gdb = subprocess.Popen(["gdb", "-nx", "-q", "-batch", "-p", str(target.pid), "-ex", f"shell cat {tmp_path}/fifo",
                                "-ex", "detach"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        with open(tmp_path / "fifo", "wb"):		# when it is at the shell's command, and as long as we like
            refused(target.pid, tmp_path, "traced by process", "gdb")
        gdb.wait(timeout=20 * ft.PATIENCE)
        target.check_end()


def test_static(tmp_path):
    program = ft.build("attach_loop.c", "-O2", "-static", name="attach_static")
    with Target([program, "sleep"]) as target:
        refused(target.pid, tmp_path, "statically linked")
        target.check_end()


def test_not_movable(tmp_path):
    """A program that may not be anywhere."""
    with Target([ft.build("attach_loop.c", *PLAIN, "-no-pie", "-fno-pie", name="attach_fixed"), "sleep"]) as target:
        before = target.text()
        attached(record_until(target, tmp_path / "data", target.more(rounds=20)))
        assert calls(tmp_path / "data")["branch"] > 10 and target.text() == before
        target.check_end()


def test_library_path(loop, tmp_path):
    """What its LD_LIBRARY_PATH holds of our names is not what is loaded."""
    for name in ("libftrace.so.0", "libftrace-agent.so", "libgcc_s.so.1"):
        (tmp_path / name).write_bytes(b"no library")
    env = dict(os.environ, LD_LIBRARY_PATH=f"/nowhere:{tmp_path}")
    with Target([loop, "sleep"], env=env) as target:
        attached(record_until(target, tmp_path / "data", target.more(rounds=2)))
        assert calls(tmp_path / "data")["leaf"] > 0
        target.check_end()


def test_server(tmp_path):
    """A busy server, every answer of which is checked, while it is attached to at random moments."""
    server = ft.build("attach_server.c", *PLAIN)

    def expected(x):
        for _ in range(10):
            x = (x * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        return x % 1000000007

    with Target([server]) as target:
        port = int(target.process.stdout.readline())
        ends, answers, wrong = threading.Event(), [0] * 4, []

        def client(me):
            numbers = random.Random(me)
            while not ends.is_set():
                with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, \
                        connection.makefile("rw") as file:
                    for _ in range(200):
                        number = numbers.randrange(2 ** 63)
                        file.write(f"{number}\n")
                        file.flush()
                        answer = file.readline()
                        if answer != f"{expected(number)}\n":
                            wrong.append((number, answer))
                            return
                        answers[me] += 1

        clients = [threading.Thread(target=client, args=(i,)) for i in range(4)]
        for thread in clients:
            thread.start()
        try:
            target.wait_for(lambda: wrong or min(answers))
            attached(record_until(target, tmp_path / "data", grown(lambda: sum(answers) + 10 * len(wrong), 10)))
            seen = calls(tmp_path / "data").get("count", 0)
            for _ in range(10):
                attached(record(target.pid, tmp_path / "data", duration=f"{random.randint(1, 100)}ms"))
                time.sleep(random.random() * 0.05)
        finally:
            ends.set()
            for thread in clients:
                thread.join()
        assert not wrong and min(answers) > 0 and seen > 0, (wrong, answers, seen)
        target.check_end()


@pytest.mark.parametrize("limits", [(resource.RLIMIT_AS, None), (resource.RLIMIT_NOFILE, 3)], ids=["memory", "files"])
def test_half_way(loop, tmp_path, limits):
    """Its limits let no agent in: it goes on, and its code is as it was."""
    with Target([loop, "sleep"]) as target:
        before, (kind, limit) = target.text(), limits
        if limit is None:
            limit = (int(target.status("VmSize")) + 300) << 10
        resource.prlimit(target.pid, kind, (limit, limit))
        done = record(target.pid, tmp_path / "data")
        assert done.status == 1 and done.stderr.startswith(b"ftrace: process"), str(done)
        assert target.text() == before
        target.check_end()


def build_narrow(source, *flags):
    if ft.compiles("gcc", "c", "-m32") is not True:
        pytest.skip("gcc makes no 32-bit programs here")
    try:
        return ft.build(source, *PLAIN, "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu", *flags,
                        name=os.path.splitext(source)[0] + "_narrow")
    except subprocess.CalledProcessError as error:
        pytest.skip("no 32-bit libraries: " + error.output.splitlines()[0])


@pytest.mark.parametrize("flags", ["", "-no-pie -fno-pie", ft.PATCHABLE])
@pytest.mark.parametrize("kind", ["loop", "sleep", "poll", "read", "trap", "seccomp"])
def test_narrow(tmp_path, kind, flags):
    """A 32-bit process, by the 64-bit command."""
    if kind == "seccomp" and os.getuid():
        pytest.skip("needs root, to see what a filter allows")
    with Target([build_narrow("attach_loop.c", *flags.split()), kind], cwd=tmp_path) as target:
        before = target.text()
        waiting = kind in ("poll", "read")
        for _ in range(3):
            attached(record_until(target, tmp_path / "data", target.more(rounds=0 if waiting else 2)))
            assert target.text() == before
        if not waiting:
            assert calls(tmp_path / "data")["leaf"] > 0
        target.check_end()


def test_narrow_strict(tmp_path):
    if os.getuid():
        pytest.skip("needs root, to see what a filter allows")
    with Target([build_narrow("attach_loop.c"), "strict"]) as target:
        target.wait_for(lambda: target.status("Seccomp") != "0")
        refused(target.pid, tmp_path, "seccomp filter does not allow mmap2()")
        target.check_end()


def test_narrow_and_wide(loop, tmp_path):
    """One recording of both kinds: each process gets the agent of its own."""
    with Target([build_narrow("attach_loop.c", ft.PATCHABLE), "sleep"]) as one, \
            Target([loop, "sleep"]) as two:
        each = one.more(rounds=30), two.more(rounds=30)
        done = record_until(one, tmp_path / "data", lambda: all([has() for has in each]),
                            who=("-p", f"{one.pid},{two.pid}"), processes=2)
        assert done.status == 0 and done.stderr.count(b"attached to process") == 2, done
        assert calls(tmp_path / "data")["branch"] > 40
        one.check_end()
        two.check_end()


@pytest.mark.parametrize("flags", ["", ft.PATCHABLE])
def test_narrow_threads(tmp_path, flags):
    """As test_threads, in a 32-bit process; unwinders there are told by other ways."""
    with Target([build_narrow("attach_threads.cc", *flags.split()), "forks"]) as target:
        before = target.text()
        attached(record_until(target, tmp_path / "data", target.more(_ZL4done=100)))
        assert calls(tmp_path / "data")["catcher"] > 0
        for _ in range(6):
            attached(record(target.pid, tmp_path / "data", duration=f"{random.randint(1, 80)}ms"))
            time.sleep(random.random() * 0.05)
        assert target.text() == before
        target.check_end()


def test_seccomp(loop, tmp_path):
    """A filter that allows what the agent needs; one that does not is a refusal, and nothing was tried."""
    if os.getuid():
        pytest.skip("needs root, to see what a filter allows")
    with Target([loop, "seccomp"]) as target:
        target.wait_for(lambda: target.status("Seccomp") != "0")
        attached(record_until(target, tmp_path / "data", target.more(rounds=2)))
        assert calls(tmp_path / "data")["leaf"] > 0
        target.check_end()
    shutil.rmtree(tmp_path / "data")
    with Target([loop, "strict"]) as target:
        target.wait_for(lambda: target.status("Seccomp") != "0")
        done = record(target.pid, tmp_path / "data")
        assert done.status == 1 and b"seccomp filter does not allow" in done.stderr, done
        target.check_end()


def test_seccomp_later(tmp_path):
    """A filter installed while it is recorded: none of our system calls ends it."""
    with Target([ft.build("attach_late.c", *PLAIN)]) as target:
        recorder = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-p",
                                     str(target.pid)], stderr=subprocess.PIPE)
        while b"attached" not in recorder.stderr.readline():
            assert recorder.poll() is None
        assert target.end(signal.SIGUSR1) == (0, "ok\n", "")
        recorder.communicate(timeout=20 * ft.PATIENCE)
        assert recorder.returncode == 0 and calls(tmp_path / "data")["leaf"] > 1000


@pytest.mark.parametrize("names", ["--mount --pid --fork --mount-proc", "--mount --uts --ipc"])
def test_namespaces(loop, tmp_path, names):
    """A process in other namespaces, which sees neither our files nor our /dev/shm."""
    if os.getuid() or not ft.have("unshare"):
        pytest.skip("needs root and unshare")
    shutil.copy(loop, tmp_path / "attach_inside")
    script = (f"mkdir {tmp_path}/new && mount -t tmpfs new {tmp_path}/new && "
              f"cp {tmp_path}/attach_inside {tmp_path}/new/ && mount -t tmpfs shm /dev/shm && "
              f"mount -t tmpfs none {ft.BUILD} && "
              f"exec {tmp_path}/new/attach_inside sleep")
    with Target(["unshare", *names.split(), "sh", "-c", script]) as target:
        outer = target.process
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="ascii") as children:
            target.pid = int((children.read().split() or [outer.pid])[0])
        try:
            for _ in range(2):
                attached(record_until(target, tmp_path / "data", target.more(rounds=2)))
                assert calls(tmp_path / "data")["leaf"] > 0
            os.kill(target.pid, signal.SIGTERM)
            assert target.end(sig=None) == (0, "ok\n", "")
        finally:
            if outer.poll() is None:
                os.kill(target.pid, signal.SIGKILL)


def test_other_user(loop, tmp_path):
    if os.getuid():
        pytest.skip("needs root, to become somebody else")
    with Target([loop, "sleep"]) as target:
        done = ft.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ft.FTRACE, "record",
                       "-o", "/tmp/ftrace-attach-other", "-p", str(target.pid)])
        assert done.status == 1 and b"not as you" in done.stderr, done
        target.check_end()


def as_nobody(*command):
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@pytest.fixture(name="public")
def _public(loop):
    """A folder that everybody may use, with a copy of the program."""
    if os.getuid() or not ft.have("setpriv"):
        pytest.skip("needs root and setpriv, to become somebody else")
    with tempfile.TemporaryDirectory(prefix="ftrace-attach-") as folder:
        os.chmod(folder, 0o777)
        shutil.copy(loop, os.path.join(folder, "program"))
        yield folder


def try_as_nobody(public, pid, *before):
    done = ft.run([*before, *as_nobody(ft.FTRACE, "record", "-o", os.path.join(public, "data"), "-p", str(pid))])
    assert done.status == 1 and done.stderr.count(b"\n") == 1, str(done)
    return done.stderr.decode()


def test_set_user_id(public):
    program = os.path.join(public, "program")
    os.chmod(program, 0o4755)
    with Target(as_nobody(program, "sleep")) as target:
        assert "its program is set-user-ID" in try_as_nobody(public, target.pid)
        target.check_end()


@pytest.mark.parametrize("scope, words", [("1", "one's own children only"), ("2", "only with CAP_SYS_PTRACE"),
                                          ("3", "until the next boot")])
def test_yama(public, scope, words):
    """Explained by what the setting says, shown in a /proc/sys of its own."""
    script = ("mount -t tmpfs none /proc/sys && mkdir -p /proc/sys/kernel/yama && "
              f"echo {scope} >/proc/sys/kernel/yama/ptrace_scope && exec \"$@\"")
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = try_as_nobody(public, target.pid, "unshare", "--mount", "sh", "-c", script, "sh")
        assert f"ptrace_scope is {scope}" in done and words in done
        target.check_end()


def test_root_without_capability(public):
    """Root, but in a container that takes CAP_SYS_PTRACE away."""
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = ft.run(["setpriv", "--bounding-set=-sys_ptrace", ft.FTRACE, "record", "-o",
                       os.path.join(public, "data"), "-p", str(target.pid)])
        assert done.status == 1 and b"without CAP_SYS_PTRACE" in done.stderr, str(done)
        target.check_end()


def test_own_process_of_nobody(public):
    """Without any right but that of its user."""
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = ft.run(as_nobody(ft.FTRACE, "record", "-o", os.path.join(public, "data"), "--duration", "100ms",
                                "-p", str(target.pid)))
        if b"ptrace_scope" in done.stderr:
            pytest.skip("yama's ptrace_scope forbids it here")
        attached(done)
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


def test_bad_use(tmp_path):
    for args in (["-p", "1", "true"], ["--duration", "1s", "true"], ["-p", ""], ["-p", "1",
                 "--duration", "x"]):
        done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), *args])
        assert done.status == 2, done


def test_options_behind_the_process(tmp_path, loop):
    """attach, detach, status and control take no command of the program's, so options may stand anywhere."""
    with Target([loop, "sleep"]) as target:
        ftrace("attach", target.pid, "-o", tmp_path / "data", "--tracer", "nop")
        assert (tmp_path / "data").is_dir()
        assert "FILE[=VALUE]" in ftrace("control", target.pid, "--help")
        ftrace("detach", target.pid)
        target.check_end()

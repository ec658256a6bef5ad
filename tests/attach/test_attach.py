# SPDX-License-Identifier: MIT
"""Attaching to running processes: nothing of what they do may change, whatever happens to them."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attachtest import PLAIN, Target, attached, build_narrow, calls, ft, grown, record, record_until, state_of  # noqa: E402


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


def test_bad_use(tmp_path):
    for args in (["-p", "1", "true"], ["--duration", "1s", "true"], ["-p", ""], ["-p", "1",
                 "--duration", "x"]):
        done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data"), *args])
        assert done.status == 2, done

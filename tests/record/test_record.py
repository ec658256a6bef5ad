# SPDX-License-Identifier: MIT
"""ftrace record as a command: options, what it passes on, what it leaves behind, what it refuses."""
import glob
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import pytest

from ftracetest import FTRACE, PATCHABLE, Recording, build, check_streams, need_ftrace, run

HERE = os.path.dirname(os.path.abspath(__file__))


def calls_program():
    need_ftrace()
    return build(os.path.join(HERE, "calls.c"), "-O2", PATCHABLE, "-pthread")


class Run:
    """A finished `ftrace record` of calls.c."""

    def __init__(self, folder, args, options=(), data="ftrace.data", **run_options):
        self.data = os.path.join(str(folder), data)
        command = args if isinstance(args, list) else [calls_program(), *args.split()]
        self.before = set(os.listdir("/dev/shm"))
        self.result = run([FTRACE, "record", "-o", self.data, *options, "--", *command],
                          cwd=str(folder), **run_options)
        self.status, self.stderr = self.result.status, self.result.stderr.decode()

    def info(self):
        with open(os.path.join(self.data, "info"), encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file)

    def traces(self):
        return sorted(os.path.dirname(name) for name in glob.glob(self.data + "/*/metadata"))

    def check(self, calls, discarded=0):
        """Status 0, the number of calls in info, streams that are sound, nothing left over."""
        assert self.status == 0, str(self.result)
        info = self.info()
        assert int(info["calls"]) == calls, (info, str(self.result))
        assert int(info["discarded"]) == discarded
        assert check_streams(self.data) == int(info["records"])
        assert info["recorded"] == "complete"
        assert not os.path.exists(os.path.join(self.data, ".session"))
        self.check_shared_memory()
        return info

    def check_shared_memory(self):
        mine = [name for name in set(os.listdir("/dev/shm")) - self.before
                if self.is_of(os.path.join("/dev/shm", name))]
        assert not mine, f"left in /dev/shm: {mine}"

    def is_of(self, folder):
        """Other recordings may run on this machine: is that session this one's?"""
        try:
            with open(os.path.join(self.data, ".session"), encoding="utf-8") as file:
                return file.read().strip() == folder
        except OSError:
            return False


# ---- what is recorded ----

def test_calls(tmp_path):
    info = Run(tmp_path, "loop 100000").check(100002)
    assert int(info["records"]) == 200004
    assert info["threads"] == info["processes"] == "1"
    assert info["status"] == "0"


def test_babeltrace(tmp_path):
    recorded = Run(tmp_path, "loop 1000")
    recorded.check(1002)
    shown = run(["babeltrace2", recorded.data], timeout=60)
    assert shown.status == 0, str(shown)
    lines = shown.stdout.decode().splitlines()
    assert len(lines) == 2004
    assert sum('"leaf"' in line for line in lines) == 2000


@pytest.mark.parametrize("args,calls,threads", [
    ("turn 300 10", 3601, 301), ("fork 50 100", 5051, 51), ("exec 5 10", 61, 1)])
def test_threads_and_processes(args, calls, threads, tmp_path):
    recorded = Run(tmp_path, args)
    info = recorded.check(calls)
    assert int(info["threads"]) == threads
    images = {"turn": 1, "fork": 51, "exec": 6}[args.split()[0]]
    assert len(recorded.traces()) == images
    assert int(info["processes"]) == (51 if "fork" in args else 1)


@pytest.mark.slow
def test_ten_thousand_threads(tmp_path):
    """In turn, they share two or three rings."""
    recorded = Run(tmp_path, "turn 10000 5", timeout=100)
    recorded.check(70001)
    assert len(glob.glob(recorded.data + "/*/stream-*")) <= 4


def test_names_are_those_of_the_image(tmp_path):
    """Each image of an exec chain, each child of fork, has names of its own."""
    for args in ("exec 3 5", "fork 3 5"):
        recorded = Run(tmp_path, args, data=args.split()[0])
        calls = Recording(recorded.data, None).report()
        assert calls["leaf"] == 15 and calls["work"] == 3, calls


@pytest.mark.parametrize("options,calls", [
    (["-F", "leaf"], 1000), (["-F", "l?af"], 1000), (["-F", "main,work"], 2),
    (["-F", "main", "-F", "work"], 2), (["-F", "/^l.a?f$/"], 1000), (["-F", "/^(main|work)$/"], 2),
    (["-N", "leaf"], 2), (["-N", "/ea/"], 2), (["-F", "*", "-N", "main"], 1001),
    (["-D", "1"], 1), (["-D", "2"], 2), (["-F", "no_such_function"], 0),
    (["--tracer", "function"], 1002), (["--tracer", "nop"], 0)])
def test_choice(options, calls, tmp_path):
    recorded = Run(tmp_path, "loop 1000", options)
    info = recorded.check(calls)
    per_call = 1 if "function" in options else 2
    assert int(info["records"]) == calls * per_call
    if "-D" in options:
        assert int(info["calls_dropped"]) == 1002 - calls
        assert "left out by depth or threshold" in recorded.stderr


def test_threshold(tmp_path):
    """main() and work() last long enough, and a leaf() during which another process ran; the rest is
    counted."""
    recorded = Run(tmp_path, "loop 200000", ["-t", "1ms"])
    calls = int(recorded.info()["calls"])
    assert 2 <= calls < 200
    assert int(recorded.check(calls)["calls_dropped"]) == 200002 - calls


def test_overwrite(tmp_path):
    """The newest records survive: the last packets of a small ring."""
    recorded = Run(tmp_path, "loop 2000000", ["--overwrite", "--buffer", "256K"])
    info = recorded.check(int(recorded.info()["calls"]))
    assert 4000 < int(info["records"]) < 4 * 8192
    shown = run(["babeltrace2", recorded.data], timeout=60)
    assert shown.status == 0 and b'"main"' in shown.stdout.splitlines()[-1], str(shown)


def test_max_size(tmp_path):
    recorded = Run(tmp_path, "loop 3000000", ["--max-size", "1M"])
    assert recorded.status == 0
    info = recorded.info()
    assert info["recorded"] == "interrupted"
    assert "1.0 MiB (--max-size)" in recorded.stderr and "dropped" in recorded.stderr
    size = sum(os.path.getsize(name) for name in glob.glob(recorded.data + "/*/stream-*"))
    assert (1 << 20) <= size < (1 << 20) + 65536 * 2
    assert int(info["discarded"]) > 0
    assert check_streams(recorded.data) == int(info["records"])
    calls = Recording(recorded.data, None).report()
    assert set(calls) <= {"main", "work", "leaf"}, calls


# ---- what is passed on ----

@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status(status, tmp_path):
    assert Run(tmp_path, f"exit {status}").status == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR1])
def test_killed_by_signal(number, tmp_path):
    recorded = Run(tmp_path, f"kill {int(number)}")
    assert recorded.status == 128 + number, str(recorded.result)
    assert recorded.info()["calls"] == "1"
    assert check_streams(recorded.data) == 1


def test_stdin(tmp_path):
    recorded = Run(tmp_path, "cat 0", stdin=b"some\nlines\0\xff")
    assert recorded.result.stdout == b"some\nlines\0\xff"


def start(folder, *args):
    with open(os.path.join(folder, "err"), "wb") as err:
        process = subprocess.Popen([FTRACE, "record", "-o", os.path.join(folder, "data"), "--",
                                    calls_program(), *args], stdout=subprocess.PIPE, stderr=err,
                                   start_new_session=True)
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_are_forwarded(number, tmp_path):
    """Not where they are ignored from the start (nohup, a shell's &): so stands this run, perhaps."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = start(str(tmp_path), "wait", "60000")
    finally:
        signal.signal(number, before)
    process.send_signal(number)
    assert process.stdout.read() == b"%d\n" % number
    assert process.wait(60) == 0


def test_interrupt_from_the_terminal(tmp_path):
    """^C goes to the whole process group; the recorder leaves it to the program, which counts it
    once, and passes its status on."""
    script = "import os, signal, sys, time; n = []; signal.signal(2, lambda *a: n.append(1)); " \
        "print('ready', flush=True); [time.sleep(0.05) for i in range(400) if not n]; time.sleep(0.3); " \
        "sys.exit(20 + len(n))"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(FTRACE, [FTRACE, "record", "-o", str(tmp_path / "data"), "--", "/usr/bin/python3",
                          "-c", script])
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert status == 21
    assert (tmp_path / "data/info").exists()


def test_orphans(tmp_path):
    """The recording ends with the command; who still runs is told."""
    recorded = Run(tmp_path, "orphan 100000")
    found = subprocess.run(["pgrep", "-f", f"^{calls_program()} orphan 100000"], check=False,
                           stdout=subprocess.PIPE)
    pids = [int(pid) for pid in found.stdout.split()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert len(pids) == 1, "it was waited for, or disturbed"
    recorded.check(1 + 1 + 5)
    assert "1 process still running" in recorded.stderr, recorded.stderr


def test_environment_and_descriptors(tmp_path):
    """The program sees what it sees anyway, but for the variables that are documented."""
    native = run(["env"]).stdout.decode().splitlines()
    traced = Run(tmp_path, ["env"]).result.stdout.decode().splitlines()
    names = {line.split("=")[0] for line in set(traced) - set(native)}
    assert names <= {"LD_PRELOAD", "FTRACE_SESSION", "ASAN_OPTIONS", "_"}
    assert set(native) - set(traced) <= {line for line in native if line.startswith("_=")}
    listing = ["sh", "-c", "ls -l /proc/self/fd | wc -l; ulimit -n; ulimit -f"]
    assert Run(tmp_path, listing, data="fds").result.stdout == run(listing).stdout


# ---- where it is recorded ----

def test_old_recording_is_kept(tmp_path):
    Run(tmp_path, "loop 10").check(12)
    Run(tmp_path, "loop 20").check(22)
    with open(tmp_path / "ftrace.data.old/info", encoding="utf-8") as file:
        assert "calls=12\n" in file.read()
    Run(tmp_path, "loop 30").check(32)
    with open(tmp_path / "ftrace.data.old/info", encoding="utf-8") as file:
        assert "calls=22\n" in file.read()


@pytest.mark.parametrize("what", ["file", "directory", "old"])
def test_what_is_not_ours_is_not_touched(what, tmp_path):
    target = tmp_path / ("ftrace.data.old" if what == "old" else "ftrace.data")
    if what == "old":
        Run(tmp_path, "loop 10").check(12)
    if what == "file":
        target.write_text("precious")
    else:
        target.mkdir()
        (target / "precious").write_text("precious")
    recorded = Run(tmp_path, "loop 20")
    assert recorded.status == 1 and "no recording" in recorded.stderr, str(recorded.result)
    file = target if what == "file" else target / "precious"
    assert file.read_text() == "precious"


def test_empty_directory_is_used(tmp_path):
    (tmp_path / "ftrace.data").mkdir()
    Run(tmp_path, "loop 10").check(12)


# ---- what it refuses ----

def static_program():
    return build(os.path.join(HERE, "calls.c"), "-O2", PATCHABLE, "-pthread", "-static",
                 name="calls-static")


@pytest.mark.parametrize("make,words", [
    (lambda folder: ["no-such-program"], "No such file"),
    (lambda folder: ["./no-such-program"], "No such file"),
    (lambda folder: ["/etc/passwd"], "Permission denied"),
    (lambda folder: ["/"], "not a file"),
    (lambda folder: [static_program(), "exit", "0"], "statically linked"),
    (lambda folder: [script(folder, "#!/no/such/interpreter\n")], "No such file"),
    (lambda folder: [script(folder, "#!\n")], "interpreter"),
    (lambda folder: [script(folder, "hello\n")], "neither a program nor a script"),
    (lambda folder: [foreign(folder, 4, 1)], "32-bit"),
    (lambda folder: [foreign(folder, 18, 243)], "another kind of processor"),
], ids=["not-in-path", "no-path", "not-executable", "directory", "static", "no-interpreter",
        "empty-interpreter", "text", "32-bit", "riscv"])
def test_refused_before_it_starts(make, words, tmp_path):
    recorded = Run(tmp_path, make(tmp_path))
    assert recorded.status == 1, str(recorded.result)
    assert recorded.stderr.startswith("ftrace: ") and words in recorded.stderr, recorded.stderr
    assert recorded.stderr.count("\n") == 1 and "; " in recorded.stderr
    assert not os.path.exists(recorded.data)


def script(folder, text):
    path = folder / "script"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def foreign(folder, offset, value):
    """calls with one byte of its ELF header changed: 4 is the class, 18 the machine."""
    path = folder / "foreign"
    data = bytearray(open(calls_program(), "rb").read())
    data[offset] = value
    path.write_bytes(data)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("options", [
    ["--no-such-option"], ["-D", "0"], ["-D", "x"], ["-t", "5x"], ["--max-size", "7q"],
    ["--buffer", "1K"], ["--tracer", "wakeup"], ["-F", ""], ["-F", "/(/"], ["-F", "/a{2}/"],
    ["-L", "/x/"]])
def test_bad_use(options, tmp_path):
    recorded = Run(tmp_path, "exit 0", options)
    assert recorded.status == 2, str(recorded.result)
    assert "record --help" in recorded.stderr
    assert not os.path.exists(recorded.data)


def test_no_command():
    need_ftrace()
    assert run([FTRACE, "record"]).status == 2
    shown = run([FTRACE, "record", "--help"])
    assert shown.status == 0 and b"--overwrite" in shown.stdout


def test_setuid(tmp_path):
    """A set-user-ID program of somebody else's: seen from an unprivileged user."""
    if os.geteuid():
        pytest.skip("needs root, to make a set-user-ID program")
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    program = str(folder / "calls")
    shutil.copy(calls_program(), program)
    os.chmod(program, 0o4755)
    for parent in folder.parents:
        if not os.stat(parent).st_mode & 0o001:
            os.chmod(parent, os.stat(parent).st_mode | 0o001)
    os.chmod(folder, 0o777)
    result = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", FTRACE, "record", "-o",
                  str(folder / "data"), program, "exit", "0"])
    assert result.status == 1 and b"set-user-ID" in result.stderr, str(result)


def test_not_built_for_tracing(tmp_path):
    """It is recorded all the same; where nothing is chosen, what to do is told."""
    program = build(os.path.join(HERE, "calls.c"), "-O2", "-pthread", name="calls-plain")
    recorded = Run(tmp_path, [program, "exit", "5"])
    assert recorded.status == 5
    assert int(recorded.info()["calls"]) >= 1, recorded.stderr
    recorded = Run(tmp_path, [program, "exit", "5"], ["-F", "no_such_function"], data="nothing")
    assert recorded.status == 5 and f"ftrace list {program}" in recorded.stderr, recorded.stderr


def test_script(tmp_path):
    """What a script starts is recorded. Its shell as well, but for functions that are not wanted."""
    path = script(tmp_path, f"#!/bin/sh\n{calls_program()} loop 100; exit 7\n")
    shell = os.path.basename(os.path.realpath("/bin/sh"))
    recorded = Run(tmp_path, [path], ["-N", shell + "+*"])
    assert recorded.status == 7
    assert recorded.info()["calls"] == "102"


# ---- what is told ----

def test_summary(tmp_path):
    recorded = Run(tmp_path, "fork 3 10")
    assert re.match(r"ftrace: 34 calls of 4 threads in 4 processes, [\d.]+ (bytes|KiB) in \S+$",
                    recorded.stderr.strip()), recorded.stderr


def test_info_is_for_readers(tmp_path):
    recorded = Run(tmp_path, "loop 10")
    info = recorded.info()
    for key in ("version", "command", "start_real_ns", "end_real_ns", "tick_hz", "end_ticks",
                "end_mono_ns", "machine", "status", "recorded", "records", "discarded"):
        assert info.get(key), key
    assert info["command"].endswith("calls loop 10")
    assert 10**7 < int(info["tick_hz"]) < 10**11
    shown = run([FTRACE, "report", "--json", "-i", recorded.data])
    assert shown.status == 0 and json.loads(shown.stdout)["calls"] == 12, str(shown)


def test_nobody_reads_the_summary(tmp_path):
    """A closed stderr costs the summary, and nothing else."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([FTRACE, "record", "-o", str(tmp_path / "data"), calls_program(), "exit",
                           "4"], stderr=write, check=False)
    os.close(write)
    assert done.returncode == 4
    assert check_streams(str(tmp_path / "data")) == 2
    assert not (tmp_path / "data/.session").exists()


@pytest.mark.parametrize("dlopened", [False, True])
def test_libraries(dlopened, tmp_path):
    """-L takes libraries, and those loaded later. The program itself adds its main()."""
    lib = build(os.path.join(HERE, "lib.c"), "-O2", "-fpic", "-shared", PATCHABLE, name="libcalls.so")
    if dlopened:
        program = build(os.path.join(HERE, "dlopen.c"), "-O2", deps=[lib])
        command = [program, lib, "3"]
    else:
        program = build(os.path.join(HERE, "uselib.c"), "-O2", lib,
                        "-Wl,-rpath," + os.path.dirname(lib), deps=[lib])
        command = [program]
    calls = 3 * 11 if dlopened else 11
    Run(tmp_path, command, ["-L", "libcalls*"], data="by-name").check(calls + 1)
    Run(tmp_path, command, ["-L", lib], data="by-path").check(calls + 1)
    Run(tmp_path, command, ["-L", "libcalls*", "-F", "lib_leaf"], data="glob").check(calls // 11 * 10)
    Run(tmp_path, command, ["-L", "libcalls*", "-F", "/^lib_w/", "--tracer", "function"],
        data="regex").check(calls // 11)
    assert Run(tmp_path, command, data="without").info()["calls"] == "1"

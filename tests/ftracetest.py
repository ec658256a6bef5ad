# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: compiling programs, running them, recording, reading recordings.

Nothing here asserts about one program; see the test files. Environment:

FTRACE_BUILD_DIR	the build tree (default: build/ of the source tree)
FTRACE_TEST_ARCH	what programs are compiled for (default: this machine's architecture); i386 on
			x86_64: as `make check` does once more for some of the files
FTRACE_TEST_NATIVE	1: record() runs the program without ftrace, so that the programs themselves can
			be checked (native against native); tests about recordings are skipped
"""
import array
import fcntl
import hashlib
import json
import operator
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(TESTS)
BUILD = os.path.abspath(os.environ.get("FTRACE_BUILD_DIR") or os.path.join(SOURCE, "build"))
FTRACE = os.path.join(BUILD, "ftrace")
WORK = os.path.join(BUILD, "tests-e2e")		# compiled programs, kept from run to run
NATIVE = os.environ.get("FTRACE_TEST_NATIVE") == "1"
PATCHABLE = "-fpatchable-function-entry=5"
ARCH = os.environ.get("FTRACE_TEST_ARCH") or os.uname().machine
COMPAT = ARCH != os.uname().machine	# programs, library and agent are the narrow ones
# Debian has the headers of both widths in one folder.
ARCH_FLAGS = {"i386": ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]}[ARCH] if COMPAT else []
ARCH_FOLDER = {"x86_64": "x86", "i386": "x86"}.get(ARCH, ARCH)

# What limits are multiplied by: they are there for what hangs, and a busy machine is several times slower.
PATIENCE = 3

# ---- running ----


class Result:
    """status: exit status, or minus the signal's number; None when the timeout killed it."""

    def __init__(self, command, status, stdout, stderr, seconds, files=None):
        self.command, self.status, self.stdout, self.stderr = command, status, stdout, stderr
        self.seconds, self.files = seconds, files or {}

    def __str__(self):
        def cut(text):
            text = text.decode(errors="replace")
            return text if len(text) < 6000 else text[:3000] + "\n[...]\n" + text[-3000:]
        how = "timed out" if self.status is None else f"status {self.status}"
        return (f"$ {shlex.join(map(str, self.command))}\n{how} after {self.seconds:.1f} s\n"
                f"--- stdout\n{cut(self.stdout)}\n--- stderr\n{cut(self.stderr)}")


class Child:
    """A program with pipes, that ends with the block it is used in."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def text(self):
        """The executable's code as it stands in memory."""
        exe = os.readlink(f"/proc/{self.pid}/exe")
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            ranges = [line.split()[0].split("-") for line in maps
                      if exe in line and " r-xp " in line]
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as mem:
            return b"".join(os.pread(mem.fileno(), int(hi, 16) - int(lo, 16), int(lo, 16))
                            for lo, hi in ranges)


def processes_of(leader):
    """Processes, but for those that have ended, of the session we started with start_new_session, also when its
    leader is gone and its children went to other process groups."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="latin-1") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            found.append(int(entry))
    return found


def kill_session(leader):
    """Ends every process of that session."""
    for pid in processes_of(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run(command, timeout=30, cwd=None, env=None, stdin=b"", limits=None):
    """Runs command to its end; env is added to ours (None removes a variable)."""
    environment = dict(os.environ)
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.PIPE, stdout=out,
                              stderr=err, start_new_session=True, preexec_fn=limits) as process:
            try:
                process.communicate(stdin, timeout=timeout * PATIENCE)
                status = process.returncode
            except subprocess.TimeoutExpired:
                status = None
                kill_session(process.pid)
                process.wait()
        out.seek(0)
        err.seek(0)
        return Result(command, status, out.read(), err.read(), time.monotonic() - began)


def run_in_new_folder(command, **options):
    """run() in an empty folder; the files it leaves there are in Result.files, name to contents."""
    with tempfile.TemporaryDirectory(prefix="ftrace-cwd-") as folder:
        result = run(command, cwd=folder, **options)
        for top, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(top, name)
                if os.path.isfile(path) and name != "core":
                    with open(path, "rb") as file:
                        result.files[os.path.relpath(path, folder)] = file.read()
        return result


# ---- compiling ----

def have(tool):
    return shutil.which(tool) is not None


def compile_once(command, sources, name):
    """Runs command + [-o, PATH] unless a former run did with the same sources; returns PATH.
    A failure raises subprocess.CalledProcessError with the compiler's words in .output."""
    key = hashlib.sha256("\0".join(command).encode())
    for source in sources:
        with open(source, "rb") as file:
            key.update(file.read())
    folder = os.path.join(WORK, "programs", key.hexdigest()[:20])
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            part = path + ".part"
            done = subprocess.run(command + ["-o", part], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                raise subprocess.CalledProcessError(done.returncode, command + ["-o", part],
                                                    output=done.stdout.decode(errors="replace"))
            os.rename(part, path)
    return path


def compiler_for(source, cc="gcc"):
    return {"gcc": "g++", "clang": "clang++"}[cc] if source.endswith((".cc", ".cpp")) else cc


def build(source, *flags, cc="gcc", name=None, deps=()):
    """Compiles a program of tests/programs (or an absolute path). deps: more files its result
    depends on (headers, libraries)."""
    if not os.path.isabs(source):
        source = os.path.join(TESTS, "programs", source)
    name = name or os.path.splitext(os.path.basename(source))[0]
    return compile_once([compiler_for(source, cc), *ARCH_FLAGS, "-g", source, *flags],
                        [source, *deps], name)


def compiles(cc, language, *flags):
    """True where the compiler takes these flags; otherwise its first line of complaint."""
    key = (cc, language, flags)
    if key not in compiles.known:
        done = subprocess.run([compiler_for("x.cc" if language == "c++" else "x.c", cc),
                               *ARCH_FLAGS, "-x", language, "-Werror", *flags, "-c", "-o", "/dev/null", "-"],
                              input=b"int f(void) { return 1; }\n", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        lines = done.stdout.decode(errors="replace").splitlines() or ["no message"]
        compiles.known[key] = True if done.returncode == 0 else lines[0]
    return compiles.known[key]


compiles.known = {}


def need_libcxx():
    """clang++ -stdlib=libc++ (libc++-14-dev, libc++abi-14-dev), for what programs are compiled for."""
    if not have("clang++"):
        pytest.skip("clang++ is not installed")
    if need_libcxx.missing is None:
        with tempfile.TemporaryDirectory(prefix="ftrace-libcxx-") as folder:
            done = subprocess.run(["clang++", *ARCH_FLAGS, "-stdlib=libc++", "-x", "c++", "-", "-o",
                                   os.path.join(folder, "program")], input=b"#include <string>\nint main() {}\n",
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        need_libcxx.missing = done.stdout.decode(errors="replace").splitlines()[:1] if done.returncode else []
    if need_libcxx.missing:
        pytest.skip("clang++ -stdlib=libc++: " + need_libcxx.missing[0])


need_libcxx.missing = None	# not asked yet

# ---- the library ----


def libftrace():
    """Path of the built libftrace.so."""
    for folder in ("compat",) if COMPAT else ("engine", "."):
        for name in ("libftrace.so", "libftrace.so.0"):
            path = os.path.join(BUILD, folder, name)
            if os.path.exists(path):
                return path
    pytest.fail(f"{BUILD}: no libftrace.so; build the tree first (make)")
    return None


def library_flags():
    """Flags to compile and link a program against the built library."""
    library = libftrace()
    return ["-I" + os.path.join(SOURCE, "include"),
            "-I" + os.path.join(SOURCE, "arch", ARCH_FOLDER, "include"),
            library, "-Wl,-rpath," + os.path.dirname(library)]


def need_library():
    if NATIVE:
        pytest.skip("FTRACE_TEST_NATIVE=1: nothing is traced")


def api_program(source, *flags, name=None):
    """Compiles a program of tests/programs that uses the library."""
    need_library()
    return build(source, "-O2", "-Wall", PATCHABLE, "-pthread", *flags, *library_flags(), name=name,
                 deps=[os.path.join(TESTS, "programs/t.h")])


def api_all():
    """What to preload to trace all of a program through the API (programs/api_all.c): the library
    itself first, so that its interposed functions come before libc's, as in a program linked with it."""
    need_library()
    preload = build("api_all.c", "-shared", "-fPIC", "-O2", *library_flags(), name="api_all.so")
    return libftrace() + ":" + preload


# ---- recording ----

class Recording:
    """A recording and what the recorded run printed."""

    def __init__(self, folder, result):
        self.folder, self.result = folder, result

    def traces(self):
        """The CTF traces in it, one a process image."""
        return sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder)
                      if os.path.isdir(os.path.join(self.folder, name)))

    def report(self):
        """Calls by function name, from `ftrace report --json`."""
        return report_calls(self.report_json())

    def report_json(self):
        shown = run([FTRACE, "report", "--json", "-i", self.folder], timeout=60)
        assert shown.status == 0, str(shown)
        return json.loads(shown.stdout)

    def babeltrace(self, timeout=120):
        """Number of events babeltrace2 reads; fails when it complains."""
        read = run(["babeltrace2", self.folder, "--component=sink.utils.counter",
                    "--params=hide-zero=no,step=+0"], timeout=timeout)
        assert read.status == 0, str(read)
        counts = re.findall(rb"(\d+) Event messages?\b", read.stdout)
        assert counts, str(read)
        return int(counts[-1])


def report_calls(data):
    """Function name to calls in the JSON of `ftrace report`, objects added up."""
    calls = {}
    for row in data["functions"]:
        calls[row["name"]] = calls.get(row["name"], 0) + row["calls"]
    return calls


PACKET = struct.Struct("=IIQQQQQQII")
PADDING = 4 << 2 | 3		# upper half of a record that is no event


def packets(path):
    """The packets of a stream file by include/ftrace/trace-format.h, checked: yields (tid, upper half
    of the time, lower halves, event and site words) of each."""
    position, sequence, end_before = 0, None, 0
    with open(path, "rb") as file:
        data = file.read()
    while position < len(data):
        where = f"{path}: byte {position}"
        assert len(data) - position >= PACKET.size, f"{where}: cut packet header"
        (magic, _, begin, end, content, size, _, number, tid, _) = PACKET.unpack_from(data, position)
        assert magic == 0xc1fc1fc1, f"{where}: magic {magic:#x}"
        assert content % 64 == 0 and PACKET.size * 8 <= content <= size, \
            f"{where}: content {content} of {size} bits"
        assert sequence is None or number == sequence + 1, f"{where}: packet {number}"
        assert end_before <= begin <= end, f"{where}: packet {number}: time goes back"
        words = array.array("I", data[position + PACKET.size:position + content // 8])
        low, high = words[::2], words[1::2]
        assert 0xffffffff not in high, f"{where}: packet {number}: unwritten slot"
        assert 0 not in high or not any(a == b == 0 for a, b in zip(low, high)), \
            f"{where}: packet {number}: unwritten slot"
        if PADDING in high:
            kept = [i for i, word in enumerate(high) if word != PADDING]
            low = array.array("I", [low[i] for i in kept])
            high = array.array("I", [high[i] for i in kept])
        assert all(map(operator.le, low, low[1:])), f"{where}: packet {number}: time goes back"
        if low:
            assert begin & 0xffffffff <= low[0] and low[-1] <= end & 0xffffffff \
                and begin >> 32 == end >> 32, f"{where}: packet {number}: a record outside its time"
        yield tid, begin & ~0xffffffff, low, high
        sequence, end_before = number, end
        position += size // 8


def packet_spans(path):
    """(thread, time of its first record, end) of each packet of a stream file that holds records."""
    position = 0
    with open(path, "rb") as file:
        data = file.read()
    while position < len(data):
        _, _, begin, end, content, size, _, _, tid, _ = PACKET.unpack_from(data, position)
        if content // 8 > PACKET.size:
            first, = struct.unpack_from("<I", data, position + PACKET.size)
            yield tid, begin & ~0xffffffff | first, end
        position += size // 8


def read_stream(path):
    """One stream file: its threads' ids, and (time, event, site) of every record."""
    tids, records = set(), []
    for tid, upper, low, high in packets(path):
        tids.add(tid)
        records += [(upper | a, b & 3, b >> 2) for a, b in zip(low, high)]
    return tids, records


def ctf_traces(folder):
    return [top for top, _, names in os.walk(folder) if "metadata" in names]


def check_streams(folder):
    """
    Checks every stream of a recording with packets(), and that a thread's packets, in whatever
    streams they are, follow each other; returns the number of events.
    """
    total = 0
    for trace in ctf_traces(folder):
        spans = {}
        for name in sorted(os.listdir(trace)):
            if not name.startswith("stream"):
                continue
            path = os.path.join(trace, name)
            total += sum(len(low) for _, _, low, _ in packets(path))
            for tid, begin, end in packet_spans(path):
                spans.setdefault(tid, []).append((begin, end))
        for tid, times in spans.items():
            times.sort()
            for (_, end), (begin, _) in zip(times, times[1:]):
                assert end <= begin, (trace, tid, end, begin)
    return total


def need_ftrace():
    if NATIVE:
        pytest.skip("FTRACE_TEST_NATIVE=1: nothing is recorded")
    if not os.path.exists(FTRACE):
        pytest.fail(f"{FTRACE}: not built; run make first")


def record_command(folder, command, options=()):
    if NATIVE:
        return list(command)
    need_ftrace()
    return [FTRACE, "record", "-o", folder, *options, "--", *command]


class Recorder:
    """record() and same(): see the fixture."""

    def __init__(self, folder):
        self.folder, self.count = str(folder), 0

    def __call__(self, command, options=(), **run_options):
        """Records command; returns a Recording. Status and output are not judged."""
        self.count += 1
        folder = os.path.join(self.folder, f"recording-{self.count}")
        result = run_in_new_folder(record_command(folder, command, options), **run_options)
        return Recording(folder, result)

    def same(self, command, options=(), native=None, traced_env=None, **run_options):
        """Runs command natively and recorded; output, status and files left must be the same.
        native: a Result to compare with instead. Returns the Recording."""
        if native is None:
            native = run_in_new_folder(command, **run_options)
        assert native.status is not None, f"native run: {native}"
        if traced_env:
            run_options["env"] = {**run_options.get("env", {}), **traced_env}
        recording = self(command, options, **run_options)
        compare_recorded(native, recording.result)
        return recording


def compare_recorded(native, traced):
    """As compare(), for a program that `ftrace record` ran: it ends with 128+N for signal N."""
    status = native.status
    if not NATIVE and status is not None and status < 0:
        status = 128 - status
    compare(Result(native.command, status, native.stdout, native.stderr, native.seconds,
                   native.files), traced)


def compare(native, traced):
    """Fails unless status, standard output and files left are the same."""
    assert traced.status == native.status, f"native status {native.status}\n{traced}"
    assert traced.stdout == native.stdout, f"native stdout:\n{native.stdout.decode()}\n{traced}"
    assert traced.files == native.files, \
        f"native files {sorted(native.files)}, traced {sorted(traced.files)}\n{traced}"

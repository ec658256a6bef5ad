# SPDX-License-Identifier: MIT
"""The agent in programs that were never recompiled: it depends on nothing it traces, asks for plans in
whatever state the program is, and leaves alone, with a reason, what it cannot trace."""
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

import ftracetest
from ftracetest import FTRACE, build, need_ftrace, run, run_in_new_folder
from unmodified import FORMS, library, need, own_stderr, same, tool

form = pytest.mark.parametrize("form", FORMS)
TRACED = {"graph": [], "entries": ["--tracer", "function"], "stack": ["--tracer", "stack"],
          "profile": ["--profile"]}


def plain(source, *flags, **more):
    return build(source, "-O2", "-pthread", *flags, deps=[os.path.join(ftracetest.TESTS, "programs/t.h")],
                 **more)


def plugin(name="plugin1.so", folder=None):
    path = build("plugin.c", "-O2", "-shared", "-fPIC", name=name)
    return shutil.copy(path, folder) if folder else path


def need_root():
    if os.geteuid():
        pytest.skip("needs root")


# ---- nothing that it traces is used by it ----

@pytest.mark.parametrize("how", TRACED)
def test_libc_itself(how, record):
    """Every function of libc traced, the memory and string functions among them."""
    recording = same(record, [plain("libc_calls.c", "-lm")], ["-L", "libc.so*", *TRACED[how]],
                     timeout=100, calls=0, stderr=how != "stack")
    if not ftracetest.NATIVE and how in ("graph", "entries"):
        calls = recording.report()
        assert calls.get("main") == 1 and any("memcpy" in name or "memmove" in name for name in calls), calls


@form
@pytest.mark.parametrize("malloc", ["libjemalloc.so.2", "libtcmalloc_minimal.so.4"])
def test_malloc_interposed(malloc, form, record):
    """malloc() is somebody else's, and traced."""
    env = {"LD_PRELOAD": library(malloc)}
    same(record, [plain("libc_calls.c", "-lm")], FORMS[form], env=env)
    same(record, [plain("exc_threads.cc")], FORMS[form], env=env)
    script = "import json, threading; print(len(json.dumps([list(range(i)) for i in range(300)])))"
    same(record, ["/usr/bin/python3", "-I", "-c", script], FORMS[form], env=env)


@form
@pytest.mark.limit(60)
def test_daemon(form, record, tmp_path):
    """The recorder ends with the command; the daemon goes on, its result is right."""
    program, result = plain("daemon.c"), tmp_path / "result"
    recorded = record([program, str(result)], FORMS[form], timeout=30).result
    assert recorded.status == 0, str(recorded)
    while not result.exists():
        time.sleep(0.05)
    assert result.read_text() == "5050 5051\n"


@form
@pytest.mark.parametrize("how", ["nothing", "uid", "chroot", "seccomp", "closed", "fork"])
def test_library_loaded_late(how, form, record, tmp_path):
    """A library comes when the process has another user or root, or forbids itself system calls."""
    if how in ("uid", "chroot"):
        need_root()
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    path = plugin(folder=folder)
    os.chmod(path, 0o755)
    if how == "uid":
        for parent in folder.parents:
            if not os.stat(parent).st_mode & 0o001:
                os.chmod(parent, os.stat(parent).st_mode | 0o001)
    options = ["-L", "plugin*", *FORMS[form]]
    recording = same(record, [plain("late.c"), how, str(path)], options)
    if ftracetest.NATIVE:
        return
    calls = recording.report()
    assert calls.get("work", 0) >= 2000, str(recording.result)
    if how in ("nothing", "closed", "fork"):
        assert calls.get("plugin_entry") == 1000, str(recording.result)
    else:
        assert "plugin_entry" not in calls
        assert re.search(rb"(?m)^ftrace: .*not traced", recording.result.stderr), str(recording.result)


# ---- the recorder is asked ----

def unique_program(folder, name="program"):
    """A program nobody has a plan of: its build-id is its own."""
    path = os.path.join(folder, name)
    note = os.path.join(folder, name + ".c")
    with open(note, "w", encoding="ascii") as file:
        file.write(f"int unique(void) {{ return {random.getrandbits(30)}; }}\n")
    done = run(["gcc", "-O2", "-g", "-pthread", "-o", path, note,
                os.path.join(ftracetest.TESTS, "programs/exact.c")])
    assert done.status == 0, str(done)
    return path


def test_same_program_many_times(record, tmp_path):
    """Fifty processes want one plan at the same time."""
    need_ftrace()
    program = unique_program(tmp_path)
    native = run([program])
    recording = record(["sh", "-c", f"for i in $(seq 50); do {program} & done; wait"], timeout=60)
    assert recording.result.stdout == native.stdout * 50, str(recording.result)
    assert recording.report()["main"] == 50, str(recording.result)


def test_rebuilt_while_recording(record, tmp_path):
    """The same path is another program later: another plan."""
    program = tmp_path / "x"
    source = "int NAME(int n) { __asm__ volatile(\\\"\\\"); return n; } int main(void) { return NAME(7) - NAME(7); }"
    script = "".join(f'echo "{source}" | sed s/NAME/{name}/g > x.c; gcc -O0 -o {program} x.c && {program}\n'
                     for name in ("first", "second", "third"))
    recording = record(["sh", "-ec", script + "rm x.c"], timeout=60)
    assert recording.result.status == 0, str(recording.result)
    if not ftracetest.NATIVE:
        calls = recording.report()
        assert [calls.get(n) for n in ("first", "second", "third")] == [2, 2, 2], str(recording.result)


@pytest.mark.limit(180)
def test_recorder_killed_while_it_plans(tmp_path):
    """kill -9 of the recorder at moments around the planning: the program runs to its end, soon."""
    need_ftrace()
    shown = {}
    rng = random.Random(7)
    for number in range(25):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = unique_program(folder)
        out = folder / "out"
        # The command is an orphan then; what it writes tells its end.
        command = f"{program} > {out}.part; echo $? >> {out}.part; mv {out}.part {out}"
        with subprocess.Popen([FTRACE, "record", "-o", str(folder / "data"), "-L", "*", "sh", "-c", command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True) as recorder:
            time.sleep(rng.uniform(0.001, 0.12))
            recorder.kill()
            recorder.wait()
        end = time.monotonic() + 8 * ftracetest.PATIENCE
        while not out.exists() and time.monotonic() < end and ftracetest.processes_of(recorder.pid):
            time.sleep(0.01)
        if not out.exists() and not (folder / "out.part").exists():
            continue			# killed before it was started
        assert out.exists(), f"run {number}: no end after the recorder's"
        shown[out.read_text()] = number
        run([FTRACE, "report", "-i", str(folder / "data")], timeout=30)
    assert len(shown) == 1, shown


def session_of(recorder):
    """The session directory of a recorder: its children have it in their environment."""
    for _ in range(500):
        for child in run(["pgrep", "-P", str(recorder.pid)]).stdout.split():
            try:
                with open(f"/proc/{int(child)}/environ", "rb") as file:
                    for entry in file.read().split(b"\0"):
                        if entry.startswith(b"FTRACE_SESSION="):
                            return entry.partition(b"=")[2].decode()
            except OSError:
                pass
        time.sleep(0.01)
    pytest.fail("no session")
    return None


@pytest.mark.parametrize("question", ["1 /nowhere/at/all", "notanumber /bin/true", "0 /bin/true",
                                      "999999999 /bin/true", "-1 /bin/true", "{pid} /etc/passwd",
                                      "{pid} " + "x" * 4000, "{pid} /proc/self/mem", "{pid} "])
def test_nonsense_questions(question, tmp_path):
    """A process in the session can ask for anything; the recorder answers or not, and goes on."""
    need_ftrace()
    with open(tmp_path / "err", "wb") as err, subprocess.Popen(
            [FTRACE, "record", "-o", str(tmp_path / "data"), "sh", "-c", "sleep 1; exit 6"],
            stdin=subprocess.DEVNULL, stderr=err, start_new_session=True) as recorder:
        session = session_of(recorder)
        for name in ("o1-2-3-4-5.ask", "oabc.ask", "o.ask", "o" + "1" * 150 + ".ask"):
            os.symlink(question.format(pid=recorder.pid), os.path.join(session, name))
        # The word "asks" counts up behind the fixed part: see struct ftrace_session.
        with open(os.path.join(session, "control"), "r+b") as control:
            control.seek(56)
            (asks,) = struct.unpack("=I", control.read(4))
            control.seek(56)
            control.write(struct.pack("=I", asks + 1))
        assert recorder.wait(20) == 6, (tmp_path / "err").read_text()
    assert not os.path.exists(session)


# ---- what is refused, and how ----

def refused(command, *words, status=1):
    """Nothing runs; one line says what, why and what to do."""
    need_ftrace()
    result = run_in_new_folder([FTRACE, "record", "--", *command])
    lines = [line for line in result.stderr.decode().splitlines() if line.startswith("ftrace: ")]
    assert result.status == status and not result.stdout, str(result)
    assert len(lines) == 1 and re.match(r"ftrace: .+: .+; .+", lines[0]), str(result)
    for word in words:
        assert word in lines[0], str(result)


def test_static_program():
    refused([plain("exact.c", "-static", name="exact-static")], "static")
    refused([plain("exact.c", "-static-pie", name="exact-static-pie")], "static")


def test_musl(tmp_path, record):
    """Linked with musl: refused; started by something else: left alone."""
    need("musl-gcc")
    source = tmp_path / "hello.c"
    source.write_text('#include <stdio.h>\nint main(void) { printf("hello\\n"); return 3; }\n')
    program = str(tmp_path / "hello")
    done = run(["musl-gcc", "-O2", "-o", program, str(source)])
    assert done.status == 0, str(done)
    refused([program], "musl")
    recording = record(["sh", "-c", f"{program}; echo $?"])
    assert recording.result.stdout == b"hello\n3\n" and not own_stderr(recording.result), \
        str(recording.result)
    assert b"musl" in recording.result.stderr, str(recording.result)


def test_tsan(record):
    """Its runtime keeps a call stack of its own: entries only, said, the program right."""
    program = plain("exact_threads.c", "-g", "-fsanitize=thread", name="exact_threads_tsan_plain")
    command = ["setarch", "-R", program]
    native = run(command, timeout=60)
    if native.status and b"FATAL: ThreadSanitizer" in native.stderr:
        pytest.skip(f"TSan does not run here: {native.stderr.decode().splitlines()[0]}")
    recording = record(command, timeout=110)
    assert (recording.result.status, recording.result.stdout) == (native.status, native.stdout), \
        str(recording.result)
    if not ftracetest.NATIVE:
        assert b"ThreadSanitizer keeps" in recording.result.stderr, str(recording.result)


@form
def test_asan(form, record):
    program = plain("exc_rethrow.cc", "-g", "-fsanitize=address", name="exc_rethrow_asan_plain")
    same(record, [program], FORMS[form])
    overflow = plain("overflow.c", "-g", "-fsanitize=address", name="overflow_asan_plain")
    native, traced = run([overflow]), record([overflow], FORMS[form], timeout=60).result
    assert native.status == traced.status, str(traced)
    assert b"heap-buffer-overflow" in traced.stderr and b"in overflow" in traced.stderr, str(traced)


def test_valgrind(record):
    need("valgrind")
    recording = record(["valgrind", "-q", "--error-exitcode=77", plain("exact.c")], timeout=110)
    native = run([plain("exact.c")])
    assert (recording.result.status, recording.result.stdout) == (native.status, native.stdout), \
        str(recording.result)
    assert b"valgrind" in recording.result.stderr, str(recording.result)


def test_stripped(record, tmp_path):
    """Without symbols of its own: the libraries it is linked with, libc left out."""
    library_path = build("plugin.c", "-O2", "-shared", "-fPIC", name="libplugin.so")
    source = tmp_path / "use.c"
    source.write_text("#include <stdio.h>\nlong plugin_entry(long); static int inner(void) { return 4; }\n"
                      "int main(void) { printf(\"%ld\\n\", plugin_entry(3)); return inner(); }\n")
    program = str(tmp_path / "use")
    done = run(["gcc", "-O2", "-s", "-o", program, str(source), library_path,
                "-Wl,-rpath," + os.path.dirname(library_path)])
    assert done.status == 0, str(done)
    recording = same(record, [program])
    if not ftracetest.NATIVE:
        calls = recording.report()
        assert calls.get("plugin_entry") == 1 and "printf" not in calls, calls
        assert "printf" in record([program], ["-L", "libc.so*"]).report()


# ---- damaged files ----

def damage(rng, data):
    """Some bytes changed, mostly where structures are: headers, section headers, symbols."""
    data = bytearray(data)
    (shoff,) = struct.unpack_from("<Q", data, 40)
    for _ in range(rng.randint(1, 12)):
        where = rng.choice((rng.randrange(64), rng.randrange(64, 1024), rng.randrange(len(data)),
                            min(shoff + rng.randrange(64 * 30), len(data) - 1)))
        data[where] = rng.choice((0, 0xff, 0x7f, 0x80, rng.randrange(256), data[where] ^ 1 << rng.randrange(8)))
    return bytes(data)


@pytest.mark.limit(240)
def test_damaged_programs(tmp_path):
    """Whatever a program file's bytes are: it runs as without us, or an error is told; nothing of ours
    crashes. What the kernel or loader does with it alone is the measure."""
    need_ftrace()
    with open(plain("exact.c"), "rb") as file:
        whole = file.read()
    rng = random.Random(20261122)
    program = tmp_path / "program"
    ran = 0
    for number in range(250):
        program.write_bytes(damage(rng, whole))
        program.chmod(0o755)
        try:
            native = run([str(program)], timeout=20)
        except OSError:
            native = None
        traced = run([FTRACE, "record", "-o", str(tmp_path / "data"), str(program)], timeout=30)
        assert traced.status is not None, f"{number}: {traced}"
        assert b"ftrace: " in traced.stderr or native is None, f"{number}: {traced}"
        if native is None or (traced.status == 1 and native.status != 1):
            assert traced.status == 1 and re.search(rb"(?m)^ftrace: .+", traced.stderr), f"{number}: {traced}"
        elif native.status is not None and native.status >= 0 and native.status < 126:
            assert (traced.status, traced.stdout) == (native.status, native.stdout), f"{number}: {native}\n{traced}"
            ran += 1
        listed = run([FTRACE, "list", "--refused", str(program)], timeout=20)
        assert listed.status in (0, 1), f"{number}: {listed}"
    assert ran > 30


@pytest.mark.limit(240)
def test_damaged_libraries(tmp_path):
    """The same for a library that the program loads: only its symbols and unwind tables are damaged, so
    that it works."""
    need_ftrace()
    path = tmp_path / "libplugin.so"
    built = build("plugin.c", "-O2", "-shared", "-fPIC", name="plugin1.so")
    command = [plain("late.c"), "nothing", str(path)]
    rng = random.Random(5)
    with open(built, "rb") as file:
        whole = file.read()
    shoff, shentsize, shnum, shstrndx = (*struct.unpack_from("<Q", whole, 40), *struct.unpack_from("<HHH", whole, 58))
    sections = [struct.unpack_from("<IIQQQQIIQQ", whole, shoff + i * shentsize) for i in range(shnum)]
    names = sections[shstrndx]
    spots = []
    for s in sections:
        name = whole[names[4] + s[0]:].split(b"\0")[0]
        if name in (b".symtab", b".strtab", b".debug_info", b".debug_line", b".eh_frame_hdr", b".eh_frame",
                    b".shstrtab", b".note.gnu.build-id", b".gnu_debuglink"):
            spots += range(s[4], s[4] + s[5])
    spots += range(shoff, shoff + shnum * shentsize)
    native = None
    for number in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 40)):
            where = rng.choice(spots)
            data[where] = rng.choice((0, 0xff, rng.randrange(256), data[where] ^ 1 << rng.randrange(8)))
        path.write_bytes(data)
        native = run(command, timeout=20)
        traced = run([FTRACE, "record", "-o", str(tmp_path / "data"), "-L", "libplugin*", *command], timeout=30)
        assert (traced.status, traced.stdout) == (native.status, native.stdout), f"{number}: {native}\n{traced}"


# ---- virtual machines, which look at stacks themselves ----

# What the worker has to say comes with its one message: of two ways to the main thread (a message, and its
# standard output) now one is first, now the other.
NODE = """
const {Worker, isMainThread, parentPort} = require('worker_threads'), crypto = require('crypto');
function caught() { try { null.x } catch (e) { return e.message } }
if (isMainThread) {
  const w = new Worker(__filename);
  w.on('message', m => console.log(m));
  w.on('exit', code => {
    console.log('exit', code, crypto.createHash('sha256').update('x').digest('hex'));
    process.exitCode = 4;
  });
  console.log(caught());
} else {
  let all = [];
  for (let i = 0; i < 1e6; i++) { all.push({i}); if (all.length > 1e4) all = []; }
  parentPort.postMessage([all.length, caught()]);
}
"""
JAVA = """
public class Threads {
    public static void main(String[] a) throws Exception {
        Thread[] t = new Thread[3];
        for (int k = 0; k < 3; k++) {
            t[k] = new Thread(() -> {
                StringBuilder b = new StringBuilder();
                for (int i = 0; i < 200000; i++) { b.append(i % 10); if (i % 1000 == 0) b.setLength(0); }
            });
            t[k].start();
        }
        for (Thread x : t) x.join();
        System.gc();
        try { Object o = null; o.toString(); } catch (NullPointerException e) { System.out.println("caught"); }
        System.exit(3);
    }
}
"""


@form
@pytest.mark.parametrize("machine", ["node", "java"])
def test_virtual_machine(machine, form, record, tmp_path):
    need(*{"node": ["node"], "java": ["java", "javac"]}[machine])
    if machine == "node":
        (tmp_path / "n.js").write_text(NODE)
        command = [tool("node"), str(tmp_path / "n.js")]
    else:
        (tmp_path / "Threads.java").write_text(JAVA)
        done = run(["javac", "-d", str(tmp_path), str(tmp_path / "Threads.java")], timeout=60)
        assert done.status == 0, str(done)
        command = [tool("java"), "-cp", str(tmp_path), "Threads"]
    same(record, command, FORMS[form])

# SPDX-License-Identifier: MIT
"""What a machine or a program may refuse: the program always does what it does without us; either it is
recorded, or one clear line says why not."""
import os
import re
import resource
import shlex
import stat
import tempfile

import pytest

import ftracetest
from ftracetest import (FTRACE, PATCHABLE, Recording, build, compare_recorded, need_ftrace,
                        record_command, run, run_in_new_folder)

O2 = ["-O2", PATCHABLE, "-pthread"]


def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root: to mount, or to become another user")


def unshared(script):
    """A command that runs a shell script in its own mount namespace."""
    need_root()
    probe = run(["unshare", "-m", "true"])
    if probe.status:
        pytest.skip(f"no mount namespace here: {probe.stderr.decode().strip()}")
    return ["unshare", "-m", "--propagation", "private", "sh", "-ec", script]


def limited(*limits):
    def apply():
        for which, value in limits:
            resource.setrlimit(which, (value, value))
    return apply


def plugin():
    return build("plugin.c", "-shared", "-fPIC", "-O2", PATCHABLE, name="plugin1.so")


def fault(*arguments):
    return [build("fault.c", *O2, "-ldl"), *arguments]


def clear_message(result):
    """The error form of the command: what, why, what to do."""
    lines = [line for line in result.stderr.decode(errors="replace").splitlines()
             if line.startswith(("ftrace:", "libftrace:"))]
    assert lines, f"no message of ours\n{result}"
    return lines


# ---- the program takes something away from itself ----

@pytest.mark.parametrize("tracer", ["function_graph", "function"])
@pytest.mark.parametrize("what", ["nothing", "mlockall", "undumpable", "mdwe", "mdwe-exec",
                                  "rlimit-as"])
def test_program_limits_itself(what, tracer, record):
    if what == "mlockall":
        need_root()
    command = fault(what, plugin())
    probe = run(command)
    if what.startswith("mdwe") and probe.status == 99:
        pytest.skip("this kernel has no PR_SET_MDWE")
    recording = record.same(command, ["--tracer", tracer, "-L", "plugin*"], timeout=60)
    if not ftracetest.NATIVE:
        assert recording.report().get("work", 0) >= 600000, str(recording.result)


@pytest.mark.parametrize("what", ["rlimit-nofile", "chroot"])
def test_program_limits_itself_no_library(what, record):
    """No library can be loaded after these, with or without us."""
    if what == "chroot":
        need_root()
    recording = record.same(fault(what), timeout=60)
    if not ftracetest.NATIVE:
        assert recording.report().get("work", 0) >= 600000, str(recording.result)


def as_nobody(command):
    need_root()
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *command]


@pytest.mark.parametrize("what", ["nothing", "undumpable", "mdwe"])
def test_unprivileged(what):
    """As a user without any right: /proc/self/mem of an undumpable program is root's."""
    need_ftrace()
    native = run(as_nobody(fault(what, plugin())))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        data = os.path.join(folder, "data")
        traced = run(as_nobody(record_command(data, fault(what, plugin()))), timeout=60, cwd=folder)
        compare_recorded(native, traced)
        assert Recording(data, traced).report().get("work", 0) >= 600000, str(traced)


# ---- the machine refuses ----

@pytest.mark.parametrize("limits", [
    [("RLIMIT_AS", 300 << 20)], [("RLIMIT_AS", 100 << 20)], [("RLIMIT_NOFILE", 24)],
    [("RLIMIT_NOFILE", 8)], [("RLIMIT_FSIZE", 100 << 10)], [("RLIMIT_DATA", 64 << 20)],
    [("RLIMIT_STACK", 512 << 10)], [("RLIMIT_STACK", resource.RLIM_INFINITY)],
    [("RLIMIT_MEMLOCK", 0)], [("RLIMIT_SIGPENDING", 0)],
], ids=lambda limits: ",".join(f"{name[7:].lower()}={value}" for name, value in limits))
def test_ulimit(limits, record):
    """Limits that both the recorder and the program inherit: the program's result never changes,
    and a recording that is not there, or not whole, is said to be so."""
    apply = limited(*[(getattr(resource, name), value) for name, value in limits])
    recording = record.same(fault("nothing"), timeout=60, limits=apply)
    if ftracetest.NATIVE:
        return
    try:
        calls = recording.report().get("work", 0)
    except (AssertionError, FileNotFoundError):
        calls = 0
    if calls < 600000:
        clear_message(recording.result)


@pytest.mark.parametrize("flags", [["-R"], ["-L"], ["-R", "-L"]], ids="".join)
def test_address_layout(flags, record):
    """No randomisation; the old layout, mappings upwards from a third of the address space."""
    recording = record.same(["setarch", *flags, *fault("nothing", plugin())], timeout=60)
    if not ftracetest.NATIVE:
        assert recording.report().get("work", 0) >= 600000, str(recording.result)


def in_namespace(prepare, command, timeout=60, data="/mnt/data"):
    """Runs a recording after `prepare` in a mount namespace with an empty /mnt; the report is made in
    there too, as what is mounted there goes away with it."""
    script = (f"mount -t tmpfs -o size=64m,mode=1777 tmpfs /mnt; cd /mnt\n{prepare}\nset +e\n"
              f"{shlex.join(record_command(data, command))}\nstatus=$?\n"
              + ("" if ftracetest.NATIVE else
                 f"{FTRACE} report --json -i {data} >&2; [ -d {data} ] && babeltrace2 {data} "
                 ">/dev/null || echo babeltrace2 failed >&2\n") + "exit $status")
    return run(unshared(script), timeout=timeout)


def test_full_disk(record):
    """2 MiB where 20 are needed: recording stops, the program runs on, the loss is told."""
    command = [build("exact_threads.c", *O2)]
    native = run(command)
    traced = in_namespace("mkdir /mnt/small; mount -t tmpfs -o size=2m tmpfs /mnt/small", command,
                          data="/mnt/small/data")
    compare_recorded(native, traced)
    if not ftracetest.NATIVE:
        assert re.search(rb"(No space|disk|full)", traced.stderr), str(traced)
        assert b"babeltrace2 failed" not in traced.stderr, str(traced)


@pytest.mark.parametrize("size", ["1m", "6m"])
def test_full_shared_memory(size):
    """/dev/shm too small for a ring, or for the second thread's: never a SIGBUS."""
    command = [build("exact_threads.c", *O2)]
    native = run(command)
    traced = in_namespace(f"mount -t tmpfs -o size={size} tmpfs /dev/shm", command)
    compare_recorded(native, traced)


@pytest.mark.parametrize("prepare", [
    "mount -t tmpfs -o ro tmpfs /dev/shm", "mount --bind /proc /proc; mount -o remount,ro,bind /proc",
    "mount -t tmpfs -o size=1m tmpfs /proc", "mount --bind /dev/null /proc/self/mem || true",
], ids=["ro-shm", "ro-proc", "no-proc", "no-mem"])
def test_mounts(prepare):
    """Read-only or missing file systems: the program's result stays the same; whatever was not
    recorded is said to be so."""
    command = fault("nothing")
    native = run(command)
    traced = in_namespace(prepare, command)
    if traced.status != native.status:	# refused before the program started
        assert traced.status == 1 and not traced.stdout, str(traced)
    else:
        compare_recorded(native, traced)
    if not ftracetest.NATIVE and b'"work"' not in traced.stderr:
        clear_message(traced)


def test_no_write_permission(tmp_path):
    """Nowhere to write: an error before the program starts."""
    need_ftrace()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        result = run(as_nobody(record_command(os.path.join(folder, "data"), ["/bin/echo", "ran"])))
    assert result.status == 1 and b"ran" not in result.stdout, str(result)
    assert re.match(r"ftrace: .+: .+; .+", clear_message(result)[0]), str(result)


# ---- other runtimes ----

def test_asan(record):
    flags = ["-O1", "-g", PATCHABLE, "-pthread", "-fsanitize=address"]
    command = [build("exc_rethrow.cc", *flags, name="exc_rethrow_asan")]
    recording = record.same(command, timeout=90)
    if not ftracetest.NATIVE:
        assert recording.report().get("main") == 1, str(recording.result)
    overflow = build("overflow.c", *flags, name="overflow_asan")
    native, traced = run([overflow]), record([overflow], timeout=60).result
    assert native.status == traced.status, str(traced)
    assert b"heap-buffer-overflow" in traced.stderr and b"in overflow" in traced.stderr, str(traced)


def test_ubsan(record):
    record.same([build("returns.c", "-O1", PATCHABLE, "-fsanitize=undefined", name="returns_ubsan")])


def test_tsan(record):
    """TSan cannot bear moved return addresses: recognised, said, and the program right."""
    program = build("exact_threads.c", "-O1", "-g", PATCHABLE, "-pthread", "-fsanitize=thread",
                    name="exact_threads_tsan")
    # Its shadow has no room for every place a kernel with much randomness puts a program at.
    command = ["setarch", "-R", program]
    native = run(command, timeout=60)
    if native.status and b"FATAL: ThreadSanitizer" in native.stderr:
        pytest.skip(f"TSan does not run here: {native.stderr.decode().splitlines()[0]}")
    recording = record(command, timeout=110)
    compare_recorded(native, recording.result)
    assert b"WARNING: ThreadSanitizer" not in recording.result.stderr, str(recording.result)
    if not ftracetest.NATIVE:
        assert re.search(r"(?i)tsan|threadsanitizer|sanitizer",
                         "\n".join(clear_message(recording.result))), str(recording.result)


def test_valgrind(record):
    if not ftracetest.have("valgrind"):
        pytest.skip("valgrind is not installed")
    program = build("exact.c", *O2, name="exact")
    native = run([program])
    recording = record(["valgrind", "-q", "--error-exitcode=77", program], timeout=110)
    assert recording.result.status == native.status, str(recording.result)
    assert recording.result.stdout == native.stdout, str(recording.result)
    if not ftracetest.NATIVE:
        assert "valgrind" in "\n".join(clear_message(recording.result)).lower(), str(recording.result)


# ---- core dumps ----

def core_size(command, timeout=60):
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        pattern = file.read().strip()
    if pattern.startswith("|") or "/" in pattern:
        pytest.skip(f"core files go elsewhere here: {pattern}")
    limit = limited((resource.RLIMIT_CORE, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as folder:
        result = run(command, cwd=folder, limits=limit, timeout=timeout)
        cores = [name for name in os.listdir(folder) if name.startswith("core")]
        assert len(cores) == 1, (cores, result)
        status = os.stat(os.path.join(folder, cores[0]))
        assert stat.S_ISREG(status.st_mode)
        return status.st_size, result


def test_core_size(tmp_path):
    """No larger than without tracing but for the touched part of the shadow of live stacks, and the
    library itself with its tables: 3 MiB."""
    program = build("exit_deep.c", *O2)
    for arguments in (["abort"], ["abort", "waits"]):
        native, _ = core_size([program, *arguments])
        traced, result = core_size(record_command(str(tmp_path / f"data{len(arguments)}"),
                                                  [program, *arguments]))
        assert traced < native + (3 << 20), (native, traced, str(result))

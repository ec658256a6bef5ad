# SPDX-License-Identifier: MIT
"""The programs whose control flow is hard on a tracer (tests/test_programs.py) on s390x and s390: each
behaves the same when it is traced, by callbacks through the API and by the recorder.

64-bit ones through the API in qemu's user mode; the rest in a virtual machine, in one go."""
import os
import re
import struct
import subprocess

import pytest

import cross
import ftracetest
import test_programs
from cross import QEMU, WIDTHS

LEFT_OUT = {
    "returns_avx": "x86's", "returns_avx512": "x86's", "openmp": "no libgomp in the machine",
    "ctor_thread": "its library is built for this machine",
    "unwinder_goes": "its library is built for this machine",
    **{name: "its filter lists x86's system calls" for name in test_programs.PROGRAMS if "seccomp" in name},
}
# Emulation is slow: one of several that are alike on a machine with one processor.
ALIKE = {"exit_exit", "exit_quick_exit", "exit_term", "exit_thread_main_gone", "ifunc_now",
         "longjmp_fortify", "coroutine_threads", "sigalrm_main", "exc_middle_static_libstdcxx"}
# What qemu's user mode does not let a program do, traced or not.
NOT_IN_USER_MODE = {"raw_fork", "cancel", "deep_stack", "dlthreads", "threads10k", "exit_segv", "exit_kill"}
NAMES = [name for name in test_programs.PROGRAMS if name not in LEFT_OUT]
IN_MACHINE = [name for name in NAMES if name not in ALIKE and not name.endswith("_O0")]
LONG = {"fork_threads", "threads10k", "sigalrm_jump"}	# through the API, emulated, once is enough
MODES = ["all", "minimal"]
PLUGINS = ("dlcycle", "dlthreads")
PROGRAM = os.path.join(cross.TESTS, "programs")


def flags(name):
    return [flag for flag in test_programs.PROGRAMS[name][1] if flag != ftracetest.PATCHABLE and
            not flag.startswith("-O")] + [flag for flag in test_programs.PROGRAMS[name][1] if flag == "-O0"]


def program(name, width):
    source = os.path.join(PROGRAM, test_programs.PROGRAMS[name][0])
    return cross.compiled(source, width, "-w", *flags(name), "-lm", "-ldl", name="corpus-" + name)


def plugins(width):
    return [cross.compiled(os.path.join(PROGRAM, "plugin.c"), width, "-shared", "-fPIC", f"-DPLUGIN_STEP={step}",
                           name=f"plugin{step}") for step in (1, 7)]


def api_all(width):
    return cross.compiled(os.path.join(PROGRAM, "api_all.c"), width, "-shared", "-fPIC", *cross.INCLUDES,
                          os.path.join(cross.CROSS, cross.LIBRARY[width]), name="api_all", form=[])


def arguments(name, width):
    given = test_programs.PROGRAMS[name][2]
    return plugins(width) if name in PLUGINS else given


# ---- qemu's user mode ----

natives = {}


def in_user_mode(command, tmp_path, *environment):
    emulated = [*QEMU, *(word for setting in environment for word in ("-E", setting)), *command]
    done = subprocess.run(emulated, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
                          timeout=100, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_IN_USER_MODE])
def test_through_library(tree, name, mode, tmp_path):
    command = [program(name, "64"), *arguments(name, "64")]
    if name not in natives:
        natives[name] = in_user_mode(command, tmp_path)[:2]
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(16))
    *traced, stderr = in_user_mode(
        command, tmp_path, f"LD_PRELOAD={tree}/{cross.LIBRARY['64']}:{api_all('64')}",
        f"FTRACE_TEST_API={mode}", f"FTRACE_TEST_COUNTER={counter}")
    assert tuple(traced) == natives[name], stderr.decode(errors="replace")[-2000:]
    entries, returns = struct.unpack(">QQ", counter.read_bytes())
    assert entries > 0
    if mode in ("all", "graph") and name not in ("exc_terminate", "exc_noexcept"):
        assert returns > 0


# ---- the virtual machine ----

def add(m, ask):
    for width in WIDTHS:
        m.add(f"p/api{width}.so", api_all(width))
        for path in plugins(width):
            m.add("p/" + os.path.basename(path), path)
        preload = f"LD_PRELOAD=/b/{cross.LIBRARY[width]}:/p/api{width}.so"
        for name in IN_MACHINE:
            m.add(f"p/{name}{width}", program(name, width))
            words = [f"/p/{name}{width}", *("/p/" + os.path.basename(argument) if name in PLUGINS else argument
                                            for argument in arguments(name, width))]
            command = " ".join(words)
            library = "-L plugin* " if name in PLUGINS else ""
            ask[width, name, "plain"] = m.command(command)
            ask[width, name, "record"] = m.command(
                f"/b/cmd/ftrace record --max-size 16M {library}-o /tmp/data -- {command}", 180)
            m.command("remove /tmp/data")
            if width == "31" and name not in LONG:
                ask[width, name, "all"] = m.command(f"{preload} FTRACE_TEST_API=all {command}", 180)


def lines(text):
    """What the program has said: without what we have, and how much memory it has (threads10k)."""
    return [line for line in text.strip().splitlines()
            if not line.startswith(("ftrace: ", "libftrace: ")) and not re.match(r"lines \d+ ->", line)]


@pytest.mark.parametrize("name", IN_MACHINE)
@pytest.mark.parametrize("width", WIDTHS)
def test_recorded(second_machine, width, name):
    plain, status = second_machine(width, name, "plain")
    assert os.waitstatus_to_exitcode(status) != 99 and status != -1, plain
    recorded, recorded_status = second_machine(width, name, "record")
    died = os.WIFSIGNALED(status)	# the recorder's own status tells of it
    expected = 128 + os.WTERMSIG(status) if died else os.waitstatus_to_exitcode(status)
    assert os.waitstatus_to_exitcode(recorded_status) == expected, recorded
    assert lines(recorded) == lines(plain), recorded
    assert re.search(r"(?m)^ftrace: [1-9][\d,]* calls", recorded), recorded


@pytest.mark.parametrize("name", [name for name in IN_MACHINE if name not in LONG])
def test_through_library_31(second_machine, name):
    plain, status = second_machine("31", name, "plain")
    traced, traced_status = second_machine("31", name, "all")
    assert traced_status == status, traced
    assert lines(traced) == lines(plain), traced

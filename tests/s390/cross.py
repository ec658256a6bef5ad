# SPDX-License-Identifier: MIT
"""What the tests of s390x and s390 share: the tree compiled for both, programs, qemu's user mode."""
import os
import shutil
import subprocess

import pytest

import vm

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
SOURCE = os.path.dirname(TESTS)
BUILD = os.environ.get("FTRACE_BUILD_DIR", os.path.join(SOURCE, "build"))
CROSS = os.path.join(BUILD, "s390x")
QEMU = ["qemu-s390x", "-L", vm.SYSROOT]
WIDTHS = {"64": [], "31": ["-m31", f"-Wl,-rpath-link,{vm.SYSROOT}/lib32"]}
PATCHABLE = ["-fpatchable-function-entry=3"]
LIBRARY = {"64": "engine/libftrace.so.0", "31": "compat/libftrace.so.0"}
INCLUDES = [f"-I{SOURCE}/{folder}" for folder in ("include", "arch/s390/include")]
# What the machine needs to record and to run the self test.
COMMAND = ["agent/libftrace-agent.so", "compat/libftrace-agent.so", "engine/libftrace.so.0",
           "compat/libftrace.so.0", "compat/ftrace-selftest", "compat/ftrace-selftest-plugin.so",
           "tracers/selftest/ftrace-selftest", "tracers/selftest/ftrace-selftest-plugin.so"]


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **more)


def make_tree():
    """The library and the command, compiled for s390x and for 31 bits."""
    for tool in ("s390x-linux-gnu-gcc", "s390x-linux-gnu-g++", "qemu-s390x"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}: tools/install-deps.sh test knows the packages")
    if not os.path.exists(os.path.join(CROSS, "build.ninja")):
        done = run("meson", "setup", "--cross-file", os.path.join(SOURCE, "tools/cross/s390x.ini"),
                   "-Dtests=false", CROSS, SOURCE)
        assert done.returncode == 0, done.stdout
    done = run("ninja", "-C", CROSS)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "warning:" not in done.stdout
    return CROSS


def compiled(sources, width, *flags, name=None, form=PATCHABLE, compiler=None):
    """Compiles a program: names of files here, or paths. An error fails the test."""
    sources = [os.path.join(HERE, source) for source in sources.split()]
    name = name or os.path.basename(sources[0]).split(".")[0]
    out = os.path.join(CROSS, f"{name}-{width}" + (".so" if "-shared" in flags else ""))
    compiler = compiler or ["s390x-linux-gnu-g++" if sources[0].endswith(".cc") else "s390x-linux-gnu-gcc"]
    done = run(*compiler, "-O2", *form, *WIDTHS[width], *sources, "-o", out, *flags, "-pthread")
    assert done.returncode == 0, done.stdout
    return out


def machine(name):
    """An empty virtual machine with the command in it, and the kernel for it."""
    folder = os.path.join(CROSS, "kernel")
    os.makedirs(folder, exist_ok=True)
    try:
        image = vm.kernel(os.path.abspath(folder))
        m = vm.Machine(os.path.join(CROSS, name))
    except vm.Unavailable as why:
        pytest.skip(str(why))
    m.add("b/cmd/ftrace", os.path.join(CROSS, "cmd/ftrace"))
    for path in COMMAND:
        m.add("b/" + path, os.path.join(CROSS, path))
    for folder, _, names in os.walk(os.path.join(CROSS, "preload")):
        for file in names:
            if file.endswith((".so", ".so.0")):
                path = os.path.join(folder, file)
                m.add("b/" + os.path.relpath(path, CROSS), path)
    return m, image


class Results:
    """What the machine's commands printed and their wait status, by the name they were given."""

    def __init__(self, results, numbers):
        self.results, self.numbers = results, numbers

    def __call__(self, *key):
        return self.results.get(self.numbers[key], ("it did not come so far", -1))

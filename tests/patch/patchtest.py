# SPDX-License-Identifier: MIT
"""What the tests of ftrace patch share: the program that is patched, patches, the command."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = [os.path.join(ft.SOURCE, "include/ftrace", name) for name in
           ("patch.h", "patch-records.h", "livepatch.h")]
INCLUDE = ["-I" + os.path.join(ft.SOURCE, "include"),
           "-I" + os.path.join(ft.SOURCE, "arch", ft.ARCH_FOLDER, "include")]
NARROW = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]
FORMS = {"plain": [], "compiled": [ft.PATCHABLE]}
OLD, NEW = 1049, -1091


def skip_elsewhere():
    """For whole files of tests."""
    if ft.NATIVE:
        pytest.skip("FTRACE_TEST_NATIVE=1: nothing is patched", allow_module_level=True)
    if os.uname().machine != "x86_64":
        pytest.skip("attaching is made for x86_64 only", allow_module_level=True)


def build_server(*flags, name="server"):
    return ft.build(os.path.join(HERE, "server.c"), os.path.join(HERE, "twin.c"), "-O2", "-pthread",
                    *flags, name=name, deps=[os.path.join(HERE, "twin.c")])


def is_narrow(program):
    with open(program, "rb") as file:
        return file.read(5)[4] == 1		# ELFCLASS32


def patch(*names, cc="gcc", folder=None, stamp=None, file="fix.c", flags=()):
    """The shared object of these FIX_*; a copy in @folder, stamped for the program @stamp and as wide as that."""
    if stamp and is_narrow(stamp):
        flags = [*NARROW, *flags]
    path = ft.build(os.path.join(HERE, file), "-shared", "-fPIC", "-O2", "-Wall", "-Werror", *INCLUDE, *flags,
                    *["-DFIX_" + name for name in names], cc=cc, name="fix.so", deps=HEADERS)
    if folder:
        copy = os.path.join(folder, "-".join(names).lower() + ".so")
        shutil.copy(path, copy)
        path = copy
    if stamp:
        ftrace("stamp", path, stamp)
    return path


def ftrace(*args, status=0, **options):
    done = ft.run([ft.FTRACE, "patch", *map(str, args)], **options)
    assert done.status == status, str(done)
    return done.stdout.decode() + done.stderr.decode()


class Server(ft.Child):
    def __init__(self, path, **options):
        super().__init__([path], text=True, **options)
        assert self.say("?") == "what?"

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self):
        return dict(zip(("answer", "twin", "twin2", "count", "count2"),
                        (int(word.split("=")[1]) for word in self.say("ask").split())))

    def answer(self):
        return self.ask()["answer"]

    def check_end(self):
        out, err = self.process.communicate(timeout=20 * ft.PATIENCE)
        assert (self.process.returncode, out, err) == (0, "", "")

# SPDX-License-Identifier: MIT
"""ftrace patch: functions of running programs are replaced and put back."""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import ftracetest as ft  # noqa: E402

if ft.NATIVE:
    pytest.skip("FTRACE_TEST_NATIVE=1: nothing is patched", allow_module_level=True)
if os.uname().machine != "x86_64":
    pytest.skip("attaching is made for x86_64 only", allow_module_level=True)

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = [os.path.join(ft.SOURCE, "include/ftrace", name) for name in
           ("patch.h", "patch-records.h", "livepatch.h")]
INCLUDE = ["-I" + os.path.join(ft.SOURCE, "include"),
           "-I" + os.path.join(ft.SOURCE, "arch", ft.ARCH_FOLDER, "include")]
FORMS = {"plain": [], "compiled": [ft.PATCHABLE]}


def build_server(*flags, name="server"):
    return ft.build(os.path.join(HERE, "server.c"), os.path.join(HERE, "twin.c"), "-O2", "-pthread",
                    *flags, name=name, deps=[os.path.join(HERE, "twin.c")])


@pytest.fixture(scope="session", name="servers")
def _servers():
    return {form: build_server(*flags) for form, flags in FORMS.items()}


@pytest.fixture(name="server", params=list(FORMS))
def _server(request, servers):
    return servers[request.param]


def patch(*names, cc="gcc", folder=None, stamp=None, file="fix.c", flags=()):
    """The shared object of these FIX_*; a copy in @folder, stamped for the program @stamp."""
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
    assert done.status == status, done
    return done.stdout.decode() + done.stderr.decode()


class Server:
    def __init__(self, path, **options):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **options)
        self.pid = self.process.pid
        self.path = path
        assert self.say("?") == "what?"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self):
        return dict(zip(("answer", "twin", "twin2", "count", "count2"),
                        (int(word.split("=")[1]) for word in self.say("ask").split())))

    def answer(self):
        return self.ask()["answer"]

    def text(self):
        """The executable's code as it stands in memory."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            ranges = [line.split()[0].split("-") for line in maps
                      if self.path in line and " r-xp " in line]
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as mem:
            return b"".join(os.pread(mem.fileno(), int(hi, 16) - int(lo, 16), int(lo, 16))
                            for lo, hi in ranges)

    def check_end(self):
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, out, err) == (0, "", "")


OLD, NEW = 1049, -1091


def test_apply_and_revert(server, tmp_path):
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        before = target.text()
        assert target.answer() == OLD
        for i in range(3):
            said = ftrace("apply", target.pid, fix)
            assert re.search(r"answer: applied to process \d+ \(server\) in [0-9.]+ ms: 1 function;", said), said
            assert target.answer() == NEW
            shown = ftrace("list", target.pid)
            assert shown.split()[:4] == [str(target.pid), "server", "answer", "enabled"], shown
            assert "1 function, version 1.2" in shown
            assert "state:    enabled" in ftrace("status", target.pid)
            # Again is no error, and changes nothing.
            assert "applied to process" in ftrace("apply", target.pid, fix)
            said = ftrace("revert", target.pid, *[["answer"], [fix], []][i])
            assert "answer: reverted in process" in said
            assert target.answer() == OLD
            assert target.text() == before
            assert "disabled" in ftrace("list", target.pid)
            assert "reverted already" in ftrace("revert", target.pid, "answer", status=1)
        target.check_end()


def test_check_and_stamp(servers, tmp_path):
    server, other = servers["plain"], servers["compiled"]
    fix = patch("ANSWER", folder=tmp_path)
    assert "does not say which build" in ftrace("check", fix, server, status=1)
    with Server(server) as target:
        assert "does not say which build" in ftrace("apply", target.pid, fix, status=1)
        assert "is for build-id" in ftrace("stamp", fix, server)
        assert "can be applied to" in ftrace("check", fix, server)
        assert "can be applied to process" in ftrace("check", fix, target.pid)
        assert "can be applied to process" in ftrace("check", "-p", target.pid, fix)
        assert "another build of the executable" in ftrace("check", fix, other, status=1)
        ftrace("stamp", fix, other)
        assert "another build of the executable" in ftrace("apply", target.pid, fix, status=1)
        assert target.answer() == OLD
        ftrace("apply", "--any-build", target.pid, fix)
        assert target.answer() == NEW
        target.check_end()

# SPDX-License-Identifier: MIT
"""A bug of a real program is fixed while a client asks it without end: Lua 5.4.4, as Debian 12 has it."""
import glob
import os
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "real"))
import ftracetest as ft  # noqa: E402
import realprograms  # noqa: E402
from patchtest import FORMS, HEADERS, HERE, INCLUDE, ftrace, skip_elsewhere  # noqa: E402

skip_elsewhere()

# Valid text, what is invalid to all versions, and what 5.4.4 does not notice.
GOOD, BAD, MISSED = ("caf%c3%a9", "4"), ("caf%c3", "invalid"), "in%bfvalid"


@pytest.fixture(scope="module", name="source")
def _source():
    try:
        return os.path.join(realprograms.fetch("lua5.4"), "src")
    except realprograms.Unavailable as why:
        pytest.skip(str(why))


class Client:
    """Asks all the time; each answer must be that of its question, and of the version there may be."""

    def __init__(self, command):
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.allowed, self.seen, self.number, self.wrong, self.ends = set(), {}, 0, [], False
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        questions = [GOOD, BAD, (MISSED, None)]
        while not self.ends and not self.wrong:
            self.number += 1
            text, right = questions[self.number % 3]
            self.server.stdin.write(f"{self.number} {text}\n")
            self.server.stdin.flush()
            line = self.server.stdout.readline()
            number, _, answer = line.strip().partition(" ")
            if number != str(self.number) or (answer != right if right else answer not in self.allowed):
                self.wrong.append((self.number, text, line))
            if not right:
                self.seen[answer] = self.seen.get(answer, 0) + 1

    def count(self, answer, seconds=20 * ft.PATIENCE):
        """True when it was given, for the first time since the last call."""
        self.seen = {}
        until = time.monotonic() + seconds
        while answer not in self.seen and time.monotonic() < until and not self.wrong:
            time.sleep(0.005)
        return answer in self.seen


@pytest.mark.limit(600)
@pytest.mark.parametrize("form", list(FORMS))
def test_lua(source, tmp_path, form):
    files = [name for name in glob.glob(os.path.join(source, "*.c")) if os.path.basename(name) != "luac.c"]
    lua = ft.compile_once(["gcc", "-O2", "-g1", "-DLUA_USE_LINUX", "-Wl,-E", *FORMS[form], *sorted(files), "-lm", "-ldl"],
                          files, "lua")
    fix = os.path.join(tmp_path, "fix.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", *INCLUDE, "-I" + source,
                    os.path.join(HERE, "fix-lua.c"), "-o", fix], check=True)
    assert HEADERS and "can be applied" not in ftrace("check", fix, lua, status=1)	# not stamped
    ftrace("stamp", fix, lua)
    assert "can be applied" in ftrace("check", fix, lua)
    client = Client([lua, os.path.join(HERE, "server.lua")])
    client.allowed = {"7"}		# seven letters, and no word of the byte between
    client.thread.start()
    try:
        assert client.count("7"), client.wrong
        for _ in range(5):
            client.allowed = {"7", "invalid"}
            ftrace("apply", client.server.pid, fix)
            assert client.count("invalid"), client.wrong
            client.allowed = {"invalid"}
            assert client.count("invalid"), client.wrong
            client.allowed = {"7", "invalid"}
            ftrace("revert", client.server.pid)
            assert client.count("7"), client.wrong
            client.allowed = {"7"}
            assert client.count("7"), client.wrong
    finally:
        client.ends = True
        client.thread.join(timeout=20 * ft.PATIENCE)
        client.server.stdin.close()
    assert not client.wrong and client.number > 100
    assert client.server.wait(timeout=20 * ft.PATIENCE) == 0

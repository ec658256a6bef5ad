# SPDX-License-Identifier: MIT
"""ftrace patch: functions of running programs are replaced and put back."""
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from patchtest import FORMS, HERE, NEW, OLD, Server, build_server, ft, ftrace, patch, skip_elsewhere  # noqa: E402

skip_elsewhere()


def test_apply_and_revert(either, tmp_path):
    fix = patch("ANSWER", folder=tmp_path, stamp=either)
    assert "can be applied to" in ftrace("check", fix, either)
    with Server(either) as target:
        before = target.text()
        assert "can be applied to process" in ftrace("check", fix, target.pid)
        assert target.answer() == OLD
        for i in range(3):
            said = ftrace("apply", target.pid, fix)
            assert re.search(r"answer: applied to process \d+ \(server\w*\) in [0-9.]+ ms: 1 function;", said), said
            assert target.answer() == NEW
            shown = ftrace("list", target.pid)
            assert shown.split()[:4] == [str(target.pid), os.path.basename(either), "answer", "enabled"], shown
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


# ---- what a patch can name ----

@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_by_file_and_position(server, tmp_path, cc):
    """Static functions of one name: one by its source file, the other by its address."""
    if not ft.have(cc):
        pytest.skip(f"{cc} is not installed")
    symbols = subprocess.run(["nm", "-n", server], stdout=subprocess.PIPE, text=True, check=True).stdout
    order = [line.split()[0] for line in symbols.splitlines() if line.endswith(" t count")]
    assert len(order) == 2
    fix = patch("TWIN", cc=cc, folder=tmp_path, stamp=server)
    with Server(server) as target:
        assert (target.ask()["twin"], target.ask()["twin2"]) == (1, 2)
        counted = target.ask()
        ftrace("apply", target.pid, fix)
        said = target.ask()
        assert (said["twin"], said["twin2"]) == (11, 2)
        # Which of the two files comes first is the linker's choice.
        assert sorted((said["count"] == 77, said["count2"] == 77)) == [False, True]
        assert "function: count, number 2" in ftrace("status", target.pid)
        ftrace("revert", target.pid)
        said = target.ask()
        assert said["twin"] == 1 and 77 not in (said["count"], said["count2"])
        assert said["count2"] >= counted["count2"]
        target.check_end()


def test_cxx(servers, tmp_path):
    source = os.path.join(tmp_path, "fix.cc")
    shutil.copy(os.path.join(HERE, "fix.c"), source)
    fix = patch("ANSWER", file=source, folder=tmp_path, stamp=servers["plain"])
    with Server(servers["plain"]) as target:
        ftrace("apply", target.pid, fix)
        assert target.answer() == NEW
        target.check_end()


def test_stripped(tmp_path):
    """Static functions of a stripped program: from its separate debug file, or not at all."""
    server, debug = os.path.join(tmp_path, "server"), os.path.join(tmp_path, "server.debug")
    shutil.copy(build_server(), server)
    subprocess.run(["objcopy", "--only-keep-debug", server, debug], check=True)
    subprocess.run(["strip", server], check=True)
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        said = ftrace("check", fix, target.pid, status=1)
        assert "helper cannot be referred to: there is no such symbol; the object is stripped" in said
        subprocess.run(["objcopy", "--add-gnu-debuglink", debug, server, server + "2"], check=True)
        target.check_end()
    os.rename(server + "2", server)
    with Server(server) as target:
        ftrace("apply", target.pid, fix)
        assert target.answer() == NEW
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_what_cannot_be_applied(servers, tmp_path):
    server = servers["plain"]
    fix = patch("MISSING", folder=tmp_path, stamp=server)
    with Server(server) as target:
        for said in (ftrace("check", fix, server, status=1), ftrace("check", fix, target.pid, status=1),
                     ftrace("apply", target.pid, fix, status=1)):
            assert "no_such_function cannot be replaced: there is no such function" in said
            assert "no_such_variable cannot be referred to: there is no such symbol" in said
            assert "mine cannot be referred to: it is thread-local" in said
            assert "twin cannot be replaced: there are 2 of that name; say which" in said
            assert "twin, the 3. cannot be replaced: there are 2 of that name" in said
            assert said.count("cannot be") == 5, said
        # Nothing was brought there for that.
        with open(f"/proc/{target.pid}/maps", encoding="utf-8") as maps:
            assert "libftrace" not in maps.read()
        target.check_end()


def test_no_patches(servers, tmp_path):
    """What is no patch, or a damaged one, is refused before anything is asked of the process."""
    server, fix = servers["plain"], patch("ANSWER", folder=tmp_path, stamp=servers["plain"])
    with open(fix, "rb") as file:
        whole = file.read()
    assert "not a patch" in ftrace("check", __file__, server, status=1)
    assert "not a patch" in ftrace("check", ft.libftrace(), server, status=1)
    assert "No such file" in ftrace("check", tmp_path / "none.so", server, status=1)
    assert "not a patch" in ftrace("check", tmp_path, server, status=1)
    cut = os.path.join(tmp_path, "cut.so")
    with Server(server) as target:
        for size in [*range(0, len(whole), 997), len(whole) - 1]:
            with open(cut, "wb") as file:
                file.write(whole[:size])
            said = ftrace("apply", target.pid, cut, status=1)
            assert "damaged" in said or "not a patch" in said, (size, said)
        assert target.answer() == OLD
        target.check_end()


def test_damaged_patch(servers, tmp_path):
    """Any byte may be wrong: the reader says so, or finds nothing wrong; it never crashes."""
    import random
    server, fix = servers["plain"], patch("ANSWER", folder=tmp_path, stamp=servers["plain"])
    chance = random.Random(1)
    bad = os.path.join(tmp_path, "bad.so")
    for _ in range(150):
        with open(fix, "rb") as file:
            data = bytearray(file.read())
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(min(len(data), 0x6000))] = chance.randrange(256)
        with open(bad, "wb") as file:
            file.write(data)
        done = ft.run([ft.FTRACE, "patch", "check", bad, server])
        assert done.status in (0, 1), done


# ---- transitions ----

def held_up(target, fix):
    """Begins a transition. It waits for the thread that is blocked, and all others have gone over."""
    ftrace("apply", "--no-wait", target.pid, fix, status=1)
    while "held up by 1 thread\n" not in ftrace("status", target.pid):
        pass


def test_sleeper(either, tmp_path):
    """A thread that sleeps in a replaced function holds it up: who is said, and it can be turned round."""
    fix = patch("BLOCKED", folder=tmp_path, stamp=either)
    with Server(either) as target:
        assert target.say("block") == "blocked"
        held_up(target, fix)
        said = ftrace("apply", "--timeout", "200ms", target.pid, fix, status=1)
        assert "not done in time, and the transition goes on: it waits for 1 thread" in said
        thread = re.search(r"1 thread: (\d+) in blocked \(it is on its stack\)", said)
        assert thread and os.path.exists(f"/proc/{target.pid}/task/{thread.group(1)}"), said
        shown = ftrace("status", target.pid)
        assert "state:    enabling" in shown and "held up by 1 thread\n" in shown
        assert f"{thread.group(1)} in blocked (it is on its stack)" in shown
        # Others have gone over.
        assert target.answer() == 5
        said = ftrace("revert", target.pid)
        assert "reverted in" in said and target.answer() == OLD
        assert "state:    disabled" in ftrace("status", target.pid)
        assert target.say("wake") == "100"
        # The same, and it is let go.
        assert target.say("block") == "blocked"
        apply = subprocess.Popen([ft.FTRACE, "patch", "apply", str(target.pid), fix], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        # Said again and again: at first others may have to go over, too.
        assert any("waiting for 1 thread:" in line for line in iter(apply.stderr.readline, ""))
        assert target.say("wake") == "100"
        out, _ = apply.communicate(timeout=20 * ft.PATIENCE)
        assert apply.returncode == 0 and "applied to process" in out
        assert target.say("block") == "blocked" and target.answer() == 5
        target.check_end()


def test_force(either, tmp_path):
    fix = patch("BLOCKED", folder=tmp_path, stamp=either)
    with Server(either) as target:
        target.say("block")
        ftrace("apply", "--no-wait", target.pid, fix, status=1)
        assert "forced in process" in ftrace("force", target.pid)
        assert "enabled (was forced)" in ftrace("status", target.pid, "blocked")
        assert "nothing to force" in ftrace("force", target.pid, "blocked", status=1)
        assert target.answer() == 5
        assert target.say("wake") == "100"
        target.check_end()


def test_timeout_reverses(servers, tmp_path):
    fix = patch("BLOCKED", folder=tmp_path, stamp=servers["plain"])
    with Server(servers["plain"]) as target:
        before = target.text()
        target.say("block")
        said = ftrace("apply", "--timeout=300ms", "--reverse", target.pid, fix, status=1)
        assert "turned round" in said
        assert "disabled" in ftrace("list", target.pid)
        assert target.answer() == OLD and target.text() == before
        assert target.say("wake") == "100"
        target.check_end()


def test_interrupted(servers, tmp_path):
    """Ctrl-C leaves the transition under way, and so does kill -9; another command takes up."""
    fix = patch("BLOCKED", folder=tmp_path, stamp=servers["plain"])
    for sig in (signal.SIGINT, signal.SIGKILL):
        with Server(servers["plain"]) as target:
            target.say("block")
            apply = subprocess.Popen([ft.FTRACE, "patch", "apply", str(target.pid), fix],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert "waiting for" in apply.stderr.readline()
            apply.send_signal(sig)
            _, err = apply.communicate(timeout=20 * ft.PATIENCE)
            if sig == signal.SIGINT:
                assert apply.returncode == 1
                assert "interrupted, and the transition goes on" in err and "'ftrace patch revert'" in err
            assert "enabling" in ftrace("list", target.pid)
            other = patch("ANSWER", folder=tmp_path, stamp=servers["plain"])
            assert "in transition" in ftrace("apply", target.pid, other, status=1)
            assert target.say("wake") == "100"
            assert "applied to process" in ftrace("apply", target.pid, fix)
            assert target.answer() == 5
            target.check_end()


@pytest.mark.limit(240)
def test_consistency(either, tmp_path):
    """A caller and a callee that are changed together, under threads that do nothing but call them."""
    fix = patch("PAIR", folder=tmp_path, stamp=either)
    with Server(either) as target:
        assert target.say("load 3") == "loaded"
        for _ in range(12):
            ftrace("apply", "-q", target.pid, fix)
            ftrace("revert", "-q", target.pid)
        mixed, calls = map(int, target.say("mixed").split())
        assert mixed == 0 and calls > 1000
        target.check_end()


def test_stacked_and_replaced(either, tmp_path):
    first = patch("ANSWER", folder=tmp_path, stamp=either)
    second = patch("CALLBACKS", folder=tmp_path, stamp=either)
    third = patch("ALL", folder=tmp_path, stamp=either)
    with Server(either) as target:
        ftrace("apply", target.pid, first)
        ftrace("apply", target.pid, second)
        assert [target.answer() for _ in range(3)] == [11001, 11002, 11003]
        assert "there are 2 patches; say which" in ftrace("revert", target.pid, status=1)
        ftrace("revert", target.pid, "callbacks")
        assert target.answer() == NEW
        ftrace("apply", target.pid, second)
        assert target.answer() == 11001		# its shadow variable went
        ftrace("apply", target.pid, third)
        assert target.answer() == 1
        states = {line.split()[2]: line.split()[3] for line in ftrace("list", target.pid).splitlines()}
        assert states == {"answer": "disabled", "callbacks": "disabled", "all": "enabled"}
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_callback_fails(either, tmp_path):
    fix = patch("PRE_FAILS", folder=tmp_path, stamp=either)
    with Server(either) as target:
        before = target.text()
        assert f"pre_patch callback for {os.path.basename(either)} failed: error 16" in ftrace("apply", target.pid, fix, status=1)
        assert target.answer() == OLD and target.text() == before
        target.check_end()


def test_by_name_and_all(tmp_path):
    """Every process of this build, and no other."""
    path = os.path.join(tmp_path, "patch_byname")
    shutil.copy(build_server("-DBY_NAME"), path)
    other = os.path.join(tmp_path, "patch_other")
    shutil.copy(build_server("-DOTHER", "-Wl,--build-id=0x1234567890"), other)
    fix = patch("ANSWER", folder=tmp_path)
    assert "--all needs to know for which build" in ftrace("apply", "--all", fix, status=1)
    ftrace("stamp", fix, other)
    assert "no process has what it is for" in ftrace("apply", "--all", fix, status=1)
    with Server(path) as one, Server(path) as two, Server(other) as three:
        said = ftrace("apply", "--all", fix)
        assert said.count("applied to process") == 1 and str(three.pid) in said
        assert (one.answer(), two.answer(), three.answer()) == (OLD, OLD, NEW)
        ftrace("stamp", fix, path)
        assert "2 processes have this name" in ftrace("apply", "-p", "patch_byname", fix, status=1)
        said = ftrace("apply", "--all", fix)
        assert said.count("applied to process") == 2
        assert (one.answer(), two.answer(), three.answer()) == (NEW, NEW, NEW)
        # Not of all: others on this machine may have agents of other versions.
        shown = ftrace("list", "-p", f"{one.pid},{two.pid},{three.pid}")
        for target in (one, two, three):
            assert re.search(rf"^ *{target.pid} .* answer +enabled", shown, re.M), shown
        ftrace("revert", "-p", f"{one.pid},{two.pid}")
        assert (one.answer(), two.answer(), three.answer()) == (OLD, OLD, NEW)
        for target in (one, two, three):
            target.check_end()


def test_with_recording(server, tmp_path):
    """Patched while it is recorded, recorded while it is patched; the trace shows which version ran."""
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        recorder = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "data"), "-p", str(target.pid)],
                                    stderr=subprocess.PIPE, text=True)
        assert "attached to" in recorder.stderr.readline()
        assert target.answer() == OLD
        ftrace("apply", target.pid, fix)
        assert target.answer() == NEW
        recorder.send_signal(signal.SIGINT)
        recorder.communicate(timeout=20 * ft.PATIENCE)
        assert recorder.returncode == 0
        assert target.answer() == NEW
        report = ft.run([ft.FTRACE, "report", "-i", str(tmp_path / "data")]).stdout.decode()
        assert re.search(r"^ *2 .* answer$", report, re.M), report
        assert re.search(r"^ *2 .* helper$", report, re.M), report
        done = ft.run([ft.FTRACE, "record", "-o", str(tmp_path / "data2"), "--duration", "100ms", "-p",
                       str(target.pid)])
        assert done.status == 0, str(done)
        assert target.answer() == NEW
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_started_under_record(server, tmp_path):
    """The agent is there already: preloaded."""
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    recorder = subprocess.Popen([ft.FTRACE, "record", "-o", str(tmp_path / "data"), server], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answer():
        recorder.stdin.write("ask\n")
        recorder.stdin.flush()
        return int(re.search(r"answer=(-?\d+)", recorder.stdout.readline()).group(1))

    assert answer() == OLD
    with open(f"/proc/{recorder.pid}/task/{recorder.pid}/children", encoding="ascii") as children:
        pid = children.read().split()[0]
    ftrace("apply", pid, fix)
    assert answer() == NEW
    ftrace("revert", pid)
    assert answer() == OLD
    recorder.communicate(timeout=20 * ft.PATIENCE)
    assert recorder.returncode == 0


# ---- libraries ----

@pytest.mark.parametrize("form", list(FORMS))
def test_library(tmp_path, form):
    """Loaded before, and (compiled for tracing) after the patch; gone and back; by a relative path."""
    host = ft.build(os.path.join(HERE, "plugin_host.c"), "-O2", name="plugin_host")
    library = ft.build(os.path.join(HERE, "plugin.c"), "-O2", "-shared", "-fPIC", *FORMS[form], name="plugin.so")
    shutil.copy(library, tmp_path)
    fix = os.path.join(tmp_path, "fix-plugin.so")
    shutil.copy(patch(file="fix-plugin.c"), fix)
    refers = os.path.join(tmp_path, "refers.so")
    shutil.copy(patch("SYMBOL", file="fix-plugin.c"), refers)
    for name in (fix, refers):
        ftrace("stamp", name, library)

    class Host(Server):
        def __init__(self):
            self.process = subprocess.Popen([host, "./plugin.so"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True, cwd=tmp_path)
            self.pid, self.path = self.process.pid, host
            assert self.say("ask") == "-1"

    with Host() as target:
        assert "is not loaded" in ftrace("check", refers, target.pid, status=1)
        assert target.say("load") == "0" and target.say("ask") == "21"
        assert "can be applied" in ftrace("check", refers, target.pid)
        ftrace("apply", target.pid, fix)
        assert target.say("ask") == "99"
        ftrace("revert", target.pid)
        assert target.say("ask") == "21"
        target.check_end()
    with Host() as target:
        assert "it is patched when it is, if it was compiled for tracing" in ftrace("apply", target.pid, fix)
        assert "waits for plugin.so to be loaded" in ftrace("status", target.pid)
        for _ in range(2):
            target.say("load")
            assert target.say("ask") == ("99" if form == "compiled" else "21")
            target.say("unload")
        target.say("load")
        ftrace("revert", target.pid)
        assert target.say("ask") == "21"
        target.check_end()

# SPDX-License-Identifier: MIT
"""ftrace patch: the command or the process dies, two commands at once, no memory, no right to it."""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from patchtest import HERE, NEW, OLD, Server, build_server, ft, ftrace, patch, skip_elsewhere  # noqa: E402

skip_elsewhere()


def test_killed_in_the_middle(server, tmp_path):
    """kill -9 of the command at any moment: the process is whole, in one version, and says which."""
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        for i in range(40):
            verb = ["apply", "revert"][i % 2]
            command = subprocess.Popen([ft.FTRACE, "patch", verb, str(target.pid), *([fix] if verb == "apply" else [])],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.002 * (i % 20))
            command.kill()
            command.wait()
            answer = target.answer()
            assert answer in (OLD, NEW)
            time.sleep(0.02 * (i % 3))
            state = ftrace("list", target.pid).split()[3:4]
            assert state in (["enabled"], ["disabled"], ["enabling"], ["disabling"], ["failed"], []), state
            if i % 10 == 9:
                ftrace("apply", target.pid, fix)
                assert target.answer() == NEW
                assert "enabled" in ftrace("list", target.pid)
        ftrace("revert", target.pid)
        assert target.answer() == OLD
        target.check_end()


def test_two_appliers(server, tmp_path):
    """At once: one after the other, and both are content; or they are different patches, and stacked."""
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    other = patch("CALLBACKS", folder=tmp_path, stamp=server)
    with Server(server) as target:
        for files in ([fix] * 4, [fix, other] * 2):
            commands = [subprocess.Popen([ft.FTRACE, "patch", "apply", str(target.pid), file],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                        for file in files]
            for command in commands:
                out, err = command.communicate(timeout=20 * ft.PATIENCE)
                assert command.returncode == 0, (out, err)
            names = [line.split()[2] for line in ftrace("list", target.pid).splitlines()
                     if line.split()[3] == "enabled"]
            assert sorted(names) == sorted({os.path.basename(file)[:-3] for file in files})
        target.check_end()


def test_process_dies(servers, tmp_path):
    fix = patch("BLOCKED", folder=tmp_path, stamp=servers["plain"])
    with Server(servers["plain"]) as target:
        target.say("block")
        apply = subprocess.Popen([ft.FTRACE, "patch", "apply", str(target.pid), fix], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        assert "waiting for" in apply.stderr.readline()
        target.process.kill()
        _, err = apply.communicate(timeout=20 * ft.PATIENCE)
        assert apply.returncode == 1 and "has ended" in err
    for i in range(8):		# at any moment
        with Server(servers["plain"]) as target:
            apply = subprocess.Popen([ft.FTRACE, "patch", "apply", str(target.pid), fix], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            time.sleep(0.004 * i)
            target.process.kill()
            _, err = apply.communicate(timeout=20 * ft.PATIENCE)
            assert apply.returncode == 1 and err.startswith("ftrace: ") or apply.returncode == 0, err


def test_who_cannot_be_patched(servers, tmp_path):
    server = servers["plain"]
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert "a zombie" in ftrace("apply", zombie.pid, fix, status=1)
    zombie.wait()
    assert "no such process" in ftrace("apply", zombie.pid, fix, status=1)
    assert "no process has this name" in ftrace("apply", "-p", "no_such_name", fix, status=1)
    static = ft.build(os.path.join(HERE, "server.c"), os.path.join(HERE, "twin.c"), "-O2", "-pthread", "-static",
                      name="server_static", deps=[os.path.join(HERE, "twin.c")])
    with Server(static) as target:
        assert "statically linked" in ftrace("apply", target.pid, fix, status=1)
        target.check_end()
    with Server(server) as target:
        target.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, target.pid, os.WSTOPPED | os.WNOWAIT)
        assert "stopped by a signal" in ftrace("apply", target.pid, fix, status=1)
        target.process.send_signal(signal.SIGCONT)
        if os.geteuid() == 0:
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)
                done = ft.run([ft.FTRACE, "patch", "apply", str(target.pid), shutil.copy(fix, folder)],
                              limits=lambda: (os.setgid(65534), os.setuid(65534)))
            assert done.status == 1 and b"runs as user 0, not as you" in done.stderr, str(done)
        assert target.answer() == OLD
        target.check_end()


def test_no_memory(server, tmp_path):
    """A process that has none left: refused, and as it was; with more, it can be patched."""
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        before = target.text()
        with open(f"/proc/{target.pid}/statm", encoding="ascii") as statm:
            size = int(statm.read().split()[0]) * resource.getpagesize()
        for more in range(0, 12 << 20, 320 << 10):
            resource.prlimit(target.pid, resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))
            done = ft.run([ft.FTRACE, "patch", "apply", str(target.pid), fix])
            assert done.status in (0, 1) and (done.status == 0 or done.stderr.startswith(b"ftrace: ")), str(done)
            assert target.answer() == (OLD if done.status else NEW), str(done)
            if done.status:
                assert target.text() == before
            else:
                ftrace("revert", target.pid)
        resource.prlimit(target.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ftrace("apply", target.pid, fix)
        assert target.answer() == NEW
        target.check_end()


@pytest.mark.parametrize("does", ["SECCOMP_RET_ERRNO | 1", "SECCOMP_RET_KILL_PROCESS"])
def test_no_memory_file(does, tmp_path):
    """A filter that refuses memfd_create(), or kills for it: said beforehand, and the process goes on."""
    server = build_server(f"-DNO_MEMFD={does}", name="server_filter")
    fix = patch("ANSWER", folder=tmp_path, stamp=server)
    with Server(server) as target:
        before = target.text()
        said = ftrace("apply", target.pid, fix, status=1)
        assert re.search(r"seccomp filter does not allow memfd_create\(\)", said), said
        assert target.answer() == OLD and target.text() == before
        assert "has no patch" in ftrace("status", target.pid)
        target.check_end()

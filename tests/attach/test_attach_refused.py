# SPDX-License-Identifier: MIT
"""Who cannot be attached to: said why, and nothing of it has changed."""
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from attachtest import Target, attached, build_narrow, ft, record, refused  # noqa: E402


def test_no_such_process(tmp_path):
    refused(2 ** 22 - 7, tmp_path, "no such process")


def test_zombie(tmp_path):
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        refused(process.pid, tmp_path, "zombie")


def test_kernel_thread(tmp_path):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            if stat.read().rpartition(")")[2].split()[1] == "2":
                refused(pid, tmp_path, "thread of the kernel")
                return
    pytest.skip("no kernel thread can be seen here (a container)")


def test_stopped(loop, tmp_path):
    with Target([loop, "sleep"]) as target:
        target.process.send_signal(signal.SIGSTOP)
        target.wait_for(lambda: target.status("State") == "T")
        refused(target.pid, tmp_path, "kill -CONT")
        target.process.send_signal(signal.SIGCONT)
        target.check_end()


def test_debugged(loop, tmp_path):
    if not ft.have("gdb"):
        pytest.skip("gdb is not installed")
    with Target([loop, "sleep"]) as target:
        os.mkfifo(tmp_path / "fifo")
        gdb = subprocess.Popen(["gdb", "-nx", "-q", "-batch", "-p", str(target.pid), "-ex", f"shell cat {tmp_path}/fifo",
                                "-ex", "detach"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        with open(tmp_path / "fifo", "wb"):		# when it is at the shell's command, and as long as we like
            refused(target.pid, tmp_path, "traced by process", "gdb")
        gdb.wait(timeout=20 * ft.PATIENCE)
        target.check_end()


def test_static(tmp_path):
    program = ft.build("attach_loop.c", "-O2", "-static", name="attach_static")
    with Target([program, "sleep"]) as target:
        refused(target.pid, tmp_path, "statically linked")
        target.check_end()


@pytest.mark.parametrize("limits", [(resource.RLIMIT_AS, None), (resource.RLIMIT_NOFILE, 3)], ids=["memory", "files"])
def test_half_way(loop, tmp_path, limits):
    """Its limits let no agent in: it goes on, and its code is as it was."""
    with Target([loop, "sleep"]) as target:
        before, (kind, limit) = target.text(), limits
        if limit is None:
            limit = (int(target.status("VmSize")) + 300) << 10
        resource.prlimit(target.pid, kind, (limit, limit))
        done = record(target.pid, tmp_path / "data")
        assert done.status == 1 and done.stderr.startswith(b"ftrace: process"), str(done)
        assert target.text() == before
        target.check_end()


def test_narrow_strict(tmp_path):
    if os.getuid():
        pytest.skip("needs root, to see what a filter allows")
    with Target([build_narrow("attach_loop.c"), "strict"]) as target:
        target.wait_for(lambda: target.status("Seccomp") != "0")
        refused(target.pid, tmp_path, "seccomp filter does not allow mmap2()")
        target.check_end()


def test_other_user(loop, tmp_path):
    if os.getuid():
        pytest.skip("needs root, to become somebody else")
    with Target([loop, "sleep"]) as target:
        done = ft.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ft.FTRACE, "record",
                       "-o", "/tmp/ftrace-attach-other", "-p", str(target.pid)])
        assert done.status == 1 and b"not as you" in done.stderr, done
        target.check_end()


def as_nobody(*command):
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@pytest.fixture(name="public")
def _public(loop):
    """A folder that everybody may use, with a copy of the program."""
    if os.getuid() or not ft.have("setpriv"):
        pytest.skip("needs root and setpriv, to become somebody else")
    with tempfile.TemporaryDirectory(prefix="ftrace-attach-") as folder:
        os.chmod(folder, 0o777)
        shutil.copy(loop, os.path.join(folder, "program"))
        yield folder


def try_as_nobody(public, pid, *before):
    done = ft.run([*before, *as_nobody(ft.FTRACE, "record", "-o", os.path.join(public, "data"), "-p", str(pid))])
    assert done.status == 1 and done.stderr.count(b"\n") == 1, str(done)
    return done.stderr.decode()


def test_set_user_id(public):
    program = os.path.join(public, "program")
    os.chmod(program, 0o4755)
    with Target(as_nobody(program, "sleep")) as target:
        assert "its program is set-user-ID" in try_as_nobody(public, target.pid)
        target.check_end()


@pytest.mark.parametrize("scope, words", [("1", "one's own children only"), ("2", "only with CAP_SYS_PTRACE"),
                                          ("3", "until the next boot")])
def test_yama(public, scope, words):
    """Explained by what the setting says, shown in a /proc/sys of its own."""
    script = ("mount -t tmpfs none /proc/sys && mkdir -p /proc/sys/kernel/yama && "
              f"echo {scope} >/proc/sys/kernel/yama/ptrace_scope && exec \"$@\"")
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = try_as_nobody(public, target.pid, "unshare", "--mount", "sh", "-c", script, "sh")
        assert f"ptrace_scope is {scope}" in done and words in done
        target.check_end()


def test_root_without_capability(public):
    """Root, but in a container that takes CAP_SYS_PTRACE away."""
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = ft.run(["setpriv", "--bounding-set=-sys_ptrace", ft.FTRACE, "record", "-o",
                       os.path.join(public, "data"), "-p", str(target.pid)])
        assert done.status == 1 and b"without CAP_SYS_PTRACE" in done.stderr, str(done)
        target.check_end()


def test_own_process_of_nobody(public):
    """Without any right but that of its user."""
    with Target(as_nobody(os.path.join(public, "program"), "sleep")) as target:
        done = ft.run(as_nobody(ft.FTRACE, "record", "-o", os.path.join(public, "data"), "--duration", "100ms",
                                "-p", str(target.pid)))
        if b"ptrace_scope" in done.stderr:
            pytest.skip("yama's ptrace_scope forbids it here")
        attached(done)
        target.check_end()

# SPDX-License-Identifier: MIT
"""A recorder killed in the middle: the next reader finishes the recording, clock included."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

PROGRAM = """
#include <pthread.h>
#include <unistd.h>
__attribute__((noinline)) long leaf(long n) { __asm__ volatile(""); return n + 1; }
__attribute__((noinline)) long nap(long n) { usleep(10000); return n; }
__attribute__((noinline)) long work(long n) { long r = leaf(n); __asm__ volatile(""); return leaf(r) + 1; }
static void *thread(void *arg)
{
	for (int k = 0; k < (long)arg; k++, nap(k))
		for (int i = 0; i < 1000; i++)
			work(i);
	return 0;
}
int main(int argc, char **argv)
{
	pthread_t t;

	pthread_create(&t, 0, thread, (void *)(argc > 1 ? 10l : 100000l));
	pthread_join(t, 0);
	return 3;
}
"""


def info_of(directory):
    with open(os.path.join(directory, "info")) as f:
        return dict(line.rstrip("\n").split("=", 1) for line in f)


def test_killed_recorder(ftrace, tmp_path):
    (tmp_path / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-O2", "-fpatchable-function-entry=5", "p.c", "-o", "p", "-lpthread"],
                   cwd=tmp_path, check=True)
    done = subprocess.run([ftrace, "record", "-o", "whole", "./p", "short"], cwd=tmp_path,
                          stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 3, done.stderr
    hz = int(info_of(tmp_path / "whole")["tick_hz"])

    recorder = subprocess.Popen([ftrace, "record", "-o", "cut", "./p"], cwd=tmp_path,
                                stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        stream = lambda: sum(os.path.getsize(os.path.join(base, n)) for base, _, names in
                             os.walk(tmp_path / "cut") for n in names if n.startswith("stream-"))
        while stream() < 100_000:
            assert time.monotonic() < deadline, "nothing was recorded"
            time.sleep(0.05)
        recorder.kill()		# only this one; its program goes on
        recorder.wait()
        done = subprocess.run([ftrace, "report", "--json", "-i", "cut"], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "was killed" in done.stderr, done.stderr
        rows = {f["name"]: f for f in json.loads(done.stdout)["functions"]}
        assert rows["leaf"]["calls"] > 1000
        assert abs(rows["leaf"]["calls"] - 2 * rows["work"]["calls"]) <= 2
        info = info_of(tmp_path / "cut")
        assert info["recorded"] == "interrupted"
        assert abs(int(info["tick_hz"]) - hz) < hz / 100
        # usleep(10000) takes 10 ms or, on a busy machine, longer.
        assert 9_900_000 < rows["nap"]["min_ns"] < 200_000_000
        again = subprocess.run([ftrace, "info", "-i", "cut"], cwd=tmp_path, capture_output=True, text=True)
        assert again.returncode == 0 and again.stderr == ""
        if shutil.which("babeltrace2"):
            count = subprocess.run("babeltrace2 cut 2>/dev/null | wc -l", shell=True, cwd=tmp_path,
                                   stdout=subprocess.PIPE, text=True).stdout
            assert int(count) == int(info["records"])
    finally:
        try:
            os.killpg(recorder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

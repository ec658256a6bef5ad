# SPDX-License-Identifier: MIT
"""Recordings whose recorder was killed: what is left in the session is taken over, damaged or not."""
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from readertest import N, babeltrace, report, run, shape, simple, survive, varied
from tracegen import ENTRY, EXIT, HEADER, PACKET_SIZE, RING_MAGIC, SESSION_MAGIC, Recording, packet, word


def ring(npackets, written, overwrite=0, discarded=0, head=None, tail=0):
    """A ring as a dead program leaves it: packets (lists of records), the last one open."""
    head = len(written) - 1 if head is None else head
    data = bytearray(4096 + npackets * PACKET_SIZE)
    struct.pack_into("<QII", data, 0, RING_MAGIC, npackets, overwrite)
    struct.pack_into("<QQQII", data, 64, head, discarded, 0, 100, 0)
    struct.pack_into("<Q", data, 128, tail)
    for k in range(tail, head + 1):
        records, is_open = written[k], k == head
        at = 4096 + k % npackets * PACKET_SIZE
        lap = k // npackets
        slots = [word(*r) for r in records]
        bits = 0 if is_open else (64 + 8 * len(slots)) * 8
        slots += [0xFFFFFFFF00000000 | lap if lap else 0] * (8184 - len(slots))
        HEADER.pack_into(data, at, 0xC1FC1FC1, 0, records[0][0], 0 if is_open else records[-1][0],
                         bits, bits, 0, k, 100, 0)
        struct.pack_into("<8184Q", data, at + 64, *slots)
    return bytes(data)


class Session:
    """A recording whose recorder left a session directory behind."""

    def __init__(self, tmp_path, pid):
        self.recording = Recording(tmp_path / "r", info={"recorded": "interrupted"})
        self.path = f"/dev/shm/ftrace-test-{os.getpid()}"
        shutil.rmtree(self.path, ignore_errors=True)
        os.mkdir(self.path, 0o700)
        with open(os.path.join(self.recording.dir, ".session"), "w") as f:
            f.write(self.path + "\n")
        with open(os.path.join(self.path, "control"), "wb") as f:
            f.write(struct.pack("<QIIIIIIQ", SESSION_MAGIC, 2, pid, 0, 0, 4, 100, 7).ljust(65536, b"\0"))
        process = self.recording.process("prog", 100, functions=N)
        process.write_map((0, 0), 0, name="100.0.map", directory=self.path)
        shutil.rmtree(process.dir)

    def put(self, name, data):
        with open(os.path.join(self.path, name), "wb") as f:
            f.write(data)


@pytest.fixture
def session(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    s = Session(tmp_path, dead.pid)
    yield s
    shutil.rmtree(s.path, ignore_errors=True)


def test_repair(ftrace, session):
    written = [simple("+main", "+foo", "-foo"), [(2000, ENTRY, 3), (2010, EXIT, 3)],
               [(3000, ENTRY, 4), (3010, EXIT, 4), (3020, EXIT, 1)]]
    session.put("100.0.0", ring(4, written, discarded=0))
    session.put("100.0.1", bytes(4096 + 4 * PACKET_SIZE))	# its maker did not finish the header
    done = run(ftrace, "replay", "-i", session.recording.dir)
    assert "its recorder was killed" in done.stderr
    assert shape(done.stdout.split("\n")[4:-1]) == ["main() {", "  foo();", "  bar();", "  baz();", "}"]
    assert not os.path.exists(session.path)
    assert not os.path.exists(os.path.join(session.recording.dir, ".session"))
    again = run(ftrace, "replay", "-i", session.recording.dir)
    assert again.stderr == "" and again.stdout == done.stdout
    info = open(os.path.join(session.recording.dir, "info")).read()
    assert "recorded=interrupted\n" in info and "records=8\n" in info
    assert "command=./prog" in info
    babeltrace(session.recording, 8)


def test_repair_of_a_flight_recorder(ftrace, session):
    written = [[(1000 + 100 * k, ENTRY, 2), (1010 + 100 * k, EXIT, 2)] for k in range(11)]
    session.put("100.0.0", ring(4, written, overwrite=1, tail=7))
    found = report(ftrace, session.recording)
    assert found["records"] == 8 and found["lost"] == 0	# packets 7, 8, 9 and the open one, 10
    babeltrace(session.recording, 8)


def test_repair_continues_what_the_recorder_wrote(ftrace, session):
    """Packets 0 and 1 are in the file, the second only in half, and not taken from the ring."""
    written = [[(1000 + 100 * k, ENTRY, 2), (1010 + 100 * k, EXIT, 2)] for k in range(4)]
    session.put("100.0.0", ring(4, written, tail=0))
    os.mkdir(os.path.join(session.recording.dir, "prog-100.0"))
    with open(os.path.join(session.recording.dir, "prog-100.0", "stream-0"), "wb") as f:
        f.write(packet(100, written[0], 0) + packet(100, written[1], 1)[:70])
    assert report(ftrace, session.recording)["functions"][0]["calls"] == 4
    babeltrace(session.recording, 8)


def test_repair_is_refused_while_the_recorder_lives(ftrace, tmp_path):
    s = Session(tmp_path, 0)
    recorder = subprocess.Popen(["sleep", "60"])
    stop = threading.Event()
    try:
        with open(os.path.join(s.path, "control"), "r+b") as f:
            control = mmap.mmap(f.fileno(), 65536)
        struct.pack_into("<I", control, 12, recorder.pid)

        def beat():
            count = 0
            while not stop.wait(0.05):
                count += 1
                struct.pack_into("<Q", control, 32, count)

        thread = threading.Thread(target=beat)
        thread.start()
        done = run(ftrace, "info", "-i", s.recording.dir, status=1)
        assert "still recording" in done.stderr and f"kill -INT {recorder.pid}" in done.stderr
        assert os.path.exists(s.path)
        assert struct.unpack_from("<I", control, 16)[0] == 0	# nobody was told to stop
        stop.set()
        thread.join()
        # The pid lives, but it is not the recorder: no heartbeat, another program.
        assert run(ftrace, "info", "-i", s.recording.dir).returncode == 0
        assert struct.unpack_from("<I", control, 16)[0] == 1
    finally:
        stop.set()
        recorder.kill()
        recorder.wait()
        shutil.rmtree(s.path, ignore_errors=True)


def test_session_directory_gone(ftrace, tmp_path):
    r = varied(tmp_path / "r")
    with open(os.path.join(r.dir, ".session"), "w") as f:
        f.write("/dev/shm/ftrace-was-here\n")
    done = run(ftrace, "info", "-i", r.dir)
    assert "is gone" in done.stderr
    assert run(ftrace, "info", "-i", r.dir).stderr == ""


@pytest.mark.limit(300)
def test_damaged_sessions(sanitized, tmp_path):
    for case in range(40):
        rng = random.Random(case)
        s = Session(tmp_path / str(case), 0)
        written = [[(1000 + 100 * k, ENTRY, 2), (1010 + 100 * k, EXIT, 2)] for k in range(6)]
        s.put("100.0.0", ring(4, written, tail=2, overwrite=case & 1))
        for _ in range(rng.randint(1, 6)):
            name = os.path.join(s.path, rng.choice(("control", "100.0.map", "100.0.0", "100.0.0")))
            with open(name, "r+b") as f:
                data = bytearray(f.read(200000))
                if rng.random() < 0.2:
                    f.truncate(rng.randrange(len(data)))
                    continue
                for _ in range(rng.randint(1, 6)):
                    f.seek(rng.choice((rng.randrange(160), 4096 + rng.randrange(200),
                                       rng.randrange(len(data)))))
                    f.write(bytes([rng.randrange(256)]))
        try:
            survive([sanitized, "report"], s.recording.dir, f"case {case}")
            survive([sanitized, "info"], s.recording.dir, f"case {case}")
        finally:
            shutil.rmtree(s.path, ignore_errors=True)

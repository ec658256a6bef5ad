# SPDX-License-Identifier: MIT
"""Writes recordings as include/ftrace/trace-format.h describes them, in any shape, sound or not."""
import os
import struct

ENTRY, EXIT, FUNCTION, EXTENDED = range(4)
PADDING, TAIL = 4, 5
MAGIC = 0xC1FC1FC1
MAP_MAGIC = 0x3170616D66747266
RING_MAGIC = 0x31676E7266747266
SESSION_MAGIC = 0x3173657366747266
PACKET_SIZE = 65536
HEADER = struct.Struct("<IIQQQQQQII")
MAP_HEADER = struct.Struct("<QQIIIIQIIQQQQQQII16s16s1024s")
HZ = 2_000_000_000


def word(time, event, site):
    return (time & 0xFFFFFFFF) | event << 32 | site << 34


def packet(tid, records, seq=0, discarded=0, begin=None, end=None):
    """records: [(ticks, event, site)], all with one upper half."""
    if records:
        begin = records[0][0] if begin is None else begin
        end = records[-1][0] if end is None else end
    begin = begin or 0
    end = begin if end is None else end
    assert all(t >> 32 == begin >> 32 for t, _, _ in records)
    bits = (HEADER.size + 8 * len(records)) * 8
    return HEADER.pack(MAGIC, 0, begin, end, bits, bits, discarded, seq, tid, 0) + \
        struct.pack(f"<{len(records)}Q", *[word(*r) for r in records])


def packets(tid, records, seq=0, per_packet=8184, discarded=0):
    """Cuts records at full packets and where the upper half of the time changes."""
    out, part = [], []
    for record in records:
        if part and (len(part) == per_packet or record[0] >> 32 != part[0][0] >> 32):
            out.append(packet(tid, part, seq + len(out), discarded))
            part = []
        part.append(record)
    if part:
        out.append(packet(tid, part, seq + len(out), discarded))
    return out


class Process:
    def __init__(self, recording, comm, pid, gen=0, start=1000, functions=(), parent=None,
                 inherited=0, text=None, **header):
        self.recording, self.comm, self.pid, self.gen, self.start = recording, comm, pid, gen, start
        self.dir = os.path.join(recording.dir, f"{comm}-{pid}.{gen}")
        os.makedirs(self.dir)
        self.streams = 0
        if text is None:
            text = "o 1 400000 - /bin/" + comm + "\n" if functions else ""
            for i, name in functions:
                text += f"s {i:x} 1 {0x1000 + 16 * i:x} 10 {name}\n"
        self.text = text
        self.write_map(parent or (0, 0), inherited, **header)

    def write_map(self, parent, inherited, untraceable=0, calls_dropped=0, calls_unshadowed=0,
                  name=".map", directory=None):
        text = self.text.encode()
        r = self.recording
        header = MAP_HEADER.pack(
            MAP_MAGIC, len(text), self.pid, self.gen, parent[0], parent[1], inherited,
            self.streams, 1, self.start, r.mono(self.start), r.real(self.start), calls_unshadowed,
            calls_dropped, 0, untraceable, 8, self.comm.encode(), b"x86_64",
            b"/bin/" + self.comm.encode())
        with open(os.path.join(directory or self.dir, name), "wb") as f:
            f.write(header.ljust(4096, b"\0") + text)

    def stream(self, parts):
        """parts: bytes of packets, one after the other."""
        name = os.path.join(self.dir, f"stream-{self.streams}")
        self.streams += 1
        with open(name, "wb") as f:
            for part in parts:
                f.write(part)
        return name

    def thread(self, tid, records, **how):
        return self.stream(packets(tid, records, **how))


class Recording:
    MONO0, REAL0 = 5_000_000_000_000, 1_700_000_000_000_000_000

    def __init__(self, directory, hz=HZ, info=None):
        self.dir, self.hz = str(directory), hz
        os.makedirs(self.dir, exist_ok=True)
        self.info = {"version": 1, "command": "./prog 'an arg'", "start_real_ns": self.REAL0,
                     "tick_hz": hz, "machine": "x86_64", "status": 0, "recorded": "complete"}
        self.info.update(info or {})
        self.write_info()

    def ns(self, ticks):
        return ticks * 1_000_000_000 // self.hz

    def mono(self, ticks):
        return self.MONO0 + self.ns(ticks)

    def real(self, ticks):
        return self.REAL0 + self.ns(ticks)

    def write_info(self):
        with open(os.path.join(self.dir, "info"), "w") as f:
            for key, value in self.info.items():
                f.write(f"{key}={value}\n")

    def process(self, comm, pid, **how):
        return Process(self, comm, pid, **how)

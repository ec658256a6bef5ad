# SPDX-License-Identifier: MIT
"""Plans by hand for the tests of the engine: what `objdump -d` shows of simple functions. No proof that
nothing jumps into the moved bytes beyond what a look through the disassembly gives.

makeplan.py OBJECT PLAN [NAME...]: those functions only
"""
import os
import re
import struct
import subprocess
import sys

HEADER = "<IIIIQQQ44sIIIIIIIIII4x"
SITE = 5
LINE = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)$")


def checksum(data):
    prime, mask = 0x9e3779b97f4a7c15, (1 << 64) - 1
    lane = [1, 2, 3, 4]
    for i, (word,) in enumerate(struct.iter_unpack("<Q", data)):
        mixed = lane[i % 4] ^ word
        lane[i % 4] = ((mixed << 27 | mixed >> 37) & mask) * prime & mask
    total = (lane[0] * prime ^ lane[1]) & mask
    for value in lane[2:]:
        total = (total * prime & mask) ^ value
    return (total * prime & mask) >> 32


def functions(path):
    """(vaddr, size, name) of function symbols, one an address."""
    found = {}
    out = subprocess.run(["nm", "-S", "--defined-only", path], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    for line in out.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwWi":
            found.setdefault(int(fields[0], 16), (int(fields[1], 16), fields[3]))
    return sorted((vaddr, size, name) for vaddr, (size, name) in found.items())


def disassemble(path):
    """vaddr -> (bytes, text) of every instruction, and all targets of jumps and calls."""
    code, targets = {}, set()
    out = subprocess.run(["objdump", "-dw", "--no-show-raw-insn", path], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    out = subprocess.run(["objdump", "-dw", path], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    for line in out.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        raw, text = bytes.fromhex(match[2]), match[3]
        code[int(match[1], 16)] = (raw, text)
        jump = re.match(r"(?:bnd |notrack )?(?:j\w+|call|loop\w*)\s+([0-9a-f]+) ", text)
        if jump:
            targets.add(int(jump[1], 16))
    return code, targets


def template(code, vaddr):
    """(moved length, template bytes) or a reason."""
    out, fixups, copied, at = bytearray(), [], [], 0
    while at < SITE:
        if vaddr + at not in code:
            return "cannot be decoded"
        raw, text = code[vaddr + at]
        copied.append((len(out), at, 0))
        if raw[0] == 0xe8:                    # call: push of the return address, and a jump
            back = vaddr + at + 5
            out += b"\x68\0\0\0\0"            # push; its other half by movl
            return "a call: left to the planner" if back else ""
        if re.match(r"(bnd |notrack )?(j\w+|loop\w*|call|xbegin)", text):
            if re.match(r"jmp\s+[0-9a-f]+ ", text) and raw[0] == 0xe9:
                rel = struct.unpack("<i", raw[1:5])[0]
                fixups.append((len(out) + 1, 0, 0, vaddr + at + 5 + rel))
                out += raw
                at += 5
                continue
            return "a branch: left to the planner"
        if "(%rip)" in text:
            target = int(re.search(r"# ([0-9a-f]+)", text)[1], 16)
            disp = struct.pack("<i", target - (vaddr + at + len(raw)))
            where = raw.rindex(disp)
            fixups.append((len(out) + where, 0, len(raw) - where - 4, target))
        out += raw
        at += len(raw)
    copied.append((len(out), at, 0))
    fixups.append((len(out) + 1, 0, 0, vaddr + at))
    out += b"\xe9\0\0\0\0"
    data = struct.pack("<BBBBI", len(out), len(fixups), len(copied), 0, 0)
    for where, kind, behind, target in fixups:
        data += struct.pack("<BBB5xQ", where, kind, behind, target)
    for entry in copied:
        data += struct.pack("<BBBx", *entry)
    data += bytes(out)
    return at, data + bytes(-len(data) % 8)


def build_id(path):
    out = subprocess.run(["readelf", "-n", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    match = re.search(r"Build ID: ([0-9a-f]+)", out)
    return match[1] if match else ""


def make(path, names=None):
    code, targets = disassemble(path)
    strings, templates, funcs = bytearray(b"\0"), bytearray(), []

    def string(text):
        at = len(strings)
        strings.extend(text.encode() + b"\0")
        return at
    for vaddr, size, name in functions(path):
        if names and name not in names or vaddr not in code:
            continue
        made = template(code, vaddr)
        if not isinstance(made, str) and any(t in targets for t in range(vaddr + 1, vaddr + made[0])):
            made = "a branch leads into it"
        if not isinstance(made, str) and made[0] > size:
            made = "too short"
        if isinstance(made, str):
            funcs.append(struct.pack("<QIIIIBBB20sx", vaddr, size, string(name), string(made), 0, 0,
                                     0, 0, b""))
            continue
        length, data = made
        orig, at = b"", vaddr
        while len(orig) < length:
            orig += code[at][0]
            at += len(code[at][0])
        funcs.append(struct.pack("<QIIIIBBB20sx", vaddr, size, string(name), 0, len(templates), 8,
                                 0, length, orig))
        templates += data
    strings += bytes(-len(strings) % 8) or bytes(8)
    size = struct.calcsize(HEADER)
    assert size % 8 == 0 and all(len(f) == 48 for f in funcs)
    body = b"".join(funcs) + bytes(templates) + bytes(strings)
    stat = os.stat(path)
    tables = size + 48 * len(funcs)
    return struct.pack(HEADER, 0x504c4e31, 2, 62 | 1 << 31, 0, size + len(body), stat.st_size,
                       stat.st_mtime_ns, build_id(path).encode(), len(funcs), size, 0, size,
                       tables + len(templates), len(strings), tables, len(templates),
                       checksum(body), 0) + body


if __name__ == "__main__":
    with open(sys.argv[2], "wb") as file:
        file.write(make(sys.argv[1], sys.argv[3:]))

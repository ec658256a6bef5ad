#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: uprobes.py [--entry | --exit] PROGRAM SYMBOL COMMAND...

Runs COMMAND while the kernel's uprobe and uretprobe at SYMBOL of PROGRAM write events into a ring
of the kernel; --entry, --exit: one of the two, with a filter that lets no event through. Mounts a tracefs where it is alone with it: to be run by `unshare -m`, as root.
Prints what COMMAND prints. Exit status 3, with the reason: uprobes are not to be had here."""
import os
import re
import subprocess
import sys
import tempfile

GROUP = f"ftbench{os.getpid()}"


def file_offset(program, symbol):
    """Where in the file the function's code begins."""
    symbols = subprocess.run(["readelf", "-sW", program], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(rf"^\s*\d+: ([0-9a-f]+) .* {re.escape(symbol)}$", symbols, re.M)
    if not found:
        sys.exit(f"{program}: no symbol {symbol}")
    address = int(found.group(1), 16)
    headers = subprocess.run(["readelf", "-lW", program], stdout=subprocess.PIPE, text=True).stdout
    for offset, start, size in re.findall(r"LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", headers):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address - int(start, 16) + int(offset, 16)
    sys.exit(f"{program}: {symbol} lies in no segment")


def put(path, text):
    """Adds @text; control files of the kernel take one write and no seek."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def hits(tracefs, name):
    """How often the kernel counts that the probe was hit."""
    with open(f"{tracefs}/uprobe_profile") as profile:
        for line in profile:
            words = line.split()
            if words[-2] == name:
                return int(words[-1])
    return 0


def measure(tracefs, probes, where, quiet, command):
    """@command's exit status. 3: no probes."""
    instance = f"{tracefs}/instances/{GROUP}"
    events = f"{instance}/events/{GROUP}"
    try:
        for name in probes:
            put(f"{tracefs}/uprobe_events", f"{'p' if name == 'entry' else 'r'}:{GROUP}/{name} {where}\n")
        os.mkdir(instance)
        if quiet:
            for name in probes:
                put(f"{events}/{name}/filter", "common_pid == 0")
        put(f"{events}/enable", "1")
        status = subprocess.run(command).returncode
        if not status and not all(hits(tracefs, name) for name in probes):
            print("uprobes were set, but none was hit", file=sys.stderr)
            status = 1
        return status
    except OSError as error:
        print(f"uprobes: {error}", file=sys.stderr)
        return 3
    finally:
        if os.path.isdir(instance):
            put(f"{events}/enable", "0")
            os.rmdir(instance)
        for name in probes:
            try:
                put(f"{tracefs}/uprobe_events", f"-:{GROUP}/{name}\n")
            except OSError:
                pass


def main():
    quiet = sys.argv[1] in ("--entry", "--exit")
    probes = [sys.argv.pop(1)[2:]] if quiet else ["entry", "exit"]
    program, symbol, command = os.path.realpath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    tracefs = tempfile.mkdtemp()
    mounted = subprocess.run(["mount", "-t", "tracefs", "nodev", tracefs], stderr=subprocess.PIPE,
                             text=True)
    try:
        if mounted.returncode or not os.path.exists(f"{tracefs}/uprobe_events"):
            print(f"no uprobe_events: {mounted.stderr.strip() or 'this kernel has none'}", file=sys.stderr)
            return 3
        return measure(tracefs, probes, f"{program}:{file_offset(program, symbol):#x}", quiet, command)
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", tracefs])
        os.rmdir(tracefs)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: uprobes.py PROGRAM SYMBOL COMMAND...

Runs COMMAND while the kernel's uprobe and uretprobe at SYMBOL of PROGRAM write events into a ring
of the kernel. Mounts a tracefs where it is alone with it: to be run by `unshare -m`, as root.
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


def main():
    program, symbol, command = os.path.realpath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    tracefs = tempfile.mkdtemp()
    mounted = subprocess.run(["mount", "-t", "tracefs", "nodev", tracefs], stderr=subprocess.PIPE,
                             text=True)
    if mounted.returncode or not os.path.exists(f"{tracefs}/uprobe_events"):
        print(f"no uprobe_events: {mounted.stderr.strip()}", file=sys.stderr)
        return 3
    where = f"{program}:{file_offset(program, symbol):#x}"
    instance = f"{tracefs}/instances/{GROUP}"
    try:
        put(f"{tracefs}/uprobe_events", f"p:{GROUP}/entry {where}\n")
        put(f"{tracefs}/uprobe_events", f"r:{GROUP}/exit {where}\n")
        os.mkdir(instance)
        put(f"{instance}/events/{GROUP}/enable", "1")
        status = subprocess.run(command).returncode
        with open(f"{instance}/trace_pipe") as events:
            os.set_blocking(events.fileno(), False)
            try:
                seen = events.read(4096)
            except (OSError, TypeError):
                seen = ""
        if not status and "entry" not in (seen or ""):
            print("uprobes were set, but no event came", file=sys.stderr)
            status = 1
        return status
    except OSError as error:
        print(f"uprobes: {error}", file=sys.stderr)
        return 3
    finally:
        if os.path.isdir(instance):
            put(f"{instance}/events/{GROUP}/enable", "0")
            os.rmdir(instance)
        for name in ("entry", "exit"):
            try:
                put(f"{tracefs}/uprobe_events", f"-:{GROUP}/{name}\n")
            except OSError:
                pass
        subprocess.run(["umount", tracefs])
        os.rmdir(tracefs)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""A virtual s390x machine with Debian's kernel, which runs 64-bit and 31-bit programs; see init.c."""
import gzip
import os
import re
import shutil
import stat
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SYSROOT = "/usr/s390x-linux-gnu"
PRIVATE_APT = """APT::Architecture "s390x";
APT::Architectures {{ "s390x"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{0}/state";
Dir::Cache "{0}/cache";
Dir::State::status "/dev/null";
"""


class Unavailable(Exception):
    """Why there is no such machine here."""


def kernel(folder):
    """The kernel, from Debian's archive, by an apt that keeps its lists in @folder alone."""
    image = os.path.join(folder, "vmlinuz")
    if os.path.exists(image):
        return image
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            raise Unavailable(f"no {tool} to get an s390x kernel with")
    for part in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    config = os.path.join(folder, "apt.conf")
    with open(config, "w") as f:
        f.write(PRIVATE_APT.format(folder))
    environment = dict(os.environ, APT_CONFIG=config)

    def call(*command):
        try:
            return subprocess.run(command, cwd=folder, env=environment, check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=300).stdout
        except (subprocess.SubprocessError, OSError) as error:
            last = (getattr(error, "stdout", "") or "").strip().splitlines()[-1:]
            raise Unavailable(f"no s390x kernel: {' '.join(command)}: {error} {last}") from None

    call("apt-get", "update")
    package = re.search(r"Depends: (linux-image-\S+)", call("apt-cache", "depends", "linux-image-s390x"))
    if not package:
        raise Unavailable("no s390x kernel: Debian's archive has no linux-image-s390x")
    call("apt-get", "download", package.group(1))
    deb = [name for name in os.listdir(folder) if name.endswith(".deb")]
    call("dpkg-deb", "-x", deb[0], "unpacked")
    boot = os.path.join(folder, "unpacked", "boot")
    found = [name for name in os.listdir(boot) if name.startswith("vmlinuz")]
    shutil.move(os.path.join(boot, found[0]), image)
    shutil.rmtree(os.path.join(folder, "unpacked"))
    os.unlink(os.path.join(folder, deb[0]))
    return image


class Archive:
    """A cpio archive (newc), the file system of the machine."""

    def __init__(self):
        self.parts, self.inode, self.folders = [], 0, set()

    def entry(self, name, mode, data=b""):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, path):
        parent = os.path.dirname(path)
        if path and path not in self.folders:
            self.folder(parent)
            self.folders.add(path)
            self.entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, source=None, data=None):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        if data is None:
            with open(source, "rb") as f:
                data = f.read()
        self.entry(path, stat.S_IFREG | 0o755, data)

    def image(self):
        self.entry("TRAILER!!!", 0)
        return gzip.compress(b"".join(self.parts), 1)


LIBRARIES = {"lib": ["ld64.so.1"], "lib32": ["ld.so.1"]}
COMMON = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "libgcc_s.so.1", "libstdc++.so.6"]


class Machine:
    """Collect files and commands, run() them all in one go."""

    def __init__(self, work):
        self.work, self.commands, self.archive = work, [], Archive()
        os.makedirs(work, exist_ok=True)
        if not shutil.which("qemu-system-s390x"):
            raise Unavailable("no qemu-system-s390x (Debian package qemu-system-misc)")
        init = os.path.join(work, "init")
        subprocess.run(["s390x-linux-gnu-gcc", "-static", "-O1", "-Wall", os.path.join(HERE, "init.c"),
                        "-o", init], check=True)
        self.archive.file("init", init)
        for folder, own in LIBRARIES.items():
            for name in own + COMMON:
                self.archive.file(f"{folder}/{name}", os.path.join(SYSROOT, folder, name))
        self.archive.file("lib/ld.so.1", os.path.join(SYSROOT, "lib32/ld.so.1"))

    def add(self, path, source=None, data=None):
        self.archive.file(path, source, data)

    def command(self, text, seconds=60):
        """Returns the command's number."""
        self.commands.append(text if text.startswith(("send ", "remove ")) else f"{seconds} {text}")
        return len(self.commands) - 1

    def run(self, image, timeout=540):
        """What each command printed and its wait status, by number; the files that were sent."""
        self.archive.file("commands", data=("\n".join(self.commands) + "\n").encode())
        ramdisk = os.path.join(self.work, "ramdisk.gz")
        with open(ramdisk, "wb") as f:
            f.write(self.archive.image())
        log = os.path.join(self.work, "console.log")
        # One processor: with two, qemu 7.2 now and then runs code that has been changed into a fault.
        command = ["qemu-system-s390x", "-M", "s390-ccw-virtio", "-m", "768", "-smp", "1", "-nographic",
                   "-no-reboot", "-kernel", image, "-initrd", ramdisk, "-append",
                   "console=ttysclp0 panic=-1 quiet rdinit=/init"]
        with open(log, "wb") as out:
            try:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out,
                               stderr=subprocess.STDOUT, timeout=timeout)
            except subprocess.TimeoutExpired:
                pass
        with open(log, "rb") as f:
            return parse(f.read().decode(errors="replace").replace("\r", ""))


def parse(console):
    results, files, lines, number, path = {}, {}, [], None, None
    for line in console.split("\n"):
        if line.startswith("@@ begin "):
            number, lines, path = int(line.split()[2]), [], None
        elif line.startswith("@@ end "):
            text = "\n".join(lines)
            results[number] = (text[:-1] if text.endswith("\n") else text, int(line.split()[3]))
            number = None
        elif line.startswith("@@ file "):
            path = line[8:]
            files[path] = bytearray()
        elif line.startswith("@=") and path:
            files[path] += bytes.fromhex(line[2:])
        elif number is not None:
            lines.append(line)
    if number is not None:	# it died there
        results[number] = ("\n".join(lines), -1)
    return results, files

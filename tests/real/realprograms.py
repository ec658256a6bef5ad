# SPDX-License-Identifier: MIT
"""usage: realprograms.py [NAME...]	(lua sqlite zstd jq redis; default: all)

Real programs from Debian's sources, built by their own build systems with five nops at each
function's entry. Sources and builds are kept below build/real.
"""
import fcntl
import glob
import os
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import ftracetest	# noqa: E402

FOLDER = os.path.join(ftracetest.BUILD, "real")
FETCH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                     "tools", "fetch-source")
FLAGS = "-O2 -g " + ftracetest.PATCHABLE
JOBS = "-j2"


class Unavailable(Exception):
    """Why a program cannot be had here; a reason to skip, with its text."""


def fetch(package):
    """Unpacks the upstream source of a Debian source package, without Debian's patches; returns its
    folder."""
    folder = os.path.join(FOLDER, "src", package)
    if not os.path.exists(os.path.join(folder, ".done")):
        downloads = os.path.join(FOLDER, "debian")
        done = subprocess.run([FETCH, downloads, package], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              check=False)
        if done.returncode:
            raise Unavailable(done.stdout.strip())
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        for name in glob.glob(os.path.join(downloads, package + "_*.orig.tar.*")):
            if not name.endswith(".asc"):
                with tarfile.open(name) as tar:
                    tar.extractall(folder)
        with open(os.path.join(folder, ".done"), "w", encoding="ascii"):
            pass
    (top,) = [name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name))]
    return os.path.join(folder, top)


def shell(script, cwd, log):
    with open(log, "ab") as out:
        done = subprocess.run(["sh", "-ec", script], cwd=cwd, stdout=out, stderr=out, check=False,
                              stdin=subprocess.DEVNULL, start_new_session=True)
    if done.returncode:
        with open(log, encoding="utf-8", errors="replace") as file:
            raise RuntimeError(f"{cwd}: {script}: status {done.returncode}\n" +
                               "".join(file.readlines()[-15:]))


# name: source package, tools it needs, how it is built, file that shows it is
PROGRAMS = {
    "lua": ("lua5.4", ["make"], f"make {JOBS} linux MYCFLAGS='{FLAGS}'", "src/lua"),
    "sqlite": ("sqlite3", ["make", "tclsh"],
               f"[ -f Makefile ] || ./configure --disable-tcl --disable-shared CFLAGS='{FLAGS}'\n"
               f"make {JOBS} sqlite3 speedtest1 fuzzcheck threadtest3", "threadtest3"),
    "zstd": ("libzstd", ["make"],
             f"make {JOBS} -C programs zstd MOREFLAGS='{FLAGS}' HAVE_ZLIB=0 HAVE_LZMA=0 HAVE_LZ4=0\n"
             f"make {JOBS} -C tests fuzzer zstreamtest datagen MOREFLAGS='{FLAGS}'",
             "tests/zstreamtest"),
    "jq": ("jq", ["make", "autoreconf", "libtoolize"],
           "[ -f configure ] || autoreconf -fi\n"
           "[ -f Makefile ] || ./configure --disable-docs --disable-maintainer-mode "
           f"--disable-shared --enable-static --without-oniguruma CFLAGS='{FLAGS}'\n"
           f"make src/builtin.inc src/version.h\nmake {JOBS} jq", "jq"),
    "redis": ("redis", ["make"],
              f"make {JOBS} MALLOC=libc OPTIMIZATION=-O2 REDIS_CFLAGS={ftracetest.PATCHABLE} "
              "BUILD_TLS=no USE_SYSTEMD=no", "src/redis-benchmark"),
}


def get(name):
    """Builds the program unless it is built; returns its source folder. Unavailable when it
    cannot be had here, RuntimeError when its build fails."""
    package, tools, script, result = PROGRAMS[name]
    for tool in tools:
        if not ftracetest.have(tool):
            raise Unavailable(f"no {tool}, which the build of {name} needs")
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        top = fetch(package)
        if not os.path.exists(os.path.join(top, result)):
            shell(script, top, os.path.join(FOLDER, name + ".log"))
        return top


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PROGRAMS:
        print(wanted, get(wanted), flush=True)

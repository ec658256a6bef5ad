# SPDX-License-Identifier: MIT
"""What the tests of the finder share: programs in every form and kind, and what is found in them.

find-dump prints what engine/find.c says of an object; nm is the judge of what it should say.
"""
import itertools
import lzma
import os
import re
import shutil
import subprocess
from collections import namedtuple

import pytest

import ftracetest
from ftracetest import compile_once, compiler_for, compiles, have

HERE = os.path.dirname(os.path.abspath(__file__))
INC = os.path.join(HERE, "functions.inc")
DUMP = os.path.join(ftracetest.BUILD, "tests", "find", "find-dump")

# form: flags, and what find-dump may call it (with the length of the site)
FORMS = {
    "nops5": ["-fpatchable-function-entry=5"],
    "nops16_8": ["-fpatchable-function-entry=16,8"],
    "short7_5": ["-fpatchable-function-entry=7,5"],
    "short9_5": ["-fpatchable-function-entry=9,5"],
    "few3": ["-fpatchable-function-entry=3"],
    "few5_4": ["-fpatchable-function-entry=5,4"],
    "before5_5": ["-fpatchable-function-entry=5,5"],
    "mfentry_rec": ["-pg", "-mfentry", "-mrecord-mcount"],
    "mfentry_nop": ["-pg", "-mfentry", "-mrecord-mcount", "-mnop-mcount"],
    "mfentry": ["-pg", "-mfentry"],
    "mcount_rec": ["-pg", "-mrecord-mcount"],
    "mcount_nop": ["-pg", "-mrecord-mcount", "-mnop-mcount"],
    "mcount": ["-pg"],
}

# kind: compiler flags, linker flags
KINDS = {
    "pie": (["-fPIE"], ["-pie"]),
    "nopie": (["-fno-pie"], ["-no-pie"]),
    "shared": (["-fPIC"], ["-shared"]),
    "static": (["-fno-pie"], ["-static"]),
    "staticpie": (["-fPIE"], ["-static-pie"]),
    "gc": (["-fPIE", "-ffunction-sections"], ["-pie", "-Wl,--gc-sections", "-Wl,--emit-relocs"]),
    "relr": (["-fPIE"], ["-pie", "-Wl,-z,pack-relative-relocs"]),
    "lld": (["-fPIE"], ["-pie", "-fuse-ld=lld"]),
}

Site = namedtuple("Site", "vaddr entry size form len flags name")
Refused = namedtuple("Refused", "vaddr entry name reason")
ENTRY_ONLY, NAMELESS = 1, 2


class Found:
    def __init__(self, path):
        done = subprocess.run([DUMP, path], stdout=subprocess.PIPE, check=True)
        lines = done.stdout.decode().splitlines()
        self.sites, self.refused, self.error = [], [], None
        if lines[0].startswith("error "):
            self.error = int(lines[0].split()[-1])
            return
        fields = lines[0].split()
        self.object = dict(field.split("=", 1) for field in fields[2:])
        for line in lines[1:]:
            what, rest = line.split(" ", 1)
            if what == "site":
                v, e, size, form, length, flags, name = rest.split(" ", 6)
                self.sites.append(Site(int(v, 16), int(e, 16), int(size), form, int(length),
                                       int(flags), name))
            else:
                v, e, more = rest.split(" ", 2)
                name, reason = more.split(": ", 1)
                self.refused.append(Refused(int(v, 16), int(e, 16), name, reason))
        assert int(self.object["nfound"]) == len(self.sites) + len(self.refused)
        assert int(self.object["nrefused"]) == len(self.refused)
        addresses = [site.vaddr for site in self.sites]
        assert addresses == sorted(set(addresses)), "not sorted, or two sites at one address"

    def places(self):
        return {(site.vaddr, site.entry, site.form, site.len) for site in self.sites}


def command(*arguments):
    subprocess.run(arguments, check=True)


def symbols(path, *options):
    """name: (address, size) of the functions in path."""
    found = {}
    for line in subprocess.run(["nm", "-S", *options, path], stdout=subprocess.PIPE,
                               check=True).stdout.decode().splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwWi":
            found[fields[3]] = (int(fields[0], 16), int(fields[1], 16))
    return found


def object_file(form, cc, language, level, protection, kind):
    flags = [level, f"-fcf-protection={protection}", *FORMS[form], *KINDS[kind][0]]
    taken = compiles(cc, language, *flags)
    if taken is not True:
        return taken
    prefix = "_".join([cc, language.replace("+", "x"), level[1:], protection])
    file = os.path.join(HERE, "functions.cc" if language == "c++" else "functions.c")
    macros = [f"-DFORM={prefix}"] + (["-DBY_PATCHABLE"] if "patchable" in flags[2] else [])
    return compile_once([compiler_for(file, cc), "-g", "-c", "-w", *macros, *flags, file],
                        [file, INC], prefix + ".o")


def has_linker(flags):
    done = subprocess.run(["gcc", "-x", "c", "-", "-o", "/dev/null", *flags], input=b"int main(void)"
                          b" { return 0; }", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return not done.returncode and b"warning" not in done.stdout


def link(objects, form, kind, *more):
    main = os.path.join(HERE, "main.c")
    # The program itself keeps every object's functions: they are marked used.
    sources = [] if kind == "shared" else [main]
    if kind == "gc":	# a few of each object stay, in their middle and at their ends
        for name in [os.path.basename(o)[:-2] for o in objects]:
            mangled = (lambda n: f"_Z{len(n)}{n}{'llllll' if 'six' in n else 'i' if 'vla' in n else 'v'}"
                       ) if "_cxx_" in name else str
            more += tuple("-Wl,-u," + mangled(f"{name}_{keep}")
                          for keep in ("traced_first", "traced_six", "traced_vla"))
    pg = ["-pg"] if "-pg" in FORMS[form] and kind != "shared" else []
    return compile_once(["g++", "-w", *KINDS[kind][1], *KINDS[kind][0], *pg, *objects,
                         *(["-x", "c", main, "-x", "none"] if sources else []), *more],
                        [*objects, main], f"{form}_{kind}")


# What is compiled into one program. All levels where compiling differs; gcc lists a function of
# its own choice first when it optimises, which --gc-sections then takes for the user of all.
ALL = [("c", "-O0"), ("c", "-O2"), ("c", "-O3"), ("c++", "-O2")]
LEVELS = {"pie": ALL, "nopie": ALL, "shared": ALL, "gc": [("c", "-O0"), ("c++", "-O0")]}
RARE = {"short9_5": "pie", "few5_4": "pie", "before5_5": "pie", "mcount_rec": "pie", "mcount_nop": "nopie"}


def program(form, kind, *more):
    objects, reasons = [], set()
    for cc, (language, level), protection in itertools.product(
            ["gcc", "clang"], LEVELS.get(kind, [("c", "-O2"), ("c++", "-O2")]), ["none", "full"]):
        if not have(cc):
            reasons.add(f"{cc} is not installed")
            continue
        made = object_file(form, cc, language, level, protection, kind)
        if made.endswith(".o"):
            objects.append(made)
        else:
            reasons.add(made)
    if not objects:
        pytest.skip(f"no compiler takes {FORMS[form]} as {kind}: {'; '.join(sorted(reasons))}")
    try:
        return link(objects, form, kind, *more)
    except subprocess.CalledProcessError as error:
        if "record-mcount" not in str(FORMS[form]) or not re.search(
                "read-only|recompile with -fPIC", str(error.output)):
            raise
        # The compiler puts a list that needs relocation into read-only memory.
        words = [line for line in str(error.output).splitlines() if "rror" in line or "only" in line]
        pytest.skip(f"cannot be linked as {kind}: {words[0]}")
    return None


def copy(path, folder, name=None):
    target = os.path.join(folder, name or os.path.basename(path))
    shutil.copy(path, target)
    return target


def separate(path, folder, debug, link=True):
    """Splits path into folder/name and the file debug; with a debug link to it."""
    stripped = copy(path, folder)
    os.makedirs(os.path.dirname(debug), exist_ok=True)
    command("objcopy", "--only-keep-debug", path, debug)
    command("strip", stripped)
    if link:
        command("objcopy", f"--add-gnu-debuglink={debug}", stripped)
    return stripped


def add_debug_data(path, folder):
    """What Fedora's build tools do: the symbols that .dynsym lacks, in a small ELF file, with xz."""
    dynamic, keep = set(symbols(path, "-D")), os.path.join(folder, "keep")
    with open(keep, "w", encoding="ascii") as file:
        file.write("".join(name + "\n" for name in symbols(path) if name not in dynamic))
    mini, stripped = os.path.join(folder, "mini"), copy(path, folder)
    debug = os.path.join(folder, "all.debug")
    command("objcopy", "--only-keep-debug", path, debug)
    command("objcopy", "-S", "--remove-section=.gdb_index", "--remove-section=.comment",
            f"--keep-symbols={keep}", debug, mini)
    os.unlink(debug)
    with open(mini, "rb") as file:
        data = lzma.compress(file.read())
    with open(mini + ".xz", "wb") as file:
        file.write(data)
    command("strip", stripped)
    command("objcopy", "--add-section", f".gnu_debugdata={mini}.xz", stripped)
    return stripped


def compile_text(folder, text, *flags, name="x", cc="gcc"):
    path = os.path.join(folder, name)
    subprocess.run([cc, "-w", "-x", "c", "-", "-x", "none", "-o", path, *flags], check=True,
                   input=text.encode())
    return path

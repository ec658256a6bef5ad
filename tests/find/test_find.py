# SPDX-License-Identifier: MIT
"""The finder of functions against the symbol table: every compile form, kind of object, compiler,
level and protection; every way names are stripped and kept elsewhere; damaged files.

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
FUZZ = os.path.join(ftracetest.BUILD, "tests", "find", "find-fuzz")

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
EXPECTED = {
    "nops5": {"nop", "nops"}, "nops16_8": {"nop", "nops"}, "short7_5": {"short"},
    "short9_5": {"short"}, "few3": set(), "few5_4": set(), "before5_5": set(),
    "mfentry_rec": {"call", "call-got"}, "mfentry_nop": {"nop"}, "mfentry": {"call", "call-got"},
    "mcount_rec": {"mcount", "mcount-got"}, "mcount_nop": {"mcount"}, "mcount": {"mcount", "mcount-got"},
}
REASONS = {"few3": "too few nops", "few5_4": "too few nops", "before5_5": "all its nops are before"}

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


def wanted(path):
    """Addresses of the functions that were compiled for tracing: name(s) by address."""
    by_address = {}
    for name, (address, _) in symbols(path).items():
        if "traced_" in name and ".cold" not in name:
            by_address.setdefault(address, set()).add(name)
    return by_address


def read_code(path):
    """A function (address, length) -> bytes as they stand in the loaded file."""
    segments = []
    output = subprocess.run(["readelf", "-lW", path], stdout=subprocess.PIPE, check=True).stdout
    for line in output.decode().splitlines():
        fields = line.split()
        if fields and fields[0] == "LOAD":
            segments.append([int(f, 16) for f in (fields[1], fields[2], fields[4])])
    with open(path, "rb") as file:
        data = file.read()

    def code(address, length):
        for offset, start, size in segments:
            if start <= address and address + length <= start + size:
                return data[offset + address - start:][:length]
        raise AssertionError(f"{address:x} is not in the file")
    return code


ENDBR = b"\xf3\x0f\x1e\xfa"


def check_bytes(code, site):
    at = code(site.vaddr, site.len)
    pad = 4 if code(site.entry, 4) == ENDBR else 0
    where = f"{site}: {at.hex()}"
    if site.form in ("nop", "nops"):
        assert re.fullmatch(rb"(?:\x66*\x90|\x66*\x2e?\x0f\x1f[\x00\x40\x44\x80\x84].*)+", at,
                            re.DOTALL), where
        assert site.len >= 5, where
    elif site.form == "short":
        assert 2 <= site.len <= 4 and at[0] in (0x90, 0x66, 0x0f), where
        before = code(site.entry - 5, 5)
        assert before in (b"\x90" * 5, b"\x0f\x1f\x44\0\0"), where
    elif site.len == 5:
        assert at[0] == 0xe8 or at == b"\x0f\x1f\x44\0\0", where
    else:
        assert site.len == 6 and at[:2] in (b"\xff\x15", b"\x67\xe8"), where
    if site.form.startswith("mcount"):
        assert site.vaddr > site.entry + pad, where
    else:
        assert site.vaddr == site.entry + pad, where


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


def check(path, form):
    found, expected, code = Found(path), wanted(path), read_code(path)
    assert found.error is None
    assert len(expected) > 10
    ours = {site.entry: site for site in found.sites
            if "traced_" in site.name or "plain_" in site.name}
    refused = {r.entry: r for r in found.refused if "traced_" in r.name or "plain_" in r.name}
    missing = {a: n for a, n in expected.items() if a not in ours and a not in refused}
    extra = [s for a, s in [*ours.items(), *refused.items()] if a not in expected]
    assert not missing and not extra, (missing, extra)
    if form in REASONS:
        assert all(r.reason.startswith(REASONS[form]) for r in refused.values())
        assert len(refused) > len(ours)
    else:
        assert not refused, list(refused.values())[:5]
    for site in ours.values():
        # A loop at the beginning is aligned with more nops, which serve as well.
        more = {"nops", "nop", "short"} if "patchable" in FORMS[form][0] and (
            "_noreturn" in site.name or "_loop_at_" in site.name) else set()
        assert site.form in EXPECTED[form] | more, site
        assert site.name in expected[site.entry], site
        assert site.size == symbols_of(path)[site.name][1], site
        # The realigned frame holds a copy of the return address only.
        if site.flags:
            assert site.flags == ENTRY_ONLY and "realigned" in site.name, site
            assert form.startswith("mcount"), site
        check_bytes(code, site)
    return found


def symbols_of(path):
    if path not in symbols_of.known:
        symbols_of.known[path] = symbols(path)
    return symbols_of.known[path]


symbols_of.known = {}


@pytest.mark.parametrize("form,kind", [(form, kind) for form in FORMS for kind in KINDS
                                       if RARE.get(form, kind) == kind])
def test_matrix(form, kind):
    if not has_linker(KINDS[kind][1]):
        pytest.skip(f"the linker does not take {' '.join(KINDS[kind][1])}")
    check(program(form, kind), form)


# ---- names from elsewhere ----

STRIPPED = [(form, kind) for form in ("nops5", "nops16_8", "short7_5", "mfentry", "mfentry_rec",
                                      "mcount") for kind in ("pie", "shared")]


def copy(path, folder, name=None):
    target = os.path.join(folder, name or os.path.basename(path))
    shutil.copy(path, target)
    return target


@pytest.mark.parametrize("form,kind", STRIPPED)
def test_strip_debug(form, kind, tmp_path):
    path = program(form, kind)
    stripped = copy(path, tmp_path)
    command("strip", "--strip-debug", stripped)
    assert Found(stripped).sites == Found(path).sites
    assert Found(stripped).object["symbols"] == ".symtab"


@pytest.mark.parametrize("form,kind", STRIPPED)
def test_strip(form, kind, tmp_path):
    """The same places without any symbol but the dynamic ones, which give names to some."""
    path = program(form, kind)
    whole, stripped = Found(path), copy(path, tmp_path, "stripped")
    command("strip", stripped)
    found = Found(stripped)
    # Weak and COMDAT functions are there under one name; the places are what counts.
    assert found.places() == whole.places()
    dynamic = {a for a, _ in symbols(stripped, "-D").values()}
    names = {site.entry: site.name for site in whole.sites}
    for site in found.sites:
        if site.entry in dynamic:
            assert not site.flags & NAMELESS
            # Local names are lost, so another of several may be the best.
            assert site.name == names[site.entry] or "C1E" in site.name or "C2E" in site.name, site
        else:
            assert site.flags & NAMELESS and site.name == f"stripped+{site.entry:#x}", site
    if kind == "shared":
        assert found.object["symbols"] == ".dynsym"
        assert sum(not site.flags & NAMELESS for site in found.sites) > 100
    # Sizes come from the unwind table then.
    sizes = {site.entry: site.size for site in whole.sites}
    assert all(abs(site.size - sizes[site.entry]) < 64 for site in found.sites)


def separate(path, folder, debug, link=True):
    """Splits path into folder/name and the file debug; with a debug link to it."""
    stripped = copy(path, folder)
    os.makedirs(os.path.dirname(debug), exist_ok=True)
    command("objcopy", "--only-keep-debug", path, debug)
    command("strip", stripped)
    if link:
        command("objcopy", f"--add-gnu-debuglink={debug}", stripped)
    return stripped


@pytest.mark.parametrize("where", [".", ".debug"])
@pytest.mark.parametrize("form,kind", [("nops5", "pie"), ("short7_5", "shared"), ("mcount", "pie")])
def test_debug_link(form, kind, where, tmp_path):
    path = program(form, kind)
    debug = os.path.join(tmp_path, where, "its.debug")
    stripped = separate(path, tmp_path, debug)
    assert Found(stripped).sites == Found(path).sites
    assert os.path.samefile(Found(stripped).object["symbols"], debug)
    # Also by another name, from another folder: the object's own place counts.
    os.makedirs(os.path.join(tmp_path, "other"))
    link = os.path.join(tmp_path, "other", "link")
    os.symlink(stripped, link)
    assert Found(link).sites == Found(path).sites


def test_debug_link_of_another(tmp_path):
    """A debug file with another build id is not this object's."""
    path, other = program("nops5", "pie"), program("nops16_8", "pie")
    debug = os.path.join(tmp_path, "its.debug")
    stripped = separate(path, tmp_path, debug)
    command("objcopy", "--only-keep-debug", other, debug)
    found = Found(stripped)
    assert found.places() == Found(path).places()
    assert found.object["symbols"] != debug


def test_debug_link_checksum(tmp_path):
    """Without build ids the checksum in the link decides."""
    path = program("nops5", "pie", "-Wl,--build-id=none")
    assert Found(path).object["id"] == ""
    debug = os.path.join(tmp_path, "its.debug")
    stripped = separate(path, tmp_path, debug)
    assert Found(stripped).sites == Found(path).sites
    with open(debug, "ab") as file:
        file.write(b"x")
    assert Found(stripped).places() == Found(path).places()
    assert all(site.flags & NAMELESS for site in Found(stripped).sites)


def test_build_id(tmp_path):
    """/usr/lib/debug/.build-id/xx/yyy.debug"""
    path = program("nops5", "shared")
    ident = Found(path).object["id"]
    notes = subprocess.run(["readelf", "-nW", path], stdout=subprocess.PIPE, check=True).stdout
    assert f"Build ID: {ident}".encode() in notes
    folder = f"/usr/lib/debug/.build-id/{ident[:2]}"
    debug = f"{folder}/{ident[2:]}.debug"
    existed = os.path.isdir(folder)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        pytest.skip(f"{folder}: {error.strerror}")
    try:
        stripped = separate(path, tmp_path, debug, link=False)
        assert Found(stripped).sites == Found(path).sites
        assert Found(stripped).object["symbols"] == debug
    finally:
        os.unlink(debug)
        if not existed:
            os.rmdir(folder)


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


@pytest.mark.parametrize("form,kind", [("nops5", "pie"), ("nops16_8", "shared"), ("mfentry", "shared")])
def test_debug_data(form, kind, tmp_path):
    path = program(form, kind)
    stripped = add_debug_data(path, tmp_path)
    assert Found(stripped).sites == Found(path).sites
    assert Found(stripped).object["symbols"] == ".gnu_debugdata"


# ---- one thing each ----

def compile_text(folder, text, *flags, name="x", cc="gcc"):
    path = os.path.join(folder, name)
    subprocess.run([cc, "-w", "-x", "c", "-", "-x", "none", "-o", path, *flags], check=True,
                   input=text.encode())
    return path


def test_entry_only(tmp_path):
    names = ["vfork", "_setjmp", "__sigsetjmp", "getcontext", "swapcontext", "dlsym", "dlopen"]
    others = ["vforks", "my_setjmp", "dlsym_of"]
    text = "".join(f"int {name}(void) {{ return 1; }}\n" for name in names + others)
    text += "int alias_of_vfork(void) __attribute__((alias(\"vfork\")));\n"
    path = compile_text(tmp_path, text + "int main(void) { return 0; }", "-fno-builtin",
                        "-fpatchable-function-entry=5")
    flags = {site.name: site.flags for site in Found(path).sites}
    assert flags == {**{name: ENTRY_ONLY for name in names}, **{name: 0 for name in others},
                     "main": 0}


def test_tail_calls(tmp_path):
    """Who jumps to dlsym() passes its own return address on, and so does who jumps there."""
    text = """
        #include <dlfcn.h>
        #define N __attribute__((noinline))
        void *volatile kept;
        N void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
        N void *again(const char *name) { return next(name); }
        N void *once_more(const char *name) { return again(name); }
        N void *maybe(const char *name) { return name ? dlsym(RTLD_NEXT, name) : 0; }
        N void *not_tail(const char *name) { kept = dlsym(RTLD_NEXT, name); return kept; }
        N int other(int a) { while (a > 3) a /= 3; return a; }
        N int jumps(int a) { return other(a + 1); }
        int main(void) { return !again("x") + jumps(1); }"""
    for flags in (["-O2"], ["-O2", "-fno-plt"], ["-O2", "-no-pie", "-fno-pie"], ["-O2", "-fcf-protection"]):
        path = compile_text(tmp_path, "#define _GNU_SOURCE\n" + text, *flags,
                            "-fno-inline", "-fno-ipa-icf", *FORMS["nops5"])
        flagged = {site.name for site in Found(path).sites if site.flags & ENTRY_ONLY}
        assert flagged == {"next", "again", "once_more", "maybe"}, flags


def test_names_at_one_address(tmp_path):
    """Global before weak before local; the shortest; the first in the alphabet."""
    path = compile_text(tmp_path, """
        int bbb(void) { return 1; }
        int aaa(void) __attribute__((alias("bbb")));
        int longer(void) __attribute__((alias("bbb")));
        int w(void) __attribute__((weak, alias("bbb")));
        static int l(void) __attribute__((used, alias("bbb")));
        static int s(void) { return 2; }
        int weak_one(void) __attribute__((weak, alias("s")));
        int main(void) { return s(); }""", "-O0", "-fpatchable-function-entry=5")
    assert {site.name for site in Found(path).sites} == {"aaa", "weak_one", "main"}


def test_versioned_name(tmp_path):
    script = os.path.join(tmp_path, "map")
    with open(script, "w", encoding="ascii") as file:
        file.write("V1 { global: *; };\n")
    path = compile_text(tmp_path, """
        int impl(void) { return 3; }
        __asm__(".symver impl, f@@V1");""", "-shared", "-fPIC", "-fpatchable-function-entry=5",
        f"-Wl,--version-script={script}")
    assert "f@@V1" in symbols(path)
    assert [site.name for site in Found(path).sites] == ["f"]


def test_own_nops(tmp_path):
    """Nops of the function's own do not count where it jumps back to them."""
    text = """
        void spins(void) { for (;;) __asm__ volatile("nop"); }
        void passes(void) { __asm__ volatile("nop"); }
        int main(void) { return 0; }"""
    found = Found(compile_text(tmp_path, text, "-O1", "-fcf-protection=none",
                               "-fpatchable-function-entry=4"))
    assert [site.name for site in found.sites] == ["passes"]
    assert {r.name: r.reason.split(",")[0].split(":")[0] for r in found.refused} == {
        "spins": "too few nops", "main": "too few nops"}
    found = Found(compile_text(tmp_path, text, "-O1", *FORMS["nops5"]))
    assert len(found.sites) == 3


def test_no_information(tmp_path):
    """Neither symbols nor unwind table: an entry is known by its landing pad or not at all."""
    text = "static int f(int a) { return a; } int main(void) { return f(0); }"
    options = ["-O0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
               "-Wl,--no-eh-frame-hdr", "-s", "-fpatchable-function-entry=5"]
    found = Found(compile_text(tmp_path, text, *options, "-fcf-protection=none"))
    assert not found.sites
    assert {r.reason for r in found.refused} == {
        "no symbol and no unwind entry tells where the function begins"} and len(found.refused) == 2
    found = Found(compile_text(tmp_path, text, *options, "-fcf-protection=full"))
    assert len(found.sites) == 2 and all(s.vaddr == s.entry + 4 for s in found.sites)


def test_custom_fentry_name(tmp_path):
    """A list of locations needs no name of the callee."""
    path = compile_text(tmp_path, "void hook(void) {} int main(void) { return 0; }", "-O2", "-pg",
                        "-no-pie", "-fno-pie", "-mfentry", "-mrecord-mcount", "-mfentry-name=hook")
    assert {"main"} <= {site.name for site in Found(path).sites}


def test_two_ways_at_once(tmp_path):
    """One site a function, the better one."""
    path = compile_text(tmp_path, "int f(int a) { return a; } int main(void) { return f(0); }",
                        "-O0", "-pg", "-mfentry", "-fpatchable-function-entry=5")
    found = Found(path)
    assert sorted(s.name for s in found.sites) == ["f", "main"]
    assert {s.form for s in found.sites} <= {"nops", "call-got"}


def test_runtimes(tmp_path):
    text = "int main(void) { return 0; }"
    for option, key in (("-fsanitize=address", "asan"), ("-fsanitize=thread", "tsan")):
        for more in ([], ["-static-lib" + key]):
            path = compile_text(tmp_path, text, option, *more)
            found = Found(path).object
            assert found[key] == "1" and found["go"] == "0", (option, more)
            assert found["tsan" if key == "asan" else "asan"] == "0"
    plain = compile_text(tmp_path, text)
    assert [Found(plain).object[key] for key in ("go", "tsan", "asan")] == ["0", "0", "0"]
    for section in (".go.buildinfo", ".note.go.buildid", ".gopclntab"):
        marked = copy(plain, tmp_path, "marked")
        command("objcopy", "--add-section", f"{section}=/etc/hostname", marked)
        assert Found(marked).object["go"] == "1", section


def test_other_machine(tmp_path):
    text = "int main(void) { return 0; }"
    try:
        path = compile_text(tmp_path, text, "-m32", "-nostdlib", "-r")
    except subprocess.CalledProcessError:
        pytest.skip("gcc -m32 does not work here")
    assert Found(path).error == 8		# ENOEXEC
    assert Found(compile_text(tmp_path, text, "-c")).error == 8


def test_fifty_thousand(tmp_path):
    """Found and named in less than 30 ms of processor time."""
    # As gcc -fpatchable-function-entry=5 writes it; gcc itself would take a minute.
    function = """
	.section __patchable_function_entries,"aw",@progbits
	.quad 1f
	.text
	.globl {0}
	.type {0}, @function
{0}:
	.cfi_startproc
1:	.skip 5, 0x90
	lea {1}(%rdi), %eax
	ret
	.cfi_endproc
	.size {0}, .-{0}
"""
    text = "".join(function.format(f"function_number_{i}" if i else "main", i) for i in range(50000))
    source = os.path.join(tmp_path, "big.s")
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    path = os.path.join(tmp_path, "big")
    command("gcc", source, "-o", path)
    assert len(Found(path).sites) == 50000
    for how in ("with", "without"):
        took = float(subprocess.run([DUMP, "-t", path], stdout=subprocess.PIPE,
                                    check=True).stdout.split()[-1])
        print(f"50,000 functions {how} symbols: {took} ms")
        assert took < 30
        command("strip", path)


# ---- damaged files ----

def fuzz_files(tmp_path):
    small = """#include <stdio.h>
        static int f(int a) { return a * 3 + getchar(); }
        int g(int a, ...) { return f(a) + 1; }
        int main(int c, char **v) { return g(c) + f(c); }"""
    files = []
    for number, flags in enumerate([
            [*FORMS["nops5"]], [*FORMS["nops5"], "-no-pie"], [*FORMS["short7_5"], "-fcf-protection"],
            [*FORMS["mfentry"]], [*FORMS["mcount"]], [*FORMS["mcount"], "-no-pie"],
            [*FORMS["mfentry_rec"], "-no-pie", "-fno-pie"], [*FORMS["nops16_8"], "-s"],
            [*FORMS["nops5"], "-shared", "-fPIC"]]):
        files.append(compile_text(tmp_path, small, "-O2", *flags, name=f"seed{number}"))
    folder = os.path.join(tmp_path, "packed")
    os.makedirs(folder)
    files.append(add_debug_data(files[0], folder))
    linked = os.path.join(tmp_path, "linked")
    os.makedirs(linked)
    files.append(separate(files[0], linked, os.path.join(linked, "its.debug")))
    return files


@pytest.mark.limit(300)
@pytest.mark.parametrize("seed", ["1", "2"])
def test_damaged_files(seed, tmp_path):
    if not os.path.exists(FUZZ):
        pytest.skip("no find-fuzz: the compiler has no sanitizers")
    done = subprocess.run([FUZZ, seed, "3000", *fuzz_files(tmp_path)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    words = done.stdout.decode().split()
    counts = dict(zip(words[::2], words[1::2]))
    # Damage must have been noticed, and survived where it does no harm.
    assert int(counts["rounds"]) == 11 * 3000
    assert int(counts["good"]) > 3000 and int(counts["errno5"]) > 3000


def test_cut_short(tmp_path):
    """Every length of a small object."""
    path = compile_text(tmp_path, "int f(int a) { return a; }", "-shared", "-fPIC", "-nostdlib",
                        "-s", *FORMS["nops5"])
    with open(path, "rb") as file:
        data = file.read()
    assert len(Found(path).sites) == 1
    cuts = []
    for length in list(range(0, len(data), 61)) + [len(data) - 1]:
        cuts.append(os.path.join(tmp_path, f"cut{length}"))
        with open(cuts[-1], "wb") as file:
            file.write(data[:length])
    done = subprocess.run([DUMP, *cuts], stdout=subprocess.PIPE, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(cuts)
    assert all(re.fullmatch(r"error \S+ (5|8)", line) for line in lines)

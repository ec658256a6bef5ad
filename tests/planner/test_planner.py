# SPDX-License-Identifier: MIT
"""Plans for objects that were never compiled for tracing: which functions, why not, and that the moved
instructions do what they did. Prints the numbers of Debian's libraries."""
import os
import re
import subprocess

import pytest

import ftracetest

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(ftracetest.BUILD, "tests", "planner", "run-copies")
RUN_DECODE = os.path.join(ftracetest.BUILD, "tests", "planner", "run-decode")
RUN_INSNS = os.path.join(ftracetest.BUILD, "tests", "planner", "run-insns")
FUZZ = os.path.join(ftracetest.BUILD, "tests", "planner", "planner-fuzz")
LIBRARIES = ["libc.so.6", "libsqlite3.so.0", "libcrypto.so.3", "libstdc++.so.6", "libperl.so.5.36"]

# Of forms.S, by name.
REASONS = {
    "no_loop": "something branches into its first instructions",
    "no_before_small": "something branches into its first instructions",
    "no_before_target": "something branches into its first instructions",
    "no_self": "it jumps back to its first byte itself",
    "no_target_of_other": "something branches into its first instructions",
    "no_switch": "something branches into its first instructions",
    "no_label_in_data": "something branches into its first instructions",
    "no_label_taken": "something branches into its first instructions",
    "no_differences": "something branches into its first instructions",
    "no_computed": "a computed jump in it may lead into its first instructions",
    "no_short_call": "a short call returns to where its first bytes are",
    "no_red_zone_call": "a call among its first instructions reads below the stack",
    "no_call_rsp": "it calls where its stack is",
    "no_flags": "it begins by reading flags",
    "no_flags_later": "it begins by reading flags",
    "no_syscall": "a system call among its first instructions",
    "no_trap": "a trap among its first instructions",
    "no_undecodable": "it has bytes that are no instructions",
    "no_short": "too short, and no padding behind it",
    "no_symbol_inside": "something else begins within its first instructions",
    "no_frame": "not an entry: by its unwind information there is a frame already",
    "no_return_address": "not an entry: by its unwind information it has no return address",
    "no_restorer": "returns from signal handlers",
    "no_unwind": "no unwind information: it cannot be told whether it is called like a function",
    "no_unwind_jumped":
        "no unwind information: it cannot be told whether it is called like a function",
    "_Unwind_of_ours": "part of libgcc's unwinder, which walks over its own frames",
    "__x86_indirect_thunk_rax": "stands for an indirect jump, also inside of functions",
}


def need(program):
    if not os.path.exists(program):
        pytest.skip(f"no {os.path.basename(program)}: no Zydis, another processor, or no sanitizers")
    return program


def run_copies(*arguments):
    """The last line's numbers, and the exit status."""
    done = subprocess.run([need(RUN), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    text = done.stdout.decode(errors="replace")
    assert done.returncode in (0, 1), done.stderr.decode() + text[-2000:]
    words = text.splitlines()[-1].split()
    return dict(zip(words[::2], map(int, words[1::2]))), done.returncode, text


def run_insns(*arguments):
    """Single instructions, as probes have them. As run_copies()."""
    seed = os.environ.get("FTRACE_FUZZ_SEED", "1")
    done = subprocess.run([need(RUN_INSNS), "-s", seed, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    text = done.stdout.decode(errors="replace")
    assert done.returncode in (0, 1), done.stderr.decode() + text[-2000:]
    words = text.splitlines()[-1].split()
    return dict(zip(words[::2], map(int, words[1::2]))), done.returncode, text


def run_decode(*arguments):
    """How many instructions, how many of them leave vector registers alone, how many were decoded wrong."""
    done = subprocess.run([need(RUN_DECODE), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    text = done.stdout.decode()
    numbers = re.search(r"^(\d+) instructions, (\d+) of them general, (\d+) differently", text, re.M)
    assert done.returncode in (0, 1) and numbers, done.stderr.decode() + text
    return [int(number) for number in numbers.groups()], done.returncode, text


def compile_program(tmp_path, name, text, *flags, compiler="gcc", suffix=".c"):
    source, path = os.path.join(tmp_path, name + suffix), os.path.join(tmp_path, name)
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    subprocess.run([compiler, source, "-o", path, *flags], check=True)
    return path


def compile_forms(tmp_path, *flags):
    path = os.path.join(tmp_path, "forms.so")
    subprocess.run(["gcc", "-shared", "-nostdlib", "-Wl,-Bsymbolic", "-Wl,-z,now", *flags,
                    os.path.join(HERE, "forms.S"), "-o", path], check=True)
    return path


@pytest.fixture
def listed(ftrace, tmp_path):
    """listed(path): the names of functions that can be traced, {name: reason} of the others."""
    env = dict(os.environ, XDG_CACHE_HOME=os.path.join(tmp_path, "cache"))
    os.makedirs(env["XDG_CACHE_HOME"], exist_ok=True)

    def go(path):
        names, refused = [subprocess.run([ftrace, "list", *more, path], check=True, env=env,
                                         stdout=subprocess.PIPE).stdout.decode().splitlines()
                          for more in ([], ["--refused"])]
        return set(names), dict(line.split(": ", 1) for line in refused)
    return go


def test_forms(listed, tmp_path):
    """Every rare beginning: moved or refused, each for its own reason."""
    path = compile_forms(tmp_path)
    names, refused = listed(path)
    with open(os.path.join(HERE, "forms.S"), encoding="ascii") as file:
        written = set(re.findall(r"\t(?:begin|\.globl) (ok_[a-z0-9_]+)\b", file.read(), re.M))
    written |= {f"ok_{insn}" for insn in ("loop", "loope", "loopne", "jrcxz", "jecxz")}
    assert len(written) > 45 and names - {"target"} == written
    assert {name: why for name, why in refused.items() if "+0x" not in name} == REASONS


def test_forms_agree(tmp_path):
    counts, status, text = run_copies("-n", "400", compile_forms(tmp_path))
    assert status == 0 and counts["mismatches"] == 0, text
    assert counts["planned"] > 45 and counts["runs"] == 400 * counts["planned"]
    assert counts["called"] > 1000 and counts["branched"] > 1000 and counts["faults"] > 100


def test_the_test():
    """Copies that were made wrong are noticed."""
    counts, status, _ = run_copies("-x", "-n", "1", "/usr/lib/x86_64-linux-gnu/libc.so.6")
    assert status == 1 and counts["mismatches"] > counts["planned"] / 2


@pytest.mark.parametrize("path", ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
                                  "/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib32/libc.so.6"])
def test_decoder(path):
    """All instructions of a library, and random bytes, as Zydis has them; and which leave vectors alone."""
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    (seen, general, wrong), status, text = run_decode("-n", "200000", path)
    assert status == 0 and wrong == 0, text
    assert seen > 200000 and general > seen / 2, text


def test_decoder_the_test():
    """Instructions that do not leave vectors alone are noticed."""
    (_, general, wrong), status, text = run_decode("-x", "/usr/lib/x86_64-linux-gnu/libc.so.6")
    assert status == 1 and 0 < wrong < general and "taken for general: jmp" in text, text


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", LIBRARIES)
def test_library(name, capsys):
    """At least 99 % of the functions with symbols are movable, and all of them do what they did."""
    path = os.path.join("/usr/lib/x86_64-linux-gnu", name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not installed")
    counts, status, text = run_copies(path)
    share = 100 * counts["movable"] / (counts["symbols"] - counts["parts"])
    with capsys.disabled():
        print(f"\n{name}: {counts['movable']} of {counts['symbols'] - counts['parts']} functions with "
              f"symbols movable ({share:.2f} %; {counts['parts']} symbols of parts of functions), "
              f"{counts['planned']} in all; {counts['runs']} runs agree, {counts['faults']} of them "
              f"by the same fault")
        for line in text.splitlines()[:-1]:
            print(f"    {line}")
    assert status == 0 and counts["mismatches"] == 0, text
    assert counts["runs"] == 4 * (counts["planned"] - counts["skipped"]) and counts["skipped"] < 10
    assert share >= 99, text


@pytest.mark.limit(120)
@pytest.mark.parametrize("name", ["libc.so.6", "libm.so.6", "libstdc++.so.6"])
def test_narrow_library(name, capsys):
    """The same of i386's, whose code has no way to refer to anything relative to itself."""
    path = os.path.join("/usr/lib32", name)
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    counts, status, text = run_copies(path)
    share = 100 * counts["movable"] / (counts["symbols"] - counts["parts"])
    with capsys.disabled():
        print(f"\n{path}: {share:.2f} % of the functions with symbols movable, {counts['planned']} in all")
    assert status == 0 and counts["mismatches"] == 0, text
    assert counts["called"] > 1000
    assert share >= 99, text


def test_insns_the_test():
    """Copies of single instructions that were made wrong are noticed."""
    counts, status, _ = run_insns("-x", "-n", "1", "-i", "1", "/usr/lib/x86_64-linux-gnu/libm.so.6")
    assert status == 1 and counts["mismatches"] > counts["tried"] / 2


@pytest.mark.limit(200)
@pytest.mark.parametrize("path", [
    "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/lib32/libc.so.6", "/usr/lib32/libstdc++.so.6"])
def test_insns(path, capsys):
    """Every form of instruction in a library, in place and as a probe has it: by a breakpoint, by a jump, with
    a call behind it. And some of random bytes. FTRACE_FUZZ_SEED in the environment: another choice of them."""
    if not os.path.exists(path):
        pytest.skip(f"{path} is not installed")
    counts, status, text = run_insns("-n", "2", "-i", "1", "-r", "1500", path)
    with capsys.disabled():
        lines = text.splitlines()
        print(f"\n{path}: {counts['forms']} forms of {counts['instructions']} instructions; "
              f"{counts['runs']} runs agree, {counts['faults']} faults, {lines[0]}")
        for line in lines[1:-1]:
            print(f"    {line}")
    assert status == 0 and counts["mismatches"] == 0, text
    assert counts["tried"] + counts["skipped"] >= counts["forms"] and counts["skipped"] < 100
    assert counts["both"] == counts["branches"] > 20 and counts["calls"] > 5
    assert counts["faults"] > 500 and counts["jump"] > counts["forms"] / 2


@pytest.mark.parametrize("name", LIBRARIES)
def test_reasons(name, listed, capsys):
    """Why the rest of them is not."""
    path = os.path.join("/usr/lib/x86_64-linux-gnu", name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not installed")
    names, refused = listed(path)
    counts = {}
    for function, why in refused.items():
        if "+0x" not in function:
            counts[why] = counts.get(why, 0) + 1
    with capsys.disabled():
        print(f"\n{name}: {len(names)} listed; with symbols refused:")
        for why, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"    {count:5} {why}")
    assert names and not names & set(refused)


def test_without_symbols(tmp_path):
    """Stripped: functions that are called, or whose address is taken, are found all the same."""
    text = """#include <stdio.h>
        __attribute__((noinline)) int used(int a) { return a * getchar(); }
        __attribute__((noinline)) int taken(int a) { return a + getchar(); }
        int (*volatile pointer)(int) = taken;
        int main(int c, char **v) { return used(c) + pointer(c); }"""
    found = {}
    for kind, flags in {"pie": [], "nopie": ["-no-pie", "-fno-pie"], "clang": []}.items():
        compiler = "clang" if kind == "clang" else "gcc"
        path = compile_program(tmp_path, kind, text, "-O2", *flags, compiler=compiler)
        symbols = subprocess.run(["nm", path], stdout=subprocess.PIPE, check=True).stdout.decode()
        at = {line.split()[2]: int(line.split()[0], 16) for line in symbols.splitlines()
              if len(line.split()) == 3}
        subprocess.run(["strip", path], check=True)
        env = dict(os.environ, XDG_CACHE_HOME=str(tmp_path))
        lines = subprocess.run([ftracetest.FTRACE, "list", path], stdout=subprocess.PIPE, check=True,
                               env=env).stdout.decode().split()
        found[kind] = {name: f"{kind}+{at[name]:#x}" in lines for name in ("used", "taken", "main")}
    assert all(all(names.values()) for names in found.values()), found


@pytest.mark.limit(200)
@pytest.mark.parametrize("seed", ["1", "2"])
def test_damaged_files(seed, tmp_path):
    exceptions = """#include <stdexcept>
        #include <cstdio>
        int g(int a) { if (a > 3) throw std::runtime_error("x"); return a; }
        int main(int c, char **v) { try { return g(c); } catch (std::exception &e) { return puts(e.what()); } }"""
    plain = """#include <stdio.h>
        int f(int a) { switch (a) { case 0: return puts("a"); case 1: return puts("b");
            case 2: return puts("c"); case 3: return puts("d"); case 4: return 17; } return getchar(); }
        int main(int c, char **v) { return f(c) + f(c + 1); }"""
    files = [compile_program(tmp_path, "cc", exceptions, "-O2", compiler="g++", suffix=".cc"),
             compile_program(tmp_path, "pie", plain, "-O2"),
             compile_program(tmp_path, "nopie", plain, "-O2", "-no-pie", "-fno-pie"),
             compile_program(tmp_path, "stripped", plain, "-O2", "-s"),
             compile_forms(tmp_path)]
    done = subprocess.run([need(FUZZ), seed, "3000", *files], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    words = done.stdout.decode().split()
    counts = dict(zip(words[::2], words[1::2]))
    assert int(counts["rounds"]) == 3000 * len(files)
    # Damage must have been noticed, and survived where it does no harm.
    assert int(counts["good"]) > 1000 and int(counts["errno5"]) > 1000
    assert int(counts["slowest_ms"]) < 2000


def test_jump_before_the_function(tmp_path):
    """On and off where the jump to the stub stands in the padding before the function."""
    path = os.path.join(HERE, "before.c")
    objects = os.path.join(ftracetest.BUILD, "engine", "libftrace-objects.a")
    include = [f"-I{os.path.join(ftracetest.SOURCE, name)}"
               for name in ("", "include", "arch/x86/include", "engine", "arch", "arch/x86")]
    program, plan = os.path.join(tmp_path, "before"), os.path.join(tmp_path, "before.plan")
    subprocess.run(["gcc", "-g", "-O2", "-Wall", "-D_GNU_SOURCE", *include, path, "-o", program,
                    "-Wl,--whole-archive", objects, "-Wl,--no-whole-archive", "-pthread"], check=True)
    subprocess.run([need(RUN), "-p", plan, program], check=True)
    result = ftracetest.run([program, plan, "500"], timeout=100)
    assert result.status == 0 and b"\nnot ok" not in b"\n" + result.stdout, str(result)
    assert re.search(rb"^1\.\.7$", result.stdout, re.M), str(result)


MEMORY = """
    #define _GNU_SOURCE
    #include <stdio.h>
    #include <string.h>
    extern void *__memcpy_chk(void *, const void *, size_t, size_t);
    static char a[5000], b[5000];
    int main(void)
    {
        void *(*volatile copy)(void *, const void *, size_t) = memcpy;
        void *(*volatile pcopy)(void *, const void *, size_t) = mempcpy;
        void *(*volatile checked)(void *, const void *, size_t, size_t) = __memcpy_chk;
        int i, wrong = 0;

        for (i = 0; i < 5000; i++)
            a[i] = (char)(i * 7);
        for (i = 0; i < 1000; i++) {
            size_t n = (size_t)i * 4;

            wrong += copy(b, a, n) != b || (char *)pcopy(b, a, n) != b + n ||
                     checked(b, a, n, 5000) != b || memcmp(a, b, n);
        }
        printf("%d wrong\\n", wrong);
        return 0;
    }"""


def test_memcpy_counted(record, tmp_path):
    """libc's memory functions chosen at load time are traced, each call once."""
    path = compile_program(tmp_path, "memory", MEMORY, "-O1")
    recording = record.same([path], options=["-L", "libc.so*"])
    counts = {name: n for name, n in recording.report().items()
              if re.match(r"(__)?(memcpy|memmove)(?!_chk)", name)}
    assert sum(counts.values()) >= 2000, counts

# SPDX-License-Identifier: MIT
"""Unwinding through the stubs of traced functions, with the real engine: the programs of this folder
(step.cc, control.cc) linked with the library and run by the recorder, under each unwinder a program
may have; and what debuggers and profilers are told."""
import os
import re

import pytest

import ftracetest
from ftracetest import FTRACE, build, library_flags, need_ftrace, need_library, run

HERE = os.path.dirname(os.path.abspath(__file__))
LLVM = "/usr/lib/llvm-14/lib"
FLAGS = ["-O2", "-Wall", "-pthread"]
UNWINDERS = ["libgcc_s", "static libgcc", "llvm"]


def path(name):
    return os.path.join(HERE, name)


def helper_objects(backing):
    """regions.c and library.c or recorder.c, compiled as C."""
    return [build(path(source), "-c", "-O2", "-Wall", "-D_GNU_SOURCE", *library_flags()[:2], name=source + ".o",
                  deps=[path("stubs.h")])
            for source in (backing, "regions.c")]


def program(source, backing, unwinder="libgcc_s", library=None):
    """One of the programs, as path; what it is linked with last."""
    library = library if library is not None else library_flags()
    flags, cc = ["-fnon-call-exceptions"], "gcc"
    if unwinder == "static libgcc":
        flags += ["-static-libgcc", "-static-libstdc++"]
    if unwinder == "llvm":
        for needed in ("libunwind.so", "libc++.so"):
            if not os.path.exists(os.path.join(LLVM, needed)):
                pytest.skip(f"{LLVM}/{needed} is not there (libunwind-14-dev, libc++-14-dev)")
        flags, cc = ["-stdlib=libc++", "-L" + LLVM, "-Wl,-rpath," + LLVM, "-lunwind"], "clang"
    if backing == "recorder.c":
        library = []
    return build(path(source), *FLAGS, *helper_objects(backing), *flags, *library, cc=cc,
                 deps=[path("stubs.h"), path("tap.h"), path("walk.h"), *helper_objects(backing)] +
                 [file for file in library if file.endswith(".a")])


def check_tap(result, unwinder):
    """All tests of a TAP program were run and passed; nothing was skipped with libgcc."""
    out = result.stdout.decode()
    plan = re.search(r"^1\.\.(\d+)$", out, re.M)
    assert result.status == 0 and plan, str(result)
    assert len(re.findall(r"^ok ", out, re.M)) == int(plan.group(1)) > 3, str(result)
    assert "not ok" not in out, str(result)
    assert ("LLVM" in out.splitlines()[0]) == (unwinder == "llvm"), str(result)
    if unwinder != "llvm":
        assert "# SKIP" not in out, str(result)


@pytest.mark.parametrize("unwinder", UNWINDERS)
@pytest.mark.parametrize("source", ["control.cc", "step.cc"])
def test_library(source, unwinder):
    need_library()
    check_tap(run([program(source, "library.c", unwinder)], timeout=100), unwinder)


@pytest.mark.parametrize("ops", ["function", "regs", "all"])
@pytest.mark.parametrize("source", ["control.cc", "step.cc"])
def test_library_ops(source, ops):
    """Through the trampolines that save registers."""
    need_library()
    check_tap(run([program(source, "library.c")], timeout=100, env={"STUBS_OPS": ops}), "libgcc_s")


@pytest.mark.parametrize("unwinder", UNWINDERS)
@pytest.mark.parametrize("source", ["control.cc", "step.cc"])
def test_library_own(source, unwinder):
    """Through trampolines of the functions' own, and the ways from there to the stubs."""
    need_library()
    check_tap(run([program(source, "library.c", unwinder)], timeout=100, env={"STUBS_OPS": "general"}), unwinder)


@pytest.mark.parametrize("unwinder", UNWINDERS)
def test_library_replaced(unwinder):
    """Through the trampoline of replaced functions, while transitions begin and end."""
    need_library()
    check_tap(run([program("step.cc", "library.c", unwinder)], timeout=100,
                  env={"STUBS_OPS": "replaced"}), unwinder)


@pytest.mark.parametrize("flags", [[], ["-static-libgcc"], ["-static-pie"], ["-static"]])
def test_static_library(flags):
    """libftrace.a: the program itself defines what unwinders ask; without a dynamic linker the
    unwinder that is linked in is told."""
    need_library()
    archive = os.path.join(os.path.dirname(ftracetest.libftrace()), "libftrace.a")
    check_tap(run([program("control.cc", "library.c", library=[*flags, archive])], timeout=60,
                  env={"STUBS_SHOWN": "1"}), "libgcc_s")


@pytest.mark.parametrize("unwinder", UNWINDERS)
@pytest.mark.parametrize("source", ["control.cc", "step.cc"])
@pytest.mark.parametrize("tracer", ["function_graph", "function"])
def test_recorded(tmp_path, source, unwinder, tracer):
    need_ftrace()
    command = [FTRACE, "record", "-o", str(tmp_path / "data"), "--tracer", tracer, "--",
               program(source, "recorder.c", unwinder)]
    check_tap(run(command, timeout=100, env={"STUBS_OPS": tracer}), unwinder)


# ---- who is asked ----

def bindings(binary, **env):
    result = run([binary], timeout=60, env={"LD_DEBUG": "bindings", **env})
    return re.findall(r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `(\w+)'",
                      result.stderr.decode(errors="replace"))


@pytest.mark.parametrize("unwinder, file, symbol", [("libgcc_s", "libgcc_s.so.1", "_dl_find_object"),
                                                    ("llvm", "libunwind.so.1", "dl_iterate_phdr")])
def test_interposed(unwinder, file, symbol):
    """What unwinders ask by libc's symbol versions is the library's, preloaded too."""
    need_library()
    for backing, env in ("library.c", {}), ("recorder.c", {"LD_PRELOAD": ftracetest.libftrace()}):
        bound = bindings(program("control.cc", backing, unwinder), **env)
        targets = {os.path.basename(to) for who, to, name in bound
                   if os.path.basename(who) == file and name == symbol}
        assert len(targets) == 1 and targets.pop().startswith("libftrace.so"), bound


def test_behind_libc(tmp_path):
    """A program that gets the library late (dlopen) has its unwinder's calls redirected: exceptions are
    thrown through hooked calls as ever."""
    need_library()
    source = tmp_path / "late.cc"
    source.write_text('#include <cstdio>\n#include <dlfcn.h>\n#include <ftrace/fgraph.h>\n'
                      'extern "C" __attribute__((noinline)) int thrower(int x)\n'
                      '{ if (x) throw x; return 0; }\n'
                      'static int calls;\n'
                      'static int entry(struct ftrace_graph_ent *t, struct fgraph_ops *g, struct pt_regs *r)\n'
                      '{ calls++; return 1; }\n'
                      'int main(int c, char **v)\n{\n'
                      '\tvoid *lib = dlopen(v[1], RTLD_NOW);\n'
                      '\tstatic struct fgraph_ops ops;\n'
                      '\tops.entryfunc = entry;\n'
                      '\tauto reg = (int (*)(struct fgraph_ops *))dlsym(lib, "register_ftrace_graph");\n'
                      '\tputs(lib && reg && !reg(&ops) ? "loaded" : dlerror());\n'
                      '\ttry { thrower(7); } catch (int x) { printf("caught %d after %d\\n", x, calls > 0); }\n'
                      '\treturn 0;\n}\n')
    include = [flag for flag in ftracetest.library_flags() if flag.startswith("-I")]
    result = run([build(str(source), "-O2", ftracetest.PATCHABLE, *include), ftracetest.libftrace()])
    assert (result.status, result.stdout, result.stderr) == (0, b"loaded\ncaught 7 after 1\n", b""), \
        str(result)


def test_iterate_phdr(tmp_path):
    """Regions are shown after the program, and dlpi_adds notices new ones."""
    need_library()
    source = tmp_path / "walk.c"
    source.write_text('''
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static int show(struct dl_phdr_info *info, size_t size, void *data)
{
	unsigned long long *adds = data;

	if (!*adds)
		*adds = info->dlpi_adds;
	else if (*adds != info->dlpi_adds)
		printf("adds differ within a walk\\n");
	printf("%s%s", strrchr(info->dlpi_name, '/') ?: info->dlpi_name, " ");
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long long before = 0, after = 0;

	dl_iterate_phdr(show, &before);
	printf("\\n");
	if (!dlopen(argv[1], RTLD_NOW))
		return puts(dlerror());
	dl_iterate_phdr(show, &after);
	printf("\\n%llu\\n", after - before);
	return 0;
}
''')
    other = tmp_path / "other.c"
    other.write_text("int other(int x) { return x + 1; }\n")
    shared = build(str(other), "-O2", "-fPIC", "-shared", ftracetest.PATCHABLE, name="other.so")
    walk = build(str(source), "-O2", "-D_GNU_SOURCE", ftracetest.PATCHABLE, *library_flags())
    first, second, adds = run([walk, shared]).stdout.decode().splitlines()
    assert first.split()[0] == "[ftrace]", first		# behind the program, whose name is empty
    assert first.count("[ftrace]") == 1 and second.count("[ftrace]") == 2, (first, second)
    assert adds == "2", adds				# one object and its region


# ---- debuggers and profilers ----

def gdb(binary, *commands, **env):
    if not ftracetest.have("gdb"):
        pytest.skip("gdb is not installed")
    arguments = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off"]
    for command in ("set confirm off", "set print thread-events off", *commands):
        arguments += ["-ex", command]
    return run([*arguments, binary], timeout=100, env=env).stdout.decode(errors="replace")


STEPS = """
import gdb
lost, stubs, offsets, kinds = 0, 0, set(), set()
gdb.execute("break *'two(int)'+5")
gdb.execute("run")
gdb.execute("delete")
for step in range(2500):
    pc = gdb.selected_frame().pc()
    names, frame = [], gdb.newest_frame()
    while frame is not None and len(names) < 30:
        names.append(frame.name() or "?")
        frame = frame.older()
    if names[0].startswith("ftrace"):
        stubs += 1
        kinds.add(names[0])
        offsets.add(pc % 64)
    if names[-1] != "main" or "three" not in names and "drive" in names[:1]:
        lost += 1
        print("LOST", hex(pc), names)
    if names[0] == "main":
        break
    gdb.execute("stepi", to_string=True)
print("NAMES", sorted(kinds))
print("STEPPED", step, "STUBS", stubs, "OFFSETS", sorted(offsets), "LOST", lost)
"""


@pytest.mark.limit(200)
@pytest.mark.parametrize("ops", ["graph", "general"])
def test_gdb_steps(tmp_path, ops):
    """gdb's own unwinder at every instruction: calls, returns and stubs of a traced function, and trampolines."""
    need_library()
    script = tmp_path / "steps.py"
    script.write_text(STEPS)
    source = tmp_path / "calls.cc"
    source.write_text('''
#include "stubs.h"
TRACED int leaf(int x) { asm volatile(""); return x * 3; }
TRACED int two(int x) { int r = leaf(x) + leaf(x + 1); asm volatile(""); return r; }
TRACED int tail(int x) { return two(x + 1); }
TRACED int three(int x) { int r = tail(x) + 1; asm volatile(""); return r; }
int main() { stubs_start(); int r = three(1); asm volatile(""); return r == 0; }
''')
    calls = build(str(source), "-O2", "-I" + HERE, *helper_objects("library.c"), *library_flags())
    out = gdb(calls, f"source {script}", "kill", STUBS_OPS=ops)
    told = re.search(r"STEPPED (\d+) STUBS (\d+) OFFSETS (\[.*?\]) LOST (\d+)", out)
    assert told, out
    assert int(told.group(4)) == 0 and int(told.group(2)) > 20, out
    assert ("ftrace_trampoline" in out) == (ops == "general"), out
    for offset in (0, 2, 8, 14, 16, 18, 23, 28, 33, 35, 41, 47, 49) if ops == "graph" else ():
        assert offset in eval(told.group(3)), out		# pylint: disable=eval-used


def test_gdb_names():
    need_library()
    binary = program("control.cc", "library.c")
    commands = ["handle SIGSEGV pass nostop noprint", "break *take_backtrace+5", "run", "bt"]
    out = gdb(binary, *commands, "kill")
    assert out.count("in ftrace_stub ()") == 6 and re.search(r"\bmain \(\)", out), out
    out = gdb(binary, *commands, "kill", FTRACE_GDB="symbols")
    names = re.findall(r"in ftrace:(\S+) \(\)", out)
    assert names == ["_Z14take_backtracev", "_Z5via_bi", "_Z5via_bi", "_Z5via_bi", "_Z5via_bi",
                     "_Z5via_av"], out
    assert re.search(r"\bmain \(\)", out), out
    out = gdb(binary, *commands, "call (void)ftrace_gdb_symbols()", "bt", "kill")
    assert out.count("in ftrace_stub ()") == 6 == out.count(" in ftrace:_Z"), out


def test_perf_map(tmp_path):
    """FTRACE_PERF_MAP=1: a line a stub; without it no file; never somebody else's file."""
    need_library()
    source = tmp_path / "maps.c"
    source.write_text('''
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "stubs.h"

TRACED int traced_function(int x) { return x + 1; }
int main(void)
{
	char name[64], text[4096];
	int fd;

	snprintf(name, sizeof(name), "/tmp/perf-%d.map", getpid());
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return puts("no file") < 0;
	text[read(fd, text, sizeof(text) - 1)] = 0;
	unlink(name);
	fputs(text, stdout);
	stubs_look();
	unsigned long start, size;
	if (sscanf(text, "%lx %lx", &start, &size) != 2 || stub_offset(start) != 0)
		puts("not a stub");
	return traced_function(-1);
}
''')
    binary = build(str(source), "-O1", "-I" + HERE, helper_objects("library.c")[1], *library_flags())
    assert run([binary]).stdout == b"no file\n"
    result = run([binary], env={"FTRACE_PERF_MAP": "1"})
    assert re.fullmatch(rb"[0-9a-f]+ 40 ftrace:traced_function\n", result.stdout), str(result)
    # The program's pid is known beforehand to exec: a link in its way is left alone.
    victim = tmp_path / "victim"
    result = run(["sh", "-c", f"ln -s {victim} /tmp/perf-$$.map; FTRACE_PERF_MAP=1 exec {binary}"])
    assert b"libftrace: /tmp/perf-" in result.stderr and not victim.exists(), str(result)
    assert b"no file" in result.stdout or result.stdout == b"", str(result)
    for name in re.findall(rb"/tmp/perf-\d+\.map", result.stderr):
        os.unlink(name)

# SPDX-License-Identifier: MIT
"""record -a, -A, -R and replay: the values shown are those that the program itself prints."""
import glob
import os
import re
import shutil
import signal
import subprocess

import pytest

from ftracetest import ARCH, BUILD, FTRACE, PATCHABLE, build, compiles, need_ftrace, need_libcxx, run

HERE = os.path.dirname(os.path.abspath(__file__))
NARROW = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]

# "  1234)   0.410 us    |    name(args) = ret;"
LINE = re.compile(r" *\d+\) .{2,3}[^|]*\|  ( *)(.*)$")


def program(source, *flags, cc="gcc", name=None):
    need_ftrace()
    return build(os.path.join(HERE, source), "-w", *flags, cc=cc, name=name)


def record(folder, command, *options, cwd=None):
    data = str(folder / "data")
    result = run([FTRACE, "record", "-o", data, *options, "--", *command], cwd=cwd or str(folder))
    assert result.status == 0, str(result)
    assert b"trace_fprobe" not in result.stderr and b"error" not in result.stderr, str(result)
    return data, result


def replayed(data, *options):
    result = run([FTRACE, "replay", "-i", data, "--no-pager", *options])
    assert result.status == 0 and not result.stderr, str(result)
    return result.stdout.decode(errors="surrogateescape")


def calls(text):
    """Calls as "name(args) = ret", in the order of their beginnings."""
    found, stack = [], []
    for line in text.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        indent, call = len(match.group(1)), match.group(2)
        if call.startswith("}"):
            ret = re.match(r"} = (.*?);(?: /\* \S+ \*/)?$", call)
            if ret:
                found[stack[indent // 2]] += " = " + ret.group(1)
            continue
        del stack[indent // 2:]
        stack.append(len(found))
        found.append(call[:-2] if call.endswith(" {") else call[:-1])
    return found


def expected(result):
    return result.stdout.decode(errors="surrogateescape").splitlines()


def compare(data, result, *options):
    """Each call that the program printed is there, with the same values, in that order."""
    printed = expected(result)
    names = {line.split("(")[0] for line in printed}
    shown = [call for call in calls(replayed(data, *options)) if call.split("(")[0] in names]
    assert shown == printed


WAYS = {
    "O0": ["-O0", PATCHABLE],
    "O2": ["-O2", PATCHABLE],
    "O2_unmodified": ["-O2"],
    "O0_unmodified": ["-O0"],
    "fentry": ["-O2", "-pg", "-mfentry"],
    "fixed_address": ["-O1", "-no-pie", "-fno-pie", PATCHABLE],
    "dwarf4": ["-O2", "-gdwarf-4", PATCHABLE],
    "avx": ["-O2", "-mavx", PATCHABLE],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cc", [c for c in ("gcc", "clang") if shutil.which(c)])
def test_c(cc, way, tmp_path):
    flags = WAYS[way]
    # clang, before 18, passes numbers of 128 bits as no other compiler does.
    if cc == "clang":
        flags = [*flags, "-U__SIZEOF_INT128__"]
    # Said when it links.
    fits = compiles(cc, "c", *(flag for flag in flags if flag != "-no-pie"))
    if fits is not True:
        pytest.skip(f"{cc} cannot: {fits}")
    with open("/proc/cpuinfo", encoding="ascii") as info:
        if "-mavx" in flags and " avx " not in info.read():
            pytest.skip("this processor has no AVX")
    compare(*record(tmp_path, [program("values.c", *flags, cc=cc)], "-a"))


def test_exception_pending_at_return(tmp_path):
    """What an x87 instruction is to raise is raised by the program's next, not by ours that read the result."""
    if ARCH != "x86_64":
        pytest.skip("values of the x87 registers are read so on x86_64")
    path = program("pending.c", "-g", "-O2", PATCHABLE, "-lm")
    plain = run([path])
    assert plain.status == 0 and plain.stdout == b"raised in the program\n", str(plain)
    data, result = record(tmp_path, [path], "-a")
    assert result.stdout == plain.stdout, str(result)
    assert re.search(r"divides\(\) = \(fault\);", replayed(data))


def test_returns_that_cannot_be_had(tmp_path):
    """-a over a library goes without them; who names one is told."""
    if ARCH != "x86_64":
        pytest.skip("the function that is refused is one of x86_64's")
    refused = run([FTRACE, "list", "--refused", "/lib/x86_64-linux-gnu/libc.so.6"])
    assert b"\npthread_spin_lock: " in refused.stdout, str(refused)
    for options, said in (["-a"], False), (["-R", "pthread_spin_lock"], True), (["-R", "pthread_spin_lock@retval"], True):
        result = run([FTRACE, "record", "-o", str(tmp_path / "data"), "-L", "libc.so.6", *options, "--", "/bin/true"])
        assert result.status == 0, str(result)
        assert (b"args/pthread_spin_lock__ret: the function cannot be traced" in result.stderr) == said, str(result)
        assert (b"not all that was asked for" in result.stderr) == said, str(result)


@pytest.mark.parametrize("way", ["O0", "O2"])
def test_narrow(way, tmp_path):
    if ARCH != "x86_64" or not glob.glob(os.path.join(BUILD, "compat", "*.so*")):
        pytest.skip("this build has no narrow architecture")
    flags = [*NARROW, *WAYS[way]]
    fits = compiles("gcc", "c", *flags)
    if fits is not True:
        pytest.skip(f"gcc cannot: {fits}")
    compare(*record(tmp_path, [program("values.c", *flags, name="values32")], "-a"))


@pytest.mark.parametrize("way", ["O0", "O2", "O2_unmodified"])
@pytest.mark.parametrize("cc", [c for c in ("gcc", "clang") if shutil.which(c)])
def test_cxx(cc, way, tmp_path):
    compare(*record(tmp_path, [program("values.cc", "-std=c++17", *WAYS[way], cc=cc)], "-a"))


def libcxx_program(*flags, name=None):
    """With libc++ instead of libstdc++."""
    need_libcxx()
    return program("values.cc", "-std=c++17", "-stdlib=libc++", *flags, cc="clang", name=name)


@pytest.mark.parametrize("way", ["O0", "O2", "O2_unmodified", "dwarf4"])
def test_libcxx(way, tmp_path):
    compare(*record(tmp_path, [libcxx_program(*WAYS[way])], "-a"))


def test_raw_names(tmp_path):
    data, _ = record(tmp_path, [program("values.cc", "-std=c++17", "-O0", PATCHABLE)], "-a", "-F", "shape::twice*")
    assert calls(replayed(data, "--no-demangle"))[0] == "_ZN5shape5twiceIiEET_S1_(4) = 8"


# ---- what is chosen ----

def simple():
    return program("values.c", "-O0", PATCHABLE)


def test_auto_args_follow_the_filter(tmp_path):
    data, _ = record(tmp_path, [simple()], "-a", "-F", "int* text", "-N", "ints")
    assert set(call.split("(")[0] for call in calls(replayed(data))) == {"text"}
    with open(os.path.join(data, "arguments"), encoding="utf-8") as file:
        assert {line.split()[2] for line in file if line.startswith(("call", "return"))} == {"text"}


def test_no_cost_for_others(tmp_path):
    """Only functions that were asked for have events."""
    data, _ = record(tmp_path, [simple()], "-A", "truth", "-R", "tiny")
    shown = calls(replayed(data))
    assert "truth(3)" in shown and "tiny() = 201" in shown
    assert "ints()" in shown and "longs()" in shown


@pytest.mark.parametrize("options,shown", [
    (["-A", "truth"], "truth(3)"),
    (["-A", "truth", "-R", "truth"], "truth(3) = false"),
    (["-A", "truth@arg1,retval"], "truth(3) = false"),
    (["-A", "truth@arg1/x,retval/i8"], "truth(0x3) = 0"),
    (["-R", "truth@retval/u8"], "truth() = 0"),
    (["-A", "truth@arg1/i32%rdi"], "truth(3)"),
    (["-A", "/^tr.*h$/@arg1/o8"], "truth(03)"),
    (["-A", "t?uth;tiny@arg2"], "truth(3)"),
    (["-A", "variable@arg1/s,arg2/i32,fparg1/64"], 'variable("%d and more", 1, 2)'),
    (["-A", "variable@arg1/p"], None),
    (["-A", "longs@arg1/u32,arg7,arg8/c,arg9/i16"], "longs(4000000000, -9, 'h', -10)"),
    (["-A", "longs@arg2%stack+1"], "longs(-9)"),
    (["-A", "doubles@fparg1/32,fparg2,retval/f"], "doubles(1.5, -2.25) = -3.375"),
    (["-A", "colors@arg1/e:color,arg2/e:access"], "colors(RED, READ)"),
    (["-A", "functions@arg1/p,retval/p"], "functions(helper) = helper"),
    (["-A", "text@arg1"], 'text("plain")'),
    (["-A", "ints@arg1,arg2/c,arg6/x32"], "ints('a', '\\xff', 0xfffeee90)"),
])
def test_specifications(options, shown, tmp_path):
    if ARCH != "x86_64":
        pytest.skip("the registers are x86_64's")
    data, _ = record(tmp_path, [simple()], *options)
    name = (shown or "variable(").split("(")[0]
    found = [call for call in calls(replayed(data)) if call.startswith(name + "(")]
    if shown:
        assert found[0] == shown
    else:
        assert re.fullmatch(r"variable\((0x[0-9a-f]+|[\w.]+\+0x[0-9a-f]+)\)", found[0])


def test_std_string_by_letter(tmp_path):
    data, _ = record(tmp_path, [program("values.cc", "-std=c++17", "-O0", PATCHABLE)], "-A", "shape::Circle::scale@arg2/S")
    assert [call for call in calls(replayed(data)) if "scale" in call] == [
        'shape::Circle::scale("short")', 'shape::Circle::scale("long enough to live somewhere else")']


@pytest.mark.parametrize("debug", ["-g", "-g0"])
def test_libcxx_string_by_letter(debug, tmp_path):
    """By the function's symbol."""
    data, _ = record(tmp_path, [libcxx_program("-O0", debug, PATCHABLE, name="letters")], "-A", "shape::join@arg2/S,retval/S")
    assert [call for call in calls(replayed(data)) if "join" in call] == [
        'shape::join("ab") = "abcd"', 'shape::join("") = "twenty-two is the most"',
        'shape::join("twenty-three are too many") = "twenty-three are too manyc"']


@pytest.mark.parametrize("options,words", [
    (["-A", "f@arg1/z"], "no such format"), (["-A", "f@arg0"], "numbered from 1"), (["-A", "@arg1"], "no function is named"),
    (["-A", "f@"], "a value is argN"), (["-R", "f@arg1"], "return values only"), (["-A", "f@arg1/s8"], "no number of bits"),
    (["-A", "f@arg1/i7"], "8, 16, 32 or 64"), (["-A", "f@arg1/e"], "enumeration's name"), (["-A", "f@fparg1/16"], "32 or 64"),
    (["-A", "f@arg1%stack+"], "N is a number"), (["-A", "f@retval%ax"], "calling convention"), (["-A", "f@arg1x"], "follows"),
    (["-A", "/[/@arg1"], "regular expression"),
])
def test_bad_specifications(options, words, tmp_path):
    result = run([FTRACE, "record", "-o", str(tmp_path / "data"), *options, "--", "true"])
    assert result.status == 2, str(result)
    assert words in result.stderr.decode() and result.stderr.count(b"\n") == 1, str(result)
    assert not os.path.exists(tmp_path / "data")


def test_no_such_enumeration(tmp_path):
    result = run([FTRACE, "record", "-o", str(tmp_path / "data"), "-A", "truth@arg1/e:nothing", "--", simple()])
    assert result.status == 1 and b"no enumeration is called nothing" in result.stderr, str(result)


def test_no_such_function(tmp_path):
    _, result = record(tmp_path, [simple()], "-A", "no_such_function@arg1")
    assert b"-A no_such_function: no function of " in result.stderr


def test_without_debug_information(tmp_path):
    """Nothing is known of its functions; -A tells."""
    path = program("values.c", "-O0", "-g0", PATCHABLE, name="plain")
    data, result = record(tmp_path, [path], "-a")
    assert b"it has no debug information" in result.stderr and "ints()" in calls(replayed(data))
    data, _ = record(tmp_path, [path], "-A", "ints@arg1/c,arg2/i8")
    assert "ints('a', -1)" in calls(replayed(data))


def test_separate_debug_file(tmp_path):
    path, debug = str(tmp_path / "stripped"), str(tmp_path / "stripped.debug")
    subprocess.run(["objcopy", "--only-keep-debug", simple(), debug], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", simple(), path], check=True)
    compare(*record(tmp_path, [path], "-a"))


def test_static_functions_of_optimised_programs(tmp_path):
    """What the compiler changed at will is right or not there."""
    source = tmp_path / "changed.c"
    source.write_text("""
    #include <stdio.h>
    #define N __attribute__((noinline)) static
    struct s { int a, b, c, d; };
    N int first(struct s *s, int unused, int k) { printf("first(%p, 1, %d)\\n", (void *)s, k); return s->d * k; }
    N int second(int a, const char *t, int b) { printf("second(%d, \\"%s\\", %d)\\n", a, t, b); return a * b; }
    N int third(struct s s, double d) { printf("third({a=%d, b=%d, c=%d, d=%d}, %g)\\n", s.a, s.b, s.c, s.d, d); return s.a; }
    int main(int argc, char **argv) {
        struct s s = { argc, 2, 3, 4 };
        return first(&s, 1, argc + 6) + second(argc, "x", 5) + second(argc + 1, "y", 5) + third(s, argc) < 0;
    }""")
    for cc in ("gcc", "clang"):
        for level in ("-O1", "-O2", "-O3"):
            if not shutil.which(cc):
                continue
            path = build(str(source), level, PATCHABLE, cc=cc, name=f"changed-{cc}{level}")
            data, result = record(tmp_path, [path], "-a")
            printed = [re.split(r"[(, ]+", line.rstrip(")")) for line in expected(result)]
            shown = [re.split(r"[(, ]+", call.split(" = ")[0].rstrip(")")) for call in calls(replayed(data))
                     if not call.startswith("main")]
            assert len(printed) == 4
            for name, *values in shown:
                name = name.split(".")[0]
                rows = [row for row in printed if row[0] == name]
                assert rows, (cc, level, shown)
                # Whatever is shown is one of the values that were printed, at its place or, where others are left out, not.
                for value in values:
                    assert value == "?" or any(value in row for row in rows), (cc, level, name, values, rows)


# ---- the C library ----

LIBC_TEXT = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void)
{
	char buf[8];
	int fd = open("a.txt", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	write(fd, "text", 4);
	close(fd);
	fd = open("a.txt", O_RDONLY);
	read(fd, buf, sizeof(buf));
	lseek(fd, 2, SEEK_SET);
	open("no/such", O_RDWR | O_APPEND);
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	munmap((void *)4096, 4096);
	getenv("HOME_OF_NOBODY");
	setenv("A", "b c", 1);
	getenv("A");
	strtol("42", NULL, 10);
	close(fd);
	return 0;
}
"""


@pytest.mark.parametrize("debug", [["-g"], ["-g0", "-s"]])
def test_libc(debug, tmp_path):
    source = tmp_path / "libc.c"
    source.write_text(LIBC_TEXT)
    path = build(str(source), "-O0", *debug, PATCHABLE, name="uselibc")
    names = "*open*,*read,*write,*close,*lseek*,mmap*,__mmap*,*munmap,getenv,setenv,*strtol*"
    data, _ = record(tmp_path, [path], "-a", "-L", "libc.so*", "-F", "main," + names, cwd=str(tmp_path))
    text = replayed(data)
    shown = "\n".join(re.sub(r"^_*(\w+?)(64)?\(", r"\1(", call) for call in calls(text))
    for call in ['open("a.txt", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0640) = 3', 'write(3, 0x', 'close(3) = 0',
                 'open("a.txt", O_RDONLY) = 3', 'lseek(3, 2, SEEK_SET) = 2', 'open("no/such", O_RDWR|O_APPEND) = -1',
                 'mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x', 'munmap(0x1000, 4096) = 0',
                 'getenv("HOME_OF_NOBODY") = NULL', 'setenv("A", "b c", 1) = 0', 'getenv("A") = "b c"', 'strtol("42", NULL, 10) = 42']:
        assert call in shown, text
    assert re.search(r"read\(3, 0x[0-9a-f]+, 8\) = 4", shown), text


# ---- how it is shown ----

def test_no_args(tmp_path):
    data, _ = record(tmp_path, [simple()], "-a")
    text = replayed(data, "--no-args")
    assert "ints()" in calls(text) and "=" not in text and "args:" not in text


def test_threshold(tmp_path):
    """Lines that wait have their values all the same."""
    data, _ = record(tmp_path, [simple()], "-a")
    shown = calls(replayed(data, "-t", "1ns"))
    assert "truth(3) = false" in shown and 'colors(RED, READ, "READ") = RED' in shown
    assert calls(replayed(data, "-F", "truth")) == ["truth(3) = false", "truth(4) = true"]


def test_entries_only(tmp_path):
    data, _ = record(tmp_path, [simple()], "-a", "--tracer", "function")
    text = replayed(data)
    assert ": truth(3)" in text and ': colors(RED, READ, "READ")' in text


def test_colours(tmp_path):
    data, _ = record(tmp_path, [simple()], "-a", "-F", "truth")
    assert "truth\033[m(\033[32m3\033[m) = \033[32mfalse\033[m;" in replayed(data, "--color=always")


def test_babeltrace(tmp_path):
    if not shutil.which("babeltrace2"):
        pytest.skip("babeltrace2 is not installed")
    data, _ = record(tmp_path, [simple()], "-a", "-F", "text,truth")
    shown = run(["babeltrace2", data], timeout=60)
    assert shown.status == 0, str(shown)
    text = shown.stdout.decode(errors="replace")
    assert re.search(r'args:text: .*s = "plain"', text) and re.search(r"args:truth: .*a = 3", text), text


def test_threads_and_forks(tmp_path):
    """Values go with their own thread's and process's calls."""
    source = tmp_path / "many.c"
    source.write_text("""
    #include <pthread.h>
    #include <sys/wait.h>
    #include <unistd.h>
    __attribute__((noinline)) long twice(long n) { __asm__ volatile("" : "+r"(n)); return 2 * n; }
    static void *run(void *arg) { for (long i = 0; i < 300; i++) twice((long)arg * 1000 + i); return arg; }
    int main(void) {
        pthread_t t[4];
        for (long i = 0; i < 4; i++) pthread_create(&t[i], 0, run, (void *)(i + 1));
        for (long i = 0; i < 4; i++) pthread_join(t[i], 0);
        if (!fork()) { run((void *)9L); _exit(0); }
        wait(0);
        return 0;
    }""")
    data, _ = record(tmp_path, [build(str(source), "-O1", PATCHABLE, "-pthread", name="many")], "-a")
    found = [re.fullmatch(r"twice\((\d+)\) = (\d+)", call) for call in calls(replayed(data)) if call.startswith("twice")]
    assert len(found) == 1500 and all(found)
    assert all(int(m.group(2)) == 2 * int(m.group(1)) for m in found)
    assert sorted(int(m.group(1)) for m in found) == sorted(t * 1000 + i for t in (1, 2, 3, 4, 9) for i in range(300))


def test_running_process(tmp_path):
    source = tmp_path / "loop.c"
    source.write_text("""
    #include <unistd.h>
    __attribute__((noinline)) int work(int i, const char *s) { __asm__ volatile("" : "+r"(i)); return i * 2 + !s; }
    int main(void) { for (int i = 0; write(1, ".", 1) == 1; i++) { work(i, "text"); usleep(2000); } return 0; }""")
    path = build(str(source), "-O1", PATCHABLE, name="loop")
    with subprocess.Popen([path], stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            data = str(tmp_path / "data")
            with subprocess.Popen([FTRACE, "record", "-p", str(process.pid), "-a", "-o", data], stderr=subprocess.PIPE,
                                  bufsize=0) as recorder:
                said = recorder.stderr.readline()
                if b"attached" in said:
                    os.set_blocking(process.stdout.fileno(), False)
                    process.stdout.read()		# the calls before
                    os.set_blocking(process.stdout.fileno(), True)
                    for _ in range(10):
                        process.stdout.read(1)
                    recorder.send_signal(signal.SIGINT)
                said += recorder.stderr.read()
            if b"ptrace" in said:
                pytest.skip("attaching is not possible here: " + said.decode())
            assert recorder.returncode == 0, said
            found = [re.fullmatch(r'work\((\d+), "text"\) = (\d+)', call) for call in calls(replayed(data))]
            assert len(found) > 3 and all(found) and all(int(m[2]) == 2 * int(m[1]) for m in found)
        finally:
            process.kill()


def test_thousands_of_functions(tmp_path):
    """As many as have room; that others are left out is said."""
    source = tmp_path / "thousands.c"
    functions = [f"__attribute__((noinline)) int f{i}(int a) {{ __asm__ volatile(\"\" : \"+r\"(a)); return a + {i}; }}"
                 for i in range(2100)]
    source.write_text("\n".join(functions) + "\nint main(void) { int s = 0;" +
                      "".join(f" s += f{i}({i});" for i in range(2100)) + " return s == 0; }")
    data, result = record(tmp_path, [build(str(source), "-O1", PATCHABLE, name="thousands")], "-a")
    assert re.search(rb"values of 2000 functions are recorded, those of \d+ more are not", result.stderr)
    shown = [call for call in calls(replayed(data)) if re.fullmatch(r"f(\d+)\(\1\) = \d+", call)]
    assert 1900 < len(shown) <= 2000

# SPDX-License-Identifier: MIT
"""ftrace list --args: prototypes from debug information and the table of the C library's functions."""
import os
import shutil
import subprocess

import pytest

from ftracetest import need_libcxx, run

C_TEXT = """
#include <complex.h>
#include <stdbool.h>
enum color { RED, GREEN, BLUE = 5 };
enum flags { A = 1, B = 2, C = 4 };
struct pair { int x, y; };
struct big { long a, b, c; char name[8]; };
struct mixed { double d; int i; };
struct packed { char c; long l; } __attribute__((packed));
struct bits { unsigned a : 3, b : 7; int c : 4; };
struct floats { float a, b; };
struct nested { struct pair p; short s[2]; };
union either { int i; float f; };
typedef struct pair pair_t;
typedef int vector __attribute__((vector_size(16)));

long ints(char c, signed char sc, unsigned char uc, short s, unsigned u, long l, long long ll, bool b)
{ return c + sc + uc + s + u + l + ll + b; }
double floats(float f, double d, long double ld, float complex fc, double complex dc) { return f + d + ld; }
void eight(double a, double b, double c, double d, double e, double f, double g, double h, double i) { }
pair_t pairs(pair_t p, struct mixed m, struct floats f) { return p; }
struct big bigs(struct big b, struct packed p) { return b; }
struct mixed mix(struct bits b, union either e, struct nested n) { struct mixed m = { 0 }; return m; }
int names(enum color c, enum flags f, int (*function)(int), void *p) { return 0; }
char *text(const char *s, char *t, unsigned char *raw) { return t; }
int variable(const char *format, ...) { return 0; }
__int128 wide(int a, int b, int c, int d, int e, __int128 q) { return q; }
vector vec(vector v) { return v; }
void nothing(void) { }
static long old(a, b) int a; short b; { return a + b; }
int main(int argc, char **argv) { return (int)old(1, 2); }
"""

# What is fetched of a call and shown, and of its return.
C_EXPECTED = {
    "ints": ("c=$arg1:u8 sc=$arg2:s8 uc=$arg3:u8 s=$arg4:s16 u=$arg5:u32 l=$arg6:s64 ll=+8(%sp):s64 b=+16(%sp):u8",
             "%{c:c}, %{sc:d}, %{uc:u}, %{s:d}, %{u:u}, %{l:d}, %{ll:d}, %{b:b}", "ret=$retval:s64", "%{ret:d}"),
    "floats": ("f=$fparg1:f32 d=$fparg2:f64 ld_lo=+8(%sp):x64 ld_hi=+16(%sp):x16 fc=$fparg3:f64 dc_lo=$fparg4:f64 "
               "dc_hi=$fparg5:f64",
               "%{f:f}, %{d:f}, %{ld_lo:L,ld_hi}, %{fc:f32@0}+%{fc:f32@32}i, %{dc_lo:f64@0}+%{dc_hi:f64@0}i",
               "ret=$fpretval:f64", "%{ret:f}"),
    "eight": (" ".join(f"{name}=$fparg{i + 1}:f64" for i, name in enumerate("abcdefgh")) + " i=+8(%sp):f64",
              ", ".join(f"%{{{name}:f}}" for name in "abcdefghi"), None, None),
    "pairs": ("p=$arg1:x64 m_lo=$fparg1:f64 m_hi=$arg2:x64 f=$fparg2:f64",
              "{x=%{p:d32@0}, y=%{p:d32@32}}, {d=%{m_lo:f64@0}, i=%{m_hi:d32@0}}, {a=%{f:f32@0}, b=%{f:f32@32}}",
              "ret=$retval:x64", "{x=%{ret:d32@0}, y=%{ret:d32@32}}"),
    # Both in memory: one is large, the other has a member that is not aligned. $arg1 is where the result goes.
    "bigs": ("b_a=+8(%sp):s64 b_b=+16(%sp):s64 b_c=+24(%sp):s64 b_name=+32(%sp):string p_c=+40(%sp):u8 p_l=+41(%sp):s64",
             "{a=%{b_a:d}, b=%{b_b:d}, c=%{b_c:d}, name=%{b_name:S,#8}}, {c=%{p_c:c}, l=%{p_l:d}}",
             "ret_a=+0($retval):s64 ret_b=+8($retval):s64 ret_c=+16($retval):s64 ret_name=+24($retval):string",
             "{a=%{ret_a:d}, b=%{ret_b:d}, c=%{ret_c:d}, name=%{ret_name:S,#8}}"),
    "mix": ("b=$arg1:x64 e=$arg2:x64 n_lo=$arg3:x64 n_hi=$arg4:x64",
            "{a=%{b:u3@0}, b=%{b:u7@3}, c=%{b:d4@10}}, {i=%{e:d32@0}, f=%{e:f32@0}}, "
            "{p={x=%{n_lo:d32@0}, y=%{n_lo:d32@32}}, s=[%{n_hi:d16@0}, %{n_hi:d16@16}]}",
            "ret_lo=$fpretval:f64 ret_hi=$retval:x64", "{d=%{ret_lo:f64@0}, i=%{ret_hi:d32@0}}"),
    "names": ("c=$arg1:u32 f=$arg2:u32 function=$arg3:x64 p=$arg4:x64",
              "%{c:e32,1}, %{f:e32,2}, %{function:y}, %{p:p}", "ret=$retval:s32", "%{ret:d}"),
    "text": ("s=+0($arg1):string s_p=$arg1:x64 t=+0($arg2):string t_p=$arg2:x64 raw=$arg3:x64",
             "%{s:s,s_p}, %{t:s,t_p}, %{raw:p}", "ret=+0($retval):string ret_p=$retval:x64", "%{ret:s,ret_p}"),
    "variable": ("format=+0($arg1):string format_p=$arg1:x64", "%{format:s,format_p}, ...", "ret=$retval:s32", "%{ret:d}"),
    # One register is left: it goes to the stack whole, at a multiple of 16.
    "wide": ("a=$arg1:s32 b=$arg2:s32 c=$arg3:s32 d=$arg4:s32 e=$arg5:s32 q_lo=+8(%sp):x64 q_hi=+16(%sp):x64",
             "%{a:d}, %{b:d}, %{c:d}, %{d:d}, %{e:d}, %{q_lo:I,q_hi}", "ret_lo=$retval:x64 ret_hi=%dx:x64",
             "%{ret_lo:I,ret_hi}"),
    "nothing": (None, None, None, None),
    "main": ("argc=$arg1:s32 argv=$arg2:x64", "%{argc:d}, %{argv:p}", "ret=$retval:s32", "%{ret:d}"),
}

COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]


def compiled(folder, text, *options, compiler="gcc", suffix=".c", name="program"):
    source, path = os.path.join(str(folder), name + suffix), os.path.join(str(folder), name)
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run([compiler, "-w", *options, source, "-o", path], check=True)
    return path


def events(ftrace, path, *names):
    """{function: (call, shown, return, shown)}"""
    result = run([ftrace, "list", "--events", path, *names])
    assert result.status == 0, str(result)
    found, title = {}, None
    for line in result.stdout.decode().splitlines():
        if not line.startswith("\t"):
            name = line.split("(")[0].split()[-1].lstrip("*&")
            found[name] = [None] * 4
        elif line.startswith("\t\t"):
            found[name][1 if title == "call" else 3] = line.split("shown as ", 1)[1]
        else:
            title, text = line.strip().split(": ", 1)
            found[name][0 if title == "call" else 2] = text
    return {name: tuple(values) for name, values in found.items()}


def of_x86_64():
    if os.uname().machine != "x86_64":
        pytest.skip("the expected places are x86_64's")


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_c(compiler, optimisation, ftrace, tmp_path):
    of_x86_64()
    path = compiled(tmp_path, C_TEXT, "-g", optimisation, "-fno-inline", compiler=compiler)
    found = events(ftrace, path)
    for name, expected in C_EXPECTED.items():
        # One instruction is too short to be traced; clang, before 18, splits a wide number as no other does.
        if not (name == "nothing" and name not in found or name == "wide" and compiler == "clang"):
            assert found[name] == expected, name
    assert found["vec"] == ("v_lo=$fparg1:f64 v_hi=$fparg1.1:f64",
                            "{%{v_lo:d32@0}, %{v_lo:d32@32}, %{v_hi:d32@0}, %{v_hi:d32@32}}",
                            "ret_lo=$fpretval:f64 ret_hi=$fpretval.1:f64",
                            "{%{ret_lo:d32@0}, %{ret_lo:d32@32}, %{ret_hi:d32@0}, %{ret_hi:d32@32}}")


VECTORS_TEXT = """
typedef double reals __attribute__((vector_size(32)));
double number(int k, reals a, reals b, double by) { return a[1] * b[2] * by * k; }
reals result(reals a, double by) { return a * by; }
double vectors(reals a, reals b) { return a[1] * b[2]; }
__attribute__((target("avx"))) double attribute(reals a, double by) { return a[3] * by; }
int main(void) { return 0; }
"""


def in_memory(name, offset):
    return " ".join(f"{name}_{i}=+{offset + 8 * i}(%sp):f64" for i in range(4))


def in_register(name, number):
    return " ".join(f"{name}_{suffix}=$fparg{number}{word}:f64" for suffix, word in
                    (("lo", ""), ("hi", ".1"), ("w2", ".2"), ("w3", ".3")))


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_wide_vectors(compiler, optimisation, ftrace, tmp_path):
    """Who is not compiled for AVX passes them in memory. What could be either way is not shown."""
    of_x86_64()
    told = compiler == "gcc" or optimisation == "-O2"
    found = events(ftrace, compiled(tmp_path, VECTORS_TEXT, "-g", optimisation, compiler=compiler, name="plain"))
    assert found["number"][0] == ("k=$arg1:s32" + (f" {in_memory('a', 8)} {in_memory('b', 40)} by=$fparg1:f64" if told else ""))
    assert found["result"][0] == (f"{in_memory('a', 8)} by=$fparg1:f64" if told else None)
    if compiler == "gcc":
        assert found["result"][2] == " ".join(f"ret_{i}=+{8 * i}($retval):f64" for i in range(4))
        assert found["vectors"][0] == f"{in_memory('a', 8)} {in_memory('b', 40)}"
        assert found["attribute"][0] == f"{in_register('a', 1)} by=$fparg2:f64"
    else:
        assert found["vectors"][0] is None
        assert found["attribute"][0] == (f"{in_memory('a', 8)} by=$fparg1:f64" if told else None)

    path = compiled(tmp_path, VECTORS_TEXT, "-g", optimisation, "-mavx", compiler=compiler, name="avx")
    found = events(ftrace, path)
    assert found["number"][0] == "k=$arg1:s32" + (
        f" {in_register('a', 1)} {in_register('b', 2)} by=$fparg3:f64" if told else "")
    assert found["vectors"][0] == (f"{in_register('a', 1)} {in_register('b', 2)}" if told else None)
    assert found["result"][2] == "ret_lo=$fpretval:f64 ret_hi=$fpretval.1:f64 ret_w2=$fpretval.2:f64 ret_w3=$fpretval.3:f64"


@pytest.mark.parametrize("version", ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf64"])
def test_dwarf_versions(version, ftrace, tmp_path):
    of_x86_64()
    path = compiled(tmp_path, C_TEXT, "-g", version, "-O0")
    found = events(ftrace, path)
    for name, expected in C_EXPECTED.items():
        assert found[name] == expected, name


def test_declarations(ftrace, tmp_path):
    path = compiled(tmp_path, C_TEXT, "-g", "-O0")
    result = run([ftrace, "list", "--args", path, "text", "names", "nothing", "variable", "pairs", "old"])
    assert result.stdout.decode().splitlines() == [
        "pair_t pairs(pair_t p, struct mixed m, struct floats f)",
        "int names(enum color c, enum flags f, int (*)() function, void *p)",
        "char *text(const char *s, char *t, unsigned char *raw)",
        "int variable(const char *format, ...)", "void nothing(void)", "long int old(int a, short int b)"]


def test_separate_debug_file(ftrace, tmp_path):
    of_x86_64()
    path = compiled(tmp_path, C_TEXT, "-g", "-O0", "-Wl,--build-id")
    subprocess.run(["objcopy", "--only-keep-debug", path, path + ".debug"], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={path}.debug", path], check=True)
    found = events(ftrace, path)
    for name, expected in C_EXPECTED.items():
        assert found[name] == expected, name


def test_without_debug_information(ftrace, tmp_path):
    path = compiled(tmp_path, C_TEXT, "-O0", "-g0")
    result = run([ftrace, "list", "--args", path, "ints", "names"])
    assert result.stdout.decode().split() == ["ints", "names"]
    assert b"no prototype is known: it has no debug information; compile it with -g" in result.stderr


def test_clones_without_places(ftrace, tmp_path):
    """A function that the compiler cut down has its values only where it says they are."""
    of_x86_64()
    text = """
    struct s { int a, b, c, d; };
    static __attribute__((noinline)) int sum(struct s *s, int unused, int k) { return s->a + s->d * k; }
    int main(int argc, char **argv) { struct s s = { argc, 2, 3, argc }; return sum(&s, 1, 7) + sum(&s, 2, 7); }
    """
    path = compiled(tmp_path, text, "-g", "-O2")
    lines = run([ftrace, "list", "--events", path, "sum*"]).stdout.decode().splitlines()
    assert lines and ".isra" in lines[0] or ".constprop" in lines[0], lines
    for line in lines[1:]:
        # Nothing is claimed of the structure's pointer, the number or the result, which are not there.
        assert "$retval" not in line and "s=$arg1" not in line, lines


CXX_TEXT = """
#include <memory>
#include <string>
#include <string_view>
namespace ns {
struct point { int x; double y; };
struct virt { virtual ~virt() {} int a; };
enum class level : unsigned char { low, mid = 2, high = 4 };
struct object {
	int member(int a, const std::string &s, std::string by, std::string_view view) const;
};
int object::member(int a, const std::string &s, std::string by, std::string_view view) const { return a; }
double refs(int &i, const point &p, point q, level l, std::unique_ptr<int> up, virt v) { return p.y; }
std::string make(const char *s) { return s; }
struct empty {};
int skips(empty e, int x) { return x; }
template <class T> T twice(T a) { return a + a; }
}
int main() { ns::twice(1); ns::twice(1.5); return 0; }
"""


@pytest.mark.parametrize("compiler", [c for c in ("g++", "clang++") if shutil.which(c)])
def test_cxx(compiler, ftrace, tmp_path):
    of_x86_64()
    path = compiled(tmp_path, CXX_TEXT, "-g", "-O0", "-std=c++17", compiler=compiler, suffix=".cc")
    found = events(ftrace, path)
    assert found["ns::object::member"][:2] == (
        "this=$arg1:x64 a=$arg2:s32 s=+0(+0($arg3)):string s_len=+8($arg3):u64 by=+0(+0($arg4)):string by_len=+8($arg4):u64 "
        "view=+0($arg6):string view_len=$arg5:u64",
        "%{this:p}, %{a:d}, %{s:S,s_len}, %{by:S,by_len}, %{view:S,view_len}")
    fetch, shown = found["ns::refs"][:2]
    # clang leaves out parameters that are not used, so that nothing is known of where others are.
    if compiler == "clang++":
        assert (fetch, shown) == (None, None)
        return
    assert fetch.startswith("i=+0($arg1):s32 p_x=+0($arg2):s32 p_y=+8($arg2):f64 q_lo=$arg3:x64 q_hi=$fparg1:f64 l=$arg4:u8 ")
    # Classes that are not copied bit by bit are passed by address.
    assert "+0($arg5):x64" in fetch and "v_a=+8($arg6):s32" in fetch, fetch
    assert shown.startswith("%{i:d}, {x=%{p_x:d}, y=%{p_y:f}}, {x=%{q_lo:d32@0}, y=%{q_hi:f64@0}}, %{l:e8,1}, ")


@pytest.mark.parametrize("compiler", [c for c in ("g++", "clang++") if shutil.which(c)])
def test_cxx_results(compiler, ftrace, tmp_path):
    of_x86_64()
    path = compiled(tmp_path, CXX_TEXT, "-g", "-O0", "-std=c++17", compiler=compiler, suffix=".cc")
    found = events(ftrace, path)
    assert found["ns::make[abi:cxx11]"] == (
        "s=+0($arg2):string s_p=$arg2:x64", "%{s:s,s_p}",
        "ret=+0(+0($retval)):string ret_len=+8($retval):u64", "%{ret:S,ret_len}")
    assert found["ns::skips"][:2] == ("x=$arg1:s32", "{}, %{x:d}")
    assert found["ns::twice<int>"][0] == "a=$arg1:s32" and found["ns::twice<double>"][0] == "a=$fparg1:f64"


def test_libcxx(ftrace, tmp_path):
    """Described whole where one is made, by its name alone elsewhere."""
    of_x86_64()
    need_libcxx()
    flags = ["-stdlib=libc++", "-g", "-O0", "-std=c++17"]
    path = compiled(tmp_path, CXX_TEXT, *flags, compiler="clang++", suffix=".cc")
    found = events(ftrace, path)
    assert found["ns::object::member"][:2] == (
        "this=$arg1:x64 a=$arg2:s32 s=+0($arg3):libcxxstring s_len=+0($arg3):libcxxlength by=+0($arg4):libcxxstring "
        "by_len=+0($arg4):libcxxlength view=+0($arg5):string view_len=$arg6:u64",
        "%{this:p}, %{a:d}, %{s:S,s_len}, %{by:S,by_len}, %{view:S,view_len}")
    assert found["ns::make"] == (
        "s=+0($arg2):string s_p=$arg2:x64", "%{s:s,s_p}",
        "ret=+0($retval):libcxxstring ret_len=+0($retval):libcxxlength", "%{ret:S,ret_len}")
    text = """
    #include <string>
    unsigned long length(const std::string &s) { return s.size(); }
    int main(int argc, char **argv) { return argc > 5 ? length(*(std::string *)argv) : 0; }
    """
    path = compiled(tmp_path, text, *flags, compiler="clang++", suffix=".cc", name="declared")
    assert events(ftrace, path)["length"][:2] == ("s=+0($arg1):libcxxstring s_len=+0($arg1):libcxxlength", "%{s:S,s_len}")


def test_rust(ftrace, tmp_path):
    of_x86_64()
    if not shutil.which("rustc"):
        pytest.skip("rustc is not installed")
    text = """
    #[inline(never)] fn scalar(a: i32, b: u8, f: f64, s: &str, r: &i32) -> u64 { (a + b as i32 + f as i32 + *r) as u64 + s.len() as u64 }
    #[inline(never)] fn opaque(x: Option<(u8, u16)>, after: i32) -> i32 { x.map(|p| p.0 as i32).unwrap_or(after) }
    fn main() { println!("{} {}", scalar(1, 2, 3.0, "four", &5), opaque(None, 6)); }
    """
    source = tmp_path / "program.rs"
    source.write_text(text)
    subprocess.run(["rustc", "-g", "-o", str(tmp_path / "program"), str(source)], check=True, capture_output=True)
    found = events(ftrace, str(tmp_path / "program"), "program::*")
    assert found["program::scalar"] == (
        "a=$arg1:s32 b=$arg2:u8 f=$fparg1:f64 s=+0($arg3):string s_len=$arg4:u64 r=$arg5:x64",
        "%{a:d}, %{b:u}, %{f:f}, %{s:S,s_len}, %{r:p}", "ret=$retval:u64", "%{ret:u}")
    # How such are passed is not promised: nothing is said of it, nor of what follows.
    assert found["program::opaque"][:2] == (None, None)


def libc():
    result = subprocess.run(["ldd", "/bin/ls"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split()[2] for line in result.stdout.splitlines() if "libc.so" in line][0]


def test_libc_table(ftrace):
    of_x86_64()
    found = events(ftrace, libc(), "getenv", "read", "memcmp", "*mmap*", "malloc", "strtod", "printf")
    assert found["getenv"] == ("name=+0($arg1):string name_p=$arg1:x64", "%{name:s,name_p}",
                               "ret=+0($retval):string ret_p=$retval:x64", "%{ret:s,ret_p}")
    assert found["read"][1] == "%{fd:d}, %{buf:p}, %{count:u}" and found["read"][3] == "%{ret:d}"
    assert found["malloc"] == ("size=$arg1:u64", "%{size:u}", "ret=$retval:x64", "%{ret:p}")
    assert found["printf"][1] == "%{format:s,format_p}, ..."
    shown = [values[1] for name, values in found.items() if name in ("mmap", "mmap64", "__mmap")]
    assert shown and shown[0].startswith("%{addr:p}, %{length:u}, %{prot:e32,"), found


def test_table_agrees_with_debug_information(ftrace, tmp_path):
    """As many parameters, and results of the same size, as the C library's headers declare."""
    names = ["openat", "lseek", "mmap", "socket", "bind", "epoll_ctl", "pthread_create", "qsort", "strtol", "fwrite",
             "getaddrinfo", "posix_spawn", "sigaction", "setvbuf", "clock_nanosleep", "prctl", "recvfrom", "mremap"]
    found = events(ftrace, libc(), *names)
    for name in set(names) & set(found):
        call, shown, result, _ = found[name]
        assert call and result is not None or name in ("qsort",), name
        assert "?" not in shown, (name, shown)

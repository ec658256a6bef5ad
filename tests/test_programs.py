# SPDX-License-Identifier: MIT
"""Programs whose control flow is hard on a tracer: each one behaves the same when it is traced.

Every program runs natively once, then recorded by both tracers, then with every function traced
through the library's API by a preloaded library (programs/api_all.c).
"""
import os
import struct

import pytest

import ftracetest
from ftracetest import PATCHABLE, build, compare, compiles, run_in_new_folder

O2 = ["-O2", "-Wall", PATCHABLE]
THREADS = ["-pthread"]
LIBRARY = ["-shared", "-fPIC", *O2]


def plugins():
    return [build("plugin.c", *LIBRARY, f"-DPLUGIN_STEP={step}", name=f"plugin{step}.so")
            for step in (1, 7)]


def unwinding_library():
    return [build("unwinder_goes.c", *LIBRARY, "-DLIBRARY", "-Wl,--no-as-needed", "-lgcc_s", name="unwinding.so")]


def with_constructor_threads(cc):
    library = build("ctor_thread_lib.c", *LIBRARY, "-pthread", name="libctor.so", cc=cc)
    return ["-rdynamic", "-Wl,--no-as-needed", library, "-Wl,-rpath," + os.path.dirname(library)]


def llvm_unwinder():
    """Flags that link LLVM's unwinder, or the reason why not."""
    flags = ["--rtlib=compiler-rt", "--unwindlib=libunwind"]
    done = ftracetest.run(["clang++", *ftracetest.ARCH_FLAGS, *flags, "-x", "c++", "-", "-o", "/dev/null"],
                          stdin=b"int main() { try { throw 1; } catch (int) { } }")
    if done.status:
        return done.stderr.decode(errors="replace").splitlines()[0]
    return flags


# name: source, flags, arguments; a callable among them is called when the test runs.
PROGRAMS = {
    "exc_middle": ("exc_middle.cc", O2, []),
    "exc_middle_O0": ("exc_middle.cc", ["-O0", PATCHABLE], []),
    "exc_middle_static_libgcc": ("exc_middle.cc", O2 + ["-static-libgcc"], []),
    "exc_middle_static_libstdcxx": ("exc_middle.cc", O2 + ["-static-libgcc", "-static-libstdc++"],
                                    []),
    "exc_rethrow": ("exc_rethrow.cc", O2, []),
    "exc_rethrow_static_libgcc": ("exc_rethrow.cc", O2 + ["-static-libgcc"], []),
    "exc_threads": ("exc_threads.cc", O2 + THREADS, []),
    "exc_terminate": ("exc_terminate.cc", O2, []),
    "exc_noexcept": ("exc_terminate.cc", O2, ["noexcept"]),
    "exc_qsort": ("exc_qsort.cc", O2, []),
    "longjmp": ("longjmp.c", O2, []),
    "longjmp_O0": ("longjmp.c", ["-O0", PATCHABLE], []),
    "longjmp_fortify": ("longjmp.c", O2 + ["-D_FORTIFY_SOURCE=2"], []),
    "coroutine": ("coroutine.c", O2, []),
    "coroutine_threads": ("coroutine_threads.c", O2 + THREADS, []),
    "coro20": ("coro20.cc", O2 + ["-std=c++20"], []),
    "tailcall": ("tailcall.c", O2, []),
    "sigalrm_main": ("sigalrm.c", O2, ["main"]),
    "sigalrm_alt": ("sigalrm.c", O2, ["alt"]),
    "sigalrm_jump": ("sigalrm.c", O2, ["jump"]),
    "fork_tree": ("fork_tree.c", O2, []),
    "fork_threads": ("fork_threads.c", O2 + THREADS, []),
    "vfork_exec": ("vfork_exec.c", O2, []),
    "raw_fork": ("raw_fork.c", O2, []),
    "cancel": ("cancel.cc", O2 + THREADS, []),
    "threads10k": ("threads10k.c", O2 + THREADS, []),
    "dlcycle": ("dlcycle.c", O2 + ["-ldl"], plugins),
    "dlthreads": ("dlthreads.c", O2 + THREADS, plugins),
    "ctor_thread": ("ctor_thread.c", O2 + THREADS, [], with_constructor_threads),
    "close_all": ("close_all.c", O2 + THREADS, []),
    "seccomp_allow": ("seccomp_allow.c", O2, ["1000"]),
    "seccomp_allow_long": ("seccomp_allow.c", O2, ["600000"]),
    "seccomp_strict": ("seccomp_strict.c", O2, ["1000"]),
    "seccomp_strict_long": ("seccomp_strict.c", O2, ["600000"]),
    "seccomp_strict_real": ("seccomp_strict.c", O2, ["1000", "real"]),
    "seccomp_first": ("seccomp_first.c", O2 + THREADS, []),
    "dlsym_next": ("dlsym_next.c", O2 + ["-rdynamic", "-ldl"], []),
    "return_address": ("return_address.c", O2 + ["-rdynamic", "-ldl"], []),
    "backtrace": ("backtrace.c", O2 + THREADS + ["-rdynamic", "-ldl"], []),
    "unwinder_goes": ("unwinder_goes.c", O2 + ["-ldl"], unwinding_library),
    "returns": ("returns.c", O2, []),
    "returns_O0": ("returns.c", ["-O0", PATCHABLE], []),
    "returns_avx": ("returns.c", O2 + ["-mavx"], []),
    "returns_avx512": ("returns.c", O2 + ["-mavx512f"], []),
    "returns_cxx": ("returns_cxx.cc", O2 + ["-std=c++17"], []),
    "nested": ("nested.c", O2, []),
    "abi": ("abi.c", O2 + ["-fno-inline", "-fipa-ra"], []),
    "errno_fenv": ("errno_fenv.c", O2 + ["-frounding-math", "-lm"], []),
    "deep_stack": ("deep_stack.c", O2 + THREADS, []),
    "blocked_signals": ("blocked_signals.c", O2 + THREADS, []),
    "late_ends": ("late_ends.cc", O2 + THREADS, []),
    "ifunc": ("ifunc.c", O2, []),
    "ifunc_now": ("ifunc.c", O2 + ["-Wl,-z,now"], []),
    "openmp": ("openmp.c", O2 + ["-fopenmp"], []),
    "pthread_sync": ("pthread_sync.c", O2 + THREADS, []),
    **{f"exit_{how}": ("exit_deep.c", O2 + THREADS, [how])
       for how in ("exit", "_exit", "quick_exit", "abort", "segv", "kill", "term")},
    "exit_thread": ("exit_deep.c", O2 + THREADS, ["exit", "waits"]),
    "exit_thread_main_gone": ("exit_deep.c", O2 + THREADS, ["exit", "gone"]),
    "abort_thread": ("exit_deep.c", O2 + THREADS, ["abort", "waits"]),
}
# By clang instead, or with LLVM's unwinder.
CLANG = {
    "exc_rethrow_clang": ("exc_rethrow.cc", O2, []),
    "exc_rethrow_llvm_unwinder": ("exc_rethrow.cc", O2, [], llvm_unwinder),
    "exc_threads_llvm_unwinder": ("exc_threads.cc", O2 + THREADS, [], llvm_unwinder),
    "cancel_clang": ("cancel.cc", O2 + THREADS, []),
    "tailcall_clang": ("tailcall.c", O2, []),
    "returns_clang": ("returns.c", O2, []),
    "longjmp_clang": ("longjmp.c", O2, []),
}
# The program's own end hides how often callbacks ran, or it must not be preloaded with more.
TIME_LIMIT = 60


def prepare(name):
    source, flags, arguments, *more = PROGRAMS.get(name) or CLANG[name]
    cc = "clang" if name in CLANG else "gcc"
    if cc == "clang" and not ftracetest.have("clang"):
        pytest.skip("clang is not installed")
    if "avx512f" in " ".join(flags) and "avx512f" not in open("/proc/cpuinfo").read():
        pytest.skip("this processor has no AVX-512")
    if "-mavx" in flags and " avx " not in open("/proc/cpuinfo").read():
        pytest.skip("this processor has no AVX")
    if name == "tailcall_clang" and ftracetest.ARCH == "i386":
        pytest.skip("clang makes no tail calls in position independent code of i386: the stack overflows")
    if name.startswith("ifunc") and ftracetest.ARCH == "i386":
        flags = flags + ["-fno-pie", "-no-pie"]		# ld takes the address of no IFUNC otherwise
    for extra in more:
        added = extra(cc) if extra is with_constructor_threads else extra()
        if isinstance(added, str):
            pytest.skip(f"LLVM's unwinder cannot be linked: {added}")
        flags = flags + added
    program = build(source, *flags, cc=cc, name=name,
                    deps=[os.path.join(ftracetest.TESTS, "programs/t.h")])
    return [program, *(arguments() if callable(arguments) else arguments)]


native_results = {}


def native_run(name, command):
    if name not in native_results:
        native_results[name] = run_in_new_folder(command, timeout=TIME_LIMIT)
    result = native_results[name]
    assert result.status not in (None, 99), str(result)
    return result


ALL = [*PROGRAMS, *CLANG]


@pytest.mark.parametrize("tracer", ["function_graph", "function"])
@pytest.mark.parametrize("name", ALL)
def test_recorded(name, tracer, record):
    command = prepare(name)
    options = ["--tracer", tracer]
    if name in ("dlcycle", "dlthreads"):
        options += ["-L", "plugin*"]
    if name == "ctor_thread":
        options += ["-L", "libctor*"]
    recording = record.same(command, options, native=native_run(name, command), timeout=TIME_LIMIT)
    if ftracetest.NATIVE:
        return
    if name == "seccomp_first":		# the second thread may not make what a recording needs
        if recording.report().get("work", 0) < 10001:
            assert b"could not be recorded" in recording.result.stderr, str(recording.result)
        return
    assert recording.report(), "nothing was recorded"


@pytest.mark.parametrize("mode", ["all", "graph", "regs", "minimal"])
@pytest.mark.parametrize("name", ALL)
def test_through_library(name, mode, tmp_path):
    ftracetest.need_library()
    command = prepare(name)
    native = native_run(name, command)
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(16))
    traced = run_in_new_folder(command, timeout=TIME_LIMIT, env={
        "LD_PRELOAD": ftracetest.api_all(), "FTRACE_TEST_API": mode, "FTRACE_TEST_COUNTER": str(counter)})
    compare(native, traced)
    entries, returns = struct.unpack("=QQ", counter.read_bytes())
    # A thread that may not map memory before its first traced call can have no state of ours.
    assert entries > 0 or name == "seccomp_first", f"no callback ran\n{traced}"
    if mode in ("all", "graph"):
        # No function of exc_terminate ever returns.
        assert returns > 0 or name in ("seccomp_first", "exc_terminate", "exc_noexcept"), \
            f"no return callback ran\n{traced}"


def test_compiler_knows_the_flags():
    """The corpus stands on this flag; without it every other test would be about nothing."""
    assert compiles("gcc", "c", PATCHABLE) is True

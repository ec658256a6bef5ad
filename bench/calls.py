# SPDX-License-Identifier: MIT
"""Recording every call of tiny functions and of fib: ours, uftrace, XRay, and the floors."""
import glob
import os
import platform
import sys

from benchlib import (HERE, SOURCES, Failure, Skip, median, paired_ratio, parse_kinds, pool, run, size_of)

INSTRUMENT = {
    "patchable": ("gcc", ["-fpatchable-function-entry=5"], []),
    "pg": ("gcc", ["-pg"], ["-pg"]),
    "never": ("gcc", [], []),	# as most programs are
    "xray": ("clang", ["-fxray-instrument", "-fxray-instruction-threshold=1"],
             ["-fxray-instrument"]),
}


# How many functions, and calls of them in a run.
MANY = (256, 4096)
FEW = (64, 1024)	# with their stubs, within a first-level instruction cache


def patterns(bench, size):
    folder = bench.path(f"gen{size[0]}")
    run([sys.executable, os.path.join(HERE, "gen_patterns.py"), folder, *map(str, size)])
    return folder


def build(bench, program, kind, extra=(), size=MANY, library=()):
    """One measuring program whose sites.c is compiled with the instrumentation @kind."""
    compiler, flags, link = INSTRUMENT[kind]
    if compiler != "gcc":
        bench.need_tool(compiler, compiler)
        bench.version(compiler)
    gen = patterns(bench, size)
    out = kind if size == MANY else f"{kind}{size[0]}"
    include = ["-I" + gen, "-I" + SOURCES]
    base = [compiler, "-O2", "-g", *include]
    sites = os.path.join(SOURCES, "sites.c")
    listing = os.path.join(gen, "sites.inc")
    objects = [
        bench.compile(f"{out}/sites.o", base + flags + ["-c"], [sites, listing]),
        bench.compile(f"{out}/plain.o", base + ["-DPLAIN", "-c"], [sites, listing]),
        bench.compile(f"{out}/patterns.o", base + ["-c"], [os.path.join(gen, "patterns.S")]),
        bench.compile(f"{out}/{program}.o", base + list(extra) + ["-c"],
                      [os.path.join(SOURCES, program + ".c")]),
    ]
    return bench.compile(f"{out}/{program}", [compiler, *link], objects)


def apart(program=1, recorder=0):
    """How to run a tool so that it writes on another processor than the program runs on, as it
    does by itself where processors are free: the program moves, see calls.c."""
    if (os.cpu_count() or 1) < 2:
        return {}
    return {"prefix": ["taskset", "-c", str(recorder)], "env": {"BENCH_CPU": str(program)}}


def record_ours(bench, out, command, tracer="function_graph", options=(), where=None):
    return run([bench.need_ftrace(), "record", "--tracer", tracer, "--max-size", "20G", "-o", out,
                *options, "--"] + command, **(where or {}))


def record_profile(bench, out, command):
    """Counts and times kept in memory, no records."""
    if "--profile" not in run([bench.need_ftrace(), "record", "--help"]).out:
        raise Skip("this ftrace record has no --profile")
    return run([bench.need_ftrace(), "record", "--profile", "-o", out, "--"] + command, **apart())


def record_uftrace(bench, out, command, options=(), where=None):
    uftrace = bench.need_tool("uftrace", "uftrace")
    bench.version(uftrace)
    return run([uftrace, "record", "--no-libcall", "--max-stack=65535", "-d", out, *options]
               + command, **(where or {}))


def record_xray(bench, out, command):
    os.makedirs(out)
    done = run(command, env={
        **apart().get("env", {}),
        "XRAY_OPTIONS": f"patch_premain=true xray_mode=xray-fdr xray_logfile_base={out}/log.",
        "XRAY_FDR_OPTIONS": "func_duration_threshold_us=0"})
    if not glob.glob(f"{out}/log.*"):
        raise Skip("XRay FDR wrote no log")
    return done


def record_uprobes(bench, program):
    """fib under the kernel's uprobe and uretprobe, events kept in the kernel's ring; few calls."""
    bench.need_tool("unshare", "util-linux")
    if os.geteuid():
        raise Skip("uprobes need root")
    done = run(["unshare", "-m", sys.executable, os.path.join(HERE, "uprobes.py"), program,
                "traced_fib", program, "3", "4"], may_fail=True, env=apart().get("env"))
    if done.status:
        reason = (done.err.strip().splitlines() or ["no reason given"])[-1]
        raise Skip(reason) if done.status == 3 else Failure(f"uprobes: {reason}")
    return done


def recording(bench):
    """ns a call recorded, side by side."""
    outer = 3 if bench.quick else 9
    arguments = ["3", "100" if bench.quick else "200"]
    tools = [	# name, program, how it is recorded
        ("ours", "patchable", lambda out, cmd: record_ours(bench, out, cmd, where=apart())),
        ("ours, one processor", "patchable",
         lambda out, cmd: record_ours(bench, out, cmd, where=apart(recorder=1))),
        ("ours, entry only", "patchable",
         lambda out, cmd: record_ours(bench, out, cmd, "function", where=apart())),
        ("ours, profile", "patchable", lambda out, cmd: record_profile(bench, out, cmd)),
        ("uftrace -pg", "pg", lambda out, cmd: record_uftrace(bench, out, cmd, where=apart())),
        ("uftrace patchable", "patchable",
         lambda out, cmd: record_uftrace(bench, out, cmd, ["-P", "."], where=apart())),
        ("XRay FDR", "xray", lambda out, cmd: record_xray(bench, out, cmd)),
        ("uprobe and uretprobe", "patchable", lambda out, cmd: record_uprobes(bench, cmd[0])),
        ("not recorded", "patchable", lambda out, cmd: run(cmd, **apart())),
    ]
    # In one process each run is made once to warm up and `reps` times for each round.
    reps = int(arguments[1])
    calls = 3 * ((reps + 1) * 4096 + (reps // 5 + 2) * 21891)
    # Bytes a call takes at least; less were a faster tool only for what it left out.
    least = {"ours": 16, "ours, one processor": 16, "ours, entry only": 8, "uftrace -pg": 32, "uftrace patchable": 32}
    programs, samples, sizes = {}, {}, {}
    for name, kind, _ in tools:
        program = bench.attempt(name, build, bench, "calls", kind)
        if program:
            programs[name] = program
            samples[name] = []
    for turn in range(outer):
        bench.say(f"recording tiny calls and fib, round {turn + 1} of {outer}")
        for name, _, record in tools:
            if name not in programs:
                continue
            out = bench.fresh("calls")
            done = bench.attempt(name, record, out, [programs[name]] + arguments)
            if done is None:
                del programs[name]
                continue
            samples[name].append(parse_kinds(done.out))
            sizes[name] = size_of(out, "stream") if name.startswith("ours") else size_of(out)
            bench.drop(out)
            if sizes[name] < least.get(name, 0) * calls:
                bench.fail(name, f"{sizes[name]:,} bytes recorded for {calls:,} calls: some are missing")
                del programs[name]
    samples = {name: values for name, values in samples.items() if len(values) == outer}

    def ns(name, kind):
        return median(pool(samples[name], kind))

    def against(name, kind, other):
        """How many times slower @name is than @other, turn by turn."""
        return median([median(a[kind]) / median(b[kind])
                       for a, b in zip(samples[name], samples[other])])

    base = samples.get("ours") or samples.get("not recorded")
    if not base:
        return
    for kind, title in (("plain", "plain call"), ("clock2", "two rdtsc (floor, no call)"),
                        ("clock1", "one rdtsc + call/ret (floor)"), ("fib_plain", "fib, plain"),
                        ("fib_clock2", "fib with two rdtsc in it")):
        bench.row(title, median(pool(base, kind)), "ns/call", samples=pool(base, kind))
    if "not recorded" in samples:
        bench.row("built for tracing, not traced", ns("not recorded", "traced"), "ns/call",
                  paired_ratio(samples["not recorded"], "traced", "plain"), "plain call")
    if "ours" in samples:
        ours = samples["ours"]
        bench.row("entry+exit, tiny function", ns("ours", "traced"), "ns/call",
                  paired_ratio(ours, "traced", "clock2"), "two rdtsc", at_most=1.35,
                  samples=pool(ours, "traced"))
        bench.row("entry+exit, fib", ns("ours", "fib_traced"), "ns/call",
                  paired_ratio(ours, "fib_traced", "clock2"), "two rdtsc", at_most=1.35,
                  samples=pool(ours, "fib_traced"),
                  note=f"{paired_ratio(ours, 'fib_traced', 'fib_clock2'):.3f} x fib with two rdtsc"
                       " in it")
        if "ours, one processor" in samples:
            alone = samples["ours, one processor"]
            bench.row("the same, recorder on the program's processor",
                      ns("ours, one processor", "traced"), "ns/call",
                      paired_ratio(alone, "traced", "clock2"), "two rdtsc",
                      samples=pool(alone, "traced"))
        bench.row("paused: recording stopped, stubs kept", ns("ours", "paused"), "ns/call",
                  paired_ratio(ours, "paused", "plain"), "plain call",
                  samples=pool(ours, "paused"))
        bench.row("size of the recording", sizes["ours"] / calls, "B/call", at_most=16.1,
                  target_is="value")
    if "ours, entry only" in samples:
        entries = samples["ours, entry only"]
        bench.row("entry only, tiny function", ns("ours, entry only", "traced"), "ns/call",
                  paired_ratio(entries, "traced", "clock1"), "one rdtsc + call", at_most=1.35,
                  samples=pool(entries, "traced"))
        bench.row("entry only, fib", ns("ours, entry only", "fib_traced"), "ns/call")
    if "ours, profile" in samples:
        profile = samples["ours, profile"]
        bench.row("in-process profile, tiny function", ns("ours, profile", "traced"), "ns/call",
                  paired_ratio(profile, "traced", "clock2"), "two rdtsc",
                  samples=pool(profile, "traced"))
        bench.row("in-process profile, fib", ns("ours, profile", "fib_traced"), "ns/call",
                  paired_ratio(profile, "fib_traced", "clock2"), "two rdtsc")
    bench.versions["uprobes"] = f"Linux {platform.release()}"
    for name, at_least in (("uftrace -pg", 5), ("uftrace patchable", 5), ("XRay FDR", 8),
                           ("uprobe and uretprobe", None)):
        if name not in samples:
            continue
        for kind, title in (("traced", "tiny function"), ("fib_traced", "fib")):
            if kind == "traced" and not at_least:
                continue	# only fib has probes
            ratio = against(name, kind, "ours") if "ours" in samples else None
            bench.row(f"{name}, {title}", ns(name, kind), "ns/call", ratio, "ours",
                      at_least=at_least if ratio else None, samples=pool(samples[name], kind))


def threads(bench):
    """Two threads that record at once, beside one."""
    program = build(bench, "calls", "patchable")
    outer, reps = (3, "500") if bench.quick else (7, "1000")
    variants = {"recorder writing": [], "flight recorder": ["--overwrite"]}
    samples = {name: [] for name in variants}
    for _ in range(outer):
        for name, options in variants.items():
            out = bench.fresh("threads")
            done = record_ours(bench, out, [program, "3", reps, "2"], options=options)
            samples[name].append(parse_kinds(done.out))
            bench.drop(out)
    for name, values in samples.items():
        machine = 1 / paired_ratio(values, "clock2", "clock1")
        limit = f"this machine gave two threads {machine:.2f} x one while nothing was recorded"
        if name == "recorder writing" and os.cpu_count() < 3:
            limit += "; the recorder needs its share of the two processors, too"
        for kind, title in (("clock", "two rdtsc"), ("plain", "plain calls"), ("traced", "recorded")):
            bench.row(f"{title}, two threads ({name})", median(pool(values, kind + "2")), "ns/call",
                      1 / paired_ratio(values, kind + "2", kind + "1"), "the speed of one",
                      at_least=1.9 if kind == "traced" else None,
                      note=limit if kind == "traced" else "", samples=pool(values, kind + "2"))

# SPDX-License-Identifier: MIT
"""Programs that were never compiled for tracing: every call of tiny functions and of fib, start-up
of a program of 50,000 functions, and what stubs cost that nobody listens to."""
import os
import re
import shutil
import sys

from benchlib import HERE, SOURCES, Failure, median, paired_ratio, parse_kinds, pool, run, size_of
import calls
import many

CHOSEN = ["-F", "traced_*"]	# the measuring program's floors stay as they are


def recording(bench):
    outer, arguments = (3, ["3", "100"]) if bench.quick else (9, ["3", "200"])
    program = calls.build(bench, "calls", "never")
    tools = {
        "ours": lambda out, cmd: calls.record_ours(bench, out, cmd, options=CHOSEN, where=calls.apart()),
        "ours, entry only": lambda out, cmd: calls.record_ours(bench, out, cmd, "function", CHOSEN,
                                                               calls.apart()),
        "uftrace": lambda out, cmd: calls.record_uftrace(bench, out, cmd, ["-P", "."], calls.apart()),
    }
    reps = int(arguments[1])
    count = 3 * ((reps + 1) * 4096 + (reps // 5 + 2) * 21891)
    least = {"ours": 16, "ours, entry only": 8, "uftrace": 32}
    samples = {name: [] for name in tools}
    for turn in range(outer):
        bench.say(f"never recompiled, round {turn + 1} of {outer}")
        for name, record in tools.items():
            if name not in samples:
                continue
            out = bench.fresh("moved")
            done = bench.attempt(name, record, out, [program] + arguments)
            size = size_of(out, "stream") if name.startswith("ours") else size_of(out)
            bench.drop(out)
            if done is not None and size < least[name] * count:
                bench.fail(name, f"{size:,} bytes recorded for {count:,} calls: some are missing")
                done = None
            if done is None:
                del samples[name]
                continue
            samples[name].append(parse_kinds(done.out))
    ours, entries, theirs = (samples.get(name) for name in tools)
    for kind, title in (("traced", "tiny function"), ("fib_traced", "fib")):
        if ours:
            bench.row(f"never recompiled: entry+exit, {title}", median(pool(ours, kind)), "ns/call",
                      paired_ratio(ours, kind, "clock2"), "two rdtsc", at_most=1.45,
                      samples=pool(ours, kind))
        if entries:
            bench.row(f"never recompiled: entry only, {title}", median(pool(entries, kind)), "ns/call",
                      paired_ratio(entries, kind, "clock1"), "one rdtsc + call",
                      samples=pool(entries, kind))
        if theirs and median(pool(theirs, kind)) < 2 * median(pool(theirs, "plain")):
            bench.skip(f"uftrace, {title}", "it left these functions alone: they are too short for it")
        elif theirs:
            ratio = ours and median([median(a[kind]) / median(b[kind]) for a, b in zip(theirs, ours)])
            bench.row(f"uftrace, never recompiled, {title}", median(pool(theirs, kind)), "ns/call", ratio,
                      "ours", at_least=5 if ratio else None, samples=pool(theirs, kind))
    if ours:
        bench.row("never recompiled: paused, stubs kept", median(pool(ours, "paused")), "ns/call",
                  paired_ratio(ours, "paused", "plain"), "plain call", samples=pool(ours, "paused"))


def build_many(bench):
    """The program of 50,000 functions without any instrumentation."""
    gen = bench.path("many")
    if not os.path.exists(os.path.join(gen, "many-table.c")):
        run([sys.executable, os.path.join(HERE, "gen_many.py"), gen, str(many.COUNT), str(many.FILES)])
    flags = ["gcc", "-O1", "-I" + gen, "-c"]
    objects = [bench.compile(f"never/many-{name}.o", flags, [os.path.join(gen, f"many-{name}.c")])
               for name in [*range(many.FILES), "table"]]
    objects.append(bench.compile("never/many-main.o", ["gcc", "-O2", "-I" + gen, "-c"],
                                 [os.path.join(SOURCES, "many.c")]))
    return bench.compile("never/many", ["gcc"], objects)


def start_up(bench):
    program = build_many(bench)
    cache = bench.path("cache")
    os.environ["XDG_CACHE_HOME"] = cache
    done = run([bench.need_ftrace(), "record", "-o", bench.fresh("many"), "--", program, "start"])
    if not re.search(r"(?m)^ftrace: [1-9]\d* calls? of ", done.err):
        raise Failure(f"nothing was recorded: {done.err.strip()[-300:]}")
    times = {"plain": [], "uncached": [], "cached": []}
    for _ in range(5 if bench.quick else 11):
        times["plain"].append(many.until_main([program, "start"])[0] * 1e3)
        shutil.rmtree(cache, ignore_errors=True)
        os.mkdir(cache, 0o700)
        for name in ("uncached", "cached"):
            out = bench.fresh("many")
            begun = many.until_main([bench.need_ftrace(), "record", "-o", out, "--", program, "start"])
            times[name].append(begun[0] * 1e3)
            bench.drop(out)
    bench.row("never recompiled: start-up, 50,000 functions, plain", median(times["plain"]), "ms")
    for name, limit in (("uncached", 150), ("cached", 40)):
        over = [a - b for a, b in zip(times[name], times["plain"])]
        bench.row(f"never recompiled: until main(), {name}, over plain", median(over), "ms", at_most=limit,
                  target_is="value", samples=over)


def moved(bench):
    bench.attempt("recording", recording, bench)
    bench.attempt("start-up", start_up, bench)

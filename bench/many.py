# SPDX-License-Identifier: MIT
"""A program of 50,000 functions: turning all on, start-up under `ftrace record`; and threads that
come and go."""
import os
import re
import subprocess
import sys
import time

from benchlib import HERE, SOURCES, Failure, median, parse_kinds, pool, run
import callbacks

COUNT, FILES = 50000, 10


def build(bench):
    """The program without and with the library."""
    gen = bench.path("many")
    if not os.path.exists(os.path.join(gen, "many-table.c")):
        run([sys.executable, os.path.join(HERE, "gen_many.py"), gen, str(COUNT), str(FILES)])
    include = ["-I" + gen]
    flags = ["gcc", "-O1", "-fpatchable-function-entry=5", *include, "-c"]
    objects = [bench.compile(f"many/{k}.o", flags, [os.path.join(gen, f"many-{k}.c")])
               for k in range(FILES)]
    objects.append(bench.compile("many/table.o", ["gcc", "-O1", *include, "-c"],
                                 [os.path.join(gen, "many-table.c")]))
    main = os.path.join(SOURCES, "many.c")
    plain = bench.compile("many/many", ["gcc"], objects + [
        bench.compile("many/main.o", ["gcc", "-O2", *include, "-c"], [main])])
    library_include, link = callbacks.library_flags(bench)
    linked = bench.path("many", "many-lib")
    run(["gcc", "-o", linked, bench.compile(
        "many/main-lib.o", ["gcc", "-O2", "-DWITH_LIBFTRACE", *library_include, *include, "-c"],
        [main]), *objects, *link, "-lpthread"])
    return plain, linked


def until_main(command):
    """Seconds from here to the first line of main(), and to the end."""
    start = time.monotonic()
    done = run(command)
    begin = parse_kinds(done.out).get("main")
    if not begin:
        raise Failure(f"{' '.join(command)}: main() did not report")
    return begin[0] / 1e9 - start, done.wall


def toggling(bench, linked):
    runs = [parse_kinds(run([linked, "toggle", "4"]).out) for turn in range(5)]
    first = [values["on"][0] / 1e6 for values in runs]
    rest = [ns / 1e6 for values in runs for ns in values["on"][1:]]
    off = [ns / 1e6 for values in runs for ns in values["off"]]
    bench.row("turn 50,000 functions on, first time", median(first), "ms", at_most=5,
              target_is="value", samples=first, note="a thread is calling the functions")
    bench.row("turn 50,000 functions on, again", median(rest), "ms", at_most=5, target_is="value",
              samples=rest)
    bench.row("turn 50,000 functions off", median(off), "ms", samples=off)


def start_up(bench, plain):
    rounds = 5 if bench.quick else 11
    native, traced = [], []
    for _ in range(rounds):
        native.append(until_main([plain, "start"]))
        out = bench.fresh("many")
        traced.append(until_main([bench.need_ftrace(), "record", "-o", out, "--", plain, "start"]))
        bench.drop(out)
    to_main = [(t[0] - n[0]) * 1e3 for t, n in zip(traced, native)]
    whole = [(t[1] - n[1]) * 1e3 for t, n in zip(traced, native)]
    bench.row("start-up, 50,000 functions, plain", median([n[0] for n in native]) * 1e3, "ms")
    bench.row("ftrace record: until main(), over plain", median(to_main), "ms", at_most=150,
              target_is="value", samples=to_main)
    bench.row("ftrace record: until it has ended, over plain", median(whole), "ms", samples=whole)


def attaching(bench, plain):
    """To a process whose functions were compiled for tracing, and to one as any compiler makes it."""
    gen, rounds = bench.path("many"), 5 if bench.quick else 9
    flags = ["gcc", "-O1", "-I" + gen, "-c"]
    objects = [bench.compile(f"many/as-is-{k}.o", flags, [os.path.join(gen, f"many-{k}.c")])
               for k in range(FILES)]
    as_is = bench.compile("many/as-is", ["gcc"], [
        *objects, os.path.join(gen, "main.o"), os.path.join(gen, "table.o")])
    for what, program in ("compiled for tracing", plain), ("never recompiled", as_is):
        times, again, stopped = [], [], []
        for _ in range(rounds):
            with subprocess.Popen([program, "wait"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE) as process:
                process.stdout.readline()
                for values in times, again:
                    out = bench.fresh("attach")
                    done = run([bench.need_ftrace(), "record", "-o", out, "--tracer", "nop",
                                "--duration", "1ms", "-p", str(process.pid)])
                    match = re.search(r"in ([0-9.]+) ms: one thread borrowed .* ([0-9.]+) ms at most",
                                      done.err)
                    if not match:
                        raise Failure("ftrace record -p: " + done.err)
                    values.append(float(match.group(1)))
                    stopped.append(float(match.group(2)))
                    bench.drop(out)
                process.stdin.close()
        bench.row(f"attach to 50,000 functions, {what}, none enabled", median(times), "ms",
                  at_most=200, target_is="value", samples=times)
        bench.row(f"the same, again: {what}", median(again), "ms", samples=again)
        bench.row(f"all threads stopped for: {what}", median(stopped), "ms", samples=stopped)


def thread_growth(bench, plain):
    count = 5000 if bench.quick else 10000
    # A thread that begins before the recorder has taken what the last one left gets a ring of its own: now and then, not more.
    rounds = []
    for _ in range(1 if bench.quick else 5):
        out = bench.fresh("threads")
        done = run([bench.need_ftrace(), "record", "-o", out, "--", plain, "threads", str(count)])
        rounds.append(parse_kinds(done.out))
        bench.drop(out)
    grown = {what: [median(pool(rounds, what))] for what in ("maps", "pages")}
    bench.row(f"{count:,} threads in turn: mappings more", grown["maps"][0], "", at_most=0,
              target_is="value")
    bench.row(f"{count:,} threads in turn: memory more", grown["pages"][0] * 4, "KiB", at_most=64,
              target_is="value")


def many(bench):
    plain, linked = build(bench)
    bench.attempt("turning on and off", toggling, bench, linked)
    bench.attempt("start-up", start_up, bench, plain)
    bench.attempt("attaching", attaching, bench, plain)
    bench.attempt("threads in turn", thread_growth, bench, plain)

# SPDX-License-Identifier: MIT
"""What a replaced function costs, and how long replacing one takes."""
import os
import re
import subprocess

from benchlib import Failure, SOURCES, median, parse_kinds, pool, run
from callbacks import library_flags


def build(bench):
    include, link = library_flags(bench)
    target = bench.compile("livepatch/target.o", ["gcc", "-O2", "-g", "-fpatchable-function-entry=5",
                                                  "-c"],
                           [os.path.join(SOURCES, "livepatch-target.c")])
    main = bench.compile("livepatch/main.o", ["gcc", "-O2", "-g", "-I" + SOURCES, *include, "-c"],
                         [os.path.join(SOURCES, "livepatch.c")])
    output = bench.path("livepatch", "livepatch")
    run(["gcc", "-o", output, main, target, *link, "-lpthread"])
    return output


def livepatch(bench):
    program = build(bench)
    samples = []
    for turn in range(3 if bench.quick else 7):
        bench.say(f"live patching, round {turn + 1}")
        samples.append(parse_kinds(run([program, "5", "400"]).out))

    def ns(kind):
        return median(pool(samples, kind))

    more = median([(patched - unpatched) / plain for sample in samples for patched, unpatched, plain
                   in zip(sample["patched"], sample["unpatched"], sample["plain"])])
    bench.row("plain call and return", ns("plain"), "ns/call", samples=pool(samples, "plain"))
    bench.row("function that can be replaced", ns("unpatched"), "ns/call",
              samples=pool(samples, "unpatched"))
    bench.row("replaced function: more than that", ns("patched"), "ns/call", more, "plain call",
              at_most=3, samples=pool(samples, "patched"))
    during = median([transition / callback for sample in samples for transition, callback
                     in zip(sample["transition"], sample["callback"])])
    bench.row("replaced function, during a transition", ns("transition"), "ns/call", during,
              "empty callback without all registers", at_most=1,
              samples=pool(samples, "transition"))
    before = median([transition / callback for sample in samples for transition, callback
                     in zip(sample["transition_before"], sample["callback_before"])])
    bench.row("the same, a thread that has not gone over", ns("transition_before"), "ns/call", before,
              "empty callback without all registers", at_most=1,
              samples=pool(samples, "transition_before"))
    transitions = [us / 1000 for us in pool(samples, "transition_us")]
    bench.row("transition, 100 threads, half of them blocked", median(transitions), "ms",
              at_most=50, target_is="value", samples=transitions)
    stops = [us / 1000 for us in pool(samples, "stop_us")]
    bench.row("longest stop of any thread meanwhile", median(stops), "ms", at_most=1,
              target_is="value", samples=stops)
    bench.attempt("patches from outside", from_outside, bench)


def from_outside(bench):
    """ftrace patch: to a program as any compiler makes it, which nobody has prepared."""
    examples = os.path.join(SOURCES, "..", "..", "examples")
    include, _ = library_flags(bench)
    shop = bench.compile("livepatch/shop", ["gcc", "-O2"], [os.path.join(examples, "shop.c")])
    fix = bench.path("livepatch", "fix-price.so")
    run(["gcc", "-O2", "-shared", "-fPIC", *include, os.path.join(examples, "fix-price.c"), "-o", fix])
    ftrace = [bench.need_ftrace(), "patch"]
    run([*ftrace, "stamp", fix, shop])
    times = {"apply": [], "revert": [], "apply again": []}
    stopped = []
    for _ in range(5 if bench.quick else 15):
        with subprocess.Popen([shop], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(b"1\n")
            process.stdin.flush()
            process.stdout.readline()
            for what, values in times.items():
                done = run([*ftrace, what.split()[0], str(process.pid),
                            *([fix] if what.startswith("apply") else [])])
                match = re.search(r" in ([0-9.]+) ms: .*, ([0-9.]+) ms at most", done.out)
                if not match:
                    raise Failure(f"ftrace patch {what}: {done.err}")
                values.append(float(match.group(1)))
                stopped.append(float(match.group(2)))
            process.stdin.close()
    for what, values in times.items():
        bench.row(f"ftrace patch {what}, a program as it is", median(values), "ms", samples=values)
    bench.row("all threads stopped for, at most", median(stopped), "ms", at_most=1, target_is="value",
              samples=stopped)

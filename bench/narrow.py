# SPDX-License-Identifier: MIT
"""Recording every call of a 32-bit program's tiny functions, beside their floor."""
import os
import random

from benchlib import SOURCES, Skip, median, paired_ratio, parse_kinds, pool, run
from calls import apart, record_ours

SITES, CALLS = 256, 4096
FLAGS = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu", "-O2", "-g", "-fno-pie", "-no-pie"]


def generate(bench):
    folder = bench.path("gen-narrow")
    os.makedirs(folder, exist_ok=True)
    order = random.Random(1).choices(range(SITES), k=CALLS)
    for name, text in (("patterns.h", f"#define CALLS\t{CALLS}\n"),
                       ("sites.inc", "".join(f"SITE({i})\n" for i in range(SITES))),
                       ("order.inc", "".join(f"SITE({i})\n" for i in order))):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    return folder


def build(bench):
    gen = generate(bench)
    base = ["gcc", *FLAGS, "-I" + gen, "-I" + SOURCES]
    sites = [os.path.join(SOURCES, "sites.c"), os.path.join(gen, "sites.inc")]
    objects = [
        bench.compile("narrow/sites.o", base + ["-fpatchable-function-entry=5", "-c"], sites),
        bench.compile("narrow/plain.o", base + ["-DPLAIN", "-c"], sites),
        bench.compile("narrow/narrow.o", base + ["-c"], [os.path.join(SOURCES, "narrow.c"),
                                                         os.path.join(gen, "order.inc")]),
    ]
    return bench.compile("narrow/narrow", ["gcc", *FLAGS], objects)


def narrow(bench):
    """ns a call recorded in an i386 program."""
    if not os.path.exists(os.path.join(bench.build, "compat", "libftrace.so")):
        raise Skip("libftrace was built without the library for 32-bit programs")
    program = build(bench)
    samples = []
    for _ in range(3 if bench.quick else 9):
        out = bench.fresh("narrow")
        done = record_ours(bench, out, [program, "3", "100" if bench.quick else "200"], where=apart())
        samples.append(parse_kinds(done.out))
        bench.drop(out)
    bench.row("i386: plain call", median(pool(samples, "plain")), "ns/call",
              samples=pool(samples, "plain"))
    bench.row("i386: two rdtsc (floor, no call)", median(pool(samples, "clock2")), "ns/call",
              samples=pool(samples, "clock2"))
    for kind, title in (("traced", "tiny function"), ("fib_traced", "fib")):
        bench.row(f"i386: entry+exit, {title}", median(pool(samples, kind)), "ns/call",
                  paired_ratio(samples, kind, "clock2"), "two rdtsc", at_most=1.35,
                  samples=pool(samples, kind))

# SPDX-License-Identifier: MIT
"""What a probe costs: at an entry, elsewhere by a jump and by a breakpoint, at a return."""
import os
import platform

from benchlib import SOURCES, Skip, median, paired_ratio, parse_kinds, pool, run
from callbacks import library_flags


def probes(bench):
    if platform.machine() != "x86_64":
        raise Skip("the program that is probed is x86_64's")
    include, link = library_flags(bench)
    program = bench.path("probes", "probes")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    run(["gcc", "-O2", "-g", "-I" + SOURCES, *include, "-o", program,
         os.path.join(SOURCES, "probes.c"), *link])
    samples = []
    for turn in range(3 if bench.quick else 7):
        bench.say(f"probes, round {turn + 1}")
        samples.append(parse_kinds(run([program, "3", "400"]).out))

    def row(kind, title, base=None, to=None, at_most=None):
        bench.row(title, median(pool(samples, kind)), "ns/call",
                  paired_ratio(samples, kind, base) if base else None, to, at_most=at_most,
                  samples=pool(samples, kind))

    row("callback", "callback that counts, SAVE_REGS")
    row("entry", "probe that counts, at an entry", "callback", "callback", 1.5)
    row("jump", "probe that counts, by a jump", "callback", "callback", 2)
    row("return", "probe that counts, at a return", "callback", "callback")
    row("bare", "breakpoint, its signal's handler and back")
    row("trap", "probe that counts, by a breakpoint", "bare", "breakpoint", 1.3)

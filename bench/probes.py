# SPDX-License-Identifier: MIT
"""What a probe costs: at an entry, elsewhere by a jump and by a breakpoint, at a return; and the kernel's."""
import os
import platform
import sys

from benchlib import HERE, SOURCES, Failure, Skip, median, paired_ratio, parse_kinds, pool, run
from callbacks import library_flags

# Name, what the kernel is to put where, and beside which of ours.
KERNELS = [("uprobe", "--entry", "uprobed", "entry"),
           ("uprobe, beside a jump", "--entry", "uprobed", "jump"),
           ("uprobe at a nop of five bytes", "--entry", "uprobed5", "entry"),
           ("uretprobe", "--exit", "uprobed", "return")]


def kernels(bench, program, option, symbol):
    """{symbol: [ns a call]} with a probe of the kernel whose event is filtered out."""
    bench.need_tool("unshare", "util-linux")
    if os.geteuid():
        raise Skip("uprobes need root")
    done = run(["unshare", "-m", sys.executable, os.path.join(HERE, "uprobes.py"), option, program, symbol,
                program, "3", "20", symbol], may_fail=True)
    if done.status:
        reason = (done.err.strip().splitlines() or ["no reason given"])[-1]
        raise Skip(reason) if done.status == 3 else Failure(f"uprobes: {reason}")
    return parse_kinds(done.out)


def probes(bench):
    if platform.machine() != "x86_64":
        raise Skip("the program that is probed is x86_64's")
    include, link = library_flags(bench)
    program = bench.path("probes", "probes")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    run(["gcc", "-O2", "-g", "-I" + SOURCES, *include, "-o", program,
         os.path.join(SOURCES, "probes.c"), *link])
    samples, missing = [], set()
    for turn in range(3 if bench.quick else 7):
        bench.say(f"probes, round {turn + 1}")
        sample = parse_kinds(run([program, "3", "400"]).out)
        for option, symbol in sorted({kernel[1:3] for kernel in KERNELS}):
            if (option, symbol) not in missing:
                got = bench.attempt(f"the kernel's probe {option} {symbol}", kernels, bench, program, option, symbol)
                if got is None:
                    missing.add((option, symbol))
                else:
                    sample[option + symbol] = got[symbol]
        samples.append(sample)

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
    for title, option, symbol, ours in KERNELS:
        if (option, symbol) not in missing:
            ratio = median([median(s[option + symbol]) / median(s[ours]) for s in samples])
            bench.row(f"the kernel's {title}", median(pool(samples, option + symbol)), "ns/call", ratio,
                      {"entry": "our entry probe", "jump": "our probe by a jump", "return": "our return probe"}[ours],
                      at_least=20 if symbol == "uprobed" and option == "--entry" else None,
                      samples=pool(samples, option + symbol))
    bench.versions["uprobes"] = f"Linux {platform.release()}"

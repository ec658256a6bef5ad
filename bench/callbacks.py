# SPDX-License-Identifier: MIT
"""What a registered callback costs, through the library's API."""
import os
import platform

from benchlib import ROOT, SOURCES, Failure, median, paired_ratio, parse_kinds, pool, run
import calls


def library_flags(bench):
    """Compile and link flags for the library of the build tree."""
    folder = os.path.join(bench.build, "engine")
    if not os.path.exists(os.path.join(folder, "libftrace.so")):
        raise Failure(f"{folder}/libftrace.so: not built; run make first")
    arch = {"x86_64": "x86", "i686": "x86", "s390x": "s390"}[platform.machine()]
    return (["-I" + os.path.join(ROOT, folder) for folder in ("include", f"arch/{arch}/include")],
            ["-L" + folder, "-lftrace", "-Wl,-rpath," + folder])


def build(bench):
    include, link = library_flags(bench)
    # Few functions: here the trampolines are measured, not how much code the processor can hold.
    calls.build(bench, "calls", "patchable", size=calls.FEW)	# for its object files
    out = f"patchable{calls.FEW[0]}"
    main = bench.compile(f"{out}/callbacks.o", ["gcc", "-O2", "-g", "-I" + SOURCES, "-I" +
                         calls.patterns(bench, calls.FEW), *include, "-c"],
                         [os.path.join(SOURCES, "callbacks.c")])
    objects = [bench.path(out, name) for name in ("sites.o", "plain.o", "patterns.o")]
    output = bench.path(out, "callbacks")
    run(["gcc", "-o", output, main, *objects, *link])
    return output


def callbacks(bench):
    program = build(bench)
    samples = []
    for turn in range(3 if bench.quick else 7):
        bench.say(f"callbacks, round {turn + 1}")
        samples.append(parse_kinds(run([program, "3", "400"]).out))

    def ns(kind):
        return median(pool(samples, kind))

    def row(kind, title, base=None, to=None, at_most=None, beside=None):
        note = f"{paired_ratio(samples, kind, beside):.3f} x the same with an empty call in it" \
            if beside else ""
        bench.row(title, ns(kind), "ns/call",
                  paired_ratio(samples, kind, base) if base else None, to, at_most=at_most,
                  samples=pool(samples, kind), note=note)

    row("plain", "plain call")
    row("save16", "bare save/restore, 16 registers and flags")
    row("call16", "the same with an empty call in it")
    row("save9", "bare save/restore, 9 registers")
    row("call9", "the same with an empty call in it")
    row("regs", "empty callback, SAVE_REGS", "save16", "bare 16", 1.4, "call16")
    row("regs_vectors", "one that may change vector registers, SAVE_REGS", "save16", "bare 16")
    row("default", "empty callback", "save9", "bare 9", 1.4, "call9")
    row("default_vectors", "one that may change vector registers", "save9", "bare 9")
    row("recursion", "empty callback, RECURSION", "save9", "bare 9")
    row("graph", "empty graph callbacks, entry and return")
    row("stopped", "registered, ftrace_stop()ped", "plain", "plain call")
    row("off", "armed, off again", "plain", "plain call")

# SPDX-License-Identifier: MIT
"""What an event with values costs, by what is fetched, beside one look at the clock and one read by the kernel."""
import os

from benchlib import SOURCES, median, paired_ratio, parse_kinds, pool
from calls import apart, record_ours, record_uftrace

EVENTS = ["f integer n=$arg1:s64", "f returns%return n=$retval:s64", "f filtered n=$arg1:s64 if n > 1000000",
          "f literal s=+0($arg1):string", "f heap s=+0($arg1):string"]


def events(bench):
    """ns a call with an event, written to a file."""
    program = bench.compile("events/events", ["gcc", "-O2", "-g", "-fpatchable-function-entry=5"],
                            [os.path.join(SOURCES, "events.c")])
    options = [word for event in EVENTS for word in ("-e", event)]
    samples = []
    for _ in range(3 if bench.quick else 9):
        out = bench.fresh("events")
        done = record_ours(bench, out, [program, "3", "20" if bench.quick else "50"], tracer="nop", options=options,
                           where=apart())
        samples.append(parse_kinds(done.out))
        bench.drop(out)
    for kind, title, base, to in (
            ("plain", "plain call", None, None), ("clock", "one rdtsc + call", None, None),
            ("readv", "one process_vm_readv", None, None),
            ("integer", "entry, one integer", "clock", "one rdtsc + call"),
            ("filtered", "entry, one integer, filtered out", "clock", "one rdtsc + call"),
            ("returns", "return, its value", "clock", "one rdtsc + call"),
            ("literal", "entry, a string of the program's data", "clock", "one rdtsc + call"),
            ("heap", "entry, a string on the heap", "readv", "one process_vm_readv")):
        bench.row(f"event: {title}", median(pool(samples, kind)), "ns/call",
                  paired_ratio(samples, kind, base) if base else None, to, samples=pool(samples, kind))

    values(bench, program)


def values(bench, program):
    """ns a call with its arguments and result, as debug information has them (-a), beside the call alone and uftrace's."""
    tools = {
        "ours": lambda out, cmd: record_ours(bench, out, cmd, where=apart()),
        "ours -a": lambda out, cmd: record_ours(bench, out, cmd, options=["-a"], where=apart()),
        "uftrace": lambda out, cmd: record_uftrace(bench, out, cmd, ["-P", "."], where=apart()),
        "uftrace -a": lambda out, cmd: record_uftrace(bench, out, cmd, ["-P", ".", "-a"], where=apart()),
    }
    samples = {name: [] for name in tools}
    for _ in range(3 if bench.quick else 7):
        for name, record in tools.items():
            if samples[name] is None:
                continue
            out = bench.fresh("values")
            done = bench.attempt(f"values, {name}", record, out, [program, "3", "5" if bench.quick else "20"])
            bench.drop(out)
            samples[name] = None if done is None else samples[name] + [parse_kinds(done.out)]
    for kind, title in (("integer", "an integer and one as result"), ("literal", "a string of the program's data"),
                        ("heap", "a string on the heap")):
        for name, base in (("ours", None), ("ours -a", "ours"), ("uftrace -a", "ours -a"), ("uftrace", None)):
            if not samples[name] or (base and not samples[base]) or (name == "uftrace" and kind != "integer"):
                continue
            if name == "ours" and kind != "integer":
                continue
            ratio = median([median(a[kind]) / median(b[kind])
                            for a, b in zip(samples[name], samples[base])]) if base else None
            what = f", {title}" if name.endswith("-a") else ""
            bench.row(f"values: {name}{what}", median(pool(samples[name], kind)), "ns/call", ratio, base,
                      samples=pool(samples[name], kind))

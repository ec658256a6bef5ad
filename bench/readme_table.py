#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: readme_table.py BENCH.JSON

Prints README.md's table of costs from the results of one run of the benchmark."""
import json
import sys


def main():
    with open(sys.argv[1]) as file:
        results = json.load(file)
    rows = {}
    for row in results["rows"]:	# a name may stand in several sections: the first one counts
        rows.setdefault(row["name"], row)

    def ns(name):
        value = rows[name]["value"]
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

    def per_call(title, tiny, fib, against=True):
        if tiny and tiny not in rows or fib not in rows:
            return
        ratio = rows[tiny or fib]["ratio"] if against else None
        print(f"| {title} | {ns(tiny) if tiny else ''} | {ns(fib)} | "
              f"{f'{ratio:.1f} x' if ratio else ''} |")

    machine = results["machine"]
    print(f"Nanoseconds a call, the call itself included ({machine['cpu']}, {machine['cpus']} "
          f"processors, Linux {machine['kernel'].split('-')[0]}"
          + (f"; measured beside other work, load {machine['load_before']:.0f}"
             if machine["load_before"] > 1 else "") + "):\n")
    print("| | tiny function | fib | beside ftrace record |\n| --- | ---: | ---: | ---: |")
    per_call("not instrumented", "plain call", "fib, plain", False)
    if "two rdtsc (floor, no call)" in rows:
        print(f"| reading the clock twice, nothing else | {ns('two rdtsc (floor, no call)')} | | |")
    per_call("**ftrace record**, entry and exit, written to disk", "entry+exit, tiny function",
             "entry+exit, fib", False)
    per_call("the same, program never recompiled", "never recompiled: entry+exit, tiny function",
             "never recompiled: entry+exit, fib", False)
    name = "the same, recorder on the program's processor"
    if name in rows:
        print(f"| recompiled, where the recorder has no processor of its own | {ns(name)} | | |")
    per_call("**ftrace record --tracer function**, entries only", "entry only, tiny function",
             "entry only, fib", False)
    per_call("**ftrace record --profile**, counts and times only", "in-process profile, tiny function",
             "in-process profile, fib", False)
    versions = {name.split("/")[-1]: text for name, text in results["versions"].items()}
    uftrace = versions.get("uftrace", "").split("(")[0].replace("uftrace", "").strip()
    per_call(f"uftrace {uftrace}, -pg", "uftrace -pg, tiny function", "uftrace -pg, fib")
    per_call(f"uftrace {uftrace}, patchable entries", "uftrace patchable, tiny function",
             "uftrace patchable, fib")
    per_call(f"uftrace {uftrace}, never recompiled", None, "uftrace, never recompiled, fib")
    per_call("XRay FDR (clang 14), in memory", "XRay FDR, tiny function", "XRay FDR, fib")
    per_call("uprobe + uretprobe, in the kernel's ring", None, "uprobe and uretprobe, fib")

    print("\nReal programs, every call recorded:\n")
    print("| | untraced | ftrace record | uftrace -pg |\n| --- | ---: | ---: | ---: |")
    for name in ("Lua", "SQLite"):
        cells = [rows.get(f"{name}, {tool}") for tool in ("untraced", "ours", "uftrace -pg")]
        if all(cells):
            print(f"| {name} | {cells[0]['value']:.0f} ms | " + " | ".join(
                f"{cell['value']:,.0f} ms ({cell['ratio']:.1f} x)" for cell in cells[1:]) + " |")

    ours, theirs = rows.get("Lua with coroutines, ours"), \
        rows.get("Lua with coroutines, uftrace -pg (its defaults)")
    if ours and theirs:
        result = "killed by a signal" if "terminated by signal" in theirs["note"] else \
            f"{theirs['value']:,.0f} ms"
        print(f"| Lua, with coroutines | | {ours['value']:,.0f} ms | {result} |")

    print("\nAnd the rest:\n\n| | |\n| --- | ---: |")
    for name, title, text in (
            ("Lua: built for tracing, nothing traced", "Lua built for tracing, nothing traced", "{ratio:.3f} x the plain build"),
            ("SQLite: built for tracing, nothing traced", "SQLite, the same", "{ratio:.3f} x the plain build"),
            ("SQLite: all turned on and off again", "SQLite, every function turned on, then off", "{ratio:.3f} x the plain build"),
            ("paused: recording stopped, stubs kept", "recording paused", "{value:.1f} ns a call"),
            ("empty callback", "an empty callback", "{value:.1f} ns a call"),
            ("empty callback, SAVE_REGS", "an empty callback with every register", "{value:.1f} ns a call"),
            ("recorded, two threads (flight recorder)", "two threads, kept in memory (--overwrite)", "{ratio:.2f} x the speed of one"),
            ("recorded, two threads (recorder writing)", "two threads, the recorder on their two processors", "{ratio:.2f} x the speed of one"),
            ("10,000 threads in turn: memory more", "10,000 threads, one after the other", "{value:.0f} KiB more"),
            ("i386: entry+exit, tiny function", "i386: entry and exit recorded", "{ratio:.2f} x reading the clock twice"),
            ("turn 50,000 functions on, again", "turning 50,000 functions on, threads running", "{value:.1f} ms"),
            ("ftrace record: until main(), over plain", "start-up of a program of 50,000 functions", "{value:.0f} ms more"),
            ("never recompiled: until main(), uncached, over plain", "the same, never recompiled, for the first time", "{value:.0f} ms more"),
            ("never recompiled: until main(), cached, over plain", "... and after that", "{value:.0f} ms more"),
            ("size of the recording", "size of a recording", "{value:.0f} bytes a call"),
            ("ftrace report: records a second", "`ftrace report` reads", "{value:.0f} M records a second")):
        if name in rows:
            print(f"| {title} | {text.format(**rows[name])} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()

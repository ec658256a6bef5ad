# SPDX-License-Identifier: MIT
"""Attaching to a process of 100 threads: how long they stand, and whom a filter of one function costs
anything."""
import os
import re
import subprocess

from benchlib import SOURCES, Failure, median, parse_kinds, run


def measure(process):
    """What the process says of its two functions."""
    process.stdin.write("\n")
    process.stdin.flush()
    lines = []
    while not lines or lines[-1] != "done\n":
        lines.append(process.stdout.readline())
        if not lines[-1]:
            raise Failure("the process that was attached to has ended")
    return parse_kinds("".join(lines[:-1]))


def attach(bench):
    program = bench.compile("attach/target", ["gcc", "-O2", "-pthread"], [os.path.join(SOURCES, "attach.c")])
    stops, borrowed, shares, chosen = [], [], [], []
    for turn in range(3 if bench.quick else 7):
        out = bench.fresh("attach-threads")
        with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            before = measure(process)
            with subprocess.Popen([bench.need_ftrace(), "record", "-o", out, "-F", "chosen", "--overwrite",
                                   "-p", str(process.pid)], stderr=subprocess.PIPE, text=True) as recorder:
                match = re.search(r"borrowed for ([0-9.]+) ms, .* ([0-9.]+) ms at most",
                                  recorder.stderr.readline())
                if not match:
                    recorder.kill()
                    process.kill()
                    raise Failure("ftrace record -p could not attach")
                borrowed.append(float(match.group(1)))
                stops.append(float(match.group(2)))
                during = measure(process)
                recorder.terminate()
                recorder.communicate()
            after = measure(process)
            shares.append(median(during["other"]) / median(before["other"] + after["other"]))
            chosen.append(median(during["chosen"]))
            process.stdin.close()
        bench.drop(out)
    bench.row("100 threads: all stand still for, at attaching", median(stops), "ms", at_most=5,
              target_is="value", samples=stops)
    bench.row("100 threads: one of them is borrowed for", median(borrowed), "ms", samples=borrowed)
    bench.row("one function of a process traced: a call of it", median(chosen), "ns", samples=chosen)
    bench.row("one function of a process traced: a call of another", median(shares), "x", median(shares),
              "itself before and after", at_most=1.05, samples=shares)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: bench.py --build DIR [--only SECTION[,SECTION]] [--quick]

Measures what tracing costs and how fast recordings are read, prints a table, and writes
DIR/bench.json. What is compared runs interleaved, and every ratio is of numbers of one run;
numbers are medians. --quick makes fewer and shorter rounds. Exits 1 when a measurement failed
(a skipped one, or a missed target, is only shown).

Sections: """
import argparse
import atexit
import datetime
import json
import os
import platform
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attach
import benchlib
import calls
import callbacks
import events
import livepatch
import many
import moved
import narrow
import probes
import programs
import reading

SECTIONS = {"calls": calls.recording, "threads": calls.threads, "callbacks": callbacks.callbacks,
            "events": events.events, "livepatch": livepatch.livepatch, "attach": attach.attach,
            "many": many.many, "moved": moved.moved,
            "narrow": narrow.narrow, "probes": probes.probes, "programs": programs.programs, "reading": reading.reading}


def machine():
    model = ""
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def file_system(path):
    """Type of the file system @path lies on."""
    best = ("", "unknown")
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


AUTOGROUP = "/proc/self/autogroup"	# the session's scheduling group: "/autogroup-4 nice 0"


def take_precedence():
    """As root: what is measured, and its recorders, come before other programs of the machine.
    Undone at exit."""
    try:
        with open(AUTOGROUP) as group:
            before = group.read().split()[-1]
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        set_autogroup("-15")
        atexit.register(set_autogroup, before)
    except OSError:
        pass


def set_autogroup(nice):
    with open(AUTOGROUP, "w") as group:
        group.write(nice)


def main():
    parser = argparse.ArgumentParser(description=__doc__ + ", ".join(SECTIONS),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(SECTIONS)
    for name in wanted:
        if name not in SECTIONS:
            parser.error(f"{name}: no such section; there are {', '.join(SECTIONS)}")

    bench = benchlib.Bench(options.build, options.quick)
    facts = machine()
    load = os.getloadavg()[0]
    facts["load_before"] = load
    if load > 0.3 * facts["cpus"]:
        bench.say(f"the machine is busy (load {load:.1f}); expect noise")
    take_precedence()
    facts["file_system"] = file_system(bench.work)
    bench.version("gcc")
    for name in wanted:
        bench.section = name
        bench.say(f"section {name}")
        try:
            SECTIONS[name](bench)
        except benchlib.Skip as reason:
            bench.skip("all", reason)
        except benchlib.Failure as reason:
            bench.fail("all", reason)
        bench.drop(bench.path("out"))

    print(f"{facts['cpu']}, {facts['cpus']} processors, Linux {facts['kernel']}; recordings on "
          f"{facts['file_system']}; load before {facts['load_before']:.1f}")
    for tool, version in sorted(bench.versions.items()):
        print(f"{os.path.basename(tool)}: {version}")
    print(benchlib.table(bench))
    result = os.path.join(bench.build, "bench.json")
    with open(result + ".new", "w") as file:
        json.dump({"machine": facts, "versions": bench.versions, "quick": options.quick,
                   "rows": bench.rows, "skipped": bench.skipped, "failed": bench.failed}, file, indent=1)
    os.replace(result + ".new", result)
    print(f"\nwritten: {result}")
    return 1 if bench.failed else 0


sys.exit(main())

# SPDX-License-Identifier: MIT
"""Lua and SQLite, built from Debian's sources: what a build for tracing costs while nothing is
traced, and how much slower they are fully traced, with ours and with uftrace."""
import glob
import os
import re
import subprocess

from benchlib import HERE, ROOT, Failure, Skip, median, run, size_of
import callbacks
import calls

VARIANTS = {"plain": [], "patchable": ["-fpatchable-function-entry=5"], "pg": ["-pg"]}
WORKLOAD = os.path.join(HERE, "workload")


def sources(bench, package):
    folder = bench.path("src")
    done = subprocess.run([os.path.join(ROOT, "tools", "fetch-source"), folder, package],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Skip(done.stdout.strip())
    with open(os.path.join(folder, package, "debian", "changelog")) as changelog:
        bench.versions[package] = changelog.readline().split(";")[0].strip()
    return os.path.join(folder, package)


def build_lua(bench):
    source = os.path.join(sources(bench, "lua5.4"), "src")
    gen = bench.path("lua")
    os.makedirs(gen, exist_ok=True)
    with open(os.path.join(gen, "lua5.4-deb-multiarch.h"), "w") as header:
        header.write('#define DEB_HOST_MULTIARCH "none"\n')	# Debian's build makes this one
    files = sorted(name for name in glob.glob(os.path.join(source, "*.c"))
                   if not name.endswith("/luac.c"))
    return {variant: bench.compile(f"lua/lua-{variant}",
                                   ["gcc", "-O2", "-DLUA_USE_POSIX", "-I" + gen, *flags], files)
            for variant, flags in VARIANTS.items()}


def build_sqlite(bench):
    source = sources(bench, "sqlite3")
    gen = bench.path("sqlite")
    os.makedirs(gen, exist_ok=True)
    if not os.path.exists(os.path.join(gen, "shell.c")):
        bench.need_tool("tclsh", "tcl")
        bench.say("making SQLite's one-file source")
        run([os.path.join(source, "configure")], cwd=gen)
        run(["make", "sqlite3.c", "shell.c"], cwd=gen)
    files = [os.path.join(gen, "sqlite3.c"), os.path.join(gen, "shell.c")]
    return {variant: bench.compile(f"sqlite/sqlite-{variant}",
                                   ["gcc", "-O2", "-DSQLITE_THREADSAFE=0",
                                    "-DSQLITE_OMIT_LOAD_EXTENSION", "-I" + gen, *flags], files)
            for variant, flags in VARIANTS.items()}


def untraced(bench, name, built, arguments, stdin, onoff):
    """The same work by a build without entry nops and by one with, nothing traced; and by the
    latter with every function turned on and off again before main()."""
    variants = {"plain": {}, "patchable": {}}
    if onoff:
        variants["off again"] = {"LD_PRELOAD": onoff}
    times = {variant: [] for variant in variants}
    for turn in range(9 if bench.quick else 31):
        order = list(variants)
        for variant in order[turn % len(order):] + order[:turn % len(order)]:
            program = built.get(variant, built["patchable"])
            times[variant].append(run([program] + arguments, stdin=stdin,
                                      env=variants[variant]).user * 1e3)
    note = ""
    if onoff:
        # Turning on and off happens once, before main(): what is asked here is what it leaves.
        start = {variant: median([run([built["patchable"], "/dev/null"], env=variants[variant],
                                      may_fail=True).user for _ in range(9)]) * 1e3
                 for variant in ("patchable", "off again")}
        once = start["off again"] - start["patchable"]
        times["off again"] = [time - once for time in times["off again"]]
        note = f"less {once:.1f} ms, once, for loading the library, turning all on and off"
    bench.row(f"{name}: plain build", median(times["plain"]), "ms user", samples=times["plain"])
    for variant, title in (("patchable", "built for tracing, nothing traced"),
                           ("off again", "all turned on and off again")):
        if variant in times:
            bench.row(f"{name}: {title}", median(times[variant]), "ms user",
                      median([b / a for a, b in zip(times["plain"], times[variant])]),
                      "plain build", at_most=1.02, samples=times[variant],
                      note=note if variant == "off again" else "")


def calls_in(tool, done, out):
    """How many calls were recorded: ours says so, uftrace's by its size (32 bytes each)."""
    if tool == "ours":
        said = re.search(r"^ftrace: (\d+) calls\b.*$", done.err, re.M)
        if not said or re.search(r"dropped|not recorded", done.err):
            raise Failure(f"ftrace record: calls missing: {done.err.strip()[-300:]}")
        return int(said.group(1))
    return sum(os.path.getsize(name) for name in glob.glob(os.path.join(out, "[0-9]*.dat"))) / 32


def traced(bench, name, built, arguments, stdin):
    """Wall time of the program fully traced, by each tool, beside the same build untraced."""
    expected = run([built["plain"]] + arguments, stdin=stdin).out
    tools = {
        "untraced": ("plain", None),
        "ours": ("patchable", lambda out, cmd: [bench.need_ftrace(), "record", "--max-size", "20G",
                                                "-o", out, "--"] + cmd),
        "uftrace -pg": ("pg", lambda out, cmd: [
            bench.need_tool("uftrace", "uftrace"), "record", "--no-libcall", "--max-stack=65535",
            "-d", out] + cmd),
    }
    walls = {tool: [] for tool in tools}
    recorded = {}
    for turn in range(3 if bench.quick else 7):
        bench.say(f"{name} traced, round {turn + 1}")
        for tool, (variant, command) in tools.items():
            if tool not in walls:
                continue
            out = bench.fresh("program")
            full = [built[variant]] + arguments
            try:
                done = run(command(out, full) if command else full, stdin=stdin)
                if expected not in done.out:
                    raise Failure(f"{name} under {tool}: output differs from the plain run")
            except Skip as reason:
                bench.skip(f"{name}, {tool}", reason)
                del walls[tool]
                continue
            except Failure as reason:
                bench.fail(f"{name}, {tool}", reason)
                del walls[tool]
                continue
            walls[tool].append(done.wall * 1e3)
            if command:
                recorded[tool] = (calls_in(tool, done, out), size_of(out))
            bench.drop(out)
    for tool, values in walls.items():
        slower = median([v / p for v, p in zip(values, walls["untraced"])])
        note = ""
        if tool in recorded:
            number, size = recorded[tool]
            note = f"{number / 1e6:.1f} M calls recorded, {size / 1e6:,.0f} MB"
        bench.row(f"{name}, {tool}", median(values), "ms wall",
                  slower if tool != "untraced" else None, "untraced", samples=values, note=note)
    if "ours" in walls and "uftrace -pg" in walls:
        # What tracing adds for each call recorded, so that lost calls do not count as speed.
        added = {tool: median([v - p for v, p in zip(walls[tool], walls["untraced"])])
                 / recorded[tool][0] * 1e6 for tool in recorded}
        bench.row(f"{name}: added a call, ours", added["ours"], "ns")
        bench.row(f"{name}: added a call, uftrace -pg", added["uftrace -pg"], "ns",
                  added["uftrace -pg"] / added["ours"], "ours")


def crash(bench, built, arguments):
    """Coroutines leave frames by longjmp: who survives that? Ours must."""
    expected = run([built["plain"]] + arguments).out
    out = bench.fresh("program")
    done = run([bench.need_ftrace(), "record", "--max-size", "20G", "-o", out, "--",
                built["patchable"]] + arguments)
    if expected not in done.out:
        raise Failure("Lua with coroutines: output differs from the plain run")
    bench.row("Lua with coroutines, ours", done.wall * 1e3, "ms wall",
              note=f"{calls_in('ours', done, out) / 1e6:.1f} M calls recorded, output right")
    bench.drop(out)
    done = run([bench.need_tool("uftrace", "uftrace"), "record", "-d", out, built["pg"]]
               + arguments, may_fail=True)
    lines = [line for line in (done.err + done.out).splitlines() if "terminated by" in line]
    verdict = "output right" if expected in done.out else "output missing or wrong"
    bench.row("Lua with coroutines, uftrace -pg (its defaults)", done.wall * 1e3, "ms wall",
              note=" ".join(lines[-1:] + [verdict]))
    bench.drop(out)


def build_onoff(bench):
    include, link = callbacks.library_flags(bench)
    output = bench.path("onoff.so")
    run(["gcc", "-O2", "-fPIC", "-shared", *include, "-o", output,
         os.path.join(HERE, "src", "onoff.c"), *link])
    return output


def short_sql(bench):
    """The same statements over a fifth of the rows."""
    with open(os.path.join(WORKLOAD, "bench.sql")) as file:
        text = file.read()
    path = bench.path("short.sql")
    with open(path, "w") as file:
        file.write(text.replace("i < 200000)", "i < 40000)"))
    return path


def programs(bench):
    onoff = bench.attempt("turning on and off", build_onoff, bench)
    lua, sql = os.path.join(WORKLOAD, "bench.lua"), os.path.join(WORKLOAD, "bench.sql")
    # Arguments and standard input, for the long run (untraced) and for the short one (traced).
    work = [("Lua", build_lua, ([lua, "20"], None), ([lua, "4", "no-coroutines"], None)),
            ("SQLite", build_sqlite, ([":memory:"], sql), ([":memory:"], short_sql(bench)))]
    for name, build, long, short in work:
        built = bench.attempt(name, build, bench)
        if not built:
            continue
        bench.attempt(f"{name}, untraced", untraced, bench, name, built, *long, onoff)
        bench.attempt(f"{name}, traced", traced, bench, name, built, *short)
        if name == "Lua":
            bench.attempt("Lua with coroutines", crash, bench, built, [lua, "4"])

# SPDX-License-Identifier: MIT
"""Lua and SQLite, built from Debian's sources: what a build for tracing costs while nothing is
traced, and how much slower they are fully traced, with ours and with uftrace."""
import glob
import os
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
    bench.row(f"{name}: plain build", median(times["plain"]), "ms user", samples=times["plain"])
    for variant, title in (("patchable", "built for tracing, nothing traced"),
                           ("off again", "all turned on and off again")):
        if variant in times:
            bench.row(f"{name}: {title}", median(times[variant]), "ms user",
                      median([b / a for a, b in zip(times["plain"], times[variant])]),
                      "plain build", at_most=1.02, samples=times[variant])


def traced(bench, name, built, arguments, stdin):
    """Wall time of the program fully traced, by each tool, beside the same build untraced."""
    expected = run([built["plain"]] + arguments, stdin=stdin).out
    tools = {
        "untraced": ("plain", None),
        "ours": ("patchable", lambda out, cmd: [bench.need_ftrace(), "record", "--max-size", "20G", "-o", out,
                                                "--"] + cmd),
        "uftrace -pg": ("pg", lambda out, cmd: [
            bench.need_tool("uftrace", "uftrace"), "record", "--no-libcall", "--max-stack=65535",
            "-d", out] + cmd),
    }
    walls = {tool: [] for tool in tools}
    sizes = {}
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
            sizes[tool] = size_of(out)
            bench.drop(out)
    for tool, values in walls.items():
        if not values:
            continue
        slower = median([v / p for v, p in zip(values, walls["untraced"])])
        bench.row(f"{name}, {tool}", median(values), "ms wall",
                  slower if tool != "untraced" else None, "untraced", samples=values,
                  note=f"recording of {sizes[tool] / 1e6:,.0f} MB" if sizes.get(tool) else "")
    if "ours" in walls and "uftrace -pg" in walls:
        bench.row(f"{name}: uftrace beside ours", median(
            [u / o for u, o in zip(walls["uftrace -pg"], walls["ours"])]), "x")


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
    work = [("Lua", build_lua, ([lua, "20"], None), ([lua, "4"], None)),
            ("SQLite", build_sqlite, ([":memory:"], sql), ([":memory:"], short_sql(bench)))]
    for name, build, long, short in work:
        built = bench.attempt(name, build, bench)
        if not built:
            continue
        bench.attempt(f"{name}, untraced", untraced, bench, name, built, *long, onoff)
        bench.attempt(f"{name}, traced", traced, bench, name, built, *short)

# SPDX-License-Identifier: MIT
"""Every way a compiler leaves something at a function's entry: calls counted by the program itself
and by `ftrace report --json` are the same, function by function.

One program a form and kind of executable; it holds the same functions (programs/matrix.inc) compiled
by each compiler, in C and C++, at three levels of optimisation, with and without endbr64. One
program holds all forms.
"""
import concurrent.futures
import itertools
import os
import re

import pytest

import ftracetest
from ftracetest import TESTS, compile_once, compiles

FORMS = {
    "patchable5": ["-fpatchable-function-entry=5"],
    "patchable16_8": ["-fpatchable-function-entry=16,8"],
    "patchable7_5": ["-fpatchable-function-entry=7,5"],
    "mfentry_recorded": ["-pg", "-mfentry", "-mrecord-mcount"],
    "mfentry_nop": ["-pg", "-mfentry", "-mrecord-mcount", "-mnop-mcount"],
    "mfentry": ["-pg", "-mfentry"],
    "mcount": ["-pg"],
    "mcount_nop": ["-pg", "-mrecord-mcount", "-mnop-mcount"],
}
KINDS = {"pie": (["-fPIE"], ["-pie"]), "nopie": (["-fno-pie"], ["-no-pie"])}
COMPILERS, LANGUAGES = ["gcc", "clang"], {"c": "matrix.c", "c++": "matrix.cc"}
LEVELS, PROTECTION = ["-O0", "-O2", "-O3"], ["none", "full"]


def source(name):
    return os.path.join(TESTS, "programs", name)


def object_file(prefix, cc, language, flags):
    file = source(LANGUAGES[language])
    command = [ftracetest.compiler_for(file, cc), "-g", "-c", "-w", f"-DFORM={prefix}", *flags, file]
    return compile_once(command, [file, source("matrix.inc")], prefix + ".o")


def objects(form, kind):
    """(prefix, object) of every combination the compilers take, and the reasons for the others."""
    jobs, refused = [], {}
    for cc, language, level, protection in itertools.product(COMPILERS, LANGUAGES, LEVELS,
                                                             PROTECTION):
        flags = [level, f"-fcf-protection={protection}", *FORMS[form], *KINDS[kind][0]]
        if not ftracetest.have(cc):
            refused[cc] = f"{cc} is not installed"
            continue
        taken = compiles(cc, language, *flags)
        if taken is not True:
            refused[cc] = taken
            continue
        prefix = "_".join([form, cc, language.replace("+", "x"), level[1:], "cf" + protection])
        jobs.append((prefix, cc, language, flags))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda job: object_file(*job), jobs))
    return [(job[0], path) for job, path in zip(jobs, made)], refused


def link(name, kind, parts):
    prefixes = [prefix for prefix, _ in parts]
    calls = "".join(f"void {prefix}_main(void);\n" for prefix in prefixes)
    calls += ("int main(void)\n{\n" + "".join(f"\t{prefix}_main();\n" for prefix in prefixes)
              + "\treturn 0;\n}\n")
    folder = os.path.join(ftracetest.WORK, "matrix")
    os.makedirs(folder, exist_ok=True)
    main = os.path.join(folder, f"{name}-main.c")
    with open(main, "w", encoding="ascii") as file:
        file.write(calls)
    paths = [path for _, path in parts]
    return compile_once(["g++", "-x", "c", main, "-x", "none", *paths, *KINDS[kind][0],
                         *KINDS[kind][1]], [main, *paths], name)


def base_name(name):
    """The function's own name in a demangled one: no arguments, no scope, no template."""
    name = name.split("(")[0].split("<")[0]
    return re.split(r"::|\s", name.strip())[-1]


def check(program, record, tracer):
    recording = record.same([program], ["--tracer", tracer], timeout=60)
    counted = {}
    for line in recording.result.stdout.decode().splitlines():
        name, calls = line.split()
        counted[name] = int(calls)
    assert all(calls > 0 for calls in counted.values()), counted
    if ftracetest.NATIVE:
        return
    reported = {}
    for name, calls in recording.report().items():
        reported[base_name(name)] = reported.get(base_name(name), 0) + calls
    wrong = {name: (calls, reported.get(name, 0)) for name, calls in counted.items()
             if reported.get(name, 0) != calls}
    # Implicit constructors are functions of their own where clang does not optimise.
    extra = {name: calls for name, calls in reported.items() if name not in counted
             and not (name.endswith(("_Base", "_Derived")) and calls == 1)}
    assert not wrong and not extra, \
        (f"{len(wrong)} of {len(counted)} functions wrong, (counted, reported): "
         f"{dict(list(wrong.items())[:20])}; not of the program: {extra}; {program}")


# gcc has -mnop-mcount only for code that is not position independent, clang not at all.
CASES = [(form, kind) for form in FORMS for kind in KINDS if not (form.endswith("_nop") and kind == "pie")]


@pytest.mark.parametrize("tracer", ["function_graph", "function"])
@pytest.mark.parametrize("form,kind", CASES)
def test_counts(form, kind, tracer, record):
    parts, refused = objects(form, kind)
    for cc, why in refused.items():
        print(f"{cc} {form} {kind}: not built: {why}")
    if not parts:
        pytest.skip("; ".join(f"{cc}: {why}" for cc, why in refused.items()))
    check(link(f"{form}-{kind}", kind, parts), record, tracer)


@pytest.mark.parametrize("kind", KINDS)
def test_all_forms_in_one_program(kind, record):
    parts = [part for form in FORMS for part in objects(form, kind)[0]]
    check(link(f"all-{kind}", kind, parts), record, "function_graph")


@pytest.mark.parametrize("form", ["mfentry", "mcount"])
def test_gprof(form, record):
    """Linked with -pg: libc's own profiling is on too, and still writes its gmon.out."""
    parts, _ = objects(form, "pie")
    parts = [part for part in parts if "_gcc_" in part[0]]
    main = link(f"gprof-{form}", "pie", parts)
    paths = [path for _, path in parts]
    source_main = os.path.join(ftracetest.WORK, "matrix", f"gprof-{form}-main.c")
    program = compile_once(["g++", "-pg", "-x", "c", source_main, "-x", "none", *paths, "-pie"],
                           [source_main, *paths, main], f"gprof-{form}-pg")
    native = ftracetest.run_in_new_folder([program])
    traced = record([program])
    assert traced.result.status == native.status, traced.result
    assert traced.result.stdout == native.stdout, traced.result
    assert "gmon.out" in traced.result.files, traced.result

# SPDX-License-Identifier: MIT
"""s390x and s390: every register across a traced call, code changed under running threads, every form that
compilers leave at an entry, and the tracers that write no records.

64-bit programs through the API in qemu's user mode; the rest in the virtual machine of test_s390_programs.py."""
import csv
import io
import os
import re

import pytest

import cross
from cross import QEMU, WIDTHS, compiled, run

MODES = ["none", "minimal", "regs", "several", "graph", "both", "twice", "change"]
TOGGLES = {"register": 100, "filter": 60, "graph": 40, "mixed": 30, "threads": 30}
DONE = "bad values 0, callbacks after unregister 0, called yes"
ROUNDS = "2000"
TRACERS = ["function_graph", "function"]
PROGRAM = os.path.join(cross.TESTS, "programs")

# What compilers leave at an entry, and for which width.
FORMS = {
    "patchable": ["-fpatchable-function-entry=3"],
    "patchable6_2": ["-fpatchable-function-entry=6,2"],
    "short": ["-fpatchable-function-entry=5,3"],
    "hotpatch": ["-mhotpatch=0,3"],
    "hotpatch_more": ["-mhotpatch=2,5"],
    "mcount": ["-pg"],
    "mcount_recorded": ["-pg", "-mrecord-mcount"],
    "fentry": ["-pg", "-mfentry"],
    "fentry_recorded": ["-pg", "-mfentry", "-mrecord-mcount"],
    "fentry_nop": ["-pg", "-mfentry", "-mrecord-mcount", "-mnop-mcount"],
}
CASES = [(form, width) for form in FORMS for width in WIDTHS if not (form.startswith("fentry") and width == "31")]
CALLS = {"leaf": 117, "sum": 2, "mean": 1, "tail_first": 1, "tail_second": 1, "jumps": 5, "thread": 1}


def with_library(sources, width, name):
    """The program, and the folder of the library that it needs."""
    library = os.path.join(cross.CROSS, cross.LIBRARY[width])
    return compiled(sources, width, "-w", *cross.INCLUDES, library, f"-Wl,-rpath,{os.path.dirname(library)}",
                    name=name)


def fidelity(width):
    return with_library("fidelity.c fidelity-driver.S", width, "fidelity")


def toggle(width):
    return with_library(os.path.join(PROGRAM, "toggle.c"), width, "toggle")


# ---- qemu's user mode ----

@pytest.mark.parametrize("mode", MODES)
def test_registers(tree, mode):
    done = run(*QEMU, fidelity("64"), mode, ROUNDS, "5", timeout=100)
    assert done.returncode == 0 and done.stdout.startswith("ok " + ROUNDS), done.stdout


@pytest.mark.parametrize("what", TOGGLES)
def test_toggle(tree, what):
    done = run(*QEMU, toggle("64"), what, str(TOGGLES[what]), timeout=100)
    assert done.returncode == 0 and DONE in done.stdout, done.stdout


# ---- the virtual machine ----

def add(m, ask):
    for width in WIDTHS:
        library = f"LD_LIBRARY_PATH=/b/{os.path.dirname(cross.LIBRARY[width])}"
        m.add(f"p/fidelity{width}", fidelity(width))
        m.add(f"p/toggle{width}", toggle(width))
        for mode in MODES:
            ask[width, "fidelity", mode] = m.command(f"{library} /p/fidelity{width} {mode} {ROUNDS} 6")
        for tracer in TRACERS:
            ask[width, "fidelity", tracer] = m.command(
                f"{library} /b/cmd/ftrace record -o /tmp/data --tracer {tracer} /p/fidelity{width} none {ROUNDS} 7")
            m.command("remove /tmp/data")
        for what, toggles in TOGGLES.items():
            ask[width, "toggle", what] = m.command(f"{library} /p/toggle{width} {what} {toggles}", 180)
        m.add(f"p/stack_deep{width}", compiled(os.path.join(PROGRAM, "stack_deep.c"), width, name="stack_deep"))
        for options in ("--tracer stack", "--profile", "-F grow -D 3"):
            ask[width, options] = m.command(
                f"/b/cmd/ftrace record -o /tmp/data {options} /p/stack_deep{width} main")
            ask[width, options, "report"] = m.command("/b/cmd/ftrace report --no-pager --csv -i /tmp/data")
            m.command("remove /tmp/data")
    for form, width in CASES:
        m.add(f"p/calls-{form}{width}", compiled("calls.c", width, name=f"calls-{form}", form=FORMS[form]))
        for tracer in TRACERS:
            ask[width, form, tracer] = m.command(
                f"/b/cmd/ftrace record -o /tmp/data --tracer {tracer} /p/calls-{form}{width}")
            ask[width, form, tracer, "report"] = m.command("/b/cmd/ftrace report --no-pager --csv -i /tmp/data")
            m.command("remove /tmp/data")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_registers_on_a_kernel(second_machine, width, mode):
    text, status = second_machine(width, "fidelity", mode)
    assert status == 0 and text.startswith("ok " + ROUNDS), text


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("width", WIDTHS)
def test_registers_of_recorded_calls(second_machine, width, tracer):
    text, status = second_machine(width, "fidelity", tracer)
    assert status == 0 and text.startswith("ok " + ROUNDS), text
    calls = re.search(r"(?m)^ftrace: ([\d,]+) calls", text)
    assert calls and int(calls[1].replace(",", "")) >= int(ROUNDS), text


@pytest.mark.parametrize("what", TOGGLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_toggle_on_a_kernel(second_machine, width, what):
    text, status = second_machine(width, "toggle", what)
    assert status == 0 and DONE in text, text


def calls_in(report):
    """Calls by function in what `ftrace report --csv` prints, objects added up."""
    calls = {}
    for row in csv.DictReader(io.StringIO(report)):
        calls[row["function"]] = calls.get(row["function"], 0) + int(row["calls"])
    return calls


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("form,width", CASES)
def test_form(second_machine, form, width, tracer):
    text, status = second_machine(width, form, tracer)
    assert os.waitstatus_to_exitcode(status) == 3 and "sum 55" in text and "child 7" in text, text
    report, status = second_machine(width, form, tracer, "report")
    found = calls_in(report)
    assert status == 0 and {name: found.get(name) for name in CALLS} == CALLS, report


@pytest.mark.parametrize("width", WIDTHS)
def test_stack_tracer(second_machine, width):
    text, status = second_machine(width, "--tracer stack")
    assert status == 0, text
    frames = re.findall(r"(?m)^\s*\d+\)\s+(\d+)\s+(\d+)\s+(\w+)", text)
    assert [name for _, _, name in frames] == ["leaf"] + ["grow"] * 11 + ["main"], text
    assert all(1000 < int(size) < 1400 for _, size, name in frames if name == "grow"), text


@pytest.mark.parametrize("width", WIDTHS)
def test_profile_and_filters(second_machine, width):
    report, status = second_machine(width, "--profile", "report")
    assert status == 0 and calls_in(report) == {"main": 1, "grow": 11 + 4, "leaf": 11 + 4}, report
    report, status = second_machine(width, "-F grow -D 3", "report")
    assert status == 0 and calls_in(report) == {"grow": 3 + 3}, report

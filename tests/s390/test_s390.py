# SPDX-License-Identifier: MIT
"""s390x and 31-bit s390: the self test, recording, exceptions, on emulated processors.

64-bit programs run in qemu's user mode; both widths run under Debian's kernel in a virtual machine,
whose recordings are read here, on a machine of the other byte order."""
import os
import re
import shutil

import pytest

import cross
from cross import compiled

SOURCE, BUILD, QEMU, WIDTHS, run = cross.SOURCE, cross.BUILD, cross.QEMU, cross.WIDTHS, cross.run
MOST_INSTRUCTIONS = 60		# of a recorded call, entry and exit
PLAIN_INSTRUCTIONS = 2		# of the function itself: the site's nop, the return


# ---- qemu's user mode ----

def test_selftest_in_user_mode(tree):
    program = os.path.join(tree, "tracers/selftest/ftrace-selftest")
    done = run(*QEMU, program, "--run-with", " ".join(QEMU), timeout=300)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^[1-9]\d+ passed, 0 failed", done.stdout, re.M)


def executed(program, calls, where, folder):
    """How many of the instructions at @where @program executes, by qemu's log of each; what it printed."""
    log = os.path.join(folder, "executed.log")
    done = run(*QEMU, "-singlestep", "-d", "exec,nochain", "-dfilter", where, "-D", log, program,
               "record", str(calls), timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    with open(log, "rb") as f:
        count = sum(line.startswith(b"Trace ") for line in f)
    os.unlink(log)
    return count, done.stdout.splitlines()


def executed_in_one_packet(program, calls, where, tmp_path):
    """As executed(). A new packet begins each 1.05 s, where the upper half of the clock changes: such a run is not
    what is to be counted, and is made again."""
    for _ in range(20):
        count, printed = executed(program, calls, where, tmp_path)
        if not printed[1].endswith(" 2 packets"):
            break
    assert printed == [where, f"{2 * calls + 2} records, 1 packets"]	# it runs at the same addresses each time
    return count


def test_instructions_of_a_recorded_call(tree, tmp_path):
    """There is no processor here to measure time on; instructions are counted instead."""
    includes = [f"-I{SOURCE}/{folder}" for folder in (".", "include", "engine", "arch/s390",
                                                      "arch/s390/include")]
    program = compiled("count.c", "64", *includes, "-D_GNU_SOURCE",
                       os.path.join(tree, "engine/libftrace-base.a"),
                       os.path.join(tree, "engine/libftrace.so.0"),
                       f"-Wl,-rpath,{os.path.abspath(tree)}/engine")
    where = run(*QEMU, program, "record", "1").stdout.splitlines()[0]
    few = executed_in_one_packet(program, 100, where, tmp_path)
    many = executed_in_one_packet(program, 600, where, tmp_path)
    cost = (many - few) / 500 - PLAIN_INSTRUCTIONS
    print(f"a recorded call: {cost} instructions more than one that is not")
    assert 0 < cost <= MOST_INSTRUCTIONS


# ---- the virtual machine ----

PROGRAMS = {"calls": "calls.c", "throws": "throws.cc"}


@pytest.fixture(scope="session")
def machine(tree):
    """Everything that runs in the virtual machine, in one go: what was printed, by name."""
    m, image = cross.machine("machine")
    ask = {}
    for width in WIDTHS:
        for name, source in PROGRAMS.items():
            m.add(f"p/{name}{width}", compiled(source, width))
        ask[width, "selftest"] = m.command(
            ("/b/tracers/selftest/" if width == "64" else "/b/compat/") + "ftrace-selftest --stress=3", 200)
        for name in PROGRAMS:
            ask[width, name, "plain"] = m.command(f"/p/{name}{width}")
            ask[width, name, "record"] = m.command(
                f"/b/cmd/ftrace record -o /tmp/{name}{width} -- /p/{name}{width}")
            ask[width, name, "replay"] = m.command(f"/b/cmd/ftrace replay --no-pager -i /tmp/{name}{width}")
            ask[width, name, "send"] = m.command(f"send /tmp/{name}{width}")
    results, files = m.run(image)
    folder = os.path.join(tree, "recordings")
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in files.items():
        path = os.path.join(folder, os.path.relpath(path, "/tmp"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
    return cross.Results(results, ask)


@pytest.mark.parametrize("width", WIDTHS)
def test_selftest(machine, width):
    text, status = machine(width, "selftest")
    assert status == 0, text
    assert re.search(r"^[1-9]\d+ passed, 0 failed", text, re.M)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("width", WIDTHS)
def test_recorded_program_does_the_same(machine, width, name):
    plain, status = machine(width, name, "plain")
    recorded, recorded_status = machine(width, name, "record")
    assert recorded_status == status, recorded
    for line in plain.strip().splitlines():
        assert line in recorded.splitlines()
    assert "from below" in plain or "child 7" in plain


def ftrace(*arguments):
    return run(os.path.join(BUILD, "ftrace"), *arguments)


def replayed_calls(text):
    """Names and nesting, without times. The command over there cannot demangle, and shows colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"\b_Z\d+([a-z]+)i\b", r"\1", text)
    return [re.sub(r"[0-9.]+ (us|ms|s|ns)\b", "TIME", line.split("|", 1)[-1].rstrip())
            for line in text.splitlines() if "|" in line]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("width", WIDTHS)
def test_replayed_there_and_here(machine, tree, width, name):
    there, status = machine(width, name, "replay")
    assert status == 0, there
    here = ftrace("replay", "-i", os.path.join(tree, "recordings", f"{name}{width}"))
    assert here.returncode == 0, here.stdout
    assert replayed_calls(here.stdout) == replayed_calls(there)
    assert len(replayed_calls(there)) > 50


def counts(recording):
    text = ftrace("report", "-i", recording).stdout
    found = {}
    for line in text.splitlines():
        words = line.split()
        name = words[-1] if words else ""
        for known in ("leaf", "sum", "mean", "tail_first", "tail_second", "jumps", "thread", "thrower",
                      "rethrower", "catcher"):
            if name == known:
                found[known] = [word for word in words if word.isdigit()]
    return text, found


@pytest.mark.parametrize("width", WIDTHS)
def test_report_here(machine, tree, width):
    machine(width, "calls", "record")
    text, found = counts(os.path.join(tree, "recordings", f"calls{width}"))
    for name, calls in (("leaf", 10 + 1 + 5 + 100 + 1), ("sum", 2), ("mean", 1), ("tail_first", 1),
                        ("tail_second", 1), ("jumps", 5), ("thread", 1)):
        assert str(calls) in found.get(name, []), text
    text, found = counts(os.path.join(tree, "recordings", f"throws{width}"))
    for name, calls in (("thrower", 55), ("rethrower", 10), ("catcher", 10)):
        assert str(calls) in found.get(name, []), text


@pytest.mark.parametrize("width", WIDTHS)
def test_metadata_is_ctf(machine, tree, width):
    machine(width, "calls", "record")
    if not shutil.which("babeltrace2"):
        pytest.skip("no babeltrace2")
    done = run("babeltrace2", os.path.join(tree, "recordings", f"calls{width}"))
    assert done.returncode == 0, done.stdout[-2000:]
    entries = [line for line in done.stdout.splitlines() if "func_entry" in line]
    assert sum('"leaf"' in line for line in entries) == 117, done.stdout[:2000]


def test_machine_is_told(machine, tree):
    machine("64", "calls", "record")
    for width, name in (("64", "s390x"), ("31", "s390")):
        path = os.path.join(tree, "recordings", f"calls{width}")
        metadata = "".join(open(os.path.join(folder, "metadata")).read()
                           for folder, _, names in os.walk(path) if "metadata" in names)
        assert "byte_order = be;" in metadata
        assert f'architecture = "{name}"' in metadata

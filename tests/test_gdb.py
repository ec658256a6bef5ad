# SPDX-License-Identifier: MIT
"""A debugger and a traced program: stacks complete, breakpoints and finish still right."""
import os
import re

import pytest

import ftracetest
from ftracetest import FTRACE, PATCHABLE, api_all, build, need_ftrace, run

CHAIN = ["bottom", "chain_c", "chain_b", "chain_a", "chain_a", "chain_a", "main"]


def gdb(program, *commands, before=(), wrapper=()):
    if not ftracetest.have("gdb"):
        pytest.skip("gdb is not installed")
    arguments = [*wrapper, "gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off"]
    for command in (*before, "set confirm off", *commands):
        arguments += ["-ex", command]
    return run([*arguments, program], timeout=60)


def frames(output):
    """Function names of a backtrace, stubs (frames between functions) left out."""
    names = re.findall(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(\S+)", output.decode(errors="replace"), re.M)
    return [name for name in names if name in CHAIN]


def api(mode):
    return [f"set environment LD_PRELOAD {api_all()}", f"set environment FTRACE_TEST_API {mode}"]


def program():
    return build("gdb_bt.c", "-O1", "-fno-optimize-sibling-calls", PATCHABLE)


def test_native():
    result = gdb(program(), "break bottom", "run", "bt", "kill")
    assert frames(result.stdout) == CHAIN, str(result)


@pytest.mark.parametrize("mode", ["graph", "all", "regs"])
def test_backtrace(mode):
    result = gdb(program(), "break *bottom+5", "run", "bt", "kill", before=api(mode))
    assert frames(result.stdout) == CHAIN, str(result)
    assert b"corrupt stack" not in result.stdout + result.stderr, str(result)


@pytest.mark.parametrize("mode", ["graph", "regs"])
def test_finish_and_continue(mode):
    """finish out of three traced functions, then run to the end."""
    result = gdb(program(), "break *bottom+5", "run", "finish", "finish", "finish", "delete", "continue",
                 before=api(mode))
    assert b"\n23\n" in result.stdout and b"exited normally" in result.stdout, str(result)


def test_breakpoint_at_entry():
    """A breakpoint planted on the entry before the program starts: the program is right, the stack
    complete, whether that function could be traced or was refused."""
    result = gdb(program(), "break *bottom", "run", "bt", "continue", before=api("graph"))
    assert b"\n23\n" in result.stdout and b"exited normally" in result.stdout, str(result)
    assert frames(result.stdout) == CHAIN, str(result)


def test_recorded_program(tmp_path):
    """gdb itself started by the recorder: its child is recorded, its backtrace complete."""
    need_ftrace()
    result = gdb(program(), "break *bottom+5", "run", "bt", "continue",
                 wrapper=[FTRACE, "record", "-o", str(tmp_path / "data"), "--"])
    assert frames(result.stdout) == CHAIN, str(result)
    assert b"\n23\n" in result.stdout, str(result)
    calls = ftracetest.Recording(str(tmp_path / "data"), result).report()
    assert calls.get("chain_a") == 3 and calls.get("bottom") == 1, calls


def test_attach(tmp_path):
    """A core of the state in the middle: gdb attaches to a recorded program that is waiting."""
    need_ftrace()
    waiting = build("gdb_wait.c", "-O1", "-fno-optimize-sibling-calls", PATCHABLE)
    os.mkfifo(tmp_path / "fifo")
    result = run([FTRACE, "record", "-o", str(tmp_path / "data"), "--", "sh", "-c",
                  f"{waiting} {tmp_path}/fifo & pid=$!; cat {tmp_path}/fifo; gdb -batch -nx -p $pid -ex bt; "
                  "kill -USR1 $pid; wait $pid"], timeout=60)
    assert result.status == 7, str(result)
    names = re.findall(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(wait_\w+|main)\b",
                       result.stdout.decode(errors="replace"), re.M)
    assert names == ["wait_here", "wait_b", "wait_a", "main"], str(result)


# From the jump at chain_c() to its stub, from the call there (arch-site.h) to the copy.
STEPS = """
set confirm off
break chain_b
run
python
import struct
def target(at):
    return at + 5 + struct.unpack("<i", gdb.selected_inferior().read_memory(at + 1, 4).tobytes())[0]
site = int(gdb.parse_and_eval("(unsigned long)&chain_c"))
gdb.execute("tbreak *%#x" % target(target(site) + 23))
gdb.execute("continue")
while gdb.selected_frame().name() == "ftrace_copy:chain_c":
    gdb.execute("bt")
    print("-+-+-")
    gdb.execute("stepi", to_string=True)
end
delete
continue
"""


@pytest.mark.skipif(ftracetest.COMPAT, reason="never recompiled programs are x86_64's")
@pytest.mark.parametrize("how", ["symbols", "no"])
def test_moved_instructions(tmp_path, how):
    """Stepped through the copies of a never recompiled function's first instructions: each backtrace is complete and
    names them, asked for or not."""
    need_ftrace()
    unmodified = build("gdb_bt.c", "-O1", "-fno-optimize-sibling-calls", name="gdb_bt_unmodified")
    script = tmp_path / "steps"
    script.write_text(STEPS)
    result = gdb(unmodified, f"source {script}", before=[f"set environment FTRACE_GDB={how}"],
                 wrapper=[FTRACE, "record", "-F", "chain_c", "-o", str(tmp_path / "data"), "--"])
    traces = result.stdout.split(b"-+-+-")[:-1]
    assert len(traces) == 2, str(result)		# a push and a jump stand for the call
    for trace in traces:
        assert b"#0  0x" in trace and b" in ftrace_copy:chain_c ()" in trace, str(result)
        assert frames(trace) == CHAIN[2:], str(result)
    assert b"\n23\n" in result.stdout and b"exited normally" in result.stdout, str(result)

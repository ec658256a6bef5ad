# SPDX-License-Identifier: MIT
"""Dynamic events: what their values are, where they stand, and that nothing of them is lost, doubled or torn."""
import glob
import os
import random
import re
import shutil
import signal
import struct
import subprocess

import pytest

import ftracetest
from ftracetest import PATCHABLE, build, need_ftrace, run

HERE = os.path.dirname(os.path.abspath(__file__))
WIDE = ftracetest.ARCH != "i386"


@pytest.fixture(autouse=True)
def ftrace():
    need_ftrace()


def program():
    return build(os.path.join(HERE, "values.c"), "-O1", "-fno-optimize-sibling-calls", PATCHABLE, "-pthread", name="values")


def events(*definitions):
    options = []
    for d in definitions:
        options += d if isinstance(d, list) else ["-e", d]
    return options


def shown(folder):
    """The events of replay, as (name, values), in their order; values as they are shown."""
    replay = run([ftracetest.FTRACE, "replay", "--no-pager", "-i", folder], timeout=60)
    assert replay.status == 0, str(replay)
    found = []
    for line in replay.stdout.decode().splitlines():
        match = re.search(r"/\* \w+:(\w+): \((.*?)\)((?: \w+=.*)?) \*/$", line)
        if match:
            found.append((match.group(1), match.group(3).strip()))
    return found


def check_babeltrace(recording, count):
    assert recording.babeltrace() == count


def read_events(folder):
    """(tid, time, id, payload) of every event in the streams, checked by <ftrace/trace-event.h>."""
    found = []
    for trace in ftracetest.ctf_traces(folder):
        for name in os.listdir(trace):
            if not name.startswith("events-"):
                continue
            with open(os.path.join(trace, name), "rb") as file:
                data = file.read()
            at, before, sequence = 0, 0, None
            while at < len(data):
                magic, stream, begin, end, content, size, lost, number, tid, _ = \
                    ftracetest.PACKET.unpack_from(data, at)
                assert (magic, stream) == (0xc1fc1fc1, 1) and size % 64 == 0 and content <= size
                assert before <= begin <= end and (sequence is None or number > sequence)
                p, stop = at + 64, at + content // 8
                last = begin
                while p < stop:
                    tick, id, length = int.from_bytes(data[p:p + 4], "little"), \
                        int.from_bytes(data[p + 4:p + 6], "little"), int.from_bytes(data[p + 6:p + 8], "little")
                    time = begin & ~0xffffffff | tick
                    assert last <= time <= end and p + 8 + length <= stop and id, (name, p)
                    found.append((tid, time, id, data[p + 8:p + 8 + length]))
                    last = time
                    p = p + 8 + (length + 7) // 8 * 8
                before, sequence = end, number
                at += size // 8
    return found


def test_values(record):
    """Every kind of argument, with and without memory behind it."""
    name = 8 if WIDE else 4
    recording = record.same([program()], events(
        "f add a=$arg1:s32 b=$arg2:s8 x=$arg1:x16",
        "f:t/ret add%return r=$retval:s32 a=$arg1:s32 b=$arg2:s32",
        "f show s=+0($arg1):string n=$arg2:u32",
        f"f look m=+0($arg1):s32 small=+4($arg1):u8 c=+5($arg1):char bits=+6($arg1):b4@4/16 "
        f"nums=+0(+8($arg1)):u16[4] names=+8(+8($arg1)):string[3] name=+0(+{8 + name}($arg1)):string",
        "f halve global=@global:x64 word=@word:string at=+0(@pointed):string imm=\\-7:s32 "
        "text=\\\"some text\" c=$comm",
        "f eight a=$arg1:s32 g=$arg7:s32 h=$arg8:s32",
        "f function p=$arg1:symbol q=$arg1:symstr",
        "f:t/filled fill%return buf=+0($arg1):string n=$retval:u32"))
    check_babeltrace(recording, len(read_events(recording.folder)) + ftracetest.check_streams(recording.folder))
    found = shown(recording.folder)

    def of(event):
        return [values for name, values in found if name == event]
    assert of("add__entry") == ["a=1 b=2 x=0x1", "a=-3 b=1 x=0xfffd", "a=20 b=1 x=0x14"]
    assert of("ret") == ["r=3 a=1 b=2", "r=-2 a=-3 b=1", "r=21 a=20 b=1"]
    assert of("show__entry") == [
        's="literal" n=1', 's="on the heap" n=2', "s=(fault) n=3", "s=(fault) n=4", "s=(fault) n=5",
        's="edge" n=6', 's="tab\\tquote\\"back\\\\slash\\n\\001" n=7', 's="" n=8',
        's="' + "L" * 1023 + '" n=9', "s=(fault) n=10"]
    expected = 'm={} small=200 c=\'q\' bits=12 nums={{1,2,3,65535}} names={{"one","two","three"}} name="outer"'
    assert of("look__entry") == [expected.format(-5), expected.format(-6)]
    assert of("halve__entry") == ['global=0x1122334455667788 word="a word" at="pointed at" imm=-7 '
                                  'text="some text" c="values"']
    assert of("eight__entry") == ["a=1 g=7 h=8"]
    assert of("function__entry") == ["p=add q=add"]
    assert of("filled") == ['buf="zzzzz" n=6']


def test_libcxx_strings(record):
    """In place, elsewhere, with a zero inside, empty, elsewhere where nothing is; not there at all, or not all of it."""
    recording = record.same([program()], events(
        "f string n=$arg2:s32 s=+0($arg1):libcxxstring len=+0($arg1):libcxxlength",
        'f:t/far string s=+0($arg1):libcxxstring if s ~ "long*"'))
    check_babeltrace(recording, len(read_events(recording.folder)) + ftracetest.check_streams(recording.folder))
    found = shown(recording.folder)
    assert [values for name, values in found if name == "string__entry"] == [
        'n=0 s="short" len=5', 'n=1 s="nearly far" len=10', 'n=2 s="long enough to be elsewhere" len=27',
        'n=3 s="1" len=5', 'n=4 s="" len=0', "n=5 s=(fault) len=8", "n=-1 s=(fault) len=(fault)",
        "n=-2 s=(fault) len=(fault)"]
    assert [values for name, values in found if name == "far"] == ['s="long enough to be elsewhere"']


@pytest.mark.skipif(not WIDE, reason="floating-point arguments are on the stack there")
def test_floating_point(record):
    recording = record.same([program()], events(
        "f scale x=$fparg1 f=$fparg2:f32", "f:t/scaled scale%return r=$fpretval",
        "f:t/halved halve%return r=$fpretval:f32", "f look real=+24($arg1):f64 single=+32($arg1):f32"))
    found = shown(recording.folder)
    assert ("scale__entry", "x=1.5 f=2.25") in found and ("scaled", "r=3.375") in found
    assert ("halved", "r=2.5") in found and ("look__entry", "real=2.5 single=0.125") in found


@pytest.mark.skipif(WIDE, reason="returned in a vector register there: test_floating_point")
def test_returned_in_x87(record):
    recording = record.same([program()], events("f:t/scaled scale%return r=$fpretval",
                                                "f:t/halved halve%return r=$fpretval:f32"))
    found = shown(recording.folder)
    assert ("scaled", "r=3.375") in found and ("halved", "r=2.5") in found


def test_order(record):
    """An event at an entry stands before its call, one at a return before its end, also in another tracer's order."""
    recording = record.same([program()], events("f:t/in inside n=$arg1:s32", "f:t/out inside%return r=$retval:s32",
                                                "f:t/leaf add a=$arg1:s32"))
    replay = run([ftracetest.FTRACE, "replay", "--no-pager", "-i", recording.folder, "-G", "inside"])
    lines = [line.split("|", 1)[1].strip() for line in replay.stdout.decode().splitlines() if "|  " in line]
    at = lines.index("inside() {")
    assert lines[at - 1].startswith("/* t:in: (inside) n=20"), lines
    assert lines[at + 1] == "/* t:leaf: (add) a=20 */" and lines[at + 2] == "add();", lines
    assert re.match(r"/\* t:out: \((main|values)\+0x[0-9a-f]+ <- inside\) r=42 \*/", lines[at + 3]), lines
    assert lines[at + 4].startswith("}"), lines


@pytest.mark.parametrize("filter,numbers", [
    ("n > 4", [5, 6, 7, 8, 9, 10]), ("n >= 4 && n < 6", [4, 5]), ("n & 8", [8, 9, 10]), ("!(n & 8) && n != 1", [2, 3, 4, 5, 6, 7]),
    ('s == "literal"', [1]), ('s ~ "*heap"', [2]), ('s != "literal" && n < 4', [2, 3]), ('s ~ "LLL*"', [9]),
    ('comm == "values" && n == 2', [2]), ('comm == "other"', []), ("n == 1 || n == 10 || (n == 3 && s == x)", [1, 10]),
])
def test_filter(filter, numbers, record):
    recording = record.same([program()], [*events(f"f show s=+0($arg1):string n=$arg2:s32 if {filter}"), "--tracer", "nop"])
    assert [int(values.split("n=")[1]) for _, values in shown(recording.folder)] == numbers


def test_triggers(record):
    recording = record.same([program(), "many", "100"], [
        *events("f add a=$arg1:s32"), "--trigger", "traceoff if a == 40", "--tracer", "nop"])
    assert [values for _, values in shown(recording.folder)] == [f"a={n}" for n in range(41)]
    recording = record.same([program(), "many", "100"], [
        *events("f add a=$arg1:s32"), "--trigger", "traceoff if a == 40", "--trigger", "traceon:1 if a == 90",
        "--tracer", "nop"])
    assert [values for _, values in shown(recording.folder)] == [f"a={n}" for n in [*range(41), *range(90, 100)]]
    recording = record.same([program(), "many", "100"], [
        *events("f add a=$arg1:s32 if a < 5"), "--trigger", "stacktrace:3"])
    replay = run([ftracetest.FTRACE, "replay", "--no-pager", "-i", recording.folder])
    assert len(re.findall(rb"/\* <stack trace> main\+0x\w+ <- 0x", replay.stdout)) == 3, str(replay)
    recording = record.same([program()], [*events("f:t/e add a=$arg1:s32 if a == 20", "f:t/r add%return r=$retval if r == 21"),
                                          "--trigger", "stacktrace if r == 21"])
    replay = run([ftracetest.FTRACE, "replay", "--no-pager", "-i", recording.folder])
    assert re.search(rb"/\* <stack trace> inside\+0x\w+ <- (values|main)\+0x\w+", replay.stdout), str(replay)
    check_babeltrace(recording, len(read_events(recording.folder)) + ftracetest.check_streams(recording.folder))


def test_fork(record):
    recording = record.same([program(), "fork"], [*events("f add a=$arg1:s32"), "--tracer", "nop"])
    assert sorted(values for _, values in shown(recording.folder)) == ["a=1", "a=2", "a=3", "a=4"]
    assert len(recording.traces()) == 2
    check_babeltrace(recording, 4)
    recording = record.same([program(), "vfork"], events("f add a=$arg1:s32"))
    assert [values for _, values in shown(recording.folder)] == ["a=3", "a=4"]


def test_threads(record):
    recording = record.same([program(), "threads"], [*events("f add t=$arg1:s32 i=$arg2:s32"), "--tracer", "nop"])
    found = read_events(recording.folder)
    seen = {}
    for tid, _, _, payload in sorted(found, key=lambda e: e[1]):
        t, i = int.from_bytes(payload[16:20], "little"), int.from_bytes(payload[20:24], "little")
        seen.setdefault((tid, t), []).append(i)
    assert sorted(t for _, t in seen) == [1, 2, 3, 4]
    assert all(numbers == list(range(5000)) for numbers in seen.values())
    check_babeltrace(recording, 20000)


def test_killed(record):
    """kill -9 in the middle: what was complete is there."""
    recording = record([program(), "kill", "3000"], [*events("f add a=$arg1:s32"), "--tracer", "nop"])
    assert recording.result.status == 128 + signal.SIGKILL
    found = [int.from_bytes(payload[16:20], "little") for _, _, id, payload in read_events(recording.folder)]
    assert found == list(range(3000))
    check_babeltrace(recording, 3000)


def test_recorder_killed(tmp_path):
    """kill -9 of the recorder: the next reader finishes the recording."""
    folder = str(tmp_path / "data")
    script = f'{program()} many 500; kill -9 $PPID; sleep 0.2'
    run([ftracetest.FTRACE, "record", "-o", folder, *events("f add a=$arg1:s32"), "--tracer", "nop", "--",
         "sh", "-c", script])
    found = [values for _, values in shown(folder)]
    assert found == [f"a={n}" for n in range(500)]
    read = run(["babeltrace2", folder])
    assert read.status == 0 and read.stdout.count(b"add__entry") == 500, str(read)


def test_overwrite(record):
    """A flight recorder keeps the newest."""
    recording = record.same([program(), "many", "200000"], [*events("f add a=$arg1:s32"), "--tracer", "nop", "--overwrite",
                                                            "--buffer", "256K"])
    found = [int.from_bytes(payload[16:20], "little") for _, _, _, payload in read_events(recording.folder)]
    assert found == list(range(found[0], 200000)) and 1000 < len(found) < 200000
    check_babeltrace(recording, len(found))


def test_full(record):
    """--max-size: recording stops, the program goes on."""
    recording = record.same([program(), "many", "100000"], [*events("f add a=$arg1:s32"), "--tracer", "nop", "--max-size", "512K"])
    found = [int.from_bytes(payload[16:20], "little") for _, _, _, payload in read_events(recording.folder)]
    assert found == list(range(len(found))) and 1000 < len(found) < 100000
    check_babeltrace(recording, len(found))


@pytest.mark.limit(120)
@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_ring_comes_round(options, record):
    """Handlers fill the whole ring while an event is being written: some are dropped, none is torn."""
    wrap = build(os.path.join(HERE, "wrap.c"), "-O1", PATCHABLE, name="wrap")
    recording = record.same([wrap], [*events(
        "f add a=$arg1:u64 b=$arg2:u64 c=$comm", "f big i=$arg1:u64 u=\\1:u64 v=\\2:u64 w=\\3:u64 x=\\4:u64 y=\\5:u64"),
        "--tracer", "nop", "--buffer", "128K", "--wait", "1ms", "--max-size", "2G", *options], timeout=60)
    found = read_events(recording.folder)
    assert len(found) > 500
    for _, _, id, payload in found:
        if id == 16:
            assert payload[16:37] == struct.pack("=QQ", 1, 2) + b"wrap\0"
        elif id == 18:
            assert payload[24:] == struct.pack("=5Q", 1, 2, 3, 4, 5)
    check_babeltrace(recording, len(found))


def test_seccomp(record):
    """After system calls are forbidden: what is read without any is there, the rest is a fault, the program lives."""
    recording = record.same([program(), "seccomp"], [*events("f show s=+0($arg1):string n=$arg2:s32", "f add a=$arg1:s32"),
                                                     "--tracer", "nop"])
    assert shown(recording.folder) == [("add__entry", "a=1"), ("show__entry", 's="literal" n=1'),
                                       ("show__entry", "s=(fault) n=2"), ("add__entry", "a=2")]


@pytest.mark.parametrize("option,what,column", [
    (["-e", "f open a=$argx"], "number of an argument", 9), (["-e", "g open"], "begins with p, r, f", 0),
    (["-e", "f open a=$arg1 if b > 3"], "no such field", 18), (["-e", "f open", "-e", "f open"], "same name", None),
    (["--trigger", "traceoff"], "-e before it", None), (["-e", "f open", "--trigger", "traceof"], "no such trigger", None),
    (["-e", "f open a=$arg1", "--trigger", "traceoff if a >"], "A value", 15),
])
def test_bad_use(option, what, column):
    result = run([ftracetest.FTRACE, "record", *option, "true"])
    text = result.stderr.decode()
    assert result.status == 2 and what in text, str(result)
    if column is not None:
        lines = text.splitlines()
        assert lines[1].index("^") == lines[0].index(option[-1]) + column, text


def test_nothing_happened(record):
    """A name that nothing has is said, and the program is recorded as ever."""
    recording = record([program()], events("f no_such_function a=$arg1:s32"))
    assert recording.result.status == 0, str(recording.result)
    assert b"no event of -e happened" in recording.result.stderr, str(recording.result)
    recording = record([program()], events("f add a=$arg1:s32"))
    assert b"no event of -e happened" not in recording.result.stderr, str(recording.result)


MAP = "QQIIIIQIIQQQQQQII16s16s1024sQ"	# struct ftrace_map_header


def turn_round(data, formats):
    """Each part of @data in the other byte order; what is behind them as it is."""
    out, at = b"", 0
    for form in formats:
        size = struct.calcsize("<" + form)
        out += struct.pack(">" + form, *struct.unpack_from("<" + form, data, at))
        at += size
    return out + data[at:]


def test_other_byte_order(record, tmp_path):
    """The same recording as a big-endian machine had made it is shown the same, and read by babeltrace2."""
    recording = record.same([program()], [*events(
        "f show n=$arg2:s32 s=+0($arg1):string w=$arg2:x16 q=$arg2:u64", "f look nums=+0(+8($arg1)):u16[4]"), "--tracer", "nop"])
    before = shown(recording.folder)
    bt = run(["babeltrace2", "--clock-cycles", recording.folder]).stdout
    (trace,) = recording.traces()
    for name in os.listdir(trace):
        path = os.path.join(trace, name)
        with open(path, "rb") as file:
            data = file.read()
        if name == ".map":
            data = turn_round(data, [MAP])
        elif name == "metadata":
            data = data.replace(b"byte_order = le", b"byte_order = be")
        elif name.startswith("events-"):
            at, out = 0, b""
            while at < len(data):
                size, content = (n // 8 for n in ftracetest.PACKET.unpack_from(data, at)[4:6][::-1])
                p, stop = at + 64, at + content
                out += turn_round(data[at:at + 64], ["IIQQQQQQII"])
                while p < stop:
                    _, id, length = struct.unpack_from("<IHH", data, p)
                    words = (length + 7) // 8 * 8
                    event = turn_round(data[p:p + 8 + words], ["IHH", "IIQ"])
                    if id == 16:	# n=s32, s, w=x16, q=u64
                        end = event.index(b"\0", 28) + 1
                        w, q = (end + 1) & ~1, (((end + 1) & ~1) + 2 + 7) & ~7
                        event = bytearray(event)
                        event[24:28] = event[24:28][::-1]
                        event[w:w + 2] = event[w:w + 2][::-1]
                        event[q:q + 8] = event[q:q + 8][::-1]
                    else:
                        event = event[:24] + struct.pack(">4H", *struct.unpack_from("<4H", event, 24)) + event[32:]
                    out += bytes(event)
                    p += 8 + words
                at += size
            data = out
        with open(path, "wb") as file:
            file.write(data)
    assert len(before) == 12 and shown(recording.folder) == before
    read = run(["babeltrace2", "--clock-cycles", recording.folder])
    assert read.status == 0 and read.stdout == bt, str(read)


@pytest.mark.limit(120)
def test_damaged(record, tmp_path):
    """Streams and descriptions of events with random bytes: an error or less to see, never a crash."""
    tool = os.path.join(ftracetest.BUILD, "tests", "sanitized", "ftrace-sanitized")
    if not os.path.exists(tool):
        pytest.skip("built without sanitizers")
    recording = record.same([program()], [*events(
        "f add a=$arg1:s32 s=$stack", "f show n=+0($arg1):string l=+0($arg1):u8[5]",
        "f look names=+8(+8($arg1)):string[3] y=$arg1:symbol", "f:t/r add%return r=$retval"), "--trigger", "stacktrace"])
    dice = random.Random(1)
    for turn in range(60):
        copy = str(tmp_path / f"copy{turn}")
        shutil.copytree(recording.folder, copy)
        files = glob.glob(copy + "/*/events-*") + (glob.glob(copy + "/*/.map") if turn % 3 == 0 else [])
        for name in files:
            with open(name, "rb") as file:
                data = bytearray(file.read())
            for _ in range(dice.randint(1, 6)):
                data[dice.randrange(len(data))] = dice.choice([0, 255, 1, dice.randrange(256)])
            if dice.random() < 0.2:
                del data[dice.randrange(len(data)):]
            with open(name, "wb") as file:
                file.write(data)
        shown = run([tool, "replay", "--no-pager", "-i", copy], timeout=20)
        assert shown.status in (0, 1) and b"runtime error" not in shown.stderr and b"Sanitizer" not in shown.stderr, str(shown)


@pytest.mark.limit(300)
@pytest.mark.parametrize("how", ["return", "unwind", "cold", "coldjump"])
def test_signal_at_every_instruction(how, record):
    """programs/step.c: a signal at every instruction of what writes events, whose handler writes events itself."""
    if not WIDE:
        pytest.skip("step.c is for x86_64")
    step = build("step.c", "-O2", PATCHABLE, "-pthread", name="step")
    recording = record.same([step, how], [*events(
        "f leaf a=$arg1 c=@environ:u64 s=$stack0", "f handler_work s=$stack n=$arg1:s32",
        "f top%return r=$retval a=$arg1"), "--tracer", "nop"], timeout=140)
    worked = int(re.search(rb"worked (\d+)", recording.result.stderr).group(1))
    found = read_events(recording.folder)
    count = {}
    for _, _, id, _ in found:
        count[id] = count.get(id, 0) + 1
    check_babeltrace(recording, len(found))
    if how in ("return", "unwind"):
        rounds = {"return": 101, "unwind": 11}[how]
        assert count == {16: 4 * rounds, 18: worked + 1, 20: rounds}, (count, worked)
    elif how == "coldjump":
        # What a handler left for good is there, marked.
        assert count.get(17, 0) > 0 and count.get(21, 0) > 0, count


# ---- USDT ----

@pytest.fixture
def probes():
    if ftracetest.ARCH not in ("x86_64", "i386"):
        pytest.skip(f"probes at any instruction are made for x86, this is {ftracetest.ARCH}")
    header = os.path.join(HERE, "probes.h")
    library = build(os.path.join(HERE, "probes-lib.c"), "-O1", "-shared", "-fPIC", name="libprobes.so", deps=[header])
    return build(os.path.join(HERE, "probes.c"), "-O1", library, "-Wl,-rpath," + os.path.dirname(library),
                 name="probes", deps=[header, library])


def printed(result, word):
    """What the program printed of its probes' arguments."""
    return [line.split()[1:] for line in result.stdout.decode().splitlines() if line.startswith(word + " ")]


def fields(values):
    return " ".join(f"arg{i + 1}={value}" for i, value in enumerate(values))


def test_usdt(probes, record):
    """Arguments in registers, memory and constants of every size; of the program and of a library; both at once."""
    recording = record.same([probes], [*events("u prog:sizes", "u lib:called", "u prog:both", "u:t/some lib:called if arg2 == 100",
                                               "u prog:nowhere", "u prog:no_such if arg1 > 0"), "--tracer", "nop"])
    check_babeltrace(recording, len(read_events(recording.folder)))
    found = shown(recording.folder)

    def of(event):
        return [values for name, values in found if name == event]
    sizes, called = printed(recording.result, "sizes"), printed(recording.result, "called")
    assert len(sizes) == len(called) == 3
    assert of("sizes") == [fields(values) for values in sizes]
    assert of("called") == [fields(values) for values in called]
    assert of("some") == [fields(values) for values in called if values[1] == "100"]
    assert of("both") == [f"arg1={int(values[0]) & 255}" for values in called] + ["arg1=70000"]
    # Memory that the program does not read; a vector register, which is not read.
    assert of("nowhere") == ["arg1=(fault) arg2=1 arg3=(fault)"]


def test_usdt_semaphore(probes, record):
    """What is guarded happens only where it is watched, and a filter makes no difference to that."""
    recording = record([probes, "guarded"], [*events("u prog:sizes"), "--tracer", "nop"])
    assert printed(recording.result, "guard") == [["0", "hits", "0"]]
    recording = record([probes, "guarded"], [*events("u prog:guarded if arg1 >= 0", "u:t/too prog:guarded"), "--tracer", "nop"])
    assert printed(recording.result, "guard") == [["2", "hits", "3"]]
    assert [values for name, values in shown(recording.folder) if name == "guarded"] == ["arg1=0", "arg1=10"]
    assert [values for name, values in shown(recording.folder) if name == "too"] == ["arg1=-10", "arg1=0", "arg1=10"]


def test_usdt_attached(probes, tmp_path):
    """Counted up when it is enabled, down when it is not, and when the recording ends."""
    if ftracetest.ARCH != "x86_64":
        pytest.skip("attaching is made for x86_64 only")
    folder = os.path.join(tmp_path, "data")

    def control(*arguments):
        done = run([ftracetest.FTRACE, *arguments], timeout=60)
        assert done.status == 0, str(done)
    with subprocess.Popen([probes, "lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        def state():
            """The semaphore, and how often the guarded probe was come by."""
            line = target.stdout.readline().split()
            return [int(word) for word in line] if line[0].isdigit() else state()

        def go():
            target.stdin.write(b"\n")
            target.stdin.flush()
            return state()
        pid = str(target.pid)
        try:
            assert state() == go() == [0, 0]
            control("attach", "-o", folder, "--tracer", "nop", pid)
            control("control", pid, "kprobe_events=u prog:guarded")
            assert go() == [0, 0]
            control("control", pid, "events/prog/guarded/enable=1")
            assert [go(), go()] == [[1, 1], [1, 2]]
            control("control", pid, "events/enable=0")
            assert go() == [0, 2]
            control("control", pid, "events/enable=1")
            assert go() == [1, 3]
            control("detach", pid)
            assert go() == [0, 3]
            target.stdin.close()
            assert target.wait(20 * ftracetest.PATIENCE) == 0
        finally:
            target.kill()
    assert shown(folder) == [("guarded", f"arg1={i}") for i in (3, 4, 6)]


@pytest.mark.parametrize("text,what,column", [
    ("u prog", "PROVIDER:NAME", 2), ("u prog:si*", "no globs", 9), ("u prog:sizes x=$arg1", "its own arguments", 13),
    ("u prog:sizes if arg13 > 1", "no such field", 16)])
def test_usdt_bad_use(text, what, column):
    test_bad_use(["-e", text], what, column)

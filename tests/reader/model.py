# SPDX-License-Identifier: MIT
"""What the reader must make of a recording, worked out a second time, plainly and in Python: calls of
each thread from its records, and from them reports, graphs and replayed lines."""
from tracegen import ENTRY, EXIT, EXTENDED, FUNCTION, PADDING, TAIL

MARKS = [(10**9, "$"), (10**8, "@"), (10**7, "*"), (10**6, "#"), (10**5, "!"), (10**4, "+")]


class Call:
    def __init__(self, site, start, parent):
        self.site, self.start, self.parent = site, start, parent
        self.end = None
        self.tail = self.point = False
        self.children = []
        if parent:
            parent.children.append(self)

    def above(self):
        call = self.parent
        while call:
            yield call
            call = call.parent


def calls_of(records):
    """The calls of one thread in the order of their entries."""
    calls, open_ = [], []
    for time, event, site in records:
        if event == ENTRY or event == FUNCTION:
            call = Call(site, time, open_[-1] if open_ else None)
            calls.append(call)
            if event == FUNCTION:
                call.point = True
            else:
                open_.append(call)
        elif event == EXIT:
            match = [i for i, c in enumerate(open_) if c.site == site and not c.tail] or \
                [i for i, c in enumerate(open_) if c.site == site]
            if match:
                for call in open_[match[-1]:]:
                    call.end = time
                del open_[match[-1]:]
        elif event == EXTENDED and site == TAIL and open_:
            open_[-1].tail = True
    return calls


def report(threads, ns):
    """threads: lists of records. name of site -> what `report --json` must say."""
    rows = {}
    for records in threads:
        for call in calls_of(records):
            row = rows.setdefault(call.site, {"calls": 0, "unfinished": 0, "total": 0, "self": 0,
                                              "durations": []})
            row["calls"] += 1
            if call.end is None:
                row["unfinished"] += not call.point
                continue
            ticks = call.end - call.start
            row["durations"].append(ticks)
            row["self"] += ticks - sum(c.end - c.start for c in call.children if c.end is not None)
            if not any(c.site == call.site for c in call.above()):
                row["total"] += ticks
    return rows


def percentile(values, percent):
    values = sorted(values)
    rank = -(-len(values) * percent // 100)
    return values[max(rank, 1) - 1]


def duration(ns):
    mark = next((m for limit, m in MARKS if ns > limit), " ")
    text = str(ns // 1000)
    if len(text) < 7:
        text += "." + f"{ns % 1000:03d}"[:min(3, 7 - len(text))]
    return f"{mark} {text} us " + " " * (8 - len(text)) + "|  "


NO_DURATION = "              |  "


def replay(threads, ns, name, comm):
    """The lines of `ftrace replay` behind the header. threads: tid -> records, times unique."""
    ends = {}
    for tid, records in threads.items():
        for call in calls_of(records):
            ends[tid, call.start] = call
    merged = sorted((time, tid, i) for tid, records in threads.items()
                    for i, (time, _, _) in enumerate(records))
    lines, opened, taken, shown = [], {}, set(), None
    depth_of = lambda call: sum(1 for _ in call.above())

    def line(tid, text):
        nonlocal shown
        if shown not in (None, tid):
            lines.extend([" " + "-" * 42, f" {tid:7}) {'':1}{comm}-{shown}  =>  {comm}-{tid}",
                          " " + "-" * 42])
        shown = tid
        lines.append(f" {tid:7}) {text}")

    for time, tid, i in merged:
        records = threads[tid]
        _, event, site = records[i]
        if event == ENTRY or event == FUNCTION:
            call = ends[tid, time]
            indent = "  " * depth_of(call)
            rest = records[i + 1:i + 3]
            if rest and rest[0][1:] == (EXTENDED, TAIL):
                del rest[0]
            following = [r for r in rest[:1] if r[1] == EXIT]
            if call.point:
                line(tid, f"{NO_DURATION}{indent}{name(site)}();")
            elif following and call.end == following[0][0]:
                line(tid, f"{duration(ns(call.end - time))}{indent}{name(site)}();")
                taken.add(call)
            else:
                line(tid, f"{NO_DURATION}{indent}{name(site)}() {{")
                opened[call] = len(lines)
        elif event == EXIT:
            closing = [c for c in opened if ends.get((tid, c.start)) is c and c.end == time]
            for call in sorted(closing, key=depth_of, reverse=True):
                far = len(lines) - opened.pop(call) > 20 or shown != tid
                line(tid, f"{duration(ns(call.end - call.start))}{'  ' * depth_of(call)}}}" +
                     (f" /* {name(call.site)} */" if far else ""))
    return lines


def paths(threads):
    """The call graph: path of sites (recursions folded) -> [calls, total, self, recursive]."""
    nodes = {}
    for records in threads:
        path_of = {}
        for call in calls_of(records):
            above = path_of[call.parent] if call.parent else ()
            path = above[:above.index(call.site) + 1] if call.site in above else above + (call.site,)
            path_of[call] = path
            node = nodes.setdefault(path, [0, 0, 0, 0])
            node[0] += 1
            again = any(path_of[c] == path for c in call.above())
            node[3] += again
            if call.end is None:
                continue
            ticks = call.end - call.start
            node[2] += ticks - sum(c.end - c.start for c in call.children if c.end is not None)
            if not again:
                node[1] += ticks
    return nodes

# SPDX-License-Identifier: MIT
"""What every section of the benchmark uses: building programs, running them with their resource
usage, statistics, and the table of results."""
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SOURCES = os.path.join(HERE, "src")


class Skip(Exception):
    """A measurement that cannot be made here; the text is the reason shown to the user."""


class Failure(Exception):
    """A measurement that should have worked and did not."""


class Run:
    """A finished process: wall, user and system seconds, peak memory in KiB, output."""

    def __init__(self, status, wall, usage, out, err):
        self.status, self.wall, self.out, self.err = status, wall, out, err
        self.user, self.system, self.peak_kib = usage.ru_utime, usage.ru_stime, usage.ru_maxrss
        self.cpu = self.user + self.system


def run(command, env=None, cwd=None, stdin=None, timeout=600, may_fail=False, prefix=None):
    """Runs @command to its end. Raises Failure with the end of its stderr if it fails."""
    environment = dict(os.environ)
    environment.update(env or {})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        start = time.monotonic()
        process = subprocess.Popen((prefix or []) + command, env=environment, cwd=cwd, stdin=source,
                                   stdout=out, stderr=err, process_group=0)
        old = signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.alarm(timeout)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, old)
            if stdin:
                source.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        done = Run(process.returncode, wall, usage, out.read().decode(errors="replace"),
                   err.read().decode(errors="replace"))
    if done.status and not may_fail:
        reason = done.err.strip().splitlines()[-3:] or done.out.strip().splitlines()[-1:]
        raise Failure(f"{' '.join(command)}: exit status {done.status}: {' / '.join(reason)}")
    return done


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the distance between the quartiles, as a share of the median."""
    if len(values) < 4:
        return 0.0
    quarters = statistics.quantiles(values, n=4)
    return (quarters[2] - quarters[0]) / 2 / median(values)


def parse_kinds(text):
    """Lines "NAME number number ..." of a measuring program, as {name: [float]}."""
    kinds = {}
    for line in text.splitlines():
        name, *numbers = line.split()
        try:
            kinds[name] = [float(number) for number in numbers]
        except ValueError:
            continue
    return kinds


def pool(samples, name):
    """All numbers of kind @name over a list of {name: [float]}."""
    return [number for sample in samples for number in sample[name]]


def paired_ratio(samples, name, base):
    """Median over all rounds of name/base, both taken in the same round of the same process."""
    return median([a / b for sample in samples for a, b in zip(sample[name], sample[base])])


def size_of(path, only=""):
    """Bytes in the files under @path whose name contains @only."""
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path) for name in names if only in name)


class Bench:
    """The results, and what the sections share."""

    def __init__(self, build, quick):
        self.build = os.path.abspath(build)
        self.work = os.path.join(self.build, "bench")
        self.quick = quick
        self.rows, self.skipped, self.failed, self.versions = [], [], [], {}
        self.section = ""
        self.ftrace = os.path.join(self.build, "ftrace")
        os.makedirs(self.work, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.work, *names)

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def fresh(self, name):
        """An empty place for a recording, on the file system of the build tree."""
        path = self.path("out", name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def drop(self, path):
        shutil.rmtree(path, ignore_errors=True)

    def need_ftrace(self):
        if not os.path.exists(self.ftrace):
            raise Failure(f"{self.ftrace}: not built; run make first")
        return self.ftrace

    def need_tool(self, tool, package):
        path = shutil.which(tool)
        if not path:
            raise Skip(f"{tool} is not installed (Debian package {package})")
        return path

    def version(self, tool, *arguments):
        """Remembers the first line @tool says about its version."""
        if tool not in self.versions:
            done = run([tool, *(arguments or ["--version"])], may_fail=True)
            text = (done.out + done.err).strip().splitlines()
            self.versions[tool] = text[0].strip() if text else "unknown"
        return self.versions[tool]

    def compile(self, output, command, inputs):
        """Makes work/@output with @command (without -o and inputs), unless that was done before."""
        target = self.path(output)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        digest = hashlib.sha256(json.dumps([command, inputs]).encode())
        for name in inputs + [os.path.join(SOURCES, name) for name in sorted(os.listdir(SOURCES))
                              if name.endswith(".h")]:
            with open(name, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
        stamp = target + ".stamp"
        if os.path.exists(target) and os.path.exists(stamp):
            with open(stamp) as file:
                if file.read() == digest.hexdigest():
                    return target
        run(command + ["-o", target] + [i for i in inputs if not i.endswith((".h", ".inc"))]
            + (["-lpthread", "-lm", "-ldl"] if "-c" not in command else []))
        with open(stamp, "w") as file:
            file.write(digest.hexdigest())
        return target

    def row(self, name, value, unit, ratio=None, to=None, at_most=None, at_least=None,
            target_is="ratio", samples=None, note=""):
        """Adds a result. The target, if any, is for the ratio or (target_is="value") the value."""
        measured = ratio if target_is == "ratio" else value
        met = None
        if at_most is not None:
            met = measured <= at_most
        elif at_least is not None:
            met = measured >= at_least
        self.rows.append({"section": self.section, "name": name, "value": value, "unit": unit,
                          "ratio": ratio, "to": to, "at_most": at_most, "at_least": at_least,
                          "met": met, "note": note, "spread": spread(samples or []),
                          "samples": [round(s, 4) for s in samples or []]})

    def skip(self, name, why):
        self.skipped.append({"section": self.section, "name": name, "why": str(why)})
        self.say(f"{self.section}: {name}: skipped: {why}")

    def fail(self, name, why):
        self.failed.append({"section": self.section, "name": name, "why": str(why)})
        self.say(f"{self.section}: {name}: FAILED: {why}")

    def attempt(self, name, function, *arguments):
        """@function's result, or None after noting why it could not be had."""
        try:
            return function(*arguments)
        except Skip as reason:
            self.skip(name, reason)
        except Failure as reason:
            self.fail(name, reason)
        return None


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 \
        else f"{value:.2f}"


def table(bench):
    """The results as text."""
    lines, section = [], None
    for row in bench.rows:
        if row["section"] != section:
            section = row["section"]
            lines += ["", section]
        target = ""
        if row["at_most"] is not None:
            target = f"<= {row['at_most']:g}"
        elif row["at_least"] is not None:
            target = f">= {row['at_least']:g}"
        verdict = {True: "met", False: "MISSED", None: ""}[row["met"]]
        ratio = f"{row['ratio']:.3f} x {row['to']}" if row["ratio"] is not None else ""
        lines.append(f"  {row['name']:<46} {number(row['value']):>9} {row['unit']:<9} "
                     f"{ratio:<34} {target:<8} {verdict}".rstrip())
        if row["note"]:
            lines.append(f"      {row['note']}")
    for title, entries in (("Skipped", bench.skipped), ("Failed", bench.failed)):
        if entries:
            lines += ["", title]
            lines += [f"  {entry['section']}: {entry['name']}: {entry['why']}" for entry in entries]
    return "\n".join(lines)

# SPDX-License-Identifier: MIT
"""The examples do what they say, and so does `make demo`."""
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("FTRACE_BUILD_DIR", os.path.join(ROOT, "build"))


def output_of(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def example(name):
    return output_of(os.path.join(BUILD, "examples", name))


def test_registers():
    lines = example("registers").splitlines()
    assert [re.search(r"arguments (-?\d+, -?\d+)", line).group(1) for line in lines[:2]] == \
        ["2, 10", "20, 0"]
    assert [line.split(" is ")[1] for line in lines[2:]] == \
        ["20", "40 with its first argument doubled", "20 again"]


def test_replace():
    assert example("replace").splitlines() == [
        "price(-5) is 5", "price(-5) is -5, replaced", "price(-5) is 5, as before"]


def test_kprobe():
    path = os.path.join(BUILD, "examples", "kprobe")
    if not os.path.exists(path):
        pytest.skip("probes at any instruction are not there on this architecture")
    lines = example("kprobe").splitlines()
    places = [re.fullmatch(r"bits\+(\d+): (\d+) hits, by a (jump|breakpoint)", line).groups()
              for line in lines[:-1]]
    assert lines[-1] == f"{len(places)} instructions"
    # At the entry once; in the loop, of eight bits.
    assert places[0][:2] == ("0", "1")
    assert {"7", "8"} & {hits for _, hits, _ in places}
    offsets = [int(offset) for offset, _, _ in places]
    assert offsets == sorted(set(offsets)) and len(offsets) >= 5


def test_returns():
    lines = [re.sub(r", \d+ ns$", "", line) for line in example("returns").splitlines()]
    # fib(4) makes nine calls; each line is printed at the return.
    assert lines == ["      fib(1) = 1", "      fib(0) = 0", "    fib(2) = 1", "    fib(1) = 1",
                     "  fib(3) = 2", "    fib(1) = 1", "    fib(0) = 0", "  fib(2) = 1",
                     "fib(4) = 3", "fib(4) is 3"]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="attaching is made for x86_64 only")
def test_patch(tmp_path):
    shop, fix = os.path.join(BUILD, "examples", "shop"), os.path.join(tmp_path, "fix-price.so")
    shutil.copy(os.path.join(BUILD, "examples", "fix-price.so"), fix)
    patch = [os.path.join(BUILD, "ftrace"), "patch"]
    with subprocess.Popen([shop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        def price(cents):
            process.stdin.write(f"{cents}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        assert (price(100), price(-100)) == (95, -105)
        output_of(*patch, "stamp", fix, shop)
        output_of(*patch, "apply", str(process.pid), fix)
        assert (price(100), price(-100)) == (95, -100)
        output_of(*patch, "revert", str(process.pid))
        assert (price(100), price(-100)) == (95, -105)
        process.stdin.close()


def test_demo():
    text = output_of(os.path.join(ROOT, "tools", "demo"), BUILD)
    plain = output_of(os.path.join(BUILD, "examples", "demo"),
                      os.path.join(ROOT, "examples", "demo.json"))
    recorded, replayed = text.split("$ ftrace replay | head -40")
    replayed, reported = replayed.split("$ ftrace report")
    assert plain in recorded
    assert re.search(r"\|  main\(\) \{\n.*must_alloc\(\);", replayed)
    assert re.search(r"^ +172 .* skip_space$", reported, re.M)

# SPDX-License-Identifier: MIT
"""The tools the build and the tests rest on: gen-asm-offsets, and the counting of results."""
import glob
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

import pytest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")


def load_check():
    loader = importlib.machinery.SourceFileLoader("check", os.path.join(TOOLS, "check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
    loader.exec_module(module)
    return module


def count(tap):
    check = load_check()
    results = check.Results()
    failed, fault = check.tap_results("program", tap, results)
    return results.passed, results.failed, results.skipped, failed, fault


def test_tap_counts_each_subtest():
    assert count("1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP why\n") == (1, 1, 1, 1, "")


@pytest.mark.parametrize("tap", ["", "ok 1 - a\n", "1..2\nok 1 - a\n", "1..1\nok 1\nok 2\n"])
def test_tap_that_ends_early_is_a_fault(tap):
    assert count(tap)[4]


def test_skipping_everything_passes_nothing():
    assert count("1..0 # SKIP no such processor\n") == (0, 0, 1, 0, "")


def test_pytest_that_dies_is_a_failure(tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_x.py").write_text("import os\nos._exit(0)\n")
    check = load_check()
    results = check.Results()
    check.pytest_tests(str(tmp_path), str(tmp_path), [], results)
    assert (results.passed, results.failed) == (0, 1)


def test_check_without_a_build_fails(tmp_path):
    done = subprocess.run([sys.executable, os.path.join(TOOLS, "check"), str(tmp_path), "--only",
                           "meson"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("0 passed, ")
    assert not done.stdout.splitlines()[-1].endswith(" 0 failed")


MARKERS = r'''
#define DEFINE(sym, val) asm volatile("\n.ascii \"->" #sym " %0 " #val "\"" : : "i" (val))
struct s { char a[24]; int b; };
void offsets(void);
void offsets(void)
{
	DEFINE(S_B, __builtin_offsetof(struct s, b));
	DEFINE(NEGATIVE, -8);
	asm volatile("\n.ascii \"->\"");
}
'''


def offsets(tmp_path, source):
    (tmp_path / "asm-offsets.c").write_text(source)
    done = subprocess.run([os.path.join(TOOLS, "gen-asm-offsets"), tmp_path / "asm-offsets.c",
                           tmp_path / "out.h", tmp_path / "out.d", "cc", "-O2"],
                          stderr=subprocess.PIPE, text=True)
    return done, tmp_path / "out.h"


def test_offsets_are_those_of_the_compiler(tmp_path):
    done, header = offsets(tmp_path, MARKERS)
    assert done.returncode == 0, done.stderr
    assert "#define S_B 24 " in header.read_text()
    assert "#define NEGATIVE -8 " in header.read_text()
    assert "asm-offsets.c" in (tmp_path / "out.d").read_text()


@pytest.mark.parametrize("source", ["int nothing;\n", "syntax error", MARKERS.replace(" %0 ", " x ")])
def test_offsets_that_cannot_be_made_are_an_error(tmp_path, source):
    done, header = offsets(tmp_path, source)
    assert done.returncode != 0
    assert not header.exists()


def test_no_literal_offsets():
    """Trampolines reach into structures by generated offsets only: a number alone before a register is no more
    than the next word of a stack, or how far ahead is prefetched."""
    files = glob.glob(os.path.join(TOOLS, "..", "arch", "*", "entry*"))
    assert len(files) >= 6, files
    found = []
    for path in files:
        with open(path) as file:
            for number, line in enumerate(file, 1):
                code = re.sub(r"/\*.*", "", line)
                for offset in re.findall(r"(?<![-\w)+*] )(?<![-\w)+*])(-?\d+)\(%", code):
                    if offset not in ("8", "-8", "0") and "prefetch" not in code:
                        found.append(f"{path}:{number}: {line.strip()}")
    assert not found, "\n".join(found)

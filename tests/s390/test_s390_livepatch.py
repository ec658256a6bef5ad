# SPDX-License-Identifier: MIT
"""Live patching on s390x and s390: the tests of tests/livepatch in both widths, under Debian's kernel; those of one
thread in qemu's user mode as well, 64-bit."""
import os
import re

import pytest

import cross
from cross import QEMU, WIDTHS, compiled, run

TESTS = os.path.join(cross.TESTS, "livepatch")
NAMES = ["core", "objects", "transition", "traced", "load"]


def with_targets(name, width):
    """The test, its targets compiled for tracing as nothing else of it is."""
    library = os.path.join(cross.CROSS, cross.LIBRARY[width])
    targets = [compiled(os.path.join(TESTS, source), width, "-c", name="livepatch-" + source)
               for source in ("targets.c", "targets2.c", "chain.c")]
    return compiled(os.path.join(TESTS, name + ".c"), width, "-w", *cross.INCLUDES, *targets, library, "-ldl",
                    f"-Wl,-rpath,{os.path.dirname(library)}", name="livepatch-" + name, form=[])


def plugin(width):
    return compiled(os.path.join(TESTS, "plugin.c"), width, "-shared", "-fPIC", name="livepatch-plugin")


def all_passed(text):
    """Every line of the test's is "ok", and there are as many as it says at the end."""
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    return plan and "not ok" not in text and len(re.findall(r"^ok \d+", text, re.M)) == int(plan[1]) > 2


def test_in_user_mode(tree):
    """Threads cannot be stopped there."""
    done = run(*QEMU, with_targets("core", "64"), timeout=120)
    assert done.returncode == 0 and all_passed(done.stdout), done.stdout


@pytest.fixture(scope="module", name="livepatch_machine")
def _livepatch_machine(tree):
    m, image = cross.machine("livepatch-machine")
    ask = {}
    for width in WIDTHS:
        m.add(f"p/plugin{width}.so", plugin(width))
        for name in NAMES:
            m.add(f"p/{name}{width}", with_targets(name, width))
            ask[width, name] = m.command(f"FTRACE_KLP_TRANSITIONS=12 LD_LIBRARY_PATH=/b/{os.path.dirname(cross.LIBRARY[width])} "
                                         f"/p/{name}{width} /p/plugin{width}.so", 240)
    results, _ = m.run(image)
    return cross.Results(results, ask)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_on_a_kernel(livepatch_machine, width, name):
    text, status = livepatch_machine(width, name)
    assert status == 0 and all_passed(text), text

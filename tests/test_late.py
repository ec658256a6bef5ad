# SPDX-License-Identifier: MIT
"""The library loaded by dlopen when threads are running already, some in the bytes it changes."""
import glob
import os

import pytest

import ftracetest
from ftracetest import build, run

FORMS = {
    "nops": ["-fpatchable-function-entry=5"],
    "before": ["-fpatchable-function-entry=7,5"],
    "endbr": ["-fpatchable-function-entry=5", "-fcf-protection=full"],
}


@pytest.mark.parametrize("form", FORMS)
def test_loaded_while_threads_run(form):
    library, = glob.glob(os.path.join(ftracetest.BUILD, "engine", "libftrace.so.0"))
    program = build("late_library.c", "-O1", *FORMS[form], "-I" + os.path.join(ftracetest.SOURCE, "include"),
                    "-I" + os.path.join(ftracetest.SOURCE, "arch/x86/include"), "-pthread")
    for _ in range(3):
        result = run([program, library], timeout=60)
        assert result.status == 0 and result.stdout == b"ok, wrong 0\n", str(result)
        assert b"cannot be traced" not in result.stderr, str(result)

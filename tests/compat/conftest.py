# SPDX-License-Identifier: MIT
"""Only where narrow programs are tested (FTRACE_TEST_ARCH), as tools/check does in a run of its own."""
import ftracetest

collect_ignore_glob = [] if ftracetest.COMPAT else ["test_*.py"]

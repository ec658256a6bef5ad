# SPDX-License-Identifier: MIT
"""Fixtures of the tests of the reader."""
import os

import pytest


@pytest.fixture(scope="session")
def sanitized(build_dir):
    path = os.path.join(build_dir, "tests", "sanitized", "ftrace-sanitized")
    if not os.path.exists(path):
        pytest.skip(f"{path} is not built: this compiler has no sanitizers")
    return path

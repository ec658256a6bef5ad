# SPDX-License-Identifier: MIT
"""Fixtures of the tests of attaching."""
import pytest

import ftracetest as ft


@pytest.fixture(scope="session", name="threads")
def _threads():
    return ft.build("attach_threads.cc", "-O2", "-pthread")


@pytest.fixture(scope="session", name="loop")
def _loop():
    return ft.build("attach_loop.c", "-O2", "-pthread")

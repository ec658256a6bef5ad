# SPDX-License-Identifier: MIT
"""Fixtures of the tests of ftrace patch."""
import subprocess

import pytest

import ftracetest as ft
from patchtest import FORMS, NARROW, build_server


@pytest.fixture(scope="session", name="servers")
def _servers():
    return {form: build_server(*flags) for form, flags in FORMS.items()}


@pytest.fixture(name="server", params=list(FORMS))
def _server(request, servers):
    return servers[request.param]


def build_narrow(*flags):
    """The same as a 32-bit program."""
    if ft.compiles("gcc", "c", "-m32") is not True:
        pytest.skip("gcc makes no 32-bit programs here")
    try:
        return build_server(*flags, *NARROW, name="server32")
    except subprocess.CalledProcessError as error:
        pytest.skip("no 32-bit libraries: " + str(error.output).splitlines()[0])


@pytest.fixture(name="narrow", params=list(FORMS))
def _narrow(request):
    return build_narrow(*FORMS[request.param])


@pytest.fixture(name="either", params=[*FORMS, *[form + "32" for form in FORMS]])
def _either(request, servers):
    """Of both widths."""
    form = request.param
    return servers[form] if form in FORMS else build_narrow(*FORMS[form[:-2]])

# SPDX-License-Identifier: MIT
"""The man pages, the --help texts and the completion name the same commands and options."""
import os
import re
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("FTRACE_BUILD_DIR", os.path.join(ROOT, "build"))
FTRACE = os.path.join(BUILD, "ftrace")
COMMANDS = ["record", "attach", "detach", "status", "control", "patch", "replay", "report", "graph", "list", "info", "selftest"]


def help_of(*command):
    done = subprocess.run([FTRACE, *command, "--help"], stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    return done.stdout


def options_of_help(text):
    """{"-o", "--output", ...} of the lines that begin with an option."""
    options = set()
    for line in text.splitlines():
        listed = re.match(r" {1,8}(-.*?)(?:  |$)", line)
        if listed:
            options.update(re.findall(r"(?:^|[ ,])(--?[A-Za-z][\w-]*)", listed.group(1)))
    return options


def page(name):
    with open(os.path.join(ROOT, "man", name)) as file:
        return file.read()


def options_of_page(text):
    """The options of the .It Fl lines of a page."""
    options = set()
    for line in text.splitlines():
        if line.startswith(".It Fl"):
            for flag in re.findall(r"\bFl (-?[A-Za-z][\w-]*)", line):
                options.add("-" + flag)
    return options


def test_every_command_is_in_ftrace_1():
    listed = re.findall(r"^  ([a-z]+) ", help_of().split("Commands:")[1].split("\n\n")[0], re.M)
    assert sorted(listed) == sorted(COMMANDS)
    assert re.findall(r"^\.It Cm ([a-z]+)", page("ftrace.1"), re.M) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_help_and_page_agree(command):
    options = options_of_help(help_of(command))
    assert options, "no options in the help text"
    assert options_of_page(page(f"ftrace-{command}.1")) == options


@pytest.mark.parametrize("name", ["ftrace.1", "libftrace.3"] + [f"ftrace-{c}.1" for c in COMMANDS])
def test_page_has_no_faults(name):
    formatted = subprocess.run(["man", "--warnings", "-l", os.path.join(ROOT, "man", name)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, MANROFFOPT="", LC_ALL="C.UTF-8", MANWIDTH="100"))
    if "not found" in formatted.stderr or "minimized" in formatted.stdout:
        pytest.skip("man is not installed (Debian package man-db)")
    assert not [line for line in formatted.stderr.splitlines() if "can't break line" not in line]
    assert "NAME" in formatted.stdout


def complete(*words):
    """What the completion offers for the last of @words."""
    script = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_ftrace
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", script, "bash",
                           os.path.join(ROOT, "tools", "completion", "ftrace.bash"), FTRACE, *words],
                          stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_completion_of_commands():
    assert complete("") >= set(COMMANDS)
    assert complete("rep") == {"replay", "report"}


@pytest.mark.parametrize("command", COMMANDS)
def test_completion_of_options(command):
    assert complete(command, "-") == options_of_help(help_of(command))


def test_completion_of_values():
    assert complete("record", "--tracer", "fun") == {"function", "function_graph"}
    assert complete("replay", "--color", "n") == {"never"}


def test_every_public_function_is_in_libftrace_3():
    with open(os.path.join(ROOT, "engine", "libftrace.map")) as file:
        public = re.search(r"LIBFTRACE_0 \{\s*global:(.*?)local:", file.read(), re.S).group(1)
    names = re.findall(r"(\w+);", public)
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"^\.Fn {name}\b", page("libftrace.3"), re.M)] == []

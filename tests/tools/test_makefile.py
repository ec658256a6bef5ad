# SPDX-License-Identifier: MIT
"""`make install` puts things where it is told to, whatever the build directory was made with."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROJECT = """project('small')
where = configuration_data({'prefix': get_option('prefix')})
configure_file(input: 'where.in', output: 'where', configuration: where, install_dir: 'share')
"""


@pytest.fixture
def tree(tmp_path):
    """The Makefile over a project of one file, which says what prefix it was built for."""
    for tool in ("make", "meson", "ninja"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    tree = tmp_path / "tree"
    (tree / "tools").mkdir(parents=True)
    shutil.copy(os.path.join(ROOT, "Makefile"), tree)
    shutil.copy(os.path.join(ROOT, "tools", "build-option"), tree / "tools")
    (tree / "tools" / "install-deps.sh").write_text("#!/bin/sh\n")
    (tree / "tools" / "install-deps.sh").chmod(0o755)
    (tree / "meson.build").write_text(PROJECT)
    (tree / "where.in").write_text("@prefix@")
    return tree


def make(tree, *arguments):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("prefix", "DESTDIR", "BUILD", "MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", *map(str, arguments)], cwd=tree, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def installed(root, prefix):
    """What the file says that lies under @prefix in @root."""
    return (root / str(prefix).lstrip("/") / "share" / "where").read_text()


def test_prefix_of_install(tree, tmp_path):
    first, second, away = tmp_path / "first", tmp_path / "second", tmp_path / "away"
    make(tree)
    assert (tree / "build" / "where").read_text() == "/usr/local"
    make(tree, "install", f"prefix={first}")
    assert installed(first, "") == str(first)
    # It is the build's from now on: as asked for, with DESTDIR before it, and not configured again.
    make(tree, "install", f"DESTDIR={away}")
    assert installed(away, first) == str(first)
    before = os.stat(tree / "build" / "build.ninja").st_mtime_ns
    make(tree, "install", f"prefix={first}")
    assert os.stat(tree / "build" / "build.ninja").st_mtime_ns == before
    make(tree, "install", f"prefix={second}", f"DESTDIR={away}")
    assert installed(away, second) == str(second) and not second.exists()


def test_prefix_of_build(tree, tmp_path):
    """One that the build was made with stays, and so does one of another build directory."""
    make(tree, f"prefix={tmp_path}/first")
    make(tree, "BUILD=other", "prefix=second")
    make(tree, "install")
    assert installed(tmp_path / "first", "") == f"{tmp_path}/first"
    make(tree, "install", "BUILD=other")
    assert installed(tree / "second", "") == f"{tree}/second"

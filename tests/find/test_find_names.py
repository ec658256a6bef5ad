# SPDX-License-Identifier: MIT
"""The finder where the symbol table is elsewhere: every way names are stripped and kept in another file."""
import os
import subprocess

import pytest

from findtest import Found, NAMELESS, add_debug_data, command, copy, program, separate, symbols

STRIPPED = [(form, kind) for form in ("nops5", "nops16_8", "short7_5", "mfentry", "mfentry_rec",
                                      "mcount") for kind in ("pie", "shared")]


@pytest.mark.parametrize("form,kind", STRIPPED)
def test_strip_debug(form, kind, tmp_path):
    path = program(form, kind)
    stripped = copy(path, tmp_path)
    command("strip", "--strip-debug", stripped)
    assert Found(stripped).sites == Found(path).sites
    assert Found(stripped).object["symbols"] == ".symtab"


@pytest.mark.parametrize("form,kind", STRIPPED)
def test_strip(form, kind, tmp_path):
    """The same places without any symbol but the dynamic ones, which give names to some."""
    path = program(form, kind)
    whole, stripped = Found(path), copy(path, tmp_path, "stripped")
    command("strip", stripped)
    found = Found(stripped)
    # Weak and COMDAT functions are there under one name; the places are what counts.
    assert found.places() == whole.places()
    dynamic = {a for a, _ in symbols(stripped, "-D").values()}
    names = {site.entry: site.name for site in whole.sites}
    for site in found.sites:
        if site.entry in dynamic:
            assert not site.flags & NAMELESS
            # Local names are lost, so another of several may be the best.
            assert site.name == names[site.entry] or "C1E" in site.name or "C2E" in site.name, site
        else:
            assert site.flags & NAMELESS and site.name == f"stripped+{site.entry:#x}", site
    if kind == "shared":
        assert found.object["symbols"] == ".dynsym"
        assert sum(not site.flags & NAMELESS for site in found.sites) > 100
    # Sizes come from the unwind table then.
    sizes = {site.entry: site.size for site in whole.sites}
    assert all(abs(site.size - sizes[site.entry]) < 64 for site in found.sites)


@pytest.mark.parametrize("where", [".", ".debug"])
@pytest.mark.parametrize("form,kind", [("nops5", "pie"), ("short7_5", "shared"), ("mcount", "pie")])
def test_debug_link(form, kind, where, tmp_path):
    path = program(form, kind)
    debug = os.path.join(tmp_path, where, "its.debug")
    stripped = separate(path, tmp_path, debug)
    assert Found(stripped).sites == Found(path).sites
    assert os.path.samefile(Found(stripped).object["symbols"], debug)
    # Also by another name, from another folder: the object's own place counts.
    os.makedirs(os.path.join(tmp_path, "other"))
    link = os.path.join(tmp_path, "other", "link")
    os.symlink(stripped, link)
    assert Found(link).sites == Found(path).sites


def test_debug_link_of_another(tmp_path):
    """A debug file with another build id is not this object's."""
    path, other = program("nops5", "pie"), program("nops16_8", "pie")
    debug = os.path.join(tmp_path, "its.debug")
    stripped = separate(path, tmp_path, debug)
    command("objcopy", "--only-keep-debug", other, debug)
    found = Found(stripped)
    assert found.places() == Found(path).places()
    assert found.object["symbols"] != debug


def test_debug_link_checksum(tmp_path):
    """Without build ids the checksum in the link decides."""
    path = program("nops5", "pie", "-Wl,--build-id=none")
    assert Found(path).object["id"] == ""
    debug = os.path.join(tmp_path, "its.debug")
    stripped = separate(path, tmp_path, debug)
    assert Found(stripped).sites == Found(path).sites
    with open(debug, "ab") as file:
        file.write(b"x")
    assert Found(stripped).places() == Found(path).places()
    assert all(site.flags & NAMELESS for site in Found(stripped).sites)


def test_build_id(tmp_path):
    """/usr/lib/debug/.build-id/xx/yyy.debug"""
    path = program("nops5", "shared")
    ident = Found(path).object["id"]
    notes = subprocess.run(["readelf", "-nW", path], stdout=subprocess.PIPE, check=True).stdout
    assert f"Build ID: {ident}".encode() in notes
    folder = f"/usr/lib/debug/.build-id/{ident[:2]}"
    debug = f"{folder}/{ident[2:]}.debug"
    existed = os.path.isdir(folder)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        pytest.skip(f"{folder}: {error.strerror}")
    try:
        stripped = separate(path, tmp_path, debug, link=False)
        assert Found(stripped).sites == Found(path).sites
        assert Found(stripped).object["symbols"] == debug
    finally:
        os.unlink(debug)
        if not existed:
            os.rmdir(folder)


@pytest.mark.parametrize("form,kind", [("nops5", "pie"), ("nops16_8", "shared"), ("mfentry", "shared")])
def test_debug_data(form, kind, tmp_path):
    path = program(form, kind)
    stripped = add_debug_data(path, tmp_path)
    assert Found(stripped).sites == Found(path).sites
    assert Found(stripped).object["symbols"] == ".gnu_debugdata"

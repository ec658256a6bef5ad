# SPDX-License-Identifier: MIT
"""The compiled tree is made once for all files here."""
import pytest

import cross


@pytest.fixture(scope="session")
def tree():
    return cross.make_tree()


@pytest.fixture(scope="session")
def second_machine(tree):
    """What test_s390_programs.py and test_s390_library.py run in a virtual machine, in one go."""
    import test_s390_programs		# pytest has these by the same names
    import test_s390_library
    m, image = cross.machine("second-machine")
    ask = {}
    for module in (test_s390_library, test_s390_programs):
        module.add(m, ask)
    results, _ = m.run(image, timeout=2400)
    return cross.Results(results, ask)

"""Programs of Debian packages: without them a test is skipped, in CI it fails."""

import os
import shutil

import pytest

REQUIRED_BY = ("CI", "ATTNBENCH_TEST_PACKAGES")


def require_program(name):
    """Skip or fail the test where a program of .ci/debian-packages.txt is missing."""
    if shutil.which(name):
        return
    reason = f"{name} is missing. Install the packages of .ci/debian-packages.txt"
    if any(os.environ.get(variable) for variable in REQUIRED_BY):
        pytest.fail(reason)
    pytest.skip(reason)

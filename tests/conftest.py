"""What holds for all tests."""

import os
import signal

import pytest

# A shell starts what runs in its background with Ctrl-C ignored, and every process below inherits
# that: tests of interruptions would wait for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: many tests wait for a command that they started."""
    return (os.cpu_count() or 1) + 1

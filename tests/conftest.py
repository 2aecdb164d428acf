"""What holds for all tests."""

import functools
import gc
import os
import signal

import pytest

from .forked_workers import fork_server, forked_workers, look_briefly
from .git_repository import repository
from .simulated_timing import clock, simulate

__all__ = ["clock", "fork_server", "forked_workers", "repository", "simulate"]

# A shell starts what runs in its background with Ctrl-C ignored, nohup has the end of the terminal
# ignored, and every process below inherits that: tests of interruptions would wait for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# pytest-xdist tells its workers the width of the terminal; a pipe, which tests read, has none.
os.environ.pop("COLUMNS", None)

# OpenVINO's converter reports its use to its makers, and waits two seconds where no network answers.
# On a build server it does neither, and takes this for the sign of one; what we start inherits it.
os.environ.setdefault("TF_BUILD", "True")

look_briefly()

# Each full collection walks all that torch and 8,000 tests keep: a tenth of the time by default.
gc.set_threshold(100_000, 50, 100)


# The files that take longest, with the longest first: a worker that gets one of them last keeps the
# others waiting.
LONGEST = (
    "benchmarks/test_smoke.py",
    "runner/test_trainings.py",
    "cli/test_ci.py",
    "cli/test_latency.py",
    "cli/test_run.py",
    "modules/test_conformance.py",
    "regression/ci/test_bridge.py",
    "measure/test_latency.py",
    "runtimes/",
    "cli/",
    "conformance/",
)


def pytest_configure(config):
    if hasattr(config.option, "loadscopereorder"):  # by the number of tests in a file
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    def rank(item):
        path = item.path.as_posix()
        places = (at for at, name in enumerate(LONGEST) if f"/tests/{name}" in path)
        return next(places, len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def operators_translated_once():
    """``torch.onnx.export`` translates its 500 operators anew at every call: half of a small export.

    Where a newer torch has no such method, the exports are only slower again.
    """
    from torch.onnx._internal.exporter import _registration

    registry = getattr(_registration, "ONNXRegistry", None)
    with pytest.MonkeyPatch.context() as patched:
        if hasattr(registry, "from_torchlib"):
            made = functools.cache(registry.from_torchlib)
            patched.setattr(registry, "from_torchlib", staticmethod(lambda **words: made(**words)))
        yield


def pytest_collection_finish():
    """Take out of every collection what stays to the end: torch and 8,000 tests."""
    gc.freeze()

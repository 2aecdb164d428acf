"""Report of tests by pytest: user errors in one or two lines, and notes besides the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from attnbench.errors import AttnbenchError, MissingExtraError


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Convert our errors into test failures with the same message while the network runs.

    A missing optional extra skips the test. Warnings of the measured libraries are ignored, as in
    ``attnbench run``, and the state of torch's random generator is restored.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            yield
    except MissingExtraError as error:
        raise pytest.skip.Exception(str(error)) from None
    except AttnbenchError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    finally:
        torch.set_num_threads(threads)


NOTE = "attnbench"
NEW = "attnbench new"
RATIO = "attnbench ratio"
"""Properties of a test: a sentence for the summary, a case that the baseline lacks, a ratio."""

"""Report of tests by pytest: user errors in one or two lines, and notes besides the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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


@dataclass
class Notes:
    """The notes of one run, without duplicates.

    Attributes:
        sentences: whole sentences.
        new: cases that are not in the baseline.
        ratios: lines of latency cases.
    """

    sentences: dict[str, None] = field(default_factory=dict)
    new: dict[str, None] = field(default_factory=dict)
    ratios: dict[str, None] = field(default_factory=dict)

    def take(self, report: pytest.TestReport) -> None:
        """Collect the notes of a completed test."""
        kinds = {NOTE: self.sentences, NEW: self.new, RATIO: self.ratios}
        for name, value in report.user_properties if report.when == "call" else ():
            if name in kinds:
                kinds[name][str(value)] = None

    def lines(self) -> list[str]:
        """Return the lines of the final summary."""
        fresh = [f"new, not in the baseline, nothing was compared: {case}" for case in self.new]
        return [*self.ratios, *self.sentences, *fresh]

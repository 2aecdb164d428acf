"""Errors that are for the user, as pytest tells them: a line or two, no traceback of ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from attnbench.errors import AttnbenchError, MissingExtraError


@contextmanager
def told() -> Iterator[None]:
    """While entered, the network under test runs: our errors fail the test in their own words.

    What an optional extra would bring skips it. Warnings of the libraries measured are ignored, as
    ``attnbench run`` does, and the state of torch's random numbers is left as it was.
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

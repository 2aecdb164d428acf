"""Command lines of the scripts: each has ``--smoke``, and a wrong request ends in one line."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from attnbench.errors import AttnbenchError

__all__ = ["NOWHERE", "Parser", "count", "file", "run", "seconds"]

NOTICE = "smoke run: everything once, on the smallest sizes; its figures mean nothing"
NOWHERE = Path(os.devnull)
"""A smoke run's file where none is given."""

# a CUDA toolkit without a GPU is no news for what runs on the processor
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


class Parser(argparse.ArgumentParser):
    """A parser with ``--smoke``, whose errors are one line.

    Args:
        doc: docstring of the script; its first line is the description.
        smoke: defaults of a smoke run; options that are given win.
    """

    def __init__(self, doc: str | None, **smoke: Any) -> None:
        super().__init__(description=(doc or "").partition("\n")[0], allow_abbrev=False)
        self._smoke = smoke
        self.add_argument(
            "--smoke", action="store_true", help="everything once, on the smallest sizes"
        )

    def read(self) -> argparse.Namespace:
        """Return the options of this process; of a smoke run say so."""
        if "--smoke" in sys.argv[1:]:
            self.set_defaults(**self._smoke)
        options = self.parse_args()
        if options.smoke:
            print(NOTICE, flush=True)
        return options

    def error(self, message: str) -> NoReturn:
        """End with status 2 and one line."""
        self.exit(2, f"{self.prog}: {message}\n")


def run(main: Callable[[], None]) -> None:
    """Call a script's main function; an error that is meant for the user ends in one line."""
    try:
        main()
    except AttnbenchError as error:
        text = " ".join(str(error).split())
        print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)
        raise SystemExit(2) from None


def count(text: str) -> int:
    """Read a number of things, one or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more: {text}")
    return number


def seconds(text: str) -> float:
    """Read a time, more than nothing."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be more than 0: {text}")
    return number


def file(text: str) -> Path:
    """Read where a file will be written, into a folder that is there."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot be written: {text}")
    return path

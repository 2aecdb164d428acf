"""Keyword arguments that a function does not have: named, with the one that is meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from attnbench.errors import RequestError, suggestion
from attnbench.utils.text import describe_value

P = ParamSpec("P")
R = TypeVar("R")


def name_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Raise :class:`RequestError` for an unknown keyword, in place of Python's bare TypeError.

    A keyword that is a part of one's name is meant as that one: ``size`` as ``input_size``.
    """
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for key, value in kwargs.items():
            if key not in known:
                parts = [name for name in known if key in name.split("_")]
                near = f" Did you mean {parts[0]!r}?" if parts else suggestion(key, known)
                raise RequestError(
                    f"{function.__name__}() has no argument {key!r}: got {describe_value(value)}; "
                    f"it takes {', '.join(known)}.{near}"
                )
        return function(*args, **kwargs)

    return call

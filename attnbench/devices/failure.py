"""What goes wrong on a device."""

from __future__ import annotations

from attnbench.errors import AttnbenchError


class DeviceError(AttnbenchError):
    """The device could not do it: out of memory, or a graph that cannot be captured."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says anything, or its type."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)

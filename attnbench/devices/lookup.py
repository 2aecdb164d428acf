"""Lookup of devices by name."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from attnbench.devices.device import Device
from attnbench.errors import RequestError, suggestion

KINDS = ("cpu", "cuda", "mps", "xpu")


def find_device(name: str, api: Any = None) -> Device:
    """Return the device called ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``xpu``.

    Args:
        name: name as on the command line; without a number, the first device of its kind.
        api: substitute for the module ``torch``.

    Raises:
        RequestError: no such device exists here, or the name is invalid; the message lists the
            devices or kinds.
    """
    match = re.fullmatch(r"([a-z]+)(?::(\d+))?", name)
    kind = match[1] if match else ""
    if match is None or kind not in KINDS or (kind == "cpu" and match[2]):
        raise RequestError(
            f"device {name!r} is none of cpu, cuda, cuda:1, mps, xpu.{suggestion(name, KINDS)}"
        )
    index = int(match[2] or 0)
    if api is not None:
        return _checked(kind, index, api)
    return _known(kind, index)


@cache
def _known(kind: str, index: int) -> Device:
    import torch

    return _checked(kind, index, None if kind == "cpu" else torch)


def _checked(kind: str, index: int, api: Any) -> Device:
    if kind == "cpu":
        return Device(kind)
    available = names(api)
    if f"{kind}:{index}" not in available:
        raise RequestError(f"there is no {kind}:{index} here; there is {', '.join(available)}")
    return Device(kind, index, api)


def names(api: Any) -> list[str]:
    """Return the names of this machine's devices: ``["cpu", "cuda:0"]``; `api` is ``torch``."""
    accelerator = api.accelerator
    if not accelerator.is_available():
        return ["cpu"]
    kind = accelerator.current_accelerator().type
    return ["cpu", *(f"{kind}:{i}" for i in range(accelerator.device_count()))]

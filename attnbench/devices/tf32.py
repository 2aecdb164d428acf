"""TF32 products on CUDA devices: off for fp32, on for the precision ``tf32``.

PyTorch lets cuDNN's convolutions run in TF32, with 10 bits of mantissa, by default. There are older
flags and newer ones, ``fp32_precision``, which inherit from each other. The older ones are set, as
Inductor still reads them, and the newer ones from which theirs would inherit are cleared. Written
from PyTorch's documentation; not yet run on a real GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from operator import attrgetter
from typing import Any

_PARENTS = ("fp32_precision", "cudnn.fp32_precision")
_LEAVES = ("cudnn.conv.fp32_precision", "cudnn.rnn.fp32_precision", "cuda.matmul.fp32_precision")
_OLDER = ("cudnn.allow_tf32", "cuda.matmul.allow_tf32")


@contextmanager
def allow_tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions and matrix products; restore the flags on exit."""
    import torch

    before = _read()
    products = None
    with suppress(RuntimeError):  # the newer flags contradict it
        products = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # the reference on the CPU is exact in any case
    _write({**dict.fromkeys(_PARENTS, "none"), **dict.fromkeys(_OLDER, allowed)})
    try:
        yield
    finally:
        # older ones first: setting one also sets the newer
        _write({name: before[name] for name in _OLDER if name in before})
        if products is not None:
            torch.set_float32_matmul_precision(products)
        _write({name: before[name] for name in before if name not in _OLDER})


@contextmanager
def products_of(precision: str, device_kind: str) -> Iterator[None]:
    """Forbid TF32 on CUDA while entered, unless it is the precision; elsewhere change nothing."""
    if device_kind != "cuda":
        yield
        return
    with allow_tf32(precision == "tf32"):
        yield


def is_tf32_allowed(backends: Any = None) -> bool:
    """Return whether convolutions or matrix products may run in TF32.

    Args:
        backends: substitute for ``torch.backends``.
    """
    backends = backends or import_module("torch").backends
    return any(attrgetter(name)(backends) == "tf32" for name in _LEAVES)


def _read() -> dict[str, Any]:
    """Return the flags that can be read."""
    backends, found = import_module("torch").backends, {}
    for name in (*_OLDER, *_LEAVES, *_PARENTS):
        with suppress(RuntimeError):  # torch refuses to read an older one that the newer contradict
            found[name] = attrgetter(name)(backends)
    return found


def _write(flags: Mapping[str, Any]) -> None:
    backends = import_module("torch").backends
    for name, value in flags.items():
        place, _, flag = name.rpartition(".")
        setattr(attrgetter(place)(backends) if place else backends, flag, value)

"""Global settings of torch in the process, which a module must not change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch

_BACKENDS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "torch.backends.cudnn": (
        torch.backends.cudnn,
        ("enabled", "benchmark", "deterministic", "allow_tf32"),
    ),
    "torch.backends.mkldnn": (torch.backends.mkldnn, ("enabled",)),
}
_SETTERS: Mapping[str, Callable[[Any], object]] = {
    "the default dtype": torch.set_default_dtype,
    # None instead of the CPU: a default device, once set, intercepts every call
    "the default device": lambda to: torch.set_default_device(None if to.type == "cpu" else to),
    "whether gradients are recorded": torch.set_grad_enabled,
    "the number of threads": torch.set_num_threads,
    "the precision of float32 products": torch.set_float32_matmul_precision,
    "whether anomalies are detected": torch.autograd.set_detect_anomaly,
    "the autocast of the CPU": lambda on: torch.set_autocast_enabled("cpu", on),
}


def surroundings() -> dict[str, Any]:
    """Return the global settings of the process, by name."""
    flags = {
        f"{name}.{flag}": getattr(place, flag)
        for name, (place, names) in _BACKENDS.items()
        for flag in names
    }
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "whether gradients are recorded": torch.is_grad_enabled(),
        "the number of threads": torch.get_num_threads(),
        "the precision of float32 products": torch.get_float32_matmul_precision(),
        "whether anomalies are detected": torch.is_anomaly_enabled(),
        "the autocast of the CPU": torch.is_autocast_enabled("cpu"),
        "whether operators must be deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        **flags,
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two results of :func:`surroundings`: (before, after) by name."""
    return {name: (old, after[name]) for name, old in before.items() if after[name] != old}


def restore(before: Mapping[str, Any]) -> None:
    """Restore all settings that differ from ``before``."""
    for name, (old, _) in changes(before, surroundings()).items():
        if name in _SETTERS:
            _SETTERS[name](old)
        elif name.startswith("torch.backends."):
            place, _, flag = name.rpartition(".")
            with suppress(RuntimeError):  # torch may have frozen its flags
                setattr(_BACKENDS[place][0], flag, old)
        else:
            torch.use_deterministic_algorithms(old[0], warn_only=old[1])


@contextmanager
def kept_surroundings() -> Iterator[dict[str, Any]]:
    """Yield the current settings, and restore them on exit."""
    before = surroundings()
    try:
        yield before
    finally:
        restore(before)

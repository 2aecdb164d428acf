"""Drift: relative change of a feature map by an untrained module in a pretrained network."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attnbench.conformance.findings import Finding, fine, skipped
from attnbench.conformance.module_under_test import Size, Subject

_PLACE: tuple[int, Size] = (64, (14, 14))
_BATCH = 4
_SEEDS = 5


def drift(subject: Subject) -> Iterator[Finding]:
    """Measure ||y - x|| / ||x|| and <y, x> / <x, x> on rectified noise, in eval, untrained.

    Both are means over five seeds of the weights.
    """
    channels, size = _place(subject)
    x = subject.maps(_BATCH, channels, size).relu()
    found = []
    for seed in range(_SEEDS):
        module = subject.build(channels, size, moved=False, seed=seed).eval()
        with torch.no_grad():
            y = module(x)
        if y.shape != x.shape or not y.isfinite().all():
            yield skipped("its output is no finite map of the input's shape", "See maps.")
            return
        found.append((float((y - x).norm() / x.norm()), float((y * x).sum() / (x * x).sum())))
    moved, gain = (sum(values) / _SEEDS for values in zip(*found, strict=True))
    yield fine(
        f"{moved:.1%} of its norm, gain {gain:.2f}",
        drift=moved,
        gain=gain,
        channels=channels,
        size=list(size),
    )


def _place(subject: Subject) -> tuple[int, Size]:
    """Return 64 channels at 14x14 if these work, else the width and size of the other checks."""
    channels, size = _PLACE
    try:
        with torch.no_grad():
            module = subject.build(channels, size, moved=False).eval()
            module(subject.maps(1, channels, size))
    except Exception:
        return subject.channels, subject.size
    return _PLACE

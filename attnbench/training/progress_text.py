"""The progress of a training as text: written by the loop, read by the display."""

from __future__ import annotations

import re

_AT = re.compile(r"epoch (\d+)/(\d+), step (\d+)/(\d+)")


def progress_text(step: int, steps: int, epochs: int) -> str:
    """Return ``epoch 2/3, step 5/40`` for a number of steps taken, of ``steps`` in an epoch."""
    epoch, within = divmod(step, steps)
    return f"epoch {min(epoch + 1, epochs)}/{epochs}, step {within}/{steps}"


def share_done(text: str) -> float:
    """Return the part of a training that is done, from its progress text; 0 if it does not say."""
    found = _AT.search(text)
    if found is None:
        return 0.0
    epoch, epochs, step, steps = map(int, found.groups())
    return (epoch - 1 + step / max(steps, 1)) / max(epochs, 1)

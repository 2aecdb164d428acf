"""The speed of this machine at this moment: a fixed small convolution, repeated for a second.

The work is that of a training step of a compact CNN in miniature: a strided, a depthwise and a
pointwise convolution, forward and backward, on 8 maps of 3 x 64 x 64, in one thread. The mean
duration of a pass grows with the load of the machine as that of a case does. A run stores it in its
header (``probe_s``); the ratio of two such figures scales recorded durations to the present.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PROBE_S = 1.0
"""Duration of the probe in seconds."""


def probe_speed(
    seconds: float = PROBE_S,
    work: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the mean duration of a pass in seconds, over ``seconds``.

    Args:
        seconds: duration of the probe.
        work: a pass; by default that of this module's docstring.
        clock: clock in seconds.
    """
    run = work or _small_network()
    run()  # the first pass allocates
    start, passes, elapsed = clock(), 0, 0.0
    while not passes or elapsed < seconds:
        run()
        passes, elapsed = passes + 1, clock() - start
    return elapsed / passes


def _small_network() -> Callable[[], object]:
    """Return a pass that draws no random number and leaves the number of threads as it was."""
    import torch
    from torch.nn import functional as F

    image = torch.linspace(-1, 1, 8 * 3 * 64 * 64).reshape(8, 3, 64, 64)
    shapes = ((32, 3, 3, 3), (32, 1, 3, 3), (64, 32, 1, 1))
    stem, depthwise, pointwise = (torch.full(shape, 0.1, requires_grad=True) for shape in shapes)

    def run() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            x = F.relu(F.conv2d(image, stem, stride=2, padding=1))
            x = F.relu(F.conv2d(x, depthwise, padding=1, groups=32))
            torch.autograd.grad(F.conv2d(x, pointwise).mean(), (stem, depthwise, pointwise))
        finally:
            torch.set_num_threads(threads)

    return run

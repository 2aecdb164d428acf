"""The noise floor of this machine: an A/A test of a model against its copy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

MODEL = "mobilenet_v2"
_SIZE = 224


@dataclass(frozen=True)
class NoiseFloor:
    """The smallest difference in latency that can be resolved on this machine.

    Attributes:
        model: the timed network, at batch size 1, on one thread, in eager mode.
        budget_s: the sampling budget, in seconds.
        pairs: the number of paired rounds.
        median_ms: the median latency of one inference.
        ratio: the latency of the copy over that of the original; 1 apart from noise.
        low: the lower bound of the ratio's 95% confidence interval.
        high: the upper bound of the ratio's 95% confidence interval.
        floor: the largest difference between equal models, as a fraction, that is compatible
            with this interval or with the interval of the sampler's own control.
        trust: ``"ok"``, or the reason for distrust.
    """

    model: str
    budget_s: float
    pairs: int
    median_ms: float
    ratio: float
    low: float
    high: float
    floor: float
    trust: str

    @property
    def verdict(self) -> str:
        """Return the resolvable difference, in a sentence."""
        if self.trust != "ok":
            return f"timing cannot be trusted here. {self.trust}"
        return (
            f"with {self.budget_s:g} s, differences above {self.floor:.1%} can be detected here; "
            "smaller ones are noise"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"verdict": self.verdict}


def measure_floor(
    budget_s: float,
    compare: Callable[..., Mapping[str, Any]] | None = None,
    calls: Mapping[str, Callable[[], object]] | None = None,
) -> NoiseFloor:
    """Time a small network against its copy, on one thread.

    Args:
        budget_s: seconds of sampling.
        compare: a replacement for :func:`attnbench.latency.compare`.
        calls: ``model``, ``copy`` and ``control`` (a second copy); by default MobileNetV2's.
    """
    import torch

    from attnbench import latency

    compare = compare or latency.compare
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        arms = dict(calls or _copies())
        again = arms.pop("control")
        found = compare(arms, baseline="model", budget_s=budget_s, again=again, threads=1)["copy"]
    finally:
        torch.set_num_threads(threads)
    return NoiseFloor(
        MODEL,
        budget_s,
        found.pairs,
        found.median_ms,
        found.ratio,
        found.ratio_low,
        found.ratio_high,
        max(abs(found.ratio_low - 1), abs(found.ratio_high - 1), found.floor),
        found.trust,
    )


def _copies() -> dict[str, Callable[[], object]]:
    import torch

    from attnbench.models.backbones import create_backbone

    model = create_backbone(MODEL).eval()
    image = torch.zeros(1, 3, _SIZE, _SIZE)

    def run(network: Any) -> object:
        with torch.inference_mode():
            return network(image)

    networks = {"model": model, "copy": copy.deepcopy(model), "control": copy.deepcopy(model)}
    return {name: partial(run, network) for name, network in networks.items()}

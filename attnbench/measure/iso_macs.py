"""Plain backbones whose widths bracket the multiply-adds of arms: iso-MAC baselines."""

from __future__ import annotations

from collections.abc import Sequence

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import canonical_backbone
from attnbench.registry.specs import parse_spec
from attnbench.suites.case import Case
from attnbench.suites.plan import make_case

_STEPS = 100
"""Steps per unit of width: hundredths suffice, as channels are rounded to multiples of 8."""
_WIDEST = 8 * _STEPS


class IsoMacBaselines:
    """A search for the next narrower and the next wider plain backbone of given arms.

    A width represents all widths that give the same network; the smallest of them is its name.

    Args:
        meter: cost meter that counts the networks.
    """

    def __init__(self, meter: CostMeter) -> None:
        self.meter = meter

    def __call__(self, arms: Sequence[Case]) -> list[str]:
        """Return the specs of the backbones around the arms, narrowest first, without their own.

        Raises:
            RequestError: the backbone has no width.
        """
        found: dict[int, str] = {}
        for arm in arms:
            own = self._macs(arm.plain, None)
            macs = self._values(arm)
            upper = self._first(arm, macs)
            lower = self._first(arm, self._macs(arm, upper - 1)) if upper > 1 else upper
            for step in (upper,) if self._macs(arm, upper) == macs else (lower, upper):
                if self._macs(arm, step) != own:
                    found[step] = _spec(arm, step)
        return [found[step] for step in sorted(found)]

    def _first(self, arm: Case, macs: int) -> int:
        """Return the smallest width, in hundredths, with at least ``macs`` multiply-adds."""
        low, high = 1, _WIDEST
        while low < high:
            middle = (low + high) // 2
            if self._macs(arm, middle) < macs:
                low = middle + 1
            else:
                high = middle
        return low

    def _macs(self, arm: Case, step: int | None) -> int:
        backbone = str(arm.backbone) if step is None else _spec(arm, step)
        case = make_case(
            self.meter.catalog, backbone=backbone, module=None, placement=None, size=arm.size
        )
        return self._values(case)

    def _values(self, case: Case) -> int:
        return int(self.meter.measure(case)["values"]["macs"] or 0)


def _spec(arm: Case, step: int) -> str:
    spec = parse_spec(str(arm.backbone), "backbone")
    try:
        return str(canonical_backbone(spec.with_options(width=step / _STEPS)))
    except RequestError as error:
        raise RequestError(f"backbone {spec.name} cannot be widened: {error}") from error

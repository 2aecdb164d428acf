"""The network of a case, with weights: the same in every process that builds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import build_backbone
from attnbench.models.fuse import fuse
from attnbench.models.insertion import fill
from attnbench.registry.attention import Attention, find_attention
from attnbench.runtimes.random_weights import lively
from attnbench.runtimes.sample_inputs import examples
from attnbench.suites.case import Case

SEED = 0


class OnePass(nn.Module):
    """The baseline of a module alone: one read and one write of its map, (B, C, H, W) -> same."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` scaled by a constant that no exporter can fold away."""
        return x * 1.5


def network(case: Case, meter: CostMeter) -> nn.Module:
    """Return the network of a case in evaluation mode.

    Weights are random but those of no part are trivial, so that a wrong export shows. A plain case
    without a backbone is one pass over the map.

    Raises:
        RequestError: the case cannot be.
    """
    torch.manual_seed(SEED)
    attention = find_attention(case.module, meter.catalog) if case.module else None
    model = _placed(case, attention, meter) if case.backbone else _alone(case, attention)
    lively(model, SEED, example(case))
    model.eval()
    return fuse(model) if case.fused else model


def example(case: Case) -> Tensor:
    """Return the input that a case is timed on: photographs, or noise for a module alone."""
    return inputs(case, 1)[0]


def inputs(case: Case, count: int) -> list[Tensor]:
    """Return inputs with at least ``count`` images in all, each of a case's batch size."""
    batch = case.conditions.batch if case.conditions else 1
    channels = 3 if case.backbone else case.channels or 1
    like = torch.empty(batch, channels, *case.size, device="meta")
    return examples(like, count, SEED)


def _placed(case: Case, attention: Attention | None, meter: CostMeter) -> nn.Module:
    model = build_backbone(str(case.backbone))
    if attention is None:
        return model
    survey = meter.known(str(case.backbone), case.size).survey
    return fill(model, meter.slots(case, survey, attention), attention)


def _alone(case: Case, attention: Attention | None) -> nn.Module:
    if case.channels is None:
        raise RequestError(f"{case.name}: a module alone needs its channels")
    return attention.build(case.channels, case.size) if attention else OnePass()

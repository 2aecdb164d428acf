"""The network of a case, with weights that are the same in every process."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import build_backbone
from attnbench.models.fuse import fuse
from attnbench.models.insertion import fill
from attnbench.registry.attention import Attention, find_attention
from attnbench.runtimes.sample_inputs import examples, randomize_weights
from attnbench.suites.case import Case

SEED = 0


class OnePass(nn.Module):
    """The baseline of a module alone: one read and write of its feature map (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` scaled by a constant that no exporter can eliminate."""
        return x * 1.5


def network(case: Case, meter: CostMeter) -> nn.Module:
    """Return the network of a case in evaluation mode.

    Weights are random and in no part trivial, so that a wrong export is detected. A plain case
    without a backbone is one pass over the feature map.

    Raises:
        RequestError: the case is invalid.
    """
    torch.manual_seed(SEED)
    attention = find_attention(case.module, meter.catalog) if case.module else None
    model = _placed(case, attention, meter) if case.backbone else _alone(case, attention)
    randomize_weights(model, SEED, example(case))
    model.eval()
    return fuse(model) if case.fused else model


def example(case: Case) -> Tensor:
    """Return the input for timing a case: photographs, or noise for a module alone."""
    return inputs(case, 1)[0]


def inputs(case: Case, count: int) -> list[Tensor]:
    """Return inputs with at least ``count`` images in total, each of the case's batch size."""
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

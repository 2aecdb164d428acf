"""The network of a case, with weights and random numbers that do not depend on the process."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnbench.errors import RequestError
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import create_backbone
from attnbench.models.fuse import fuse
from attnbench.models.insertion import fill
from attnbench.registry.attention import Attention
from attnbench.runtimes.sample_inputs import examples, randomize_weights
from attnbench.suites.case import Case
from attnbench.training.seeds import stream
from attnbench.utils.text import describe

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
    attention = case.resolve(meter.catalog).attention
    model = _placed(case, attention, meter) if case.backbone else _alone(case, attention)
    if case.section:
        model = nn.Sequential(*map(model.get_submodule, case.section.split("+")))
    try:
        randomize_weights(model, SEED, inputs(case, 1, meter)[0])
    except Exception as error:
        raise RequestError(f"{case.network} fails on its own maps: {describe(error)}") from error
    model.eval()
    return fuse(model) if case.fused else model


def inputs(case: Case, count: int, meter: CostMeter) -> list[Tensor]:
    """Return inputs with at least ``count`` images in total, each of the case's batch size.

    They are photographs, or noise for a module or a section alone.
    """
    batch = case.conditions.batch if case.conditions else 1
    like = torch.empty(batch, *_input_shape(case, meter), device="meta")
    return examples(like, count, SEED)


def _input_shape(case: Case, meter: CostMeter) -> tuple[int, int, int]:
    if case.backbone is None:
        return (case.channels or 1, *case.size)
    if case.section is None:
        return (3, *case.size)
    survey = meter.backbone_cost(case.backbone, case.size).survey
    return survey.shape(case.section.split("+")[0], before=True)


def _placed(case: Case, attention: Attention | None, meter: CostMeter) -> nn.Module:
    model = create_backbone(str(case.backbone))
    return fill(model, meter.slots(case), attention) if attention else model


def _alone(case: Case, attention: Attention | None) -> nn.Module:
    if case.channels is None:
        raise RequestError(f"{case.name}: a module alone needs its channels")
    return attention.build(case.channels, case.size) if attention else OnePass()


def draw_apart(inserted: nn.Module, path: str) -> None:
    """Make an inserted module use a random stream of its own whenever it is called in training.

    The generator is restored afterwards: the backbone's dropout masks equal those of the other
    arms with the same seed. A compiled network has no such isolation.

    Args:
        inserted: an :class:`~attnbench.models.block_layers.Inserted`.
        path: its path in the network; each path has a stream of its own.
    """
    states: list[tuple[Tensor, Tensor | None]] = []

    def enter(block: nn.Module, inputs: object, output: Tensor) -> None:
        if block.training and not torch.compiler.is_compiling():
            on_gpu = torch.cuda.get_rng_state(output.device) if output.is_cuda else None
            states.append((torch.get_rng_state(), on_gpu))
            torch.manual_seed(stream("drawn", path, int(torch.randint(2**62, ()))))

    def leave(module: nn.Module, inputs: object, output: Tensor) -> None:
        if states:
            state, on_gpu = states.pop()
            torch.set_rng_state(state)
            if on_gpu is not None:
                torch.cuda.set_rng_state(on_gpu, output.device)

    # not on the module itself, as scripted modules accept no hooks; copies keep these closures
    inserted.get_submodule("block").register_forward_hook(enter)
    inserted.register_forward_hook(leave)

"""Insertion checks: training at each kind of site of small networks, and drift when untrained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, skip, success
from attnbench.conformance.module_under_test import Subject, run
from attnbench.errors import AttnbenchError, PlacementError
from attnbench.models.backbones import build_backbone
from attnbench.models.block_layers import Inserted
from attnbench.models.insertion import fill
from attnbench.models.placement_slots import Slot, find_placement, find_slots
from attnbench.models.sites import FAMILIES, SiteSurvey
from attnbench.registry.attention import Attention
from attnbench.registry.placement_grammar import OFFICIAL
from attnbench.runtimes.torch_export import root_cause

_INPUT = (4, 3, 64, 64)
_CLASSES = 5
_STEPS = 2
_RATE = 0.01
_REMEDY = "Make it run and train on the maps of this place, or declare a constraint."


@dataclass(frozen=True)
class _Location:
    """Network and a placement in it."""

    network: str
    placement: str

    def __str__(self) -> str:
        """Return ``after:all in mobilenet_v2``."""
        return f"{self.placement} in {self.network}"


_PLACES = (
    _Location("mobilenet_v2", "after:all"),
    _Location("mobilenet_v2", "after-depthwise:all"),
    _Location("mobilenet_v2", "after-project:all"),
    _Location("mobilenet_v2", "replace:all"),
    _Location("mobilenet_v3_small", "replace-se:all"),
    _Location("resnet", "after:*.*.bn2"),
)
_OTHERS = ("*", "mobilenet_v2")
"""Wildcard for all other backbones on a card, and the network that represents them."""


def training(subject: Subject) -> Iterator[Finding]:
    """Train at one site of each kind that the constraints allow, and at the official placement."""
    places: dict[str, str] = {}
    for where in (*_PLACES, *_official(subject)):
        try:
            slots, why_not = _slots(where, subject)
        except PlacementError as error:
            yield failure(
                f"the card's official placement cannot be: {error}",
                "Name layers of the backbone in `official`; attnbench show backbone lists them.",
            )
            continue
        places[str(where)] = ", ".join(map(str, slots)) or why_not
        if slots:
            yield from _trained(where, slots, subject.attention)
    yield success(places=places)


def _official(subject: Subject) -> list[_Location]:
    families = dict.fromkeys(subject.card.official if subject.card else ())
    named = [_OTHERS[1] if network == _OTHERS[0] else network for network in families]
    return [_Location(network, OFFICIAL) for network in dict.fromkeys(named) if network in FAMILIES]


def _slots(where: _Location, subject: Subject) -> tuple[list[Slot], str]:
    """Return the slots to fill, or no slots and the reason.

    Raises:
        PlacementError: the network has no such site.
    """
    _, survey = _network(where.network)
    placement = find_placement(where.placement, subject.attention, survey)
    slots = find_slots(placement, survey)
    refusals = [subject.refusal(slot.channels, slot.size) for slot in slots]
    allowed = [slot for slot, refusal in zip(slots, refusals, strict=True) if refusal is None]
    if where.placement == OFFICIAL:  # all or nothing; this network may be too narrow
        refused = next((refusal for refusal in refusals if refusal), "")
        return ([], f"forbidden here: {refused}") if refused else (slots, "")
    if not allowed:
        return [], f"forbidden at all sites: {refusals[0]}"
    return [allowed[len(allowed) // 2]], ""


def _trained(where: _Location, slots: list[Slot], attention: Attention) -> Iterator[Finding]:
    network, _ = _network(where.network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    place = f"{where} ({slots[0]})" if len(slots) == 1 else str(where)
    try:
        placed = fill(network, slots, attention).train()
        start = {name: value.detach().clone() for name, value in _own(placed)}
        loss = _steps(placed)
    except Exception as error:
        yield failure(f"{place}: {_one_line(error)}", _REMEDY)
        return
    moved = any(not torch.equal(value, start[name]) for name, value in _own(placed))
    if not loss.isfinite():
        yield failure(f"{place}: the loss is {float(loss)} after {_STEPS} steps", _REMEDY)
    elif start and not moved:
        yield failure(
            f"{place}: none of its {len(start)} parameters moves in {_STEPS} steps",
            "Let the output depend on the parameters by operations that have a gradient.",
        )
    if not all(torch.equal(value, before[name]) for name, value in network.state_dict().items()):
        _network.cache_clear()
        yield failure(
            f"{place}: the network that it was placed in has changed",
            "Leave alone everything but its own parameters and buffers.",
        )


def _steps(placed: nn.Module) -> Tensor:
    """Take steps of stochastic gradient descent on noise; return the last loss."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_INPUT, generator=generator)
    targets = torch.arange(_INPUT[0]) % _CLASSES
    optimizer = torch.optim.SGD(placed.parameters(), lr=_RATE)
    loss = torch.zeros(())
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(placed(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return loss.detach()


def _own(placed: nn.Module) -> list[tuple[str, Tensor]]:
    """Return names and trainable parameters of the inserted modules."""
    return [
        (f"{path}.{name}", parameter)
        for path, module in placed.named_modules()
        if isinstance(module, Inserted)
        for name, parameter in module.attention.named_parameters()
        if parameter.requires_grad
    ]


def _one_line(error: Exception) -> str:
    return str(error) if isinstance(error, AttnbenchError) else f"raises {root_cause(error)}"


@cache
def _network(name: str) -> tuple[nn.Module, SiteSurvey]:
    """Return a small network with random weights and its insertion sites; both are read-only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "resnet":
            network = _resnet()
        else:
            network = build_backbone(name, width=0.35, num_classes=_CLASSES)
    return network, SiteSurvey(network, (1, *_INPUT[1:]))


def _resnet() -> nn.Module:
    """Return a ResNet with one block per stage, whose residual addition is in place."""
    from torchvision.models.resnet import BasicBlock, ResNet

    network: nn.Module = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=_CLASSES)
    return network


_BATCH = 4
_SEEDS = 5


def drift(subject: Subject) -> Iterator[Finding]:
    """Measure ||y - x|| / ||x|| and <y, x> / <x, x> on rectified noise, in eval, untrained.

    Both are means over five seeds of the weights.
    """
    channels, size = subject.middle_place
    x = subject.maps(_BATCH, channels, size).relu()
    found = []
    for seed in range(_SEEDS):
        module = subject.build(channels, size, moved=False, seed=seed).eval()
        y = run(module, x)
        if y.shape != x.shape or not y.isfinite().all():
            yield skip("its output is no finite map of the input's shape", "See maps.")
            return
        found.append((float((y - x).norm() / x.norm()), float((y * x).sum() / (x * x).sum())))
    moved, gain = (sum(values) / _SEEDS for values in zip(*found, strict=True))
    yield success(
        f"{moved:.1%} of its norm, gain {gain:.2f}",
        drift=moved,
        gain=gain,
        channels=channels,
        size=list(size),
    )

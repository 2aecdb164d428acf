"""Insertion checks: training at each kind of site of small networks, and drift when untrained."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure, skip, success
from attnbench.conformance.module_under_test import Subject, run
from attnbench.errors import AttnbenchError, PlacementError
from attnbench.models.backbones import create_backbone
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
_REMEDY = "Make it run and train on the maps of this place, or declare a constraint."


_PLACES = (
    ("mobilenet_v2", "after:all"),
    ("mobilenet_v2", "after-depthwise:all"),
    ("mobilenet_v2", "after-project:all"),
    ("mobilenet_v2", "replace:all"),
    ("mobilenet_v3_small", "replace-se:all"),
    ("resnet", "after:*.*.bn2"),
)
"""Networks and placements in them."""


def training(subject: Subject) -> Iterator[Finding]:
    """Train at one site of each kind that the constraints allow, and at the official placement."""
    places: dict[str, str] = {}
    official = dict.fromkeys(subject.card.official if subject.card else ())
    # "*" on a card means all other backbones
    families = dict.fromkeys("mobilenet_v2" if name == "*" else name for name in official)
    named = [(name, OFFICIAL) for name in families if name in FAMILIES]
    for network, placement in (*_PLACES, *named):
        where = f"{placement} in {network}"
        try:
            slots, why_not = _slots(network, placement, subject)
        except PlacementError as error:
            yield failure(
                f"the card's official placement cannot be: {error}",
                "Name layers of the backbone in `official`; attnbench show backbone lists them.",
            )
            continue
        places[where] = ", ".join(map(str, slots)) or why_not
        if slots:
            place = f"{where} ({slots[0]})" if len(slots) == 1 else where
            yield from _trained(place, network, slots, subject.attention)
    yield success(places=places)


def _slots(network: str, grammar: str, subject: Subject) -> tuple[list[Slot], str]:
    """Return the slots to fill, or no slots and the reason.

    Raises:
        PlacementError: the network has no such site.
    """
    _, survey = _network(network)
    placement = find_placement(grammar, subject.attention, survey)
    slots = find_slots(placement, survey)
    refusals = [subject.refusal(slot.channels, slot.size) for slot in slots]
    allowed = [slot for slot, refusal in zip(slots, refusals, strict=True) if refusal is None]
    if grammar == OFFICIAL:  # all or nothing; this network may be too narrow
        refused = next((refusal for refusal in refusals if refusal), "")
        return ([], f"forbidden here: {refused}") if refused else (slots, "")
    if not allowed:
        return [], f"forbidden at all sites: {refusals[0]}"
    return [allowed[len(allowed) // 2]], ""


def _trained(place: str, name: str, slots: list[Slot], attention: Attention) -> Iterator[Finding]:
    network, _ = _network(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    try:
        placed = fill(network, slots, attention).train()
        start = {name: value.detach().clone() for name, value in _own(placed)}
        loss = _steps(placed)
    except Exception as error:
        why = str(error) if isinstance(error, AttnbenchError) else f"raises {root_cause(error)}"
        yield failure(f"{place}: {why}", _REMEDY)
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
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_INPUT, generator=generator)
    targets = torch.arange(_INPUT[0]) % _CLASSES
    optimizer = torch.optim.SGD(placed.parameters(), lr=0.01)
    loss = torch.zeros(())
    for _ in range(_STEPS):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(placed(images), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return loss.detach()


def _own(placed: nn.Module) -> list[tuple[str, Tensor]]:
    return [
        (f"{path}.{name}", parameter)
        for path, module in placed.named_modules()
        if isinstance(module, Inserted)
        for name, parameter in module.attention.named_parameters()
        if parameter.requires_grad
    ]


@cache
def _network(name: str) -> tuple[nn.Module, SiteSurvey]:
    """Return a small network with random weights and its insertion sites; both are read-only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if name == "resnet":  # one block per stage, whose residual addition is in place
            from torchvision.models.resnet import BasicBlock, ResNet

            network: nn.Module = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=_CLASSES)
        else:
            network = create_backbone(name, width=0.35, num_classes=_CLASSES)
    return network, SiteSurvey(network, (1, *_INPUT[1:]))


_SEEDS = 5


def drift(subject: Subject) -> Iterator[Finding]:
    """Measure ||y - x|| / ||x|| and <y, x> / <x, x> on rectified noise, in eval, untrained.

    Both are means over five seeds of the weights.
    """
    channels, size = subject.middle_place
    x = subject.maps(4, channels, size).relu()
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

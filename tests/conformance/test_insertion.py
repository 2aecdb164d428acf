"""Mutants that do not train in a network."""

import pytest
import torch
from torch import nn

from attnbench.cards import Card, Constraint
from attnbench.conformance import insertion

from .clean import Clean, assert_found, findings


class OnlyLargeMaps(Clean):
    """Pools by 4, and declares nothing of it."""

    def gate(self, x):
        return super().gate(nn.functional.avg_pool2d(x, 5))


class OnlySomeWidths(Clean):
    """Works at 32 channels, and not at those of a narrow MobileNet's depthwise layers."""

    def __init__(self, channels):
        if channels % 32 and channels > 100:
            raise ValueError("32 channels to a head")
        super().__init__(channels)


class Detached(Clean):
    """Attends by a gate without a gradient."""

    def gate(self, x):
        return super().gate(x).detach()


class Explodes(Clean):
    def forward(self, x):
        return x / (x - x)


class OverwritesItsGate(Clean):
    """Runs, and overwrites what its own backward pass needs."""

    def forward(self, x):
        gate = self.gate(x)
        y = x * gate
        gate.mul_(2)
        return y


class Shrinks(Clean):
    def forward(self, x):
        return super().forward(x)[..., 1:]


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (OnlyLargeMaps, "after:all in mobilenet_v2 (layer 10"),
        (OnlySomeWidths, "32 channels to a head"),
        (Detached, "none of its 4 parameters moves"),
        (Explodes, "the loss is nan"),
        (OverwritesItsGate, "modified by an inplace operation"),
        (Shrinks, "a module must keep the shape"),
    ],
)
def test_training_is_tried(mutant, text):
    assert_found(mutant, "training", text)


class Nowhere(Clean):
    card = Card(title="Nowhere", family="channel", official={"mobilenet_v2": "after:99"})


def test_an_official_placement_that_cannot_be_is_found():
    assert_found(Nowhere, "training", "there is no layer 99")


class Narrow(Clean):
    """At most 40 channels: some places are forbidden, the official one too."""

    card = Card(
        title="Narrow",
        family="channel",
        official={"mobilenet_v2": "after-depthwise:all"},
        constraints=(
            Constraint("channels must be at most 40", lambda channels, **_: channels <= 40),
        ),
    )


class Official(Clean):
    card = Card(title="Official", family="channel", official={"*": "after:3,5"})


def test_constraints_choose_the_places():
    (found,) = findings(Narrow, "training")
    places = found.values["places"]
    assert found.status == "ok"
    assert "24x4x4" in places["after:all in mobilenet_v2"]
    assert places["after:*.*.bn2 in resnet"].startswith("forbidden at all sites")
    assert places["official in mobilenet_v2"].startswith("forbidden here")


def test_official_placement_of_any_backbone():
    (found,) = findings(Official, "training")
    assert found.status == "ok"
    assert "layer 3 (features.2" in found.values["places"]["official in mobilenet_v2"]


def test_every_kind_of_place_is_tried():
    (found,) = findings(Clean, "training")
    assert found.status == "ok"
    kinds = {name.split(":")[0] for name in found.values["places"]}
    assert kinds == {"after", "after-depthwise", "after-project", "replace", "replace-se"}
    assert all("(" in place for place in found.values["places"].values())


def test_a_changed_network_is_found(monkeypatch):
    network, _ = insertion._network("mobilenet_v2")

    class Changes(Clean):
        def forward(self, x):
            if self.training:
                with torch.no_grad():
                    network.classifier[1].bias.add_(1)
            return super().forward(x)

    assert_found(Changes, "training", "the network that it was placed in has changed")
    again, _ = insertion._network("mobilenet_v2")
    assert again is not network

"""Mutants that do not train in a network, and the drift of untrained modules."""

import pytest
import torch
from torch import nn

from attnbench.cards import Card, Constraint
from attnbench.conformance import insertion
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import run_check
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import find_attention

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
        (Shrinks, "returns another shape"),
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


# Measured on the original classes, one draw of weights each: ||y - x|| / ||x|| and <y, x> / <x, x>.
# CBAM's gates differ much from draw to draw (0.66 to 0.82 and 0.18 to 0.36 in twelve); the figures
# of the double attention and non-local blocks in circulation are of variants that ours is not.
MEASURED = {
    "identity": (0.0, 1.0, 1e-9),
    "ulsam": (0.005, 1.005, 0.001),
    "non_local": (0.0, 1.0, 1e-6),
    "se": (0.50, 0.49, 0.03),
    "bam": (0.48, 1.50, 0.03),
    "cbam": (0.74, 0.16, 0.16),
    "double_attention": (0.20, 1.0, 0.12),
}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_drift_is_as_measured(name):
    moved, gain, tolerance = MEASURED[name]
    (found,) = run_check(CHECKS["drift"], Subject(find_attention(name)))
    assert found.status == "ok"
    assert found.values["drift"] == pytest.approx(moved, abs=tolerance)
    assert found.values["gain"] == pytest.approx(gain, abs=tolerance)
    assert (found.values["channels"], found.values["size"]) == (64, [14, 14])


def test_plain_factors():
    class Doubles(Clean):
        def forward(self, x):
            return 2 * x

    (found,) = findings(Doubles, "drift")
    assert found.values["drift"] == pytest.approx(1)
    assert found.values["gain"] == pytest.approx(2)
    assert found.reason == "100.0% of its norm, gain 2.00"


def test_where_64_channels_do_not_work_others_are_taken():
    class Only96(Clean):
        def __init__(self, channels):
            assert channels == 96
            super().__init__(channels)

    (found,) = findings(Only96, "drift")
    assert (found.values["channels"], found.values["size"]) == (96, [7, 9])


def test_what_is_no_map_is_not_measured():
    class Halves(Clean):
        def __init__(self, channels):
            super().__init__(channels)
            self.pool = nn.AvgPool2d(2)

        def forward(self, x):
            return self.pool(super().forward(x))

    assert [one.status for one in findings(Halves, "drift")] == ["skipped"]

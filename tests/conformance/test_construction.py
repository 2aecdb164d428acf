"""Mutants that cannot be built afresh from the channels alone, or leave traces when they are."""

import random
from functools import lru_cache

import pytest
import torch
from torch import nn

from attnbench.cards import Card, Constraint
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import NOTE, OK
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import PluginError
from attnbench.registry.attention import find_attention, from_callable
from attnbench.utils.process_settings import read_settings

from .clean import Clean, assert_found, findings, statuses


class SharedScale(Clean):
    scale = torch.ones(1)

    def forward(self, x):
        return super().forward(x) * self.scale


@lru_cache
def cached_layer(channels):
    return nn.Conv2d(channels, channels, 1)


class CachedLayer(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.mix = cached_layer(channels)

    def gate(self, x):
        return self.mix(super().gate(x)).sigmoid()


@lru_cache
def cached_table(channels):
    return torch.ones(1, channels, 1, 1)


class CachedTable(Clean):
    """A buffer that all instances hold the one tensor of."""

    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("table", cached_table(channels))


class LayersInAList(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.mixes = [nn.Conv2d(channels, channels, 1)]

    def gate(self, x):
        return self.mixes[0](super().gate(x)).sigmoid()


class PythonsRandom(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        nn.init.constant_(self.squeeze.bias, random.random())


class SeedsTheGenerator(Clean):
    def __init__(self, channels):
        torch.manual_seed(42)
        super().__init__(channels)


class NeverInitialised(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = nn.Parameter(torch.empty(1, channels, 1, 1))

    def forward(self, x):
        return super().forward(x) * self.scale


class SetsTheDtype(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        torch.set_default_dtype(torch.float64)


class TurnsGradientsOff(Clean):
    def forward(self, x):
        y = super().forward(x)
        torch.set_grad_enabled(False)
        return y


class SetsTheThreads(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        torch.set_num_threads(torch.get_num_threads() + 1)


class BenchmarksCudnn(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        torch.backends.cudnn.benchmark = True


class MustBeDeterministic(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        torch.use_deterministic_algorithms(True)


class OnAnotherDevice(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        torch.set_default_device("meta")


class ReturnsTheGateToo(Clean):
    def forward(self, x):
        return super().forward(x), self.gate(x)


class ForgetsToReturn(Clean):
    def forward(self, x):
        super().forward(x)


class TakesTwoMaps(Clean):
    def forward(self, x, skip):
        return super().forward(x) + skip


class UndefinedName(Clean):
    """As one published class is: it reads a name that nobody defined."""

    def __init__(self, channels):
        super().__init__(channels)
        self.activation = gate_activation  # noqa: F821


class NoPlaceLeft(Clean):
    card = Card(
        title="none",
        family="channel",
        constraints=(Constraint("channels must be 7", lambda channels, **_: channels == 7),),
    )


class FailingConstraint(Clean):
    card = Card(
        title="fails",
        family="channel",
        constraints=(Constraint("?", lambda channels, feature_size, **_: feature_size < 3),),
    )


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (FailingConstraint, "a constraint on its card fails for 32 channels: TypeError"),
        (SharedScale, "SharedScale.scale"),
        (CachedLayer, "share mix"),
        (CachedTable, "share table"),
        (LayersInAList, "weights that are not among its parameters: got (32, 32, 1, 1), (32,)"),
        (PythonsRandom, "other weights in squeeze.bias"),
        (SeedsTheGenerator, "the seed of torch's random numbers of the whole process from 0 to 42"),
        (NeverInitialised, "scale holds memory that was never set"),
        (SetsTheDtype, "the default dtype of the whole process from torch.float32"),
        (TurnsGradientsOff, "the grad mode of the whole process from True"),
        (SetsTheThreads, "the number of threads"),
        (BenchmarksCudnn, "torch.backends.cudnn.benchmark of the whole process from False to True"),
        (MustBeDeterministic, "the deterministic mode"),
        (OnAnotherDevice, "the default device of the whole process from cpu to meta"),
        (ReturnsTheGateToo, "returns a tuple of 2 (Tensor, Tensor)"),
        (ForgetsToReturn, "returns None"),
        (TakesTwoMaps, "cannot be run on 32 channels at 7x9: TypeError"),
        (UndefinedName, "cannot be built for 32 channels at 7x9: NameError"),
        (NoPlaceLeft, "channels must be 7"),
    ],
)
def test_broken_contracts_are_found(mutant, text):
    before = read_settings()
    assert_found(mutant, "contract", text)
    assert read_settings() == before


@pytest.mark.parametrize(
    "mutant",
    [
        ReturnsTheGateToo,
        ForgetsToReturn,
        TakesTwoMaps,
        UndefinedName,
        NoPlaceLeft,
        FailingConstraint,
    ],
)
def test_what_cannot_run_is_fatal(mutant):
    assert [one.values["fatal"] for one in findings(mutant, "contract")] == [True]


class LayerInEachPass(Clean):
    def gate(self, x):
        return nn.Conv2d(x.shape[1], x.shape[1], 1, device=x.device)(super().gate(x)).sigmoid()


class LayerInTraining(Clean):
    def forward(self, x):
        if self.training and not hasattr(self, "late"):
            self.late = nn.Conv2d(x.shape[1], x.shape[1], 1, device=x.device)
        return super().forward(x)


@pytest.mark.parametrize("mutant", [LayersInAList, LayerInEachPass, LayerInTraining])
def test_what_every_command_refuses_is_fatal_in_the_same_words(mutant):
    (finding,) = findings(mutant, "contract")
    with pytest.raises(PluginError) as caught:
        from_callable(mutant, {}).build(32, (7, 9))
    assert finding.values["fatal"]
    said = f"{finding.reason.removeprefix('it ')}. {finding.remedy}"
    assert str(caught.value) == f"{mutant.__name__} {said.removesuffix('.')}"


@pytest.mark.parametrize("mutant", [SharedScale, SetsTheDtype, PythonsRandom])
def test_what_can_run_is_not_fatal(mutant):
    assert not any(one.values.get("fatal") for one in findings(mutant, "contract"))


def test_one_instance_for_all_is_found():
    module = Clean(32)

    def factory(channels):
        return module

    (found,) = findings(factory, "contract")
    assert "same instance" in found.reason


def test_a_list_of_layers_that_leads_back_is_no_trap():
    class KnowsItsOwner(Clean):
        def __init__(self, channels):
            super().__init__(channels)
            self.owners = [self]

    assert statuses(KnowsItsOwner, "contract") == ["ok"]


class GrowsLayers(Clean):
    """Makes a layer when it first sees a map."""

    def forward(self, x):
        if not hasattr(self, "late"):
            self.late = nn.Conv2d(x.shape[1], x.shape[1], 1).to(x)
        return self.late(super().forward(x))


class LazyLayer(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.squeeze = nn.LazyConv2d(channels // 4, 1)


@pytest.mark.parametrize(("cls", "name"), [(GrowsLayers, "late.weight"), (LazyLayer, "squeeze.w")])
def test_parameters_of_the_first_pass_are_a_note_and_nothing_else(cls, name):
    (finding,) = findings(cls, "contract")
    assert (finding.status, name in finding.reason) == (NOTE, True)
    for check in ("state_dict", "determinism", "gradients", "autocast", "pickling", "deepcopy"):
        assert set(statuses(cls, check)) == {OK}, check


def test_clean_module_passes():
    assert statuses(Clean, "contract") == ["ok"]


def test_import_that_changes_settings_is_found(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\n"
        "from torch import nn\n"
        "torch.set_default_dtype(torch.float64)\n"
        "torch.backends.cudnn.benchmark = True\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels):\n"
        "        super().__init__(channels, channels, 1, dtype=torch.float32)\n"
    )
    try:
        subject = Subject(find_attention(f"{file}:Mine"))
        found = run_check(CHECKS["contract"], subject)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.backends.cudnn.benchmark = False
    reasons = [one.reason for one in found if one.status == "broken"]
    assert reasons == [
        "importing it changes the default dtype of the whole process from torch.float32 to "
        "torch.float64",
        "importing it changes torch.backends.cudnn.benchmark of the whole process from False to "
        "True",
    ]


def test_settings_that_others_made_are_not_laid_at_its_door():
    torch.backends.cudnn.benchmark = True
    try:
        assert statuses(Clean, "contract") == ["ok"]
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = False

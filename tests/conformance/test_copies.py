"""Mutants whose copies are others, or not their own."""

import random

import pytest
import torch

from .clean import Clean, assert_found, statuses


class RandomChoice(Clean):
    """Chooses in the constructor, and saves nothing of it."""

    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("order", torch.randperm(channels), persistent=False)

    def forward(self, x):
        return x * self.gate(x)[:, self.order]


class RemembersBeside(Clean):
    """A running mean that is an attribute, not a buffer."""

    def __init__(self, channels):
        super().__init__(channels)
        self.running = torch.zeros(1, channels, 1, 1)

    def forward(self, x):
        if self.training:
            self.running = 0.5 * self.running + 0.5 * x.detach().mean((0, 2, 3), keepdim=True)
        return x * self.gate(x) + self.running


class RandomName(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer(f"scale_{random.random():.17f}"[-9:], torch.ones(1))


class RandomWidth(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("spare", torch.ones(int(torch.randint(1, 10**6, ()))))


class Thing:
    """No tensor and no plain value."""


class StrangeState(Clean):
    def get_extra_state(self):
        return Thing()

    def set_extra_state(self, state):
        pass


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (RandomChoice, "gives another output"),
        (RemembersBeside, "gives another output"),
        (RandomName, "only one has"),
        (RandomWidth, "spare is ("),
        (StrangeState, "cannot be loaded into a fresh instance"),
    ],
)
def test_state_is_whole(mutant, text):
    assert_found(mutant, "state_dict", text)


class HoldsALambda(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.act = lambda x: x.sigmoid()


class ForgetsInPickles(Clean):
    def __getstate__(self):
        return {key: one for key, one in self.__dict__.items() if key != "twice"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.twice = 1

    def __init__(self, channels):
        super().__init__(channels)
        self.twice = 2

    def forward(self, x):
        return super().forward(x) * self.twice


class KeepsAGenerator(Clean):
    """An open generator, from the first step of training on."""

    def forward(self, x):
        if self.training:
            self.steps = iter(one for one in range(3))
        return super().forward(x)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (HoldsALambda, "fresh it cannot be pickled"),
        (ForgetsInPickles, "gives another output"),
        (KeepsAGenerator, "after training it cannot be pickled"),
    ],
)
def test_pickles_are_read_back(mutant, text):
    assert_found(mutant, "pickling", text)


class KeepsItsMap(Clean):
    """Keeps the gate, to be looked at; it hangs on the graph of its backward pass."""

    def forward(self, x):
        self.last = self.gate(x)
        return x * self.last


class SharesWeights(Clean):
    def __deepcopy__(self, memo):
        copied = SharesWeights(self.excite.out_channels)
        for name, parameter in self.named_parameters():
            layer, _, key = name.rpartition(".")
            setattr(copied.get_submodule(layer), key, parameter)
        return copied


class BoundToTheOriginal(Clean):
    """A function made in the constructor reaches the instance that it was made in."""

    def __init__(self, channels):
        super().__init__(channels)
        self.run = lambda x: self.excite(self.relu(self.squeeze(x)))

    def gate(self, x):
        return self.run(x.mean((2, 3), keepdim=True)).sigmoid()


class AnotherCopy(Clean):
    def __deepcopy__(self, memo):
        return AnotherCopy(self.excite.out_channels)


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (KeepsItsMap, "in the middle of training it cannot be copied"),
        (SharesWeights, "shares the memory of squeeze.weight"),
        (BoundToTheOriginal, "changing the weights of the original changes the output of the copy"),
        (AnotherCopy, "gives another output"),
    ],
)
def test_deep_copies_live_apart(mutant, text):
    assert_found(mutant, "deepcopy", text)


class ExtraState(Clean):
    """Plain values beside the tensors are fine."""

    def __init__(self, channels):
        super().__init__(channels)
        self.steps = 0

    def get_extra_state(self):
        return {"steps": self.steps}

    def set_extra_state(self, state):
        self.steps = state["steps"]

    def forward(self, x):
        self.steps += self.training
        return super().forward(x) * (1 + self.steps)


@pytest.mark.parametrize("sound", [Clean, ExtraState])
@pytest.mark.parametrize("check", ["state_dict", "pickling", "deepcopy"])
def test_sound_modules_pass(sound, check):
    assert statuses(sound, check) == ["ok"]

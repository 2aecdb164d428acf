"""Mutants that lose the memory format, or do not follow their input to its device."""

import pytest
import torch

from .clean import Clean, assert_found, statuses


class Contiguous(Clean):
    def forward(self, x):
        return super().forward(x).contiguous()


class Attends(Clean):
    """A product of (B, C, N) and (B, N, N), as most spatial attention has it."""

    def forward(self, x):
        flat = x.flatten(2)
        weights = torch.bmm(flat.transpose(1, 2), flat).softmax(1)
        return torch.bmm(flat, weights).view(x.shape)


class CutsGroups(Clean):
    def forward(self, x):
        b, c, h, w = x.shape
        parts = x.reshape(b * 4, c // 4, h, w)
        return (parts * parts.mean((2, 3), keepdim=True).sigmoid()).reshape(b, c, h, w)


class LosesItInTraining(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y.contiguous() if self.training else y


class AlwaysChannelsLast(Clean):
    def forward(self, x):
        return super().forward(x).contiguous(memory_format=torch.channels_last)


class Views(Clean):
    def forward(self, x):
        return x * x.view(x.shape[0], -1).mean(1).view(-1, 1, 1, 1)


class ReadsMemoryOrder(Clean):
    """Takes the storage for the map."""

    def forward(self, x):
        flat = x.as_strided((x.numel(),), (1,))
        return x * flat[: x.shape[1]].view(1, -1, 1, 1).sigmoid()


class FiveAxes(Clean):
    """A parameter that cannot be converted with its network."""

    def __init__(self, channels):
        super().__init__(channels)
        self.kernel = torch.nn.Parameter(torch.randn(1, channels, 1, 1, 1))

    def forward(self, x):
        return super().forward(x) * self.kernel[..., 0]


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (Contiguous, "lost by contiguous() or reshape"),
        (Attends, "in eval, a channels_last map comes out in another layout"),
        (CutsGroups, "a channels_last map comes out in another layout"),
        (LosesItInTraining, "in training, a channels_last map"),
        (AlwaysChannelsLast, "a contiguous map comes out in another layout"),
        (Views, "a channels_last map raises RuntimeError: view size is not compatible"),
        (ReadsMemoryOrder, "gives another output"),
        (FiveAxes, "itself converted, a channels_last map raises"),
    ],
)
def test_layouts_are_tried(mutant, text):
    assert_found(mutant, "memory_layout", text)


class Dropping(Clean):
    """Chance falls differently on another layout."""

    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), 0.3, self.training)


@pytest.mark.parametrize("sound", [Clean, Dropping])
def test_layout_of_sound_modules(sound):
    assert statuses(sound, "memory_layout") == ["ok"]


class MakesItOnTheProcessor(Clean):
    def forward(self, x):
        return super().forward(x) + torch.ones(x.shape[1], 1, 1)


class KeepsAPlainTensor(Clean):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = torch.ones(channels, 1, 1)

    def forward(self, x):
        return super().forward(x) * self.scale


class MovesToTheProcessor(Clean):
    def forward(self, x):
        return torch.empty(x.shape)


class AsksForCuda(Clean):
    def forward(self, x):
        return super().forward(x) * torch.ones(1).cuda()


class InTrainingOnly(Clean):
    def forward(self, x):
        y = super().forward(x)
        return y + torch.rand(x.shape[1], 1, 1) if self.training else y


class LooksAtAValue(Clean):
    def forward(self, x):
        return super().forward(x) * x.mean().item()


class BranchesOnAValue(Clean):
    def forward(self, x):
        return super().forward(x) if x.mean() > -1e9 else x


class Indexes(Clean):
    def forward(self, x):
        return super().forward(x) + 0 * x[x > 0].sum()


@pytest.mark.parametrize(
    ("mutant", "text"),
    [
        (MakesItOnTheProcessor, "does not follow its input's device"),
        (KeepsAPlainTensor, "does not follow its input's device"),
        (MovesToTheProcessor, "a map on one device comes out on cpu"),
        (InTrainingOnly, "does not follow its input's device"),
        (LooksAtAValue, "looks at values"),
        (BranchesOnAValue, "looks at values"),
        (Indexes, "looks at values"),
    ],
)
def test_devices_are_tried(mutant, text):
    assert_found(mutant, "device", text)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it works there")
def test_asking_for_cuda_is_found():
    assert_found(AsksForCuda, "device", "does not follow its input's device")


def test_clean_module_follows():
    assert statuses(Clean, "device") == ["ok"]

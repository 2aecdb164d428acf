import copy

import pytest
import torch
import torchvision
from torch import nn

from attnbench.counting.model_copies import real_copy, shape_copy


class Odd(nn.Module):
    """Everything that is not a plain parameter or submodule."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False, dtype=torch.bfloat16)
        self.conv.weight.requires_grad_(False)
        self.conv.to(memory_format=torch.channels_last)
        self.tied = nn.Linear(2, 2)
        self.tied.bias = None
        self.also = self.tied
        self.register_buffer("index", torch.arange(6).view(2, 3).t(), persistent=False)
        self.plain = (self.tied.weight * 2, "text", 3)
        self.direct = self.tied.weight * 2  # not a leaf: copy.deepcopy refuses it
        self.layers = [self.conv, self.tied]
        self.shared_list = []
        self.bound = self.forward_part
        self.tied.shared_list = self.shared_list

    def forward_part(self, image):
        return image


def odd():
    model = Odd()
    model.plain = ("text", 3)
    return model


def test_shapes_dtypes_strides_and_flags_are_kept():
    model = odd()
    shapes = shape_copy(model)
    for (name, ours), (theirs, tensor) in zip(
        [*shapes.named_parameters(), *shapes.named_buffers()],
        [*model.named_parameters(), *model.named_buffers()],
        strict=True,
    ):
        assert name == theirs
        assert type(ours) is type(tensor)
        assert ours.is_meta
        assert not tensor.is_meta
        assert (ours.shape, ours.dtype, ours.stride(), ours.requires_grad) == (
            tensor.shape,
            tensor.dtype,
            tensor.stride(),
            tensor.requires_grad,
        )
    assert shapes._non_persistent_buffers_set == {"index"}


def test_a_weight_that_is_a_plain_attribute_stays_trainable():
    model = nn.Identity()
    model.weight, model.table = torch.ones(3, requires_grad=True), torch.ones(3)
    shapes = shape_copy(model)
    assert (shapes.weight.requires_grad, shapes.table.requires_grad) == (True, False)


def test_what_is_shared_stays_shared_and_nothing_with_the_model():
    model = odd()
    shapes = shape_copy(model)
    assert shapes.tied is shapes.also is shapes.layers[1]
    assert shapes.layers[0] is shapes.conv is not model.conv
    assert shapes.shared_list is shapes.tied.shared_list is not model.shared_list
    assert shapes.bound.__self__ is shapes
    assert shapes.direct.is_meta
    assert shapes.plain == ("text", 3)


def test_eval_mode_leaves_the_model_in_training():
    model = odd()
    assert not shape_copy(model).tied.training
    assert not real_copy(nn.Linear(2, 2)).training
    assert model.tied.training


def test_tied_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    shapes = shape_copy(model)
    assert shapes[1].weight is shapes[0].weight
    assert len(list(shapes.parameters())) == 3


@pytest.mark.parametrize("copied", [shape_copy, real_copy])
def test_a_users_hooks_stay_behind(copied):
    model = nn.Linear(2, 2)
    model.register_forward_hook(lambda *_: None)
    model.register_forward_pre_hook(lambda *_: None)
    copy = copied(model)
    assert not copy._forward_hooks and not copy._forward_pre_hooks
    assert len(model._forward_hooks) == len(model._forward_pre_hooks) == 1


@pytest.mark.filterwarnings("ignore:.*spectral_norm:FutureWarning")
def test_hooks_that_compute_weights_are_kept():
    model = torch.nn.utils.spectral_norm(nn.Linear(2, 2))
    assert len(real_copy(model)._forward_pre_hooks) == 1


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def __deepcopy__(self, memo):
        own = Own()
        own.linear = copy.deepcopy(self.linear, memo)
        own.was_asked = True
        return own


@pytest.mark.parametrize("make", [Own, lambda: nn.LSTM(2, 2)])
def test_modules_that_copy_themselves_do_so(make):
    shapes = shape_copy(nn.Sequential(make()))
    assert all(p.is_meta for p in shapes.parameters())
    assert getattr(shapes[0], "was_asked", True)


def test_same_structure_as_deepcopy():
    model = torchvision.models.mobilenet_v3_small()
    ours, theirs = shape_copy(model), copy.deepcopy(model).eval()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for left, right in zip(ours.modules(), theirs.modules(), strict=True):
        assert vars(left).keys() == vars(right).keys()


def test_real_copy_has_its_own_weights():
    model = nn.Linear(2, 2)
    copied = real_copy(model)
    assert torch.equal(copied.weight, model.weight)
    assert copied.weight.data_ptr() != model.weight.data_ptr()

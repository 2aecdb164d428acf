import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from attnbench.counting.forward_pass import checked_size, on_copy, on_real_copy, quiet_pass
from attnbench.errors import CountingError, RequestError


@pytest.mark.parametrize("size", [(), (1, 0, 3), (1, -1), (1, 2.5), (1, "3")])
def test_sizes_that_are_none(size):
    with pytest.raises(RequestError, match=re.escape(f"got {size!r}.")):
        checked_size(size)


def test_sizes_become_tuples():
    assert checked_size(torch.Size([1, 3])) == (1, 3)
    assert checked_size([2, 3]) == (2, 3)


def test_shapes_first_then_for_real():
    seen = []

    def run(model, image):
        seen.append((image.device.type, next(model.parameters()).device.type, image.dtype))
        return image.sum().item()

    model = nn.Linear(2, 2).to(torch.bfloat16)
    assert on_copy(model, (1, 2), run) == on_real_copy(model, (1, 2), run)
    assert [device for device, *_ in seen] == ["meta", "cpu", "cpu"]
    assert {dtype for *_, dtype in seen} == {torch.bfloat16}


def test_failure_is_one_line_that_names_model_size_and_error():
    def run(model, image):
        raise ValueError("no\n  such thing")

    with pytest.raises(CountingError) as caught:
        on_copy(nn.Linear(2, 2), (1, 2), run)
    assert str(caught.value) == (
        "Linear cannot be counted: its forward pass on an input of size (1, 2) failed with"
        " ValueError: no such thing"
    )


def test_state_is_restored_also_after_an_error(untouched):
    model = nn.Linear(2, 2)
    check = untouched(model)
    with pytest.raises(KeyError), quiet_pass():
        assert not torch.is_grad_enabled()
        assert not torch.backends.mha.get_fastpath_enabled()
        torch.rand(3)
        raise KeyError
    check()


def test_a_compiled_model_runs_uncompiled():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.compile(nn.Linear(2, 2), backend=lambda *_: pytest.fail("was compiled"))
    assert on_copy(model, (1, 2), lambda m, x: m(x).shape) == (1, 2)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (torch.zeros(1, 3, 32, 32), "Tensor of shape (1, 3, 32, 32) and torch.float32"),
        (np.zeros((1, 3)), "ndarray of shape (1, 3) and float64"),
        (5, "5"),
        ((1, 3.5), "(1, 3.5)"),
    ],
)
def test_an_invalid_input_size_is_shown_by_shape_and_dtype(size, shown):
    with pytest.raises(RequestError) as raised:
        checked_size(size)
    assert str(raised.value) == (
        f"input size is invalid: got {shown}. "
        "Give positive integers, batch first, as (1, 3, 224, 224)."
    )

"""What a user's model must not notice, and what nobody here can count."""

import pytest
import torch
from torch import nn

from attnbench.counting.cost import cost
from attnbench.errors import CountingError, RequestError


def test_a_users_hook_never_runs():
    seen = []
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    counted = cost(model, (1, 3, 8, 8))
    assert all(report.agree for report in counted.counters.values())
    assert seen == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_operators_of_another_library_are_named_and_not_vouched_for():
    from torch.ao.quantization import quantize_dynamic

    model = quantize_dynamic(nn.Sequential(nn.Linear(10, 5)), {nn.Linear})
    report = cost(model, (1, 10)).counters["rules"]
    assert report.agree is False
    assert any(name.startswith("quantized::") for name in report.unsupported)


def test_the_reason_of_a_model_on_the_meta_device_is_its_own():
    with torch.device("meta"):
        model = nn.Conv2d(1, 4, 3)
    with pytest.raises(CountingError, match="Invalid channel dimensions"):
        cost(model, (1, 3, 8, 8))


@pytest.mark.parametrize(
    ("model", "size"), [(lambda x: x, (1, 3)), ("mobilenet_v2", (1, 3)), (nn.ReLU(), 224)]
)
def test_what_is_no_model_or_no_size(model, size):
    with pytest.raises(RequestError):
        cost(model, size)

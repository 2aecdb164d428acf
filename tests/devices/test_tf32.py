"""TF32 off and on, whatever was set before; the flags exist in builds without CUDA, too."""

import pytest
import torch

from attnbench.devices.tf32 import allow_tf32, is_tf32_allowed, products_of
from attnbench.utils.process_settings import preserve_settings

FLAGS = torch.backends


def newer():
    return [
        FLAGS.cudnn.conv.fp32_precision, FLAGS.cudnn.rnn.fp32_precision,
        FLAGS.cuda.matmul.fp32_precision, FLAGS.cudnn.fp32_precision, FLAGS.fp32_precision,
    ]  # fmt: skip


def set_flags(**flags):
    for name, value in flags.items():
        *places, flag = name.split("__")
        place = FLAGS
        for part in places:
            place = getattr(place, part)
        setattr(place, flag, value)


@pytest.fixture(autouse=True)
def as_before():
    kept = newer()
    with preserve_settings():
        yield
    FLAGS.cudnn.fp32_precision = "none"
    assert newer()[:2] == kept[:2]


SETTINGS = {
    "PyTorch's own": {},
    "older, off": {"cudnn__allow_tf32": False},
    "older, on": {"cudnn__allow_tf32": True, "cuda__matmul__allow_tf32": True},
    "newer, of one operator": {"cudnn__conv__fp32_precision": "ieee"},
    "newer, of all products": {"cuda__matmul__fp32_precision": "tf32"},
    "newer, of all operators": {"fp32_precision": "tf32"},
    "newer, of cuDNN": {"cudnn__fp32_precision": "tf32"},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("allowed", [False, True])
def test_it_is_as_requested_and_afterwards_as_before(name, allowed):
    set_flags(**SETTINGS[name])
    before = newer()
    with allow_tf32(allowed):
        assert is_tf32_allowed() == allowed
        assert FLAGS.cudnn.allow_tf32 == allowed  # as Inductor reads it
        assert FLAGS.cuda.matmul.allow_tf32 == allowed
        assert (FLAGS.cudnn.conv.fp32_precision == "tf32") == allowed
    assert newer() == before


def test_precisions_decide_on_cuda_alone():
    for precision, device, allowed in (
        ("fp32", "cuda", False), ("tf32", "cuda", True), ("bf16", "cuda", False),
        ("fp32", "cpu", True),
    ):  # fmt: skip
        with products_of(precision, device):
            assert is_tf32_allowed() == allowed


def test_torchs_own_setting_allows_it_in_convolutions():
    assert is_tf32_allowed()


def test_the_products_keep_a_precision_that_the_flags_have_no_name_for():
    torch.set_float32_matmul_precision("medium")
    with allow_tf32(False):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "medium"


def test_an_error_restores_it():
    with pytest.raises(ZeroDivisionError), allow_tf32(False):
        raise ZeroDivisionError
    assert is_tf32_allowed()

import torch
import torch.nn.functional as F
from torch import nn

from attnbench.counting.ptflops_attribution import PtflopsAttribution
from attnbench.counting.recorder import Recorder


def passed(model, image, numbers=()):
    """Run `model` under a recorder; `numbers` are told to the claims after it."""
    recorder = Recorder()
    recorder.watch(model)
    claims = PtflopsAttribution(model, recorder, {nn.Conv2d, nn.ReLU})
    with torch.no_grad(), recorder:
        output = model(image)
    for kind, path, raw in numbers:
        claims.module(kind, model.get_submodule(path), (image,), output, raw)
    return claims


def model():
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU())


IMAGE = torch.zeros(1, 2, 4, 4)
MACS, BIAS = 16 * 6, 16 * 3


def test_a_number_is_split_into_product_and_bias():
    rows = passed(model(), IMAGE, [("Conv2d", "0", MACS + BIAS), ("ReLU", "1", 48)]).rows()
    assert [(row.operator, row.raw, row.macs, bool(row.why)) for row in rows] == [
        ("Conv2d", MACS, MACS, False),
        ("Conv2d bias", BIAS, 0, True),
        ("ReLU", 48, 0, True),
    ]


def test_a_wrong_number_is_left_without_a_reason():
    first, *_ = passed(model(), IMAGE, [("Conv2d", "0", MACS + BIAS + 5)]).rows()
    assert (first.raw, first.macs, first.why) == (MACS + 5, MACS, "")


def test_what_nothing_claims_is_missed():
    claims = passed(model(), IMAGE)
    assert claims.rows() == ()
    assert claims.missed() == {"convolution": (MACS, 1)}


def test_a_function_claims_the_next_product():
    recorder = Recorder()
    claims = PtflopsAttribution(nn.Identity(), recorder, ())
    matrix = torch.zeros(2, 2)
    with torch.no_grad(), recorder:
        claims.function("addmm", (matrix, matrix, matrix), {}, 12)
        torch.addmm(matrix, matrix, matrix)
        claims.function("F.relu", (matrix,), {}, 4)
        F.relu(matrix)
        torch.mm(matrix, matrix)
    assert [(row.operator, row.raw, row.macs) for row in claims.rows()] == [
        ("addmm", 8, 8),
        ("addmm bias", 4, 0),
        ("F.relu", 4, 0),
    ]
    assert claims.missed() == {"mm": (8, 1)}


def test_a_shared_module_is_summed_for_each_place():
    conv = nn.Conv2d(2, 2, 1, bias=False)
    both = nn.Sequential(nn.Sequential(conv), nn.Sequential(conv))
    rows = passed(both, IMAGE, [("Conv2d", "0.0", 64)]).rows()
    assert [(row.operator, row.raw, row.macs) for row in rows] == [
        ("Conv2d", 64, 64),
        ("Conv2d", 64, 0),
    ]
    assert "several places" in rows[1].why

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from attnbench.counting import mac_rules
from attnbench.counting.trace import macs_of

CASES = {
    "conv2d": (F.conv2d, [(2, 3, 8, 8), (5, 3, 3, 3)], 2 * 5 * 36 * 3 * 9),
    "conv1d": (F.conv1d, [(1, 3, 8), (5, 3, 3)], 5 * 6 * 3 * 3),
    "conv3d": (F.conv3d, [(1, 2, 4, 4, 4), (3, 2, 2, 2, 2)], 3 * 27 * 2 * 8),
    "depthwise": (
        lambda x, w: F.conv2d(x, w, groups=6, padding=1),
        [(1, 6, 5, 5), (6, 1, 3, 3)],
        6 * 25 * 9,
    ),
    "grouped": (
        lambda x, w: F.conv2d(x, w, groups=2, stride=2),
        [(1, 6, 5, 5), (4, 3, 1, 1)],
        4 * 9 * 3,
    ),
    "transposed": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2),
        [(1, 6, 5, 5), (6, 2, 3, 3)],
        25 * 6 * 2 * 9,
    ),
    "transposed 1d": (F.conv_transpose1d, [(1, 6, 5), (6, 2, 3)], 5 * 6 * 2 * 3),
    "mm": (torch.mm, [(2, 3), (3, 4)], 24),
    "mv": (torch.mv, [(2, 3), (3,)], 6),
    "dot": (torch.dot, [(3,), (3,)], 3),
    "bmm": (torch.bmm, [(5, 2, 3), (5, 3, 4)], 120),
    "addmm": (torch.addmm, [(4,), (2, 3), (3, 4)], 24),
    "addmv": (torch.addmv, [(2,), (2, 3), (3,)], 6),
    "baddbmm": (torch.baddbmm, [(5, 2, 4), (5, 2, 3), (5, 3, 4)], 120),
    "addbmm": (torch.addbmm, [(2, 4), (5, 2, 3), (5, 3, 4)], 120),
    "linear": (F.linear, [(2, 3, 7), (4, 7), (4,)], 2 * 3 * 7 * 4),
    "linear 1-D": (F.linear, [(7,), (4, 7)], 28),
    "matmul broadcast": (torch.matmul, [(2, 3), (5, 3, 4)], 5 * 2 * 3 * 4),
    "einsum": (lambda a, b: torch.einsum("bij,bkj->bik", a, b), [(2, 3, 4), (2, 5, 4)], 120),
    "attention": (
        F.scaled_dot_product_attention,
        [(1, 2, 5, 4), (1, 2, 7, 4), (1, 2, 7, 3)],
        2 * 5 * 7 * (4 + 3),
    ),
    "grouped-query attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        [(1, 4, 5, 4), (1, 2, 7, 4), (1, 2, 7, 4)],
        4 * 5 * 7 * 8,
    ),
    "in place": (torch.Tensor.addmm_, [(2, 4), (2, 3), (3, 4)], 24),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 2), [(5, 2, 3), (2, 3, 4)], 5 * 6 * 4),
    "inner": (torch.inner, [(2, 3), (4, 3)], 24),
    "multi_dot": (lambda a, b: torch.linalg.multi_dot([a, b, a]), [(2, 3), (3, 2)], 12 + 12),
    "matrix_power": (lambda a: torch.linalg.matrix_power(a, 3), [(4, 4)], 2 * 64),
    "conv_tbc": (torch.conv_tbc, [(8, 2, 3), (3, 3, 5), (5,)], 6 * 2 * 3 * 3 * 5),
    "addr": (torch.addr, [(4, 5), (4,), (5,)], 20),
    "bilinear": (F.bilinear, [(2, 3), (2, 4), (5, 3, 4), (5,)], 2 * 3 * 4 * 5),
    "Euclidean distance": (torch.cdist, [(2, 30, 3), (1, 40, 3)], 2 * 30 * 40 * 3),
    "few Euclidean distances": (torch.cdist, [(2, 5, 3), (4, 3)], 2 * 5 * 4 * 3),
    "Manhattan distance": (lambda a, b: torch.cdist(a, b, p=1), [(5, 3), (4, 3)], 0),
    "own distances": (torch.nn.functional.pdist, [(5, 3)], 10 * 3),
    "deformable": (
        lambda x, w, o, m: torchvision.ops.deform_conv2d(x, o, w, padding=1, mask=m),
        [(2, 6, 5, 4), (8, 3, 3, 3), (2, 18, 5, 4), (2, 9, 5, 4)],
        2 * 20 * 8 * 3 * 9,
    ),
    "outer product": (torch.outer, [(3,), (4,)], 0),
    "Fourier transform": (torch.fft.fft2, [(4, 4)], 0),
    "no product": (torch.mul, [(2, 3), (2, 3)], 0),
}


NO_FORMULA = (
    "in place",
    "conv_tbc",
    "addr",
    "bilinear",
    "Euclidean distance",
    "few Euclidean distances",
    "own distances",
    "deformable",
)


@pytest.mark.parametrize(("function", "shapes", "macs"), CASES.values(), ids=CASES)
def test_by_hand(function, shapes, macs):
    assert macs_of(function, *shapes) == macs


@pytest.mark.parametrize(
    "name", [n for n in CASES if n not in ("mv", "dot", "addmv", "addbmm", *NO_FORMULA)]
)
def test_as_torch_counts(name):
    function, shapes, macs = CASES[name]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*(torch.empty(shape, device="meta") for shape in shapes))
    assert counter.get_total_flops() == 2 * macs


@pytest.mark.parametrize("name", [n for n in mac_rules.RULES if "dot_product" in n])
def test_every_attention_operator(name):
    query, key, value = (2, 8, 5, 4), (2, 2, 7, 4), (2, 2, 7, 3)
    assert mac_rules.RULES[name]([query, key, value], (2, 8, 5, 3)) == 2 * 8 * 5 * 7 * (4 + 3)


def test_fused_attention_on_the_cpu_is_counted():
    from attnbench.counting.recorder import Recorder

    query = torch.zeros(1, 2, 5, 4)
    with torch.no_grad(), Recorder() as recorder:
        F.scaled_dot_product_attention(query, query, query)
    assert [op.macs for op in recorder.ops if op.macs] == [2 * 2 * 5 * 5 * 4]


def exists(name):
    library, _, plain = name.rpartition("::")
    return library or hasattr(torch.ops.aten, plain)


def test_tables_name_real_operators():
    missing = {name for name in mac_rules.RULES.keys() | mac_rules.BIAS.keys() if not exists(name)}
    assert missing <= {"_scaled_dot_product_attention_math_for_mps"}
    assert mac_rules.BIAS.keys() <= mac_rules.RULES.keys()
    assert all(hasattr(torch.ops.aten, name) for name in mac_rules.FREE)

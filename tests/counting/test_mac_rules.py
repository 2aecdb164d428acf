import pytest
import torch
import torch.nn.functional as F
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
    "no product": (torch.mul, [(2, 3), (2, 3)], 0),
}


@pytest.mark.parametrize(("function", "shapes", "macs"), CASES.values(), ids=CASES)
def test_by_hand(function, shapes, macs):
    assert macs_of(function, *shapes) == macs


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("mv", "dot", "addmv", "addbmm")])
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


def test_tables_name_real_operators():
    missing = {
        n for n in mac_rules.RULES.keys() | mac_rules.BIAS.keys() if not hasattr(torch.ops.aten, n)
    }
    assert missing <= {"deform_conv2d", "_scaled_dot_product_attention_math_for_mps"}
    assert mac_rules.BIAS.keys() <= mac_rules.RULES.keys()
    assert all(hasattr(torch.ops.aten, name) for name in mac_rules.FREE)

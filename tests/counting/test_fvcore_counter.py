import copy
import importlib
import logging
import warnings
from collections import Counter

import pytest
import torch
from torch import nn

from attnbench.counting.fvcore_counter import count
from attnbench.errors import CountingError


class Function(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, image):
        return self.run(image)


def plain(model, size):
    from fvcore.nn import FlopCountAnalysis

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(copy.deepcopy(model).eval(), torch.zeros(size))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = {name: int(n) for name, n in analysis.by_operator().items()}
        missed = {name.removeprefix("aten::"): n for name, n in analysis.unsupported_ops().items()}
        return int(analysis.total()), counts, missed


def test_what_fvcore_itself_says_is_kept(net, size):
    model = net.make()
    raw = count(model, size)
    total, counts, missed = plain(model, size)
    assert raw.total == total
    sums = Counter()
    for row in raw.rows:
        sums[row.operator] += row.raw
    assert {name: n for name, n in sums.items() if n} == {
        name: n for name, n in counts.items() if n
    }
    assert raw.unsupported == missed
    assert raw.factor == 1
    assert raw.version.startswith("0.1")


def test_untouched_and_silent(net, size, untouched, caplog, capfd):
    model = net.make()
    check = untouched(model)
    with caplog.at_level(logging.DEBUG):
        count(model, size)
    check()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_untouched_when_forward_raises(failing, size, untouched):
    check = untouched(failing)
    with pytest.raises(CountingError, match="no such thing"):
        count(failing, size)
    check()


ROUNDED = "printed to four digits"
CASES = {
    "einsum rounded": (lambda x: torch.einsum("bij,bjk->bik", x, x), (1, 81, 81), 81**3, ROUNDED),
    "einsum exact": (lambda x: torch.einsum("abc,abd->acd", x, x), (1, 81, 81), 81**3, ""),
    "einsum without a sum": (lambda x: torch.einsum("bi,bj->bij", x, x), (2, 3), 0, "element-wise"),
    "matmul": (lambda x: torch.matmul(x, x), (2, 4, 4), 2 * 64, ""),
    "matmul broadcast": (lambda x: torch.matmul(x[0], x), (2, 4, 4), 2 * 64, "left out"),
    "baddbmm": (lambda x: torch.baddbmm(x, x, x), (2, 4, 4), 2 * 64, "no handle"),
    "mv": (lambda x: torch.mv(x, x[0]), (4, 4), 16, "no handle"),
    "dot": (lambda x: torch.dot(x[0], x[0]), (4, 4), 4, "no handle"),
}


@pytest.mark.parametrize(("run", "size", "macs", "why"), CASES.values(), ids=CASES)
def test_calls_beside_our_rules(run, size, macs, why):
    (row,) = count(Function(run), size).rows
    assert row.macs == macs
    assert why in row.why
    assert bool(row.why) == (row.raw != row.macs)


def test_an_unknown_flaw_gets_no_reason(monkeypatch):
    table = importlib.import_module("fvcore.nn.flop_count")._DEFAULT_SUPPORTED_OPS
    handle = table["aten::matmul"]
    monkeypatch.setitem(table, "aten::matmul", lambda i, o: handle(i, o) + 7)
    (row,) = count(Function(lambda x: torch.matmul(x, x)), (2, 4, 4)).rows
    assert (row.raw - row.macs, row.why) == (7, "")

import pytest

from attnbench.errors import RequestError
from attnbench.regression.compare.gates import DEFAULTS, Gates


def test_the_defaults_are_exact_but_for_what_is_noisy():
    gates = Gates({})
    assert {metric for metric in DEFAULTS if gates.tolerance_of(metric)} == {"overhead", "latency"}
    assert gates.tolerance_of("overhead") == 0.01
    assert all(map(gates.judges, DEFAULTS))


def test_what_is_given_wins():
    gates = Gates({"params": 0.1, "macs": "ignore", "bytes": "exact", "top1": 2})
    assert gates.tolerance_of("params") == 0.1
    assert not gates.judges("macs")
    assert gates.tolerance_of("bytes") == 0
    assert gates.tolerance_of("top1") == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"param": "exact"}, r"unknown metric of gates 'param'. Did you mean 'params'"),
        ({"overhead": "exact"}, "gate of overhead.*cannot be exact.*'exact'.*0.01"),
        ({"top1": "exact"}, "gate of top1.*cannot be exact"),
        ({"macs": "about"}, "gate of macs: got 'about'. Choose exact, ignore or a number"),
        ({"macs": -0.1}, "gate of macs .*-0.1"),
        ({"macs": float("nan")}, "gate of macs .*nan"),
    ],
)
def test_a_gate_that_cannot_be_is_named(given, said):
    with pytest.raises(RequestError, match=said):
        Gates(given)

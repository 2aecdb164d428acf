"""The fixture ``attention_benchmark`` in people's own tests."""

import json

import pytest

TESTS = """
import torch
from torch import nn

INPUT = (1, 16, 8, 8)

def right(found):
    assert found.verdict in ("slower", "faster", "same", "inconclusive")
    assert 0 < found.ratio_low <= found.ratio <= found.ratio_high

def test_a_spec(attention_benchmark):
    right(attention_benchmark("gate,kernel=3", input=INPUT))

def test_a_module_and_a_baseline(attention_benchmark):
    model = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Dropout())
    right(attention_benchmark(model, nn.Identity(), input=torch.ones(INPUT)))
    assert model.training

def test_a_class_and_twice(attention_benchmark):
    right(attention_benchmark(lambda channels: nn.Conv2d(channels, channels, 1), input=INPUT))
    right(attention_benchmark("se", "gate", input=INPUT, threads=2))
"""


def test_it_compares_and_stands_in_the_table(project):
    project.pytester.makepyfile(test_it=TESTS)
    result = project("test_it.py", "--benchmark-json=out.json")
    result.assert_outcomes(passed=3)
    found = {
        one["name"]: one
        for one in json.loads((project.path / "out.json").read_text())["benchmarks"]
    }
    assert list(found) == ["test_a_spec", "test_a_module_and_a_baseline", "test_a_class_and_twice"]
    info = found["test_a_spec"]["extra_info"]
    assert info["case"] == "gate,kernel=3/1x16x8x8"
    assert info["params"] == 16 * 16 * 9 + 16
    assert info["macs"] == 16 * 16 * 9 * 64
    assert info["ratio_low"] <= info["ratio"] <= info["ratio_high"]
    assert {"verdict", "floor", "trust", "pairs"} < set(info)
    assert found["test_a_module_and_a_baseline"]["extra_info"]["params"] == 16 * 16 + 16


@pytest.mark.parametrize(
    ("option", "outcomes"),
    [
        ("--benchmark-skip", {"skipped": 1, "passed": 1}),
        ("--benchmark-only", {"skipped": 1, "passed": 1}),
        ("--benchmark-disable", {"passed": 2}),
    ],
)
def test_pytest_benchmark_s_options_know_such_tests(project, option, outcomes):
    text = "def test_it(attention_benchmark):\n    attention_benchmark('se', input=(1, 16, 8, 8))\n"
    project.pytester.makepyfile(test_it=text + "\n\ndef test_other():\n    pass\n")
    project("test_it.py", option).assert_outcomes(**outcomes)


DISABLED = """
import math

def test_it(attention_benchmark):
    calls = []
    def module(channels):
        from torch import nn
        class Counted(nn.Module):
            def forward(self, x):
                calls.append(x.shape)
                return x
        return Counted()
    for _ in range(2):
        found = attention_benchmark(module, input=(2, 4, 3, 3))
        assert found.verdict == "inconclusive"
        assert math.isnan(found.ratio)
        assert "disabled" in found.trust
    assert calls[-2:] == [(2, 4, 3, 3)] * 2
    assert set(calls[:-2]) == {(1, 4, 3, 3), (2, 4, 3, 3)}  # first runs: in eval, in training
"""


def test_disabled_it_calls_once_and_says_so(project):
    project.pytester.makepyfile(test_it=DISABLED)
    project("test_it.py", "--benchmark-disable").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("'gaet'", "*unknown module 'gaet'. Did you mean 'gate'*"),
        ("3", "module is neither a nn.Module, a spec nor a class: got a int"),
        ("'se', input=(1, 0, 2)", "input *(B, C, H, W)*: got (1, 0, 2)"),
    ],
)
def test_a_mistake_is_told_in_a_line(project, call, said):
    project.pytester.makepyfile(
        test_it=f"def test_it(attention_benchmark):\n    attention_benchmark({call})\n"
    )
    result = project("test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*attnbench/pytest_plugin*")


def test_an_error_of_the_module_shows_where_it_is(project):
    path = project.path / "gate.py"
    path.write_text(
        path.read_text().replace("return x * self.conv(x)", "raise ValueError('no luck')")
    )
    project.pytester.makepyfile(
        test_it="def test_it(attention_benchmark):\n    attention_benchmark('gate')\n"
    )
    result = project("test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["gate.py:*: ValueError", "*ValueError: no luck*"])


def test_it_works_without_pytest_benchmark(project):
    project.pytester.makepyfile(test_it=TESTS)
    result = project.pytester.runpytest_inprocess("-p", "attnbench.pytest_plugin", "test_it.py")
    result.assert_outcomes(passed=3)

"""McNemar's exact test, against the binomial formula and by simulation."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.stats.mcnemar import McNemar, mcnemar


def answers(both, only_a, only_b, neither):
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


@pytest.mark.parametrize(("only_a", "only_b"), [(9, 2), (2, 9), (5, 0), (4, 3)])
def test_one_seed(only_a, only_b):
    found = mcnemar(*answers(80, only_a, only_b, 9))
    total = only_a + only_b
    tail = sum(comb(total, k) for k in range(min(only_a, only_b) + 1)) / 2**total
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


@pytest.mark.parametrize("level", [0, 4])
def test_level(level):
    assert mcnemar(*answers(10, level, level, 3)) == McNemar(level, level, 1.0)


def test_of_several_seeds_an_image_counts_once():
    a = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 0], [1, 0, 1, 0, 1]], dtype=bool)
    b = np.array([[0, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 0, 0, 0, 0]], dtype=bool)
    # gains over the seeds: +2, 0, +1, -1, +1
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (3, 1)
    assert found.p_value == pytest.approx(10 / 16)
    each = [mcnemar(one, other) for one, other in zip(a, b, strict=True)]
    assert [(one.only_a, one.only_b) for one in each] == [(3, 1), (1, 2), (2, 0)]


def test_a_seed_repeated_tells_nothing_new():
    a, b = answers(80, 9, 2, 9)
    assert mcnemar(np.stack([a, a, a]), np.stack([b, b, b])) == mcnemar(a, b)


def test_equal_networks_are_seldom_told_apart():
    """Hard images are hard in every seed; the rate holds all the same."""
    rng = np.random.default_rng(12)
    p_values = []
    for _ in range(400):
        chance = rng.beta(3, 1, 300)
        a, b = rng.random((2, 3, 300)) < chance
        p_values.append(mcnemar(a, b).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.07


def test_networks_that_differ_are_told_apart():
    rng = np.random.default_rng(12)
    a, b = rng.random((3, 400)) < 0.9, rng.random((3, 400)) < 0.7
    assert mcnemar(a, b).p_value < 1e-3


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones(3, bool), np.ones(4, bool), "shapes of correctness"),
        (np.ones((1, 1, 3), bool), np.ones((1, 1, 3), bool), "got \\(1, 1, 3\\)"),
        (np.ones(3), np.ones(3), "float64"),
    ],
)
def test_what_is_no_pair(a, b, message):
    with pytest.raises(RequestError, match=message):
        mcnemar(a, b)

"""What seeds can show: against simulation, and there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from attnbench.errors import RequestError
from attnbench.stats.power import detectable, sd_floor


@pytest.mark.parametrize(("power", "level"), [(0.8, 0.05), (0.5, 0.05), (0.9, 0.01)])
@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_the_power_is_as_said(seeds, power, level):
    true = detectable(1.3, seeds, power, level)
    rows = np.random.default_rng(9).normal(true, 1.3, (20_000, seeds))
    tested = stats.ttest_1samp(rows, 0, axis=1)
    found = np.mean((tested.pvalue <= level) & (tested.statistic > 0))
    assert found == pytest.approx(power, abs=0.012)


def test_of_many_seeds_the_normal_formula_holds():
    expected = 2.0 * (1.959964 + 0.841621) / math.sqrt(900)
    assert detectable(2.0, 900) == pytest.approx(expected, rel=2e-3)


def test_nothing_is_found_of_one_seed_and_anything_without_spread():
    assert detectable(1.0, 1) == math.inf
    assert detectable(0.0, 3) == 0.0


@pytest.mark.parametrize(
    ("images", "top1", "disagreement", "points"),
    [
        (10_000, 90.0, None, 100 * math.sqrt(0.1 / 10_000)),
        (400, 20.0, None, 100 * math.sqrt(2 * 0.8 * 0.2 / 400)),
        (360, 98.0, 0.03, 100 * math.sqrt(0.03 / 360)),
        (360, 98.0, 0.0, 0.0),
        (360, 100.0, None, 100 / 360),  # one image
    ],
)
def test_floor(images, top1, disagreement, points):
    assert sd_floor(images, top1, disagreement) == pytest.approx(points)


def test_floor_of_images_that_flip_by_themselves():
    """Two networks, right on image i with chance p_i: they disagree on 2 p (1 - p)."""
    rng = np.random.default_rng(10)
    chance = rng.beta(4, 1, 400)
    first, second = rng.random((2, 4000, 400)) < chance
    measured = np.std(100 * (first.mean(axis=1) - second.mean(axis=1)))
    disagreement = float(np.mean(2 * chance * (1 - chance)))
    assert measured == pytest.approx(sd_floor(400, 80.0, disagreement), rel=0.04)


def test_floor_of_images_that_flip_together_is_a_floor():
    rng = np.random.default_rng(10)
    right = np.repeat(rng.random((2, 4000, 40)) < 0.8, 10, axis=2)
    measured = np.std(100 * (right[0].mean(axis=1) - right[1].mean(axis=1)))
    assert measured > 2 * sd_floor(400, 80.0, 0.32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: detectable(math.nan, 3), "sd .*got nan"),
        (lambda: detectable(-1.0, 3), "sd .*got -1"),
        (lambda: detectable(1.0, 3, power=0.02), "power .*got 0.02"),
        (lambda: detectable(1.0, 3, power=1.0), "power .*got 1.0"),
        (lambda: detectable(1.0, 3, level=0.0), "level .*got 0.0"),
        (lambda: sd_floor(1, 90.0), "test_images .*got 1"),
        (lambda: sd_floor(360, 101.0), "top1 .*got 101"),
        (lambda: sd_floor(360, 90.0, 1.1), "disagreement .*got 1.1"),
    ],
)
def test_out_of_range(call, message):
    with pytest.raises(RequestError, match=message):
        call()

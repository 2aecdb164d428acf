import math

import numpy as np
import pytest
from scipy import special

from attnbench.stats.empirical_bayes import StandardError, _prior, _trigamma_inverse, moderate


def drawn(rng, count, variances, freedom=4):
    return {
        number: StandardError(math.sqrt(variance * rng.chisquare(freedom) / freedom), freedom)
        for number, variance in zip(range(count), variances, strict=True)
    }


def test_rows_of_one_variance_find_it():
    rng = np.random.default_rng(0)
    found = moderate(drawn(rng, 200, np.full(200, 9.0)))
    assert all(one.freedom == 20 for one in found.values())
    assert min(one.error for one in found.values()) > 0.85 * 3


def test_rows_of_many_variances_gain_little():
    rng = np.random.default_rng(1)
    scattered = np.exp(3 * rng.standard_normal(200))
    assert all(one.freedom < 5 for one in moderate(drawn(rng, 200, scattered)).values())


def test_the_prior_is_that_which_variances_were_drawn_from():
    rng = np.random.default_rng(2)
    wanted, scale = 6.0, 4.0
    variances = scale * wanted / rng.chisquare(wanted, 4000)
    found = _prior(list(drawn(rng, 4000, variances).values()))
    assert found.freedom == pytest.approx(wanted, rel=0.15)
    assert found.error**2 == pytest.approx(scale, rel=0.05)


def test_no_error_is_lowered():
    rng = np.random.default_rng(3)
    given = drawn(rng, 20, np.full(20, 1.0))
    assert all(one.error >= given[key].error for key, one in moderate(given).items())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_rows_stand_alone(count):
    given = {number: StandardError(0.1 + number, 4) for number in range(count)}
    assert moderate(given) == given


def test_what_is_not_known_stays_so():
    given = {"none": StandardError(0.0, 4), "all": StandardError(math.inf, 1)}
    given |= {number: StandardError(0.01, 4) for number in range(5)}
    found = moderate(given)
    assert found["none"] == given["none"]
    assert found["all"] == given["all"]
    assert found[0].error == pytest.approx(0.01, rel=0.3)


def test_inverse_of_trigamma():
    for value in np.geomspace(1e-7, 1e7, 60):
        assert special.polygamma(1, _trigamma_inverse(value)) == pytest.approx(value, rel=1e-9)

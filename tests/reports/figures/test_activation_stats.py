import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.reports.figures.activation_stats import SiteMap

X = np.array([[[1.0, -2.0], [3.0, 4.0]], [[2.0, 2.0], [-1.0, 0.0]]])
MASK = np.array([[0.5, 1.0], [2.0, 0.0]])


def test_identity_changes_nothing():
    site = SiteMap("a", X, X.copy())
    np.testing.assert_array_equal(site.change, np.zeros((2, 2)))
    np.testing.assert_allclose(site.gain, np.ones((2, 2)))
    np.testing.assert_allclose(site.channel_gain, [1, 1])
    np.testing.assert_array_equal(site.before, [[1.5, 2.0], [2.0, 2.0]])
    np.testing.assert_array_equal(site.after, site.before)
    assert (site.channels, site.shape) == (2, "2×2×2")


def test_a_constant_gate():
    site = SiteMap("a", X, 0.5 * X)
    np.testing.assert_allclose(site.change, np.full((2, 2), 0.5))
    np.testing.assert_allclose(site.gain, np.full((2, 2), 0.5))
    np.testing.assert_allclose(site.channel_gain, [0.5, 0.5])
    np.testing.assert_array_equal(site.after, [[0.75, 1.0], [1.0, 1.0]])


def test_channel_gates_give_a_flat_gain_but_no_flat_change():
    site = SiteMap("a", X, X * np.array([0.25, 1.5])[:, None, None])
    np.testing.assert_allclose(site.channel_gain, [0.25, 1.5])
    # <y, x> / <x, x> = (0.25 * 30 + 1.5 * 9) / 39
    np.testing.assert_allclose(site.gain, np.full((2, 2), 21 / 39))
    # (0.75 |x_0| + 0.5 |x_1|) / (|x_0| + |x_1|)
    np.testing.assert_allclose(site.change, [[1.75 / 3, 2.5 / 4], [2.75 / 4, 3 / 4]])


def test_a_spatial_mask_is_its_own_gain_where_channels_share_a_pattern():
    x = np.stack([X[0], -2 * X[0], 0.1 * X[0]])
    site = SiteMap("a", x, x * MASK)
    np.testing.assert_allclose(site.gain, MASK)
    np.testing.assert_allclose(site.change, np.abs(MASK - 1))
    # sum_p m x^2 / sum_p x^2 = (0.5 + 4 + 18 + 0) / 30, in each channel
    np.testing.assert_allclose(site.channel_gain, np.full(3, 22.5 / 30))


def test_a_spatial_mask_on_other_patterns():
    site = SiteMap("a", X, X * MASK)
    first, second = 22.5 / 30, (2 + 4 + 2) / 9
    np.testing.assert_allclose(site.channel_gain, [first, second])
    x, gains = X[:, 0, 0], np.array([first, second])
    fitted = 0.5 * (x**2 * gains).sum() / (x**2 * gains**2).sum() * (22.5 + 8) / 39
    assert site.gain[0, 0] == pytest.approx(fitted)
    np.testing.assert_allclose(site.change, np.abs(MASK - 1))


def test_an_addition_is_a_change_that_no_gain_sees():
    x = np.array([[[1.0]], [[0.0]]])
    y = np.array([[[1.0]], [[3.0]]])
    site = SiteMap("a", x, y)
    assert (site.change.item(), site.gain.item()) == (3.0, 1.0)
    assert site.channel_gain[0] == 1.0
    assert np.isnan(site.channel_gain[1])


def test_groups():
    x = np.ones((4, 1, 2))
    y = x * np.array([[1.5, 1.0], [1.5, 1.0], [1.0, 0.0], [1.0, 2.0]])[:, None]
    site = SiteMap("a", x, y)
    np.testing.assert_array_equal(site.group_maps(2), [[[0.5, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_array_equal(site.group_maps(4)[3], [[0.0, 1.0]])
    np.testing.assert_array_equal(site.group_maps(1)[0], site.change)


@pytest.mark.parametrize("groups", [0, -2, 3, 8])
def test_groups_that_do_not_divide(groups):
    with pytest.raises(RequestError, match=f"a: 4 channels do not divide into {groups} groups"):
        SiteMap("a", np.ones((4, 1, 1)), np.ones((4, 1, 1))).group_maps(groups)


def test_one_position_of_one_channel():
    site = SiteMap("a", np.full((1, 1, 1), -2.0), np.full((1, 1, 1), -3.0))
    numbers = [site.before, site.after, site.change, site.gain, site.channel_gain]
    assert [one.item() for one in numbers] == [2.0, 3.0, 0.5, 1.5, 1.5]


def test_no_signal_has_no_ratio():
    site = SiteMap("a", np.zeros((2, 1, 2)), np.ones((2, 1, 2)))
    for values in (site.change, site.gain, site.channel_gain):
        assert np.isnan(values).all()
    np.testing.assert_array_equal(site.before, [[0, 0]])


def test_a_gate_of_zero_has_gain_zero():
    site = SiteMap("a", X, 0 * X)
    np.testing.assert_array_equal(site.gain, np.zeros((2, 2)))
    np.testing.assert_array_equal(site.change, np.ones((2, 2)))


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_spoils_its_own_position_alone(broken):
    y = 0.5 * X
    y[1, 0, 1] = broken
    site = SiteMap("a", X, y)
    for values in (site.after, site.change, site.gain):
        assert np.isnan(values[0, 1])
        assert np.isfinite(np.delete(values.ravel(), 1)).all()
    assert np.isfinite(site.before).all()
    # the broken place leaves both sums of its channel
    np.testing.assert_allclose(site.channel_gain, [0.5, 0.5])
    np.testing.assert_allclose(np.delete(site.gain.ravel(), 1), 0.5)


def test_features_that_do_not_match():
    with pytest.raises(
        RequestError, match=r"features\.3: maps need .* \(2, 1, 1\) and \(2, 1, 2\)"
    ):
        SiteMap("features.3", np.ones((2, 1, 1)), np.ones((2, 1, 2)))

import re

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.errors import RequestError
from attnbench.reports.figures.activations import SiteMap, draw_groups, draw_maps
from attnbench.reports.figures.figure_files import save

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
    with pytest.raises(RequestError, match=f"a: .* 4 channels: got {groups}"):
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
    with pytest.raises(RequestError, match=r"features\.3: .* \(2, 1, 1\) and \(2, 1, 2\)"):
        SiteMap("features.3", np.ones((2, 1, 1)), np.ones((2, 1, 2)))


def images(figure):
    """Return image axes of the first row by title: what was drawn last in each."""
    first = figure.subfigs[0] if figure.subfigs else figure
    return {one.get_title(): one.get_images()[-1] for one in first.axes if one.get_images()}


def test_a_row_for_each_site(photo, make_site, texts):
    sites = [make_site(), make_site((6, 2, 2), path="features.16")]
    shown = texts(draw_maps(photo, sites, "se after:14,17"))
    assert shown.count("gain per channel") == 2
    assert {"se after:14,17", "features.13   4×3×5", "features.16   6×2×2"} <= set(shown)


def test_what_is_drawn(photo, make_site):
    site = make_site()
    drawn = images(draw_maps(photo, [site], "t"))
    np.testing.assert_array_equal(drawn["before: mean |x|"].get_array(), site.before)
    np.testing.assert_array_equal(drawn["after: mean |y|"].get_array(), site.after)
    np.testing.assert_array_equal(drawn["gain per position"].get_array(), site.gain)
    np.testing.assert_array_equal(drawn["relative change"].get_array(), site.change)
    assert drawn["relative change"].get_interpolation() == "bilinear"
    assert drawn["relative change"].get_extent() == [0, 32, 24, 0]
    np.testing.assert_array_equal(drawn["image"].get_array(), photo.permute(1, 2, 0))


def test_before_and_after_share_a_scale(photo, make_site):
    site = make_site()
    drawn = images(draw_maps(photo, [site], "t"))
    scale = (site.after.min(), site.before.max())
    assert drawn["before: mean |x|"].get_clim() == pytest.approx(scale)
    assert drawn["after: mean |y|"].get_clim() == pytest.approx(scale)


def test_a_flat_map_has_one_colour(photo, make_site):
    def shaky(x):
        return x * 0.5 * (1 + 1e-8 * np.sign(x))

    drawn = images(draw_maps(photo, [make_site(change=shaky)], "t"))["gain per position"]
    low, high = drawn.get_clim()
    assert (low, high) == pytest.approx((0.45, 0.55))


def test_more_sites_than_rows(photo, make_site, texts):
    sites = [make_site(path=f"layer{at}") for at in range(9)]
    figure = draw_maps(photo, sites, "many")
    assert len(figure.subfigs) == 8
    shown = texts(figure)
    assert "many   (the first 8 of 9 sites)" in shown
    assert not any(one.startswith("layer8") for one in shown)


def nothing(x):
    return np.full_like(x, np.nan)


@pytest.mark.parametrize(
    ("shape", "change"),
    [
        ((1, 1, 1), np.copy),
        ((1, 1, 1), nothing),
        ((1, 3, 5), np.zeros_like),
        ((5, 1, 1), nothing),
        ((600, 1, 2), lambda x: x * 1e30),
    ],
)
def test_any_map_is_drawn(photo, make_site, colours, shape, change):
    assert colours(draw_maps(photo, [make_site(shape, change)], "any")) > 50


def test_no_signal_is_drawn(photo, colours):
    silent = SiteMap("", np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    assert colours(draw_maps(photo, [silent], "any")) > 50


def test_titles_are_no_formulas(photo, make_site, texts):
    assert "a $broken^ title$ of_it" in texts(
        draw_maps(photo, [make_site()], "a $broken^ title$ of_it")
    )


def test_refusals(photo, make_site):
    with pytest.raises(RequestError, match="attention_maps"):
        draw_maps(photo, [], "t")
    for image in (photo.float(), photo[:1], photo[None]):
        with pytest.raises(RequestError, match=re.escape(str(tuple(image.shape)))):
            draw_maps(image, [make_site()], "t")
    with pytest.raises(RequestError, match="4 channels: got 3"):
        draw_groups(photo, make_site(), 3, "t")


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_group_figures(photo, make_site, texts, groups):
    site = make_site((8, 3, 3), lambda x: x * np.linspace(0, 1, 8)[:, None, None])
    figure = draw_groups(photo, site, groups, "ulsam")
    drawn = images(figure)
    width = 8 // groups
    assert list(drawn) == [f"channels {at}–{at + width - 1}" for at in range(0, 8, width)]
    for one, expected in zip(drawn.values(), site.group_maps(groups), strict=True):
        np.testing.assert_array_equal(one.get_array(), expected)
    assert len({one.get_clim() for one in drawn.values()}) == 1
    assert "ulsam\nfeatures.13   8×3×3" in texts(figure)


def drawn_anew():
    x = np.random.default_rng(0).normal(size=(4, 3, 3))
    photo = torch.arange(3 * 64).view(3, 8, 8).to(torch.uint8)
    return draw_maps(photo, [SiteMap("features.13", x, 0.5 * x)], "t")


@pytest.fixture(scope="module")
def figure():
    return drawn_anew()


class TestSave:
    def test_png(self, figure, tmp_path):
        path = save(figure, tmp_path / "new" / "maps.PNG")
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.size == tuple(int(150 * inches) for inches in figure.get_size_inches())
            assert len(image.convert("RGB").getcolors(maxcolors=1 << 24)) > 50
        assert [one.name for one in path.parent.iterdir()] == ["maps.PNG"]

    @pytest.mark.parametrize(("ending", "start"), [("pdf", b"%PDF-"), ("svg", b"<?xml")])
    def test_vectors_are_the_same_each_time(self, tmp_path, ending, start):
        first, second = (
            save(drawn_anew(), tmp_path / f"{at}.{ending}").read_bytes() for at in "ab"
        )
        assert first.startswith(start)
        assert len(first) > 5000
        assert first == second

    @pytest.mark.parametrize("name", ["maps.jpg", "maps", ".png"])
    def test_endings(self, figure, tmp_path, name):
        with pytest.raises(RequestError, match=r"\.png, \.pdf, \.svg"):
            save(figure, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_places_that_cannot_be_written(self, figure, tmp_path):
        (tmp_path / "file").write_text("here")
        (tmp_path / "folder.png").mkdir()
        for path in (tmp_path / "file" / "maps.png", tmp_path / "folder.png"):
            with pytest.raises(RequestError, match=f"{path} cannot be written"):
                save(figure, path)
        assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder.png"]

    def test_an_older_file_outlives_a_failure(self, figure, tmp_path, monkeypatch):
        path = tmp_path / "maps.png"
        path.write_text("older")

        def half(place, **options):
            place.write_text("half")
            raise OSError("disk full")

        monkeypatch.setattr(figure, "savefig", half)
        with pytest.raises(RequestError, match="disk full"):
            save(figure, path)
        assert path.read_text() == "older"
        assert list(tmp_path.iterdir()) == [path]

import re

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.errors import RequestError
from attnbench.reports.figures.activation_figure import draw_groups, draw_maps, save
from attnbench.reports.figures.activation_stats import SiteMap


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
    with pytest.raises(RequestError, match="no site to draw"):
        draw_maps(photo, [], "t")
    for image in (photo.float(), photo[:1], photo[None]):
        with pytest.raises(RequestError, match=re.escape(str(tuple(image.shape)))):
            draw_maps(image, [make_site()], "t")
    with pytest.raises(RequestError, match="4 channels do not divide into 3"):
        draw_groups(photo, make_site(), 3, "t")


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_groups(photo, make_site, texts, groups):
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
        with pytest.raises(RequestError, match=r"ends in \.png, \.pdf or \.svg"):
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

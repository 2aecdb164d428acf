"""Each kind of file, against values computed by hand."""

import struct
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image

from attnbench.datasets.image_files import ImageFileSplit, decode, from_files
from attnbench.errors import RequestError


def pixel(path, row=0, column=0):
    return tuple(decode(path)[:, row, column].tolist())


def test_colour_keeps_its_values_and_its_size(picture, tmp_path):
    found = decode(picture(tmp_path / "a.png", (1, 2, 3), size=(9, 7)))
    assert found.shape == (3, 7, 9)
    assert found.dtype.is_floating_point is False
    assert pixel(tmp_path / "a.png") == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "mode", "colour", "expected"),
    [
        ("grey.png", "L", 77, (77, 77, 77)),
        ("grey-alpha.png", "LA", (77, 10), (77, 77, 77)),
        ("alpha.png", "RGBA", (1, 2, 3, 0), (1, 2, 3)),
        ("bits.png", "1", 1, (255, 255, 255)),
        ("cmyk.tif", "CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("deep.png", "I;16", 65535, (255, 255, 255)),
        ("deep.tif", "I;16", 257 * 9, (9, 9, 9)),
        ("wide.tif", "I", 257 * 9, (9, 9, 9)),
    ],
)
def test_each_mode_becomes_three_channels_of_eight_bits(
    picture, tmp_path, name, mode, colour, expected
):
    assert pixel(picture(tmp_path / name, colour, mode=mode)) == expected


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 255, 256, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png")[0, 0].tolist() == [0, 1, 1, 128, 255]


@pytest.mark.parametrize("values", [[-100_000, 0, 100_000], [0.0, 0.5, 1.0]])
def test_wider_numbers_and_fractions_are_scaled_from_their_own_range(tmp_path, values):
    kind = np.float32 if isinstance(values[0], float) else np.int32
    Image.fromarray(np.array([values], kind)).save(tmp_path / "a.tif")
    assert decode(tmp_path / "a.tif")[1, 0].tolist() == [0, 128, 255]


def test_a_palette_with_transparency_does_not_warn(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pixel(tmp_path / "a.png") == (10, 20, 30)


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime")]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / "a.webp") as opened:
        assert opened.n_frames == 2
    assert pixel(tmp_path / "a.webp") == (255, 0, 0)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [  # as the EXIF standard words it: where the 0th row and the 0th column are seen
        (1, [[1, 2, 3], [4, 5, 6]]),  # top, left
        (2, [[3, 2, 1], [6, 5, 4]]),  # top, right
        (3, [[6, 5, 4], [3, 2, 1]]),  # bottom, right
        (4, [[4, 5, 6], [1, 2, 3]]),  # bottom, left
        (5, [[1, 4], [2, 5], [3, 6]]),  # left, top
        (6, [[4, 1], [5, 2], [6, 3]]),  # right, top
        (7, [[6, 3], [5, 2], [4, 1]]),  # right, bottom
        (8, [[3, 6], [2, 5], [1, 4]]),  # left, bottom
    ],
)
def test_the_orientation_is_applied_once(tmp_path, orientation, expected, ending):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)).save(path, exif=exif)
    assert decode(path)[0].tolist() == expected


def test_damaged_exif_leaves_an_image_as_it_is(picture, tmp_path):
    picture(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert decode(tmp_path / "a.jpg").shape == (3, 7, 9)


def test_an_orientation_among_damaged_exif_is_applied(picture, tmp_path):
    head = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2)
    tags = struct.pack(">HHIHH", 0x112, 3, 1, 6, 0) + struct.pack(">HHII", 0x10F, 2, 9999, 5000)
    picture(tmp_path / "a.jpg", exif=head + tags + bytes(4))
    assert decode(tmp_path / "a.jpg").shape == (3, 9, 7)


def test_reading_leaves_the_filters_of_warnings_as_they_were(picture, tmp_path):
    files = [(picture(tmp_path / f"{n}.png").name, n % 2) for n in range(30)]
    before = list(warnings.filters)
    found = from_files("mine", tmp_path, files, ("a", "b"))
    found.image(3)
    assert list(warnings.filters) == before


def test_a_file_that_only_warns_is_readable_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1200)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_files("mine", tmp_path, [("a.png", 0)], ("a",)).image(0).shape == (3, 40, 40)


def test_unreadable_files_are_left_out_and_named(picture, truncated, tmp_path):
    files = [(picture(tmp_path / f"{n}.png", (n, n, n)).name, n % 2) for n in range(30)]
    truncated(tmp_path / "4.png")
    (tmp_path / "7.png").write_text("no image")
    found = from_files("mine", tmp_path, files, ("a", "b"))
    assert found.unreadable == ("4.png", "7.png")
    assert len(found) == 28
    kept = [n for n in range(30) if n not in (4, 7)]
    assert [int(found.image(row)[0, 0, 0]) for row in range(28)] == kept
    assert found.targets.tolist() == [n % 2 for n in kept]
    assert found.stacked is None


def test_more_than_a_tenth_unreadable_is_refused(picture, tmp_path):
    files = [(picture(tmp_path / f"{n:02}.png").name, 0) for n in range(40)]
    for n in range(4):
        (tmp_path / f"{n:02}.png").write_bytes(b"")
    assert len(from_files("mine", tmp_path, files, ("a",))) == 36
    (tmp_path / "04.png").unlink()
    reason = r"mine: 5 of 40 images \(12%\) cannot be decoded: 00\.png, 01\.png, 02\.png, \.\.\."
    with pytest.raises(RequestError, match=reason):
        from_files("mine", tmp_path, files, ("a",))


def test_a_class_of_which_nothing_can_be_decoded_is_refused(picture, tmp_path):
    files = [(picture(tmp_path / f"{n}.png").name, int(n == 0)) for n in range(20)]
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(RequestError, match=r"mine.*'b'"):
        from_files("mine", tmp_path, files, ("a", "b"))


def test_an_image_of_too_many_pixels_is_unreadable(picture, tmp_path, monkeypatch):
    files = [(picture(tmp_path / f"{n}.png").name, 0) for n in range(10)]
    picture(tmp_path / "3.png", size=(50, 50))
    picture(tmp_path / "5.png", size=(40, 40))  # only warned of
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1200)
    assert from_files("mine", tmp_path, files, ("a",)).unreadable == (
        "3.png (over 67,108,864 pixels)",
    )


def test_a_class_of_images_over_the_limit_says_so(picture, tmp_path, monkeypatch):
    monkeypatch.setattr("attnbench.datasets.image_files.MOST_PIXELS", 64 * 64)
    picture(tmp_path / "1.png", size=(65, 64))
    with pytest.raises(RequestError, match=r"'a' has no .*: 1.png \(over 4,096 pixels\). Add"):
        from_files("mine", tmp_path, [("1.png", 0)], ("a",))


def test_a_jpeg_over_the_limit_is_reduced_and_other_files_are_left_out(
    picture, tmp_path, monkeypatch
):
    monkeypatch.setattr("attnbench.datasets.image_files.MOST_PIXELS", 64 * 64)
    monkeypatch.setattr("attnbench.datasets.image_files._LARGE_PIXELS", 32 * 32)
    sizes = {"a.jpg": (64, 64), "b.jpg": (65, 64), "c.jpg": (300, 200), "d.jpg": (600, 600)}
    for name, size in {**sizes, "e.png": (65, 64)}.items():
        picture(tmp_path / name, size=size)
    files = [(name, 0) for name in (*sizes, "e.png")]
    found = from_files("mine", tmp_path, files, ("a",))
    shapes = [tuple(found.image(row).shape) for row in range(len(found))]
    assert shapes == [(3, 64, 64), (3, 32, 33), (3, 50, 75)]
    assert found.unreadable == ("d.jpg (over 4,096 pixels)", "e.png (over 4,096 pixels)")
    monkeypatch.setattr("attnbench.datasets.image_files.MOST_DECODED", 1)
    assert from_files("mine", tmp_path, files, ("a",)).unreadable == found.unreadable


def test_a_few_unreadable_images_of_a_small_split_cost_only_themselves(picture, tmp_path):
    files = [(picture(tmp_path / f"{n}.png").name, 0) for n in range(6)]
    for n in range(3):
        (tmp_path / f"{n}.png").write_text("<html>")
    assert len(from_files("mine", tmp_path, files, ("a",))) == 3


def test_of_a_large_split_only_headers_are_read(picture, truncated, tmp_path, monkeypatch):
    files = [(picture(tmp_path / f"{n}.png").name, 0) for n in range(30)]
    truncated(tmp_path / "4.png")
    (tmp_path / "7.png").write_text("no image")
    monkeypatch.setattr("attnbench.datasets.image_files.MOST_DECODED", 29)
    found = from_files("mine", tmp_path, files, ("a",))
    assert found.unreadable == ("7.png",)
    with pytest.raises(RequestError, match=r"4\.png cannot be decoded: OSError"):
        found.image(4)


def test_a_file_that_vanishes_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"gone\.png cannot be decoded: FileNotFoundError"):
        ImageFileSplit(tmp_path, ("gone.png",))(0)

"""What is packed is what is read, and damage is told."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from attnbench.errors import RecordError, RequestError
from attnbench.utils.bitmask import pack, unpack


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 360, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.97, 1.0])
def test_there_and_back(count, share):
    correct = np.random.default_rng(count).random(count) < share
    back = unpack(json.loads(json.dumps(pack(correct))), count)
    assert back.dtype == np.bool_
    assert np.array_equal(back, correct)


def test_format():
    text = pack(np.array([True, False, False, False, False, False, True, True, True]))
    assert zlib.decompress(base64.b64decode(text)) == bytes([0b10000011, 0b10000000])


def test_good_networks_pack_small():
    correct = np.random.default_rng(1).random(10_000) < 0.97
    assert len(pack(correct)) < 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no base64!", "damaged"),
        ("é", "damaged"),
        (base64.b64encode(b"not deflated").decode(), "damaged"),
        (pack(np.ones(8, bool)), "not of 9 images"),
        (pack(np.ones(17, bool)), "not of 9 images"),
        (base64.b64encode(zlib.compress(bytes(10**6))).decode(), "not of 9 images"),
        (base64.b64encode(zlib.compress(bytes(2))[:-9]).decode(), "not of 9 images"),
    ],
)
def test_damage(text, message):
    with pytest.raises(RecordError, match=message):
        unpack(text, 9)


@pytest.mark.parametrize("correct", [np.ones((2, 3), bool), np.ones(3, int)])
def test_only_rows_of_bool(correct):
    with pytest.raises(RequestError, match=r"\(images,\) of bool"):
        pack(correct)

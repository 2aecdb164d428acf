"""Which columns of a list a narrow terminal shows."""

from __future__ import annotations

import pytest

from attnbench.cli.list import _fitting

NAMES = ("name", "family", "year", "paper", "title", "origin")
ROW = dict(
    zip(NAMES, ("gate", "channel", 2020, "Somebody, CVPR'20", "T" * 40, "here"), strict=True)
)
LONG = {**ROW, "params_512": 1234567, "constraints": ["channels must be even"]}


def test_the_short_list_has_all_columns_at_any_width():
    assert _fitting([ROW], 20) == [key for key in NAMES if key != "origin"]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (1000, ()),
        (140, ()),
        (139, ("title",)),
        (90, ("title", "paper")),
        (50, NAMES[2:5]),
        (49, NAMES[1:5]),
    ],
)
def test_constraints_get_room(width, left_out):
    expected = [key for key in LONG if key != "origin" and key not in left_out]
    assert _fitting([LONG], width) == expected


def test_of_nothing_there_are_no_columns():
    assert _fitting([], 80) == []


def test_runtimes_say_their_version_or_the_way_to_install_them(attnbench, monkeypatch):
    from attnbench.runtimes import runtime

    real = runtime.find_spec
    monkeypatch.setattr(
        runtime, "find_spec", lambda name: None if name == "openvino" else real(name)
    )
    lines = {
        line.split()[0]: line
        for line in attnbench("list", "runtimes").out.splitlines()
        if line.split()
    }
    assert "no: openvino is not installed: pip install 'attnbench[openvino]'" in lines["openvino"]
    assert "torch 2." in lines["eager"]

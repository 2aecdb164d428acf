"""The columns of a list on a narrow terminal, and of a backbone's sites."""

from __future__ import annotations

import pytest

from attnbench.cli.show import _blocks


@pytest.mark.parametrize("kind", ["modules", "backbones", "suites", "runtimes", "datasets"])
@pytest.mark.parametrize("width", [80, 120])
def test_lists_fit(kind, width, attnbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = attnbench("list", kind).out.splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_modules_take_few_lines_at_80_columns(attnbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = attnbench("list").out
    assert len(out.splitlines()) < 90
    assert "Bottleneck attention (BAM)" in out
    assert "not shown at 80 columns: paper (--wide, --columns)" in out


def test_a_pipe_has_every_column(attnbench):
    out = attnbench("list").out
    assert "Park, BMVC'18" in out and "not shown" not in out


def test_columns_are_chosen_by_name(attnbench):
    head = attnbench("list", "modules", "--columns", "paper,family").out.splitlines()[0]
    assert head.split() == ["name", "paper", "family"]
    done = attnbench("list", "--columns", "papers")
    assert done.status == 2
    assert done.err == (
        "attnbench: unknown --columns 'papers'. Did you mean 'paper'? Known: family, name, paper, "
        "title.\n"
    )


def test_columns_are_of_text(attnbench):
    done = attnbench("list", "--columns", "name", "--json")
    assert done.status == 2 and "--columns is for text: got --format json" in done.err


def test_blocks_of_a_network_without_numbers():
    def site(path, kind, layer=None):
        return {"path": path, "kind": kind, "layer": layer, "placeable": True}

    sites = [
        site("stem", "Conv2d"),
        site("blocks", "Sequential"),
        site("blocks.0", "Sequential"),
        site("blocks.0.0", "Block"),
        site("blocks.0.0.se", "Gate"),
        site("blocks.0.0.se.fc", "Conv2d"),
        site("blocks.0.1", "Block"),
        site("blocks.0.1.conv", "Conv2d"),
    ]
    assert [found["path"] for found in _blocks(sites)] == ["blocks.0.0", "blocks.0.1"]
    assert _blocks([site("a", "Conv2d", 1), site("b", "Conv2d")])[0]["path"] == "a"


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

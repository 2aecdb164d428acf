"""What a request stands for."""

import pytest

from attnbench.conformance.select import all_modules, select_modules
from attnbench.errors import DuplicateNameError, RequestError, UnknownNameError
from attnbench.registry.attention import Attention
from attnbench.registry.plugins import Catalog

SUITE = """
[suite]
name = "mine"
title = "Mine"
size = 32

[[table]]
columns = ["label", "params"]

[[table.row]]
module = ["se,reduction=16", "{module}", "se"]
channels = 16

[[table.row]]
backbone = "mobilenet_v2"
control = "wider"
"""
BROKEN = """
import attnbench
from torch import nn

class NoForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
"""


@pytest.fixture
def catalog():
    """Installed plugins, and one that is half broken."""
    found = Catalog()
    found.load_entry_points()
    found.add_table({"gone": "nowhere_at_all:Gone", "Bad Name": "x:y"}, "half (half:TABLE)")
    return found


def names(found):
    return [
        str(one.spec) if isinstance(one, Attention) else (one.name, one.passed) for one in found
    ]


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(module):
        (tmp_path / "mine.toml").write_text(SUITE.replace("{module}", module))
        return "mine.toml"

    return write


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["se"], ["se"]),
        (["se", "se,reduction=16", "cbam"], ["se", "cbam"]),
        (["se,reduction=8", "se"], ["se,reduction=8", "se"]),
        (["mine.toml", "cbam"], ["se", "bam", "cbam"]),
        (["./mine.toml"], ["se", "bam"]),
    ],
)
def test_names_and_suites_are_taken_together_each_once(words, wanted, catalog, suite):
    suite("bam")
    assert names(select_modules(words, catalog)) == wanted


def test_a_suite_over_all_modules_has_those_that_can_be_loaded(catalog, suite):
    found = names(select_modules([suite("@all")], catalog))
    assert sorted(found) == sorted(set(catalog.modules.names()) - {"gone"})


def test_a_shipped_suite_by_name(catalog):
    groups = {f"ulsam,groups={number}" for number in (1, 2, 8, 16)}
    assert {*names(select_modules(["ulsam-ablation"], catalog))} == {"ulsam", "identity", *groups}


def test_all_are_the_registered_ones_and_what_is_broken_says_why(catalog):
    found = all_modules(catalog)
    assert set(catalog.modules.names()) - {"gone"} <= {*names(found)}
    bad = {one.name: one.findings[0] for one in found if not isinstance(one, Attention)}
    assert set(bad) == {"gone", "half (half:TABLE)"}
    assert bad["gone"].check == "contract" and "nowhere_at_all" in bad["gone"].reason
    assert "lower case" in bad["half (half:TABLE)"].reason


def test_a_named_module_that_breaks_the_contract_is_a_finding_not_a_mistake(
    catalog, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text(BROKEN)
    (report,) = select_modules(["my.py:NoForward"], catalog)
    assert not report.passed and "has no forward method" in report.findings[0].reason
    assert names(select_modules(["gone"], catalog)) == [("gone", False)]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("sse", "Did you mean .* 'se'"),
        ("quik", "Did you mean 'quick'"),
        ("mobilenet_v2", "it is a backbone"),
        ("my.py", "my.py:NoForward"),
        ("my.py:Gone", "'Gone'"),
        ("nope.py:Gone", "nope.py"),
        ("nope.toml", "nope.toml"),
        ("no/folder", "no/folder"),
        ("se,", "key=value"),
        ("se,reductoin=3", "'reduction'"),
        ("mine.toml", "sse"),
    ],
)
def test_mistakes(word, text, catalog, suite, tmp_path):
    suite("sse")
    (tmp_path / "my.py").write_text(BROKEN)
    with pytest.raises(RequestError, match=text.replace("(", r"\(")):
        select_modules([word], catalog)


def test_unknown_names_are_lookup_errors_and_disputed_ones_name_both(catalog):
    with pytest.raises(UnknownNameError):
        select_modules(["sse"], catalog)
    catalog.add_table({"se": "other:SE"}, "other (other:TABLE)")
    with pytest.raises(DuplicateNameError, match=r"se.*other"):
        select_modules(["se"], catalog)
    assert any(
        "other" in one.findings[0].reason
        for one in all_modules(catalog)
        if not isinstance(one, Attention)
    )

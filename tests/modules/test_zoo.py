"""What the table and the cards must be; what every module must do is in test_conformance.py."""

from __future__ import annotations

import fnmatch
import inspect
import re
import subprocess
import sys

import pytest
import torch
from attnbench_modules import MODULES
from matplotlib.mathtext import MathTextParser
from torch.utils.flop_counter import FlopCounterMode

from attnbench.registry.attention import find_attention
from attnbench.registry.validation import card_problems

from .table import NAMES, cases, create, load

WIDTHS = (1, 20, 32, 96, 100, 160, 320, 512, 1024)
PLACES = ((16, (1, 1)), (32, (7, 12)), (64, (14, 14)), (160, (1, 5)), (512, (7, 7)))
FAMILIES = {"mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "*"}

every_module = pytest.mark.parametrize("name", NAMES)


def keyword_options(cls):
    parameters = list(inspect.signature(cls).parameters.values())
    return {p.name: p for p in parameters[1:] if p.name != "feature_size"}


# --- the table and the cards ------------------------------------------------------------------


def test_importing_the_table_imports_no_torch():
    code = (
        "import sys, attnbench_modules; "
        "sys.exit(bool({'torch', 'numpy', 'attnbench'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_module
def test_table_says_what_the_card_says(name):
    entry, card = MODULES[name], load(name).card
    assert set(entry) == {"target", "title", "family", "year", "paper"}
    assert (entry["title"], entry["family"]) == (card.title, card.family)
    assert entry["year"] == (card.paper.year if card.paper else None)
    assert entry["paper"] == (card.paper.short if card.paper else None)


@every_module
def test_card_is_sound_and_complete(name):
    card = load(name).card
    assert card_problems(card) == []
    assert card.traits is not None
    assert card.params_text
    assert card.macs_text
    assert card.official_note
    assert find_attention(name).formula and card.formula_tex and card.timm
    assert set(card.official) <= FAMILIES
    if card.paper:
        assert card.paper.url.startswith("https://")
        assert card.paper.title in card.paper.bibtex().replace(r"\&", "&")
        preprint = card.paper.venue.startswith("arXiv")
        assert not preprint or card.paper.bibtex().startswith("@article")
        assert card.license


@every_module
def test_constructor_keeps_the_contract(name):
    cls = load(name)
    first = next(iter(inspect.signature(cls).parameters.values()))
    assert first.name == "channels"
    options = keyword_options(cls)
    assert set(options) == set(cls.card.options)
    for option in options.values():
        assert option.kind is inspect.Parameter.KEYWORD_ONLY
        assert option.default is not inspect.Parameter.empty


@every_module
def test_formulas_and_constraints_take_all_options_or_none(name):
    cls = load(name)
    card, size = cls.card, (14, 14)
    defaults = {k: p.default for k, p in keyword_options(cls).items()}
    with_all = (
        card.params(512, feature_size=size, **defaults),
        card.macs(512, *size, **defaults),
    )
    assert with_all == (card.params(512), card.macs(512, *size))
    assert card.violated(512, size, defaults) is None
    assert card.violated(512, None, {}) is None
    if card.printed:
        assert card.printed.params(512, feature_size=size, **defaults) == card.printed.params(512)
        assert card.printed.macs(512, *size, **defaults) == card.printed.macs(512, *size)


@every_module
def test_docstring_gives_shapes(name):
    cls = load(name)
    module_doc = sys.modules[cls.__module__].__doc__
    assert "(B, C, H, W)" in cls.__doc__
    if cls.card.paper:
        title = " ".join(module_doc.split("\n\n")[0].split()).rstrip(".")
        assert title == cls.card.paper.title
        assert cls.card.paper.url in module_doc


@every_module
def test_formula_is_in_the_docstring_alone(name):
    assert load(name).card.formula == "" or name == "bam"  # whose formula ends in a sentence


def test_places_of_what_is_compared_with_the_non_local_block():
    names = ("ccnet", "danet_channel", "danet_position", "double_attention", "external")
    for name in (*names, "separable_attention"):
        assert load(name).card.official == load("non_local").card.official


@every_module
def test_no_sentence_is_said_twice(name):
    card = load(name).card
    said = [card.official_note, card.timm, *card.deviations, *card.traps]
    sentences = [one for text in said for one in re.split(r"(?<=[.;]) ", text)]
    assert len(set(sentences)) == len(sentences)


@every_module
def test_declared_dead_parameters_are_there_and_have_a_reason(name):
    module = create(name)
    for pattern, reason in module.card.dead.items():
        assert fnmatch.filter(dict(module.named_parameters()), pattern)
        assert len(reason.split()) > 3


@every_module
def test_formulas_for_latex_are_mathematics(name):
    parser = MathTextParser("path")
    for line in load(name).card.formula_tex.splitlines():
        assert parser.parse(f"${line}$").width > 0


# --- counts -----------------------------------------------------------------------------------


@cases()
def test_parameter_formula_is_the_count(name, options):
    cls, counted = load(name), 0
    for channels in WIDTHS:
        if cls.card.violated(channels, (14, 14), options):
            with pytest.raises(ValueError, match=f"channels={channels}"):
                cls(channels, **options)
            continue
        with torch.device("meta"):
            module = create(name, options, channels, (14, 14))
        formula = cls.card.params(channels, feature_size=(14, 14), **options)
        assert formula == sum(p.numel() for p in module.parameters()), channels
        assert type(formula) is int
        counted += 1
    assert counted >= 4


@cases()
def test_macs_formula_is_the_count(name, options):
    """By torch's own counter, which shares nothing with that of the conformance check."""
    cls, counted = load(name), 0
    for channels, size in PLACES:
        if cls.card.violated(channels, size, options):
            continue
        with torch.device("meta"):
            module = create(name, options, channels, size).eval()
            x = torch.empty(1, channels, *size)
        with FlopCounterMode(display=False) as counter:
            module(x)
        formula = cls.card.macs(channels, *size, **options)
        assert 2 * formula == counter.get_total_flops(), (channels, size)
        assert type(formula) is int
        counted += 1
    assert counted >= 3


@every_module
def test_no_channels_are_refused(name):
    for channels in (0, -4, 2.5, True):
        with pytest.raises(ValueError, match=f"channels={channels}.*1 or more"):
            load(name)(channels)

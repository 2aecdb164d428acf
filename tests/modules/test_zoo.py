"""What holds for every module in the table; a module added to it is tested from then on."""

from __future__ import annotations

import copy
import fnmatch
import importlib
import inspect
import io
import pickle
import subprocess
import sys

import pytest
import torch
from attnbench_modules import MODULES
from matplotlib.mathtext import MathTextParser
from torch.utils.flop_counter import FlopCounterMode

WIDTHS = (1, 16, 20, 24, 32, 64, 96, 100, 160, 320, 384, 512, 1024)
SIZES = ((1, 1), (1, 5), (7, 7), (14, 14), (7, 12), (56, 56))
FAMILIES = {"mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "*"}

# Options worth testing besides the defaults.
OPTIONS = {
    "ulsam": [{"groups": 1}, {"groups": 8}, {"groups": 16}, {"momentum": 0.9}],
    "non_local": [
        {"reduction": 4},
        {"sub_sample": "input"},
        {"sub_sample": "projection", "reduction": 3},
        {"scale": False},
        {"norm": False},
    ],
    "double_attention": [{"reduction": 8}, {"residual": False}],
    "se": [{"reduction": 4}, {"bias": False}],
    "bam": [{"reduction": 4, "dilation": 2}, {"combine": "add"}],
    "cbam": [{"reduction": 8, "kernel_size": 3}, {"bias": False}],
    "sk": [{"groups": 8}, {"reduction": 4, "minimum": 4}],
    "ge": [
        {"variant": "theta"},
        {"variant": "theta-plus"},
        {"extent": 2},
        {"variant": "theta", "extent": 4},
        {"variant": "theta-plus", "extent": 8, "reduction": 4},
    ],
    "nam": [{"detached": True}],
    "gct": [{"mode": "l1"}],
    "fca": [{"reduction": 4, "frequencies": 5}, {"frequencies": 1}],
    "scse": [{"reduction": 8}, {"combine": "add"}],
    "coordinate": [{"reduction": 2}],
    "triplet": [{"kernel_size": 3}, {"spatial": False}],
    "ela": [{"kernel_size": 3, "norm_groups": 4}],
    "ema": [{"groups": 4}],
    "mca": [{"kernel_size": 7}, {"channel": False}],
    "mlca": [{"local_size": 3, "local_weight": 0.25}, {"kernel_size": 1}],
    "scsa": [{"heads": 4, "window_size": 3}],
    "cpca": [{"reduction": 16}],
    "simam": [{"e_lambda": 0.1}],
    "shuffle": [{"groups": 4}],
    "gc": [{"reduction": 2}, {"pooling": "mean"}, {"minimum": 4, "fusion": "scale"}],
    "sge": [{"groups": 4}],
    "danet_position": [{"reduction": 2}],
    "danet_channel": [{"reverse": False}],
    "ccnet": [{"recurrence": 1}, {"reduction": 2, "recurrence": 3}],
    "external": [{"slots": 8}],
    "separable_attention": [{"residual": False}],
    "polarized_parallel": [{"softmax": "values"}, {"softmax": "query"}],
    "polarized_sequential": [{"softmax": "scores"}, {"softmax": "query"}],
}

NAMES = sorted(name for name in MODULES if not name.endswith(":"))
CASES = [(name, options) for name in NAMES for options in [{}, *OPTIONS.get(name, [])]]
every_module = pytest.mark.parametrize("name", NAMES)
every_case = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=[f"{name}-{options}" for name, options in CASES]
)


def load(name):
    module, _, attribute = str(MODULES[name]["target"]).partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(name, options=None, channels=32, size=(7, 9)):
    """Build a module with every parameter moved off its start, so that nothing hides behind 0."""
    torch.manual_seed(0)
    cls = load(name)
    extra = {"feature_size": size} if "feature_size" in inspect.signature(cls).parameters else {}
    module = cls(channels, **extra, **(options or {}))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for buffer_name, buffer in module.named_buffers():
            if buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif buffer_name.endswith("running_mean"):
                buffer.normal_(std=0.1)
    return module


def declared_dead(parameter, card):
    return any(fnmatch.fnmatchcase(parameter, pattern) for pattern in card.dead)


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
    assert card.problems() == []
    assert card.traits is not None
    assert card.params_text
    assert card.macs_text
    assert card.official_note
    assert card.formula and card.formula_tex and card.timm
    assert set(card.official) <= FAMILIES
    if card.paper:
        assert card.paper.url.startswith("https://")
        assert card.paper.title in card.paper.bibtex().replace(r"\&", "&")
        assert card.licence


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
def test_formula_is_that_of_the_docstring(name):
    cls = load(name)
    documented = [line.strip() for line in sys.modules[cls.__module__].__doc__.splitlines()]
    formula = cls.card.formula.splitlines()
    assert formula == [line for line in documented if line in formula]


@every_module
def test_formulas_for_latex_are_mathematics(name):
    parser = MathTextParser("path")
    for line in load(name).card.formula_tex.splitlines():
        assert parser.parse(f"${line}$").width > 0


# --- counts -----------------------------------------------------------------------------------


@every_case
def test_parameter_formula_is_the_count(name, options):
    cls, counted = load(name), 0
    for channels in WIDTHS:
        if cls.card.violated(channels, (14, 14), options):
            with pytest.raises(ValueError, match=f"channels={channels}"):
                cls(channels, **options)
            continue
        with torch.device("meta"):
            module = build(name, options, channels, (14, 14))
        formula = cls.card.params(channels, feature_size=(14, 14), **options)
        assert formula == sum(p.numel() for p in module.parameters()), channels
        assert type(formula) is int
        counted += 1
    assert counted >= 5


@every_case
def test_macs_formula_is_the_count(name, options):
    cls, counted = load(name), 0
    for channels in WIDTHS[1::3]:
        for size in SIZES:
            if cls.card.violated(channels, size, options):
                continue
            with torch.device("meta"):
                module = build(name, options, channels, size).eval()
                x = torch.empty(1, channels, *size)
            with FlopCounterMode(display=False) as counter:
                module(x)
            formula = cls.card.macs(channels, *size, **options)
            assert 2 * formula == counter.get_total_flops(), (channels, size)
            assert type(formula) is int
            counted += 1
    assert counted >= 5


@every_module
def test_no_channels_are_refused(name):
    for channels in (0, -4, 2.5, True):
        with pytest.raises(ValueError, match=f"channels={channels}.*1 or more"):
            load(name)(channels)


# --- behaviour --------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("training", [True, False])
def test_shape_is_kept_and_input_is_not_changed(name, options, training):
    for shape in ((2, 32, 7, 9), (1, 32, 6, 6), (2, 32, 1, 1), (3, 32, 1, 8)):
        module = build(name, options, size=shape[2:]).train(training)
        if module.card.violated(32, shape[2:], options):
            continue
        x = torch.randn(shape)
        before = x.clone()
        y = module(x)
        assert y.shape == x.shape
        assert y.isfinite().all()
        assert torch.equal(x, before)


@every_case
def test_every_live_parameter_gets_a_gradient(name, options):
    module = build(name, options).double()
    x = torch.randn(4, 32, 7, 9, dtype=torch.double, requires_grad=True)
    (module(x) * torch.randn_like(x)).sum().backward()
    assert x.grad.abs().max() > 0.1
    dead = {k for k, p in module.named_parameters() if p.grad.abs().max() < 1e-11}
    expected = {k for k, _ in module.named_parameters() if declared_dead(k, module.card)}
    if options.get("norm") is False:
        expected = {"phi.bias"}  # the batch norm takes the others away, as their reasons say
    assert dead == expected


@every_module
def test_declared_dead_parameters_are_there_and_have_a_reason(name):
    module = build(name)
    for pattern, reason in module.card.dead.items():
        assert fnmatch.filter(dict(module.named_parameters()), pattern)
        assert len(reason.split()) > 3


@every_case
def test_images_do_not_see_each_other_in_eval(name, options):
    module = build(name, options).double().eval()
    x = torch.randn(3, 32, 7, 9, dtype=torch.double)
    one_by_one = torch.cat([module(image[None]) for image in x])
    torch.testing.assert_close(module(x), one_by_one)


@every_case
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_memory_layout_is_kept(name, options, layout):
    module = build(name, options).double()
    x = torch.randn(2, 32, 7, 9, dtype=torch.double)
    expected = copy.deepcopy(module)(x)
    y = module.to(memory_format=layout)(x.contiguous(memory_format=layout))
    assert y.is_contiguous(memory_format=layout)
    torch.testing.assert_close(y, expected)


@every_module
def test_state_dict_deepcopy_and_pickle(name):
    module = build(name).eval()
    x = torch.randn(2, 32, 7, 9)
    expected = module(x)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    fresh = build(name).eval()  # of the same size, with weights that are not the module's
    with torch.no_grad():
        for tensor in fresh.state_dict().values():
            tensor.zero_()
    fresh.load_state_dict(torch.load(saved, weights_only=True))
    for same in (fresh, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(same(x), expected)


@every_module
def test_exports_with_any_batch_size(name):
    module = build(name).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        module, (torch.randn(2, 32, 7, 9),), dynamic_shapes=({0: batch},), strict=False
    )
    x = torch.randn(5, 32, 7, 9)
    torch.testing.assert_close(program.module()(x), module(x))


@every_module
def test_half_precision_weights_keep_their_dtype(name):
    module = build(name).bfloat16().eval()
    assert module(torch.randn(2, 32, 7, 9, dtype=torch.bfloat16)).dtype == torch.bfloat16

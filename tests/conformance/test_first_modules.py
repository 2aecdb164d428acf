"""The first seven modules: no check breaks, and only known dead parameters are spoken of."""

import pytest

from attnbench.attention import find_attention
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.examine import examine
from attnbench.specs import Spec

FIRST = ("bam", "cbam", "double_attention", "identity", "non_local", "se", "ulsam")
THOROUGH = ("formulas", "maps", "widths")
QUICK = ("contract", "gradients", "input_kept", "determinism", "extremes", "nan", "drift")
OPTIONS = [
    ("ulsam", {"groups": 1}),
    ("ulsam", {"groups": 16}),
    ("ulsam", {"momentum": 0.9}),
    ("non_local", {"reduction": 4}),
    ("non_local", {"sub_sample": "input"}),
    ("non_local", {"sub_sample": "projection", "reduction": 3}),
    ("non_local", {"scale": False}),
    ("non_local", {"norm": False}),
    ("double_attention", {"reduction": 8}),
    ("double_attention", {"residual": False}),
    ("se", {"reduction": 4}),
    ("se", {"bias": False}),
    ("bam", {"reduction": 4, "dilation": 2}),
    ("bam", {"combine": "add"}),
    ("cbam", {"reduction": 8, "kernel_size": 3}),
    ("cbam", {"bias": False}),
    ("se", {"blend": True}),
    ("non_local", {"blend": True}),
]
# By hand: what follows these cancels a shift by a constant (a batch norm, a softmax).
DEAD = {
    "ulsam": {"depthwise.bias", "pointwise.bias"},
    "non_local": {"phi.bias", "g.bias", "out.bias"},
    "double_attention": {"gather.bias"},
    "bam": {"channel.0.bias", "spatial.0.bias", "spatial.3.bias", "spatial.6.bias"},
}


def report(name, checks, options=None):
    attention = find_attention(Spec(name, options or {}))
    return examine(attention, [CHECKS[one] for one in checks])


def dead(found):
    names = [one.values.get("parameters", ()) for one in found.of("gradients")]
    return {name.removeprefix("attention.") for some in names for name in some}


@pytest.mark.parametrize("name", FIRST)
def test_every_check_passes(name):
    found = report(name, QUICK + THOROUGH)
    assert found.with_status("broken") == ()
    assert dead(found) == DEAD.get(name, set())
    assert {one.check for one in found.findings if one.status != "ok"} <= {"gradients"}


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_quick_checks_pass_with_options(name, options):
    found = report(name, QUICK, options)
    assert found.with_status("broken") == ()
    assert dead(found) == ({"phi.bias"} if options.get("norm") is False else DEAD.get(name, set()))

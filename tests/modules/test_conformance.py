"""The conformance report over the table: no check breaks, and dead parameters are those declared.

Each module passes the quick checks, and the cheap ones with its options too. Five checks that take
minutes over the table run with ``ATTNBENCH_TEST_MODULES=full`` (test_zoo.py counts costs by itself),
all of them with ``deep`` or, without a test, in ``tox -e conformance``.
"""

import functools
import os

import pytest

from attnbench.conformance.checks import CHECKS, default_checks
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import DECLARED, NOTE, OK, failure
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import find_attention
from attnbench.registry.specs import Spec

from .table import NAMES, OPTIONS

EXTENT = os.environ.get("ATTNBENCH_TEST_MODULES", "quick")
_SLOW = ("export", "formulas", "graph", "training", "widths")
SLOW = () if EXTENT in ("full", "deep") else _SLOW
CHECKED = [one.name for one in default_checks(EXTENT == "deep") if one.name not in SLOW]
WITH_OPTIONS = (
    "maps",
    "batch_independence",
    "batch_one",
    "input_kept",
    "determinism",
    "dtypes",
    "memory_layout",
    "nan",
    "state_dict",
)
"""``gradients`` has a test of its own."""
BLENDED = [("se", {"blend": True}), ("non_local", {"blend": True})]
VARIANTS = [(name, options) for name in NAMES for options in OPTIONS.get(name, [])] + BLENDED
ALL = [(name, {}) for name in NAMES] + VARIANTS

DELIBERATE = {
    "nam,detached=true": {"gradients": "no gradient through the shares, as the original"},
    "danet_channel,reverse=false": {
        "dtypes": "products of channels over 56x56 maps leave fp16's range, as in the original's "
        "softmax without the reversal"
    },
}

NOTED = {
    ("ema", "fuse"): {OK, NOTE},
    ("gct", "dtypes"): {DECLARED, OK},
    ("gct,mode=l1", "dtypes"): {DECLARED, OK},
    ("danet_channel,reverse=false", "dtypes"): {DECLARED, OK},
}
"""The inference form of EMA has one plane of its 3x3 convolution on top; sums of squares that fp16
cannot hold are declared."""


def text(value):
    return f"{value[0]}-{value[1]}" if isinstance(value, tuple) else str(value)


@functools.cache
def subject(spec):
    """One for all checks: the map that suits a module is found once."""
    return Subject(find_attention(spec), DELIBERATE.get(str(spec), {}))


def findings(name, check, options=None):
    return run_check(CHECKS[check], subject(Spec(name, options or {})))


def not_ok(name, checks, options=None):
    """The findings by check, of those checks that found anything but what they should."""
    found = {check: findings(name, check, options) for check in checks}
    spec = str(Spec(name, options or {}))
    wanted = {check: NOTED.get((spec, check), {OK}) for check in checks}
    return {
        check: ones
        for check, ones in found.items()
        if {one.status for one in ones} != wanted[check]
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_check_passes(name):
    assert not_ok(name, [one for one in CHECKED if one != "gradients"]) == {}


@pytest.mark.parametrize("case", VARIANTS, ids=text)
def test_cheap_checks_pass_with_options(case):
    name, options = case
    assert not_ok(name, WITH_OPTIONS, options) == {}


def test_the_tests_above_can_fail(monkeypatch):
    for ones in ((), (failure("wrong", "mend it"),)):
        monkeypatch.setitem(globals(), "run_check", lambda *_, ones=ones: ones)
        assert not_ok("se", ["maps"]) == {"maps": ones}


@pytest.mark.parametrize("case", ALL, ids=text)
def test_every_live_parameter_gets_a_gradient(case):
    name, options = case
    found = findings(name, "gradients", options)
    # a note tells of one that is dead and not declared or, with the defaults, the other way round
    assert {one.status for one in found} <= {OK, DECLARED}, found

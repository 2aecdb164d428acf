"""The conformance report over timm's layers: what breaks is what the table declares, no more or less.

The quick part, of the layers with defects and a sound one, runs always. All layers and all checks
but the deep ones (two minutes) run with ``ATTNBENCH_TEST_TIMM=full``, as in ``tox -e conformance``,
all of them with ``deep``. Where a check finds something else, run

    attnbench check timm:NAME

and bring ``defects`` in ``modules/attnbench_modules/timm_table.py`` up to date.
"""

import os

import pytest
from attnbench_modules.timm_table import LAYERS

from attnbench.conformance.checks import CHECKS, default_checks
from attnbench.conformance.examine import run_check
from attnbench.conformance.findings import BROKEN, NOTE
from attnbench.conformance.module_under_test import Subject
from attnbench.registry.attention import find_attention

EXTENT = os.environ.get("ATTNBENCH_TEST_TIMM", "quick")
SLOW = {"widths", "maps", "graph", "export", "training"}

# Comes and goes with the processor, and is not timm's: oneDNN's bf16 gradient of a 3-D convolution
# whose window is larger than the map reads memory that nobody wrote. The card has it as a trap.
BY_CHANCE = {"lambda": {"dtypes", "autocast"}}


def here():
    """The checks that run."""
    return [
        one for one in default_checks(EXTENT == "deep") if EXTENT != "quick" or one.name not in SLOW
    ]


@pytest.mark.parametrize(
    "name",
    [name for name, one in LAYERS.items() if EXTENT != "quick" or one.card.defects or name == "se"],
)
def test_what_breaks_is_declared(name):
    subject = Subject(find_attention(f"timm:{name}"))
    found = {one.name: run_check(one, subject) for one in here()}
    broken = {check for check, all_of in found.items() if any(f.status == BROKEN for f in all_of)}
    broken -= BY_CHANCE.get(name, set())
    declared = set(LAYERS[name].card.defects) & set(found)
    assert broken == declared, {
        check: [one.reason for one in found[check] if one.status in (BROKEN, NOTE)]
        for check in broken ^ declared
    }
    known = [one for check in broken for one in found[check] if one.status == BROKEN]
    assert all("(known: " in one.reason for one in known)


def test_the_known_defects():
    """Strictly: a layer that gains or loses one is looked at, not waved through."""
    found = {name: set(one.card.defects) for name, one in LAYERS.items() if one.card.defects}
    assert found == {
        "ge": set(CHECKS),
        "sk": {"batch_one", "memory_layout"},
        "splat": {"memory_layout"},
        "lambda": {"memory_layout", "executorch", "int8"},
        "bottleneck": {"memory_layout"},
        "halo": {"memory_layout", "int8"},
        "nl": {"memory_layout"},
        "bat": {"memory_layout", "extremes", "executorch", "int8"},
    }


def test_nothing_is_excused():
    assert not [name for name, one in LAYERS.items() if one.card.exceptions]

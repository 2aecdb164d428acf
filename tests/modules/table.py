"""The modules of the table with the options that are worth testing, and how a test builds one."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch
from attnbench_modules import MODULES

OPTIONS = {
    "ulsam": [{"groups": 1}, {"groups": 16}, {"groups": 32}, {"momentum": 0.9}],
    "non_local": [
        {"reduction": 4},
        {"sub_sample": "input"},
        {"sub_sample": "projection", "reduction": 3},
        {"scale": False},
        {"norm": False},
    ],
    "double_attention": [{"reduction": 8}, {"residual": False}],
    "se": [{"reduction": 4}, {"bias": False}, {"reduction": 64}],
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
    "lska": [{"kernel_size": 7}, {"kernel_size": 53}],
    "caa": [{"kernel_size": 5}],
    "cot": [{"kernel_size": 5}],
    "gam": [{"reduction": 16}],
    "psa": [{"reduction": 4}],
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
"""Options besides the defaults."""

NAMES = sorted(name for name in MODULES if not name.endswith(":"))


def cases(names=NAMES):
    """Parametrise a test over modules and their options, the defaults first."""
    values = [(name, options) for name in names for options in [{}, *OPTIONS.get(name, [])]]
    return pytest.mark.parametrize(
        ("name", "options"), values, ids=[f"{name}-{options}" for name, options in values]
    )


def load(name):
    module, _, attribute = str(MODULES[name]["target"]).partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(name, options=None, channels=32, size=(7, 9)):
    """Build a module as its constructor leaves it, the same each time."""
    torch.manual_seed(0)
    cls = load(name)
    extra = {"feature_size": size} if "feature_size" in inspect.signature(cls).parameters else {}
    return cls(channels, **extra, **(options or {}))

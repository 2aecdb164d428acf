"""Every module written plainly: what ours are held against, in output and in time.

A form does in torch's layers, one after the other, what the paper's equations say (those at the
head of our module's file), as their reader would write it down: pooling by
``adaptive_avg_pool2d``, views, permutations, and linear or 1-D layers where the original has them.
It computes with the layers of our module, in eval, so that both have the same weights. Of options
that change more than sizes it knows the defaults only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from . import channel, directions, large_kernel, mixed, non_local, polarized, spatial
from .layers import Form, Plain

__all__ = ["FORMS", "plain_form"]

FORMS: Mapping[str, Callable[[Any], Form]] = {
    "se": channel.se,
    "eca": channel.eca,
    "effective_se": channel.effective_se,
    "ge": channel.ge,
    "srm": channel.srm,
    "nam": channel.nam,
    "gct": channel.gct,
    "fca": channel.fca,
    "gc": channel.gc,
    "ulsam": spatial.ReleasedULSAM,
    "ema": spatial.ema,
    "sge": spatial.sge,
    "simam": spatial.simam,
    "strip_pooling": spatial.strip_pooling,
    "bam": mixed.bam,
    "cbam": mixed.cbam,
    "scse": mixed.scse,
    "sk": mixed.sk,
    "shuffle": mixed.shuffle,
    "gam": mixed.gam,
    "psa": mixed.psa,
    "cot": mixed.cot,
    "coordinate": directions.coordinate,
    "triplet": directions.triplet,
    "ela": directions.ela,
    "mca": directions.mca,
    "mlca": directions.mlca,
    "scsa": directions.scsa,
    "polarized_parallel": polarized.polarized_parallel,
    "polarized_sequential": polarized.polarized_sequential,
    "non_local": non_local.non_local,
    "double_attention": non_local.double_attention,
    "danet_position": non_local.danet_position,
    "danet_channel": non_local.danet_channel,
    "ccnet": non_local.ccnet,
    "external": non_local.external,
    "separable_attention": non_local.separable_attention,
    "lka": large_kernel.lka,
    "lska": large_kernel.lska,
    "msca": large_kernel.msca,
    "lsk": large_kernel.lsk,
    "caa": large_kernel.caa,
    "cpca": large_kernel.cpca,
}
"""Name -> what makes a plain form of our module, which must be in eval."""


def plain_form(name: str, module: nn.Module) -> nn.Module:
    """Return the plain form of one of our modules; it shares the module's weights.

    Raises:
        KeyError: there is none of that name.
    """
    form = FORMS[name](module)
    return form if isinstance(form, nn.Module) else Plain(form)

"""attnbench: attention modules in compact CNNs, measured side by side.

The whole library is reachable from here; torch is imported when something needs it.

    import attnbench
    model = attnbench.insert(attnbench.backbone("mobilenet_v2"), "replace:14,17", "ulsam", groups=4)
    print(attnbench.cost(model).macs)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench import latency
    from attnbench.api import backbone, create, modules, sites
    from attnbench.cards import Card, Constraint, Paper, PrintedCost, Traits
    from attnbench.counting.cost import Cost, cost
    from attnbench.errors import AttnbenchError, PlacementError, PluginError, RequestError
    from attnbench.fusing import fuse
    from attnbench.placement.insertion import Inserted, insert
    from attnbench.placement.sites import Site
    from attnbench.plugins import register
    from attnbench.timm_door import timm_layer

    __version__: str

__all__ = [
    "AttnbenchError",
    "Card",
    "Constraint",
    "Cost",
    "Inserted",
    "Paper",
    "PlacementError",
    "PluginError",
    "PrintedCost",
    "RequestError",
    "Site",
    "Traits",
    "backbone",
    "cost",
    "create",
    "fuse",
    "insert",
    "latency",
    "modules",
    "register",
    "sites",
    "timm_layer",
]

_LAZY_MODULES = ("cards", "errors", "latency", "plugins", "registry")

# imported at first use: most need torch, and `attnbench list` must not; the rest is a few
# milliseconds, which every pytest run of an environment would pay for the plugin
_LAZY = {
    "AttnbenchError": "attnbench.errors",
    "Card": "attnbench.cards",
    "Constraint": "attnbench.cards",
    "Cost": "attnbench.counting.cost",
    "Inserted": "attnbench.placement.insertion",
    "Paper": "attnbench.cards",
    "PlacementError": "attnbench.errors",
    "PluginError": "attnbench.errors",
    "PrintedCost": "attnbench.cards",
    "RequestError": "attnbench.errors",
    "Site": "attnbench.placement.sites",
    "Traits": "attnbench.cards",
    "backbone": "attnbench.api",
    "cost": "attnbench.counting.cost",
    "create": "attnbench.api",
    "fuse": "attnbench.fusing",
    "insert": "attnbench.placement.insertion",
    "modules": "attnbench.api",
    "register": "attnbench.plugins",
    "sites": "attnbench.api",
    "timm_layer": "attnbench.timm_door",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("attnbench")
    if name in _LAZY_MODULES:
        return import_module(f"attnbench.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'attnbench' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES})

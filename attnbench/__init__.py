"""attnbench: attention modules in compact CNNs, measured side by side.

The public API of the library; torch is imported only when a function needs it.

    import attnbench
    model = attnbench.create_backbone("mobilenet_v2")
    placed = attnbench.insert(model, "replace:14,17", "ulsam", groups=4)
    print(attnbench.cost(placed).macs)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # for type checkers; a test checks that these names equal those of the table below
    from attnbench import latency as latency
    from attnbench.api.accuracy import measure_accuracy as measure_accuracy
    from attnbench.api.choose import ModuleChoice as ModuleChoice
    from attnbench.api.choose import choose as choose
    from attnbench.api.latency import measure_latency as measure_latency
    from attnbench.api.suite_run import RunTable as RunTable
    from attnbench.api.suite_run import SuiteRun as SuiteRun
    from attnbench.api.suite_run import load as load
    from attnbench.api.suites import run_suite as run_suite
    from attnbench.cards import Card as Card
    from attnbench.cards import Constraint as Constraint
    from attnbench.cards import Paper as Paper
    from attnbench.cards import PrintedCost as PrintedCost
    from attnbench.cards import Traits as Traits
    from attnbench.counting.cost import Cost as Cost
    from attnbench.counting.cost import cost as cost
    from attnbench.errors import AttnbenchError as AttnbenchError
    from attnbench.errors import CountingError as CountingError
    from attnbench.errors import DeviceError as DeviceError
    from attnbench.errors import DuplicateNameError as DuplicateNameError
    from attnbench.errors import MissingExtraError as MissingExtraError
    from attnbench.errors import OutputError as OutputError
    from attnbench.errors import PlacementError as PlacementError
    from attnbench.errors import PluginError as PluginError
    from attnbench.errors import RecordError as RecordError
    from attnbench.errors import RequestError as RequestError
    from attnbench.errors import UnknownNameError as UnknownNameError
    from attnbench.models.backbones import create_backbone as create_backbone
    from attnbench.models.create_module import create_module as create_module
    from attnbench.models.fuse import fuse as fuse
    from attnbench.models.insertion import Inserted as Inserted
    from attnbench.models.insertion import insert as insert
    from attnbench.models.sites import Site as Site
    from attnbench.models.sites import SiteList as SiteList
    from attnbench.models.sites import find_sites as find_sites
    from attnbench.models.timm_layer import timm_layer as timm_layer
    from attnbench.registry.plugins import list_modules as list_modules
    from attnbench.registry.plugins import register as register
    from attnbench.timing.comparison import Comparison as Comparison

    __version__: str

# imported at first use: most need torch, which `attnbench list` must not load; the rest is a few
# milliseconds, which every pytest run of an environment would pay for the plugin
_PUBLIC = {
    "attnbench": ("latency",),
    "attnbench.api.accuracy": ("measure_accuracy",),
    "attnbench.api.choose": ("ModuleChoice", "choose"),
    "attnbench.api.latency": ("measure_latency",),
    "attnbench.api.suite_run": ("RunTable", "SuiteRun", "load"),
    "attnbench.api.suites": ("run_suite",),
    "attnbench.cards": ("Card", "Constraint", "Paper", "PrintedCost", "Traits"),
    "attnbench.counting.cost": ("Cost", "cost"),
    "attnbench.errors": (
        "AttnbenchError",
        "CountingError",
        "DeviceError",
        "DuplicateNameError",
        "MissingExtraError",
        "OutputError",
        "PlacementError",
        "PluginError",
        "RecordError",
        "RequestError",
        "UnknownNameError",
    ),
    "attnbench.models.backbones": ("create_backbone",),
    "attnbench.models.fuse": ("fuse",),
    "attnbench.models.insertion": ("Inserted", "insert"),
    "attnbench.models.sites": ("Site", "SiteList", "find_sites"),
    "attnbench.models.create_module": ("create_module",),
    "attnbench.registry.plugins": ("list_modules", "register"),
    "attnbench.models.timm_layer": ("timm_layer",),
    "attnbench.timing.comparison": ("Comparison",),
}
_SOURCES = {name: module for module, names in _PUBLIC.items() for name in names}

if not TYPE_CHECKING:  # type checkers cannot read a computed list; they use the imports above
    __all__ = sorted(_SOURCES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("attnbench")
    if name not in _SOURCES:
        raise AttributeError(f"module 'attnbench' has no attribute {name!r}")
    source = _SOURCES[name]
    if source == "attnbench":
        return import_module(f"attnbench.{name}")
    return getattr(import_module(source), name)


def __dir__() -> list[str]:
    return sorted(_SOURCES)

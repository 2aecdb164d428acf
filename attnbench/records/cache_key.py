"""The hash of a case, over everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attnbench.devices import find_device
from attnbench.errors import MissingExtraError
from attnbench.measure import accuracy, cost, latency
from attnbench.models.backbones import own_factory
from attnbench.records.code_hash import hash_code
from attnbench.registry.backbone_names import is_own_backbone
from attnbench.registry.module_families import family_packages
from attnbench.registry.plugins import Catalog
from attnbench.registry.plugins import catalog as default_catalog
from attnbench.registry.specs import parse_spec
from attnbench.runtimes.registry import runtime
from attnbench.suites.case import Case
from attnbench.suites.schema import Suite
from attnbench.system import provenance

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def fingerprint(
    case: Case, suite: Suite, catalog: Catalog, protocol: DataclassInstance | None = None
) -> str:
    """Return the hash of a case.

    The hash covers the case itself, the module's code (:mod:`attnbench.records.code_hash`), the
    versions of card and suite, and those of the packages involved. For a latency case it also
    covers machine, device and sampling protocol, for an accuracy case recipe, data and weights, for
    a cost case the card's formulas. The engine is represented by its method number, so that neither
    a clean-up of the sampler nor a corrected docstring invalidates an hour of timing.
    """
    parts: dict[str, Any] = {
        "case": _case(case),
        "suite": suite.suite.version,
        "versions": provenance.versions(packages_of(case, catalog)),
    }
    if case.kind == "latency":
        parts |= {"method": latency.METHOD, "machine": provenance.machine()}
        parts["protocol"] = asdict(protocol) if protocol else None
        if case.conditions is not None and case.conditions.device != "cpu":
            parts["device"] = _device_title(case.conditions.device)
    elif case.training is not None:
        parts["training"] = accuracy.identity(case.training)
    else:
        parts["method"] = cost.METHOD
    if case.module:
        with suppress(MissingExtraError):  # skipped: the module's package is not installed
            attention = case.resolve(catalog).attention
            if attention is not None:
                parts["module"] = hash_code(attention.factory, counts_formulas=case.kind == "cost")
                parts["card"] = attention.card.version if attention.card else None
    if case.backbone and is_own_backbone(name := parse_spec(case.backbone).name):
        parts["backbone"] = hash_code(own_factory(name))
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _device_title(name: str) -> str | None:
    """Return the title of a device, another in another machine; None where it is missing."""
    with suppress(MissingExtraError):
        return str(find_device(name).describe()["title"])
    return None


def _case(case: Case) -> dict[str, Any]:
    """Return the case's fields; later additions to the format are included only if set."""
    fields = case.to_json()
    if case.training is None:
        del fields["training"]
    else:  # the hash covers the content of recipe and data, not their names
        kept = {"seed": case.training.seed}
        kept |= {"int8": True} if case.training.int8 else {}
        kept |= {"threads": case.training.threads} if case.training.threads != 1 else {}
        fields["training"] = kept
    if case.conditions is not None:
        later = {key for key in ("cold", "graph") if not getattr(case.conditions, key)}
        kept = {key: value for key, value in fields["conditions"].items() if key not in later}
        fields["conditions"] = kept
    return fields


def packages_of(case: Case, catalog: Catalog | None = None) -> list[str]:
    """Return the packages whose versions may affect a case's result.

    Args:
        case: the case.
        catalog: the catalog of its module's family; that of this process if omitted.
    """
    packages = [*provenance.ALWAYS]
    if case.conditions:
        packages += runtime(case.conditions.runtime).packages
    if case.counters:
        packages += provenance.COUNTERS
    name = parse_spec(case.backbone).name if case.backbone else ""
    if name.startswith("timm:") or is_own_backbone(name):  # which may build on it
        packages.append("timm")
    if case.module:
        packages += family_packages((catalog or default_catalog()).module_families, case.module)
    return list(dict.fromkeys(packages))

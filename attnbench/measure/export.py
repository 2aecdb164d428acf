"""Export cases: each network is written to a file for a device, and the file's output checked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from attnbench.measure.cost import CostMeter
from attnbench.measure.network import inputs, network
from attnbench.models.fuse import fuse
from attnbench.models.pretrained import load_weights
from attnbench.runtimes.export import export_file
from attnbench.runtimes.registry import runtime
from attnbench.runtimes.runtime import RuntimeSettings
from attnbench.suites.case import DEFAULT_SIZE, Case, conditions_of

_CHECKED_ON = 16
"""Number of images for the validation of an exported file."""
_LONGEST = 120
"""Length of a file's stem, in characters, beyond which a hash replaces the rest."""


class ExportMeter:
    """A meter that exports networks; consecutive cases of a network share its weights.

    Args:
        cost: cost meter that provides backbones and slots.
        output: folder of the files.
        weights: file with a state dict; weights are random without it.
    """

    def __init__(self, cost: CostMeter, output: Path, weights: Path | None) -> None:
        self.cost = cost
        self.output = output
        self.weights = weights
        self._built: tuple[str, nn.Module] | None = None
        self._described: dict[str, str] = {}

    def places(self, case: Case) -> set[tuple[int, tuple[int, int]]]:
        """Return channels and map sizes of a case's modules."""
        return self.cost.places(case)

    def check(self, case: Case) -> None:
        """Raise an error for an invalid case, without building a network."""
        self.cost.check(case)

    def measure(self, case: Case) -> dict[str, Any]:
        """Export the network of a case; return the entries of its record.

        Raises:
            RuntimeFailure: the export fails, or its output is wrong.
            RequestError: the weights do not fit, or the folder cannot be written.
        """
        conditions = conditions_of(case)
        model = self._network(case)
        about = {**about_case(case), "weights": self.describe_weights(case)}
        done = export_file(
            runtime(conditions.runtime),
            fuse(model) if case.fused else model,
            inputs(case, _CHECKED_ON, self.cost),
            RuntimeSettings(precision=conditions.precision),
            self.output / file_stem(case),
            about,
            model,
        )
        return {"runtime": {**about, "status": "ok", **done.to_dict()}}

    def describe_weights(self, case: Case) -> str:
        """Return the description of a network's weights, once it was built."""
        return self._described.get(replace(case, fused=False).network, "random")

    def _network(self, case: Case) -> nn.Module:
        """Return the network in its plain form."""
        plain = replace(case, fused=False, conditions=None)  # the same for all runtimes
        if self._built is None or self._built[0] != plain.network:
            model = network(plain, self.cost)
            if self.weights is not None:
                self._described[plain.network] = load_weights(model, self.weights)
            self._built = (plain.network, model)
        return self._built[1]


def about_case(case: Case) -> dict[str, Any]:
    """Return the entries that describe an export case in its JSON object."""
    conditions = conditions_of(case)
    return {
        "name": f"export/{case.network}",
        "backbone": case.backbone,
        "module": case.module,
        "placement": case.placement,
        "channels": case.channels,
        "size": list(case.size),
        "form": "fused" if case.fused else "plain",
        "runtime": conditions.runtime,
        "precision": conditions.precision,
        "batch": conditions.batch,
    }


def file_stem(case: Case) -> str:
    """Return a readable file name without suffix: ``mobilenet_v2_ulsam-groups-4_after-14``."""
    height, width = case.size
    conditions = conditions_of(case)
    parts = [case.backbone, case.module, case.placement]
    if case.channels is not None:
        parts.append(f"{case.channels}x{height}x{width}")
    elif case.size != DEFAULT_SIZE:
        parts.append(f"{height}x{width}")
    parts += ["fused"] if case.fused else []
    parts += [f"batch{conditions.batch}"] if conditions.batch > 1 else []
    parts += [conditions.precision] if conditions.precision != "fp32" else []
    stem = "_".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts if part)
    if len(stem) <= _LONGEST:
        return stem
    return f"{stem[:_LONGEST]}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"

"""The answer of a choice: its rows with all that is known of them, as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from attnbench.choosing.candidates import find_blocks, find_candidates, find_modules
from attnbench.choosing.known_accuracy import KnownAccuracy, read_accuracies
from attnbench.choosing.measurement import Measure
from attnbench.choosing.request import ChooseRequest
from attnbench.choosing.search import Found, Search, Verified
from attnbench.conformance.insertion import drift
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.cost_parts import CostPart
from attnbench.measure.latency import check_runtime
from attnbench.models.backbones import canonical_backbone
from attnbench.records.store import Run
from attnbench.registry.attention import Attention
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.case import DEFAULT_SIZE, Case, Conditions

RUNTIMES = ("eager", "onnxruntime", "openvino", "executorch")
"""Runtimes in which the answers are tried, where they are installed."""


@dataclass(frozen=True)
class AnswerRow:
    """One answer, or a network that was verified and does not meet the budget."""

    verified: Verified
    family: str
    drift: float | None
    runtimes: Sequence[str] | None
    """Runtimes that take it, the requested one first; None where no other was tried."""
    accuracy: KnownAccuracy | None
    command: str
    plain: CostPart

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object."""
        candidate, arm = self.verified.candidate, self.verified.timing.arm
        prediction = self.verified.prediction
        total, delta = self.plain + candidate.delta, candidate.delta
        return {
            "module": candidate.module,
            "family": self.family,
            "placement": candidate.placement,
            "sites": candidate.sites,
            "drift": self.drift,
            "runtimes": self.runtimes,
            "peak_bytes": self.verified.peak_bytes,
            "params": total.params,
            "macs": total.macs,
            "delta": {"params": delta.params, "macs": delta.macs},
            "predicted": 1 + prediction.value,
            "predicted_low": 1 + prediction.low,
            "predicted_high": 1 + prediction.high,
            "ratio": arm.ratio,
            "ratio_low": arm.low,
            "ratio_high": arm.high,
            "verdict": self.verified.verdict.verdict,
            "accuracy": self.accuracy and self.accuracy.to_json(),
            "command": self.command,
        }


@dataclass(frozen=True)
class Answer:
    """The answer of a choice."""

    request: ChooseRequest
    found: Found
    rows: Sequence[AnswerRow]
    over: Sequence[AnswerRow]
    """Verified networks that are over the budget, the least first."""

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers of candidates: all, within the exact limits, screened, verified."""
        return {
            "all": len(self.found.candidates.all),
            "within": len(self.found.within),
            "screened": len(self.found.predictions),
            "verified": len(self.found.verified),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document."""
        rows = [row.to_json() for row in self.rows]
        return {
            "backbone": self.request.backbone,
            "conditions": str(self.request.conditions),
            "budget": self.request.texts,
            "candidates": self.counts,
            "rows": rows,
            "answer": rows[0] if rows else None,
            "over": [row.to_json() for row in self.over],
            "not_screened": self.found.unscreened,
            "failed": {**self.found.candidates.refused, **self.found.failed},
        }


def find_answer(
    request: ChooseRequest,
    measurers: Measurers,
    measure: Measure,
    runs: Sequence[Run] = (),
    runtimes: Sequence[str] = RUNTIMES,
) -> Answer:
    """Return the modules and places that meet a request.

    Args:
        request: the request.
        measurers: measurers for exact costs.
        measure: function that measures cases and keeps their records.
        runs: runs whose accuracies determine the order.
        runtimes: names of further runtimes in which the answers are tried.

    Raises:
        RequestError: the network, a module or a place is wrong, or the network cannot be timed.
        MissingExtraError: the runtime is not available here.
    """
    request = replace(request, backbone=str(canonical_backbone(request.backbone)))
    check_runtime(request.conditions)
    modules = find_modules(request.modules, measurers.catalog)
    accuracies = read_accuracies(runs, request.backbone)
    search = new_search(request, modules, accuracies, measurers, measure)
    found = search.run()
    if found.problem:
        raise RequestError(f"{request.backbone} cannot be timed: {found.problem}")
    taken = _runtimes_of(found.rows, runtimes, search, measure)
    plain = measurers.cost.backbone_cost(request.backbone, request.size).plain
    over = [row for row in found.verified if row not in found.rows]

    def row(verified: Verified) -> AnswerRow:
        candidate = verified.candidate
        return AnswerRow(
            verified,
            candidate.family,
            _drift(modules[candidate.module]),
            taken.get(candidate.module),
            accuracies.get(candidate.module),
            command_of(request, verified),
            plain,
        )

    return Answer(
        request,
        found,
        [row(verified) for verified in found.rows],
        [row(verified) for verified in sorted(over, key=lambda row: row.overhead)],
    )


def new_search(
    request: ChooseRequest,
    modules: Mapping[str, Attention],
    accuracies: Mapping[str, KnownAccuracy],
    measurers: Measurers,
    measure: Measure,
) -> Search:
    """Return the search for a request whose backbone is canonical."""
    known = measurers.cost.backbone_cost(request.backbone, request.size)
    candidates = find_candidates(request, modules, measurers.cost)
    within = candidates.within(request.limits, known.plain)
    plain = Case("latency", request.backbone, None, None, None, request.size)
    network = plain.for_latency(request.conditions)
    blocks = find_blocks(known.survey)
    return Search(request, network, blocks, candidates, within, accuracies, measure)


def _drift(attention: Attention) -> float | None:
    """Return the drift of an untrained module, as ``attnbench show module`` has it."""
    with suppress(Exception):  # the module's own code
        for finding in drift(Subject(attention)):
            value: float | None = finding.values.get("drift")
            return value
    return None


def _runtimes_of(
    rows: Sequence[Verified], runtimes: Sequence[str], search: Search, measure: Measure
) -> Mapping[str, list[str]]:
    """Return the runtimes that take each row's module, tried in a section of the network."""
    own = search.request.conditions
    taken = {row.candidate.module: [own.runtime] for row in rows}
    for name in runtimes:
        conditions = replace(own, runtime=name)
        if name == own.runtime or not rows or not is_available(conditions):
            continue
        network = replace(search.network, conditions=conditions)
        cases = {
            row.candidate.module: search.screens[row.candidate.slots[-1]].case(
                network, row.candidate.module
            )
            for row in rows
        }
        records = measure([*cases.values()], search.until(1))
        for module, case in cases.items():
            if records.get(case.name, {}).get("status") == "ok":
                taken[module].append(name)
    return taken


def is_available(conditions: Conditions) -> bool:
    """Return whether a runtime can be used here under these conditions."""
    try:
        check_runtime(conditions)
    except (MissingExtraError, RequestError):
        return False
    return True


def command_of(request: ChooseRequest, verified: Verified) -> str:
    """Return the command that times a row again."""
    conditions, (height, width) = request.conditions, request.size
    candidate = verified.candidate
    words = ["attnbench", "latency", "-b", request.backbone, "-m", candidate.module]
    words += ["-p", candidate.placement, "--runtime", conditions.runtime]
    for key, value in conditions.overrides().items():
        words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    words += ["--size", f"{height}x{width}"] if request.size != DEFAULT_SIZE else []
    return shlex.join(words)

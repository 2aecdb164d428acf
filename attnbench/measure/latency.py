"""Latency cases: each network is validated in its runtime, then timed with the plain one.

The two steps are separate so that they can run in different processes: validation leaves the
exported artifact in a folder, and new processes load it and sample.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnbench.counting.peak_memory import peak_activations
from attnbench.devices import Device, find_device
from attnbench.devices.tf32 import products_of
from attnbench.errors import MissingExtraError, RequestError
from attnbench.measure.cost import CostMeter, module_facts
from attnbench.measure.network import inputs, network
from attnbench.runtimes.output_check import Agreement, agreement
from attnbench.runtimes.registry import runtime as find_runtime
from attnbench.runtimes.runtime import (
    BuiltModel,
    RuntimeBase,
    RuntimeFailure,
    RuntimeSettings,
    precisions_on,
)
from attnbench.stats.timing_samples import AGAIN
from attnbench.suites.case import GRAPHED, Case, Conditions, conditions_of
from attnbench.system.cpu import isa, processor
from attnbench.system.provenance import versions
from attnbench.timing.clock import Clock, single_thread_clock
from attnbench.timing.isolation import allowed_cores, keep_heap, quiet
from attnbench.timing.sampler import Sampling, sample
from attnbench.utils.process_settings import find_changes, preserve_settings, read_settings

METHOD = 1
"""Version of the timing method; a higher one invalidates older latency records."""
_PROOFS = 16
"""Number of inputs on which an output is compared with that of eager mode."""


class NetworkTimer(ABC):
    """Validation and sampling of the networks of latency cases, whatever they are built from."""

    owns_process: ClassVar[bool] = True
    """Whether the process is one for timing alone, whose heap may be configured."""

    @abstractmethod
    def network(self, case: Case) -> nn.Module:
        """Return a new copy of a case's network, in evaluation mode."""

    @abstractmethod
    def inputs(self, case: Case, count: int = 1) -> list[Tensor]:
        """Return inputs of a case's network with at least ``count`` images in total."""

    def facts(self, case: Case) -> dict[str, Any]:
        """Return further entries of a case's record."""
        return {}

    def validate(self, case: Case, folder: Path) -> dict[str, Any]:
        """Build a case's network in its runtime and compare its output with that of eager mode.

        Returns:
            The entries of the case's record: ``values``, ``runtime``, and the :meth:`facts`.

        Raises:
            RuntimeFailure: the network cannot be exported, or its output differs.
            RequestError: the case is invalid.
        """
        with _products(case):
            built, agreed = self._validated(case, folder)
            values = {
                **_values(built, agreed),
                **_launch_values(case, built),
                "peak_bytes": self._peak(case, built, folder),
            }
            return {
                "values": values,
                "runtime": _runtime_facts(self._noted(built, case), conditions_of(case)),
                **self.facts(case),
            }

    def ready(self, case: Case, folder: Path) -> Callable[[], object]:
        """Return one inference of a case's network, its output validated as in :meth:`validate`.

        On an accelerator the call waits for the device to finish.
        """
        with _products(case):
            run = _timed_call(case, self._validated(case, folder)[0])
        return run if conditions_of(case).device == "cpu" else _waiting(run, case)

    def _validated(self, case: Case, folder: Path) -> tuple[BuiltModel, Agreement]:
        """Return the built network and the agreement of its output with that of eager mode."""
        conditions = conditions_of(case)
        runtime = find_runtime(conditions.runtime)
        torch.set_num_threads(conditions.threads)
        with preserve_settings() as before:
            if case.backbone is None:
                self._refuse_in_place(case)
            built = self._build(case, folder)
            agreed = self._agreement(case, built)
            _refuse_changes(case, find_changes(before, read_settings()))
        problem = agreed.problem(runtime.title, _settings(case))
        if problem:
            raise RuntimeFailure(problem)
        return built, agreed

    def sample(
        self,
        cases: Sequence[Case],
        folder: Path,
        sampling: Mapping[str, Any],
        report: Callable[[str], object] = str,
    ) -> dict[str, Any]:
        """Time the cases of one session with their plain network; return samples by case name."""
        conditions = conditions_of(cases[0])
        plain = cases[0].plain
        heap = self.owns_process and keep_heap()  # before any large allocation
        torch.set_num_threads(conditions.threads)
        device = find_device(conditions.device)
        with quiet(conditions.threads) as fixed, _products(plain):
            arms = dict.fromkeys((plain, *cases))
            runs = {case.name: self._run(case, folder) for case in arms}
            samples = sample(
                runs,
                plain.name,
                Sampling(**sampling),
                clock=_clock(conditions),
                again=self._run(plain, folder),
                throttled=device.throttled,
                report=report,
            )
            facts = {**samples.conditions, **fixed, "heap_kept": heap, **device.sampling_facts()}
        samples = replace(samples, conditions=facts)
        return {
            case.name: samples.only(AGAIN if case == plain else case.name).to_json()
            for case in cases
        }

    def _run(self, case: Case, folder: Path) -> Callable[[], object]:
        return _timed_call(case, self._build(case, folder))

    def _build(self, case: Case, folder: Path) -> BuiltModel:
        model, (given, *_) = self.network(case), self.inputs(case)
        runtime = find_runtime(conditions_of(case).runtime)
        return runtime.build(model, given, _settings(case), artifacts(case, folder))

    def _peak(self, case: Case, built: BuiltModel, folder: Path) -> int | None:
        device = find_device(conditions_of(case).device)
        if device.name != "cpu":
            return device.peak_bytes(built.run) if built.allocates_in_torch else None
        return self._analytic_peak(case, artifacts(case, folder))

    def _agreement(self, case: Case, built: BuiltModel) -> Agreement:
        # the reference is the unfused form, also where the fused one runs: to detect a wrong fuse()
        reference = self.network(replace(case, fused=False))
        return agreement(built, reference, self.inputs(case, _PROOFS), _settings(case))

    def _analytic_peak(self, case: Case, folder: Path) -> int | None:
        """Return the peak of live activations; one export of the graph serves all runtimes."""
        cached = folder / "peak.json"
        if not cached.is_file():
            try:
                given = self.inputs(case)[0]
                peak: int | None = peak_activations(self.network(case), given).bytes
            except Exception:  # without an export there is no graph, but eager mode still runs
                peak = None
            cached.write_text(json.dumps(peak), encoding="utf-8")
        stored: int | None = json.loads(cached.read_text(encoding="utf-8"))
        return stored

    def _noted(self, built: BuiltModel, case: Case) -> BuiltModel:
        """Return the network with a note for the tables if its output is not finite."""
        if bool(torch.isfinite(built.output(self.inputs(case)[0])).all()):
            return built
        return replace(built, notes=(*built.notes, "the output is not finite"))

    def _refuse_in_place(self, case: Case) -> None:
        """Raise RuntimeFailure if a module overwrites its input, which would change every call."""
        given = self.inputs(case)[0]
        kept = given.clone()
        with torch.inference_mode():
            self.network(case)(given)
        if not torch.equal(given, kept):
            raise RuntimeFailure(
                f"{case.module or 'the baseline'} changes its input in place; clone it first, or "
                "time it in a backbone"
            )


class LatencyMeter(NetworkTimer):
    """A meter of latency cases, whose networks are built by their specs.

    Args:
        cost: cost meter that provides backbones and slots.
    """

    def __init__(self, cost: CostMeter) -> None:
        self.cost = cost

    def network(self, case: Case) -> nn.Module:
        """Return a new copy of a case's network, in evaluation mode."""
        return network(case, self.cost)

    def inputs(self, case: Case, count: int = 1) -> list[Tensor]:
        """Return inputs of a case's network with at least ``count`` images in total."""
        return inputs(case, count, self.cost)

    def facts(self, case: Case) -> dict[str, Any]:
        """Return the entries of a record that describe the module: ``slots``, ``card``."""
        return module_facts(case, self.cost.slots(case), self.cost.catalog)

    def places(self, case: Case) -> set[tuple[int, tuple[int, int]]]:
        """Return channels and map sizes of a case's modules."""
        return self.cost.places(case)

    def check(self, case: Case) -> None:
        """Raise an error for an invalid case, without building a network.

        Raises:
            MissingExtraError: its runtime, or a precision of it, is not available here.
            RequestError: the case is invalid.
        """
        check_runtime(conditions_of(case))
        self.cost.check(case)


def _products(case: Case) -> AbstractContextManager[None]:
    conditions = conditions_of(case)
    return products_of(conditions.precision, find_device(conditions.device).kind)


def _timed_call(case: Case, built: BuiltModel) -> Callable[[], object]:
    """Return the call that is timed: the network's, or the replay of its CUDA graph."""
    conditions = conditions_of(case)
    if not conditions.graph:
        return built.run
    return find_device(conditions.device).capture_graph(built.run)


def _launch_values(case: Case, built: BuiltModel) -> dict[str, float]:
    """Return the share of the time on a CUDA device in which calls are launched."""
    device = find_device(conditions_of(case).device)
    share = device.launch_share(_timed_call(case, built)) if device.kind == "cuda" else None
    return {} if share is None else {"launch_share": share}


def _waiting(run: Callable[[], object], case: Case) -> Callable[[], object]:
    device = find_device(conditions_of(case).device)

    def call() -> object:
        with _products(case):
            result = run()
            device.synchronize()
        return result

    return call


def check_runtime(conditions: Conditions) -> None:
    """Raise :class:`MissingExtraError` if the runtime cannot run here under these conditions."""
    runtime = find_runtime(conditions.runtime)
    missing = runtime.missing()
    if missing:
        raise MissingExtraError(missing)
    device: Device = find_device(conditions.device)
    _check_device(device, conditions)
    if conditions.threads > len(allowed_cores()):
        raise MissingExtraError(
            f"threads exceed the {len(allowed_cores())} cores of this process: got "
            f"{conditions.threads}"
        )
    if device.kind not in runtime.devices:
        raise MissingExtraError(
            f"runtime {runtime.name} does not support the device: got {conditions.device}. It "
            f"supports {', '.join(runtime.devices)}"
        )
    precisions = precisions_on(runtime, device.kind)
    if conditions.precision not in precisions:
        raise MissingExtraError(
            f"runtime {runtime.name} does not support the precision: got {conditions.precision}. "
            f"On {device.kind} it supports {', '.join(precisions)}"
        )
    if lacking := runtime.missing_on(device.kind) if isinstance(runtime, RuntimeBase) else None:
        raise MissingExtraError(lacking)


def _check_device(device: Device, conditions: Conditions) -> None:
    if (conditions.cold or conditions.graph) and device.kind != "cuda":
        wanted = "cold caches" if conditions.cold else "CUDA graphs"
        raise RequestError(f"{wanted} need a CUDA device: got {device.name}")
    if conditions.graph and conditions.runtime not in GRAPHED:
        raise RequestError(
            f"CUDA graphs are not supported by the runtime: got {conditions.runtime}. Choose from "
            f"{', '.join(GRAPHED)}"
        )


def _settings(case: Case) -> RuntimeSettings:
    conditions = conditions_of(case)
    device = find_device(conditions.device).name
    return RuntimeSettings(conditions.threads, conditions.precision, device)


def artifacts(case: Case, folder: Path) -> Path:
    """Return the folder of a network's artifacts, the same for all runtimes and precisions."""
    conditions = conditions_of(case)
    alike = replace(case, conditions=Conditions("any", conditions.batch))
    digest = hashlib.sha256(alike.name.encode()).hexdigest()[:16]
    path = folder / digest
    path.mkdir(parents=True, exist_ok=True)
    return path


def _refuse_changes(case: Case, changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise RuntimeFailure if a module changes settings, under which others would be timed."""
    for setting, (old, new) in changes.items():
        if case.module is not None:
            raise RuntimeFailure(
                f"{case.module} changes {setting} of the process from {old} to {new} in its "
                "forward pass, and would disturb what is timed beside it. Set it outside of the "
                "module"
            )


def _values(built: BuiltModel, agreed: Agreement) -> dict[str, int | float | None]:
    return {
        "export_s": built.export_s,
        "load_s": built.load_s,
        "artefact_bytes": built.artifact.stat().st_size if built.artifact else None,
        # a NaN in the output gives an infinite error, which JSON cannot represent
        "max_error": agreed.max_error if math.isfinite(agreed.max_error) else None,
        "tolerance": agreed.tolerance,
        "sqnr_db": agreed.sqnr_db,
        "top1_agreement": agreed.top1,
    }


def _runtime_facts(built: BuiltModel, conditions: Conditions) -> dict[str, Any]:
    runtime = find_runtime(conditions.runtime)
    return {
        "title": runtime.title,
        "versions": versions(runtime.packages),
        "processor": processor(),
        "isa": isa(),
        "device": find_device(conditions.device).describe(),
        "fallbacks": dict(built.fallbacks),
        "notes": list(built.notes),
    }


def _clock(conditions: Conditions) -> Clock:
    """Return the suitable clock: single-thread time without other programs, or the device's own."""
    if conditions.device == "cpu" and conditions.threads == 1:
        return single_thread_clock()
    device = find_device(conditions.device)
    return device.cold_clock if conditions.cold else device.clock

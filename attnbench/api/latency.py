"""Latency of models that are given as objects, as ``attnbench latency`` measures specs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from attnbench.counting.forward_pass import checked_size
from attnbench.errors import AttnbenchError, RequestError, suggestion, unknown
from attnbench.measure.given_models import GivenModels
from attnbench.measure.latency import check_runtime
from attnbench.runtimes.registry import runtime as find_runtime
from attnbench.runtimes.runtime import PRECISIONS
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.stats.verdict import LatencyRule
from attnbench.suites.case import Conditions
from attnbench.system.cpu import isa, processor
from attnbench.system.provenance import versions
from attnbench.timing.comparison import Comparison
from attnbench.timing.sampler import ArmError, Sampling
from attnbench.utils.process_settings import preserve_settings
from attnbench.utils.scratch import scratch_folder
from attnbench.utils.text import describe

IN_PROCESS = "this one: models given as objects are not sent to a fresh process"


def measure_latency(
    models: Mapping[str, nn.Module],
    *,
    baseline: str,
    runtime: str = "eager",
    input_size: Sequence[int] = (1, 3, 224, 224),
    batch: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    threads: int = 1,
    cold: bool = False,
    graph: bool = False,
    budget_s: float = 5.0,
    rule: LatencyRule | None = None,
) -> Comparison:
    """Compare the latency of models in a runtime, as ``attnbench latency`` does.

    Each output is compared with that of eager mode first; then all models are timed in random
    order within each round, and a copy of the baseline as the A/A arm. This happens in this
    process, whereas the command starts a fresh one: ``conditions`` of the result say so. The
    models are not changed; those that fail are left out, with the reason in ``failed``.

    Args:
        models: name -> model with one input and one output.
        baseline: name of the model with which the others are compared.
        runtime: name of a runtime, see ``attnbench list runtimes``.
        input_size: shape of the input, the batch first.
        batch: number of images, instead of the first number of ``input_size``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"fp32"``, ``"tf32"``, ``"bf16"``, ``"fp16"`` or ``"int8"``.
        threads: number of threads, and of processors to which this process is pinned meanwhile.
        cold: on CUDA, overwrite the cache before each call.
        graph: on CUDA, replay each call as a CUDA graph.
        budget_s: seconds of sampling after warm-up; fewer when all intervals are narrow.
        rule: criterion of a difference.

    Raises:
        RequestError: an argument is wrong, or the baseline failed.
        MissingExtraError: the runtime, or the device, is not available here.
    """
    _check(models, baseline, precision, threads)
    size = checked_size(input_size)
    size = size if batch is None else checked_size((batch, *size[1:]))
    conditions = Conditions(
        find_runtime(runtime).name, size[0], precision, device, threads, cold, graph
    )
    check_runtime(conditions)
    sampling = Sampling(budget_s=budget_s)
    timer = GivenModels(models, baseline, size, conditions)
    with preserve_settings(), scratch_folder() as folder:
        facts, failed = _validated(timer, baseline, folder)
        samples = _sampled(timer, baseline, folder, sampling, failed)
    samples = replace(samples, conditions=_described(samples, conditions, size))
    return Comparison(samples, rule or LatencyRule(), facts, failed)


def _described(
    samples: TimingSamples, conditions: Conditions, size: Sequence[int]
) -> dict[str, Any]:
    """Return everything that the times of a comparison depend on, besides the models."""
    return {
        **asdict(conditions),
        "input_size": tuple(size),
        "process": IN_PROCESS,
        "processor": processor(),
        "isa": isa(),
        "versions": versions(find_runtime(conditions.runtime).packages),
        **samples.conditions,
    }


def _check(models: Mapping[str, nn.Module], baseline: str, precision: str, threads: int) -> None:
    if not isinstance(models, Mapping) or not models:
        got = "an empty one" if isinstance(models, Mapping) else f"a {type(models).__name__}"
        raise RequestError(f"models must be a mapping from name to model: got {got}.")
    for name, model in models.items():
        if not isinstance(name, str) or name == AGAIN:
            raise RequestError(f"names of models must be strings, and not {AGAIN!r}: got {name!r}.")
        if not isinstance(model, nn.Module):
            raise RequestError(f"model {name!r} must be a nn.Module: got a {type(model).__name__}.")
    if baseline not in models:
        raise RequestError(
            f"baseline is not one of the models: got {baseline!r}."
            f"{suggestion(str(baseline), models)} Models: {', '.join(models)}."
        )
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise RequestError(f"threads must be a whole number, 1 or more: got {threads!r}.")


def _validated(
    timer: GivenModels, baseline: str, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the facts of each validated model, and the reasons of the others."""
    facts, failed = {}, {}
    for name, case in timer.cases.items():
        try:
            proof = timer.validate(case, folder)
        except AttnbenchError as error:
            failed[name] = str(error)
        except Exception as error:  # of the model's own code: it costs no other model its result
            failed[name] = describe(error)
        else:
            kept = {key: proof["runtime"][key] for key in ("fallbacks", "notes")}
            facts[name] = {**proof["values"], **kept}
    if baseline in failed:
        raise RequestError(f"the baseline {baseline!r} failed: {failed[baseline]}")
    return facts, failed


def _sampled(
    timer: GivenModels, baseline: str, folder: Path, sampling: Sampling, failed: dict[str, str]
) -> TimingSamples:
    """Return the samples of all models that do not fail while they are timed."""
    cases = {name: case for name, case in timer.cases.items() if name not in failed}
    names = {case.name: name for name, case in cases.items()}
    while True:
        try:
            found = timer.sample([*cases.values()], folder, vars(sampling))
        except ArmError as error:
            name = names.get(error.arm, baseline)
            if name == baseline:
                raise RequestError(f"the baseline {baseline!r} failed: {error}") from error
            failed[name] = f"while timing: {describe(error.__cause__ or error)}"
            del cases[name]
        else:
            arms = {name: case.name for name, case in cases.items()}
            parts = {name: TimingSamples.from_json(found[arm]) for name, arm in arms.items()}
            return _together(parts, arms, baseline)


def _together(
    parts: Mapping[str, TimingSamples], arms: Mapping[str, str], baseline: str
) -> TimingSamples:
    """Return the samples of all models, which were timed in the same rounds, by their names."""
    first = parts[baseline]
    return replace(
        first,
        baseline=baseline,
        seconds={name: part.seconds[arms[name]] for name, part in parts.items()}
        | {AGAIN: first.seconds[AGAIN]},
        calls={name: part.calls[arms[name]] for name, part in parts.items()}
        | {AGAIN: first.calls[AGAIN]},
    )

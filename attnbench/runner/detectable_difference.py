"""The minimum detectable difference in accuracy, reported before the training starts."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from attnbench.datasets.dataset import data_root
from attnbench.datasets.registry import dataset as find_dataset
from attnbench.datasets.registry import load
from attnbench.records.format import Record
from attnbench.runner.job import Job
from attnbench.stats.power import detectable, sd_floor
from attnbench.suites.case import Case, training_of

_EXPECTED_TOP1 = 90.0
"""Assumed top-1 accuracy, in percent, of an unmeasured plain backbone."""


def detection(job: Job) -> Iterator[str]:
    """Yield a line for each data set: the true difference detected with a power of 0.8."""
    seeds: dict[str, set[int]] = {}
    for case in job.cases:
        if case.training is not None:
            seeds.setdefault(case.training.dataset, set()).add(case.training.seed)
    for dataset, own in seeds.items():
        spread, source = _spread(job, dataset)
        if spread is None:
            continue
        if len(own) < 3:
            seeds_give = "1 seed gives" if len(own) == 1 else f"{len(own)} seeds give"
            yield f"{dataset}: {seeds_give} no verdict; 3 are the least"
            continue
        found = detectable(spread, len(own))
        yield (
            f"{dataset}: with {len(own)} seeds a true difference of {found:.2g} points is found 8 "
            f"times out of 10, if paired differences spread by {spread:.2g} points ({source})"
        )


def data_notes(job: Job) -> Iterator[str]:
    """Yield a line for each data set but complete published ones: its images and notes."""
    names = dict.fromkeys(case.training.dataset for case in job.pending if case.training)
    for name in names:
        found = find_dataset(name)
        if found.class_count(data_root()) is None:
            data = load(name)
            numbers = [] if found.counts else [data.summary]
            yield f"{name}: {'; '.join([*numbers, *data.notes])}"


def _spread(job: Job, dataset: str) -> tuple[float | None, str]:
    """Return the standard deviation of a paired difference, or its floor, and the source."""
    measured = _measured(job, dataset)
    if measured:
        return median(measured), "as in the records that are there"
    if not any(case.training and case.training.dataset == dataset for case in job.pending):
        return None, ""
    found = find_dataset(dataset)
    subset = found.class_count(data_root()) is None
    images = len(load(dataset).test) if subset or not found.counts else found.counts[1]
    floor = sd_floor(images, _EXPECTED_TOP1)
    return floor, f"the least that {images:,} test images allow; more is likely"


def _measured(job: Job, dataset: str) -> list[float]:
    """Return the standard deviation over seeds of each measured arm's paired difference."""
    import numpy as np

    found: dict[str, list[float]] = {}
    for case in job.cases:
        plain = _record(job, case.plain)
        own = _record(job, case)
        if case.module and own and plain and training_of(case).dataset == dataset:
            difference = float(own.values["top1"] or 0) - float(plain.values["top1"] or 0)
            found.setdefault(case.key, []).append(difference)
    spreads = [
        float(np.std(differences, ddof=1)) for differences in found.values() if len(differences) > 1
    ]
    return [spread for spread in spreads if spread > 0]


def _record(job: Job, case: Case) -> Record | None:
    record = job.done.get(case.name)
    return record if record is not None and record.kind == "accuracy" else None

"""The values of an overview as data: one object for each module at each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attnbench.reports.overview.columns import ranked

if TYPE_CHECKING:
    from attnbench.reports.overview.entries import OverviewEntry, Place
    from attnbench.reports.tables.accuracy_results import PairedTrainings
    from attnbench.reports.tables.latency_results import LatencyCell

COUNTS = ("params", "macs", "activations", "bytes")


def objects(place: Place) -> list[dict[str, Any]]:
    """Return the JSON objects, with every setting of the runs, including those not in tables."""
    return [_object(place, entry) for entry in ranked(place)]


def lines(place: Place) -> Iterator[Mapping[str, Any]]:
    """Yield the CSV lines: the same objects, flattened, with column names joined by slashes."""
    for record in objects(place):
        flat: dict[str, Any] = {
            key: record[key] for key in ("placement", "module", "family", "paper")
        }
        for kind in ("costs", "latencies", "accuracies"):
            for entry in record[kind]:
                where = "/".join(str(entry[key]) for key in _WHERE[kind] if entry.get(key))
                values = {key: v for key, v in entry.items() if key not in _WHERE[kind]}
                flat |= {f"{where}/{key}": value for key, value in values.items()}
        yield flat


_WHERE = {
    "costs": ("backbone",),
    "latencies": ("backbone", "conditions", "form"),
    "accuracies": ("backbone", "dataset", "recipe"),
}


def _object(place: Place, entry: OverviewEntry) -> dict[str, Any]:
    return {
        "module": entry.module,
        "placement": place.name,
        "family": entry.card.get("family"),
        "paper": entry.card.get("short"),
        "costs": [_cost(name, result) for name, result in entry.costs.items()],
        "latencies": [
            *({**_where(at), **_timed("plain", cell)} for at, cell in entry.latencies.items()),
            *({**_where(at), **_timed("fused", cell)} for at, cell in entry.fused.items()),
        ],
        "accuracies": [
            {"backbone": at.backbone, "dataset": at.name, "recipe": at.recipe, **_trained(pair)}
            for at, pair in entry.accuracies.items()
        ],
    }


def _where(setting: Any) -> dict[str, Any]:
    return {"backbone": setting.backbone, "conditions": setting.name}


def _cost(backbone: str, result: Any) -> dict[str, Any]:
    counts = {key: result.values.get(key) for key in COUNTS}
    deltas = {f"delta_{key}": result.values.get(f"delta_{key}") for key in COUNTS}
    return {"backbone": backbone, "status": result.status, **counts, **deltas}


def _timed(form: str, cell: LatencyCell) -> dict[str, Any]:
    arm = cell.timing.arm if cell.timing else None
    return {
        "form": form,
        "status": cell.status,
        "ratio": arm and arm.ratio,
        "ratio_low": arm and arm.low,
        "ratio_high": arm and arm.high,
        "verdict": cell.judgement.verdict if cell.judgement else None,
        "median_ms": cell.timing and 1000 * cell.timing.own.median,
        "peak_bytes": cell.values.get("peak_bytes"),
    }


def _trained(pair: PairedTrainings) -> dict[str, Any]:
    found = pair.difference()
    mean = pair.mean()
    return {
        "status": pair.status,
        "seeds": len(pair.seeds),
        "top1_mean": mean and mean.mean,
        "difference": found and found.mean,
        "difference_low": found and found.low,
        "difference_high": found and found.high,
        "verdict": pair.judgement.verdict if pair.judgement else None,
    }

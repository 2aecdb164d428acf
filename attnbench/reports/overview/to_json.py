"""The figures of an overview as data: one object for each module at each place."""

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
    """Return what JSON holds: every setting of the runs, those that tables leave out as well."""
    return [_object(place, entry) for entry in ranked(place)]


def lines(place: Place) -> Iterator[Mapping[str, Any]]:
    """Yield what CSV holds: the same, flat; names of columns join their parts by a slash."""
    for one in objects(place):
        flat: dict[str, Any] = {key: one[key] for key in ("placement", "module", "family", "paper")}
        for kind in ("costs", "latencies", "accuracies"):
            for entry in one[kind]:
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
        "costs": [_cost(name, one) for name, one in entry.costs.items()],
        "latencies": [
            *({**_where(at), **_timed("plain", one)} for at, one in entry.latencies.items()),
            *({**_where(at), **_timed("fused", one)} for at, one in entry.fused.items()),
        ],
        "accuracies": [
            {"backbone": at.backbone, "dataset": at.name, "recipe": at.recipe, **_trained(one)}
            for at, one in entry.accuracies.items()
        ],
    }


def _where(setting: Any) -> dict[str, Any]:
    return {"backbone": setting.backbone, "conditions": setting.name}


def _cost(backbone: str, result: Any) -> dict[str, Any]:
    counts = {key: result.values.get(key) for key in COUNTS}
    deltas = {f"delta_{key}": result.values.get(f"delta_{key}") for key in COUNTS}
    return {"backbone": backbone, "status": result.status, **counts, **deltas}


def _timed(form: str, one: LatencyCell) -> dict[str, Any]:
    arm = one.timing.arm if one.timing else None
    return {
        "form": form,
        "status": one.status,
        "ratio": arm and arm.ratio,
        "ratio_low": arm and arm.low,
        "ratio_high": arm and arm.high,
        "verdict": one.judgement.verdict if one.judgement else None,
        "median_ms": one.timing and 1000 * one.timing.own.median,
        "peak_bytes": one.values.get("peak_bytes"),
    }


def _trained(one: PairedTrainings) -> dict[str, Any]:
    found = one.difference()
    mean = one.mean()
    return {
        "status": one.status,
        "seeds": len(one.seeds),
        "top1_mean": mean and mean.mean,
        "difference": found and found.mean,
        "difference_low": found and found.low,
        "difference_high": found and found.high,
        "verdict": one.judgement.verdict if one.judgement else None,
    }

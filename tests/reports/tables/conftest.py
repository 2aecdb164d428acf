from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attnbench_modules import MODULES

from attnbench.registry.plugins import Catalog
from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.report import Report
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan

COLUMNS = ["label", "placement", "printed_params", "printed_macs", "params", "macs"]
ULSAM_CARD = {
    "title": "ULSAM",
    "short": "Saini, WACV'20",
    "key": "saini2020ulsam",
    "bibtex": "@inproceedings{saini2020ulsam,\n  title = {{ULSAM}},\n}\n",
    "traits": {"subspace": True, "mlp": False, "conv1x1": False},
    "printed": {
        "source": "slides",
        "params_text": "2m",
        "macs_text": "2m*h*w",
        "params_tex": "2m",
        "macs_tex": "2mhw",
        "differences": ["Biases are left out."],
    },
}
VALUES = {
    "params": 3_505_684,
    "trainable": 3_505_684,
    "params_no_norm": 3_471_380,
    "macs": 300_789_952,
    "activations": 6_686_168,
    "bytes": 173_000_000,
    "delta_params": 812,
    "delta_macs": 15_680,
    "paper_delta_params": 320,
    "paper_delta_macs": 15_680,
    "paper_params": 1024,
    "paper_macs": 200_704,
}


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    found = Catalog()
    found.add_table(MODULES, "attnbench")
    return found


@pytest.fixture
def content() -> dict[str, Any]:
    """A suite of one table: MobileNetV2, plain and with ULSAM."""
    return {
        "suite": {"name": "small", "title": "A small suite", "source": "A paper"},
        "nominal": {"mobilenet_v2": {"params": 3.4e6, "macs": 300e6}},
        "table": [
            {
                "columns": list(COLUMNS),
                "row": [
                    {"label": "MV2", "backbone": "mobilenet_v2", "printed": {"macs": "300M"}},
                    {
                        "label": "MV2 + ULSAM",
                        "backbone": "mobilenet_v2",
                        "module": "ulsam",
                        "placement": "after:17",
                        "printed": {"params": "3.4M", "macs": "300.01M"},
                    },
                ],
            }
        ],
    }


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    def make(values: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        return {
            "kind": "cost",
            "status": "ok",
            "reason": None,
            "values": VALUES | dict(values or {}),
            "slots": [],
            "card": None,
            "counters": None,
            **fields,
        }

    return make


@pytest.fixture
def report_of(catalog: Catalog, record: Callable[..., dict[str, Any]]) -> Callable[..., Report]:
    """Build a report; every case without a record in `records` gets the same ok one."""

    def make(
        content: dict[str, Any],
        records: Mapping[str, Any] | None = None,
        *,
        added: tuple[str, ...] = (),
        missing: tuple[str, ...] = (),
    ) -> Report:
        suite = parse_suite(content, "small.toml")
        tables = plan(suite, catalog, added)
        known = {
            case.name: record(card=ULSAM_CARD if case.module else None)
            for case in all_cases(tables)
            if case.name not in missing
        }
        return build_report(suite, tables, known | dict(records or {}), {"attnbench": "0.1.0"})

    return make

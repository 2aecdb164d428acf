"""Papers of small suites, with a record for every case."""

import pytest

from attnbench.reports.paper.build_paper import build_paper
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import all_cases, plan

from ..tables.conftest import ULSAM_CARD, catalog, content, record

__all__ = ["catalog", "content", "record"]


@pytest.fixture
def paper_of(catalog, record):
    """Return a function that builds a suite's tables for a paper."""

    def make(content, records=None, added=(), **options):
        suite = parse_suite(content, "small.toml")
        tables = plan(suite, catalog, added)
        known = {
            case.name: record(card=ULSAM_CARD if case.module else None)
            for case in all_cases(tables)
        }
        return build_paper(suite, tables, known | (records or {}), **options)

    return make

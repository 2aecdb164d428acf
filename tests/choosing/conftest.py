"""A network whose times are known: every case is answered at once, and the clock moves as it is told."""

from dataclasses import dataclass, field

import pytest

from attnbench.choosing.candidates import find_blocks, find_candidates, find_modules
from attnbench.choosing.request import ChooseRequest, parse_limit
from attnbench.choosing.search import Search
from attnbench.measure.cost import CostMeter
from attnbench.registry.plugins import catalog
from attnbench.stats.timing_samples import AGAIN, TimingSamples
from attnbench.suites.case import Case, Conditions

BACKBONE = "mobilenet_v3_small"
PLAIN_S, SECTION_S = 0.01, 0.001


def request_of(overhead="5%", **fields):
    limits = {key: parse_limit(key, text) for key, text in fields.pop("limits", {}).items()}
    return ChooseRequest(
        fields.pop("backbone", BACKBONE),
        Conditions("eager"),
        parse_limit("--max-overhead", overhead, share=True),
        limits,
        size=(64, 64),
        **fields,
    )


@pytest.fixture(scope="package")
def meter():
    return CostMeter(catalog())


@dataclass
class Machine:
    """Times of a machine on which a module takes ``seconds[module]`` at each site, wherever it is.

    Whole networks take ``factor`` of what the sum predicts.
    """

    seconds: dict
    meter: CostMeter
    factor: float = 1.0
    broken: tuple = ()
    takes: float = 0.0
    now: float = 0.0
    calls: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)

    def __call__(self, cases, until):
        found = {}
        for case in cases:
            if case.name not in self.kept:
                self.calls.append(case)
                self.now += self.takes
                if self.now > until:
                    break
                self.kept[case.name] = self.record(case)
            found[case.name] = self.kept[case.name]
        return found

    def record(self, case):
        if case.module in self.broken:
            return {"case": case.name, "status": "failed", "reason": "cannot be exported"}
        base = SECTION_S if case.section and case.module else PLAIN_S
        arm = SECTION_S if case.section else PLAIN_S
        if case.module:
            sites = 1 if case.section else len(self.meter.slots(case))
            arm = base + self.seconds[case.module] * sites * (1 if case.section else self.factor)
        rows = {case.plain.name: base, AGAIN: base, case.name: arm}
        if case == case.plain:
            del rows[case.name]
            rows[case.plain.name] = base
        seconds = {name: (value,) * 30 for name, value in rows.items()}
        calls = dict.fromkeys(seconds, 1)
        samples = TimingSamples(case.plain.name, seconds, calls, 0.0, 1.0, "rounds")
        return {
            "case": case.name,
            "status": "ok",
            "samples": [samples.to_json()],
            "conditions": case.to_json(),
            "values": {"peak_bytes": 1000},
        }


@pytest.fixture
def search_on(meter):
    """Return the search for a request on a machine."""

    def make(request, machine, known=None):
        modules = find_modules(request.modules, catalog())
        candidates = find_candidates(request, modules, meter)
        cost = meter.backbone_cost(request.backbone, request.size)
        within = candidates.within(request.limits, cost.plain)
        network = Case("latency", request.backbone, None, None, None, request.size)
        network = network.for_latency(request.conditions)
        blocks = find_blocks(cost.survey)
        return Search(
            request, network, blocks, candidates, within, known or {}, machine, lambda: machine.now
        )

    return make

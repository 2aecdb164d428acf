"""The search: exact limits, screening in sections, prediction, verification of whole networks."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from attnbench.choosing.candidates import Candidate, Candidates
from attnbench.choosing.known_accuracy import KnownAccuracy, rank_of
from attnbench.choosing.measurement import Measure
from attnbench.choosing.prediction import Deviations, Prediction, SiteEffect, known_part, predict
from attnbench.choosing.request import ChooseRequest
from attnbench.choosing.sections import Screen, counts_of, screens_of
from attnbench.models.sites import Site
from attnbench.records.latency_result import LatencyResult, judge_timings
from attnbench.reports.tables.case_results import read_timings
from attnbench.stats.verdict import Verdict
from attnbench.suites.case import Case

MOST_ROWS = 8
MOST_OF_A_FAMILY = 2
_BATCH = 4
"""Networks that are verified in one session."""
_GROUP = 10
"""Modules that are screened together in all other sections."""
_SCREENING = 0.6
"""Share of the budget for the sections."""


@dataclass(frozen=True)
class Verified:
    """A candidate timed as a whole network."""

    candidate: Candidate
    prediction: Prediction
    timing: LatencyResult
    verdict: Verdict
    peak_bytes: int | None

    @property
    def overhead(self) -> float:
        """Measured overhead as a share of the plain network's latency."""
        return self.timing.arm.ratio - 1


@dataclass
class Found:
    """The outcome of a search."""

    candidates: Candidates
    within: list[Candidate] = field(default_factory=list)
    """Candidates within the exact limits."""
    predictions: dict[Candidate, Prediction] = field(default_factory=dict)
    verified: list[Verified] = field(default_factory=list)
    """Everything that was verified, whether or not it meets the budget."""
    rows: list[Verified] = field(default_factory=list)
    """The answers: within the budget, in order."""
    unscreened: list[str] = field(default_factory=list)
    """Modules with candidates that may fit and could not be predicted in time."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons by module."""
    plain_peak: int | None = None
    """Peak of live activations of the plain network, in bytes."""
    problem: str = ""
    """Reason why nothing could be timed."""


class Search:
    """A search for the modules and places that meet a request.

    Args:
        request: the request.
        network: latency case of the plain network.
        blocks: blocks of the network, in order.
        candidates: all candidates.
        within: those within the exact limits.
        known: known accuracies by module.
        measure: function that measures cases and keeps their records.
        clock: clock of the budget.
    """

    def __init__(
        self,
        request: ChooseRequest,
        network: Case,
        blocks: Sequence[Site],
        candidates: Candidates,
        within: Sequence[Candidate],
        known: Mapping[str, KnownAccuracy],
        measure: Measure,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = request
        self.network = network
        self.known = known
        self.found = Found(candidates, list(within))
        self.screens = screens_of(within, blocks)
        self.counts = {candidate: counts_of(candidate, self.screens) for candidate in within}
        self.effects: dict[tuple[str, Screen], SiteEffect] = {}
        self.deviations = Deviations()
        self._measure = measure
        self._clock = clock
        self._start = clock()
        self._most = request.overhead.value
        self._most_peak = float("inf")

    def run(self) -> Found:
        """Return what is found within the budget of time."""
        if self.found.within:
            self.screen()
            self._verify()
        self._conclude()
        return self.found

    def screen(self) -> None:
        """Time the plain sections and, in them, the modules that may be within the budget."""
        shares = self._shares()
        if shares:
            self._screen(shares)

    def until(self, share: float) -> float:
        """Return the time at which a share of the budget is used up."""
        return self._start + share * self.request.budget_s

    def _shares(self) -> dict[str, LatencyResult]:
        """Return the timing of each plain section beside the whole plain network."""
        sections = dict.fromkeys(screen.section for screen in self.screens.values())
        cases = {section: Screen("", section).case(self.network, None) for section in sections}
        records = self._measure([self.network, *cases.values()], self.until(_SCREENING))
        timings = read_timings(records)
        plain = records.get(self.network.name)
        if plain is None or self.network.name not in timings:
            self.found.problem = str((plain or {}).get("reason") or "")
            return {}
        self.found.plain_peak = peak = _peak(plain)
        if peak is not None and "peak" in self.request.limits:
            self._most_peak = peak + self.request.limits["peak"].most_added(peak)
        return {key: timings[case.name] for key, case in cases.items() if case.name in timings}

    def _screen(self, shares: Mapping[str, LatencyResult]) -> None:
        """Time all modules in the most frequent section, then the best of them in the others."""
        needed = self._needed(shares)
        if not needed:
            return
        first = needed.most_common(1)[0][0]
        modules = dict.fromkeys(
            candidate.module for candidate in self._open() if first in self.counts[candidate]
        )
        self._time([(module, first) for module in modules], shares)
        for group in self._groups():
            if self._clock() > self.until(_SCREENING):
                return
            # screens first: the modules of a group share the session of a section
            needed = self._needed(shares, group)
            pairs = [(module, screen) for screen, _ in needed.most_common() for module in group]
            self._time([pair for pair in pairs if self._is_open(*pair)], shares)

    def _groups(self) -> list[list[str]]:
        """Return the modules that may fit, the most promising first, in groups."""
        cheapest: dict[str, float] = {}
        for (module, _), effect in self.effects.items():
            cheapest[module] = min(effect.value, cheapest.get(module, math.inf))
        modules = dict.fromkeys(candidate.module for candidate in self._open())
        ordered = sorted(
            modules, key=lambda name: (rank_of(self.known.get(name)), cheapest.get(name, 0.0))
        )
        return [ordered[at : at + _GROUP] for at in range(0, len(ordered), _GROUP)]

    def _needed(
        self, shares: Collection[str], modules: Collection[str] | None = None
    ) -> Counter[Screen]:
        """Return how many open candidates of the modules still need each screen."""
        return Counter(
            screen
            for candidate in self._open()
            if modules is None or candidate.module in modules
            for screen in self.counts[candidate]
            if screen.section in shares and (candidate.module, screen) not in self.effects
        )

    def _is_open(self, module: str, screen: Screen) -> bool:
        return (module, screen) not in self.effects and any(
            candidate.module == module and screen in self.counts[candidate]
            for candidate in self._open()
        )

    def _time(
        self, pairs: Sequence[tuple[str, Screen]], shares: Mapping[str, LatencyResult]
    ) -> None:
        """Time modules in sections, and keep their effects."""
        cases = {(module, screen): screen.case(self.network, module) for module, screen in pairs}
        if not cases:
            return
        records = self._measure([*cases.values()], self.until(_SCREENING))
        timings = read_timings(records)
        for (module, screen), case in cases.items():
            self._note(module, screen, records.get(case.name), timings.get(case.name), shares)

    def _note(
        self,
        module: str,
        screen: Screen,
        record: Mapping[str, Any] | None,
        timing: LatencyResult | None,
        shares: Mapping[str, LatencyResult],
    ) -> None:
        """Keep the effect of a module in a section, or the reason why there is none."""
        if record is not None and (_peak(record) or 0) > self._most_peak:
            # live activations of a section are live in the network, too
            self.effects[module, screen] = SiteEffect(math.inf, 0.0)
        elif record is not None and timing is not None:
            self.effects[module, screen] = SiteEffect.of(timing.arm, shares[screen.section].arm)
        elif record is not None:
            self.found.failed.setdefault(module, str(record.get("reason")))

    def _open(self) -> Iterator[Candidate]:
        """Yield the candidates that may be within the budget, by what is known so far."""
        for candidate in self.found.within:
            if candidate.module in self.found.failed:
                continue
            counts, effects = self.counts[candidate], self._effects(candidate.module)
            # what is not screened adds time, unless it takes the place of something
            replaces = any(slot.replaced for slot in candidate.slots)
            if replaces or known_part(counts, effects) <= self._most:
                yield candidate

    def _effects(self, module: str) -> dict[Screen, SiteEffect]:
        return {screen: effect for (name, screen), effect in self.effects.items() if name == module}

    def predict(self) -> dict[Candidate, Prediction]:
        """Return the predictions of all candidates whose sites are all screened."""
        return {
            candidate: predict(counts, effects, self.deviations)
            for candidate, counts in self.counts.items()
            if candidate.module not in self.found.failed
            if counts.keys() <= (effects := self._effects(candidate.module)).keys()
        }

    def _verify(self) -> None:
        """Time whole networks, best first, until there are enough rows or time is up."""
        took = 0.0
        while len(self.found.rows) < MOST_ROWS:
            begun = self._clock()
            batch = self._next_batch()
            is_late = begun + took > self.until(1) and self.found.verified
            if not batch or is_late:
                return
            # the first networks are timed in any case: only verified ones are answers
            until = self.until(1) if self.found.verified else float("inf")
            self.verify(batch, until)
            self.found.rows = select_rows(filter(self._meets, self.found.verified), self.known)
            took = self._clock() - begun

    def verify(self, batch: Mapping[Candidate, Prediction], until: float) -> None:
        """Time whole networks in one session; their deviations correct later predictions."""
        cases = {candidate: network_of(candidate, self.network) for candidate in batch}
        records = self._measure([*cases.values()], until)
        timings = read_timings(records)
        verdicts = judge_timings(timings)
        for candidate, case in cases.items():
            record = records.get(case.name)
            if case.name in timings and record is not None:
                found = timings[case.name], verdicts[case.name], _peak(record)
                verified = Verified(candidate, batch[candidate], *found)
                self.found.verified.append(verified)
                self.deviations.add(batch[candidate].summed, verified.overhead)
            else:
                why = record.get("reason") if record else "not verified in time"
                self.found.failed[candidate.module] = str(why)

    def _meets(self, verified: Verified) -> bool:
        within = (verified.peak_bytes or 0) <= self._most_peak
        return within and verified.timing.arm.high - 1 <= self._most

    def _next_batch(self) -> dict[Candidate, Prediction]:
        """Return the next networks to verify: the best of each module that is not answered."""
        predictions = self.predict()
        answered = {row.candidate.module for row in self.found.rows}
        scales = {verified.candidate.module: _scale(verified) for verified in self.found.verified}
        done = {verified.candidate for verified in self.found.verified}
        fitting = {
            candidate: prediction
            for candidate, prediction in predictions.items()
            if candidate not in done and candidate.module not in answered
            if prediction.value <= self._most
            if (1 + scales.get(candidate.module, 0.0)) * prediction.summed <= self._most
        }
        ordered = sorted(fitting, key=lambda candidate: self._key(candidate, fitting[candidate]))
        families = Counter(row.candidate.family for row in self.found.rows)
        best = _first_of_each(ordered, families)
        room = min(_BATCH, MOST_ROWS - len(self.found.rows))
        return {candidate: fitting[candidate] for candidate in best[:room]}

    def _key(self, candidate: Candidate, prediction: Prediction) -> tuple[int, int, float]:
        return rank_of(self.known.get(candidate.module)), -candidate.sites, prediction.value

    def _conclude(self) -> None:
        self.found.predictions = self.predict()
        self.found.unscreened = [
            module
            for module in dict.fromkeys(candidate.module for candidate in self._open())
            if any(
                candidate.module == module and candidate not in self.found.predictions
                for candidate in self._open()
            )
        ]


def _peak(record: Mapping[str, Any]) -> int | None:
    peak: int | None = (record.get("values") or {}).get("peak_bytes")
    return peak


def _scale(verified: Verified) -> float:
    """Return by which share of its size the prediction of a module was too low."""
    predicted = verified.prediction.summed
    return max(0.0, (verified.timing.arm.high - 1 - predicted) / abs(predicted or 1e-3))


def _first_of_each(ordered: Iterable[Candidate], families: Counter[str]) -> list[Candidate]:
    """Return the first candidate of each module, at most two modules of a family."""
    found: dict[str, Candidate] = {}
    counted = families.copy()
    for candidate in ordered:
        if candidate.module not in found and counted[candidate.family] < MOST_OF_A_FAMILY:
            found[candidate.module] = candidate
            counted[candidate.family] += 1
    return [*found.values()]


def select_rows(verified: Iterable[Verified], known: Mapping[str, KnownAccuracy]) -> list[Verified]:
    """Return the answers in order: by known accuracy, sites filled and overhead.

    They are at most eight, at most two of a family, and one placement of each module.
    """

    def key(row: Verified) -> tuple[int, int, float]:
        accuracy = rank_of(known.get(row.candidate.module))
        return accuracy, -row.candidate.sites, row.overhead

    rows = {row.candidate: row for row in sorted(verified, key=key)}
    return [rows[candidate] for candidate in _first_of_each(rows, Counter())][:MOST_ROWS]


def network_of(candidate: Candidate, network: Case) -> Case:
    """Return the latency case of the whole network with a candidate."""
    return replace(network, module=candidate.module, placement=candidate.placement)

"""The search on a machine whose times are known."""

from collections import Counter

import pytest

from attnbench.choosing.known_accuracy import KnownAccuracy

from .conftest import PLAIN_S, Machine, request_of


def known(verdict):
    return KnownAccuracy(verdict, 0, -1, 1, 3, "mobilenet_v2", "digits", "digits-accuracy", True)


def choice(search_on, meter, overhead="5%", seconds=None, known=None, machine=None, **fields):
    """Return the search and its rows as ``module/sites``."""
    percents = seconds or {"se": 1.0, "eca": 0.5, "simam": 2.0}
    times = {module: percent / 100 * PLAIN_S for module, percent in percents.items()}
    machine = machine or Machine(times, meter)
    fields.setdefault("places", ("single", "last"))
    search = search_on(request_of(overhead, modules=tuple(percents), **fields), machine, known)
    found = search.run()
    return search, [f"{row.candidate.module}/{row.candidate.sites}" for row in found.rows]


def test_the_most_sites_within_the_budget_are_chosen(search_on, meter):
    search, rows = choice(search_on, meter)
    # eca: 10 sites are 5% exactly; se: 5; simam: 2
    assert rows == ["eca/10", "se/5", "simam/2"]
    for row in search.found.rows:
        assert row.overhead == pytest.approx(row.prediction.value, abs=1e-4)
        assert row.prediction.low <= row.overhead <= row.prediction.high


def test_predictions_equal_the_sums(search_on, meter):
    search, _ = choice(search_on, meter)
    percents = {"se": 0.01, "eca": 0.005, "simam": 0.02}
    assert len(search.found.predictions) > 30
    for candidate, prediction in search.found.predictions.items():
        assert prediction.summed == pytest.approx(
            candidate.sites * percents[candidate.module], abs=1e-5
        )


def test_a_known_accuracy_comes_before_the_number_of_sites(search_on, meter):
    accuracies = {"simam": known("better"), "eca": known("worse"), "se": known("inconclusive")}
    _, rows = choice(search_on, meter, known=accuracies)
    assert rows == ["simam/2", "se/5", "eca/10"]


def test_a_module_that_exceeds_the_budget_in_one_section_is_screened_in_no_other(search_on, meter):
    search, rows = choice(search_on, meter, seconds={"se": 1.0, "simam": 9.0})
    assert rows == ["se/5"]
    screened = Counter(case.module for case in search._measure.calls if case.section)
    assert screened["se"] == len(set(search.screens.values()))
    # after the shape of the last blocks, the other single sites are still open
    assert screened["simam"] == screened["se"]
    assert "simam" not in [row.candidate.module for row in search.found.verified]


def test_last_blocks_alone_need_one_section_of_a_module_that_is_too_slow(search_on, meter):
    search, _ = choice(search_on, meter, seconds={"se": 1.0, "simam": 9.0}, places=("last",))
    screened = Counter(case.module for case in search._measure.calls if case.section)
    assert screened["simam"] == 1


def test_a_network_that_takes_more_than_the_sum_is_replaced_by_a_smaller_one(search_on, meter):
    times = {"se": 0.01 * PLAIN_S}
    machine = Machine(times, meter, factor=1.5)
    search, rows = choice(search_on, meter, seconds={"se": 1.0}, machine=machine)
    assert rows == ["se/3"]  # 3 x 1.5% is within 5%, 4 x 1.5% is not
    assert [row.candidate.sites for row in search.found.verified] == [5, 3]


def test_at_most_two_of_a_family_and_eight_rows(search_on, meter):
    modules = ("se", "eca", "effective_se", "srm", "simam", "cbam", "bam", "coordinate", "triplet")
    search, _ = choice(search_on, meter, seconds=dict.fromkeys(modules, 0.5), places=("single",))
    families = Counter(row.candidate.family for row in search.found.rows)
    assert max(families.values()) <= 2
    assert len(search.found.rows) <= 8


def test_nothing_meets_the_budget(search_on, meter):
    search, rows = choice(search_on, meter, "0.1%")
    assert rows == []
    assert search.found.verified == []
    assert search.found.predictions


def test_a_module_that_fails_costs_no_other(search_on, meter):
    times = {"se": 0.01 * PLAIN_S, "eca": 0.005 * PLAIN_S}
    machine = Machine(times, meter, broken=("se",))
    search, rows = choice(search_on, meter, seconds={"se": 1, "eca": 0.5}, machine=machine)
    assert rows == ["eca/10"]
    assert search.found.failed == {"se": "cannot be exported"}


def test_what_was_measured_before_a_kill_is_not_measured_again(search_on, meter):
    whole, rows = choice(search_on, meter)
    times = {"se": 0.01 * PLAIN_S, "eca": 0.005 * PLAIN_S, "simam": 0.02 * PLAIN_S}
    for measured in (1, 7, 20):
        machine = Machine(times, meter)
        machine.kept = dict([*whole._measure.kept.items()][:measured])
        _, same = choice(search_on, meter, machine=machine)
        assert same == rows
        assert len(machine.calls) == len(whole._measure.calls) - measured


def test_without_time_for_all_sections_modules_are_listed_as_not_screened(search_on, meter):
    times = {"se": 0.01 * PLAIN_S, "eca": 0.005 * PLAIN_S, "simam": 0.02 * PLAIN_S}
    machine = Machine(times, meter, takes=1.0)
    search, rows = choice(search_on, meter, machine=machine, budget_s=16.0)
    assert search.found.unscreened == ["se", "eca", "simam"]
    assert rows  # the first section has been screened, and its placements verified


def test_a_limit_on_the_peak_is_held(search_on, meter):
    class Peaks(Machine):
        def record(self, case):
            record = super().record(case)
            peak = 1200 if case.module == "se" else 1000
            return record | {"values": {"peak_bytes": peak}}

    times = {"se": 0.01 * PLAIN_S, "eca": 0.005 * PLAIN_S}
    seconds = {"se": 1, "eca": 0.5}
    for limit, rows in (("10%", ["eca/10"]), ("20%", ["eca/10", "se/5"])):
        machine = Peaks(times, meter)
        _, found = choice(
            search_on, meter, seconds=seconds, machine=machine, limits={"peak": limit}
        )
        assert found == rows

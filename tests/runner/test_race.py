"""Races through the real runner, with trainings whose accuracies are planted."""

from dataclasses import replace

import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.registry.plugins import catalog
from attnbench.reports.tables.accuracy_results import read_trainings
from attnbench.runner.job import prepare
from attnbench.runner.run_suite import measure
from attnbench.runner.select_cases import Choice
from attnbench.runner.worker_tasks import Measurers
from attnbench.suites.load import parse_suite, suite_hash
from attnbench.suites.request import GridRequest, accuracy_section, race_settings, request_suite
from attnbench.workers.process import Limits

EFFECTS = {"identity": 0.0, "eca": -2.0, "se": 0.4, None: 0.0}
"""Points that each module adds; identity adds nothing to any seed."""


class PlantedPool:
    """Answers of trainings that take no time; some seeds of a module may fail."""

    def __init__(self, failing=()):
        self.limits, self.failing, self.trained = Limits(), failing, []

    def run(self, tasks, on_progress):
        for case in tasks:
            seed, module = case.training.seed, case.module and case.module.split(",")[0]
            self.trained.append((module, seed))
            if (module, seed) in self.failing:
                yield case, {"error": "process was killed", "lost": True}, 0.0
                continue
            noise = np.random.default_rng([seed, len(module or "")])
            own = 0.0 if module in (None, "identity") else noise.normal(0, 0.3)
            top1 = 80 + seed % 3 + EFFECTS[module] + own
            facts = {"images": [100, 10_000], "recipe": {}, "dataset": "digits"}
            values = {"top1": top1, "top5": None, "loss": 1.0, "steps": 9}
            yield case, {"ok": {"values": values, "training": facts}}, 0.0


class IdleWorker:
    limits = Limits()

    def stop(self):
        pass


class SilentProgress:
    def begin(self, job):
        pass

    step = done = begin

    def end(self):
        pass


def prepare_race(folder, modules=("identity", "eca"), **settings):
    request = GridRequest(["mobilenet_v1,width=0.1"], modules, ["after:8"])
    given = {"dataset": "digits", "recipe": "digits-quick", "int8": False}
    section = accuracy_section(given | race_settings(20, "decided", 0.5) | settings)
    suite = request_suite("accuracy", request, catalog(), section)
    return prepare(suite, catalog(), folder, Choice(), Measurers(catalog()), request="accuracy")


def race(job, **pool):
    planted = PlantedPool(**pool)
    run = measure(job, IdleWorker(), SilentProgress(), planted)
    records = {name: record.model_dump() for name, record in run.records.items()}
    (table,) = job.tables
    found = read_trainings(table.rows, records, job.suite.accuracy_of(table.layout))
    verdicts = {pair.results[0].case.module: pair for (pair,) in found}
    return verdicts, planted.trained


def test_a_harmful_module_is_worse_and_identity_the_same(tmp_path):
    found, trained = race(prepare_race(tmp_path))
    assert found["eca"].judgment.verdict == "worse"
    assert str(found["identity"].judgment) == "same within 0"
    assert found["eca"].difference().anytime
    # identity stops after the first round, and plain's seeds are trained once for both
    assert sorted(seed for module, seed in trained if module == "identity") == [0, 1, 2]
    worse = sorted(seed for module, seed in trained if module == "eca")
    assert worse == sorted(seed for module, seed in trained if module is None)
    assert 3 < len(worse) < 10


def test_a_race_goes_on_and_ends_as_undisturbed(tmp_path):
    whole, trained = race(prepare_race(tmp_path / "whole"))
    # the time is over after the first round
    cut = replace(prepare_race(tmp_path / "cut", seeds=3), race_s=1e9)
    _, first = race(cut)
    found, rest = race(prepare_race(tmp_path / "cut"))
    assert sorted(map(str, first + rest)) == sorted(map(str, trained))
    assert found["eca"].judgment == whole["eca"].judgment
    assert race(prepare_race(tmp_path / "cut"))[1] == []


def test_a_killed_training_costs_only_itself(tmp_path):
    found, trained = race(prepare_race(tmp_path), failing=[("eca", 1)])
    assert found["eca"].judgment.verdict == "worse"
    assert trained.count(("eca", 1)) == 1
    assert 1 not in found["eca"].seeds


def test_an_arm_that_always_fails_is_given_up(tmp_path):
    found, trained = race(prepare_race(tmp_path), failing=[("eca", seed) for seed in range(20)])
    assert found["eca"].status == "failed"
    assert len([module for module, _ in trained if module == "eca"]) == 3


def test_the_most_seeds_are_the_end(tmp_path):
    found, _ = race(prepare_race(tmp_path, ["se"], seeds=4, margin=0.01))
    assert found["se"].judgment.verdict == "inconclusive"
    assert found["se"].judgment.more_seeds > 0
    assert found["se"].seeds == [0, 1, 2, 3]


def test_no_round_starts_after_the_time(tmp_path):
    _, trained = race(replace(prepare_race(tmp_path), race_s=0.0))
    assert trained == []


def test_a_fixed_number_of_seeds_trains_them_all(tmp_path):
    found, trained = race(prepare_race(tmp_path, seeds=3, until=None, margin=None))
    assert len(trained) == 9
    assert not found["eca"].difference().anytime


def test_settings_that_are_not_given_change_no_hash():
    content = {
        "suite": {"name": "x", "title": "x"},
        "table": [{"columns": ["label"], "accuracy": {}, "row": [{"backbone": "mobilenet_v1"}]}],
    }
    suite = parse_suite(content, "x")
    assert "until" not in str(suite.model_dump(mode="json"))
    raced = parse_suite(content | {"accuracy": {"until": "decided"}}, "x")
    assert suite_hash(suite) != suite_hash(raced)


@pytest.mark.parametrize("wrong", [{"until": "tired"}, {"margin": 0.0}])
def test_wrong_settings(wrong):
    with pytest.raises(RequestError, match=str(next(iter(wrong)))):
        prepare_race(None, **wrong)

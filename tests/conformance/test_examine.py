"""Running checks: whatever a module does, each says something, and nothing is left behind."""

import random
import warnings

import pytest
import torch

from attnbench.cards import Card
from attnbench.conformance.checks import CHECKS, Check
from attnbench.conformance.examine import examine, run_check
from attnbench.conformance.findings import note, success
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import RequestError
from attnbench.registry.attention import from_callable
from attnbench.utils.process_settings import read_settings

from .clean import Clean, findings

MINE = (
    "contract",
    "formulas",
    "maps",
    "widths",
    "gradients",
    "input_kept",
    "determinism",
    "extremes",
    "nan",
    "drift",
)


def examined(cls, *names, **given):
    return examine(from_callable(cls, {}), [CHECKS[name] for name in names], **given)


def check(function):
    """A check of the test's own."""

    class Own(Check):
        def run(self, subject):
            return function(subject)

    return Own("drift", "does as the test says", "nowhere")


def run(function):
    return run_check(check(function), Subject(from_callable(Clean, {})))


def test_clean_module_without_a_card_passes():
    report = examined(Clean, *MINE)
    assert report.passed
    assert {one.check: one.status for one in report.findings} == {
        **dict.fromkeys(MINE, "ok"),
        "formulas": "note",
    }
    assert (report.name, report.title) == ("Clean", "Clean")


def test_nothing_more_is_said_of_what_cannot_be_built():
    class NeedsMore(Clean):
        def __init__(self, channels, **options):
            super().__init__(channels, **options)
            raise NameError("gate_activation")

    report = examined(NeedsMore, *MINE)
    first, *others = report.findings
    assert (first.check, first.status) == ("contract", "broken")
    assert [one.check for one in others] == list(MINE[1:])
    assert {one.status for one in others} == {"skipped"}
    assert {one.reason for one in others} == {"not checked: it cannot be built, run and trained"}
    assert not report.passed


def test_nor_where_that_is_known_or_declared():
    class Known(Clean):
        card = Card(title="known", family="channel", defects={"contract": "an undefined name"})

        def __init__(self, channels):
            raise NameError("gate_activation")

    report = examined(Known, "contract", "maps")
    assert [one.status for one in report.findings] == ["broken", "skipped"]
    assert "known: an undefined name" in report.findings[0].reason


def test_a_later_check_alone_says_why_it_cannot_run():
    class Unbuildable(Clean):
        def __init__(self, channels):
            raise NameError("gate_activation")

    (found,) = findings(Unbuildable, "gradients")
    assert found.status == "broken"
    assert "NameError: gate_activation" in found.reason
    assert found.remedy


def test_a_contract_that_is_broken_and_runs_does_not_end_the_examination():
    class Shared(Clean):
        scale = torch.ones(())

    report = examined(Shared, "contract", "input_kept")
    assert [one.status for one in report.findings] == ["broken", "ok"]


def test_a_check_without_findings_is_fine():
    (found,) = run(lambda subject: ())
    assert (found.status, found.check) == ("ok", "drift")


def test_what_was_found_before_a_crash_is_kept():
    def crashes(subject):
        yield note("first")
        raise ZeroDivisionError("division by zero\nsecond line")

    first, second = run(crashes)
    assert (first.status, first.reason) == ("note", "first")
    assert (second.status, second.reason) == (
        "broken",
        "raises ZeroDivisionError: division by zero",
    )
    assert second.remedy


def test_a_crash_after_a_finding_adds_nothing():
    def crashes(subject):
        yield findings(Clean, "drift")[0]
        yield from (one for one in findings_of_a_mutant())
        raise ZeroDivisionError

    def findings_of_a_mutant():
        class Returns(Clean):
            def forward(self, x):
                return x.double()

        return [one for one in findings(Returns, "maps") if one.status == "broken"]

    assert [one.status for one in run(crashes)] == ["ok", "broken"]


def test_errors_of_ours_are_told_as_they_are():
    def refuses(subject):
        raise RequestError("ulsam cannot be built for 30 channels")
        yield

    (found,) = run(refuses)
    assert (found.status, found.reason) == ("broken", "ulsam cannot be built for 30 channels")
    assert found.remedy


def test_exceptions_given_and_declared_excuse():
    class Detaches(Clean):
        def gate(self, x):
            return super().gate(x.detach())

    report = examined(Detaches, "gradients", exceptions={"gradients": "on purpose"})
    (found,) = report.findings
    assert found.status == "declared"
    assert "declared: on purpose" in found.reason
    assert report.passed


def test_each_check_is_told_of_before_it_runs():
    told = []
    examined(Clean, "drift", "nan", on_check=lambda one: told.append(one.name))
    assert told == ["drift", "nan"]


def test_generators_warnings_and_settings_are_left_as_they_were():
    def disturbs(subject):
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.set_default_device("meta")
        torch.set_float32_matmul_precision("medium")
        warnings.simplefilter("always")
        yield success()

    before, filters, state = read_settings(), list(warnings.filters), torch.get_rng_state()
    assert [one.status for one in run(disturbs)] == ["ok"]
    assert read_settings() == before
    assert list(warnings.filters) == filters
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.empty(()).device.type == "cpu"


def test_they_are_also_after_a_crash():
    def disturbs(subject):
        torch.set_default_dtype(torch.float64)
        raise ZeroDivisionError

    before = read_settings()
    run(disturbs)
    assert read_settings() == before


def test_settings_of_the_user_are_kept():
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.set_default_device("cpu")
    try:
        findings(Clean, "contract")
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_default_device(None)
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", MINE)
def test_all_checks_say_the_same_again_and_leave_no_trace(name):
    before, state, python = read_settings(), torch.get_rng_state(), random.getstate()
    first = findings(Clean, name)
    torch.manual_seed(99)
    second = findings(Clean, name)
    torch.set_rng_state(state)
    assert first == second
    assert read_settings() == before
    assert random.getstate() == python


def test_rng_is_not_moved():
    state = torch.get_rng_state()
    for name in MINE:
        findings(Clean, name)
    assert torch.equal(torch.get_rng_state(), state)

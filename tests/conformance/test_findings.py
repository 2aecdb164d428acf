"""Findings and reports: what a card excuses, what it names, and what has become stale."""

import json

import pytest

from attnbench.conformance.findings import (
    STATUSES,
    ConformanceReport,
    Finding,
    apply_exceptions,
    failure,
    join_names,
    merge_causes,
    note,
    skip,
    success,
)


def status_of(findings, exceptions=None, defects=None):
    found = apply_exceptions(findings, "maps", exceptions or {}, defects or {})
    return [(one.check, one.status) for one in found]


@pytest.mark.parametrize(
    "finding",
    [
        success("well", value=1),
        note("a note", "a remedy"),
        skip("no device"),
        failure("bad", "mend"),
    ],
)
def test_without_a_card_findings_stay_and_get_their_name(finding):
    (found,) = apply_exceptions([finding], "maps", {}, {})
    assert found == Finding(finding.status, finding.reason, finding.remedy, "maps", finding.values)


def test_an_exception_excuses_what_is_broken_only():
    found = apply_exceptions(
        [failure("bad", "mend it", size=3), note("a note")], "maps", {"maps": "tiles of 8"}, {}
    )
    assert [one.status for one in found] == ["declared", "note"]
    assert found[0].reason == "bad (declared: tiles of 8)"
    assert (found[0].remedy, found[0].values) == ("mend it", {"size": 3})


def test_an_exception_for_another_check_excuses_nothing():
    assert status_of([failure("bad", "mend")], {"widths": "why"}) == [("maps", "broken")]


def test_an_exception_that_is_not_needed_is_stale():
    found = apply_exceptions([success("well"), note("a note")], "maps", {"maps": "tiles of 8"}, {})
    assert [one.status for one in found] == ["note", "note"]
    assert found[1].reason == "the card declares an exception that is not needed: tiles of 8"
    assert found[1].remedy


def test_what_could_not_be_checked_makes_no_exception_stale():
    assert status_of([skip("no device")], {"maps": "why"}) == [("maps", "skipped")]


def test_a_known_defect_is_named_and_not_excused():
    (found,) = apply_exceptions([failure("bad", "mend")], "maps", {}, {"maps": "*dd for **dd"})
    assert (found.status, found.reason) == ("broken", "bad (known: *dd for **dd)")


def test_a_known_defect_that_is_gone_leaves_the_findings():
    assert status_of([success()], {}, {"maps": "*dd for **dd"}) == [("maps", "ok")]


def test_an_exception_outranks_a_defect():
    assert status_of([failure("bad", "mend")], {"maps": "why"}, {"maps": "known"}) == [
        ("maps", "declared")
    ]


def report(*findings):
    return ConformanceReport("name", "Title", "here:1", tuple(findings), 1.23456)


def test_a_report_passes_unless_something_is_broken():
    declared = Finding("declared", "bad")
    assert report(success(), note("n"), skip("s"), declared).passed
    assert not report(success(), failure("bad", "mend")).passed


def test_a_report_is_json_with_a_count_of_each_status():
    whole = report(success().of("maps"), failure("bad", "mend", size=[1, 2]).of("nan"), note("n"))
    read = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert read["counts"] == dict(zip(STATUSES, (1, 0, 1, 0, 1), strict=True))
    assert (read["passed"], read["seconds"]) == (False, 1.23)
    assert read["findings"][1] == {
        "status": "broken",
        "reason": "bad",
        "remedy": "mend",
        "check": "nan",
        "values": {"size": [1, 2]},
    }
    assert whole.of("nan") == whole.with_status("broken")


def test_values_that_json_cannot_say_are_null():
    found = failure("bad", "mend", error=float("inf"), all={"a": [float("nan"), 1.5]}, size=(1, 2))
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["values"] == {"error": None, "all": {"a": [None, 1.5]}, "size": [1, 2]}


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (range(4), "0, 1, 2, 3"), (range(6), "0, 1, 2, 3 and 2 more")],
)
def test_lists_are_cut_short(names, text):
    assert join_names(names) == text


def test_values_in_json_are_json():
    import torch

    values = {
        "error": float("inf"),
        "sizes": (1, 2),
        "scale": torch.tensor(2.0),
        "shape": {"b": torch.Size([3])},
        "many": torch.ones(2),
    }
    found = Finding("ok", values=values).to_dict()["values"]
    assert found == {
        "error": None,
        "sizes": [1, 2],
        "scale": 2.0,
        "shape": {"b": [3]},
        "many": "tensor([1., 1.])",
    }


def test_an_exception_in_several_checks_is_reported_once():
    def raised(check, text, **values):
        return failure(f"in here it raises {text}", "mend", **values).of(check)

    sizes = ["7x7", "9x9", "13x13"]
    found = [
        raised("maps", "RuntimeError: size 7 is not 6"),
        raised("widths", "RuntimeError: size 9 is not 8 for 7x7, 9x9, 13x13", places=sizes),
        raised("gradients", "RuntimeError: size 13 is not 12"),
        raised("nan", "ValueError: another"),
        success().of("device"),
    ]
    merged = merge_causes(found)
    assert [one.status for one in merged] == ["broken", "skipped", "skipped", "broken", "ok"]
    assert merged[0].reason.endswith("not 6 (also in 4 other places: widths, gradients)")
    assert merged[0].values["also"] == ["widths", "gradients"]
    assert merged[1].reason == "fails for the cause that maps reports"
    assert merged[3:] == tuple(found[3:])


def test_exceptions_of_one_check_and_of_declared_ones_stay():
    twice = [failure(f"raises ValueError: {n}", "mend").of("maps") for n in (1, 2)]
    declared = Finding("declared", "raises ValueError: 3", check="widths")
    assert merge_causes([*twice, declared]) == (*twice, declared)

"""Modules are examined side by side; what hangs, crashes or is interrupted is told as it is."""

import json
import os
import signal
import threading
from types import SimpleNamespace

import pytest

from attnbench.cards import Card
from attnbench.conformance.checks import CHECKS
from attnbench.conformance.findings import failure, note, success
from attnbench.conformance.runner import ConformanceRunner
from attnbench.workers.process import Limits, WorkerError

HUNG = WorkerError("did not finish within 2 s and was ended")


class FakeWorker:
    """Answers by a script: check to findings, an error, or a WorkerError after some findings."""

    def __init__(self, script=(), made=None):
        self.script, self.limits = dict(script), Limits()
        self.made = [] if made is None else made
        self.asked, self.stops = [], 0
        self.released = threading.Event()

    def copy(self, environment):
        self.made.append(FakeWorker(self.script, self.made))
        self.made[-1].environment = environment
        return self.made[-1]

    def start(self):
        pass

    def stop(self):
        self.stops += 1
        self.released.set()

    def run(self, task, on_progress):
        self.asked.append((task["module"], task["check"], self.limits.seconds))
        found = self.script.get((task["module"], task["check"]), self.script.get(task["check"], []))
        if found == "block":
            self.released.wait(20)
            raise ValueError("seek of closed file")
        if isinstance(found, str):
            return {"error": found}
        for one in found:
            if isinstance(one, WorkerError):
                raise one
            on_progress(json.dumps(one.to_dict()))
        shown = [one.of(task["check"]).to_dict() for one in found or [success()]]
        return {"ok": {"findings": shown, "seconds": 1.5}}


class Watcher:
    def __init__(self, at=None):
        self.told, self.at = [], at

    def begin(self, modules, checks):
        self.told.append(("begin", modules, checks))

    def check(self, module, check):
        if (module, check.name) == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def lost(self, module, check, why):
        self.told.append(("lost", module, check.name, why))

    def done(self, report):
        self.told.append(("done", report.name))

    def end(self):
        self.told.append("end")


def module(name, **card):
    card = Card(title=name, family="channel", **card)
    return SimpleNamespace(spec=name, title=name, origin="x.py:1", card=card)


def examine(script, *modules, checks=("maps", "nan", "pickling", "onnx"), jobs=1, **more):
    worker, watcher = FakeWorker(script), more.pop("watcher", Watcher())
    with ConformanceRunner(worker, jobs) as examiner:
        known = [CHECKS[one] for one in checks]
        reports = examiner.examine(
            [module(one) if isinstance(one, str) else one for one in modules],
            known,
            watcher,
            **more,
        )
    return SimpleNamespace(
        reports=reports, workers=worker.made, told=watcher.told, interrupted=examiner.interrupted
    )


def seen(report):
    return [(one.check, one.status, one.reason) for one in report.findings]


@pytest.mark.parametrize("jobs", [1, 2])
def test_reports_come_in_the_order_asked_for(jobs):
    done = examine({("b", "nan"): [note("n")], "maps": [success(x=1)]}, "a", "b", "c", jobs=jobs)
    assert [one.name for one in done.reports] == ["a", "b", "c"]
    assert [one.status for one in done.reports[1].findings] == ["ok", "note", "ok", "ok"]
    assert done.reports[0].findings[0].values == {"x": 1} and done.reports[0].seconds == 6.0
    assert done.told[0] == ("begin", 3, 4) and done.told[-1] == "end"
    assert len(done.workers) == jobs
    threads = {"OMP_NUM_THREADS": "1"} if jobs > 1 else {}
    assert all(one.environment == threads for one in done.workers)


@pytest.mark.parametrize(("given", "limits"), [(None, [60, 60, 60, 300]), (2, [2, 2, 2, 2])])
def test_quick_and_deep_checks_have_their_limits(given, limits):
    done = examine({}, "a", limit_s=given)
    assert [seconds for *_, seconds in done.workers[0].asked] == limits


def test_what_ends_the_process_is_broken_and_the_other_checks_go_on():
    done = examine({"maps": [note("first"), WorkerError("the process died (SIGSEGV)")]}, "a")
    assert seen(done.reports[0])[:3] == [
        ("maps", "note", "first"),
        ("maps", "broken", "the process died (SIGSEGV)"),
        ("nan", "ok", ""),
    ]
    assert ("lost", "a", "maps", "the process died (SIGSEGV)") in done.told
    assert all(one.remedy for one in done.reports[0].with_status("broken"))


def test_a_hang_can_be_declared():
    slow = module("a", exceptions={"maps": "searches a whole tree"})
    (report,) = examine({"maps": [HUNG]}, slow).reports
    assert report.passed and "searches a whole tree" in report.findings[0].reason


def test_a_module_that_ends_every_check_is_given_up():
    done = examine(
        {one: [HUNG] for one in ("maps", "nan", "pickling", "onnx")},
        "a",
        "b",
        checks=("maps", "nan", "pickling", "onnx", "drift"),
    )
    statuses = [one.status for one in done.reports[0].findings]
    assert statuses == ["broken", "broken", "broken", "skipped", "skipped"]
    assert "3 checks in a row" in done.reports[0].findings[3].reason
    assert "--select onnx" in done.reports[0].findings[3].remedy
    assert [check for name, check, _ in done.workers[0].asked if name == "b"] == [
        "maps",
        "nan",
        "pickling",
    ]


def test_three_that_are_not_in_a_row_are_not_too_many():
    done = examine(
        {one: [HUNG] for one in ("maps", "pickling", "onnx")},
        "a",
        checks=("maps", "pickling", "nan", "onnx", "drift"),
    )
    statuses = [one.status for one in done.reports[0].findings]
    assert statuses == ["broken", "broken", "ok", "broken", "ok"]


def test_after_a_fatal_finding_nothing_else_is_tried():
    done = examine({("a", "maps"): [failure("cannot be built", "x", fatal=True)]}, "a", "b")
    assert [one.status for one in done.reports[0].findings] == ["broken", *["skipped"] * 3]
    assert "cannot be built, run and trained" in done.reports[0].findings[3].reason
    assert [check for name, check, _ in done.workers[0].asked if name == "a"] == ["maps"]
    assert done.reports[1].passed and len(done.reports[1].of("onnx")) == 1


def test_a_worker_that_saw_a_broken_module_is_not_used_again():
    done = examine({("a", "nan"): [failure("x", "y")]}, "a", "b")
    assert done.workers[0].stops == 2  # after a, and at the end


def test_what_the_worker_cannot_find_is_broken():
    (report,) = examine({"maps": "unknown module 'a'"}, "a").reports
    assert seen(report)[0] == ("maps", "broken", "unknown module 'a'")


def test_an_interruption_keeps_what_is_known():
    done = examine(
        {("b", "nan"): "block", ("a", "maps"): [note("kept")]}, "a", "b", "c",
        checks=("maps", "nan", "drift"), watcher=Watcher(at=("b", "nan")),
    )  # fmt: skip
    assert done.interrupted
    assert [(one.name, one.verdict) for one in done.reports] == [("a", "ok"), ("b", "unfinished")]
    assert [one.status for one in done.reports[1].findings] == ["ok", "skipped", "skipped"]
    assert done.told[-1] == "end"

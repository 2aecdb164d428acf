"""Sessions: who is timed with whom, in how many processes, and what a failure costs."""

import threading
from contextlib import suppress

import pytest

from attnbench.registry.plugins import catalog
from attnbench.runner.latency_sessions import Session, SessionProtocol, SessionRunner, sessions
from attnbench.suites.case import Conditions
from attnbench.suites.plan import make_case
from attnbench.workers.process import WorkerError


def case(module="se", backbone="mobilenet_v2", **conditions):
    placement = "after:5" if module else None
    made = make_case(catalog(), backbone=backbone, module=module, placement=placement)
    return made.for_latency(Conditions(**{"runtime": "eager", **conditions}))


class FakeWorker:
    """Proves everything but what ``broken`` names, and samples with figures that say who and when."""

    def __init__(self, broken=(), dies_sampling=False, raises=None, kills=None):
        self.broken, self.dies_sampling = broken, dies_sampling
        self.raises, self.kills = raises, kills
        self.asked, self.starts, self.twins = [], 1, []
        self.limits = None

    def copy(self, environment):
        other = FakeWorker(self.broken)
        other.asked = self.asked
        self.twins.append(other)
        return other

    def stop(self):
        self.starts += 1

    def run(self, task, on_progress=str):
        self.asked.append(task)
        if task["do"] == "sample":
            if self.dies_sampling:
                raise WorkerError("the process died (SIGSEGV)")
            names = [name(one) for one in task["cases"]]
            modules = [one["module"] for one in task["cases"]]
            if self.raises in modules and self.raises:
                guilty = names[modules.index(self.raises)]
                return {"error": f"arm {guilty!r} failed: late", "arm": guilty}
            if self.kills in modules and self.kills:
                raise WorkerError("the process died (SIGABRT)")
            return {"ok": {one: {"of": one, "process": self.starts} for one in names}}
        if task["case"]["module"] in self.broken:
            return {"error": "cannot be exported"}
        return {"ok": {"values": {"export_s": 1.0}}}


def name(content):
    from attnbench.suites.case import case_from_json

    return case_from_json(content).name


def measured(worker, *cases, processes=3):
    with SessionRunner(worker, folder="somewhere", provers=2) as runner:
        return runner.measure(
            Session(cases), SessionProtocol(1.0, processes), lambda case, text, share: None
        )


def test_cases_of_one_network_and_condition_are_one_session():
    cases = [
        case("se"),
        case(None),
        case("cbam"),
        case("se", runtime="openvino"),
        case("se", batch=8),
        case("se", backbone="mobilenet_v1"),
        case("bam"),
    ]
    found = sessions(cases)
    assert [len(one.cases) for one in found] == [4, 1, 1, 1]
    assert found[0].plain == case(None)


def test_modules_alone_are_compared_with_one_pass_over_the_same_map():
    made = [
        make_case(
            catalog(), backbone=None, module=module, placement=None, channels=channels, size=14
        )
        for module, channels in (("se", 96), ("cbam", 96), ("se", 512))
    ]
    found = sessions([one.for_latency(Conditions("eager")) for one in made])
    assert [len(one.cases) for one in found] == [2, 1]
    assert found[0].plain.name == "latency/alone/plain/96x14x14/eager"


def test_every_process_is_fresh_and_samples_all_arms():
    worker = FakeWorker()
    found = measured(worker, case(None), case("se"), case("cbam"))
    proofs = [one for one in worker.asked if one["do"] == "validate"]
    assert {one["case"]["module"] for one in proofs} == {None, "se", "cbam"}
    for one in found.values():
        assert one.error is None
        assert [sample["process"] for sample in one.samples] == [1, 2, 3]


def test_the_sampling_process_proves_nothing_and_the_others_are_ended():
    worker = FakeWorker()
    found = measured(worker, case("se"), processes=1)
    assert [one["process"] for one in found[case("se").name].samples] == [1]
    assert len(worker.twins) == 2
    assert all(twin.starts == 2 for twin in worker.twins)  # stopped once


@pytest.mark.parametrize(("device", "most"), [("cpu", 2), ("cuda", 1)])
def test_networks_take_turns_on_a_gpu_and_leave_its_memory(device, most):
    worker, together = FakeWorker(), threading.Barrier(2)
    running, seen = [], []

    def run(self, task, on_progress=str):
        if task["do"] == "validate":
            running.append(task)
            seen.append(len(running))
            with suppress(threading.BrokenBarrierError):
                together.wait(0.05)
            running.remove(task)
        return original(self, task, on_progress)

    original = FakeWorker.run
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeWorker, "run", run)
        measured(worker, case(None, device=device), case("se", device=device), processes=1)
    assert max(seen) == most
    stops = {twin.starts - 1 for twin in worker.twins}  # before sampling, and in the end
    assert stops == ({1} if device == "cpu" else {2})


def test_an_arm_that_cannot_be_built_costs_only_itself():
    found = measured(FakeWorker(broken=("se",)), case("se"), case("cbam"))
    assert found[case("se").name].error == "cannot be exported"
    assert found[case("se").name].samples == []
    assert len(found[case("cbam").name].samples) == 3


def test_without_the_plain_network_there_is_nothing_to_compare_with():
    worker = FakeWorker(broken=(None,))
    found = measured(worker, case("se"), case(None))
    assert found[case("se").name].error.endswith("cannot be exported")
    assert found[case(None).name].error == "cannot be exported"
    assert all(one["do"] == "validate" for one in worker.asked)


def test_a_process_that_dies_while_timing_fails_its_arms_with_the_reason():
    found = measured(FakeWorker(dies_sampling=True), case("se"), case("cbam"))
    assert all("SIGSEGV" in one.error for one in found.values())


@pytest.mark.parametrize(("processes", "seeds"), [(1, [0]), (3, [0, 1, 2])])
def test_processes_draw_different_orders(processes, seeds):
    worker = FakeWorker()
    measured(worker, case("se"), processes=processes)
    asked = [one["sampling"] for one in worker.asked if one["do"] == "sample"]
    assert [one["seed"] for one in asked] == seeds
    assert {one["budget_s"] for one in asked} == {1.0}


def test_an_arm_that_raises_while_timed_leaves_the_others_be():
    worker = FakeWorker(raises="cbam")
    found = measured(worker, case("se"), case("cbam"), case("bam"))
    assert "late" in found[case("cbam").name].error
    for module in ("se", "bam"):
        assert found[case(module).name].error is None
        assert len(found[case(module).name].samples) == 3


def test_an_arm_that_kills_the_process_is_found_by_halves():
    worker = FakeWorker(kills="bam")
    found = measured(worker, *(case(one) for one in ("se", "cbam", "bam", "ulsam", "non_local")))
    failed = [name for name, one in found.items() if one.error]
    assert failed == [case("bam").name]
    assert all(len(one.samples) == 3 for name, one in found.items() if name not in failed)


@pytest.mark.parametrize(("plain_alone", "samples"), [(False, 0), (True, 3)])
def test_a_budget_is_not_spent_on_the_plain_network_alone(plain_alone, samples):
    worker, plain, broken = FakeWorker(["se"]), case(None), case("se")
    with SessionRunner(worker, folder="somewhere", provers=2, plain_alone=plain_alone) as runner:
        found = runner.measure(
            Session((plain, broken)), SessionProtocol(1.0, 3), lambda case, text, share: None
        )
    assert sum(task["do"] == "sample" for task in worker.asked) == samples
    assert found[broken.name].status == "failed"
    assert found[plain.name].status == ("ok" if plain_alone else "skipped")


def test_the_plain_network_is_timed_where_nothing_else_was_asked_for():
    worker, plain = FakeWorker(), case(None)
    with SessionRunner(worker, folder="somewhere", provers=1, plain_alone=False) as runner:
        found = runner.measure(
            Session((plain,)), SessionProtocol(1.0, 2), lambda case, text, share: None
        )
    assert len(found[plain.name].samples) == 2


def test_the_steps_of_a_session_tell_its_share():
    shares = []
    with SessionRunner(FakeWorker(), folder="somewhere", provers=1) as runner:
        runner.measure(
            Session((case(None), case("se"))),
            SessionProtocol(1.0, 2),
            lambda case, text, share: shares.append(share),
        )
    assert shares == pytest.approx([0, 1 / 6, 1 / 3, 2 / 3])

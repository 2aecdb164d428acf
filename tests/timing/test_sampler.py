"""The sampler against a simulated clock: order, loops, budget, stopping, failures."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from attnbench.errors import AttnbenchError, RequestError
from attnbench.stats.timing_samples import AGAIN
from attnbench.timing.sampler import FEWEST, ArmError, Sampling, sample


def run(simulated, *, throttled=None, **options):
    again = simulated.call(AGAIN)
    sampling = Sampling(**{"seed": 0, "first_look": 10**6, "budget_s": 100.0, **options})
    return sample(
        simulated.arms(), "base", sampling, clock=simulated, again=again, throttled=throttled
    )


@pytest.fixture
def three(clock):
    def build(base=1.0, arm=1.0, kind=None, seed=0):
        return clock({"base": base, "arm": arm, AGAIN: base}, kind, seed)

    return build


def test_every_round_runs_every_arm_once_in_fresh_order(three):
    simulated = three()
    samples = run(simulated)
    names = [name for name, _ in simulated.calls][-3 * samples.rounds :]
    rounds = [tuple(names[start : start + 3]) for start in range(0, len(names), 3)]
    assert all(set(one) == {"base", "arm", AGAIN} for one in rounds)
    assert len(set(rounds)) == 6, "all orders come up"
    first = Counter(one[0] for one in rounds)
    assert min(first.values()) > len(rounds) / 6


def test_the_seed_decides_the_order(three):
    orders = []
    for seed in (1, 1, 2):
        simulated = three()
        run(simulated, seed=seed)
        orders.append(simulated.calls)
    assert orders[0] == orders[1] != orders[2]


def test_without_a_copy_the_baseline_is_called_again(clock):
    simulated = clock({"base": 1.0, "arm": 1.0})
    samples = sample(simulated.arms(), "base", Sampling(20.0, seed=0), clock=simulated)
    calls = Counter(name for name, _ in simulated.calls)
    assert calls["base"] == 2 * calls["arm"]
    assert set(samples.seconds) == {"base", "arm", AGAIN}


@pytest.mark.parametrize("seconds", [2e-7, 1e-6, 1e-4, 0.017, 2.0])
def test_loops_fill_a_sample_and_both_baselines_loop_alike(three, seconds):
    samples = run(three(seconds, seconds * 30), budget_s=seconds * 1000)
    for arm, speed in (("base", seconds), ("arm", seconds * 30)):
        assert samples.calls[arm] * speed >= 1e-3
        assert samples.calls[arm] == 1 or (samples.calls[arm] - 2) * speed < 1e-3
        assert samples.seconds[arm][0] == pytest.approx(speed)
    assert samples.calls[AGAIN] == samples.calls["base"]


@pytest.mark.parametrize(("arm", "budget_s"), [(1.0, 100.0), (100.0, 1000.0), (0.3, 31.7)])
def test_the_budget_is_kept_to_within_a_round(three, arm, budget_s):
    samples = run(three(arm=arm), budget_s=budget_s)
    a_round = 2 + arm
    assert samples.stopped == "budget"
    assert abs(samples.sampling_s - budget_s) <= a_round / 2 + 1e-6
    assert samples.rounds == len(samples.seconds["arm"])


def test_slow_arms_get_their_rounds_whatever_the_budget(three):
    samples = run(three(arm=100.0), budget_s=1.0)
    assert samples.rounds == FEWEST
    assert samples.warmup_s <= 2 * 102, "two calls each are enough to warm up"


@pytest.mark.parametrize(("budget_s", "said"), [(1019.0, ["1020.0"]), (1021.0, [])])
def test_the_budget_that_the_fewest_rounds_need_is_known_before_the_first(three, budget_s, said):
    simulated, reported = three(arm=100.0), []
    again = simulated.call(AGAIN)
    sampling = Sampling(budget_s=budget_s, seed=0)

    def report(text):
        # warm-up alone has run: no arm has had its rounds
        assert max(Counter(name for name, _ in simulated.calls).values()) < FEWEST
        reported.append(text)

    sample(simulated.arms(), "base", sampling, clock=simulated, again=again, report=report)
    assert reported == [
        f"10 rounds of 3 arms need about {needed} s, more than the budget of {budget_s:g} s"
        for needed in said
    ]


def test_warm_up_waits_for_an_arm_that_gets_faster(clock):
    class Cooling(clock):
        def time(self, call, count):
            taken = super().time(call, count)
            return taken * max(1.0, 3.0 - 0.1 * self._taken["arm"]) if call() == "arm" else taken

    simulated = Cooling({"base": 1.0, "arm": 1.0, AGAIN: 1.0})
    samples = run(simulated, budget_s=300.0, warmup=1.0)
    assert max(samples.seconds["arm"]) < 1.1
    assert samples.warmup_s > 3 * 18


def test_warm_up_ends_with_its_share_of_the_budget(clock):
    class Cooling(clock):
        def time(self, call, count):
            return super().time(call, count) * (1 + 100 * 0.9 ** self._taken["base"])

    samples = run(Cooling({"base": 1.0, "arm": 1.0, AGAIN: 1.0}), budget_s=2000.0, warmup=0.25)
    assert 500 <= samples.warmup_s <= 610


def test_sampling_stops_when_all_intervals_are_narrow(three):
    quiet = run(three(kind="normal"), budget_s=2000.0, width=0.02, first_look=20)
    noisy = run(three(kind="lognormal"), budget_s=2000.0, width=0.02, first_look=20)
    assert (quiet.stopped, noisy.stopped) == ("narrow", "narrow")
    assert 20 <= quiet.rounds < noisy.rounds


def test_the_most_rounds(three):
    samples = run(three(), max_rounds=7)
    assert (samples.rounds, samples.stopped) == (7, "rounds")


def test_throttled_rounds_are_dropped(three):
    answers = iter([True, False, False] * 1000)
    samples = run(three(), throttled=lambda: next(answers))
    assert samples.dropped == pytest.approx(samples.rounds / 2, abs=1)
    assert samples.rounds + samples.dropped == pytest.approx(33, abs=1)


def test_a_device_that_stays_throttled_ends_with_a_reason(three):
    with pytest.raises(AttnbenchError, match=r"all of \d+ rounds were dropped"):
        run(three(), throttled=lambda: True, budget_s=1.0)


def test_an_arm_that_raises_is_named():
    def broken():
        raise RuntimeError("out of memory")

    with pytest.raises(ArmError, match="arm 'b' failed: RuntimeError: out of memory"):
        sample({"a": lambda: None, "b": broken}, "a", Sampling(0.01))


def test_an_interrupt_passes_through():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample({"a": stop, "b": stop}, "a", Sampling(0.01))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_s": 0.0}, "budget_s is invalid: got 0.0. Give a positive number of seconds."),
        ({"budget_s": -1.0}, "budget_s .* -1.0"),
        ({"budget_s": float("nan")}, "budget_s .* nan"),
        ({"budget_s": float("inf")}, "budget_s .* inf"),
        ({"width": -0.1}, "width .* -0.1"),
        ({"width": float("nan")}, "width .* nan"),
        ({"max_rounds": 4}, "max_rounds .* 4"),
        ({"min_sample_s": 0.0}, "min_sample_s .* 0.0"),
    ],
)
def test_bad_sampling(options, message):
    with pytest.raises(RequestError, match=message):
        Sampling(**options)


def test_bad_arms():
    with pytest.raises(RequestError, match=r"got 'bse'\. Did you mean 'base'"):
        sample({"base": int}, "bse")
    with pytest.raises(RequestError, match=f"got {AGAIN!r}"):
        sample({"base": int, AGAIN: int}, "base")


class TestSettings:
    def arms(self, changes_at):
        """Return a quick arm, and one that sets the threads at one of its calls."""
        calls = []

        def changes():
            calls.append(1)
            if len(calls) == changes_at:
                torch.set_num_threads(torch.get_num_threads() + 1)

        return {"plain": int, "changes": changes}

    @pytest.fixture(autouse=True)
    def threads(self):
        before = torch.get_num_threads()
        yield before
        assert torch.get_num_threads() == before

    def test_an_arm_that_changes_them_is_named(self, threads):
        text = f"it changes the number of threads of the process from {threads} to {threads + 1}"
        with pytest.raises(ArmError, match=text) as caught:
            sample(self.arms(1), "plain", Sampling(budget_s=0.01))
        assert caught.value.arm == "changes"

    def test_a_later_change_is_found(self):
        with pytest.raises(AttnbenchError, match="one of plain, changes"):
            sample(self.arms(100), "plain", Sampling(budget_s=0.01))

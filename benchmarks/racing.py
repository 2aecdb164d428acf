"""Races: simulated coverage, wrong verdicts, and trainings beside a fixed number of seeds.

    python benchmarks/racing.py [--tables N] [--seeds 40] [--margin 1.0] [--smoke]

Arms have differences with a standard deviation of 1, half of whose variance is the plain
network's, and true means of 0, 1 and 3 in equal parts, of either sign. An arm is trained until it
is better, worse or the same within the margin, by the rule of ``attnbench accuracy --until
decided``. *coverage* counts the sequences of seeds whose interval holds the true mean at every
number of seeds. *wrong* counts the tables with any wrong better or worse; *as fixed* the arms
that are decided as by Student's t of all seeds; *trainings* are those of a race in percent of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from command_line import Parser, count, run, seconds

from attnbench.stats.confidence_sequence import half_width, log_e_value
from attnbench.stats.hodges_lehmann import Array, t_p_value, t_quantile

LEVEL = 0.05
FEWEST = 3
ARMS = (2, 3, 8, 20, 44)
MEANS = np.array([0.0, 1.0, 3.0])


def main() -> None:
    """Print a line for each distribution and number of arms."""
    parser = Parser(__doc__, tables=4, seeds=6, arms=[2, 5])
    parser.add_argument("--tables", type=count, default=1000, help="of each number of arms")
    parser.add_argument("--seeds", type=count, default=40, help="the most of an arm")
    parser.add_argument("--arms", type=count, nargs="+", default=[*ARMS])
    parser.add_argument("--margin", type=seconds, default=1.0, help="in standard deviations")
    options = parser.read()
    random = np.random.default_rng(0)
    print(f"{'':16} coverage    wrong  wrong, all 0  as fixed  trainings")
    for freedom in (None, 3):
        for arms in options.arms:
            shape = (options.tables, arms, options.seeds)
            covered, wrong, null, same, share = race_figures(random, shape, freedom, options.margin)
            name = f"{'normal' if freedom is None else f't{freedom}'}, {arms} arms"
            counts = [f"{round(part * options.tables)}/{options.tables}" for part in (wrong, null)]
            print(
                f"{name:16} {covered:8.1%} {counts[0]:>8} {counts[1]:>13} {same:9.1%} {share:10.1%}"
            )


def race_figures(
    random: np.random.Generator, shape: tuple[int, int, int], freedom: int | None, margin: float
) -> list[float]:
    """Return coverage, tables with a wrong verdict (a mix, none differs), agreement, trainings."""
    tables, arms, seeds = shape
    noise = differences(random, shape, freedom)
    sizes = random.choice(MEANS, (tables, arms)) * random.choice([-1, 1], (tables, arms))
    means, sds = running(noise + sizes[..., None])
    counts = np.arange(2, seeds + 1)
    covered = (np.abs(means - sizes[..., None]) <= half_width(sds, counts)).all(axis=2)
    raced, stops = race(means, sds, margin)
    fixed = fixed_verdicts(means[..., -1], sds[..., -1], seeds, margin)
    wrong = np.isin(raced, (-1, 1)) & (raced != np.sign(sizes))
    null, _ = race(*running(noise), margin)
    plain = stops.max(axis=1)
    trainings = (stops.sum() + plain.sum()) / (tables * (arms + 1) * seeds)
    return [
        float(covered.mean()),
        float(wrong.any(axis=1).mean()),
        float(np.isin(null, (-1, 1)).any(axis=1).mean()),
        float((raced == fixed).mean()),
        float(trainings),
    ]


def differences(
    random: np.random.Generator, shape: tuple[int, int, int], freedom: int | None
) -> Array:
    """Return differences of standard deviation 1 around 0, of arms that share a plain network."""
    tables, _, seeds = shape

    def draw(size: Sequence[int]) -> Array:
        if freedom is None:
            return random.standard_normal(size)
        return random.standard_t(freedom, size) / np.sqrt(freedom / (freedom - 2))

    return (draw(shape) - draw((tables, 1, seeds))) / np.sqrt(2)


def running(values: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the first 2, 3, ... values."""
    counts = np.arange(1, values.shape[2] + 1)
    means = values.cumsum(axis=2) / counts
    squares = (values**2).cumsum(axis=2) - counts * means**2
    return means[..., 1:], np.sqrt(squares[..., 1:] / (counts[1:] - 1))


def race(means: Array, sds: Array, margin: float) -> tuple[Array, Array]:
    """Return the verdict (-1, 1, 0: same, 2: inconclusive) and the seeds of each arm."""
    tables, arms, last = means.shape
    verdicts, stops = np.full((tables, arms), 2), np.full((tables, arms), last + 1)
    logs = np.zeros((tables, arms))
    for place in range(FEWEST - 2, last):
        live = verdicts == 2
        mean, sd = means[..., place], sds[..., place]
        logs = np.where(live, log_e_value(mean, sd, place + 2), logs)
        same = np.abs(mean) + half_width(sd, place + 2) <= margin
        found = np.where(rejected(-logs, familywise=True), np.sign(mean), np.where(same, 0, 2))
        verdicts = np.where(live, found, verdicts)
        stops = np.where(live & (verdicts != 2), place + 2, stops)
    return verdicts, stops


def rejected(log_p_values: Array, *, familywise: bool) -> Array:
    """Return which arms of each table Holm, or Benjamini and Hochberg, reject."""
    arms = log_p_values.shape[1]
    ranks = np.arange(1, arms + 1)
    order = np.sort(log_p_values, axis=1)
    passed = order <= np.log(LEVEL / (arms + 1 - ranks) if familywise else LEVEL * ranks / arms)
    if familywise:
        passed = np.logical_and.accumulate(passed, axis=1)
    bound = np.where(passed, order, -np.inf).max(axis=1, keepdims=True)
    return log_p_values <= bound


def fixed_verdicts(means: Array, sds: Array, seeds: int, margin: float) -> Array:
    """Return the verdicts by Student's t after all seeds."""
    errors = sds / np.sqrt(seeds)
    p_values = np.vectorize(t_p_value)(means / errors, seeds - 1)
    same = np.abs(means) + t_quantile(seeds - 1) * errors <= margin
    found = rejected(np.log(np.maximum(p_values, 1e-300)), familywise=False)
    return np.where(found, np.sign(means), np.where(same, 0, 2))


if __name__ == "__main__":
    run(main)

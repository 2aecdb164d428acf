"""The speed probe: passes in a second, by a clock of the test."""

import torch

from attnbench.system.speed_probe import probe_speed


def test_the_mean_duration_of_a_pass():
    now, passes = 0.0, 0

    def work():
        nonlocal now, passes
        now, passes = now + 0.3, passes + 1

    assert abs(probe_speed(1.0, work, lambda: now) - 0.3) < 1e-9
    assert passes == 1 + 4


def test_the_small_network_leaves_the_process_as_it_was():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert 0 < probe_speed(0.0) < 10
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)

"""What one process measured, and its JSON form."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from attnbench.errors import RequestError
from attnbench.stats.latency_ratio import estimate
from attnbench.stats.timing_samples import AGAIN, TimingSamples


def test_json_there_and_back(simulate):
    samples = simulate("normal", np.random.default_rng(0), 20, 1.3)
    data = json.loads(json.dumps(samples.to_json()))
    back = TimingSamples.from_json(data)
    assert back.to_json() == data
    assert all(len(f"{one:g}".replace(".", "").lstrip("0")) <= 5 for one in data["seconds"]["arm"])
    assert estimate([back], "arm").ratio == pytest.approx(
        estimate([samples], "arm").ratio, rel=1e-4
    )


def test_only_holds_what_an_estimate_needs(simulate):
    samples = simulate("normal", np.random.default_rng(0), 20, 1.3)
    more = TimingSamples(
        **{
            **vars(samples),
            "seconds": {**samples.seconds, "other": samples.seconds["arm"]},
            "calls": {**samples.calls, "other": 1},
        }
    )
    part = more.only("arm")
    assert list(part.seconds) == ["base", AGAIN, "arm"]
    assert estimate([part], "arm") == estimate([more], "arm")
    assert list(more.only("base").seconds) == list(more.only(AGAIN).seconds) == ["base", AGAIN]
    with pytest.raises(RequestError, match="Did you mean 'other'"):
        more.only("othr")


def test_samples_travel_between_processes(simulate):
    samples = simulate("normal", np.random.default_rng(0), 5)
    assert pickle.loads(pickle.dumps(samples)) == samples

import pickle

import pytest
import torch

from attnbench.datasets.registry import dataset, load
from attnbench.datasets.synthetic import Synthetic
from attnbench.errors import RequestError


def test_sizes_follow_the_options():
    found = load("synthetic,count=80,classes=4,size=6")
    assert found.synthetic
    assert found.name == "synthetic,classes=4,count=80,size=6"
    assert found.train.stacked.shape == (80, 3, 6, 6)
    assert found.test.stacked.shape == (20, 3, 6, 6)
    assert found.train.targets.bincount().tolist() == [20] * 4


def test_options_at_their_defaults_are_dropped_from_the_name():
    assert dataset("synthetic,classes=10,size=16").name == "synthetic"


def test_the_same_at_every_call(tmp_path):
    first, second = (Synthetic().load(tmp_path) for _ in range(2))
    assert torch.equal(first.train.stacked, second.train.stacked)
    assert torch.equal(first.test.stacked, second.test.stacked)


def test_a_nearest_mean_learns_it():
    found = load("synthetic")
    pixels = found.train.stacked.flatten(1).float()
    means = torch.stack([pixels[found.train.targets == label].mean(0) for label in range(10)])
    guesses = torch.cdist(found.test.stacked.flatten(1).float(), means).argmin(1)
    assert (guesses == found.test.targets).float().mean() > 0.95


def test_it_can_be_sent_to_another_process():
    found = load("synthetic")
    sent = pickle.loads(pickle.dumps(found))
    assert torch.equal(sent.test.image(5), found.test.image(5))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("classes=1", "classes .*got 1.* at least 2"),
        ("size=16.5", r"size .*got 16\.5.* at least 4"),
        ("count=true", "count .*got True.* at least 4"),
        ("count=39", "count .*10 classes.*got 39.* at least 40"),
        ("colour=red", "synthetic has no option colour"),
    ],
)
def test_wrong_options_are_refused(options, reason):
    with pytest.raises(RequestError, match=reason):
        dataset(f"synthetic,{options}")

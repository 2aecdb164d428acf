import numpy as np
import torch
from sklearn.datasets import load_digits

from attnbench.datasets.registry import load


def test_the_split_is_the_documented_rule_over_all_images():
    images, labels = load_digits(return_X_y=True)
    random = np.random.RandomState(0)
    test = set()
    for label in range(10):
        rows = [row for row, one in enumerate(labels) if one == label]
        test |= set(random.permutation(rows)[:36].tolist())
    found = load("digits")
    for split, rows in (
        (found.test, sorted(test)),
        (found.train, sorted(set(range(1797)) - test)),
    ):
        expected = np.rint(images[rows] * 255 / 16).reshape(-1, 1, 8, 8)
        assert np.array_equal(split.stacked.numpy(), expected)
        assert split.targets.tolist() == labels[rows].tolist()


def test_the_split_is_stratified():
    found = load("digits")
    assert found.test.targets.bincount().tolist() == [36] * 10
    assert (len(found.train), len(found.test)) == (1437, 360)
    assert not found.synthetic
    assert found.train.stacked.max() == 255
    assert found.train.image(0).shape == torch.Size([1, 8, 8])

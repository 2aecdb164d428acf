"""Transforms of batches: which images share a draw; mixing."""

import pytest
import torch
from torch import nn

from attnbench.errors import RequestError
from attnbench.training.augmentation import augmented, mixing, transforms


@pytest.fixture
def ramps():
    """Twelve equal images whose columns are told apart."""
    return torch.arange(8, dtype=torch.uint8).view(1, 1, 1, 8).expand(12, 3, 8, 8).clone()


FLIP = [{"name": "RandomHorizontalFlip"}]


@pytest.mark.parametrize("draw", [1, 4, 5, 12, 100])
def test_images_that_share_a_draw(ramps, recipe, draw):
    transform = transforms(recipe(augment=FLIP))
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found = augmented(ramps, transform, draw)
        assert found.dtype == torch.uint8
        flipped = [bool(one[0, 0, 0] == 7) for one in found]
        expected = ramps.clone()
        expected[flipped] = expected[flipped].flip(-1)
        assert torch.equal(found, expected)
        assert all(len(set(flipped[at : at + draw])) == 1 for at in range(0, 12, draw))
        seen.add(tuple(flipped[::draw]))
    assert len(seen) > 1


def test_the_draws_are_the_global_generators(ramps, recipe):
    transform = transforms(recipe(augment=[{"name": "RandomCrop", "size": 8, "padding": 2}]))
    torch.manual_seed(3)
    first = augmented(ramps, transform, 2)
    torch.manual_seed(3)
    assert torch.equal(first, augmented(ramps, transform, 2))


def test_without_transforms(ramps, recipe):
    assert transforms(recipe()) is None
    assert augmented(ramps, None, 4) is ramps


def test_transforms_run_in_order(recipe, ramps):
    chain = [{"name": "Pad", "padding": [0, 0, 1, 0]}, {"name": "RandomHorizontalFlip", "p": 1.0}]
    found = transforms(recipe(augment=chain))(ramps)
    assert found[0, 0, 0].tolist() == [0, 7, 6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"name": "RandomCorp"}, r"unknown transform 'RandomCorp'\. Did you mean 'RandomCrop'"),
        ({"name": "functional"}, "unknown transform 'functional'.*Recipe tiny.*transforms.v2"),
        ({"name": "InterpolationMode"}, "unknown transform 'InterpolationMode'"),
        (
            {"name": "RandomCrop", "size": 8, "paddings": 1},
            r"recipe tiny: RandomCrop has no option 'paddings'; it takes size, padding.*"
            r"Did you mean 'padding'",
        ),
        ({"name": "RandomCrop"}, "recipe tiny: RandomCrop cannot be built: TypeError"),
        ({"name": "RandomHorizontalFlip", "p": 3}, "RandomHorizontalFlip cannot be built"),
    ],
)
def test_mistakes_are_named(recipe, augment, message):
    with pytest.raises(RequestError, match=message):
        transforms(recipe(augment=[augment]))


def mixed(recipe, seed, **alphas):
    torch.manual_seed(seed)
    images = torch.rand(6, 3, 8, 8)
    targets = torch.arange(6)
    return images, *mixing(recipe(**alphas), 7)(images, targets)


def test_no_mixing(recipe):
    assert mixing(recipe(), 7) is None


def test_mixup_is_a_weighted_mean_of_two_images(recipe):
    images, found, targets = mixed(recipe, 0, mixup=0.4)
    share = targets[0, 0]
    assert 0 < share < 1
    others = images.roll(1, 0)
    assert torch.allclose(found, share * images + (1 - share) * others)
    one_hot = nn.functional.one_hot(torch.arange(6), 7).float()
    assert torch.allclose(targets, share * one_hot + (1 - share) * one_hot.roll(1, 0))


def test_cutmix_gives_each_pixel_to_one_of_two_images(recipe):
    images, found, targets = mixed(recipe, 1, cutmix=1.0)
    own = (found == images).all(1)
    other = (found == images.roll(1, 0)).all(1)
    assert bool((own | other).all())
    assert own[0].double().mean().item() == pytest.approx(float(targets[0, 0]), abs=1e-6)


def test_one_of_both_is_drawn_for_each_batch(recipe):
    kinds = set()
    for seed in range(12):
        images, found, _ = mixed(recipe, seed, mixup=1.0, cutmix=1.0)
        both = (found == images).all(1) | (found == images.roll(1, 0)).all(1)
        kinds.add("cutmix" if bool(both.all()) else "mixup")
    assert kinds == {"mixup", "cutmix"}

"""Candidates of a network and their exact costs, against counts of whole networks."""

import pytest

from attnbench.choosing.candidates import (
    OFFICIAL,
    find_blocks,
    find_candidates,
    find_modules,
    find_placements,
)
from attnbench.errors import RequestError
from attnbench.models.backbones import create_backbone
from attnbench.models.insertion import fill
from attnbench.models.sites import SiteSurvey
from attnbench.registry.plugins import catalog

from .conftest import BACKBONE, request_of


def candidates_of(meter, *modules, **fields):
    request = request_of(modules=modules, **fields)
    return request, find_candidates(request, find_modules(modules, catalog()), meter)


def test_the_placements_of_a_network_are_enumerated_by_kind(meter):
    survey = meter.backbone_cost(BACKBONE, (64, 64)).survey
    assert len(find_blocks(survey)) == 11
    sizes = {kind: len(find_placements([kind], survey)) for kind in ("single", "last", "stages")}
    assert sizes == {"single": 11, "last": 9, "stages": 4}
    assert find_placements(["all"], survey) == ["after:2-12"]
    assert find_placements(["replace-se"], survey) == ["replace-se:all"]
    assert find_placements(["official", "after:12,11"], survey) == [OFFICIAL, "after:11,12"]
    # the last stage has three blocks, which are the last three as well
    assert len(find_placements([], survey)) == 11 + 9 + 4 - 2 + 1 + 1 + 1


@pytest.mark.parametrize("place", ["single", "last", "replace-se", "official"])
def test_added_parameters_are_those_of_the_whole_network(meter, place):
    _, found = candidates_of(meter, "se", "eca", "cbam", places=(place,))
    plain = create_backbone(BACKBONE)
    count = sum(parameter.numel() for parameter in plain.parameters())
    modules = find_modules(["se", "eca", "cbam"], catalog())
    for candidate in found.all[:: max(1, len(found.all) // 4)]:
        placed = fill(plain, candidate.slots, modules[candidate.module])
        own = sum(parameter.numel() for parameter in placed.parameters())
        assert candidate.delta.params == own - count, candidate


def test_exact_limits_keep_what_brute_force_keeps(meter):
    request, found = candidates_of(meter, "se", "eca", limits={"params": "1%", "macs": "200"})
    plain = meter.backbone_cost(BACKBONE, request.size).plain
    kept = set(found.within(request.limits, plain))
    assert 0 < len(kept) < len(found.all)
    for candidate in found.all:
        fits = candidate.delta.params <= plain.params * 0.01 and candidate.delta.macs <= 200
        assert (candidate in kept) is fits


def test_equal_slots_are_the_same_candidate(meter):
    _, found = candidates_of(meter, "se", places=("all", "after:2-12"))
    assert [candidate.placement for candidate in found.all] == ["after:2-12"]


def test_a_module_that_fits_nowhere_is_refused_with_its_reason(meter):
    _, found = candidates_of(meter, "ulsam,groups=7", places=("single",))
    assert found.all == []
    assert found.refused == {"ulsam,groups=7": "takes none of the places"}


def test_a_network_without_blocks_asks_for_places(meter):
    with pytest.raises(RequestError, match="--places after:PATH"):
        candidates_of(meter, "se", backbone="alexnet")


def test_a_selector_leaves_out_the_control(meter):
    assert "identity" not in find_modules(["@all"], catalog())
    assert "identity" in find_modules(["identity"], catalog())


@pytest.mark.parametrize(
    ("network", "count", "last"), [("resnet18", 8, "layer4.1"), ("mnasnet0_5", 16, "layers.13.0")]
)
def test_blocks_of_an_unknown_class_are_its_outermost_repeated_modules(network, count, last):
    blocks = find_blocks(SiteSurvey(create_backbone(network), (1, 3, 64, 64)))
    assert (len(blocks), blocks[-1].path) == (count, last)

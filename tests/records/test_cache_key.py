"""What a record's hash covers: what the result depends on, and not what it is called."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from attnbench.measure import accuracy, cost, latency
from attnbench.records.cache_key import fingerprint, packages_of
from attnbench.registry.plugins import catalog
from attnbench.suites.case import Conditions, Training
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import make_case
from attnbench.system import provenance

from ..tiny_recipe import tiny_recipe

DATA = "synthetic,classes=4"


@pytest.fixture
def suite():
    return parse_suite(
        {
            "suite": {"name": "s", "title": "S"},
            "table": [{"columns": ["label"], "row": [{"backbone": "mobilenet_v2"}]}],
        },
        "s.toml",
    )


@pytest.fixture
def recipe(tmp_path):
    """Write a recipe and return its path; a new file each time, as times of files are coarse."""
    count = 0

    def write(*changes, name=None):
        nonlocal count
        count += 1
        text = tiny_recipe()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / (name or f"recipe-{count}.toml")
        path.write_text(text)
        return str(path)

    return write


def made(module=None, placement=None):
    return make_case(
        catalog(), backbone="mobilenet_v2", module=module, placement=placement, size=16
    )


@pytest.fixture
def hash_of(suite):
    def of(module=None, placement=None, **training):
        case = made(module, placement).for_training(Training(**{"dataset": DATA, **training}), 16)
        return fingerprint(case, suite, catalog())

    return of


def by_hand(parts):
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class TestOtherKinds:
    """Records that were there before accuracy hold as they are."""

    FIELDS: ClassVar = {
        "backbone": "mobilenet_v2",
        "channels": None,
        "counters": False,
        "fused": False,
        "module": None,
        "placement": None,
        "size": (16, 16),
    }

    def test_cost(self, suite):
        case = made()
        parts = {
            "case": self.FIELDS | {"kind": "cost", "conditions": None},
            "suite": 1,
            "versions": provenance.versions(packages_of(case)),
            "method": cost.METHOD,
        }
        assert fingerprint(case, suite, catalog()) == by_hand(parts)

    def test_latency(self, suite):
        case = made().for_latency(Conditions("eager"))
        conditions = {
            "runtime": "eager",
            "batch": 1,
            "precision": "fp32",
            "device": "cpu",
            "threads": 1,
        }
        parts = {
            "case": self.FIELDS | {"kind": "latency", "conditions": conditions},
            "suite": 1,
            "versions": provenance.versions(packages_of(case)),
            "method": latency.METHOD,
            "machine": provenance.machine(),
            "protocol": None,
        }
        assert fingerprint(case, suite, catalog()) == by_hand(parts)


class TestTrainings:
    def test_the_content_of_the_recipe_counts(self, hash_of, recipe):
        own = hash_of(recipe=recipe())
        for change in (
            ("lr = 0.05", "lr = 0.06"),
            ("epochs = 2", "epochs = 3"),
            ("batch_size = 32", "batch_size = 16"),
            ("std = [0.25,", "std = [0.5,"),
        ):
            assert hash_of(recipe=recipe(change)) != own

    def test_what_it_is_called_does_not(self, hash_of, recipe):
        own = hash_of(recipe=recipe())
        assert hash_of(recipe=recipe(name="other.toml")) == own
        for change in (
            ('name = "tiny"', 'name = "small"'),
            ('title = "a few steps"', 'title = "some steps"'),
            ('source = "the tests"', 'source = "nowhere"\nsmoke = true'),
            ("lr = 0.05", 'lr = 0.05\nname = "sgd"'),
        ):
            assert hash_of(recipe=recipe(change)) == own

    def test_so_many_epochs_are_the_same_wherever_they_are_written(self, hash_of, recipe):
        own = recipe()
        assert hash_of(recipe=own, epochs=2) == hash_of(recipe=own)
        assert hash_of(recipe=own, epochs=3) != hash_of(recipe=own)

    def test_seed_int8_threads_and_module(self, hash_of, recipe):
        own = recipe()
        found = [
            hash_of(recipe=own),
            hash_of(recipe=own, seed=1),
            hash_of(recipe=own, int8=True),
            hash_of(recipe=own, threads=2),
            hash_of("se", "after:5", recipe=own),
            hash_of("se", "after:6", recipe=own),
            hash_of("cbam", "after:5", recipe=own),
        ]
        assert len(set(found)) == len(found)

    def test_data(self, hash_of, recipe):
        own = recipe()
        assert hash_of(recipe=own, dataset="synthetic,classes=5") != hash_of(recipe=own)
        # the same options, written otherwise
        assert hash_of(recipe=own, dataset="synthetic,classes=4,count=512") == hash_of(recipe=own)

    def test_data_that_come_later(self, hash_of, recipe, tmp_path, monkeypatch):
        """A case skipped for want of its data is another one than the case that has them."""
        monkeypatch.setenv("ATTNBENCH_DATA", str(tmp_path))
        training = Training("cifar10", recipe())
        assert accuracy.identity(training)["data"] is None
        assert accuracy.identity(Training(DATA, recipe()))["data"] is not None

    def test_the_content_of_the_weights_counts(self, hash_of, recipe, tmp_path):
        own, found = recipe(), [hash_of(recipe=recipe())]
        for name, content in (("a.pt", b"one"), ("b.pt", b"two"), ("c.pt", b"one")):
            (tmp_path / name).write_bytes(content)
            found.append(hash_of(recipe=own, weights=str(tmp_path / name)))
        assert found[1] == found[3]
        assert len(set(found)) == 3

    def test_weights_that_are_written_anew(self, hash_of, recipe, tmp_path):
        own, path = recipe(), tmp_path / "w.pt"
        path.write_bytes(b"one")
        before = hash_of(recipe=own, weights=str(path))
        path.write_bytes(b"another")
        assert hash_of(recipe=own, weights=str(path)) != before

    def test_method(self, hash_of, recipe, monkeypatch):
        own = recipe()
        before = hash_of(recipe=own)
        monkeypatch.setattr(accuracy, "METHOD", accuracy.METHOD + 1)
        assert hash_of(recipe=own) != before

    def test_the_method_of_counting_does_not(self, hash_of, recipe, monkeypatch):
        own = recipe()
        before = hash_of(recipe=own)
        monkeypatch.setattr(cost, "METHOD", cost.METHOD + 1)
        assert hash_of(recipe=own) == before


def test_the_method_of_counting_counts_for_costs(suite, monkeypatch):
    before = fingerprint(made("se", "after:5"), suite, catalog())
    monkeypatch.setattr(cost, "METHOD", cost.METHOD + 1)
    assert fingerprint(made("se", "after:5"), suite, catalog()) != before


def test_another_gpu_counts_and_a_processor_is_the_machine(suite, monkeypatch):
    def key(device):
        return fingerprint(made().for_latency(Conditions("eager", device=device)), suite, catalog())

    def found(title):
        describe = SimpleNamespace(describe=lambda: {"title": title})
        monkeypatch.setattr("attnbench.records.cache_key.find_device", lambda name: describe)

    keys = {key("cpu"), key("cuda:63")}  # which is not there
    for title in ("Card A", "Card B"):
        found(title)
        keys |= {key("cpu"), key("cuda:63")}
    assert len(keys) == 4


def test_the_code_of_a_network_of_a_file_counts(suite, tmp_path, monkeypatch):
    def key(folder, classes, comment=""):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        helper = f"def size(): return {classes}\n"
        Path("net.py").write_text(
            f"from torch import nn\n{comment}\n{helper}def build(): return nn.Linear(4, size())\n"
        )
        return fingerprint(replace(made(), backbone="net.py:build"), suite, catalog())

    first = key("a", 3)
    assert first == key("b", 3, "# a comment")
    assert first != key("c", 4)
    assert "timm" in packages_of(replace(made(), backbone="net.py:build"))

"""Modules that 8 bits are not enough for."""

import pytest

from attnbench.conformance import int8
from attnbench.conformance.runtime_export import ExportOutcome

from .clean import Clean, assert_found, findings


@pytest.fixture(autouse=True)
def _one_runtime(monkeypatch):
    """ONNX Runtime alone: ExecuTorch's quantiser takes seconds a module."""
    monkeypatch.setattr(int8, "_RUNTIMES", ("onnxruntime",))


class FarFromZero(Clean):
    """Adds and takes away what 8 bits cannot hold beside the map."""

    def forward(self, x):
        far = super().forward(x) + 1000
        return far.relu() - 1000


class SomewhatFar(Clean):
    def forward(self, x):
        far = super().forward(x) + 100
        return far.relu() - 100


def test_what_8_bits_cannot_hold_is_found():
    assert_found(FarFromZero, "int8", "dB of signal over noise")


def test_what_cannot_be_quantised_is_found(monkeypatch):
    def failed(name, form, precision):
        return ExportOutcome(form, failure="no such operator: eigh")

    monkeypatch.setattr(int8, "outcome", failed)
    assert_found(Clean, "int8", "cannot be quantised by ONNX Runtime: no such operator: eigh")
    monkeypatch.setattr(int8, "_RUNTIMES", ("executorch",))
    monkeypatch.setattr(int8, "lacking", lambda name: None)
    noted, _ = findings(Clean, "int8")
    assert noted.status == "note" and "by ExecuTorch (XNNPACK)" in noted.reason


def test_what_is_near_the_edge_is_noted():
    found = findings(SomewhatFar, "int8")
    assert [one.status for one in found] == ["note", "ok"]
    assert 5 < found[0].values["sqnr_db"] < 20


def test_clean_module_keeps_its_output():
    (found,) = findings(Clean, "int8")
    assert found.status == "ok" and found.values["sqnr_db"]["onnxruntime, plain"] > 30

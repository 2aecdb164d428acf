"""Versions of distributions, some of which go by another name."""

from importlib.metadata import PackageNotFoundError

from attnbench.system import provenance


def test_a_build_for_gpus_counts_as_the_distribution_it_replaces(monkeypatch):
    installed = {"onnxruntime-gpu": "1.30", "torch": "2.14"}

    def version(name):
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(provenance, "version", version)
    found = provenance.versions(["torch", "onnxruntime", "timm"])
    assert {key: found[key] for key in found if key != "python"} == {
        "torch": "2.14", "onnxruntime": "1.30",
    }  # fmt: skip

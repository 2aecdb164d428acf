"""What a case's hash covers: the class's file and what it imports of its own distribution."""

import importlib.util
import sys

import pytest

from attnbench.plugins import Catalog, catalog
from attnbench.records import sources
from attnbench.records.fingerprint import fingerprint
from attnbench.records.sources import source_hashes
from attnbench.running.sessions import Protocol
from attnbench.suites.cases import make_case
from attnbench.suites.conditions import Conditions
from attnbench.suites.load import parse_suite

SUITE = {
    "suite": {"name": "s", "title": "t"},
    "table": [{"columns": ["params"], "row": [{"backbone": "mobilenet_v2"}]}],
}


@pytest.fixture(autouse=True)
def no_memory():
    yield
    for cached in (sources._hash, sources._code_hash, sources._imported, sources._root):
        cached.cache_clear()


def load(path):
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plugin(folder, helper="VALUE = 1\n"):
    (folder / "helper.py").write_text(helper)
    (folder / "unrelated.py").write_text("VALUE = 2\n")
    path = folder / "mine.py"
    path.write_text(
        f"import sys\nfrom torch import nn\nsys.path.append({str(folder)!r})\nimport helper\n"
        "class Mine(nn.Module):\n    def forward(self, x):\n        return x\n"
    )
    return load(path).Mine


def test_a_plugin_file_and_its_neighbour(tmp_path):
    assert set(source_hashes(plugin(tmp_path))) == {"mine.py", "helper.py"}


def test_a_change_of_the_neighbour_changes_the_hash(tmp_path):
    target = plugin(tmp_path)
    before = source_hashes(target)
    (tmp_path / "helper.py").write_text("VALUE = 3\n")
    sources._hash.cache_clear()
    after = source_hashes(target)
    assert before["helper.py"] != after["helper.py"]
    assert before["mine.py"] == after["mine.py"]


def test_the_same_source_elsewhere_has_the_same_hashes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (source_hashes(plugin(tmp_path / name)) for name in "ab")
    assert one["helper.py"] == other["helper.py"]


@pytest.mark.parametrize("root", ["src", "."])
def test_a_package_that_is_not_installed(tmp_path, root):
    """Its own files and those of the package beside it, wherever its folder is."""
    files = {
        "sources_pkg/__init__.py": "TABLE = {'sources_mine': 'sources_pkg.code:Mine'}\n",
        "sources_pkg/code.py": "import torch\nfrom sources_beside import helper\nfrom . import own\n"
        "class Mine(torch.nn.Identity): ...\n",
        "sources_pkg/own.py": "",
        "sources_pkg/unrelated.py": "",
        "sources_beside/__init__.py": "",
        "sources_beside/helper.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / root / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text(
        "[project.entry-points.'attnbench.plugins']\nmine = 'sources_pkg:TABLE'\n"
    )
    known = Catalog()
    known.load_file(tmp_path)
    target = known.modules.get("sources_mine")
    before = source_hashes(target)
    assert set(before) == {one for one in files if "unrelated" not in one}
    (tmp_path / root / "sources_beside/helper.py").write_text("VALUE = 2\n")
    sources._hash.cache_clear()
    after = source_hashes(target)
    assert {one for one in files if before.get(one) != after.get(one)} == {
        "sources_beside/helper.py"
    }
    for name in [one for one in sys.modules if one.startswith("sources_")]:
        del sys.modules[name]


def test_our_modules_depend_on_the_card_but_not_on_each_other():
    found = set(source_hashes(catalog().modules.get("ulsam")))
    assert {"attnbench_modules/ulsam.py", "attnbench/cards.py"} <= found
    assert "attnbench_modules/bam.py" not in found


def test_no_file_of_another_distribution():
    assert not [key for key in source_hashes(catalog().modules.get("bam")) if "torch" in key]


def test_a_builtin_has_no_source():
    assert source_hashes(len) == {}


def test_fingerprints_tell_cases_apart():
    suite = parse_suite(SUITE, "here")
    newer = parse_suite({**SUITE, "suite": {**SUITE["suite"], "version": 2}}, "here")
    cases = [
        make_case(
            catalog(),
            backbone="mobilenet_v2",
            module=module,
            placement="after:5",
            counters=counters,
        )
        for module in ("se", "se,reduction=8", "cbam")
        for counters in (False, True)
    ]
    hashes = {fingerprint(case, one, catalog()) for case in cases for one in (suite, newer)}
    assert len(hashes) == 12
    assert fingerprint(cases[0], suite, catalog()) == fingerprint(cases[0], suite, catalog())


class TestLatencyFingerprints:
    def of(self, protocol=None, **conditions):
        suite = parse_suite(SUITE, "here")
        case = make_case(catalog(), backbone="mobilenet_v2", module=None, placement=None)
        timed = case.timed(Conditions(**{"runtime": "eager", **conditions}))
        return fingerprint(timed, suite, catalog(), protocol)

    def test_conditions_and_protocol_count(self):
        found = {
            self.of(),
            self.of(batch=2),
            self.of(runtime="compile"),
            self.of(precision="bf16"),
            self.of(cold=True),
            self.of(protocol=Protocol(5.0, 3)),
            self.of(protocol=Protocol(5.0, 1)),
        }
        assert len(found) == 7
        assert self.of() == self.of()

    def test_the_machine_counts(self, monkeypatch):
        before = self.of()
        monkeypatch.setattr(
            "attnbench.records.provenance.machine", lambda: {"processor": "another"}
        )
        assert self.of() != before

    def test_the_number_of_the_method_counts(self, monkeypatch):
        before = self.of()
        monkeypatch.setattr("attnbench.records.fingerprint.METHOD", 99)
        assert self.of() != before

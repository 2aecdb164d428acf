"""What changes the hash of a module's code: what it does, and not where or how it is written."""

import functools
import importlib.util
import sys
from itertools import count

import pytest
import torch

from attnbench.records.cache_key import fingerprint
from attnbench.records.code_hash import hash_code, hash_definition
from attnbench.records.name_resolution import WHOLE, Definition
from attnbench.registry.plugins import Catalog, catalog
from attnbench.runner.latency_sessions import SessionProtocol
from attnbench.suites.case import Conditions
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import make_case

SUITE = {
    "suite": {"name": "s", "title": "t"},
    "table": [{"columns": ["params"], "row": [{"backbone": "mobilenet_v2"}]}],
}
PACKAGE = {
    "sample_pkg/__init__.py": "from .tools import shown\n",
    "sample_pkg/mine.py": '''"""A module."""
from __future__ import annotations
import torch
import torch.nn.functional as F
from torch import nn
from typing import TYPE_CHECKING, Any
from sample_pkg import tools
from sample_pkg import shown
from sample_pkg.tools import gate, SCALE as FACTOR, unused

if TYPE_CHECKING:
    from sample_pkg.types import Kind

LIMIT = 3
TABLE = {"a": 1}
__all__ = ["Mine"]


@torch.no_grad()
def frozen(x):
    return x


def alone(x):
    return x + 1


if torch.__version__ > "2":
    def chosen(x):
        return x
else:
    def chosen(x):
        return -x


class Base(nn.Module):
    """A base."""


class Mine(Base):
    """It gates."""

    def forward(self, x: Kind, limit=LIMIT) -> Any:
        """Return x."""
        from .late import late  # why

        alone = x
        return gate(F.relu(late(alone))) * FACTOR + tools.shift(x) + shown(x) + chosen(x)


Mine.extra = TABLE["a"]
TABLE["b"] = 2
''',
    "sample_pkg/tools.py": """
from math import exp
SCALE = 2
def inner(x):
    return exp(x)
def gate(x):
    return inner(x) * 0.5
def shift(x):
    return x + 7
def shown(x):
    return x + 8
def unused(x):
    return x + 9
def registry(name):
    return lambda made: made
""",
    "sample_pkg/late.py": "def late(x):\n    return x + 10\n",
    "sample_pkg/types.py": "class Kind:\n    size = 11\n",
}
MINE, TOOLS = "sample_pkg/mine.py", "sample_pkg/tools.py"

SAME = {
    "comment": (MINE, "# why", "# because"),
    "docstring of the file": (MINE, '"""A module."""', '"""Another."""'),
    "docstring of a class": (MINE, "It gates.", "It does."),
    "no docstring": (MINE, '        """Return x."""\n', ""),
    "only docstring of a class": (MINE, '"""A base."""', "pass"),
    "layout": (MINE, "return x + 1", "return (x  +  1)"),
    "import as": (MINE, "import torch.nn.functional as F", "from torch.nn import functional as F"),
    "import of a submodule": (MINE, "from torch import nn", "import torch.nn as nn"),
    "relative import": (MINE, "from sample_pkg import tools", "from . import tools"),
    "import of an own module": (
        MINE,
        "from sample_pkg import tools",
        "import sample_pkg.tools as tools",
    ),
    "re-export": (MINE, "from sample_pkg import shown", "from sample_pkg.tools import shown"),
    "star": (MINE, "from sample_pkg import shown", "from sample_pkg.tools import *"),
    "lazy import": (
        MINE,
        "        from .late import late  # why\n",
        "        import sample_pkg.late\n        from sample_pkg.late import late\n",
    ),
    "future": (MINE, "from __future__ import annotations\n", ""),
    "import for types": (MINE, "if TYPE_CHECKING:\n    from", "from"),
    "annotation as text": (MINE, "x: Kind", 'x: "Kind"'),
    "exports": (MINE, '["Mine"]', '["Mine", "alone"]'),
    "unused definition": (MINE, "return x + 1", "return x + 2"),
    "unused definition that is decorated": (
        MINE,
        "def frozen(x):\n    return x",
        "def frozen(x): ...",
    ),
    "unused helper": (TOOLS, "x + 9", "x + 99"),
    "unused import": (MINE, ", unused", ""),
    "helper for types only": (MINE, "class Base", "if TYPE_CHECKING:\n    import abc\nclass Base"),
    "order of definitions": (TOOLS, "SCALE = 2\n", "def first(x): ...\nSCALE = 2\n"),
}

OTHER = {
    "constant": (MINE, "LIMIT = 3", "LIMIT = 4"),
    "default": (MINE, "limit=LIMIT", "limit=3"),
    "operator": (MINE, "* FACTOR", "+ FACTOR"),
    "called name": (MINE, "shown(x)", "gate(x)"),
    "alias of a constant": (TOOLS, "SCALE = 2", "SCALE = 3"),
    "what a name is imported from": (MINE, "SCALE as FACTOR", "shift as FACTOR"),
    "foreign origin": (MINE, "import torch.nn.functional as F", "import torch.special as F"),
    "foreign origin in a helper": (TOOLS, "from math import exp", "from cmath import exp"),
    "helper": (TOOLS, "* 0.5", "* 0.6"),
    "helper of a helper": (TOOLS, "exp(x)", "exp(-x)"),
    "by attribute": (TOOLS, "x + 7", "x - 7"),
    "re-exported": (TOOLS, "x + 8", "x - 8"),
    "imported in a function": ("sample_pkg/late.py", "x + 10", "x - 10"),
    "annotation": ("sample_pkg/types.py", "11", "12"),
    "base": (MINE, "class Base(nn.Module):", "class Base(nn.Identity):"),
    "body of a base": (MINE, '    """A base."""', "    training = False"),
    "condition": (MINE, '> "2"', '> "3"'),
    "conditional definition": (MINE, "return -x", "return x * -1"),
    "attribute set after the class": (MINE, 'TABLE["a"]\n', 'TABLE["b"]\n'),
    "item set after the table": (MINE, 'TABLE["b"] = 2', 'TABLE["a"] = 2'),
    "decorator": (MINE, "class Mine(Base)", "@torch.jit.ignore\nclass Mine(Base)"),
    "call": (MINE, "TABLE = {", "torch.manual_seed(0)\nTABLE = {"),
    "call in a helper's file": (TOOLS, "SCALE = 2", "SCALE = 2\nprint()"),
    "call in a file that is imported": ("sample_pkg/types.py", "size", "print()\n    size"),
    "foreign attribute": (TOOLS, "SCALE = 2", "import torch\ntorch.x = 1\nSCALE = 2"),
    "own attribute from elsewhere": (MINE, "TABLE = {", "tools.SCALE = 5\nTABLE = {"),
    "item of an alias": (MINE, "__all__", "OTHER = TABLE\nOTHER[1] = 2\n__all__"),
    "registered": (TOOLS, "def unused", "@registry('x')\ndef unused"),
    "import that may fail": (
        MINE,
        "LIMIT = 3",
        "try:\n    import timm\n    LIMIT = 3\nexcept ImportError:\n    LIMIT = 3",
    ),
}


def changed(files, change):
    path, old, new = change
    assert old in files[path]
    return {**files, path: files[path].replace(old, new)}


@pytest.fixture
def hashed(tmp_path):
    """Write files to a fresh folder and return the hash of a definition there."""
    numbers = count()

    def of(files, path=MINE, name="Mine", **options):
        folder = tmp_path.resolve() / str(next(numbers))
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        return hash_definition(Definition(folder / path, name), **options)

    return of


@pytest.mark.parametrize("name", SAME)
def test_how_it_is_written_does_not_count(hashed, name):
    assert hashed(changed(PACKAGE, SAME[name])) == hashed(PACKAGE)


@pytest.mark.parametrize("name", OTHER)
def test_what_it_does_counts(hashed, name):
    assert hashed(changed(PACKAGE, OTHER[name])) != hashed(PACKAGE)


def test_another_place_does_not_count(hashed):
    """Another package, other names of files, a helper in a file of its own."""
    head, tail = PACKAGE[TOOLS].split("def shift")
    moved = {
        "other_pkg/__init__.py": "",
        "other_pkg/deep/__init__.py": "",
        "other_pkg/deep/own.py": PACKAGE[MINE]
        .replace("from sample_pkg import shown", "from .helpers import shown")
        .replace("from sample_pkg import tools", "from . import helpers as tools")
        .replace("sample_pkg.tools import", "other_pkg.deep.helpers import")
        .replace("sample_pkg.types", "..kinds")
        .replace(".late", "other_pkg.deep.late"),
        "other_pkg/deep/helpers.py": f"from ..inner import gate, SCALE\ndef shift{tail}",
        "other_pkg/inner.py": head,
        "other_pkg/deep/late.py": PACKAGE["sample_pkg/late.py"],
        "other_pkg/kinds.py": PACKAGE["sample_pkg/types.py"],
    }
    assert hashed(moved, "other_pkg/deep/own.py") == hashed(PACKAGE)


class TestLinks:
    """Which of two definitions a name stands for counts."""

    FILES = {  # noqa: RUF012
        "sample_pkg/__init__.py": "",
        "sample_pkg/a.py": "from .c import low as step\ndef gate(x):\n    return step(x)\n",
        "sample_pkg/b.py": "from .c import high as step\ndef gate(x):\n    return step(x)\n",
        "sample_pkg/c.py": "def low(x):\n    return x\ndef high(x):\n    return -x\n",
        MINE: "from .a import gate as one\nfrom .b import gate as two\n"
        "def Mine(x):\n    return one(x) + 2 * two(x)\n",
    }

    def test_exchanged(self, hashed):
        exchanged = changed(changed(self.FILES, (MINE, ".a", ".d")), (MINE, ".b", ".a"))
        exchanged = changed(exchanged, (MINE, ".d", ".b"))
        assert hashed(exchanged) != hashed(self.FILES)

    def test_which_of_two_that_use_each_other(self, hashed):
        files = {MINE: "def a():\n    b()\ndef b():\n    a()\n"}
        assert hashed(files, name="a") != hashed(files, name="b")

    def test_order_of_changes(self, hashed):
        files = {MINE: "class Mine: ...\nMine.x = 1\nMine.x = 2\n"}
        assert hashed(changed(files, (MINE, "1\nMine.x = 2", "2\nMine.x = 1"))) != hashed(files)

    def test_circles_of_imports_end(self, hashed):
        files = {
            "sample_pkg/__init__.py": "from .mine import Mine, x\n",
            MINE: "from sample_pkg import x\ndef Mine():\n    return x\n",
        }
        assert hashed(files)


COMPUTED = {
    "globals": "globals()[name]",
    "eval": "eval(name)",
    "own module": "getattr(tools, name)",
    "modules": "getattr(sys.modules[__name__], name)",
    "import": "importlib.import_module(name)",
}


@pytest.mark.parametrize("lookup", COMPUTED.values(), ids=COMPUTED)
def test_all_that_a_computed_name_may_find_counts(hashed, lookup):
    files = {
        "sample_pkg/__init__.py": "",
        MINE: "import sys, importlib\nfrom sample_pkg import tools\n"
        f"def Mine(name):\n    return {lookup}\n",
        TOOLS: "def helper():\n    return 1\n",
    }
    assert hashed(changed(files, (TOOLS, "1", "2"))) != hashed(files)


@pytest.mark.parametrize("name", ["sample_pkg.tools", ".tools"])
def test_an_import_by_a_constant_name(hashed, name):
    files = {
        "sample_pkg/__init__.py": "",
        MINE: "from importlib import import_module\ndef alone(): ...\n"
        f"def Mine():\n    return import_module({name!r}, __package__).helper()\n",
        TOOLS: "def helper():\n    return 1\n",
    }
    assert hashed(changed(files, (TOOLS, "1", "2"))) != hashed(files)
    assert hashed(changed(files, (MINE, "alone(): ...", "alone(): return 1"))) == hashed(files)


def test_an_import_of_another_distribution_by_name(hashed):
    files = {
        MINE: "from importlib import import_module\ndef alone(): ...\n"
        "def Mine():\n    return import_module('timm.layers').get_attn\n"
    }
    assert hashed(changed(files, (MINE, "alone(): ...", "alone(): return 1"))) == hashed(files)
    assert hashed(changed(files, (MINE, "timm.layers", "timm.models"))) != hashed(files)


@pytest.mark.parametrize(
    "base",
    [
        "class Base:\n    def __init_subclass__(cls):\n        FOUND.append(cls)\n",
        "class Base: ...\ndef found():\n    return Base.__subclasses__()\n",
        "class Meta(type): ...\nclass Base(metaclass=Meta): ...\n",
    ],
)
def test_classes_that_register_themselves(hashed, base):
    files = {
        "sample_pkg/__init__.py": "",
        MINE: "from sample_pkg import impl\nfrom sample_pkg.base import FOUND\n"
        "def Mine():\n    return FOUND[0]()\n",
        "sample_pkg/base.py": f"FOUND = []\n{base}",
        "sample_pkg/impl.py": "from .base import Base\nclass Impl(Base):\n    x = 1\n",
    }
    assert hashed(changed(files, ("sample_pkg/impl.py", "1", "2"))) != hashed(files)


def test_implementations_of_a_single_dispatch(hashed):
    files = {
        MINE: "from functools import singledispatch\n@singledispatch\ndef Mine(x): ...\n"
        "@Mine.register\ndef _(x: int):\n    return 1\n"
    }
    assert hashed(changed(files, (MINE, "return 1", "return 2"))) != hashed(files)


class TestDocstrings:
    def test_those_that_are_read_count(self, hashed):
        files = {
            "mine.py": "from tools import helper\ndef Mine():\n    return helper.__doc__\n",
            "tools.py": 'def helper():\n    """1"""  # why\n',
        }
        before = hashed(files, "mine.py")
        assert hashed(changed(files, ("tools.py", "1", "2")), "mine.py") != before
        assert hashed(changed(files, ("tools.py", "why", "because")), "mine.py") == before

    def test_that_of_the_file(self, hashed):
        files = {MINE: '"""1"""\ndef Mine():\n    return int(__doc__)\n'}
        assert hashed(changed(files, (MINE, "1", "2"))) != hashed(files)


class TestDamagedFiles:
    @pytest.mark.parametrize("text", ["def (", "x = 1" + " + 1" * 20_000])
    def test_they_count_as_they_are(self, hashed, text):
        files = {
            "sample_pkg/__init__.py": "",
            MINE: "from .tools import x\nMine = x\n",
            TOOLS: text,
        }
        assert hashed(changed(files, (TOOLS, text, f"{text} # 1"))) != hashed(files)


def load(path):
    spec = importlib.util.spec_from_file_location(f"loaded_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plugin(folder, helper="VALUE = 1\n", body="return x * helper.VALUE"):
    folder.mkdir()
    (folder / "helper.py").write_text(helper)
    (folder / "unrelated.py").write_text("VALUE = 2\n")
    path = folder / "mine.py"
    path.write_text(
        f"import sys\nfrom torch import nn\nsys.path.append({str(folder)!r})\nimport helper\n"
        f"class Mine(nn.Module):\n    def forward(self, x):\n        {body}\n"
        "def make(scale):\n    def build(channels):\n        return Mine()\n    return build\n"
        "built = make(1)\n"
    )
    return load(path)


class TestTargets:
    def test_a_plugin_file_and_its_neighbour(self, tmp_path):
        files = plugin(tmp_path / "a"), plugin(tmp_path / "b", helper="VALUE = 2\n")
        assert len({hash_code(module.Mine) for module in files}) == 2

    @pytest.mark.parametrize(
        "of",
        [
            lambda module: module.Mine,
            lambda module: module.built,
            lambda module: functools.partial(module.Mine),
            lambda module: functools.cache(module.make),
            lambda module: module.Mine(),
        ],
        ids=["class", "closure", "partial", "cached", "instance"],
    )
    def test_whatever_makes_the_module(self, tmp_path, of):
        files = plugin(tmp_path / "a"), plugin(tmp_path / "b", body="return x + helper.VALUE")
        first, second = (hash_code(of(module)) for module in files)
        assert first and second and first != second

    @pytest.mark.parametrize("root", ["src", "."])
    def test_a_package_that_is_not_installed(self, tmp_path, hashed, root):
        """Its own files and those of the package beside it, wherever its folder is."""
        files = {
            "sources_pkg/__init__.py": "TABLE = {'sources_mine': 'sources_pkg.code:Mine'}\n",
            "sources_pkg/code.py": "import torch\nfrom sources_beside import helper\n"
            "class Mine(torch.nn.Identity):\n    value = helper.VALUE\n",
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
        found = hash_code(known.modules.get("sources_mine"))
        assert found == hashed(files, "sources_pkg/code.py")
        other = changed(files, ("sources_beside/helper.py", "1", "2"))
        assert found != hashed(other, "sources_pkg/code.py")
        for name in [name for name in sys.modules if name.startswith("sources_")]:
            del sys.modules[name]

    def test_one_file_alone_with_two_classes(self, hashed):
        text = "class Mine:\n    x = 1\nclass Other:\n    x = 2\n"
        assert hashed({MINE: text}) != hashed({MINE: text}, name="Other")
        assert hashed({MINE: text}) == hashed({MINE: text.replace("2", "3")})
        assert hashed({MINE: text}, name=WHOLE) != hashed(
            {MINE: text.replace("2", "3")}, name=WHOLE
        )

    @pytest.mark.filterwarnings("ignore:.torch.jit.script")  # fvcore as it is imported
    def test_an_installed_distribution(self):
        from fvcore.nn import squeeze_excitation as layers  # of few files, unlike timm's

        found = [layers.SqueezeExcitation, layers.SpatialSqueezeExcitation]
        first, second = map(hash_code, found)
        assert first and second and first != second

    def test_a_layer_of_timm(self):
        assert hash_code(catalog().module_families.get("timm:").get("eca"))

    def test_a_builtin_has_no_source(self):
        assert hash_code(len) is None

    def test_torch_counts_by_its_version(self):
        assert hash_code(torch.nn.Identity) is None


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
    hashes = {fingerprint(case, version, catalog()) for case in cases for version in (suite, newer)}
    assert len(hashes) == 12
    assert fingerprint(cases[0], suite, catalog()) == fingerprint(cases[0], suite, catalog())


class TestLatencyFingerprints:
    def of(self, protocol=None, **conditions):
        suite = parse_suite(SUITE, "here")
        case = make_case(catalog(), backbone="mobilenet_v2", module=None, placement=None)
        timed = case.for_latency(Conditions(**{"runtime": "eager", **conditions}))
        return fingerprint(timed, suite, catalog(), protocol)

    def test_conditions_and_protocol_count(self):
        found = {
            self.of(),
            self.of(batch=2),
            self.of(runtime="compile"),
            self.of(precision="bf16"),
            self.of(cold=True),
            self.of(protocol=SessionProtocol(5.0, 3)),
            self.of(protocol=SessionProtocol(5.0, 1)),
        }
        assert len(found) == 7
        assert self.of() == self.of()

    def test_the_machine_counts(self, monkeypatch):
        before = self.of()
        monkeypatch.setattr("attnbench.system.provenance.machine", lambda: {"processor": "another"})
        assert self.of() != before

    def test_the_number_of_the_method_counts(self, monkeypatch):
        before = self.of()
        monkeypatch.setattr("attnbench.measure.latency.METHOD", 99)
        assert self.of() != before

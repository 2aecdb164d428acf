"""The engine's layers, read from its source: lazy and typing-only imports count like any other."""

from __future__ import annotations

import ast
import re
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
ENGINE = "attnbench"
PLUGINS = {"attnbench_modules", "attnbench_suites"}
MOST_FILES_AT_TOP = 8
LONGEST_FUNCTION = 60
MOST_FILES_OF_A_LATENCY = 20
QUESTION = r"(What|How|Who|Whom|Whose|Where|Why|Which)\b"

Graph = Mapping[str, set[str]]


def read_modules(root: Path) -> dict[str, Path]:
    """Return the engine's files by the name they are imported under."""
    paths = sorted((root / ENGINE).rglob("*.py"))
    return {module_name(path.relative_to(root)): path for path in paths}


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_imports(root: Path) -> dict[str, set[str]]:
    """Return every module that each file imports, in whatever function or condition."""
    modules = read_modules(root)
    graph = {}
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {
            known(target, modules) for node in ast.walk(tree) for target in targets(node, package)
        }
        graph[name] = found - {name, ""}
    return graph


def targets(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names that a statement or call imports, names of attributes among them."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*above, *([module] if module else [])])
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(args=[ast.Constant(value=str(text)), *_]) if is_import_call(node):
            yield text.replace(":", ".")


def is_import_call(node: ast.Call) -> bool:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name in {"import_module", "__import__", "find_spec"}


def known(target: str, modules: Mapping[str, Path]) -> str:
    """Return the engine's module that a name is in, a plugin package, or nothing."""
    if target.partition(".")[0] in PLUGINS:
        return target.partition(".")[0]
    while target and target not in modules:
        target = target.rpartition(".")[0]
    return target


def package_of(name: str, modules: Mapping[str, Path]) -> str:
    return name if modules[name].name == "__init__.py" else name.rpartition(".")[0]


def between_packages(graph: Graph, modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the imports between the folders that files lie in; the root's faces lie in none."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, imported in graph.items():
        for other in imported & modules.keys():
            pair = package_of(name, modules), package_of(other, modules)
            if pair[0] != pair[1] and ENGINE not in pair:
                found[pair[0]].add(pair[1])
    return found


def between_rooms(graph: Graph) -> dict[str, set[str]]:
    """Return the imports between what lies directly below the engine, files there included."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, imported in graph.items():
        for other in imported:
            pair = room_of(name), room_of(other)
            if pair[0] != pair[1]:
                found[pair[0]].add(pair[1])
    return found


def room_of(name: str) -> str:
    return [*name.split("."), ""][1]


def find_cycle(graph: Graph) -> list[str]:
    """Return the members of a cycle in order, or nothing."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph.get(name, ())):
            if cycle := visit(other):
                return cycle
        done.add(path.pop())
        return []

    return next((cycle for name in sorted(graph) if (cycle := visit(name))), [])


def read_layers(root: Path) -> list[list[str]]:
    """Return the rooms of each layer of import-linter's contract, the highest first."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def find_upward(graph: Graph, layers: list[list[str]]) -> list[str]:
    """Return the imports that lead to the same layer or a higher one."""
    rank = {room: number for number, rooms in enumerate(layers) for room in rooms}
    return [
        f"{name} imports {other}"
        for name, imported in sorted(graph.items())
        for other in sorted(imported)
        if (low := rank.get(room_of(name))) is not None
        and room_of(name) != room_of(other)
        and rank.get(room_of(other), -1) <= low
    ]


def find_twins(root: Path) -> dict[str, list[str]]:
    """Return the public classes that several files define, with those files."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, path in read_modules(root).items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name)
    return {name: places for name, places in found.items() if len(places) > 1}


GRAPH = read_imports(ROOT)
MODULES = read_modules(ROOT)


def test_files_import_each_other_in_no_circle():
    assert find_cycle(GRAPH) == []


def test_packages_import_each_other_in_no_circle():
    assert find_cycle(between_packages(GRAPH, MODULES)) == []
    assert find_cycle(between_rooms(GRAPH)) == []


def test_imports_lead_down_the_layers():
    assert find_upward(GRAPH, read_layers(ROOT)) == []


def test_every_room_is_in_a_layer():
    rooms = {room_of(name) for name in MODULES} - {"", "__main__"}
    assert sorted(room for layer in read_layers(ROOT) for room in layer) == sorted(rooms)


def test_the_engine_imports_no_plugin():
    assert {name: found for name, imported in GRAPH.items() if (found := imported & PLUGINS)} == {}


def test_public_classes_have_names_of_their_own():
    assert find_twins(ROOT) == {}


def test_a_latency_passes_few_files():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    road = text.partition("### The road of a latency")[2].partition("These are all")[0]
    files = re.findall(r"`([a-z_/]+\.py)`", road)
    assert MOST_FILES_OF_A_LATENCY >= len(set(files)) == len(files) > 10
    assert [name for name in files if not (ROOT / ENGINE / name).is_file()] == []


def test_few_files_lie_outside_the_rooms():
    assert len(list((ROOT / ENGINE).glob("*.py"))) <= MOST_FILES_AT_TOP


def test_functions_are_short():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def find_unnamed_loops(tree: ast.AST) -> list[int]:
    """Return the lines of loops whose variable is called ``one`` instead of what it is."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)]
    names = [name for loop in loops for name in ast.walk(loop.target)]
    return [name.lineno for name in names if isinstance(name, ast.Name) and name.id == "one"]


def find_questions(tree: ast.AST) -> list[str]:
    """Return the docstrings that begin with a question word instead of a verb or a noun."""
    return [text for text in read_docstrings(tree) if re.match(QUESTION, text)]


def read_docstrings(tree: ast.AST) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    return [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]


PEOPLE = re.compile(r"\b(who|nobody|told|said|asked)\b", re.IGNORECASE)
BRITISH = re.compile(
    r"licence|artefact|centre|colour|catalogue|judgement|neighbour|behaviour|labelled"
    r"|(quanti|normali|seriali|optimi|initiali|randomi|summari|recogni|minimi|maximi)s(e|ing|ation)"
)
PARTICIPLE = re.compile(
    r"[a-z]+ed|built|chosen|found|given|held|kept|known|made|seen|taken|told_apart|withheld"
)
NOT_PARTICIPLES = {"feed", "speed", "seed", "need", "embed", "red", "shed"}
BARE = {"violated"}
"""A card's method, which the code of the modules calls: another name would change their hashes."""


def find_people(tree: ast.AST) -> list[str]:
    """Return the docstrings that speak of code as of a person."""
    return [text for text in read_docstrings(tree) if PEOPLE.search(text)]


def find_british_names(tree: ast.AST) -> list[str]:
    """Return the names that are not spelled as in American English."""
    return sorted({name for name in read_definitions(tree) if BRITISH.search(name.lower())})


def read_definitions(tree: ast.AST) -> Iterator[str]:
    """Yield the names of functions, classes, parameters, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def find_participles(tree: ast.AST) -> list[str]:
    """Return the public functions and methods that are called by a participle alone."""
    return [
        node.name
        for node in read_public(tree)
        if PARTICIPLE.fullmatch(node.name)
        and node.name not in NOT_PARTICIPLES | BARE
        and ast.unparse(node.returns or ast.Constant(None)) != "bool"
        and not any("property" in ast.unparse(found) for found in node.decorator_list)
    ]


def read_public(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield the public functions of a module and of its public classes."""
    for node in ast.iter_child_nodes(tree):
        if getattr(node, "name", "_").startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from read_public(node)


@pytest.mark.parametrize("find", [find_people, find_british_names, find_participles])
def test_names_and_texts_follow_the_style_rule(find):
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    assert {name: found for name, tree in trees.items() if (found := find(tree))} == {}


def test_comments_speak_of_things():
    found = {}
    for name, path in MODULES.items():
        with tokenize.open(path) as file:
            tokens = list(tokenize.generate_tokens(file.readline))
        comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
        if wrong := [text for text in comments if PEOPLE.search(text)]:
            found[name] = wrong
    assert found == {}


def test_breaches_of_the_style_rule_are_found():
    tree = ast.parse(
        'def moderated(colour):\n    """Nobody asked."""\n'
        "def evaluated() -> bool: ...\n"
        "class Table:\n    def painted(self): ...\n    @property\n    def trained(self): ..."
    )
    assert find_people(tree) == ["Nobody asked."]
    assert find_british_names(tree) == ["colour"]
    assert find_participles(tree) == ["moderated", "painted"]


@pytest.mark.parametrize("find", [find_unnamed_loops, find_questions])
def test_names_and_docstrings_are_plain(find):
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    assert {name: found for name, tree in trees.items() if (found := find(tree))} == {}


def test_unnamed_loops_and_questions_are_found():
    tree = ast.parse('"""What it is."""\nfor key, one in pairs: pass\n[x for one in y]')
    assert find_unnamed_loops(tree) == [2, 3]
    assert find_questions(tree) == ["What it is."]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", *DOCS])
def test_files_named_in_the_pages_exist(page):
    named = re.findall(r"`([a-z_.]+/[\w./]*?)`", (ROOT / page).read_text(encoding="utf-8"))
    folders = (ROOT, ROOT / ENGINE, ROOT / "modules", ROOT / "examples/strip_gate")
    places = [name for name in named if name.endswith((".py", "/")) and "NAME" not in name]
    assert [
        name for name in places if not any((folder / name).exists() for folder in folders)
    ] == []


@pytest.fixture
def planted(tmp_path):
    """Return a function that writes files of a small engine and returns its root."""

    def plant(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / ENGINE / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text, encoding="utf-8")
        (tmp_path / ENGINE / "__init__.py").touch()
        return tmp_path

    return plant


IMPORTS = {
    "plain": "from attnbench.high.b import f",
    "of a module": "from attnbench.high import b",
    "lazy": "def g():\n    from attnbench.high.b import f",
    "typing-only": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import attnbench.high.b",
    "relative": "from ..high import b",
    "by name": "from importlib import import_module\nimport_module('attnbench.high.b')",
}


@pytest.mark.parametrize("text", IMPORTS.values(), ids=IMPORTS)
def test_a_planted_import_is_found(planted, text):
    root = planted(low__a=text, high__b="from attnbench.low.a import g")
    graph = read_imports(root)
    assert find_upward(graph, [["high"], ["low"]]) == ["attnbench.low.a imports attnbench.high.b"]
    assert find_cycle(graph) == ["attnbench.high.b", "attnbench.low.a"]
    assert find_cycle(between_rooms(graph)) == ["high", "low"]
    assert find_cycle(between_packages(graph, read_modules(root)))


def test_neighbours_of_one_layer_must_not_import_each_other(planted):
    root = planted(low__a="import attnbench.other.c", other__c="")
    assert find_upward(read_imports(root), [["low", "other"]])


def test_a_planted_plugin_and_twin_are_found(planted):
    root = planted(low__a="import attnbench_modules.se\nclass Twin: ...", high__b="class Twin: ...")
    assert read_imports(root)["attnbench.low.a"] == {"attnbench_modules"}
    assert find_twins(root) == {"Twin": ["attnbench.high.b", "attnbench.low.a"]}

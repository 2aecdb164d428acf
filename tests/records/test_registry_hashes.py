"""Hashes of all shipped modules: the same for the same code elsewhere, another for changed code."""

import ast
import builtins
import shutil
from collections import defaultdict
from pathlib import Path

import attnbench_modules
import pytest

from attnbench.records import code_hash, name_resolution
from attnbench.records.code_hash import EFFECTS, hash_definition
from attnbench.records.definitions import parse_statements
from attnbench.records.name_resolution import WHOLE, Definition
from attnbench.records.normal_form import NormalForm

FOLDER = Path(attnbench_modules.__file__).parent.resolve()
MODULES = {
    name: entry["target"].split(".")[1].split(":")
    for name, entry in attnbench_modules.MODULES.items()
    if not name.endswith(":")
}
ENGINES = {"Card", "Paper", "PrintedCost", "Traits"}
COUNTED = {"constraints", "official", "version", "params", "macs", "printed"}
WITH_MACS = [
    name for name in MODULES if "def macs(" in (FOLDER / f"{MODULES[name][0]}.py").read_text()
]
FORMULAS = (False, True)


def place(folder, name):
    """Return where a module's class is, in a package that may be the moved one."""
    file, member = MODULES[name]
    paths = [folder / f"{file}{suffix}.py" for suffix in ("", "_moved", "_rest")]
    definitions = [Definition(path, member) for path in paths if path.is_file()]
    return next(
        part for part in definitions if member in name_resolution.read_file(part.path).definitions
    )


# the same code elsewhere


class Reworded(ast.NodeTransformer):
    """Other docstrings, other texts on cards."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        text = ast.Expr(ast.Constant("Another sentence."))
        node.body = [text, *(node.body[1:] if ast.get_docstring(node) else node.body)]
        return node

    def visit_ClassDef(self, node):
        return self.visit_FunctionDef(node)

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ENGINES:
            for keyword in node.keywords:
                if keyword.arg not in COUNTED:
                    keyword.value = ast.Constant("another text")
        return node


def reimported(node):
    """Return an import in another form, of where things are in the moved package."""
    if isinstance(node, ast.Import):
        return node
    if node.module == "torch.nn":
        names = [
            ast.alias(f"torch.nn.{alias.name}", alias.asname or alias.name) for alias in node.names
        ]
        return ast.Import(names)
    if node.module == "attnbench_modules":
        return ast.ImportFrom("", node.names, 1)
    if node.module.startswith("attnbench_modules."):
        return ast.ImportFrom(node.module.split(".")[1] + "_moved", node.names, 1)
    if node.module.startswith("attnbench."):
        return ast.ImportFrom("attnbench.another.room", node.names, 0)
    return node


def root(node):
    """Return the name that a statement belongs to."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return getattr(target, "id", "")


def halves(path):
    """Return the source of two files that share the definitions of one, and import each other's."""
    statements = [Reworded().visit(node) for node in parse_statements(path)]
    imports = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in statements if node not in imports]
    names = list(dict.fromkeys(filter(None, map(root, others))))
    for_rest, texts = set(names[::2]), []
    for own in (for_rest, set(names) - for_rest):
        there = sorted(set(names) - own)
        stem = path.stem + ("_rest" if own is for_rest else "_moved")
        crossing = [ast.ImportFrom(stem, list(map(ast.alias, there)), 1)] if there else []
        body = [node for node in others if root(node) in own][::-1]
        # what is assigned onto a class stays below it
        body.sort(key=lambda node: not isinstance(node, ast.FunctionDef | ast.ClassDef))
        module = ast.Module([*map(reimported, imports), *crossing, *body], [])
        texts.append("# another comment\n" + ast.unparse(ast.fix_missing_locations(module)))
    return texts


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Return the folder of a package with all the code in twice as many files of other names."""
    folder = tmp_path_factory.mktemp("moved").resolve() / "elsewhere" / "deeper"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").write_text("")
    for path in FOLDER.glob("*.py"):
        for suffix, text in zip(("moved", "rest"), halves(path), strict=True):
            (folder / f"{path.stem}_{suffix}.py").write_text(text)
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_moved_code_has_the_same_hash(moved, name):
    for formulas in FORMULAS:
        found = hash_definition(place(moved, name), counts_formulas=formulas)
        assert found == hash_definition(place(FOLDER, name), counts_formulas=formulas)


# changed code


class Memo:
    """A cache from which the entries of one file can be taken."""

    def __init__(self, function):
        self.function = getattr(function, "__wrapped__", function)
        self.known = {}
        self.keys = defaultdict(list)  # by the path of their file

    def __call__(self, *arguments):
        if arguments not in self.known:
            self.known[arguments] = self.function(*arguments)
            self.keys[getattr(arguments[0], "path", arguments[0])].append(arguments)
        return self.known[arguments]

    def forget(self, path):
        for key in self.keys.pop(path, ()):
            self.known.pop(key, None)


class Copy:
    """A copy of the modules in which a file can be changed and hashed again at once."""

    def __init__(self, folder, patched):
        self.folder = folder
        self.memos = {name: Memo(getattr(code_hash, name)) for name in ("_nodes", "_code")}
        self.memos["read_file"] = Memo(name_resolution.read_file)
        for name, memo in self.memos.items():
            patched.setattr(code_hash, name, memo)
        patched.setattr(name_resolution, "read_file", self.memos["read_file"])

    def hash(self, name, formulas):
        return hash_definition.__wrapped__(place(self.folder, name), counts_formulas=formulas)

    def reached(self, name, formulas):
        return code_hash._reach(place(self.folder, name), NormalForm(formulas))

    def hash_with(self, texts, name, formulas):
        """Return the hash of a module while some files, by path, have other texts."""
        (found,) = self.hashes_with(texts, [name], formulas)
        return found

    def hashes_with(self, texts, names, formulas=False):
        """Return the hash of each module while some files, by path, have other texts."""
        before = {path: path.read_text() for path in texts}
        try:
            self.write(texts)
            return [self.hash(name, formulas) for name in names]
        finally:
            self.write(before)

    def write(self, texts):
        for path, text in texts.items():
            path.write_text(text)
            for memo in self.memos.values():
                memo.forget(path)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy").resolve() / "attnbench_modules"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patched:
        yield Copy(folder, patched)


def counted_parts(node):
    """Yield the expressions of a statement that count, without texts that only describe."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.keyword) and isinstance(node, ast.Call):
            called = getattr(node.func, "id", "")
            if called in ENGINES and child.arg not in {"constraints", "official", "version"}:
                continue
        yield child
        yield from counted_parts(child)


def change_number(node):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        node.value += 1
        return True
    return False


def change_text(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | None):
        node.value = "another" if isinstance(node.value, str) else not node.value
        return True
    return False


def change_operator(node):
    if isinstance(node, ast.BinOp):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return True
    return False


def change_call(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        node.func = ast.Name("another", ast.Load())
        return True
    return False


def change_name(node):
    if (
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and not hasattr(builtins, node.id)
    ):
        node.id = "another"
        return True
    return False


CHANGES = (change_number, change_operator, change_call, change_text, change_name)


def mutant(path, name, turn):
    """Return a file's text with one change in the definition of a name; None without any."""
    changes = [*CHANGES[turn % len(CHANGES) :], *CHANGES[: turn % len(CHANGES)]]
    for change in changes:
        tree = ast.parse(path.read_bytes())
        own = [node for node in tree.body if root(node) == name]
        if any(change(part) for node in own for part in counted_parts(node)):
            return ast.unparse(tree)
    return None


@pytest.fixture(scope="module")
def users(copy):
    """The modules that use each definition, by file; a file is read again after each change."""
    found = {}
    for name in MODULES:
        for part in copy.reached(name, False):
            if part.name not in (WHOLE, EFFECTS):
                found.setdefault(part.path.name, {}).setdefault(part, []).append(name)
    assert sorted(found) == USED
    return found


UNUSED = {"__init__.py", "papers.py", "timm_formulas.py", "timm_layers.py", "timm_table.py"}
USED = sorted(path.name for path in FOLDER.glob("*.py") if path.name not in UNUSED)


@pytest.mark.parametrize("file", USED)
def test_a_change_of_whatever_it_uses_changes_the_hash(copy, users, file):
    before = {name: hash_definition(place(FOLDER, name)) for name in MODULES}
    for turn, (part, names) in enumerate(sorted(users[file].items())):
        text = mutant(part.path, part.name, turn)
        assert text is not None, part
        for name, after in zip(names, copy.hashes_with({part.path: text}, names), strict=True):
            assert after != before[name], (part, name)


def with_others_changed(path, used):
    """Return a file's text with other bodies of all functions that are not used, and one more."""
    tree = ast.parse(path.read_text() + "\ndef another():\n    return another\n")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name not in used:
            node.body = [ast.Return(ast.Constant("changed"))]
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize("name", MODULES)
def test_a_change_of_what_it_does_not_use_changes_nothing(copy, name):
    used = {}
    for part in copy.reached(name, True):  # with the formulas of cards: all that can count
        used.setdefault(part.path, set()).add(part.name)
    texts = {path: with_others_changed(path, names) for path, names in used.items()}
    assert copy.hash_with(texts, name, True) == copy.hash(name, True)


@pytest.mark.parametrize("name", WITH_MACS)
def test_formulas_count_for_costs_alone(copy, name):
    path = place(copy.folder, name).path
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "macs":
            node.body = [ast.Return(ast.Constant("changed"))]
    text = ast.unparse(ast.fix_missing_locations(tree))
    assert copy.hash_with({path: text}, name, True) != copy.hash(name, True)
    assert copy.hash_with({path: text}, name, False) == copy.hash(name, False)


def test_an_edit_of_a_shared_layer_concerns_only_those_that_use_it(copy):
    path = copy.folder / "_pooling.py"
    before = {name: copy.hash(name, False) for name in MODULES}
    text = mutant(path, "channel_means", 0)
    after = {name: copy.hash_with({path: text}, name, False) for name in MODULES}
    changed = {name for name in MODULES if after[name] != before[name]}
    assert "se" in changed
    assert changed == {
        name for name in MODULES if Definition(path, "channel_means") in copy.reached(name, False)
    }
    assert len(changed) < len(MODULES)

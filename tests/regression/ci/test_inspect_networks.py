"""The proof that a side is itself, on answers as the sides give them."""

from pathlib import Path

import pytest

from attnbench.errors import AttnbenchError, RequestError
from attnbench.regression.ci.checkout_process import Side, counterpart, source_folders
from attnbench.regression.ci.inspect_networks import check_origins

FILES = frozenset({"src/mine/gates.py", "src/mine/__init__.py", "lonely.py", "docs/utils.py"})


def side(tmp_path):
    return Side("base", tmp_path / "base", tmp_path / "head", "0" * 40, (tmp_path / "base",), (),
                tmp_path / "base", tmp_path)  # fmt: skip


def answer(name, kind, file="/somewhere/gates.py"):
    return {"ok": {"classes": [{"class": name, "file": file, "kind": kind, "hash": "0"}]}}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mine.gates:Gate", "tree"),
        ("mine.gates:Gate", "environment"),
        ("torchvision.ops:Conv", "installed"),
        ("other.gates:Gate", "beside"),
        ("utils:Helper", "installed"),  # a common name: docs/ is on no path
    ],
)
def test_what_may_be(tmp_path, name, kind):
    check_origins(side(tmp_path), answer(name, kind), FILES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mine.gates:Gate", "foreign"),
        ("elsewhere:Gate", "foreign"),
        ("mine.gates:Gate", "installed"),
        ("mine.gates:Gate", "beside"),
        ("mine:Gate", "installed"),
        ("lonely:Gate", "installed"),
    ],
)
def test_what_must_not_be(tmp_path, name, kind):
    files = FILES | {"mine/__init__.py"}
    with pytest.raises(AttnbenchError, match=f"{name} of base .*got /somewhere/gates.py"):
        check_origins(side(tmp_path), answer(name, kind), files)


def test_a_module_of_the_other_tree_that_is_no_class(tmp_path):
    loaded = {
        "ok": {"classes": [], "foreign": [{"class": "x", "file": "/h/x.py", "kind": "foreign"}]}
    }
    with pytest.raises(AttnbenchError, match=r"x of base .*got /h/x\.py"):
        check_origins(side(tmp_path), loaded, FILES)


def test_a_side_that_failed_has_nothing_to_prove(tmp_path):
    check_origins(side(tmp_path), {"error": "no"}, FILES)


def test_what_comes_first_on_the_path(tmp_path):
    root, tree = tmp_path / "head", tmp_path / "base"
    for one in (root / "src", tree / "src", root / "lib", tree / "lib", root / "new"):
        one.mkdir(parents=True)
    assert source_folders(root, tree, ()) == (tree / "src",)
    assert source_folders(root, tree, ("lib",)) == ((tree / "lib").resolve(),)
    assert source_folders(root, tree, ("new",)) == (tree / "src",)  # base had it elsewhere
    with pytest.raises(RequestError, match=r"--source .*'gone'"):
        source_folders(root, tree, ("gone",))
    flat = tmp_path / "flat"
    flat.mkdir()
    assert source_folders(flat, flat, ()) == (flat,)


@pytest.mark.parametrize(
    ("path", "found"), [("/a/b/c", "/x/b/c"), ("/a", "/x"), ("/ab/c", "/ab/c")]
)
def test_the_same_place_in_the_other_tree(path, found):
    assert counterpart(Path(path), Path("/a"), Path("/x")) == Path(found)

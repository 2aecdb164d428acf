import ast
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

import attnbench
from attnbench import errors
from attnbench.errors import AttnbenchError, PluginError, RequestError, UnknownNameError
from attnbench.registry.module_families import select_modules
from attnbench.registry.plugins import Catalog, catalog


class TestPublicNames:
    def test_dir_is_all_and_every_name_resolves(self):
        assert dir(attnbench) == attnbench.__all__ == sorted(set(attnbench.__all__))
        assert all(getattr(attnbench, name) is not None for name in attnbench.__all__)
        assert not [name for name in attnbench.__all__ if name.startswith("_")]

    def test_type_checkers_see_the_same_names(self):
        tree = ast.parse(Path(attnbench.__file__).read_text(encoding="utf-8"))
        (block,) = (
            node
            for node in tree.body
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
        seen = {(alias.asname, node.module, alias.name) for node in imports for alias in node.names}
        assert seen == {(name, attnbench._SOURCES[name], name) for name in attnbench.__all__}

    def test_only_functions_classes_and_latency(self):
        for name in set(attnbench.__all__) - {"latency"}:
            value = getattr(attnbench, name)
            assert isinstance(value, type) == name[0].isupper()
            assert callable(value)

    def test_every_error_is_public(self):
        classes = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
        raised = {name for name, kind in classes.items() if issubclass(kind, AttnbenchError)}
        assert len(raised) > 5
        assert raised <= set(attnbench.__all__)

    @pytest.mark.parametrize("name", ["modules", "create", "backbone", "sites"])
    def test_earlier_names_are_gone(self, name):
        with pytest.raises(AttributeError, match=f"'{name}'"):
            getattr(attnbench, name)

    def test_the_version_is_there(self):
        assert attnbench.__version__[0].isdigit()


class TestListModules:
    def test_sorted_names(self):
        names = attnbench.list_modules()
        assert names == sorted(names) == attnbench.list_modules("@all")
        shipped = {"bam", "cbam", "double_attention", "identity", "non_local", "se", "ulsam"}
        assert shipped <= set(names)

    def test_one_family(self):
        names = attnbench.list_modules("@family:channel")
        assert names == sorted(names)
        assert {"se", "eca"} <= set(names)
        assert not {"ulsam", "identity"} & set(names)

    def test_families_share_out_all_modules(self):
        families = {catalog().modules.entry(name).family for name in attnbench.list_modules()}
        found = [name for own in families for name in attnbench.list_modules(f"@family:{own}")]
        assert sorted(found) == attnbench.list_modules()

    @pytest.mark.parametrize(
        ("selector", "message"),
        [
            ("@family:chanel", "channel, .*parameter-free.*'channel'"),
            ("@family:", "channel"),
            ("@every", "@all.*@family:NAME"),
            ("se", "@all.*@family:NAME"),
            (None, r"None is no selector\. Write @all or @family:NAME\.$"),
            (5, "5.*@all"),
        ],
    )
    def test_it_refuses(self, selector, message):
        with pytest.raises(RequestError, match=message):
            attnbench.list_modules(selector)

    def test_a_card_says_the_family_where_the_table_does_not(self):
        own = Catalog()
        own.add_table({"gate": "attnbench_modules.se:SE"}, "here")
        own.add_table({"lost": "no_such_package.module:Lost"}, "here")
        with pytest.raises(PluginError):
            own.modules.get("lost")
        assert select_modules(own.modules, "@family:channel", own.modules.names()) == ["gate"]
        assert select_modules(own.modules, "@all", own.modules.names()) == ["gate", "lost"]


@pytest.mark.parametrize("name", attnbench.list_modules())
def test_create_module(name):
    module = attnbench.create_module(name, 32, feature_size=(6, 5)).eval()
    assert isinstance(module, nn.Module)
    assert module(torch.ones(2, 32, 6, 5)).shape == (2, 32, 6, 5)


def test_create_module_merges_spec_and_options():
    module = attnbench.create_module("ulsam,groups=8,momentum=0.5", 64, groups=2)
    assert module.groups == 2
    assert module.depthwise_norm.momentum == 0.5


@pytest.mark.parametrize(
    ("name", "channels", "options", "message"),
    [
        ("cmab", 8, {}, "'cmab'"),
        ("ulsam", 10, {"groups": 4}, "10 channels"),
        ("ulsam", 8, {"group": 4}, "'group'"),
        ("", 8, {}, "name"),
    ],
)
def test_create_module_refuses(name, channels, options, message):
    with pytest.raises(RequestError, match=message):
        attnbench.create_module(name, channels, **options)


def test_create_backbone_and_find_sites():
    model = attnbench.create_backbone("mobilenet_v1,width=0.5", num_classes=10)
    sites = attnbench.find_sites(model, (1, 3, 64, 64))
    assert [site.layer for site in sites] == [*range(1, 15)]
    assert (sites[10].channels, sites[10].size) == (256, (4, 4))


def test_sites_of_a_model_that_does_not_run():
    with pytest.raises(AttnbenchError, match="Conv2d"):
        attnbench.find_sites(nn.Conv2d(4, 4, 1))


def test_errors_are_one_family():
    assert issubclass(UnknownNameError, RequestError)
    assert issubclass(UnknownNameError, LookupError)
    assert issubclass(attnbench.PlacementError, RequestError)
    assert issubclass(RequestError, AttnbenchError)


class TestSignatures:
    """``inspect.signature`` shows types, not their names."""

    @pytest.mark.parametrize("name", attnbench.__all__)
    def test_annotations_are_types(self, name):
        value = getattr(attnbench, name)
        members = vars(value).values() if isinstance(value, type) else [value]
        for function in filter(inspect.isfunction, members):
            kinds = inspect.get_annotations(function)
            kinds = {key: kind for key, kind in kinds.items() if kind != "DataFrame"}
            assert not [kind for kind in kinds.values() if isinstance(kind, str)], function


class TestSites:
    def test_a_list_that_shows_as_a_table(self):
        sites = attnbench.find_sites(attnbench.create_backbone("mobilenet_v1,width=0.25"))
        assert isinstance(sites, list)
        lines = repr(sites).splitlines()
        assert lines[0].split() == ["layer", "path", "kind", "channels", "size", "replaceable"]
        assert lines[11].split() == [
            "11", "features.10", "DepthwiseSeparable", "128", "14x14", "yes",
        ]  # fmt: skip
        assert "<td" in sites._repr_html_()
        assert "features.10" in sites._repr_html_()
        frame = sites.to_frame()
        assert list(frame.path) == [site.path for site in sites]
        assert frame.channels[10] == 128

    def test_an_empty_list(self):
        assert repr(attnbench.SiteList()).split()[0] == "layer"
        assert len(attnbench.SiteList().to_frame()) == 0

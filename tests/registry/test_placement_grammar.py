import re

import pytest

from attnbench.errors import PlacementError
from attnbench.registry.placement_grammar import POSITIONS, glob_pattern, parse_placement


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("after:11", "after:11"),
        ("replace:14,17", "replace:14,17"),
        (" replace : 17 , 14 ", "replace:14,17"),
        ("after:8-12", "after:8-12"),
        ("after:8,9,10", "after:8-10"),
        ("after:8,9", "after:8,9"),
        ("after:8-9", "after:8,9"),
        ("after:12,8 - 10,3", "after:3,8-10,12"),
        ("after:7-7", "after:7"),
        ("after:014", "after:14"),
        ("after-depthwise:all", "after-depthwise:all"),
        ("replace-se:4+after:2", "after:2+replace-se:4"),
        ("after:3+after:5,4", "after:3-5"),
        ("after:all+replace-se:all", "after:all+replace-se:all"),
        ("after:blocks.3.*", "after:blocks.3.*"),
        ("after:b.*,a.**", "after:a.**,b.*"),
        ("after:b+after:3+after:a+after:b", "after:3+after:a,b"),
        ("replace:layer1.0", "replace:layer1.0"),
        ("after:conv-1", "after:conv-1"),
        ("after:0*", "after:0*"),
    ],
)
def test_canonical(text, canonical):
    placement = parse_placement(text)
    assert str(placement) == canonical
    assert parse_placement(canonical) == placement


@pytest.mark.parametrize("position", POSITIONS)
def test_positions(position):
    (part,) = parse_placement(f"{position}:3-5").parts
    assert (part.position, part.layers, part.globs) == (position, (3, 4, 5), ())
    assert not part.everywhere
    assert parse_placement(f"{position}:all").parts[0].everywhere


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the placement is empty. Write one like after:11"),
        ("  ", "the placement is empty"),
        ("after", "after needs layers. Write replace:14,17"),
        ("after:", "after needs layers"),
        (":14", "unknown position ''"),
        ("14", "unknown position '14'. Choose from after, replace"),
        ("befor:14", "unknown position 'befor'"),
        ("replce:14", "Did you mean 'replace'"),
        ("after_depthwise:3", "Did you mean 'after-depthwise'"),
        ("After:3", "Did you mean 'after'"),
        ("official+after:3", "unknown position 'official'"),
        ("official", "unknown position 'official'"),
        ("after:3+", "unknown position ''"),
        ("after:3++after:4", "unknown position ''"),
        ("after:3,", "'' is neither layer numbers nor a module path"),
        ("after:,3", "'' is neither"),
        ("after:3-", "'3-' is neither"),
        ("after:-3", "'-3' is neither"),
        ("after:3-4-5", "'3-4-5' is neither"),
        ("after:3;4", "'3;4' is neither"),
        ("after:3:4", "'3:4' is neither"),
        ("after:features[3]", "'features[3]' is neither"),
        ("after:3,features.4", "mixes layer numbers and module paths. Join"),
        ("after:12-8", "12-8 is not a range of layers"),
        ("after:1-999999999", "is not a range of layers"),
        ("after:3,3", "names layer 3 twice"),
        ("after:3-5,4", "names layer 4 twice"),
        ("after:3+after:2,3", "names layer 3 twice"),
    ],
)
def test_malformed(text, message):
    with pytest.raises(PlacementError) as caught:
        parse_placement(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250


def test_replaces():
    assert parse_placement("after:3+replace:5").replaces
    assert not parse_placement("replace-se:all+after:5").replaces


@pytest.mark.parametrize(
    ("glob", "matched", "not_matched"),
    [
        (
            "blocks.3.*",
            ["blocks.3.0", "blocks.3.12"],
            ["blocks.3", "blocks.3.0.conv", "blocks.30.1"],
        ),
        ("blocks.**", ["blocks.3", "blocks.3.0.conv"], ["blocks", "myblocks.3"]),
        ("*.conv", ["a.conv", "b.conv"], ["conv", "a.b.conv"]),
        ("**.conv", ["a.conv", "a.b.conv"], ["conv"]),
        ("layer*", ["layer1", "layer"], ["layer1.0", "xlayer1"]),
        ("l*.0", ["layer1.0", "l.0"], ["layer1.1", "layer1.x.0"]),
        ("a.b", ["a.b"], ["a-b", "axb"]),
    ],
)
def test_globs(glob, matched, not_matched):
    pattern = glob_pattern(glob)
    assert isinstance(pattern, re.Pattern)
    assert all(pattern.fullmatch(path) for path in matched)
    assert not any(pattern.fullmatch(path) for path in not_matched)

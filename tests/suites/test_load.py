from copy import deepcopy
from pathlib import Path

import pytest

from attnbench.errors import RequestError, UnknownNameError
from attnbench.registry.plugins import catalog
from attnbench.suites.load import find_suite, parse_suite, read_suite, suite_hash
from attnbench.suites.plan import plan

GOOD = """
[suite]
name = "mine"
title = "Mine"

[reasons]
rounded = "The cell is rounded."

[nominal.mobilenet_v2]
params = 3.4e6
macs = 300e6

[[table]]
columns = ["label", "params", "params_norm", "top1"]
reference = "plain"

[table.groups]
option = "groups"
values = [1, 4]
label = "g = {}"
columns = ["top1"]

[[table.row]]
label = "plain"
backbone = "mobilenet_v2"

[[table.row]]
label = "ulsam"
backbone = "mobilenet_v2"
module = "ulsam"
placement = "replace:14,17"
printed.params = "2.97M"
printed.top1 = [71.1, "71.52"]
reasons.params = "rounded"

[[table.row]]
module = ["se", "cbam"]
channels = 512
size = [14, 7]
"""

# what is changed in GOOD, into what, and what the message must say: place, fault, remedy
MALFORMED = {
    "no TOML": ('name = "mine"', "name = mine", ["line 3"]),
    "key twice": ('title = "Mine"', 'title = "A"\ntitle = "B"', ["line 5"]),
    "empty": (GOOD, "", ["missing"]),
    "no title": ('title = "Mine"', "", ["suite.title"]),
    "blank title": ('"Mine"', '" "', ["suite.title", "1 character"]),
    "no columns": (
        'columns = ["label", "params", "params_norm", "top1"]',
        "",
        ["table[1].columns"],
    ),
    "bad name": ('"mine"', '"My Suite"', ["suite.name", "'My Suite'"]),
    "name no text": ('"mine"', "3", ["suite.name", "3"]),
    "size is a word": (
        'title = "Mine"',
        'title = "M"\nsize = "big"',
        ["suite.size", "'big'"],
    ),
    "size is true": ('title = "Mine"', 'title = "M"\nsize = true', ["suite.size", "True"]),
    "size is zero": ('title = "Mine"', 'title = "M"\nsize = 0', ["suite.size", "0"]),
    "three sizes": ("[14, 7]", "[14, 7, 3]", ["table[1].row[3].size", "2"]),
    "channels as text": ("channels = 512", 'channels = "512"', ["row[3].channels", "'512'"]),
    "version": ('title = "Mine"', 'title = "M"\nversion = 1.5', ["suite.version", "1.5"]),
    "counters": ('title = "Mine"', 'title = "M"\ncounters = "yes"', ["suite.counters", "'yes'"]),
    "limit": ('title = "Mine"', 'title = "M"\nlimit_s = 0', ["suite.limit_s", "0"]),
    "limit nan": ('title = "Mine"', 'title = "M"\nlimit_s = nan', ["suite.limit_s", "nan"]),
    "runtimes": ("[reasons]", "[latency]\nruntimes = []\n[reasons]", ["latency.runtimes"]),
    "precision": (
        "[reasons]",
        '[latency]\nprecisions = ["fp8"]\n[reasons]',
        ["latency.precisions[1]", "'bf16'"],
    ),
    "runtime twice": (
        "[reasons]",
        '[latency]\nruntimes = ["eager", "eager"]\n[reasons]',
        ["latency.runtimes"],
    ),
    "latency without a table": (
        "[reasons]",
        "[latency]\nbatch = 2\n[reasons]",
        ["latency"],
    ),
    "groups with accuracy columns": (
        "[table.groups]",
        "[table.accuracy]\nseeds = 3\n[table.groups]",
        ["columns = []", "[table.accuracy]"],
    ),
    "unknown latency key": ("[reasons]", "[latency]\nbugdet_s = 3\n[reasons]", ["'budget_s'"]),
    "unknown top key": (
        "[reasons]",
        "[raesons]",
        ["raesons", "'reasons'"],
    ),
    "unknown suite key": (
        "title =",
        "titel =",
        ["suite.titel", "'title'"],
    ),
    "unknown nominal key": (
        "macs = 300e6",
        "flops = 3",
        ["nominal.mobilenet_v2.flops"],
    ),
    "unknown convention key": (
        "[reasons]",
        "[convention]\nnorm = true\n[reasons]",
        ["convention.norm", "norms, base", "'norms'"],
    ),
    "convention of 1000 or 1024": (
        "[reasons]",
        "[convention]\nbase = 1023\n[reasons]",
        ["convention.base", "1000 or 1024"],
    ),
    "unknown table key": ("reference =", "refrence =", ["table[1].refrence", "'reference'"]),
    "unknown groups key": ("option =", "optoin =", ["table[1].groups.optoin", "'option'"]),
    "unknown row key": (
        'module = "ulsam"',
        'modul = "ulsam"',
        ["table[1].row[2].modul", "'module'"],
    ),
    "unknown column": ('"params_norm", "top1"]', '"parms"]', ["table[1].columns[3]", "'parms'"]),
    "unknown metric": ("printed.params =", "printed.parms =", ["row[2].printed.parms", "'params'"]),
    "row is no list": ('[[table.row]]\nlabel = "plain"', '[table.row]\nlabel = "plain"', ["TOML"]),
    "row is one table": (
        GOOD[GOOD.index("[[table.row]]") :],
        "[table.row]\nbackbone = 'mobilenet_v2'",
        ["table[1].row", "[[table.row]]"],
    ),
    "table is one table": (
        GOOD[GOOD.index("[[table]]") :],
        "[table]\ncolumns = ['label']",
        ["[[table]]"],
    ),
    "suite is no table": (
        '[suite]\nname = "mine"\ntitle = "Mine"',
        "suite = 3",
        ["suite: "],
    ),
    "no rows": (GOOD[GOOD.index("[[table.row]]") :], "row = []", ["row"]),
    "nothing to measure": (
        'label = "plain"\nbackbone = "mobilenet_v2"',
        'label = "plain"',
        ["table[1].row[1]", "backbone", "module"],
    ),
    "module alone without channels": (
        "channels = 512\n",
        "",
        ["row[3]", "channels"],
    ),
    "channels in a backbone": (
        'placement = "replace:14,17"',
        "channels = 3",
        ["row[2]", "channels"],
    ),
    "module without placement": (
        'placement = "replace:14,17"',
        "",
        ["row[2]", "placement"],
    ),
    "placement without module": (
        'module = "ulsam"',
        "",
        ["row[2]", "module"],
    ),
    "placement without backbone": (
        "channels = 512",
        'channels = 512\nplacement = "after:3"',
        ["row[3]", "placement", "backbone"],
    ),
    "printed for many": (
        "size = [14, 7]",
        "size = 14\nprinted.params = 3",
        ["row[3]", "printed"],
    ),
    "list too long": ('[71.1, "71.52"]', "[1, 2, 3]", ["row[2].printed.top1", "3", "2"]),
    "list without groups": (
        GOOD[GOOD.index("[table.groups]") : GOOD.index("[[table.row]]")],
        "",
        ["row[2].printed.top1", "2", "0"],
    ),
    "figure": ('"2.97M"', '"about 3M"', ["row[2].printed.params", "261.88M"]),
    "figure in a list": ('"71.52"', '"71,52%%"', ["row[2].printed.top1[2]"]),
    "figure is a date": ('"2.97M"', "2020-01-01", ["row[2].printed.params"]),
    "reference": (
        'reference = "plain"',
        'reference = "vanilla"',
        ["'vanilla'"],
    ),
    "no reference": ('reference = "plain"', "", ["table[1]", "params_norm", "reference"]),
    "reason": ('"rounded"', '"ruonded"', ["'ruonded'", "[reasons]", "'rounded'"]),
    "groups of nothing": ("values = [1, 4]", "values = []", ["groups.values"]),
    "empty list": ('["se", "cbam"]', "[]", ["row[3].module"]),
    "module is a number": ('["se", "cbam"]', "[3]", ["row[3].module"]),
    "nominal is negative": ("params = 3.4e6", "params = -1", ["nominal.mobilenet_v2.params"]),
    "two mistakes": ('name = "mine"\ntitle = "Mine"', "", ["suite.name", "1 more"]),
    "long value": ('"mine"', f'"{"x" * 2000} "', ["suite.name"]),
}

# what only the catalog tells
IMPOSSIBLE = {
    "unknown module": ('module = "ulsam"', 'module = "ulsma"', ["row 2 (ulsam)", "'ulsam'"]),
    "backbone as module": ('["se", "cbam"]', '"mobilenet_v2"', ["row 3", "backbone"]),
    "unknown option": ('module = "ulsam"', 'module = "ulsam,gruops=3"', ["'gruops'"]),
    "wrong option": ('module = "ulsam"', 'module = "ulsam,momentum=x"', ["momentum", "'x'"]),
    "malformed spec": ('module = "ulsam"', 'module = "ulsam,groups"', ["'groups'"]),
    "unknown backbone": (
        'backbone = "mobilenet_v2"\nmodule',
        'backbone = "mobilnet_v2"\nmodule',
        ["row 2 (ulsam)", "'mobilenet_v2'"],
    ),
    "backbone option": (
        'backbone = "mobilenet_v2"\nmodule',
        'backbone = "mobilenet_v2,width=x"\nmodule',
        ["row 2 (ulsam)", "mobilenet_v2", "width"],
    ),
    "placement": ("replace:14,17", "replce:14,17", ["row 2 (ulsam)", "replace"]),
    "selector": ('["se", "cbam"]', '"@al"', ["row 3", "'@al'", "@family:NAME"]),
    "family": ('["se", "cbam"]', '"@family:chanel"', ["row 3", "'channel'"]),
    "option of the groups": ('option = "groups"', 'option = "gruops"', ["'gruops'"]),
    "value of the groups": ("values = [1, 4]", 'values = ["x", 4]', ["row 2", "groups", "'x'"]),
    "nominal": (
        "[nominal.mobilenet_v2]",
        '[nominal."mobilenet_v2,width=1.0"]',
        ["nominal", "'mobilenet_v2,width=1.0'"],
    ),
}


def changed(change):
    old, new, parts = change
    assert GOOD.count(old) >= 1
    return GOOD.replace(old, new, 1), parts


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_the_good_one_is_good(write):
    suite = find_suite(str(write(GOOD)), catalog())
    (table,) = plan(suite, catalog())
    assert [len(row.cases) for row in table.rows] == [1, 2, 1, 1]


# one message of each kind as a whole; the tests below look for its values alone
WHOLE = {
    "no title": "suite.title is missing; add it",
    "unknown suite key": "unknown key suite.titel; known: name, version, title, source, url, size, counters, limit_s, memory_gib, notes. Did you mean 'title'?",
    "module without placement": "table[1].row[2]: a backbone needs both module and placement",
}  # fmt: skip


@pytest.mark.parametrize("change", WHOLE)
def test_a_whole_message(write, change):
    with pytest.raises(RequestError) as caught:
        read_suite(write(changed(MALFORMED[change])[0]))
    assert str(caught.value).partition(": ")[2].startswith(WHOLE[change])


@pytest.mark.parametrize("change", MALFORMED)
def test_malformed(write, change):
    text, parts = changed(MALFORMED[change])
    with pytest.raises(RequestError) as caught:
        read_suite(write(text))
    message = str(caught.value)
    assert message.startswith("suite file mine.toml")
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize("change", IMPOSSIBLE)
def test_impossible(write, change):
    text, parts = changed(IMPOSSIBLE[change])
    with pytest.raises(RequestError) as caught:
        plan(read_suite(write(text)), catalog())
    message = str(caught.value)
    assert message.startswith("suite mine")
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert len(message) < 500


class TestFiles:
    def test_missing(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(RequestError, match=r"no\.toml.*No such file"):
            find_suite("no.toml", catalog())
        with pytest.raises(RequestError, match=r"a/b.*No such file"):
            find_suite("a/b", catalog())

    def test_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("here.toml").mkdir()
        with pytest.raises(RequestError, match=r"here\.toml.*Is a dir"):
            find_suite("here.toml", catalog())

    def test_not_utf8(self, tmp_path):
        path = tmp_path / "latin.toml"
        path.write_bytes('[suite]\ntitle = "Ä"\n'.encode("latin-1"))
        with pytest.raises(RequestError, match=r"latin\.toml.*UTF-8"):
            read_suite(path)

    def test_binary_and_bottomless(self, tmp_path):
        path = tmp_path / "odd.toml"
        for content in (b"\x00\x01", b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000):
            path.write_bytes(content)
            with pytest.raises(RequestError) as caught:
                read_suite(path)
            assert len(str(caught.value)) < 500

    def test_byte_order_mark(self, tmp_path):
        path = tmp_path / "marked.toml"
        path.write_text(GOOD, encoding="utf-8-sig")
        assert read_suite(path).suite.name == "mine"


class TestNames:
    def test_by_name(self):
        assert find_suite("quick", catalog()).suite.name == "quick"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("qiuck", "'quick'"),
            ("ulsam", "attnbench show module ulsam"),
            ("mobilenet_v2", "attnbench show backbone mobilenet_v2"),
            ("xyzzy", ".toml"),
        ],
    )
    def test_unknown(self, name, message):
        with pytest.raises(UnknownNameError) as caught:
            find_suite(name, catalog())
        assert message in str(caught.value)


class TestHash:
    CONTENT = {  # noqa: RUF012
        "suite": {"name": "a", "title": "A"},
        "table": [{"columns": ["label"], "row": [{"backbone": "mobilenet_v1"}]}],
    }

    def test_is_of_the_content(self):
        first = parse_suite(self.CONTENT, "a.toml")
        spelled_out = deepcopy(self.CONTENT)
        spelled_out["suite"] |= {"version": 1, "size": 224}
        assert suite_hash(first) == suite_hash(parse_suite(spelled_out, "b.toml"))

    @pytest.mark.parametrize(
        "change", [{"version": 2}, {"title": "B"}, {"size": [224, 224]}, {"notes": ["n"]}]
    )
    def test_any_change_shows(self, change):
        other = deepcopy(self.CONTENT)
        other["suite"] |= change
        assert suite_hash(parse_suite(self.CONTENT, "a.toml")) != suite_hash(
            parse_suite(other, "a")
        )

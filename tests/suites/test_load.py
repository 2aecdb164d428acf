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
    "no TOML": ('name = "mine"', "name = mine", ["is no TOML", "line 3"]),
    "key twice": ('title = "Mine"', 'title = "A"\ntitle = "B"', ["is no TOML", "line 5"]),
    "empty": (GOOD, "", ["suite is missing; add it"]),
    "no title": ('title = "Mine"', "", ["suite.title is missing; add it"]),
    "blank title": ('"Mine"', '" "', ["suite.title: ", "at least 1 character"]),
    "no columns": (
        'columns = ["label", "params", "params_norm", "top1"]',
        "",
        ["table[1].columns is missing"],
    ),
    "bad name": ('"mine"', '"My Suite"', ["suite.name: ", "not 'My Suite'"]),
    "name no text": ('"mine"', "3", ["suite.name: should be a valid string, not 3"]),
    "size is a word": (
        'title = "Mine"',
        'title = "M"\nsize = "big"',
        ["suite.size: ", "not 'big'"],
    ),
    "size is true": ('title = "Mine"', 'title = "M"\nsize = true', ["suite.size: ", "not True"]),
    "size is zero": ('title = "Mine"', 'title = "M"\nsize = 0', ["suite.size: ", "not 0"]),
    "three sizes": ("[14, 7]", "[14, 7, 3]", ["table[1].row[3].size: ", "at most 2"]),
    "channels as text": ("channels = 512", 'channels = "512"', ["row[3].channels: ", "not '512'"]),
    "version": ('title = "Mine"', 'title = "M"\nversion = 1.5', ["suite.version: ", "not 1.5"]),
    "counters": ('title = "Mine"', 'title = "M"\ncounters = "yes"', ["suite.counters: ", "'yes'"]),
    "limit": ('title = "Mine"', 'title = "M"\nlimit_s = 0', ["suite.limit_s: ", "greater than 0"]),
    "limit nan": ('title = "Mine"', 'title = "M"\nlimit_s = nan', ["suite.limit_s: ", "not nan"]),
    "runtimes": ("[reasons]", "[latency]\nruntimes = []\n[reasons]", ["latency.runtimes: "]),
    "precision": (
        "[reasons]",
        '[latency]\nprecisions = ["fp8"]\n[reasons]',
        ["latency.precisions[1]: ", "'bf16'"],
    ),
    "runtime twice": (
        "[reasons]",
        '[latency]\nruntimes = ["eager", "eager"]\n[reasons]',
        ["latency.runtimes: ", "twice"],
    ),
    "latency without a table": (
        "[reasons]",
        "[latency]\nbatch = 2\n[reasons]",
        ["no table has latency"],
    ),
    "groups with accuracy columns": (
        "[table.groups]",
        "[table.accuracy]\nseeds = 3\n[table.groups]",
        ["write columns = [] under [table.accuracy]"],
    ),
    "unknown latency key": ("[reasons]", "[latency]\nbugdet_s = 3\n[reasons]", ["'budget_s'"]),
    "unknown top key": (
        "[reasons]",
        "[raesons]",
        ["unknown key raesons; known: suite", "'reasons'"],
    ),
    "unknown suite key": (
        "title =",
        "titel =",
        ["unknown key suite.titel", "Did you mean 'title'"],
    ),
    "unknown nominal key": (
        "macs = 300e6",
        "flops = 3",
        ["unknown key nominal.mobilenet_v2.flops"],
    ),
    "unknown convention key": (
        "[reasons]",
        "[convention]\nnorm = true\n[reasons]",
        ["unknown key convention.norm; known: norms, base", "Did you mean 'norms'"],
    ),
    "convention of 1000 or 1024": (
        "[reasons]",
        "[convention]\nbase = 1023\n[reasons]",
        ["convention.base: ", "1000 or 1024"],
    ),
    "unknown table key": ("reference =", "refrence =", ["table[1].refrence", "'reference'"]),
    "unknown groups key": ("option =", "optoin =", ["table[1].groups.optoin", "'option'"]),
    "unknown row key": (
        'module = "ulsam"',
        'modul = "ulsam"',
        ["table[1].row[2].modul", "'module'"],
    ),
    "unknown column": ('"params_norm", "top1"]', '"parms"]', ["table[1].columns[3]: ", "'parms'"]),
    "unknown metric": ("printed.params =", "printed.parms =", ["row[2].printed.parms", "'params'"]),
    "row is no list": ('[[table.row]]\nlabel = "plain"', '[table.row]\nlabel = "plain"', ["TOML"]),
    "row is one table": (
        GOOD[GOOD.index("[[table.row]]") :],
        "[table.row]\nbackbone = 'mobilenet_v2'",
        ["table[1].row is one of several: write [[table.row]]"],
    ),
    "table is one table": (
        GOOD[GOOD.index("[[table]]") :],
        "[table]\ncolumns = ['label']",
        ["table is one of several: write [[table]], in double brackets"],
    ),
    "suite is no table": (
        '[suite]\nname = "mine"\ntitle = "Mine"',
        "suite = 3",
        ["suite: must be a"],
    ),
    "no rows": (GOOD[GOOD.index("[[table.row]]") :], "row = []", ["row"]),
    "nothing to measure": (
        'label = "plain"\nbackbone = "mobilenet_v2"',
        'label = "plain"',
        ["table[1].row[1]: a row needs a backbone, a module or both"],
    ),
    "module alone without channels": (
        "channels = 512\n",
        "",
        ["row[3]: a module alone needs channels"],
    ),
    "channels in a backbone": (
        'placement = "replace:14,17"',
        "channels = 3",
        ["row[2]: channels are"],
    ),
    "module without placement": (
        'placement = "replace:14,17"',
        "",
        ["row[2]: module and placement go"],
    ),
    "placement without module": (
        'module = "ulsam"',
        "",
        ["row[2]: module and placement go together"],
    ),
    "placement without backbone": (
        "channels = 512",
        'channels = 512\nplacement = "after:3"',
        ["row[3]: placement needs a backbone"],
    ),
    "printed for many": (
        "size = [14, 7]",
        "size = 14\nprinted.params = 3",
        ["row[3]: printed figures"],
    ),
    "list too long": ('[71.1, "71.52"]', "[1, 2, 3]", ["row[2].printed.top1 has 3 figures for 2"]),
    "list without groups": (
        GOOD[GOOD.index("[table.groups]") : GOOD.index("[[table.row]]")],
        "",
        ["row[2].printed.top1 has 2 figures for 0 column groups"],
    ),
    "figure": ('"2.97M"', '"about 3M"', ["row[2].printed.params: must be a figure like 261.88M"]),
    "figure in a list": ('"71.52"', '"71,52%%"', ["row[2].printed.top1[2]: must be a figure"]),
    "figure is a date": ('"2.97M"', "2020-01-01", ["row[2].printed.params: "]),
    "reference": (
        'reference = "plain"',
        'reference = "vanilla"',
        ["reference 'vanilla' is the label"],
    ),
    "no reference": ('reference = "plain"', "", ["table[1]: column params_norm needs a reference"]),
    "reason": ('"rounded"', '"ruonded"', ["reason 'ruonded' is no key of [reasons]", "'rounded'"]),
    "groups of nothing": ("values = [1, 4]", "values = []", ["groups.values: ", "at least 1 item"]),
    "empty list": ('["se", "cbam"]', "[]", ["row[3].module: ", "at least 1 item"]),
    "module is a number": ('["se", "cbam"]', "[3]", ["row[3].module"]),
    "nominal is negative": ("params = 3.4e6", "params = -1", ["nominal.mobilenet_v2.params: "]),
    "two mistakes": ('name = "mine"\ntitle = "Mine"', "", ["suite.name is missing", "and 1 more"]),
    "long value": ('"mine"', f'"{"x" * 2000} "', ["suite.name: "]),
}

# what only the catalog tells
IMPOSSIBLE = {
    "unknown module": ('module = "ulsam"', 'module = "ulsma"', ["row 2 (ulsam)", "mean 'ulsam'"]),
    "backbone as module": ('["se", "cbam"]', '"mobilenet_v2"', ["row 3: ", "it is a backbone"]),
    "unknown option": ('module = "ulsam"', 'module = "ulsam,gruops=3"', ["no option 'gruops'"]),
    "wrong option": ('module = "ulsam"', 'module = "ulsam,momentum=x"', ["momentum should be a"]),
    "malformed spec": ('module = "ulsam"', 'module = "ulsam,groups"', ["is not key=value"]),
    "unknown backbone": (
        'backbone = "mobilenet_v2"\nmodule',
        'backbone = "mobilnet_v2"\nmodule',
        ["row 2 (ulsam): unknown backbone", "Did you mean 'mobilenet_v2'"],
    ),
    "backbone option": (
        'backbone = "mobilenet_v2"\nmodule',
        'backbone = "mobilenet_v2,width=x"\nmodule',
        ["row 2 (ulsam): mobilenet_v2: width must be a number"],
    ),
    "placement": ("replace:14,17", "replce:14,17", ["row 2 (ulsam)", "Did you mean 'replace'"]),
    "selector": ('["se", "cbam"]', '"@al"', ["row 3: module '@al': write @all or @family:NAME"]),
    "family": ('["se", "cbam"]', '"@family:chanel"', ["row 3", "no module is of", "'channel'"]),
    "option of the groups": ('option = "groups"', 'option = "gruops"', ["the option 'gruops'"]),
    "value of the groups": ("values = [1, 4]", 'values = ["x", 4]', ["row 2", "groups should be"]),
    "nominal": (
        "[nominal.mobilenet_v2]",
        '[nominal."mobilenet_v2,width=1.0"]',
        ["nominal.'mobilenet_v2,width=1.0' is the backbone of no row; there are mobilenet_v2"],
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
        with pytest.raises(RequestError, match=r"suite file no\.toml cannot be read: No such file"):
            find_suite("no.toml", catalog())
        with pytest.raises(RequestError, match=r"suite file a/b cannot be read: No such file"):
            find_suite("a/b", catalog())

    def test_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("here.toml").mkdir()
        with pytest.raises(RequestError, match=r"suite file here\.toml cannot be read: Is a dir"):
            find_suite("here.toml", catalog())

    def test_not_utf8(self, tmp_path):
        path = tmp_path / "latin.toml"
        path.write_bytes('[suite]\ntitle = "Ä"\n'.encode("latin-1"))
        with pytest.raises(RequestError, match=r"latin\.toml is not UTF-8"):
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
            ("qiuck", "unknown suite 'qiuck'. Did you mean 'quick'"),
            ("ulsam", "it is a module: attnbench show module ulsam"),
            ("mobilenet_v2", "it is a backbone: attnbench show backbone mobilenet_v2"),
            ("xyzzy", "Or give a path to a .toml file."),
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

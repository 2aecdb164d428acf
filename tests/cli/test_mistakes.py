"""Mistakes of a user: one short message, status 2, no traceback, nothing measured lost."""

import pytest

GOOD = """
[suite]
name = "mine"
title = "Mine"
size = 64

[[table]]
columns = ["label", "params"]

[[table.row]]
backbone = "mobilenet_v2,width=0.35"
module = "se"
placement = "after:5"
"""
V2 = ("-b", "mobilenet_v2,width=0.35", "--no-counters")
COMMANDS = {
    "unknown kind to list": (("list", "module"), "'modules'"),
    "unknown kind to show": (("show", "modul", "se"), "module"),
    "unknown format": (("list", "modules", "--format", "xml"), "Known: json, text"),
    "json and md": (("list", "modules", "--json", "--format", "text"), "'text'"),
    "unknown module": (("show", "module", "cmab"), "'cbam'"),
    "backbone as module": (("cost", *V2, "-m", "mobilenet_v2", "-p", "after:5"), "-b mobilenet_v2"),
    "module as backbone": (("cost", "-b", "se"), "-m se"),
    "suite as module": (("show", "module", "quick"), "suite"),
    "module as suite": (("run", "se"), "module"),
    "unknown backbone": (("show", "backbone", "mobilenet_v9"), "'mobilenet_v2'"),
    "unknown suite": (("run", "quik"), "'quick'"),
    "unknown torchvision option": (("cost", "-b", "resnet18,depth=3"), "depth"),
    "unknown timm model": (("cost", "-b", "timm:mobilnetv2"), "mobilenet"),
    "no width": (("cost", "-b", "mobilenet_v1,width=0"), "width"),
    "width in words": (("cost", "-b", "mobilenet_v1,width=wide"), "width"),
    "option without value": (("cost", "-b", "mobilenet_v1,width"), "'width'"),
    "option twice": (("cost", "-b", "mobilenet_v1,width=1,width=2"), "'width'"),
    "unknown option": (("cost", *V2, "-m", "ulsam,group=4", "-p", "after:5"), "'groups'"),
    "option of the wrong type": (("cost", *V2, "-m", "ulsam,groups=four", "-p", "after:5"), "groups"),
    "fractional groups": (("cost", *V2, "-m", "ulsam,groups=2.5", "-p", "after:5"), "groups"),
    "no groups": (("cost", *V2, "-m", "ulsam,groups=0", "-p", "after:5"), "groups"),
    "negative reduction": (("cost", *V2, "-m", "se,reduction=-1", "-p", "after:5"), "reduction"),
    "choice": (("cost", *V2, "-m", "bam,combine=max", "-p", "after:5"), "'mul'"),
    "groups that do not divide": (("cost", "-b", "mobilenet_v2", "-m", "ulsam,groups=16", "-p", "after:3"), "24 channels"),
    "no placement": (("cost", *V2, "-m", "se"), "(-p)"),
    "size that the network refuses": (("cost", "-b", "timm:vit_tiny_patch16_224", "--size", "256"), "(1, 3, 256, 256)"),
    "placement without module": (("cost", *V2, "-p", "after:5"), "-m"),
    "placement without backbone": (("cost", "-m", "se", "-p", "after:5", "--channels", "8", "--size", "4"), "-b"),
    "strided block": (("cost", *V2, "-m", "se", "-p", "replace:5"), "4, 6, 7, 9"),
    "layer that is not": (("cost", *V2, "-m", "se", "-p", "after:99"), "layer 99"),
    "layer 0": (("cost", *V2, "-m", "se", "-p", "after:0"), "layer 0"),
    "no SE there": (("cost", *V2, "-m", "se", "-p", "replace-se:all"), "replace-se"),
    "unknown position": (("cost", *V2, "-m", "se", "-p", "behind:5"), "after-depthwise"),
    "empty placement": (("cost", *V2, "-m", "se", "-p", ""), "after:11"),
    "reversed range": (("cost", *V2, "-m", "se", "-p", "after:9-5"), "'after:9-5'"),
    "layer twice": (("cost", *V2, "-m", "se", "-p", "after:5,5"), "layer 5"),
    "overlap": (("cost", *V2, "-m", "se", "-p", "replace:6+after-depthwise:6"), "features.5"),
    "glob of nothing": (("cost", *V2, "-m", "se", "-p", "after:blocks.*"), "'blocks.*'"),
    "numbers on a resnet": (("cost", "-b", "resnet18", "--size", "64", "-m", "se", "-p", "after:3"), "after:conv1"),
    "no official place": (("cost", *V2, "-m", "identity", "-p", "official"), "identity"),
    "size in words": (("cost", "-b", "mobilenet_v2", "--size", "big"), "--size"),
    "size zero": (("cost", "-b", "mobilenet_v2", "--size", "0"), "--size"),
    "channels in a backbone": (("cost", *V2, "--channels", "8"), "--channels"),
    "alone without size": (("cost", "-m", "se", "--channels", "8"), "--size"),
    "nothing to count": (("cost",), "-b"),
    "zero channels": (("cost", "-m", "se", "--channels", "0", "--size", "4"), "--channels"),
    "unknown flag": (("cost", "--bakbone", "x"), "bakbone"),
    "unknown command": (("bench",), "bench"),
    "missing plugin": (("list", "modules", "--plugin", "no.py"), "no.py"),
    "plugin with a syntax error": (("list", "modules", "--plugin", "syntax.py"), "syntax.py:2"),
    "plugin that raises": (("list", "modules", "--plugin", "raises.py"), "raises.py:2"),
    "plugin that exits": (("list", "modules", "--plugin", "exits.py"), "exits.py"),
    "plugin over a shipped name": (("list", "modules", "--plugin", "twin.py"), "twin.py:3"),
    "plugin that is no module": (("cost", "-m", "wrong.py:NotAModule", "--channels", "8", "--size", "4"), "nn.Module"),
    "plugin without forward": (("cost", "-m", "wrong.py:NoForward", "--channels", "8", "--size", "4"), "forward"),
    "plugin with a required option": (("cost", "-m", "wrong.py:Needy", "--channels", "8", "--size", "4"), "wrong.py:Needy,width=channels"),
    "plugin that changes the shape": (("cost", "-m", "wrong.py:Shrinks", "--channels", "8", "--size", "4"), "(1, 8, 4, 1)"),
    "module that exits": (("cost", "-m", "wrong.py:Exits", "--channels", "8", "--size", "4"), "SystemExit"),
    "class that is not there": (("cost", "-m", "wrong.py:Absent", "--channels", "8", "--size", "4"), "'Absent'"),
    "package that is not there": (("cost", "-m", "nowhere.at:All", "--channels", "8", "--size", "4"), "nowhere"),
    "suite file that is not there": (("run", "no.toml"), "no.toml"),
    "suite that is a folder": (("run", "folder.toml"), "folder.toml"),
    "suite twice": (("run", "good.toml", "good.toml"), "'mine'"),
    "case of nothing": (("run", "good.toml", "--case", "latency/*"), "'latency/*'"),
    "shard of nothing": (("run", "good.toml", "--shard", "5/4"), "1/4"),
    "shard in words": (("run", "good.toml", "--shard", "first"), "1/4"),
    "unknown kind to run": (("run", "good.toml", "--only", "energy"), "energy"),
    "added module unknown": (("run", "good.toml", "--add", "sse"), "'se'"),
    "out that is a file": (("run", "good.toml", "--out", "raises.py"), "raises.py"),
    "no run there": (("table", "nothing"), "nothing/records.jsonl"),
    "merge of nothing": (("merge", "nothing", "-o", "x"), "nothing/records.jsonl"),
    "merge without a folder": (("merge", "nothing"), "--output"),
}  # fmt: skip
SUITES = {
    "no TOML": ("[suite", "bad.toml"),
    "empty": ("", "missing"),
    "unknown key": (GOOD.replace("size = 64", "sise = 64"), "'size'"),
    "bad name": (GOOD.replace('"mine"', '"My Suite"'), "name"),
    "bad column": (GOOD.replace('"params"]', '"parms"]'), "columns"),
    "no rows": (GOOD.partition("[[table.row]]")[0], "table[1].row"),
    "unknown module": (GOOD.replace('"se"', '"sse"'), "row 1"),
    "unknown backbone": (GOOD.replace("mobilenet_v2,", "mobilenet_v7,"), "mobilenet_v7"),
    "impossible placement": (GOOD.replace("after:5", "replace:5"), "4, 6, 7, 9"),
    "no placement": (GOOD.replace('placement = "after:5"', ""), "placement"),
    "bad figure": (GOOD + 'printed.params = "lots"\n', "lots"),
    "bad selector": (GOOD.replace('"se"', '"@every"'), "@all"),
    "unknown family": (GOOD.replace('"se"', '"@family:quantum"'), "quantum"),
    "size of text": (GOOD.replace("size = 64", 'size = "big"'), "size"),
    "negative limit": (GOOD.replace("size = 64", "limit_s = -1"), "limit_s"),
    "not a number": (GOOD.replace("size = 64", "memory_gib = inf"), "memory_gib"),
    "figure that is no number": (GOOD + "printed.params = nan\n", "printed"),
    "unknown option of groups": (
        GOOD
        + '[table.groups]\noption = "nope"\nvalues = [1]\nlabel = "n = {}"\ncolumns = ["params"]\n',
        "nope",
    ),
    "unknown kind": (GOOD.replace("size = 64", 'kinds = ["energy"]'), "kinds"),
}
RECORDS = {
    "garbage": b"garbage\n",
    "binary": bytes(range(256)) + b"\n",
    "no header": b'{"case": "a"}\n',
    "newer format": b'{"format": 99}\n',
    "bad header": b'{"format": 1}\n',
}


# one message of each kind as a whole; the tests below look for its values alone
WHOLE = {
    "unknown format": "unknown --format 'xml'. Known: json, text.",
    "json and md": "--json contradicts --format: got 'text'. Omit one of them",
    "suite as module": "unknown module 'quick': it is a suite: attnbench run quick",
    "unknown option": "ulsam has no option 'group'; it takes groups=4, momentum=0.1. Did you mean 'groups'?",
    "size zero": "--size must be between 1 and 100000: got '0'",
    "missing plugin": "plugin file 'no.py' does not exist",
    "plugin that raises": "plugin file raises.py:2 fails: OSError: no device",
    "suite file that is not there": "suite file no.toml cannot be read: No such file or directory",
    "no run there": "no run at 'nothing'; looked for nothing, nothing/records.jsonl, attnbench-results/nothing/records.jsonl",
    "nothing to count": "a request needs a backbone (-b), a module (-m) or both: got neither",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "syntax.py").write_text("import attnbench\ndef (:\n")
    (tmp_path / "raises.py").write_text("import attnbench\nraise OSError('no device')\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(4)\n")
    (tmp_path / "twin.py").write_text(
        "import attnbench\nfrom torch import nn\n@attnbench.register('se')\n"
        "class Twin(nn.Module):\n    def __init__(self, channels):\n        super().__init__()\n"
        "    def forward(self, x):\n        return x\n"
    )
    (tmp_path / "wrong.py").write_text(
        "from torch import nn\nclass NotAModule:\n    def __init__(self, channels): pass\n"
        "class Base(nn.Module):\n    def __init__(self, channels):\n        super().__init__()\n"
        "class NoForward(Base): pass\n"
        "class Needy(Base):\n    def __init__(self, channels, *, width):\n        super().__init__(channels)\n"
        "    def forward(self, x):\n        return x\n"
        "class Exits(Base):\n    def forward(self, x):\n        raise SystemExit(0)\n"
        "class Shrinks(Base):\n    def forward(self, x):\n        return x[..., :1]\n"
    )
    return tmp_path


def assert_told(done, hint):
    assert done.status == 2, done.err
    assert "Traceback" not in done.err
    assert hint in done.err
    assert done.out == ""
    assert len(done.err) < 1500 and done.err.count("\n") < 12


@pytest.mark.parametrize("name", COMMANDS)
def test_a_malformed_request(attnbench, folder, name):
    words, hint = COMMANDS[name]
    assert_told(attnbench(*words), hint)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_message(attnbench, folder, name):
    assert attnbench(*COMMANDS[name][0]).err == f"attnbench: {WHOLE[name]}\n"


@pytest.mark.parametrize("name", SUITES)
def test_a_malformed_suite_costs_nothing_that_is_measured(attnbench, folder, name):
    text, hint = SUITES[name]
    (folder / "bad.toml").write_text(text.replace('"mine"', '"theirs"'))
    assert_told(attnbench("run", "good.toml", "bad.toml", "--out", "out"), hint)
    assert not (folder / "out").exists(), "nothing may run before all suites are checked"


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("words", [("run", "good.toml"), ("table", "mine")])
def test_a_damaged_record_file_is_left_alone(attnbench, folder, name, words):
    path = folder / "out/mine/records.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(RECORDS[name])
    assert_told(attnbench(*words, "--out", "out"), "records.jsonl")
    assert path.read_bytes() == RECORDS[name]


def test_how_many_there_are():
    assert len(COMMANDS) + len(SUITES) + len(RECORDS) >= 60


@pytest.mark.parametrize(
    "words",
    [("run", "quick", "--out", "A" * 500), ("table", "A" * 500), ("table", "quick", "--out", "A" * 500),
     ("merge", "A" * 500, "-o", "x"), ("history", "A" * 500), ("compare", "A" * 500, "A" * 500),
     ("cost", "-m", "se", "--plugin", f"{'A' * 500}.py"), ("run", f"{'A' * 500}.toml")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_name_that_no_file_can_have(attnbench, words):
    done = attnbench(*words)
    assert done.status == 2 and done.out == ""
    (line,) = done.err.splitlines()
    assert "File name too long" in line and "AAAA" in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ImportError("libtorch_cpu.so: failed to map segment"),
            "libtorch_cpu.so: failed to map segment. ",
        ),
        (MemoryError(), "out of memory. "),
        (
            OSError(28, "No space left on device", "out/x"),
            "out/x cannot be used: No space left on device",
        ),
    ],
)
def test_what_the_machine_cannot_is_one_line(attnbench, monkeypatch, error, said):
    def fail(*_):
        raise error

    monkeypatch.setattr("attnbench.cli.list.load_catalog", fail)
    done = attnbench("list")
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("attnbench: ") and said in line

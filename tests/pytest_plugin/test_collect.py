"""What is collected, and what is left alone."""

import pytest

GATE = "suite.toml::cost/alone/gate/16x8x8"
OTHER = """
import pytest

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".toml":
        return Other.from_parent(parent, path=file_path)

class Other(pytest.File):
    def collect(self):
        yield OtherItem.from_parent(self, name="other")

class OtherItem(pytest.Item):
    def runtest(self):
        pass
"""


def collected(result):
    return [line for line in result.outlines if "::" in line]


def test_the_cases_of_a_named_suite_are_its_tests(project):
    project.suite("gate", "se", latency=True)
    result = project("suite.toml", "--collect-only", "-q")
    assert collected(result) == [
        GATE,
        "suite.toml::cost/alone/se/16x8x8",
        "suite.toml::latency/alone/gate/16x8x8/eager",
        "suite.toml::latency/alone/se/16x8x8/eager",
    ]


@pytest.mark.parametrize("words", [(), (".",), ("pyproject.toml", "."), ("test_it.py",)])
def test_a_suite_that_is_not_named_is_left_alone(project, words):
    project.pytester.makepyfile(test_it="def test_it(): pass")
    result = project("--collect-only", "-q", *words)
    assert collected(result) == ["test_it.py::test_it"]


@pytest.mark.parametrize(
    "words",
    [
        ("suite.toml",),
        (".", "suite.toml"),
        ("--attnbench", "suite.toml"),
        ("suite.toml", "--attnbench=suite.toml"),
    ],
)
def test_named_in_any_way_it_is_collected_once(project, words):
    assert collected(project("--collect-only", "-q", *words)) == [GATE]


@pytest.mark.parametrize("words", [(), ("test_it.py",), (".",)])
def test_the_option_adds_to_what_is_collected(project, words):
    project.pytester.makepyfile(test_it="def test_it(): pass")
    result = project("--collect-only", "-q", "--attnbench", "suite.toml", *words)
    assert sorted(collected(result)) == [GATE, "test_it.py::test_it"]


def test_one_case_can_be_named(project):
    project.suite("gate", "se")
    result = project(GATE, "-v")
    result.assert_outcomes(passed=1)


def test_k_selects_by_canonical_name(project):
    project.suite("gate", "gate,kernel=3", "se")
    result = project("suite.toml", "-k", "gate and not kernel", "--collect-only", "-q")
    assert collected(result) == [GATE]


def test_a_shipped_suite_by_name(project):
    result = project("--attnbench", "ulsam-table1", "--collect-only", "-q")
    names = collected(result)
    assert names
    assert all(name.startswith("attnbench_suites/ulsam_table1.toml::cost/alone/") for name in names)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("ulsam-table2", "*unknown suite 'ulsam-table2'. Did you mean 'ulsam-table1'*"),
        ("nowhere/x.toml", "*--attnbench *'nowhere/x.toml'"),
    ],
)
def test_a_suite_that_is_not_there(project, asked, said):
    result = project("--attnbench", asked)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert "Traceback" not in result.stderr.str()


def test_a_suite_in_an_ignored_folder_is_collected_all_the_same(project):
    folder = project.path / ".hidden"
    folder.mkdir()
    (project.path / "suite.toml").rename(folder / "suite.toml")
    result = project("--attnbench", ".hidden/suite.toml", ".", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([".hidden/suite.toml::cost/alone/gate/16x8x8 PASSED*"])


def test_a_broken_suite_of_the_option_is_a_collection_error(project):
    project.pytester.makepyfile(test_it="def test_it(): pass")
    (project.path / "suite.toml").write_text("x = 1\n")
    result = project("--attnbench", "suite.toml", "test_it.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["suite file suite.toml: *"])


def test_a_case_that_is_named_is_not_joined_by_the_others(project):
    project.suite("gate", "se")
    assert collected(project("--collect-only", "-q", "--attnbench", "suite.toml", GATE)) == [GATE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[suite]\nname = 'x'\n", "suite file suite.toml: suite.title is missing; add it*"),
        ("[suite]\nname = \n", "suite file suite.toml is not valid TOML: *"),
        ("[suite]\nname = 'x'\ntitle = 'X'\ncolour = 1\n", "*unknown key suite.colour*"),
    ],
)
def test_a_broken_suite_is_a_collection_error_in_a_line(project, text, said):
    (project.path / "suite.toml").write_text(text)
    result = project("suite.toml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*.py:*")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("gaet", "*unknown module 'gaet'. Did you mean 'gate'*"),
        ("gate,kernal=3", "*gate has no option 'kernal'; it takes kernel=1.*"),
    ],
)
def test_an_unknown_module_is_a_collection_error_in_a_line(project, module, said):
    project.suite(module)
    result = project("suite.toml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*.py:[0-9]*")


def test_a_plugin_of_the_settings_that_fails(project):
    (project.path / "gate.py").write_text("1 / 0\n")
    result = project("suite.toml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["plugin file gate.py:1 fails: ZeroDivisionError*"])


def test_settings_that_cannot_be_read(project):
    project.settings("budgte = 1")
    result = project("--attnbench", "suite.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pyproject.toml: *unknown key budgte*"])


def test_another_plugin_that_collects_toml_keeps_its_files(project):
    project.pytester.makeconftest(OTHER)
    project.pytester.makefile(".toml", data="[data]\nsuite = 1\n")
    result = project("--collect-only", "-q", "data.toml", ".")
    assert collected(result) == ["data.toml::other", "pyproject.toml::other", "suite.toml::other"]
    result = project("suite.toml", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random([f"{GATE} PASSED*", "suite.toml::other PASSED*"])


@pytest.mark.parametrize("text", ["suite = 1\n", "[tool.suite]\n", "x = \n", "[[suite]]\n"])
def test_a_named_toml_that_is_no_suite_is_left_alone(project, text):
    project.pytester.makeconftest(OTHER)
    (project.path / "suite.toml").write_text(text)
    assert collected(project("--collect-only", "-q", "suite.toml")) == ["suite.toml::other"]


def test_accuracy_cases_are_not_collected(project):
    path = project.path / "suite.toml"
    row = '[[table.row]]\nbackbone = "mobilenet_v2,width=0.35"\n'
    text = path.read_text().replace(
        "[[table.row]]", f"accuracy = {{dataset = 'digits'}}\n{row}[[table.row]]", 1
    )
    path.write_text(
        text.replace('module = ["gate"]\nchannels = 16\nsize = 8', "").rsplit("[[table.row]]", 1)[0]
    )
    result = project("--collect-only", "-q", "suite.toml")
    assert collected(result) == ["suite.toml::cost/mobilenet_v2,width=0.35/plain"]


@pytest.mark.parametrize("budget", ["0", "-1", "soon", "inf"])
def test_a_budget_that_cannot_be(project, budget):
    result = project("suite.toml", f"--attnbench-budget={budget}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--attnbench-budget*seconds*'{budget}'*"])

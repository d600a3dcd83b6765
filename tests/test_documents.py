"""What the documents say of the repository is so: rules and their tests, make's targets, commands, files, links."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import tomli
import yaml

from pycast.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
TESTS = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)}

# A row of the table in docs/behind-a-balancer.md: the rule's id, what it says, the files that show it.
RULE = re.compile(r"^\| (LB-\d\d) \| (.+) \| (.+) \|$", re.MULTILINE)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
IN_A_TEST = re.compile(r"\blb_\d\d|_lb_\d\d|\bLB-\d\d")

RULES = {
    id: (rule, shown) for id, rule, shown in RULE.findall((ROOT / "docs" / "behind-a-balancer.md").read_text("utf-8"))
}


def rules_in(text: str) -> set[str]:
    return {f"LB-{found[-2:]}" for found in IN_A_TEST.findall(text)}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_rule_that_a_test_names_is_in_the_table_and_has_a_test() -> None:
    named = set[str]().union(*map(rules_in, TESTS.values()))
    assert list(RULES) == sorted(named)


@pytest.mark.parametrize("rule", RULES)
def test_the_table_names_the_files_that_show_a_rule(rule: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", RULES[rule][1]))
    assert named == {path.stem for path, text in TESTS.items() if rule in rules_in(text)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_to_files_and_headings_that_are_there(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not heading or heading in headings(there), target


def headings(path: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    lines = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def code_in(path: Path) -> str:
    """The commands and names of a page: all that is set as code, a piece in each line."""
    text = path.read_text("utf-8")
    blocks = BLOCK.findall(text)
    spans = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return "\n".join([*(block for language, block in blocks if language in {"", "sh"}), *spans])


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_make_has_every_target_that_is_named(path: Path) -> None:
    named = re.findall(r"\bmake ([a-z-]+)", code_in(path))
    assert set(named) <= set(TARGETS)


def test_make_says_of_every_target_what_it_does() -> None:
    assert re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE) == TARGETS


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_pycast_has_every_command_that_is_named(path: Path) -> None:
    named = re.findall(r"(?:^|[ /])pycast ([a-z][a-z-]*)", code_in(path), re.MULTILINE)
    assert set(named) <= set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_files_and_folders_of_the_repository_are_there(path: Path) -> None:
    named = re.findall(
        r"(?:^|[ '(])((?:pycast|tests|conf|docs|scripts|benchmarks|attacks)/[\w./-]*\w)", code_in(path), re.MULTILINE
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_contributing_names_tests_that_are_there() -> None:
    names = re.findall(r"\btest_\w+(?!\w*\.py)\b", code_in(ROOT / "CONTRIBUTING.md"))
    assert names
    assert [name for name in names if not any(f"def {name}(" in text for text in TESTS.values())] == []


@pytest.mark.parametrize("command", re.findall(r"^\.venv/bin/(pycast (?:conf|import).*)$", README, re.MULTILINE))
def test_commands_of_the_readme_that_end_by_themselves_work(command: str, tmp_path: Path) -> None:
    (tmp_path / "pycast").write_text(f'#!/bin/sh\nexec {sys.executable} -m pycast "$@"\n')
    (tmp_path / "pycast").chmod(0o755)
    # Debian's own is for Icecast's user only.
    (tmp_path / "icecast.xml").write_text("<icecast><limits><clients>100</clients></limits></icecast>")
    command = command.replace("/etc/icecast2/icecast.xml", "icecast.xml")
    done = subprocess.run(
        ["bash", "-euc", f"./{command}"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "pycast.toml").read_text() if "> pycast.toml" in command else done.stdout
    assert "pycast.toml" in said or "clients = 100" in said


def test_pre_commit_runs_what_make_lint_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    lint = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0].replace("$(PY)", ".venv/bin/python")
    commands = re.findall(r"^\t(.+)$", lint.replace("$(VENV)", ".venv"), re.MULTILINE)
    assert [hook["entry"] for hook in repository["hooks"]] == commands
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_the_workflow_runs_make_test_on_every_supported_python() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]
    classifiers = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert job["strategy"]["matrix"]["python"] == supported
    assert f"for version in {' '.join(supported)}; do" in (ROOT / "scripts" / "test-all").read_text()
    assert "ubuntu" in job["runs-on"]
    assert job["steps"][-1]["run"].endswith(" make test")

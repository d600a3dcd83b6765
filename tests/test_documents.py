"""What the documents say of the repository is so: rules and their tests, make's targets, commands, links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TESTS = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)}

# A row of the table in docs/behind-a-balancer.md: the rule's id, what it says, the files that show it.
RULE = re.compile(r"^\| (LB-\d\d) \| (.+) \| (.+) \|$", re.MULTILINE)
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


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_make_has_every_target_that_is_named(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    named = re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_make_says_of_every_target_what_it_does() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert targets == set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))

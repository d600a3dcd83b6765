"""The structure of the package, kept: no import circles, one name for one thing, a test file for each module."""

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "pycast", ROOT / "tests"
REPOSITORY = [
    path.relative_to(ROOT).as_posix()
    for folder in ("pycast", "tests", "benchmarks", "attacks", "scripts")
    for path in (ROOT / folder).rglob("*.py")
]
NAMED_FILE, NAMED_PATH = re.compile(r"\w+\.py\b"), re.compile(r"[\w/.-]*\w\.py\b")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))

# Thin shells that are named for what they show: `cli/drain.py` is the command, `web/…` the page of a thing.
SHELLS = frozenset({"cli", "web"})

# Modules whose promises are kept by tests of another name, each with the reason.
TESTED_ELSEWHERE: dict[str, str] = {
    "app/cluster_assembly.py": "one half of the wiring plan; test_assembly.py assembles nodes with it and without",
    "config/directory_section.py": "rows; test_schema.py walks every section",
    "config/cluster_sections.py": "rows; test_schema.py walks every section",
    "cluster/registry/registry.py": "a Protocol; each driver's tests run registry_conformance.py, its promises",
    "control/control.py": "a Protocol; both of its faces have a test of their own",
    "formats/marks.py": "values and a Protocol; what each format does with them is in its own test",
    "server/context.py": "a record without methods; what it is made of is in tests/app/test_assembly.py",
    "stream/cohort.py": "records of who is where; what the fan-out does with them is in test_fanout.py",
    "stats/counters.py": "records; what becomes of each field is in test_metric.py and test_merge.py",
    "stats/snapshot.py": "records; what is made of them is in test_metric.py, test_merge.py and the pages' tests",
    "testing/lobby.py": "records and Protocols; who uses them has a test of their own",
    "web/site.py": "a record without methods; what it is made of is in tests/app/test_assembly.py",
}


def of_package(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def circles(graph: grimp.ImportGraph) -> Iterator[list[str]]:
    """Strongly connected parts of more than one module (Tarjan's algorithm, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in sorted(graph.modules):
        if root in index:
            continue
        work = [(root, iter(sorted(graph.find_modules_directly_imported_by(root))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            module, imported = work[-1]
            for other in imported:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(graph.find_modules_directly_imported_by(other)))))
                    break
                if other in on_stack:
                    low[module] = min(low[module], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    part: list[str] = []
                    while not part or part[-1] != module:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    if len(part) > 1:
                        yield sorted(part)


def test_no_modules_import_each_other_in_a_circle_also_not_within_functions_or_for_types() -> None:
    # grimp sees imports inside functions and under TYPE_CHECKING as it sees all others.
    graph = grimp.build_graph("pycast", exclude_type_checking_imports=False, cache_dir=None)
    assert len(graph.modules) > len(MODULES)
    assert list(circles(graph)) == []


def test_a_circle_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "ring_of_three"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from ring_of_three import b\n")
    (package / "b.py").write_text("def late():\n    from ring_of_three import c\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ring_of_three import a\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("ring_of_three", cache_dir=None)
    assert list(circles(graph)) == [["ring_of_three.a", "ring_of_three.b", "ring_of_three.c"]]


def test_a_class_name_stands_for_one_class() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(of_package(path))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_a_file_name_stands_for_one_file_but_for_thin_shells() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in SHELLS:
            found[path.name].append(of_package(path))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_each_module_has_its_test_file() -> None:
    without = [of_package(path) for path in MODULES if not mirrored(path).exists()]
    assert sorted(without) == sorted(TESTED_ELSEWHERE)


def mirrored(path: Path) -> Path:
    return TESTS / path.relative_to(PACKAGE).parent / f"test_{path.name}"


def test_reasons_name_tests_that_are_there() -> None:
    names = {path.name for path in TESTS.rglob("*.py")}
    assert set(NAMED_FILE.findall(" ".join(TESTED_ELSEWHERE.values()))) <= names


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and texts of a module, each with its line."""
    with path.open(encoding="utf-8") as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                yield token.start[0], token.string


def test_each_file_that_a_text_names_is_there() -> None:
    named = [
        (of_package(path), line, name)
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in words_of(path)
        for name in NAMED_PATH.findall(text)
    ]
    assert named and [one for one in named if not is_there(one[2])] == []


def is_there(name: str) -> bool:
    """Whether a Python file of the repository has this path, or one that ends so."""
    return any(f"/{path}".endswith(f"/{name}") for path in REPOSITORY)


def test_reasons_are_for_modules_that_are_there() -> None:
    assert set(TESTED_ELSEWHERE) <= {of_package(path) for path in MODULES}
    assert all(TESTED_ELSEWHERE.values())

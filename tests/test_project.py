"""House rules that no tool checks: sizes of files and functions, head docstrings, clocks, bans, package metadata."""

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points, metadata
from pathlib import Path

import tomli

import pycast
from pycast.demo_stream import demo_mp3

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pycast"
FILE_LINES, FUNCTION_LINES = 400, 60

PRODUCT = sorted(PACKAGE.rglob("*.py"))
PYTHON = sorted(
    path for folder in ("pycast", "tests", "benchmarks", "attacks", "scripts") for path in (ROOT / folder).rglob("*.py")
)
PURE = [path for name in ("config", "http", "formats", "stats") for path in sorted((PACKAGE / name).rglob("*.py"))]

# Same as the import rules of pyproject.toml, and what they cannot see: modules behind other names, and calls.
IMPURE = frozenset(
    (
        *("asyncio", "gevent", "logging", "os", "random", "secrets", "select", "selectors", "shutil"),
        *("signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid"),
    )
)
# The loader reads the config file, and has its name and the environment as arguments.
MAY_READ_FILES = frozenset({"config/load.py", "config/secret_files.py"})
CLOCKS = frozenset({"now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"})
FILES = frozenset({"open", "read_text", "read_bytes", "write_text", "write_bytes"})
SPAWNING = frozenset({"Greenlet", "spawn", "spawn_later", "spawn_raw"})
# Written so that this file does not have them.
NOTES_TO_SELF = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """The first part of each module imported anywhere in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def called(tree: ast.AST) -> Iterator[str]:
    """The last part of the name of each function called in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


def test_each_file_says_at_its_head_what_it_is() -> None:
    assert [name_of(path) for path in PYTHON if not head_of(path)] == []


def head_of(path: Path) -> str:
    """The file's docstring, read no further: to parse a thousand files takes a busy machine most of a test's time."""
    passed = (tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE)
    with path.open("rb") as file:
        first = next(token for token in tokenize.tokenize(file.readline) if token.type not in passed)
    found = ast.literal_eval(first.string) if first.type == tokenize.STRING else ""
    return found if isinstance(found, str) else ""


def test_files_and_functions_stay_short() -> None:
    assert [name_of(path) for path in PRODUCT if len(text_of(path).splitlines()) > FILE_LINES] == []
    assert [f"{name_of(path)}: {name}" for path in PRODUCT for name in long_functions(tree_of(path))] == []


def long_functions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES:
            yield node.name


def test_pure_packages_have_no_clock_no_chance_and_no_files() -> None:
    assert {name_of(path): found for path in PURE if (found := impure(path))} == {}


def impure(path: Path) -> frozenset[str]:
    """What the file imports and calls that a pure one does not."""
    tree = tree_of(path)
    banned = CLOCKS if path.relative_to(PACKAGE).as_posix() in MAY_READ_FILES else CLOCKS | FILES
    return IMPURE & set(imported(tree)) | banned & set(called(tree))


def test_nobody_leaves_notes_to_self() -> None:
    assert [name_of(path) for path in PYTHON if NOTES_TO_SELF.search(text_of(path))] == []


def test_greenlets_are_spawned_by_their_owner_only() -> None:
    found = [(name_of(path), line) for path in PRODUCT for line in spawns(tree_of(path))]
    assert {name for name, _ in found} == {"pycast/net/group.py"}, found


def spawns(tree: ast.AST) -> Iterator[int]:
    """The lines that make a greenlet."""
    for node in ast.walk(tree):
        names: set[str] = set()
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gevent":
            names = {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module == "gevent":
            names = {alias.name for alias in node.names}
        if isinstance(node, (ast.Attribute, ast.ImportFrom)) and names & SPAWNING:
            yield node.lineno


def test_nothing_reads_ini_files() -> None:
    named = [path for path in PYTHON if "configparser" in text_of(path)]
    assert named, "this file has it"
    assert [name_of(path) for path in named if "configparser" in set(imported(tree_of(path)))] == []


def test_what_breaks_a_rule_would_be_found() -> None:
    tree = ast.parse("import gevent\nfrom gevent import spawn\ngevent.spawn_later(1, open)\ntime.monotonic()\n")
    assert list(spawns(tree)) == [2, 3]
    assert set(called(tree)) & CLOCKS == {"monotonic"} and set(imported(tree)) == {"gevent"}
    long = ast.parse("def f():\n" + "    pass\n" * FUNCTION_LINES)
    assert list(long_functions(long)) == ["f"]
    assert NOTES_TO_SELF.search("# TO" + "DO: later")
    assert head_of(Path(__file__)) == __doc__


def test_the_process_patches_itself_before_anything_else() -> None:
    imports = [node for node in tree_of(PACKAGE / "__main__.py").body if isinstance(node, (ast.Import, ast.ImportFrom))]
    # But for the collector, which is built in and has nothing to patch: it is to leave alone what is imported.
    assert isinstance(imports[0], ast.Import) and [alias.name for alias in imports[0].names] == ["gc"]
    assert isinstance(imports[1], ast.ImportFrom) and imports[1].module == "gevent"


def test_installing_pycast_gives_the_command_and_the_pytest_plugin() -> None:
    (command,) = entry_points(group="console_scripts", name="pycast")
    (plugin,) = entry_points(group="pytest11", name="pycast")
    # Not loaded: that would patch pytest's own process.
    assert command.value == "pycast.__main__:main"
    assert any(imported_as(node, "main") for node in tree_of(PACKAGE / "__main__.py").body)
    assert plugin.value == "pycast.testing.plugin"


def imported_as(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names)


def test_the_metadata_tells_version_and_licence() -> None:
    about = metadata("pycast-server")
    assert about["Version"] == pycast.__version__
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"


def test_every_dependency_has_one_exact_version() -> None:
    settings = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, builders = settings["project"], settings["build-system"]["requires"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], *builders]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    pinned = {same_name(pin.split("==")[0]) for pin in pins}
    assert {same_name(re.split(r"[ <>=\[]", one)[0]) for one in wanted} <= pinned


def same_name(package: str) -> str:
    """Package names are equal whatever their case and separators."""
    return re.sub(r"[-_.]+", "-", package).lower()


def test_the_demo_is_whole_mpeg_frames_and_nothing_else() -> None:
    data, position, frames = demo_mp3(), 0, 0
    while position < len(data):
        assert data[position : position + 2] == b"\xff\xfb" and data[position + 2] & 0xFC == 0x90
        # Each frame starts its audio in itself (main_data_begin, the first nine bits after the head, is 0).
        assert data[position + 4] == 0 and data[position + 5] & 0x80 == 0
        position += 417 + (data[position + 2] >> 1 & 1)
        frames += 1
    assert position == len(data)
    assert frames * 1152 / 44_100 > 20

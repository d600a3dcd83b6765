"""The wheel: what is in it, and that it works in an environment with nothing else, far from the checkout."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Callable
from email.message import Message
from importlib.metadata import files, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import pycast
from pycast.testing import Server

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "https://github.com/pycast-server/pycast"
SAID = [
    path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "conf").rglob("*"),
    )
    if path.is_file()
]

Run = Callable[..., str]


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The builder is that of constraints.txt, which an isolated build would not read.
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ".")
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, about: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it needs: nothing of the tests, not even pip.

    What it needs comes from this environment, not from the package index: the suite works without a network. pip itself
    then finds nothing missing, or fails.
    """
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/*/site-packages")
    for needed in all_needed(about.get_all("Requires-Dist", [])):
        copy_distribution(needed, packages)
    pip("--python", folder / "bin" / "python", "install", "-q", "--no-index", "--no-compile", wheel)
    return folder / "bin"


def all_needed(requirements: list[str]) -> set[str]:
    """The names of the distributions that the requirements need here, and those that these need."""
    names: set[str] = set()
    waiting = list(requirements)
    while waiting:
        one = Requirement(waiting.pop())
        if one.name not in names and (one.marker is None or one.marker.evaluate({"extra": ""})):
            names.add(one.name)
            waiting += requires(one.name) or []
    return names


def copy_distribution(name: str, packages: Path) -> None:
    """Copies the installed files of a distribution, all but its programs."""
    for file in files(name) or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), packages / file)


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Runs `pycast …` in an empty folder, and returns what it prints."""

    def one(*arguments: str) -> str:
        done = subprocess.run(
            [str(installed / "pycast"), *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return one


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def about(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_string(archive.read(name).decode())


def test_the_wheel_has_all_that_is_no_python_and_the_examples(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("pycast/")}
    package = {path for path in (ROOT / "pycast").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    data = {path.relative_to(ROOT).as_posix() for path in package}
    assert {"pycast/py.typed", "pycast/demo_stream/tune.mp3"} <= data <= shipped
    examples = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*") if path.is_file()}
    assert {f"pycast/{name}" for name in examples} == {name for name in shipped if name.startswith("pycast/conf/")}


def test_it_runs_from_its_own_files(installed: Path, run: Run) -> None:
    assert run("--version") == f"pycast {pycast.__version__}\n"
    where = subprocess.run(
        [str(installed / "python"), "-c", "import pycast; print(pycast.__file__)"],
        cwd=installed,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)


def test_it_prints_an_example_that_it_finds_right(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pycast.toml").write_text(run("conf", "minimal"))
    assert (tmp_path / "pycast.toml").read_bytes() == (ROOT / "conf" / "minimal.toml").read_bytes()
    assert run("check", "pycast.toml").startswith("ok")


def test_it_serves(installed: Path, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [str(installed / "pycast"), "serve", "--port", "0", "--ready-file", "-"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            # The page needs the templates, the list its own renderer.
            for address in ready["urls"]["status"], ready["urls"]["status_json"]:
                with urllib.request.urlopen(address, timeout=10) as reply:
                    assert reply.status == 200
        finally:
            server.terminate()
        assert server.wait(10) == 0


def test_as_a_zipapp_it_is_the_server_of_a_test_kit(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packages,) = installed.parent.glob("lib/*/site-packages")
    zipapp, unpacked = tmp_path / "pycast.pyz", tmp_path / "unpacked"
    # As `make zipapp` does, but from what is installed already: that needs no network.
    build = ["shiv", "--extend-pythonpath", "-c", "pycast", "-o", str(zipapp), "--site-packages", str(packages)]
    done = subprocess.run([sys.executable, "-m", *build], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setenv("SHIV_ROOT", str(unpacked))
    said = subprocess.run([sys.executable, "-S", zipapp, "--version"], capture_output=True, text=True, timeout=80)
    assert said.stdout == f"pycast {pycast.__version__}\n", said.stderr  # it is unpacked now
    monkeypatch.setenv("PYCAST_TEST_PROGRAM", f"{sys.executable} -S {zipapp}")
    with Server(workers=2) as server:
        assert server.get("/livez")[0] == 200
        assert f"{unpacked}/" in Path(f"/proc/{server.pid}/maps").read_text()


def test_its_name_is_pycast_server(wheel: Path, about: Message) -> None:
    assert about["Name"] == "pycast-server"
    assert wheel.name == f"pycast_server-{pycast.__version__}-py3-none-any.whl"


def test_its_readme_links_to_what_is_there(about: Message) -> None:
    text = str(about.get_payload())
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) == len(re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())) >= 10
    assert [target for target in targets if not target.startswith("https://")] == []
    assert any(target.startswith(f"{PROJECT}/raw/main/docs/images/") for target in targets)
    assert [target for target in targets if target.startswith(PROJECT) and not is_there(target)] == []


def test_its_project_addresses_are_there(about: Message) -> None:
    addresses = dict(line.split(", ", 1) for line in about.get_all("Project-URL", []))
    assert addresses.keys() == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert all(is_there(address) for name, address in addresses.items() if name in {"Documentation", "Changelog"})


def is_there(address: str) -> bool:
    """Whether the repository has the page that an address of the project shows."""
    found = re.fullmatch(rf"{re.escape(PROJECT)}/(?:blob|raw|tree)/main/([^#]+)(?:#.*)?", address)
    return found is not None and (ROOT / found[1]).exists()


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_is_told_to_install_the_other_pycast(path: Path, wheel: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"(pip|pipx) install (-\S+ )*pycast\b(?![-_]server)", text)
    for version, tags in re.findall(r"\bpycast_server-([\d.]+)-(\S+?)\.whl", text):
        assert wheel.name.replace(pycast.__version__, version) == f"pycast_server-{version}-{tags}.whl"


def test_requirement_lines_of_the_docs_are_for_this_distribution(about: Message) -> None:
    lines = re.findall(r"^.+ @ .+$", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 2
    assert {Requirement(line).name for line in lines} == {about["Name"]}

"""Included files stand in the place of their <include>, and no file makes that endless."""

from pathlib import Path

import pytest

from pycast.config.icecast_includes import Includes
from pycast.config.load import load
from pycast.config.xml_tree import parse_xml
from pycast.errors import ConfigError
from tests.config.imports import PASSWORDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mounts").mkdir()
    return tmp_path


def write(folder: Path, xml: str) -> Path:
    file = folder / "icecast.xml"
    file.write_text(f"<icecast>\n{xml}\n{PASSWORDS}</icecast>")
    return file


def mount(name: str, more: str = "") -> str:
    return f"<mount>\n<mount-name>{name}</mount-name>{more}</mount>"


def problems(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(file, {})
    return [problem.replace(str(file.parent), "…") for problem in error.value.problems]


def test_files_come_in_the_order_of_their_names_relative_to_the_working_folder(folder: Path) -> None:
    for name in "ba":
        (folder / "mounts" / f"{name}.xml").write_text(mount(f"/{name}", "<max-listeners>5</max-listeners>"))
    config = load(write(folder, mount("/first") + "<include> mounts/*.xml </include>" + mount("/last")), {})
    assert [one.mount_name for one in config.mount] == ["/first", "/a", "/b", "/last"]
    assert config.for_mount("/b").max_listeners == 5 and config.notes == ()


def test_included_file_may_include_others_and_have_several_elements(folder: Path) -> None:
    (folder / "one.xml").write_text(f"<include>{folder}/${{NAME}}.xml</include>")
    (folder / "two.xml").write_text(f"<icecast>{mount('/a')}<hostname>here</hostname></icecast>")
    config = load(write(folder, "<include>one.xml</include>"), {"NAME": "two"})
    assert (config.mount[0].mount_name, config.server.hostname) == ("/a", "here")


def test_reading_again_follows_what_has_changed(folder: Path) -> None:
    file = write(folder, "<include>mounts/*.xml</include>")
    names = []
    for number in range(2):
        (folder / "mounts" / f"{number}.xml").write_text(mount(f"/{number}"))
        names.append([one.mount_name for one in load(file, {}).mount])
    assert names == [["/0"], ["/0", "/1"]]


def test_circle_is_refused_with_its_place(folder: Path) -> None:
    (folder / "one.xml").write_text("<include>two.xml</include>")
    (folder / "link.xml").symlink_to("one.xml")
    (folder / "two.xml").write_text("<icecast>\n<include>link.xml</include></icecast>")
    assert problems(write(folder, "<include>one.xml</include>")) == [
        "…/icecast.xml: line two.xml:2: include: link.xml includes itself"
    ]
    (folder / "one.xml").write_text("<include>icecast.xml</include>")
    assert problems(folder / "icecast.xml") == ["…/icecast.xml: line one.xml:1: include: icecast.xml includes itself"]


def test_number_of_files_is_bounded(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("pycast.config.icecast_includes.MOST_FILES", 50)
    for number in range(1, 9):  # 1 + 2 + 4 + …, each without a circle
        twice = f"<include>{number + 1}.xml</include>" * 2
        (folder / f"{number}.xml").write_text(f"<icecast>{twice}</icecast>")
    (folder / "9.xml").write_text("<hostname>x</hostname>")
    [problem] = problems(write(folder, "<include>1.xml</include>"))
    assert problem.endswith("include: more than 50 files")


def test_errors_have_file_and_line(folder: Path) -> None:
    (folder / "x.xml").write_text("<mount>\n</mont>")
    main = write(folder, "\n<include>x.xml</include>")
    assert problems(main) == ["…/icecast.xml: line 3: include: x.xml: line 2: mismatched tag"]
    (folder / "x.xml").write_bytes(b"<mount>\n\xff</mount>")
    assert problems(main)[0].startswith("…/icecast.xml: line 3: include: x.xml: line 2: expected utf-8")
    (folder / "x.xml").write_text("<security>\n<chroot>1</chroot></security>")
    assert problems(main)[0].startswith("x.xml:2: ")
    sockets = "<listen-socket/>\n<listen-socket><port>65535</port><shoutcast-mount>/s</shoutcast-mount></listen-socket>"
    (folder / "x.xml").write_text(f"<icecast>\n<hostname>h</hostname>{sockets}</icecast>")
    assert problems(main) == [
        "x.xml:3: listen[0].port = 65535: expected a port below 65535, as SHOUTcast takes the next one"
    ]


def test_what_has_no_equivalent_is_noted_with_its_file(folder: Path) -> None:
    (folder / "x.xml").write_text(mount("/a", "\n<so-sndbuf>5</so-sndbuf>"))
    config = load(write(folder, "<include>x.xml</include><include>none*.xml</include>"), {})
    assert [note.replace(str(folder), "…") for note in config.notes] == [
        "…/icecast.xml:2: left out: include = none*.xml: there is no such file",
        "x.xml:3: left out: mount /a so-sndbuf = 5: pycast has no such setting",
    ]


def test_include_that_is_no_name_is_left_where_it_is() -> None:
    root = parse_xml(b"<icecast><include><x/></include></icecast>")
    Includes(lambda name: [], "").expand(root)
    assert [node.name for node in root.children] == ["include"]

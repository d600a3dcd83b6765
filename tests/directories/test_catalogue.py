"""Tests of pycast.directories.catalogue: which mounts a directory is told of, and what."""

import time
from collections.abc import Iterator

import pytest

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.control.own_address import OwnAddress
from pycast.directories.catalogue import Catalogue
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription
from tests.control.stage import StageSource

TOML = """
[server]
public_url = "https://radio.example"
[limits]
clients = 77
[[mount]]
mount_name = "/secret"
public = false
[[mount]]
mount_name = "/own"
public = true
listenurl = "https://cdn.example/own.mp3"
max_listeners = 5
stream_name = "Ours"
cluster_password = "cp"
type = "audio/aacp"
subtype = "LC"
"""


class House:
    """A node's mounts and what directories see of them."""

    def __init__(self) -> None:
        self.settings, self.group = Live(loads(TOML, {}, "test")), Group()
        self.mounts = Mounts(self.settings, Pacer(0.5, lambda: 0.0), self.group, StreamEvents(), time.monotonic)
        self.catalogue = Catalogue(self.settings, self.mounts, OwnAddress(self.settings), lambda mount: 41)

    def begin(self, mount: str, **headers: str) -> StageSource:
        source, fields = StageSource("audio/mpeg"), Headers((f"ice-{key}", value) for key, value in headers.items())
        source.description = SourceDescription(source_info(fields), "text/plain", tuple(fields), "127.0.0.1", 1e6)
        self.mounts.attach_source(mount, source)
        return source


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.mounts.stop()
    made.group.kill()


def test_a_mount_is_public_if_its_settings_or_its_source_say_so(house: House) -> None:
    house.begin("/a", public="1")
    house.begin("/b")
    house.begin("/secret", public="1")
    house.begin("/own")
    assert set(house.catalogue.titles()) == {"/a", "/own"}


def test_a_mount_stays_while_it_waits_for_its_source(house: House) -> None:
    source = house.begin("/a", public="1")
    house.mounts.source("/a")
    assert house.catalogue.titles() == {"/a": ""}
    house.mounts.release("/a", source)
    assert house.catalogue.titles() == {"/a": ""}
    house.begin("/a", public="1")
    assert house.catalogue.titles() == {"/a": ""}
    house.mounts.close("/a")
    assert house.catalogue.titles() == {}
    assert house.catalogue.stream("/a", "") is None


def test_a_mount_whose_source_is_on_another_node_is_for_that_node(house: House) -> None:
    description = SourceDescription(source_info(Headers([("ice-public", "1")])), "text/plain", (), "", 0.0)
    house.mounts.attach_mirror("/a", object(), description, 0)
    assert house.catalogue.titles() == {}
    source = house.begin("/b", public="1")
    assert set(house.catalogue.titles()) == {"/b"}
    # Its source goes, and another node takes over.
    house.mounts.release("/b", source)
    house.mounts.rebind_mirror("/b", object())
    assert house.catalogue.titles() == {}
    house.mounts.detach("/a")
    house.mounts.detach("/b")


def test_a_directory_gets_what_the_source_says_and_the_address_of_listeners(house: House) -> None:
    house.begin("/a", public="1", name="Name", genre="Jazz", bitrate="128", url="http://s.example")
    mount = house.mounts.get("/a")
    assert mount is not None
    mount.set_title("Artist", "Song")
    stream = house.catalogue.stream("/a", "")
    assert stream is not None
    assert (stream.name, stream.genre, stream.bitrate, stream.url) == ("Name", "Jazz", "128", "http://s.example")
    assert (stream.listenurl, stream.title) == ("https://radio.example/a", "Artist - Song")
    assert (stream.listeners, stream.max_listeners) == (41, 77)
    assert house.catalogue.titles() == {"/a": "Artist - Song"}


def test_the_mounts_own_settings_come_first_but_for_an_address_of_the_directory(house: House) -> None:
    house.begin("/own", name="Name")
    stream = house.catalogue.stream("/own", "")
    assert stream is not None
    assert (stream.name, stream.listenurl, stream.max_listeners) == ("Ours", "https://cdn.example/own.mp3", 5)
    assert (stream.type, stream.subtype, stream.cluster_password) == ("audio/aacp", "LC", "cp")
    here = house.catalogue.stream("/own", "https://here.example")
    assert here is not None and here.listenurl == "https://here.example/own"

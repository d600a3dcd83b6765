"""A source feeds what it is now: a mount, a stream that stands by, or nothing."""

import pytest

from pycast.stream.source import SourceDescription, SourceOutput, SourceState
from tests.stream.test_mount import description


class Kept:
    """A sink that keeps what it is fed."""

    def __init__(self) -> None:
        self.got = b""
        self.titles: list[str] = []

    def feed(self, data: bytes) -> None:
        self.got += data

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        self.titles.append(title)
        return True


def test_it_feeds_what_it_is_now_and_nothing_while_it_is_out() -> None:
    output, standby, mount = SourceOutput(), Kept(), Kept()
    states = [output.state]
    for number, switch in enumerate(
        (lambda: output.stand_by(standby), lambda: output.put_on_air(mount), output.take_out), start=1
    ):
        output.feed(b"%d" % (number - 1))
        switch()
        states.append(output.state)
    output.feed(b"3")
    assert states == [SourceState.OUT, SourceState.STANDBY, SourceState.ON_AIR, SourceState.OUT]
    assert (standby.got, mount.got) == (b"1", b"2")


def test_a_title_goes_where_the_audio_goes() -> None:
    output, standby = SourceOutput(), Kept()
    assert not output.set_title("", "before it has a place")
    output.stand_by(standby)
    assert output.set_title("", "standing by")
    assert standby.titles == ["standing by"]


ONE = description(ice_name="One", user_agent="encoder/1")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (ONE._replace(started=9.0, headers=(("host", "another node"),)), True),
        (ONE._replace(ip="192.0.2.7"), False),
        (ONE._replace(content_type="audio/mpeg"), False),
        (description(ice_name="Two", user_agent="encoder/1"), False),
        (description(ice_name="One", user_agent="encoder/2"), False),
    ],
)
def test_an_encoder_is_recognised_by_its_address_and_description(other: SourceDescription, is_same: bool) -> None:
    assert ONE.is_same_encoder(other) is is_same

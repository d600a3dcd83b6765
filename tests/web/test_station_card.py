"""The card of a mount: what it says, and that it is made anew when that changes."""

from dataclasses import replace

import pytest

from pycast.stats.snapshot import MountSnapshot
from pycast.web.cover import covers
from pycast.web.station_card import _artist_and_title, card, facts_of, to_station
from tests.stats.snapshots import MP3

COVER = covers(["/live.mp3"])["/live.mp3"]


@pytest.mark.parametrize(
    ("artist", "title", "shown"),
    [
        ("", "Nils Frahm - Says", ("Nils Frahm", "Says")),
        ("Bill Evans", "Waltz - for Debby", ("Bill Evans", "Waltz - for Debby")),
        ("", "Jay-Z", ("", "Jay-Z")),
        ("", " - Says", ("", "- Says")),
        ("", "", ("", "")),
    ],
)
def test_artist_and_title_are_split(artist: str, title: str, shown: tuple[str, str]) -> None:
    assert _artist_and_title(artist, title.strip()) == shown


@pytest.mark.parametrize(
    ("content_type", "subtype", "bitrate", "badges"),
    [
        ("audio/mpeg", "", "128", ("MP3", "128 kbit/s")),
        ("audio/aacp; x=y", "", "", ("AAC+",)),
        ("application/ogg", "Theora/Vorbis", "Quality 4", ("Ogg Theora + Vorbis", "Quality 4")),
        ("audio/x-unheard", "", "9" * 50, ("UNHEARD", "9" * 40)),
        ("", "", "", ()),
    ],
)
def test_badges_name_format_and_bitrate(content_type: str, subtype: str, bitrate: str, badges: tuple[str, ...]) -> None:
    mount = replace(MP3, content_type=content_type, subtype=subtype, bitrate=bitrate)
    assert to_station(facts_of(mount, 0.0), COVER, "").badges == badges


def test_a_card_is_kept_until_something_on_it_changes() -> None:
    mount = replace(MP3, stream_start=1_000.0)

    def shown(mount: MountSnapshot, now: float = 1_010.0) -> object:
        return card(facts_of(mount, now), COVER, "http://x", False)

    first = shown(mount)
    # What a page does not show changes all the time.
    assert shown(replace(mount, total_bytes_read=99, connected_s=5), 1_011.0) is first
    changed = (replace(mount, listeners=77), replace(mount, title="Next"), replace(mount, genre="x"))
    assert all(shown(one) != first for one in changed)
    assert shown(mount, 1_100.0) != first  # "On air: 1 min"

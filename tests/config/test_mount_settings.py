"""Tests of pycast.config.mount_settings: which section wins for a mount, and what it inherits."""

from typing import Any

import pytest

from pycast.config.load import loads
from pycast.config.mount_settings import is_local, merge_headers, mount_matches
from pycast.config.parse import parse
from pycast.config.schema import Config, MountSection, MountSettings
from pycast.config.units import Size
from pycast.errors import ConfigError


def config(*mounts: dict[str, Any], **sections: Any) -> Config:
    made, problems = parse({"mount": list(mounts), **sections})
    assert problems == []
    return made


def test_mount_without_a_section_gets_the_global_values() -> None:
    settings = config(limits={"burst_size": "4s", "source_grace": "1m"}).for_mount("/live.mp3")
    assert settings.mount_name == "/live.mp3"
    assert (settings.username, settings.password) == ("source", "hackme")
    assert settings.burst_size == Size(seconds=4.0)
    assert settings.source_grace == 60.0
    assert (settings.max_listeners, settings.max_listener_duration, settings.mp3_metadata_interval) == (-1, 0.0, 16000)
    assert settings.public is None
    assert not settings.hidden


def test_own_section_overrides_the_global_values() -> None:
    mount = {"mount_name": "/a", "password": "own", "queue_size": "1m", "source_takeover": False, "public": 0}
    settings = config(mount).for_mount("/a")
    assert (settings.username, settings.password) == ("source", "own")
    assert settings.queue_size == Size(bytes=1 << 20)
    assert settings.source_takeover is False
    assert settings.public is False


def test_exact_name_wins_over_an_earlier_pattern() -> None:
    mounts = config({"mount_name": "/live*", "genre": "pattern"}, {"mount_name": "/live.mp3", "genre": "exact"})
    assert mounts.for_mount("/live.mp3").genre == "exact"
    assert mounts.for_mount("/live.ogg").genre == "pattern"


def test_earlier_pattern_wins_over_a_later_one() -> None:
    mounts = config({"mount_name": "/a*", "genre": "first"}, {"mount_name": "/*", "genre": "second"})
    assert mounts.for_mount("/ab").genre == "first"
    assert mounts.for_mount("/b").genre == "second"


def test_unset_values_come_from_the_default_section() -> None:
    mounts = config({"mount_name": "/a", "genre": "own"}, {"type": "default", "genre": "all", "max_listeners": 3})
    assert (mounts.for_mount("/a").genre, mounts.for_mount("/a").max_listeners) == ("own", 3)
    assert (mounts.for_mount("/b").genre, mounts.for_mount("/b").max_listeners) == ("all", 3)


def test_default_section_with_a_pattern_holds_only_for_its_mounts() -> None:
    mounts = config({"type": "default", "mount_name": "/tv/*", "hidden": True}, {"type": "default", "genre": "rest"})
    assert mounts.for_mount("/tv/one").hidden
    assert mounts.for_mount("/tv/one").genre == ""
    assert mounts.for_mount("/radio").genre == "rest"


def test_headers_are_global_then_default_then_own_and_replace_by_name() -> None:
    mounts = config(
        {"mount_name": "/a", "http_headers": {"x-one": "mount", "X-Three": "3"}},
        {"type": "default", "http_headers": {"X-One": "default", "X-Two": ""}},
        http_headers={"X-One": "global", "X-Two": "2", "X-Zero": "0"},
    )
    assert list(mounts.for_mount("/a").http_headers.items()) == [("X-Zero", "0"), ("x-one", "mount"), ("X-Three", "3")]
    assert dict(mounts.for_mount("/b").http_headers) == {"X-Zero": "0", "X-One": "default"}


def test_headers_by_status_replace_and_are_replaced_whole() -> None:
    by_status = {"404": "x", "5*": "y"}
    mounts = config({"mount_name": "/a", "http_headers": {"X-One": by_status}}, http_headers={"x-one": {"403": "z"}})
    assert mounts.for_mount("/a").http_headers == {"X-One": by_status}
    assert mounts.for_mount("/b").http_headers == {"x-one": {"403": "z"}}


def test_merging_headers_keeps_the_base_untouched() -> None:
    base = {"A": "1"}
    assert merge_headers(base, {"a": "2"}) == {"a": "2"}
    assert base == {"A": "1"}


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("/live*", "/live.mp3", True),
        ("/*", "/a/b", False),
        ("/*/b", "/a/b", True),
        ("/?", "/a", True),
        ("/[ab]", "/b", True),
        ("/[ab]", "/c", False),
        ("/Live", "/live", False),
    ],
)
def test_patterns_stop_at_a_slash(pattern: str, name: str, fits: bool) -> None:
    assert mount_matches(pattern, name) is fits


def test_asking_again_gives_the_same_object_and_asking_for_many_keeps_the_cache_small() -> None:
    mounts = config()
    assert mounts.for_mount("/a") is mounts.for_mount("/a")
    for number in range(10000):
        mounts.for_mount(f"/{number}")
    assert len(mounts._mount_table._cache) <= 4096


def test_asking_for_a_mount_does_not_change_the_configuration() -> None:
    asked, fresh = config(), config()
    asked.for_mount("/a")
    assert asked == fresh


def test_every_key_of_a_section_is_a_setting() -> None:
    assert MountSettings.KEYS.keys() == MountSection.KEYS.keys()


@pytest.mark.parametrize(
    ("written", "who"),
    [("true", "own"), ("false", "none"), ('"own"', "own"), ('"all"', "all"), ('"none"', "none"), ("1", "own")],
)
def test_who_is_moved_back_is_a_word_or_a_flag(written: str, who: str) -> None:
    toml = f'[[mount]]\nmount_name = "/a"\nfallback_override = {written}\n'
    assert loads(toml, {}, "f").for_mount("/a").fallback_override == who
    assert loads("", {}, "f").for_mount("/a").fallback_override == "none"


def test_another_word_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match='expected "none", "all" or "own"; did you mean "own"'):
        loads('[[mount]]\nmount_name = "/a"\nfallback_override = "owm"\n', {}, "f")


def test_no_section_is_for_what_a_node_plays_by_itself() -> None:
    toml = '[[mount]]\ntype = "default"\nmax_listeners = 1\nfallback_mount = "/f"\n[[mount]]\nmount_name = "/*"\n'
    settings = loads(toml, {}, "f").for_mount("file:/a.mp3")
    assert (settings.max_listeners, settings.fallback_mount, settings.hidden) == (-1, "", True)
    assert settings.burst_size == Size(seconds=4), "silence of few bytes must not be sent minutes at once"
    assert is_local("file:/a.mp3") and not is_local("/file:x") and not is_local("")


def test_a_section_is_for_a_mount_by_its_name_or_a_pattern() -> None:
    made = config({"mount_name": "/a"}, {"mount_name": "/p/*"}, {"type": "default"})
    assert [made.describes_mount(name) for name in ("/a", "/p/x", "/b")] == [True, True, False]


def test_a_content_type_is_for_its_mount_and_makes_no_section_a_default() -> None:
    config = loads('[[mount]]\nmount_name = "/a"\ntype = "audio/aacp"\n[[mount]]\ntype = "default"\n', {}, "test")
    assert [config.for_mount(name).type for name in ("/a", "/b")] == ["audio/aacp", ""]
    for type in ("normally", "audio", "audio/", "audio/a b"):
        with pytest.raises(ConfigError, match='expected "normal", "default" or a content type'):
            loads(f'[[mount]]\nmount_name = "/a"\ntype = "{type}"\n', {}, "test")

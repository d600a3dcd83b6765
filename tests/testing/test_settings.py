"""Keywords become the config file that was meant."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.config.section import Key
from pycast.testing.settings import arrange, section_of, to_toml

scalars = (
    st.text(st.characters(codec="utf-8")) | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False)
)
tables = st.dictionaries(st.text(st.characters(codec="utf-8")), scalars | st.lists(scalars, max_size=3), max_size=4)


@given(st.dictionaries(st.sampled_from([*Config.KEYS, "other"]), tables | st.lists(tables, min_size=1, max_size=3)))
def test_whatever_is_arranged_is_read_back_the_same(arranged: dict[str, object]) -> None:
    assert tomli.loads(to_toml(arranged)) == arranged


@pytest.mark.parametrize("key", Config.KEYS.values(), ids=Config.KEYS)
def test_every_section_of_the_config_can_be_given_whole(key: Key) -> None:
    given: object = [{"x": 1}] if key.is_array else {"x": 1}
    assert arrange({key.name: given}) == {key.name: given}
    if key.is_array:
        assert arrange({key.name: []}) == {key.name: []}


def test_setting_goes_to_its_section() -> None:
    arranged = arrange({"burst_size": 0, "admin_password": "x", "hostname": "h", "limits": {"clients": 3}})
    assert arranged == {
        "limits": {"clients": 3, "burst_size": 0},
        "authentication": {"admin_password": "x"},
        "server": {"hostname": "h"},
    }


def test_setting_of_mounts_goes_to_the_default_mount() -> None:
    assert arrange({"hidden": True}) == {"mount": [{"type": "default", "hidden": True}]}
    mounts = [{"mount_name": "/a"}, {"type": "default", "charset": "UTF-8"}]
    assert arrange({"mount": mounts, "hidden": True})["mount"][1] == {
        "type": "default",
        "charset": "UTF-8",
        "hidden": True,
    }
    assert mounts[1] == {"type": "default", "charset": "UTF-8"}, "the caller's own was changed"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"colour": "red"}, "'colour'$"),
        ({"max_listenrs": 1}, "; did you mean max_listeners?$"),
        ({"lmits": {"clients": 1}}, "'lmits'; did you mean limits?$"),
        ({"mounts": [{"mount_name": "/a"}]}, "; did you mean mount?$"),
    ],
)
def test_unknown_setting_is_a_type_error_that_says_what_was_meant(given: dict[str, object], meant: str) -> None:
    with pytest.raises(TypeError, match=meant.replace("?", r"\?")):
        arrange(given)


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("tls_ca", r"relay=\[\{'tls_ca': …\}\] or master=\{'tls_ca': …\} or cluster=\{'tls_ca': …\}$"),
        ("password", r"mount=\[\{'password': …\}\] or relay=\[\{'password': …\}\] or master="),
        ("port", r"listen=\[\{'port': …\}\] or relay=\[\{'port': …\}\] or master=\{'port': …\}"),
        (
            "shoutcast_mount",
            r"repeated has a setting 'shoutcast_mount'; say which: listen=\[\{'shoutcast_mount': …\}\]$",
        ),
    ],
)
def test_setting_of_more_than_one_section_is_a_type_error_that_names_them(name: str, ways: str) -> None:
    with pytest.raises(TypeError, match=ways):
        arrange({name: "x"})


def test_every_setting_by_its_name_makes_a_config_that_is_accepted() -> None:
    text = to_toml(
        arrange({"burst_size": "4s", "max_listeners": 3, "location": 'A "place" \\ é', "log_level": "debug"})
    )
    config = loads(text, {}, "test")
    assert (config.server.location, config.for_mount("/x").max_listeners) == ('A "place" \\ é', 3)
    assert section_of("burst_size") == "limits"

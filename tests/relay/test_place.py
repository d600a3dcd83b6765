"""A login goes to the server that it is for, whatever redirects and lists say."""

import pytest

from pycast.config.load import loads
from pycast.relay.place import Place, place_of_url, places_of_list, spec_of
from pycast.relay.stream_list import places_in

HERE = Place("radio.example", 8000, "/a.mp3", username="u", password="p")


def test_an_address_is_a_place() -> None:
    assert place_of_url("https://u%40x:p%2Fw@[2001:db8::1]:8443/a b?c=d") == Place(
        "2001:db8::1", 8443, "/a%20b?c=d", True, "u@x", "p/w"
    )
    assert place_of_url("http://x/100% hits%20.mp3?a=%").path == "/100%25%20hits%20.mp3?a=%25"
    assert place_of_url("http://x").host_field == "x"
    assert place_of_url("http://müsik.example:81/").host_field == "xn--msik-0ra.example:81"
    assert place_of_url("http://[::1]:81/").host_field == "[::1]:81"
    for wrong in ("ftp://x/", "/a", "http:///a", "http://x:99999/"):
        with pytest.raises(ValueError, match=r".+"):
            place_of_url(wrong)


@pytest.mark.parametrize(
    ("location", "url", "has_login"),
    [
        ("/b.mp3", "http://radio.example:8000/b.mp3", True),
        ("http://RADIO.example:8000/b", "http://radio.example:8000/b", True),
        ("http://radio.example:81/b", "http://radio.example:81/b", False),
        ("https://radio.example/b", "https://radio.example/b", False),
        ("https://radio.example:8000/b", "https://radio.example:8000/b", False),
        ("http://other.example/b", "http://other.example/b", False),
        ("//other.example/b", "http://other.example/b", False),
    ],
)
def test_redirect_keeps_the_login_only_on_the_same_server(location: str, url: str, has_login: bool) -> None:
    found = HERE.at(location)
    assert (found.url, bool(found.authorization)) == (url, has_login)
    assert HERE._replace(tls=True).at("http://radio.example:8000/b").authorization == ""  # it would be readable
    listed = places_in(f"{url}\n".encode(), HERE)
    assert [bool(one.authorization) for one in listed.values()] == [has_login]


def test_redirect_to_a_place_that_the_operator_names_has_the_login_that_he_gives_there() -> None:
    other = Place("Radio.Example", 8443, "/x", True, "v", "q")
    found = HERE.at("https://radio.example:8443/b", (HERE, other))
    assert (found.username, found.password, found.path) == ("v", "q", "/b")
    there = HERE.at("http://other.example/b", (HERE, other))
    assert there.authorization == "" and there.at("http://radio.example:8000/c", (HERE, other)).username == "u"


def test_name_of_a_host_may_have_letters_of_any_language() -> None:
    config = loads('[[relay]]\nserver = "Müsik.example"\nusername = "u"\nmount = "/a"\n', {}, "x")
    place = spec_of(config.relay[0]).places[0]
    assert place.host_field == "xn--msik-0ra.example:8000"
    assert place.at("/b").authorization and place.at("http://müsik.example:8000/b").authorization
    assert place_of_url("http://ü" + "x" * 99 + "/").host.startswith("ü")


def test_redirect_with_its_own_login_uses_that() -> None:
    assert HERE.at("http://v:q@radio.example/").username == "v"


def test_a_section_is_a_relay_with_its_upstreams_in_order() -> None:
    config = loads(
        '[[relay]]\nserver = "[::1]"\nmount = "/ü b?x=1"\nusername = "u"\npassword = "p"\n'
        'on_demand = true\nrun_on = 7\nrelay_shoutcast_metadata = false\nupstreams = ["http://x/a", "https://v:q@y/b"]\n',
        {},
        "x",
    )
    spec = spec_of(config.relay[0])
    assert (spec.mount, spec.on_demand, spec.run_on) == ("/ü b", True, 7)
    assert [(one.url, one.username, one.wants_titles) for one in spec.places] == [
        ("http://[::1]:8000/%C3%BC%20b?x=1", "u", False),
        ("http://x/a", "u", False),
        ("https://y/b", "v", False),
    ]


@pytest.mark.parametrize("mount", ["/100% ü.mp3", "/100%25%20%C3%BC.mp3"])
def test_mount_may_be_written_as_a_name_or_as_in_an_address(mount: str) -> None:
    spec = spec_of(loads(f'[[relay]]\nserver = "x"\nmount = "{mount}"\n', {}, "x").relay[0])
    assert (spec.mount, spec.places[0].path) == ("/100% ü.mp3", "/100%25%20%C3%BC.mp3")


def test_address_and_authorities_hold_for_all_upstreams_redirects_and_lists() -> None:
    config = loads(
        '[[relay]]\nserver = "x"\nmount = "/a"\nbind = "[2001:db8::7]"\ntls_ca = "/ca.pem"\nupstreams = ["http://y/b"]\n'
        '[master]\nserver = "m"\npassword = "p"\nbind = "192.0.2.7"\ntls_ca = "/m.pem"\n',
        {},
        "x",
    )
    places = spec_of(config.relay[0]).places
    assert {(one.bind, one.tls_ca) for one in (*places, places[1].at("http://z/"))} == {("2001:db8::7", "/ca.pem")}
    [place, _] = places_of_list(config.master)
    assert (place.bind, place.tls_ca) == ("192.0.2.7", "/m.pem")
    listed = places_in(b"/a\nhttp://other/b\n", place)
    assert {(one.bind, one.tls_ca) for one in listed.values()} == {("192.0.2.7", "/m.pem")} and len(listed) == 2


def test_login_without_a_user_is_none_as_in_icecast() -> None:
    assert Place("x", 80, "/", password="p").authorization == ""
    assert Place("x", 80, "/", username="u", password="p").authorization == "Basic dTpw"


def test_lists_are_asked_for_with_the_login_of_the_master() -> None:
    places = places_of_list(loads('[master]\nserver = "m"\npassword = "p"\n', {}, "x").master)
    assert [place.path for place in places] == ["/admin/streams", "/admin/streamlist.txt"]
    assert {place.authorization for place in places} == {"Basic cmVsYXk6cA=="}

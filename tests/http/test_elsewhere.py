"""A listener who is sent elsewhere finds the same mount there, with his query and login."""

import pytest

from pycast.http.elsewhere import by_pattern, on_other_server


@pytest.mark.parametrize(
    ("host", "path", "query", "login", "address"),
    [
        ("slave.example", "/live.mp3", "", None, "http://slave.example:8000/live.mp3"),
        ("slave.example", "/ü b", "a=1&b=%20", ("u", "p/w"), "http://u:p%2Fw@slave.example:8000/%C3%BC%20b?a=1&b=%20"),
        ("2001:db8::1", "/x", "", None, "http://[2001:db8::1]:8000/x"),
        ("s", "/x", "a\r\nSet-Cookie: b", None, "http://s:8000/x?a%0D%0ASet-Cookie:%20b"),
    ],
)
def test_address_on_another_server(
    host: str, path: str, query: str, login: tuple[str, str] | None, address: str
) -> None:
    assert on_other_server(host, 8000, path, query, login) == address


def test_login_without_a_password_is_not_passed_on() -> None:
    assert on_other_server("s", 1, "/x", "", ("u", "")) == "http://s:1/x"


def test_pattern_has_the_mount_without_its_slash() -> None:
    assert by_pattern("https://cdn.example/${mount}", "/a b", "k=v") == "https://cdn.example/a%20b?k=v"
    assert by_pattern("https://cdn.example/one", "/a", "") == "https://cdn.example/one"
    assert by_pattern("https://cdn.example/?m=${mount}", "/a", "k=v") == "https://cdn.example/?m=a"
    assert by_pattern("https://c/${mount}", "/a\r\nb", "") == "https://c/a%0D%0Ab"

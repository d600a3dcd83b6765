"""A browser's request for a page of another site is told from its own site's, and from any program's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.http.cross_site import is_cross_site
from pycast.http.headers import Headers

HOSTS = ("radio.example:8000", "")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"


def says(hosts: tuple[str, ...] = HOSTS, **fields: str) -> bool:
    return is_cross_site(Headers((name.replace("_", "-"), value) for name, value in fields.items()), hosts)


def test_a_program_is_never_a_foreign_page() -> None:
    assert not says()
    assert not says(user_agent="curl/8.0", referer="http://elsewhere.example/")


@pytest.mark.parametrize(
    ("site", "is_foreign"),
    [("none", False), ("same-origin", False), ("same-site", True), ("cross-site", True), ("new-value", True)],
)
@pytest.mark.parametrize("origin", ["http://radio.example:8000", "http://elsewhere.example", "null"])
def test_what_the_browser_itself_says_counts_whatever_the_other_fields_say(
    site: str, is_foreign: bool, origin: str
) -> None:
    # A proxy may have changed Host, so that the origin of our own page does not look like ours.
    assert says(sec_fetch_site=site, origin=origin) is is_foreign


@pytest.mark.parametrize(
    ("origin", "is_foreign"),
    [
        ("http://radio.example:8000", False),
        ("HTTP://Radio.Example:8000", False),
        ("https://radio.example:8000", False),  # TLS ended by a proxy
        ("http://radio.example:8001", True),
        ("http://radio.example", True),
        ("http://radio.example.evil.example:8000", True),
        ("http://radio.example:8000@evil.example", True),
        ("http://sub.radio.example:8000", True),
        ("null", True),
        ("file://", True),
        ("chrome-extension://radio.example:8000", True),
        ("x", True),
    ],
)
def test_an_origin_is_ours_if_it_is_the_host_that_was_asked_for(origin: str, is_foreign: bool) -> None:
    assert says(origin=origin) is is_foreign
    assert says(user_agent=BROWSER, referer=f"{origin}/page?x=http://radio.example:8000/") is is_foreign


@pytest.mark.parametrize("host", ["radio.example", "radio.example:443", "radio.example:80"])
def test_a_default_port_may_be_written_or_not(host: str) -> None:
    assert not says((host,), origin="https://radio.example")
    assert says((host,), origin="https://radio.example:8443")


def test_the_host_that_a_proxy_names_is_ours_too() -> None:
    assert not says(("127.0.0.1:8000", "radio.example"), origin="https://radio.example")


def test_without_a_host_no_origin_is_ours() -> None:
    assert says(("", ""), origin="http://radio.example")
    assert says(("", ""), origin="http://")


@given(origin=st.text(min_size=1, max_size=40))
@settings(deadline=None)
def test_any_other_origin_is_foreign(origin: str) -> None:
    if not origin.strip().lower().endswith("://radio.example:8000"):
        assert says(origin=origin) or "://radio.example:8000" in origin.lower()

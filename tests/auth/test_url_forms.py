"""Tests of pycast.auth.url_forms: Icecast's forms to the byte, and what answers mean."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.auth.url_forms import (
    About,
    AuthAnswer,
    Judgement,
    form,
    judge,
    listener_add,
    listener_remove,
    mount_changed,
    stream_auth,
)
from pycast.config.mount_authentication import MountAuthentication

ABOUT = About("radio.example.org", 8000, 7, "/live.mp3?a=b", "ann", "p w", "192.0.2.7", "VLC/3")
RULES = MountAuthentication(type="url", listener_add="http://x/")


def test_listener_add_is_icecasts_form_and_then_what_kh_adds() -> None:
    assert listener_add(ABOUT, "https://r/", 12) == (
        b"action=listener_add&server=radio%2eexample%2eorg&port=8000&client=7&mount=%2flive%2emp3%3fa%3db"
        b"&user=ann&pass=p%20w&ip=192%2e0%2e2%2e7&agent=VLC%2f3&referer=https%3a%2f%2fr%2f&listeners=12"
    )
    body = listener_add(ABOUT, "", 0, [("cookie", "a=1")], "ClientHeader-")
    assert body.endswith(b"&referer=&listeners=0&ClientHeader-cookie=a%3d1")


def test_a_player_without_a_name_is_told_as_icecast_tells_it() -> None:
    nameless = ABOUT._replace(agent="")
    assert b"&agent=%2d&" in listener_add(nameless, "", 0)
    assert b"&agent=%2d&" in listener_remove(nameless, 1, 0)


def test_listener_remove_is_icecasts_form_and_then_what_kh_adds() -> None:
    assert listener_remove(ABOUT, 12.9, 160_000) == (
        b"action=listener_remove&server=radio%2eexample%2eorg&port=8000&client=7&mount=%2flive%2emp3%3fa%3db"
        b"&user=ann&pass=p%20w&duration=12&ip=192%2e0%2e2%2e7&agent=VLC%2f3&sent=160000"
    )


def test_stream_auth_and_mounts_are_icecasts_forms() -> None:
    start = b"action=stream_auth&mount=%2fx&ip=192%2e0%2e2%2e7&server=h&port=8000&user=dj&pass=pw"
    assert stream_auth("/x", "192.0.2.7", "h", 8000, ("dj", "pw"), is_admin=False) == start
    assert stream_auth("/x", "192.0.2.7", "h", 8000, ("dj", "pw"), is_admin=True) == start + b"&admin=1"
    for action in ("mount_add", "mount_remove"):
        body = mount_changed(action, "/x", "h", 8000, "192.0.2.7", "butt 1")
        assert body == f"action={action}&mount=%2fx&server=h&port=8000&ip=192%2e0%2e2%2e7&agent=butt%201".encode()


@given(st.text(), st.text())
def test_any_values_are_read_as_they_were_given(one: str, two: str) -> None:
    body = form("x_y", [("a", one), ("b", two)])
    assert body.isascii() and b" " not in body
    if not any("\ud800" <= letter <= "\udfff" for letter in one + two):
        assert parse_qsl(body.decode(), keep_blank_values=True) == [("action", "x_y"), ("a", one), ("b", two)]


def answer(*headers: tuple[str, str], status: int = 200) -> AuthAnswer:
    return AuthAnswer(status, tuple((name.lower(), value) for name, value in headers))


@pytest.mark.parametrize(
    ("configured", "given", "is_let_in"),
    [
        ("icecast-auth-user: 1", ("icecast-auth-user", "1"), True),
        ("icecast-auth-user: 1", ("Icecast-Auth-User", " 1 "), True),
        ("icecast-auth-user: 1", ("icecast-auth-user", "0"), False),
        ("icecast-auth-user: 1", ("icecast-auth-user", "10"), False),
        ("icecast-auth-user: 1", ("icecast-auth-user", ""), False),
        ("icecast-auth-user: 1", ("icecast-auth-user", "withintro"), True),
        ("icecast-auth-user: 1", ("icecast-auth-user", "hijack"), True),
        ("X-OK: Yes", ("x-ok", "hijack"), False),
        ("icecast-auth-user: 1", ("x-icecast-auth-user", "1"), False),
        ("icecast-auth-user: 1", ("x-icecast-auth-result", "ok"), True),
        ("icecast-auth-user: 1", ("x-icecast-auth-result", "failed"), False),
        ("X-OK: Yes", ("x-ok", "yes"), True),
        ("X-OK: Yes", ("icecast-auth-user", "1"), False),
    ],
)
def test_only_the_configured_header_with_its_value_lets_in(
    configured: str, given: tuple[str, str], is_let_in: bool
) -> None:
    rules = MountAuthentication(auth_header=MountAuthentication.KEYS["auth_header"].read(configured))
    for status in (200, 403, 500):
        assert judge(answer(given, status=status), rules).is_let_in is is_let_in


def test_a_source_takes_over_only_if_the_answer_says_so_in_the_configured_header() -> None:
    rules = MountAuthentication()
    assert judge(answer(("icecast-auth-user", "Hijack")), rules).takes_over
    for other in (("icecast-auth-user", "1"), ("icecast-auth-user", "withintro"), ("x-other", "hijack")):
        assert not judge(answer(other, ("x-icecast-auth-result", "ok")), rules).takes_over


@pytest.mark.parametrize("written", ["icecast-auth-user: 1", "icecast-auth-user:1", "Icecast-Auth-User :  1 "])
def test_blanks_in_the_configured_header_do_not_matter(written: str) -> None:
    header = MountAuthentication.KEYS["auth_header"].read(written)
    assert judge(answer(("icecast-auth-user", "1")), MountAuthentication(auth_header=header)).is_let_in


@pytest.mark.parametrize(
    ("header", "limit"),
    [
        (("icecast-auth-timelimit", "60"), 60.0),
        (("Icecast-Auth-TimeLimit", " 5 "), 5.0),
        (("x-icecast-auth-timelimit", "7"), 7.0),
        (("icecast-auth-timelimit", "-1"), 0.0),
        (("icecast-auth-timelimit", "soon"), 0.0),
        (("icecast-auth-timelimit", "9" * 30), 0.0),
    ],
)
def test_time_is_limited_by_a_number_of_seconds(header: tuple[str, str], limit: float) -> None:
    assert judge(answer(("icecast-auth-user", "1"), header), RULES).limit_s == limit


@pytest.mark.parametrize(
    ("headers", "status", "verdict"),
    [
        ([], 200, Judgement(False)),
        ([("icecast-auth-message", "geo-blocked")], 200, Judgement(False, message="geo-blocked")),
        ([("icecast-auth-message", "403 not here")], 200, Judgement(False, message="not here", status=403)),
        ([("icecast-auth-message", "200 fine")], 200, Judgement(False, message="200 fine")),
        ([("x-icecast-auth-message", "no")], 200, Judgement(False, message="no")),
        ([("x-icecast-auth-result", "forbidden")], 200, Judgement(False, status=403)),
        ([("location", "https://shop/")], 302, Judgement(False, status=302, location="https://shop/")),
        ([("location", "https://shop/")], 200, Judgement(False)),
        ([("location", "javascript:x")], 302, Judgement(False)),
        ([("location", "https://a\r\nb: c")], 302, Judgement(False)),
    ],
)
def test_refusals_have_a_status_a_text_and_maybe_another_address(
    headers: list[tuple[str, str]], status: int, verdict: Judgement
) -> None:
    assert judge(answer(*headers, status=status), RULES) == verdict


@pytest.mark.parametrize(
    ("action", "argument", "verdict"),
    [
        ("redirect", "https://shop/", Judgement(False, status=303, location="https://shop/")),
        ("Redirect_See_Other", "https://shop/", Judgement(False, status=303, location="https://shop/")),
        ("redirect_temporary", "https://shop/", Judgement(False, status=307, location="https://shop/")),
        ("redirect_permanent", "https://shop/", Judgement(False, status=308, location="https://shop/")),
        ("redirect", "javascript:x", Judgement(True)),
        ("rewrite", "/other", Judgement(True, mount="/other")),
        ("rewrite", "/admin/stats", Judgement(True)),
        ("rewrite", "", Judgement(True)),
        ("none", "/other", Judgement(True)),
        (
            *("send_error", "DF147168-baaa-4959-82a4-746a1232927d"),
            Judgement(False, message="Maximum listeners reached for this source", status=503),
        ),
        (
            *("send_error", "6f4c95e3-b446-4814-b4b8-0cb585dbe4bd"),
            Judgement(False, message="Safe HTTP method used on unsafe call", status=405),
        ),
        ("send_error", "x", Judgement(False, status=403)),
    ],
)
def test_actions_of_icecast_2_5_alter_what_becomes_of_a_listener(
    action: str, argument: str, verdict: Judgement
) -> None:
    altered = (("x-icecast-auth-alter-action", action), ("x-icecast-auth-alter-argument", argument))
    assert judge(answer(("x-icecast-auth-result", "ok"), *altered), RULES) == verdict
    if verdict.is_let_in:
        assert not judge(answer(*altered), RULES).is_let_in


@pytest.mark.parametrize(
    ("named", "mount"), [("/other", "/other"), (" /a b ", "/a b"), ("other", ""), ("/../x", ""), ("/status.xsl", "")]
)
def test_answer_may_name_another_mount(named: str, mount: str) -> None:
    assert judge(answer(("icecast-auth-user", "1"), ("Mountpoint", named)), RULES).mount == mount
    assert judge(answer(("icecast-auth-user", "0"), ("Mountpoint", named)), RULES).mount == ""


def test_answer_may_name_the_listener() -> None:
    assert judge(answer(("icecast-auth-user", "1"), ("ice-username", "ann")), RULES).user == "ann"

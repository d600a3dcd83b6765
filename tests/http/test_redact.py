"""No secret is left in what is written about a request, and what is no secret stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.redact import shown_target, without_secrets

SECRET = "s3cr3t-W0rd"

TARGETS = [
    f"/admin.cgi?pass={SECRET}&mode=updinfo&song=a",
    f"/admin.cgi?mode=updinfo&pass=/live:{SECRET}",
    f"/admin.cgi?mount=/x;pass={SECRET}",
    f"/admin.cgi?mount=/x?pass={SECRET}",
    f"/x?p%61ss={SECRET}",
    f"/x?PASSWORD={SECRET}",
    f"/x?{SECRET}",
    f"/x?{SECRET}=",
    f"/x?t={SECRET}",
    f"/x?song=a%26pass%3D{SECRET}",
    f"/x?url=http://user:{SECRET}@host/",
    f"/x?mount=http://user:{SECRET}@host/",
    f"/x#pass={SECRET}",
    f"http://user:{SECRET}@host/live.mp3",
    f"http://{SECRET}@host/live.mp3",
    f"HTTP://user:a@{SECRET}@host/live.mp3",
    f"http://user:a/{SECRET}@host/live.mp3",
    f"http://user:{SECRET}/live.mp3",
]

TEXTS = [
    *(f"wrong credentials: GET {target}" for target in TARGETS[:4]),
    f"cannot reach http://user:{SECRET}@10.0.0.9:2379/v3: refused",
    f"Request(query={{'pass': b'{SECRET}'}})",
    f'{{"cluster": {{"secret": "{SECRET}"}}}}',
    f"AuthenticationSection(source_password='{SECRET}')",
    f"admin_password={SECRET}",
    f"POST /listener-auth?api_auth={SECRET} HTTP/1.1",
    f"WorkerSpec(text='[authentication]\\nadmin_password = \"{SECRET}\"')",
    f"Authorization: Basic {SECRET}",
    f"('authorization', 'Basic {SECRET}')",
    f"proxy-authorization=Bearer {SECRET}",
    f"https://cdn.example/x?Signature={SECRET}&Key-Pair-Id=1",
]

HARMLESS = [
    "mount /live.mp3: source from 10.0.0.1 (audio/mpeg, VLC)",
    "cannot reach the node at 10.0.0.2:8000: timed out",
    "http://10.0.0.9:2379: refused",
    "http://10.0.0.9:2379, http://[::1]:2379/v3 and http://radio.example",
    "https://www.youtube.com/@channel",
    "user@example.org asks",
    "password: none",
    "admin_password = (not shown): expected a password in quotes",
    "the node passes on 5 mounts",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_shows_no_secret(target: str) -> None:
    shown = shown_target(target)
    assert SECRET not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_shows_no_secret(text: str) -> None:
    shown = without_secrets(text)
    assert SECRET not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "target",
    ["/", "*", "/live.mp3", "/a@b/c:d", "http://host:8000/x", "/admin/metadata?mount=/x&mode=updinfo&song=a"],
)
def test_an_ordinary_target_is_shown_whole(target: str) -> None:
    assert shown_target(target) == target


def test_the_rest_of_a_target_is_kept() -> None:
    assert shown_target("/admin.cgi?pass=x&mode=updinfo&&song=a") == "/admin.cgi?pass=***&mode=updinfo&&song=a"
    assert shown_target("http://u:p@host:8000/live.mp3") == "***@host:8000/live.mp3"


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    shown_target(text)
    without_secrets(text)


@pytest.mark.parametrize("piece", ["//a:b", "pass", "password=", "authorization", "//", "key", "%3d", '"pass": "'])
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    text = piece * 20_000
    began = time.process_time()
    shown_target(text)
    without_secrets(text)
    assert time.process_time() - began < 2

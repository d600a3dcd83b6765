"""Tests of pycast.directories.yp_forms: the bytes that directories get, and what their headers say."""

import pytest

from pycast.directories.yp_forms import (
    PublicStream,
    YpAnswer,
    add_form,
    is_reachable,
    read_answer,
    remove_form,
    touch_form,
)
from pycast.http.headers import Headers

STREAM = PublicStream(
    name="Radio Ä",
    genre="jazz & more",
    description="",
    url="http://r.example/",
    listenurl="http://r.example:8000/live.mp3",
    type="audio/mpeg",
    subtype="",
    bitrate="128",
    audio_info="bitrate=128;channels=2",
    cluster_password="",
    title="A - B\r\n",
    listeners=3,
    max_listeners=100,
)


def test_the_forms_are_those_of_icecast_to_the_byte() -> None:
    assert add_form(STREAM) == (
        b"action=add&sn=Radio%20%c3%84&genre=jazz%20%26%20more&cpswd=&desc=&url=http%3a%2f%2fr%2eexample%2f"
        b"&listenurl=http%3a%2f%2fr%2eexample%3a8000%2flive%2emp3&type=audio%2fmpeg&stype=&b=128"
        b"&bitrate%3d128%3bchannels%3d2\r\n"
    )
    assert touch_form("1-2", STREAM) == (
        b"action=touch&sid=1%2d2&st=A%20%2d%20B%0d%0a&listeners=3&max_listeners=100&stype=\r\n"
    )
    assert remove_form("1-2") == b"action=remove&sid=1%2d2"


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        (
            {"YPResponse": "1", "YPMessage": "Added", "SID": "abc", "TouchFreq": "200"},
            YpAnswer(True, "Added", "abc", 200.0),
        ),
        ({"ypresponse": "1", "touchfreq": "29"}, YpAnswer(True, "")),
        ({"YPResponse": "1", "TouchFreq": "often"}, YpAnswer(True, "")),
        ({"YPResponse": "0", "YPMessage": "Not enough arguments"}, YpAnswer(False, "Not enough arguments")),
        ({}, YpAnswer(False, "the answer has no header YPResponse: 1")),
    ],
)
def test_an_answer_is_judged_by_its_headers(headers: dict[str, str], answer: YpAnswer) -> None:
    assert read_answer(Headers(headers.items())) == answer


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("http://radio.example.org:8000/x", True),
        ("https://192.0.2.7/x", True),
        ("http://localhost:8000/x", False),
        ("http://127.0.0.9/x", False),
        ("http://[::1]:8000/x", False),
        ("http://my.localhost/x", False),
        ("nonsense", False),
    ],
)
def test_this_very_machine_is_no_address_for_others(url: str, is_so: bool) -> None:
    assert is_reachable(url) is is_so

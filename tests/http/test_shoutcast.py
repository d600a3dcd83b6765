"""The SHOUTcast source handshake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import HandshakeError, PeerError
from pycast.http.shoutcast import REPLY_OK, Event, Http, Password, Poke, ShoutcastReader, SourceHead
from tests.http.cuts import PLACES, QUICK, byte_by_byte, cut


def outcome(pieces: list[bytes], max_bytes: int = 1000) -> tuple[list[Event], str, bytes]:
    """Returns the events, the error, and the bytes that are left."""
    reader = ShoutcastReader("/sc", max_bytes, max_lines=20)
    events: list[Event] = []
    for number, piece in enumerate([*pieces, b""]):
        try:
            events += reader.feed(piece)
        except PeerError as error:
            return events, error.public, b""
        if events and not isinstance(events[-1], Password):
            return events, "", b"" if isinstance(events[-1], Poke) else reader.rest + b"".join(pieces[number + 1 :])
    return events, "", b""


HEADS = b"icy-name:My station\r\nicy-genre:Rock\r\nicy-pub:1\r\nicy-br:128\r\nicy-irc:#x\r\n"


def test_reply_is_exactly_shoutcasts() -> None:
    assert REPLY_OK == b"OK2\r\nicy-caps:11\r\n\r\n" and len(REPLY_OK) == 20


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"])
def test_handshake_gives_password_then_headers_then_audio(end: bytes) -> None:
    data = b"hackme\r\n" + HEADS + b"\r\n\xff\xfb\x90audio"
    data = data.replace(b"\r\n", end)
    events, error, rest = outcome([data])
    assert (error, rest) == ("", b"\xff\xfb\x90audio")
    assert events[0] == Password("hackme", "/sc", "hackme")
    assert isinstance(events[1], SourceHead)
    request = events[1].request
    assert (request.method, request.path) == ("SOURCE", "/sc")
    assert request.headers.get("icy-name") == "My station"
    assert request.headers.get("content-type") == "audio/mpeg"
    assert outcome(byte_by_byte(data)) == (events, "", rest)


def test_password_is_known_before_the_headers() -> None:
    reader = ShoutcastReader("/sc")
    assert reader.feed(b"hack") == []
    assert reader.feed(b"me\r\n") == [Password("hackme", "/sc", "hackme")]
    assert reader.feed(HEADS) == []
    assert len(reader.feed(b"\r\nx")) == 1
    assert reader.rest == b"x"


def test_own_content_type_is_kept() -> None:
    events, _, _ = outcome([b"hackme\r\ncontent-type:audio/aacp\r\n\r\n"])
    assert isinstance(events[1], SourceHead) and events[1].request.headers.get("content-type") == "audio/aacp"


def test_empty_header_block_is_a_source() -> None:
    events, _, rest = outcome([b"hackme\r\n\r\naudio"])
    assert isinstance(events[1], SourceHead) and rest == b"audio"


@pytest.mark.parametrize(
    ("line", "mount", "password"),
    [
        (b"/other.mp3:hackme", "/other.mp3", "hackme"),
        (b"/a b:c:d", "/a b", "c:d"),
        (b"dj:hackme", "/sc", "dj:hackme"),
        (b"/admin/x:hackme", "/sc", "/admin/x:hackme"),
        (b"/nocolon", "/sc", "/nocolon"),
        ("paß".encode(), "/sc", "paß"),
        ("paß".encode("latin-1"), "/sc", "paß"),
    ],
)
def test_password_may_name_the_mount(line: bytes, mount: str, password: str) -> None:
    events, error, _ = outcome([line + b"\r\n\r\n"])
    assert isinstance(events[0], Password) and isinstance(events[1], SourceHead)
    assert (error, events[0].mount, events[0].password) == ("", mount, password)
    assert events[1].request.path == mount


@pytest.mark.parametrize(
    "data",
    [
        b"GET /admin.cgi?mode=updinfo&pass=x&song=y HTTP/1.0\r\nHost: h\r\n\r\n",
        b"SOURCE /live ICE/1.0\r\n\r\n",
        b"get / http/1.1\n\n".replace(b"http", b"HTTP"),
    ],
)
def test_http_on_this_port_is_recognised_and_passed_on(data: bytes) -> None:
    assert outcome([data]) == ([Http()], "", data)
    assert outcome(byte_by_byte(data)) == ([Http()], "", data)


def test_icecast1_source_is_only_a_wrong_password() -> None:
    assert outcome([b"SOURCE hackme /live\n\n"])[0][0] == Password("SOURCE hackme /live", "/sc", "SOURCE hackme /live")


def test_libshouts_poke_is_recognised() -> None:
    assert outcome([b"!POKE\nicy-name:libshout server poke request\n\n"])[0] == [Poke()]


@pytest.mark.parametrize(
    "data", [b"\r\n", b"\n", b"\0", b"\x16\x03\x01", b"x" * 1001, b"hackme\r\n" + b"icy-x:y\r\n" * 40 + b"\r\n"]
)
def test_what_is_no_handshake_is_refused(data: bytes) -> None:
    whole = outcome([data])
    assert whole[1]
    assert outcome(byte_by_byte(data)) == whole


def test_bad_mount_in_a_password_is_refused() -> None:
    assert outcome([b"/a/../b:x\r\n\r\n"])[1] == "bad path"


def test_reader_is_not_fed_after_the_end() -> None:
    reader = ShoutcastReader("/sc")
    reader.feed(b"x\r\n\r\n")
    with pytest.raises(AssertionError):
        reader.feed(b"y")


def test_too_long_a_password_is_a_handshake_error() -> None:
    with pytest.raises(HandshakeError):
        ShoutcastReader("/sc", max_bytes=10).feed(b"x" * 11)


_TOKENS = st.sampled_from(
    [
        b"hackme",
        b"/m",
        b":",
        b"\r\n",
        b"\n",
        b"\r",
        b"icy-name:",
        b"x",
        b" ",
        b"!POKE",
        b"GET / HTTP/1.0",
        b"\0",
        b"\xff",
    ]
)


@QUICK
@given(st.one_of(st.binary(max_size=100), st.lists(_TOKENS, max_size=30).map(b"".join)), PLACES)
def test_any_bytes_cut_anywhere_give_one_result(data: bytes, places: list[int]) -> None:
    whole = outcome([data], max_bytes=60)
    assert outcome(byte_by_byte(data), max_bytes=60) == whole
    assert outcome(cut(data, places), max_bytes=60) == whole


def test_a_client_of_tls_is_named_in_words() -> None:
    with pytest.raises(HandshakeError, match=r"a client of TLS.* turn TLS \(SSL\) off in the encoder"):
        ShoutcastReader("/sc").feed(b"\x16\x03\x01\x02\x00\x01")

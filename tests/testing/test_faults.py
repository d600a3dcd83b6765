"""Each fault, by its bytes on the wire: in front of a server that is known to the byte."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest

from pycast.testing import ServerTimeout
from pycast.testing.faults import (
    BadIcyLength,
    CertificateFlaw,
    Cut,
    CutInFrame,
    Delay,
    Drip,
    Fault,
    FlawedCertificate,
    HangUp,
    Kick,
    MountInUse,
    Redirect,
    Refuse,
    Reset,
    Stall,
    WrongContentType,
)
from pycast.testing.wire_heads import OWN_SOURCE
from tests.e2e.wire import Wire
from tests.testing.upstream import AUDIO, HEAD, METAINT, MOUNT, TAKEN, TITLE, Upstream, with_titles

GET = f"GET {MOUNT} HTTP/1.0\r\n\r\n"
ICY = f"GET {MOUNT} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n"
SOURCE = f"SOURCE {MOUNT} HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n"
FRAME = 100


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def all_of(upstream: Upstream, fault: Fault, request: str) -> bytes:
    """What a client gets until its connection ends."""
    with upstream.fault(fault) as ordered, Wire(upstream.port) as client:
        data = client.send(request).read_all()
        assert ordered.hits == 1 and str(fault) in repr(ordered)
    return data


ANSWERS = [
    (Refuse(), b"HTTP/1.0 403 Forbidden\r\n", b""),
    (Refuse(401, "No", "text", {"WWW-Authenticate": "Basic"}), b"HTTP/1.0 401 No\r\n", b"WWW-Authenticate: Basic"),
    (Refuse(599), b"HTTP/1.0 599 Refused\r\n", b"Content-Length: 0"),
    (MountInUse(), b"HTTP/1.0 403 Forbidden\r\n", b"Mountpoint in use"),
    (Redirect("http://a/b"), b"HTTP/1.0 302 Found\r\n", b"Location: http://a/b\r\n"),
    (Redirect("/c", 307), b"HTTP/1.0 307 Temporary Redirect\r\n", b"Location: /c\r\n"),
    (HangUp(), b"", b""),
]


@pytest.mark.parametrize("request_head", [GET, SOURCE], ids=["player", "encoder"])
@pytest.mark.parametrize(("fault", "begin", "part"), ANSWERS)
def test_answers_that_the_server_does_not_give(
    fault: Fault, begin: bytes, part: bytes, request_head: str, upstream: Upstream
) -> None:
    answer = all_of(upstream, fault, request_head)
    assert answer.startswith(begin) and part in answer
    assert bool(answer) == bool(begin) and upstream.got in ([], [b""]), "the server has seen the request"


def test_wrong_content_type_changes_only_that(upstream: Upstream) -> None:
    with upstream.fault(WrongContentType("video/x-y")), Wire(upstream.port) as client:
        client.send(GET)
        expected = HEAD.replace(b"audio/mpeg", b"video/x-y") + AUDIO
        assert client.read(len(expected)) == expected


def test_a_delayed_request_arrives_whole(upstream: Upstream) -> None:
    with upstream.fault(Delay(60)) as ordered, Wire(upstream.port) as client:
        client.send(SOURCE + "audio")
        ordered.wait_for_hits()
        assert upstream.got in ([], [b""])
        ordered.__exit__(None, None, None)  # the end of the fault is the end of the delay
        upstream.wait_for(SOURCE.encode() + b"audio")
        assert client.read(len(TAKEN)) == TAKEN


def test_drip_passes_everything_in_pieces(upstream: Upstream) -> None:
    with upstream.fault(Drip(size=4000, every_s=0.001)), Wire(upstream.port) as client:
        assert client.send(GET).read(len(HEAD + AUDIO)) == HEAD + AUDIO
    with upstream.fault(Drip(size=1, every_s=60)) as ordered, Wire(upstream.port) as client:
        client.send(GET).read(len(HEAD) + 1)
        with pytest.raises(AssertionError, match="nothing in time"):
            client.read(1, timeout=0.1)
        ordered.__exit__(None, None, None)
        assert client.read(len(AUDIO) - 1) == AUDIO[1:]


@pytest.mark.parametrize("after", [0, 1, 150, 5000])
def test_stall_holds_the_rest_until_the_fault_is_over(after: int, upstream: Upstream) -> None:
    with Wire(upstream.port) as client:
        with upstream.fault(Stall(after)) as ordered:
            assert client.send(GET).read(len(HEAD) + after) == HEAD + AUDIO[:after]
            ordered.wait_for_hits()
            with pytest.raises(AssertionError, match="nothing in time"):
                client.read(1, timeout=0.05)
        assert client.read(len(AUDIO) - after) == AUDIO[after:]


def test_stall_of_an_encoder_takes_no_more_bytes(upstream: Upstream) -> None:
    with Wire(upstream.port) as client:
        with upstream.fault(Stall(after=10)) as ordered:
            assert client.send(SOURCE).read(len(TAKEN)) == TAKEN
            client.send(b"0123456789more")
            upstream.wait_for(b"0123456789")
            ordered.wait_for_hits()
        upstream.wait_for(b"0123456789more")


@pytest.mark.parametrize("after", [0, 1, 5000])
def test_cut_ends_after_so_many_bytes(after: int, upstream: Upstream) -> None:
    assert all_of(upstream, Cut(after), GET) == HEAD + AUDIO[:after]


def test_cut_in_frame_ends_within_one(upstream: Upstream) -> None:
    heard = all_of(upstream, CutInFrame(250), GET)[len(HEAD) :]
    begin = -(-250 // FRAME) * FRAME
    assert AUDIO[begin : begin + 2] == b"\xff\xfb", "the test's own frames"
    assert heard == AUDIO[: begin + 20]


def test_cut_of_an_encoder_is_seen_on_both_sides(upstream: Upstream) -> None:
    with upstream.fault(Cut(after=4)), Wire(upstream.port) as client:
        client.send(SOURCE).read(len(TAKEN))
        client.send("audio that goes on")
        assert client.read_all() == b""
    upstream.wait_for(b"\r\n\r\naudi")


@pytest.mark.parametrize("request_head", [GET, SOURCE], ids=["player", "encoder"])
def test_reset_is_a_reset(request_head: str, upstream: Upstream) -> None:
    with upstream.fault(Reset(after=500)), Wire(upstream.port) as client:
        client.send(request_head + "x" * 1000 * (request_head == SOURCE))
        with pytest.raises(ConnectionResetError):
            while client.sock.recv(1000):
                pass


def test_bytes_are_counted_from_where_the_fault_began(upstream: Upstream) -> None:
    with Wire(upstream.port) as client:
        client.send(SOURCE + "before")
        upstream.wait_for(b"before")
        with upstream.fault(Cut(after=3), on="encoders") as ordered:
            client.send("during")
            ordered.wait_for_hits()
            upstream.wait_for(b"beforedur")


def test_bad_icy_length_is_wrong_in_each_block_and_nothing_else(upstream: Upstream) -> None:
    right = HEAD[:-2] + b"icy-metaint: %d\r\n\r\n" % METAINT + with_titles()
    with Wire(upstream.port) as client:
        assert client.send(ICY).read(len(right)) == right
    with upstream.fault(BadIcyLength(units=3)), Wire(upstream.port) as client:
        wrong = client.send(ICY).read(len(right))
    first = len(right) - len(with_titles()) + METAINT
    places = [first, *range(first + len(TITLE) + METAINT, len(right), METAINT + 1)]
    assert [at for at, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b] == places
    assert {wrong[at] - right[at] for at in places} == {3}


def test_bad_icy_length_leaves_a_stream_without_titles_alone(upstream: Upstream) -> None:
    with upstream.fault(BadIcyLength()) as ordered, Wire(upstream.port) as client:
        assert client.send(GET).read(len(HEAD + AUDIO)) == HEAD + AUDIO
        assert ordered.hits == 0


def test_kick_asks_the_server_to_end_the_source(upstream: Upstream) -> None:
    with upstream.fault(Kick(after=3)) as ordered, Wire(upstream.port) as client:
        client.send(SOURCE + "audio")
        upstream.wait_for(b"audio")
        assert ordered.hits == 1 and upstream.killed == [MOUNT]


def test_a_fault_is_only_for_whom_it_is_meant(upstream: Upstream) -> None:
    with upstream.fault(Refuse(), on="encoders") as ordered:
        with Wire(upstream.port) as player, Wire(upstream.port) as other:
            assert player.send(GET).read(len(HEAD)) == HEAD
            assert other.send("GET /other.mp3 HTTP/1.0\r\n\r\n").read(len(HEAD)) == HEAD
        with Wire(upstream.port) as encoder:
            assert b"403" in encoder.send(SOURCE).read_all()
        assert ordered.hits == 1
    with Wire(upstream.port) as encoder:
        assert encoder.send(SOURCE).read(len(TAKEN)) == TAKEN


def test_both_spares_what_a_player_under_test_listens_to(upstream: Upstream) -> None:
    own = SOURCE.replace("\r\n\r\n", f"\r\nUser-Agent: {OWN_SOURCE}\r\n\r\n")
    with Wire(upstream.port) as encoder, Wire(upstream.port) as station:
        for source in (encoder, station):
            source.send(own if source is station else SOURCE).read(len(TAKEN))
        with upstream.fault(Cut(after=4)) as ordered:
            encoder.send("audio of a stranger")
            assert encoder.read_all() == b"" and ordered.hits == 1
            station.send("audio of its own")
            upstream.wait_for(b"audio of its own")
            assert ordered.hits == 1
        with upstream.fault(Cut(after=4), on="encoders"):
            station.send("once more")
            assert station.read_all() == b""


def test_times_is_how_often_it_happens(upstream: Upstream) -> None:
    with upstream.fault(Refuse(503), times=2) as ordered:
        for status in (b"503", b"503", b"200"):
            with Wire(upstream.port) as player:
                assert status in player.send(GET).read_to(b"\r\n")
        assert ordered.hits == 2
        with pytest.raises(ServerTimeout, match="3 hits"):
            ordered.wait_for_hits(3, timeout=0.02)


def test_two_faults_act_together(upstream: Upstream) -> None:
    with upstream.fault(WrongContentType("text/x")), upstream.fault(Cut(after=10)), Wire(upstream.port) as player:
        assert player.send(GET).read_all() == HEAD.replace(b"audio/mpeg", b"text/x") + AUDIO[:10]


@pytest.mark.parametrize(
    ("flaw", "complaint"), [("expired", "expired"), ("wrong-name", "mismatch"), ("self-signed", "self.signed")]
)
def test_bad_certificate_has_that_flaw_and_no_other(flaw: CertificateFlaw, complaint: str, upstream: Upstream) -> None:
    with upstream.fault(FlawedCertificate(flaw)) as ordered:
        strict = ssl.create_default_context(cafile=None if flaw == "self-signed" else str(ordered.authority))
        with (
            socket.create_connection(("127.0.0.1", upstream.port), 10) as raw,
            pytest.raises(ssl.SSLCertVerificationError, match=complaint),
        ):
            strict.wrap_socket(raw, server_hostname="localhost")
        ordered.wait_for_hits()
        with Wire(upstream.port, tls=True) as careless:  # who does not look gets the stream
            assert careless.send(GET).read(len(HEAD + AUDIO)) == HEAD + AUDIO
        with closing(Wire(upstream.port)) as plain:
            assert plain.send(GET).read(len(HEAD)) == HEAD

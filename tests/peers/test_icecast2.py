"""The same bytes to Icecast 2.4.4 and to pycast: the same status line, headers and body come back.

`WANTED` and `EXTRA` list the differences that are there on purpose, each with its reason. A difference that is not in a
list fails the test, and so does an entry that is no longer a difference. What cannot be the same (times, ports,
counters) is masked.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.icecast import Icecast
from tests.e2e.wire import Reply, Wire, ask, basic, frames, get, listen, source

MOUNT = "/live.mp3"
SOURCE_HEADERS = (
    "ice-name: My station\r\nice-description: Desc\r\nice-genre: Rock\r\nice-url: http://example.org/\r\n"
    "ice-public: 1\r\n"
    "ice-bitrate: 128\r\nice-audio-info: bitrate=128;channels=2;samplerate=44100\r\nUser-Agent: Encoder/1.0\r\n"
)
ADMIN = basic("admin", "adminpass")
SOURCE = basic("source", "sourcepass")
RELAY = basic("relay", "relaypass")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A difference on purpose. `requests` and `aspect` are patterns; see `differences` for the aspects."""

    requests: str
    aspect: str
    reason: str


@dataclass(frozen=True, slots=True)
class Extra:
    """What pycast's body has more than Icecast's, as a regular expression."""

    requests: str
    pattern: bytes
    reason: str


Answers = dict[str, tuple[Reply, Reply]]
"""For each request what Icecast says, and what pycast says."""


def head(line: str, *lines: str) -> str:
    return f"{line}\r\n{''.join(lines)}\r\n"


REQUESTS = {
    # listeners
    "listen": head(f"GET {MOUNT} HTTP/1.0"),
    "listen 1.1": head(f"GET {MOUNT} HTTP/1.1", "Host: localhost\r\n", "User-Agent: Player\r\n"),
    "listen query": head(f"GET {MOUNT}?a=b HTTP/1.0"),
    "listen icy": head(f"GET {MOUNT} HTTP/1.0", "Icy-MetaData: 1\r\n"),
    "listen icy zero": head(f"GET {MOUNT} HTTP/1.0", "Icy-MetaData: 0\r\n"),
    "listen range": head(f"GET {MOUNT} HTTP/1.1", "Range: bytes=0-\r\n"),
    "listen msie": head(f"GET {MOUNT} HTTP/1.0", "User-Agent: Mozilla/4.0 (MSIE 6.0)\r\n"),
    "listen bare lf": f"GET {MOUNT} HTTP/1.0\n\n",
    "listen escaped": head("GET /%6cive.mp3 HTTP/1.0"),
    # public pages
    "not found": head("GET /nothing.mp3 HTTP/1.0"),
    "status json": head("GET /status-json.xsl HTTP/1.0"),
    "status page": head("GET /status.xsl HTTP/1.0"),
    "root": head("GET / HTTP/1.0"),
    "m3u": head(f"GET {MOUNT}.m3u HTTP/1.0", "Host: example.org:8000\r\n"),
    "m3u no host": head(f"GET {MOUNT}.m3u HTTP/1.0"),
    "xspf": head(f"GET {MOUNT}.xspf HTTP/1.0"),
    "xspf unknown": head("GET /nothing.mp3.xspf HTTP/1.0"),
    "vclt": head(f"GET {MOUNT}.vclt HTTP/1.0"),
    # methods
    "head": head(f"HEAD {MOUNT} HTTP/1.0"),
    "post": head(f"POST {MOUNT} HTTP/1.0", "Content-Length: 0\r\n"),
    "options": head("OPTIONS * HTTP/1.1", "Host: localhost\r\n"),
    "unknown method": head(f"BREW {MOUNT} HTTP/1.0"),
    "lower case method": head("get /nothing.mp3 HTTP/1.0"),
    # bad heads
    "bad path double": head("GET /a//b HTTP/1.0"),
    "bad path dots": head("GET /a/../b HTTP/1.0"),
    "bad path escape": head("GET /%zz HTTP/1.0"),
    "bad path slashless": head("GET live.mp3 HTTP/1.0"),
    "bad protocol": head("GET / FTP/1.0"),
    # sources
    "source no login": head("SOURCE /x.mp3 HTTP/1.0", "Content-Type: audio/mpeg\r\n"),
    "source wrong login": head("SOURCE /x.mp3 HTTP/1.0", basic("source", "wrong"), "Content-Type: audio/mpeg\r\n"),
    "source admin login": head("SOURCE /x.mp3 HTTP/1.0", ADMIN, "Content-Type: audio/mpeg\r\n"),
    "source in use": head(f"SOURCE {MOUNT} HTTP/1.0", SOURCE, "Content-Type: audio/mpeg\r\n"),
    "source in use ice": head(f"SOURCE {MOUNT} ICE/1.0", SOURCE, "Content-Type: audio/mpeg\r\n"),
    "source too many": head("SOURCE /more.mp3 HTTP/1.0", SOURCE, "Content-Type: audio/mpeg\r\n"),
    "put no login": head("PUT /x.mp3 HTTP/1.1", "Content-Type: audio/mpeg\r\n"),
    "put in use": head(f"PUT {MOUNT} HTTP/1.1", SOURCE, "Expect: 100-continue\r\n", "Content-Type: audio/mpeg\r\n"),
    # admin
    "admin unknown": head("GET /admin/nonsense HTTP/1.0", ADMIN),
    "admin poke": head("GET /admin/!POKE HTTP/1.1", "Host: localhost\r\n"),
    "admin no login": head("GET /admin/stats HTTP/1.0"),
    "admin wrong login": head("GET /admin/stats HTTP/1.0", basic("admin", "wrong")),
    "admin source login": head("GET /admin/stats HTTP/1.0", SOURCE),
    "admin stats": head("GET /admin/stats HTTP/1.0", ADMIN),
    "admin stats.xml": head("GET /admin/stats.xml HTTP/1.0", ADMIN),
    "admin stats of mount": head(f"GET /admin/stats?mount={MOUNT} HTTP/1.0", ADMIN),
    "admin listmounts": head("GET /admin/listmounts HTTP/1.0", ADMIN),
    "admin streamlist.txt": head("GET /admin/streamlist.txt HTTP/1.0", RELAY),
    "admin listclients": head(f"GET /admin/listclients?mount={MOUNT} HTTP/1.0", ADMIN),
    "admin listclients as source": head(f"GET /admin/listclients?mount={MOUNT} HTTP/1.0", SOURCE),
    "admin listclients no mount": head("GET /admin/listclients HTTP/1.0", ADMIN),
    "admin listclients unknown": head("GET /admin/listclients?mount=/none HTTP/1.0", ADMIN),
    "admin killclient unknown": head(f"GET /admin/killclient?mount={MOUNT}&id=99999 HTTP/1.0", ADMIN),
    "admin killclient no id": head(f"GET /admin/killclient?mount={MOUNT} HTTP/1.0", ADMIN),
    "admin killsource unknown": head("GET /admin/killsource?mount=/none HTTP/1.0", ADMIN),
    "metadata": head(f"GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=A+B HTTP/1.0", SOURCE),
    "metadata no login": head(f"GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=A HTTP/1.0"),
    "metadata wrong mode": head(f"GET /admin/metadata?mode=other&mount={MOUNT}&song=A HTTP/1.0", SOURCE),
    "metadata no mode": head(f"GET /admin/metadata?mount={MOUNT}&song=A HTTP/1.0", SOURCE),
    "metadata unknown mount": head("GET /admin/metadata?mode=updinfo&mount=/none&song=A HTTP/1.0", ADMIN),
    "admin.cgi no pass": head("GET /admin.cgi?mode=updinfo&song=A HTTP/1.0"),
}

WANTED = (
    Wanted("*", "+Content-Length", "libshout and clients that keep connections need it to find the end of a body"),
    Wanted("*", "+X-Content-Type-Options", "a browser must not guess that what a source sends is a page"),
    Wanted("*", "+Content-Security-Policy", "a browser must run nothing in a stream, and show no page in a frame"),
    Wanted("*", "+X-Frame-Options", "no page is shown in a frame of another site, where one clicks without seeing"),
    Wanted("*", "+Referrer-Policy", "other sites do not see which page a link was on"),
    Wanted("admin*", "-Access-Control-Allow-Origin", "pages of other sites may not read what takes a password"),
    Wanted("metadata*", "-Access-Control-Allow-Origin", "as for all of /admin/"),
    Wanted("source*", "-Access-Control-Allow-Origin", "pages of other sites may not try passwords of sources"),
    Wanted("put*", "-Access-Control-Allow-Origin", "as for SOURCE"),
    Wanted("admin poke", "*", "nobody is told without a password which commands there are; libshout takes 401"),
    Wanted("status json", "+ETag", "a player that polls gets 304 if nothing has changed"),
    Wanted("status json", "+Vary", "the answer can be compressed"),
    Wanted("status json", "Cache-Control", "a browser may store it to ask whether it has changed"),
    Wanted("status page", "*", "a page of our own, made for listeners"),
    Wanted("root", "*", "a page of our own, made for listeners"),
    Wanted(
        "xspf unknown", "*", "404 says that there is no such stream; an empty list leaves a player without a reason"
    ),
    Wanted("head", "*", "players and link checkers ask HEAD first; Icecast refuses it"),
    Wanted("options", "answered", "browsers need it before they may ask for titles, libshout probes with it"),
    Wanted("post", "*", "405 says what is wrong, and Allow says what is right"),
    Wanted("unknown method", "answered", "a clear answer instead of silence"),
    Wanted("bad *", "answered", "a clear answer instead of silence"),
)

EXTRA = (
    Extra("status json", rb',"history":\[[^]]*\]', "the last titles, which Icecast does not keep"),
    Extra(
        "status json",
        rb'"audio_(channels|samplerate)":\d+,',
        "read from the frames, under the names that Ogg has",
    ),
    Extra("admin stats*", rb"<(audio_(?:channels|samplerate))>\d+</\1>", "read from the frames, as in status-json"),
    Extra("admin listclients*", rb"<listeners>N</listeners>", "AzuraCast reads the lower-case name, Icecast 2.5's"),
    Extra("admin listclients*", rb"<lag>\d+</lag>", "how far behind a listener is, as icecast-kh tells"),
)

STREAM_BYTES = 34_000
FEED = frames(0, 84)  # a little more than STREAM_BYTES: Icecast sends whole blocks of 1400 bytes


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    """Both servers with /live.mp3 and a source that has sent FEED; the answers of each to each request."""
    settings = {"server_id": "Icecast 2.4.4", "sources": 1, "source_takeover": False}
    with Icecast(sources=1) as icecast, Server(**settings) as pycast, ExitStack() as stack:
        ports = (icecast.port, pycast.port)
        for port in ports:
            set_the_stage(port, stack)
        yield ask_both(ports)


def set_the_stage(port: int, stack: ExitStack) -> None:
    """Connects a source with a title, which sends FEED, and a listener."""
    feed = stack.enter_context(source(port, MOUNT, "sourcepass", headers=SOURCE_HEADERS))
    assert b"successful" in get(port, f"/admin/metadata?mode=updinfo&mount={MOUNT}&song=A+B", SOURCE).body
    feed.send(FEED)
    until(lambda: b"A B" in get(port, "/status-json.xsl").body, "the title")
    stack.enter_context(listen(port, MOUNT, "User-Agent: Somebody\r\n")[0])
    until(lambda: b"Somebody" in get(port, f"/admin/listclients?mount={MOUNT}", ADMIN).body, "the listener")


def ask_both(ports: tuple[int, int]) -> Answers:
    """Sends all requests to a server. Those of listeners come last and at once: Icecast makes each wait a second, and
    counts it for a while after it has left.
    """
    names = [name for name in REQUESTS if not name.startswith("listen")]
    players = [name for name in REQUESTS if name.startswith("listen")]
    found = {name: (answer(ports[0], name), answer(ports[1], name)) for name in names}
    with ThreadPoolExecutor(len(players)) as pool:
        theirs, ours = (list(pool.map(partial(answer, port), players)) for port in ports)
    return found | dict(zip(players, zip(theirs, ours, strict=True), strict=True))


def answer(port: int, name: str) -> Reply:
    request = REQUESTS[name]
    if not name.startswith("listen"):
        return masked(ask(port, request, timeout=5), port)
    with Wire(port) as wire:
        reply = wire.send(request).read_head()
        return masked(Reply(reply.status_line, reply.headers, wire.read(STREAM_BYTES)), port)


MASKS = (
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d (GMT|[+-]\d{4})", "DATE"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", "TIME"),
    (
        r"<((?:\w+_)?(?:connections|clients|listeners|bytes_read|bytes_sent|listener_peak|stats|Connected))>\d+<",
        r"<\1>N<",
    ),
    (r'"(listener_peak|listeners)":\d+', r'"\1":N'),
    (r"<(ID|Listeners)>\d+<", r"<\1>N<"),
    (r"(Current|Peak) Listeners: \d+", r"\1 Listeners: N"),
)


def masked(reply: Reply, port: int) -> Reply:
    """Returns the answer without what differs between any two servers or two moments."""

    def mask(text: str) -> str:
        text = text.replace(f":{port}", ":PORT")
        for pattern, replacement in MASKS:
            text = re.sub(pattern, replacement, text)
        return text

    body = reply.body
    if reply.header("Content-Type") != "audio/mpeg":
        body = mask(body.decode("latin-1")).encode("latin-1")
    length = "that of the body" if reply.header("Content-Length") == str(len(reply.body)) else "wrong"
    headers = tuple((name, length if name == "Content-Length" else mask(value)) for name, value in reply.headers)
    return Reply(reply.status_line, headers, body)


def differences(name: str, theirs: Reply, ours: Reply) -> set[str]:
    """Returns the aspects in which two answers differ: "status", "body", "order" (of the headers that both have), "X"
    for a header's value.

    "+X" is a header that only pycast sends, "-X" one that only Icecast sends; "answered" is all, if Icecast closes
    without a word.
    """
    if not theirs.status_line and ours.status_line:
        return {"answered"}
    found = set()
    if theirs.status_line != ours.status_line:
        found.add("status")
    if theirs.body != without_extras(name, ours.body):
        found.add("body")
    for key in dict.fromkeys(key for key, _ in theirs.headers + ours.headers):
        if values(theirs, key) != values(ours, key):
            sign = "-" if not values(ours, key) else "+" if not values(theirs, key) else ""
            found.add(sign + key)
    common = {key for key, _ in theirs.headers} - {aspect.lstrip("-+") for aspect in found}
    if [key for key, _ in theirs.headers if key in common] != [key for key, _ in ours.headers if key in common]:
        found.add("order")
    return found


def without_extras(name: str, body: bytes) -> bytes:
    for extra in EXTRA:
        if fnmatchcase(name, extra.requests):
            body = re.sub(extra.pattern, b"", body)
    return body


def values(reply: Reply, name: str) -> list[str]:
    return [value for key, value in reply.headers if key == name]


def wanted_for(name: str, aspect: str) -> set[Wanted]:
    return {entry for entry in WANTED if fnmatchcase(name, entry.requests) and fnmatchcase(aspect, entry.aspect)}


@pytest.mark.parametrize("name", REQUESTS)
def test_pycast_answers_as_icecast_does(name: str, answers: Answers) -> None:
    theirs, ours = answers[name]
    unwanted = {aspect for aspect in differences(name, theirs, ours) if not wanted_for(name, aspect)}
    assert not unwanted, f"\nIcecast: {theirs}\npycast:  {ours}"


def test_every_wanted_difference_is_one(answers: Answers) -> None:
    found = {
        entry
        for name, pair in answers.items()
        for aspect in differences(name, *pair)
        for entry in wanted_for(name, aspect)
    }
    assert [entry for entry in WANTED if entry not in found] == []
    bodies = {name: ours.body for name, (_, ours) in answers.items()}
    for extra in EXTRA:
        assert any(
            re.search(extra.pattern, body) for name, body in bodies.items() if fnmatchcase(name, extra.requests)
        ), extra


@pytest.fixture(scope="module")
def empty_servers() -> Iterator[tuple[int, int]]:
    """The ports of both servers, without sources. SHOUTcast sources go to the next port."""
    with Icecast() as icecast, Server(listen=[{"shoutcast_mount": "/stream"}]) as pycast:
        yield icecast.port, pycast.port


@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1", "ICE/1.0"])
def test_source_is_accepted_with_the_same_bytes(method: str, version: str, empty_servers: tuple[int, int]) -> None:
    mount = f"/{method}-{version.replace('/', '-')}.mp3"
    accepted = []
    for port in empty_servers:
        with Wire(port) as wire:
            wire.send(f"{method} {mount} {version}\r\n{SOURCE}Content-Type: audio/mpeg\r\n\r\n")
            accepted.append(wire.read_to(b"200 OK\r\n\r\n"))
    assert accepted[0] == accepted[1]


@pytest.mark.parametrize("password", ["sourcepass", "wrong"])
def test_shoutcast_source_is_answered_with_the_same_bytes(password: str, empty_servers: tuple[int, int]) -> None:
    answers = []
    for port in empty_servers:
        with Wire(port + 1) as wire:
            wire.send(f"{password}\r\n")
            answers.append(wire.read(20) if password == "sourcepass" else wire.read_all())
    assert answers[0] == answers[1]

"""Valid requests with random damage: each is answered or hung up on, and costs nobody else anything."""

import random

from attacks.target import Attack, Target
from attacks.wire import exchange, fresh_address

COUNT = 20_000
SEED = 2026

REQUESTS = (
    b"GET /witness.mp3 HTTP/1.0\r\nIcy-MetaData: 1\r\nUser-Agent: WinampMPEG/5.09\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: radio.example:8000\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET /status-json.xsl?mount=/witness.mp3 HTTP/1.1\r\nHost: [::1]:8000\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /witness.mp3.m3u HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n",
    b"GET /admin/metadata?mount=/witness.mp3&mode=updinfo&song=A%20-%20B HTTP/1.0\r\nAuthorization: Basic OjA=\r\n\r\n",
    b"GET /admin.cgi?pass=x&mode=updinfo&song=a HTTP/1.0\r\n\r\n",
    b"SOURCE /live.mp3 ICE/1.0\r\ncontent-type: audio/mpeg\r\nAuthorization: Basic OjA=\r\n\r\nabc",
    b"PUT /live.ogg HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /admin/drain HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\na=b&c",
    b"OPTIONS /witness.mp3 HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    b"GET /_cluster/v1 HTTP/1.1\r\nHost: a\r\nUpgrade: pycast\r\nConnection: Upgrade\r\n\r\n",
    b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET / HTTP/1.0\r\n\r\n",
    b"password\r\nicy-name:x\r\ncontent-type:audio/mpeg\r\n\r\nabc",
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
)

PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"%",
        b"%00",
        b"%ff",
        b"../",
        b"//",
        b"?",
        b"#",
        b"\xff\xfe",
        b"0",
    ),
    *(
        b"\r\n\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Host: \xc3\xa9\r\n",
        b"A" * 9_000,
    ),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"X: y\r\n" * 200, b"HTTP/9.9", b"-1", b"\xe2\x80\xa8", b"http://[::1"),
)


def damage(chance: random.Random, data: bytes) -> bytes:
    """Returns `data` with one to four random changes."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(5):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            case 2:
                data = data[:at] + data[to:]
            case 3:
                data = data[:to] + data[at:to] + data[to:]
            case _:
                data = data[:at]
    return data


def run(target: Target, scale: float) -> int:
    """Sends them one after another."""
    chance, count = random.Random(SEED), int(COUNT * scale)
    for _ in range(count):
        answer = exchange(target.port, damage(chance, chance.choice(REQUESTS)), source=fresh_address())
        status = answer.split(b" ", 2)[1:2]
        target.refused += not status or status[0][:1] in (b"4", b"5")
        if status and status[0] == b"500":
            raise AssertionError(f"an internal error: {answer[:200]!r}")
    return count


ATTACK = Attack("mutated requests", "valid requests with random damage", run)

"""The encoder of a cluster on this machine: it plays the demo's tune into one of the doors.

It is an ordinary source with an ordinary password. When it is cut off it calls at the next door. Invariant: whatever
it sends begins with a whole frame, and continues where the clock is, not where the last connection ended.
"""

import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import cycle

import gevent
from gevent import socket

from pycast.app.local_node import HOST
from pycast.demo_stream import CONTENT_TYPE, LEAD_S, STEP_S, TITLE, Playback, demo_mp3, offset_at
from pycast.formats.marks import Join
from pycast.formats.mpeg import MpegAudio

# An encoder's usual patience before it calls again is seconds; a demonstration should not keep its audience waiting.
RETRY_S = 0.5

CONNECT_S, SEND_S = 2.0, 10.0


def play(doors: Sequence[int], mount: str, password: str) -> None:
    """Plays the tune into one of the ports `doors` for ever, and into the next one when it is cut off. May switch."""
    tune, began = demo_mp3(), time.monotonic() - LEAD_S
    for port in cycle(doors):
        with suppress(OSError), closing(socket.create_connection((HOST, port), CONNECT_S)) as sock:
            if _is_accepted(sock, mount, password):
                offset = next_frame(tune, offset_at(time.monotonic() - LEAD_S - began))
                _send(sock, Playback(tune, began, offset))
        gevent.sleep(RETRY_S)


def next_frame(tune: bytes, offset: int) -> int:
    """Returns the first offset from there on at which a frame begins: players hear half a frame as a click."""
    rounds, at = divmod(offset, len(tune))
    _, marks = MpegAudio().feed(tune)
    begin = next((mark.offset for mark in marks if isinstance(mark, Join) and mark.offset >= at), len(tune))
    return rounds * len(tune) + begin


def _is_accepted(sock: socket.socket, mount: str, password: str) -> bool:
    login = b64encode(f"source:{password}".encode()).decode()
    sock.sendall(
        f"SOURCE {mount} HTTP/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"ice-name: A cluster on this machine\r\nice-description: {TITLE}\r\n\r\n".encode()
    )
    return b" 200 " in sock.recv(4096)


def _send(sock: socket.socket, playback: Playback) -> None:
    """Returns never. Raises OSError when the connection ends."""
    while True:
        piece = playback.due(time.monotonic())
        sock.settimeout(SEND_S)
        sock.sendall(piece)
        playback.advance(len(piece))
        _raise_if_closed(sock)
        gevent.sleep(STEP_S)


def _raise_if_closed(sock: socket.socket) -> None:
    """Raises OSError if the other side has hung up: a balancer does so when its node is gone."""
    sock.settimeout(0.0)
    with suppress(BlockingIOError):
        if not sock.recv(1024):
            raise ConnectionResetError("hung up")

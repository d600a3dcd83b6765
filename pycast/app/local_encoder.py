"""The encoder of `pycast cluster up`: sends the demo's tune to one of the cluster's ports.

It is an ordinary source with a password. When its connection ends it connects to the next port. The one invariant: what
it sends on a connection begins with a whole frame, at the position of the clock, not where the last one ended.
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

# Encoders usually wait some seconds before they reconnect. In a demonstration that would be too long.
RETRY_S = 0.5

CONNECT_S, SEND_S = 2.0, 10.0


def play(ports: Sequence[int], mount: str, password: str) -> None:
    """Sends the tune to one of `ports` for ever, and to the next one when the connection ends. May switch."""
    tune, began = demo_mp3(), time.monotonic() - LEAD_S
    for port in cycle(ports):
        with suppress(OSError), closing(socket.create_connection((HOST, port), CONNECT_S)) as sock:
            if _is_accepted(sock, mount, password):
                offset = next_frame(tune, offset_at(time.monotonic() - LEAD_S - began))
                _send(sock, Playback(tune, began, offset))
        gevent.sleep(RETRY_S)


def next_frame(tune: bytes, offset: int) -> int:
    """Returns the first offset, from `offset` on, at which a frame begins: half a frame is heard as a click."""
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
    """Sends until the connection ends; raises OSError then. May switch."""
    while True:
        piece = playback.due(time.monotonic())
        sock.settimeout(SEND_S)
        sock.sendall(piece)
        playback.advance(len(piece))
        _raise_if_closed(sock)
        gevent.sleep(STEP_S)


def _raise_if_closed(sock: socket.socket) -> None:
    """Raises OSError if the other end has closed: a balancer does so when its node is gone."""
    sock.settimeout(0.0)
    with suppress(BlockingIOError):
        if not sock.recv(1024):
            raise ConnectionResetError("closed by the other end")

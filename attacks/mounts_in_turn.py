"""Mounts that come and go, each with a full ring: their memory comes back at once."""

from attacks.target import Attack, Target
from attacks.wire import basic, connect, receive
from benchmarks.frames import frame

COUNT = 120
SECONDS = 60.0
FRAMES = int(SECONDS * 44_100 / 1_152)


def run(target: Target, scale: float) -> int:
    """Fills one after another and ends it."""
    login, count = basic(target.server.source_user, target.server.source_password), max(10, int(COUNT * scale))
    audio = b"".join(frame(seq, 0, 0) for seq in range(FRAMES))
    for number in range(count):
        with connect(target.port) as sock:
            sock.sendall(
                f"SOURCE /turn-{number}.mp3 ICE/1.0\r\ncontent-type: audio/mpeg\r\n".encode() + login + b"\r\n"
            )
            sock.recv(200)
            sock.sendall(audio)
            sock.shutdown(1)
            receive(sock, 1000)
    return count


ATTACK = Attack("mounts in turn", "mounts with a minute of audio, one after another", run, 25.0)

"""Streams of every format with random damage, sent by sources that know the password."""

import random
import subprocess
from contextlib import suppress

from attacks.mutated_requests import SEED
from attacks.target import Attack, Target
from attacks.wire import basic, connect, receive

COUNT = 1_000
MOST = 300_000

FORMATS = {
    "audio/mpeg": ("-c:a", "libmp3lame", "-f", "mp3"),
    "audio/aac": ("-c:a", "aac", "-f", "adts"),
    "application/ogg": ("-c:a", "libvorbis", "-f", "ogg"),
    "audio/ogg": ("-c:a", "libopus", "-f", "ogg"),
    "audio/flac": ("-c:a", "flac", "-f", "ogg"),
    "audio/webm": ("-c:a", "libopus", "-f", "webm"),
}


def sample(options: tuple[str, ...]) -> bytes:
    """Returns some seconds of a tone from ffmpeg."""
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=4", "-ac", "2")
    command = ["ffmpeg", "-v", "error", *tone, *options, "pipe:1"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout[:MOST]


def damage(chance: random.Random, data: bytes) -> bytes:
    """Returns `data` with some bytes changed, some left out, some twice, and maybe without its beginning or end."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 5, 50, 500))):
        at = chance.randrange(len(out))
        match chance.randrange(4):
            case 0 | 1:
                out[at] = chance.choice((0, 255, chance.randrange(256)))
            case 2:
                del out[at : at + chance.randrange(1, 200)]
            case _:
                out[at:at] = out[at : at + chance.randrange(1, 200)]
    start = chance.choice((0, 0, chance.randrange(len(out))))
    return bytes(out[start:]) * chance.choice((1, 1, 2))


def run(target: Target, scale: float) -> int:
    """Sends them one after another, each on the same mount, as fast as the server takes them."""
    chance = random.Random(SEED)
    samples = {kind: sample(options) for kind, options in FORMATS.items()}
    count = int(COUNT * scale)
    login = basic(target.server.source_user, target.server.source_password)
    for number in range(count):
        kind = chance.choice(list(samples))
        announced = chance.choice((kind, kind, kind, chance.choice(list(samples)), "application/octet-stream"))
        head = f"SOURCE /attacked-{number % 7} ICE/1.0\r\ncontent-type: {announced}\r\n".encode() + login + b"\r\n"
        with connect(target.port) as sock:
            sock.sendall(head)
            answer = sock.recv(200)
            if b" 200 " not in answer[:20]:
                target.refused += 1
                continue
            with suppress(OSError):
                sock.sendall(damage(chance, samples[kind]))
                sock.shutdown(1)
            receive(sock, 1000)
    return count


ATTACK = Attack("mutated streams", "damaged audio of six formats from sources", run, 80.0, {"limits": {"sources": 50}})

"""Composes and renders the tune that `pycast demo` plays: pycast/demo_stream/tune.mp3.

Run by hand when the tune changes (`python scripts/make_demo_tune.py`, half a minute; needs ffmpeg). The file it makes
is kept in the repository, so nothing else needs this script. Piece, sounds and rendering are this project's own.

The invariant: the file can be repeated for ever without a seam. Its length is a whole number of MPEG frames; all sound
is rendered into a ring of that length, so that echoes and reverb of the end lie under the beginning; it is encoded
three times in a row without a bit reservoir (no frame borrows bytes from one before), and the middle third is kept.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).resolve().parent.parent / "pycast" / "demo_stream" / "tune.mp3"

RATE = 44_100
FRAME_SAMPLES = 1_152  # MPEG-1 layer III
LOOP_FRAMES = 1_024
LOOP = LOOP_FRAMES * FRAME_SAMPLES  # samples: 26.7 s
BARS = 8
BEAT = LOOP // (BARS * 4)  # samples: 72 beats a minute, and each beat is a whole number of frames
PEAK = 0.56  # -5 dBFS: about -15 LUFS, as loud as other streams

TABLE = 4_096

# Bass note and chord of each bar, as MIDI numbers, in E flat major; the eighth leans back to the first.
CHORDS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (39, (55, 58, 62, 65)),  # E♭ maj9
    (36, (55, 58, 62, 63)),  # C m9
    (32, (55, 58, 60, 63)),  # A♭ maj9
    (34, (56, 60, 63, 67)),  # B♭ 13 sus
    (31, (53, 58, 62, 67)),  # G m7
    (36, (58, 62, 63, 67)),  # C m9
    (29, (56, 60, 63, 67)),  # F m9
    (34, (56, 60, 63, 65)),  # B♭ 9 sus
)
# Which tone of the chord (4 = the lowest an octave up) each eighth of a bar plays; None rests.
ARPEGGIO: tuple[tuple[int | None, ...], ...] = (
    (0, 2, 1, 3, 4, 3, 1, 2),
    (0, 2, 3, 4, None, 3, 2, 1),
    (0, 1, 3, 2, 4, 2, 3, None),
    (0, 2, 4, 3, None, 2, 1, 2),
)
ACCENTS = (1.0, 0.55, 0.66, 0.9, 0.58, 0.66, 0.82, 0.6)
SWELL = (0.8, 0.85, 0.9, 0.9, 1.0, 1.0, 0.95, 0.85)
# Bar, beat, MIDI number, loudness.
MELODY: tuple[tuple[int, float, int, float], ...] = (
    (0, 0.5, 79, 0.8), (0, 2.0, 77, 0.7), (0, 3.0, 74, 0.7),
    (1, 0.0, 75, 0.9), (1, 3.0, 70, 0.6),
    (2, 0.5, 72, 0.7), (2, 2.0, 75, 0.8), (2, 3.0, 79, 0.8),
    (3, 0.0, 77, 0.9),
    (4, 0.5, 82, 0.8), (4, 2.0, 79, 0.8), (4, 3.0, 77, 0.7),
    (5, 0.0, 79, 0.9), (5, 2.5, 75, 0.6), (5, 3.25, 74, 0.6),
    (6, 0.0, 72, 0.8), (6, 1.5, 75, 0.7), (6, 3.0, 79, 0.7),
    (7, 0.0, 77, 0.9), (7, 2.5, 74, 0.45),
)  # fmt: skip


class Stereo(NamedTuple):
    """One ring of sound: two channels of LOOP samples, in which time goes round."""

    left: array[float]
    right: array[float]

    @classmethod
    def silence(cls) -> Stereo:
        """Returns an empty ring."""
        return cls(array("d", bytes(8 * LOOP)), array("d", bytes(8 * LOOP)))

    def add(self, start: int, sound: Sequence[float], gain: float, pan: float) -> None:
        """Adds mono `sound` at sample `start`. `pan` is -1 (left) to 1 (right), at equal power."""
        angle = (pan + 1) * math.pi / 4
        gains = (gain * math.cos(angle), gain * math.sin(angle))
        for channel, channel_gain in zip(self, gains, strict=True):
            for index, value in enumerate(sound, start):
                channel[index % LOOP] += value * channel_gain

    def mixed(self, other: Stereo, gain: float) -> Stereo:
        """Returns this plus `gain` times the other."""
        return Stereo(
            *(array("d", [a + gain * b for a, b in zip(x, y, strict=True)]) for x, y in zip(self, other, strict=True))
        )


def frequency(midi: float) -> float:
    """Returns the frequency in hertz of a MIDI note number."""
    return 440.0 * 2 ** ((midi - 69) / 12)


def at(bar: int, beat: float) -> int:
    """Returns the sample at which a beat of a bar begins."""
    return int((bar * 4 + beat) * BEAT)


def wave_table(harmonics: Sequence[float]) -> list[float]:
    """Returns one period of a tone with these harmonics."""
    return [
        sum(level * math.sin(2 * math.pi * number * i / TABLE) for number, level in enumerate(harmonics, 1))
        for i in range(TABLE)
    ]


DARK = wave_table([1.0, 0.28, 0.10, 0.03])
BRIGHT = wave_table([1.0, 0.5, 0.34, 0.2, 0.13, 0.08, 0.05, 0.03])


def pad(hertz: float, length: int, release: int) -> list[float]:
    """Returns a chord tone that breathes: slow attack, brightest in its middle, long release."""
    attack = int(1.1 * RATE)
    step = hertz * TABLE / RATE
    sound = []
    for i in range(length + release):
        rise = math.sin(math.pi / 2 * min(1.0, i / attack)) ** 2
        fall = 1.0 if i < length else math.cos(math.pi / 2 * (i - length) / release) ** 2
        open_ = 0.55 * math.sin(math.pi * i / (length + release)) ** 2
        place = int(i * step) % TABLE
        sound.append(rise * fall * (DARK[place] * (1 - open_) + BRIGHT[place] * open_))
    return sound


def key(hertz: float) -> list[float]:
    """Returns a soft electric piano: a sine, phase-modulated by another that fades sooner."""
    turn = 2 * math.pi * hertz / RATE
    sound = []
    for i in range(int(2.6 * RATE)):
        t = i / RATE
        bend = 1.3 * math.exp(-5.5 * t) * math.sin(turn * i) + 0.3 * math.exp(-22 * t) * math.sin(7 * turn * i)
        sound.append(min(1.0, i / 130) * math.exp(-2.1 * t) * math.sin(turn * i + bend))
    return _faded(sound, 2_000)


def bell(hertz: float) -> list[float]:
    """Returns a glass bell: few partials, not quite harmonic, the high ones gone first; a trace of vibrato."""
    turn = 2 * math.pi * hertz / RATE
    partials = ((1.0, 1.0, 1.5), (2.0, 0.30, 2.6), (3.01, 0.13, 4.5), (5.43, 0.05, 9.0))
    sound = []
    for i in range(int(3.2 * RATE)):
        t = i / RATE
        phase = turn * i + 0.05 * min(1.0, t) * math.sin(2 * math.pi * 4.6 * t)
        tone = sum(level * math.exp(-decay * t) * math.sin(ratio * phase) for ratio, level, decay in partials)
        sound.append(min(1.0, i / 260) * tone)
    return _faded(sound, 4_000)


def bass(hertz: float, length: int) -> list[float]:
    """Returns a round bass; on small loudspeakers its second and third harmonic make the pitch audible."""
    turn = 2 * math.pi * hertz / RATE
    sound = []
    for i in range(length):
        t = i / RATE
        tone = (
            math.sin(turn * i)
            + 0.42 * math.exp(-1.5 * t) * math.sin(2 * turn * i)
            + 0.16 * math.exp(-3 * t) * math.sin(3 * turn * i)
        )
        sound.append(min(1.0, i / 1_500) * math.exp(-0.55 * t) * tone)
    return _faded(sound, 6_000)


def _faded(sound: list[float], samples: int) -> list[float]:
    for i in range(samples):
        sound[-1 - i] *= i / samples
    return sound


def play_pads(ring: Stereo) -> None:
    """Adds the chords, each tone twice, slightly apart in pitch: once left, once right."""
    for bar, (_, chord) in enumerate(CHORDS):
        for voice, midi in enumerate(chord):
            for side, cents in ((-1, -5 - voice), (1, 6 - voice)):
                sound = pad(frequency(midi + cents / 100), 4 * BEAT, int(1.9 * RATE))
                ring.add(at(bar, 0) - RATE // 8, sound, 0.046, side * (0.45 + 0.12 * voice))


def play_keys(ring: Stereo, rng: random.Random) -> None:
    """Adds the arpeggio, in eighths, moving slowly from side to side."""
    for bar, (_, chord) in enumerate(CHORDS):
        tones = (*chord, chord[0] + 12)
        for eighth, tone in enumerate(ARPEGGIO[bar % len(ARPEGGIO)]):
            if tone is None:
                continue
            late = int(abs(rng.gauss(0, 0.005)) * RATE)
            loudness = ACCENTS[eighth] * SWELL[bar] * rng.uniform(0.9, 1.05)
            pan = 0.55 * math.sin(2 * math.pi * (bar * 8 + eighth) / 21)
            ring.add(at(bar, eighth / 2) + late, key(frequency(tones[tone] + 12)), 0.25 * loudness, pan)


def play_bells(ring: Stereo, rng: random.Random) -> None:
    """Adds the melody."""
    for bar, beat, midi, loudness in MELODY:
        late = int(abs(rng.gauss(0, 0.006)) * RATE)
        ring.add(at(bar, beat) + late, bell(frequency(midi)), 0.21 * loudness, rng.uniform(-0.25, 0.25))


def play_bass(ring: Stereo) -> None:
    """Adds the root on the first beat, and once more, softer, before the next bar."""
    for bar, (root, _) in enumerate(CHORDS):
        ring.add(at(bar, 0), bass(frequency(root), int(2.9 * BEAT)), 0.24, 0.0)
        ring.add(at(bar, 3), bass(frequency(root + 12), int(0.95 * BEAT)), 0.11, 0.0)


def echoed(ring: Stereo) -> Stereo:
    """Returns the ring with repeats a dotted eighth apart that change sides and grow darker."""
    result, repeat = ring, ring
    for number in range(1, 5):
        repeat = Stereo(_softened(repeat.right, 0.45), _softened(repeat.left, 0.45))
        shift = 3 * BEAT // 4 * number % LOOP
        turned = Stereo(*(channel[-shift:] + channel[:-shift] for channel in repeat))
        result = result.mixed(turned, 0.42**number)
    return result


def _softened(channel: array[float], keep: float) -> array[float]:
    value = channel[-1]
    out = array("d")
    for sample in channel:
        value += (sample - value) * (1 - keep)
        out.append(value)
    return out


def room(rng: random.Random) -> array[float]:
    """Returns the impulse response of a large soft room, two channels interleaved: noise that fades and darkens."""
    seconds, before_s = 3.2, 0.022
    channels = []
    for _ in range(2):
        low = slow = 0.0
        channel = [0.0] * int(before_s * RATE)
        for i in range(int(seconds * RATE)):
            t = i / RATE
            low += (rng.gauss(0, 1) - low) * (0.10 + 0.45 * math.exp(-2.2 * t))
            slow += (low - slow) * 0.02
            channel.append((low - slow) * math.exp(-6.9 * t / 2.6) * min(1.0, i / 900))
        energy = math.sqrt(sum(x * x for x in channel))
        channels.append([x / energy for x in _faded(channel, 8_000)])
    return array("f", [x for pair in zip(*channels, strict=True) for x in pair])


def interleaved(ring: Stereo, times: int) -> bytes:
    """Returns the ring, `times` in a row, as 32-bit float samples of two channels."""
    once = array("f", bytes(8 * LOOP))
    once[0::2] = array("f", ring.left)
    once[1::2] = array("f", ring.right)
    return once.tobytes() * times


def ffmpeg(sound: bytes, *arguments: str) -> bytes:
    """Returns the output of ffmpeg for float samples."""
    raw = ["-f", "f32le", "-ar", str(RATE), "-ac", "2"]
    command = ["ffmpeg", "-v", "error", *raw, "-i", "pipe:0", *arguments, "pipe:1"]
    return subprocess.run(command, input=sound, stdout=subprocess.PIPE, check=True).stdout


def reverberated(ring: Stereo, response: array[float]) -> Stereo:
    """Returns the sound of the room alone: the last of three rounds, which begins and ends with the same reverb."""
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        file.write(response.tobytes())
        file.flush()
        out = ffmpeg(
            interleaved(ring, 3),
            *("-f", "f32le", "-ar", str(RATE), "-ac", "2", "-i", file.name),
            *("-filter_complex", "[0][1]afir=dry=1:wet=1:gtype=none", "-f", "f32le"),
        )
    samples = array("f", out)[2 * 2 * LOOP : 3 * 2 * LOOP]
    return Stereo(array("d", samples[0::2]), array("d", samples[1::2]))


def levelled(ring: Stereo) -> Stereo:
    """Returns the ring at PEAK. The highest peaks are rounded, so that the rest need not be softer."""

    def loudest(channels: Stereo) -> float:
        return max(max(map(abs, channel)) for channel in channels)

    drive = 0.8 / loudest(ring)
    rounded = Stereo(*(array("d", [math.tanh(drive * x) for x in channel]) for channel in ring))
    gain = PEAK / loudest(rounded)
    return Stereo(*(array("d", [gain * x for x in channel]) for channel in rounded))


def frames(mp3: bytes) -> list[bytes]:
    """Returns the MPEG-1 layer III frames at 128 kbit/s and 44.1 kHz that `mp3` is made of."""
    found, position = [], 0
    while position < len(mp3):
        head = mp3[position : position + 4]
        assert head[:2] == b"\xff\xfb" and head[2] & 0xFC == 0x90, f"not a frame at {position}: {head!r}"
        length = 417 + (head[2] >> 1 & 1)
        found.append(mp3[position : position + length])
        position += length
    return found


def encoded(ring: Stereo) -> bytes:
    """Returns the middle of three encoded rounds, cut at frames, so that it begins and ends without a seam."""
    lame = ("-c:a", "libmp3lame", "-b:a", "128k", "-reservoir", "0", "-compression_level", "0")
    mp3 = ffmpeg(interleaved(ring, 3), *lame, "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3")
    return b"".join(frames(mp3)[LOOP_FRAMES : 2 * LOOP_FRAMES])


def main() -> None:
    """Renders the tune and writes it into the package."""
    rng = random.Random("pycast")
    step: Callable[[str], object] = lambda text: print(text, file=sys.stderr)  # noqa: E731
    pads, keys, bells, low = (Stereo.silence() for _ in range(4))
    step("playing")
    play_pads(pads)
    play_keys(keys, rng)
    play_bells(bells, rng)
    play_bass(low)
    step("echo and room")
    keys = echoed(keys)
    dry = pads.mixed(keys, 1.0).mixed(bells, 1.0)
    sent = pads.mixed(keys, 0.9).mixed(bells, 1.3)
    mix = dry.mixed(low, 1.0).mixed(reverberated(sent, room(rng)), 0.2)
    step("encoding")
    mp3 = encoded(levelled(mix))
    TARGET.write_bytes(mp3)
    step(f"{TARGET}: {len(mp3)} bytes, {LOOP / RATE:.2f} s")


if __name__ == "__main__":
    main()

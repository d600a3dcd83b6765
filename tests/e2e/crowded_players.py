"""Does any player stall when audio comes once a second? mpv, VLC, ffmpeg and Chromium, some seconds each.

    python -m tests.e2e.crowded_players [--seconds 30]

No test: it takes three minutes. A node takes such long intervals when it is crowded (`stream/pacer.py`). Here it has a
handful of listeners and is told that it is crowded. Once it decides by itself, so that a mount with a short burst keeps
the short interval; and once each pass is a second after the one before, whatever the burst. A stream has 128 kbit/s,
so 64 kB are four seconds, and 16 kB are one: with that a player has nothing left when the next second comes.

A player stalls if its own log or events say so, or if it takes longer for the sound than the sound lasts.
"""

import argparse
import base64
import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pycast.testing.ports import Ports
from tests.e2e.browser import Browser
from tests.e2e.programs import ENCODINGS, Program, Target, ffmpeg_source

MOUNT = "/live.mp3"
PASSWORD = "crowded"
BURSTS = ("64k", "16k")
LATE_S = 0.3
"""So much later than half a second before is a stall, of those who do not say it themselves."""
BURST_S = 8.0
"""How long the source is there before the first player."""

# What the node is told: its passes are as long as those of a full one.
_SERVE = """
import sys
from pycast.__main__ import main
from pycast.stream.pacer import Pacer
IS_BY_RULE = {is_by_rule}
Pacer.interval = property(lambda self: self.flush_interval)
Pacer.extra_wait = property(lambda self: self.flush_interval if IS_BY_RULE else 0.0)
main(["serve", "--config", sys.argv[1]], prog_name="pycast")
"""
_CONFIG = """
[[listen]]
bind_address = "127.0.0.1"
port = {port}
[limits]
burst_size = "{burst}"
flush_interval = {interval}
[authentication]
source_password = "{password}"
admin_password = "{password}"
"""
_ROUND = re.compile(rb"^pycast_fanout_round_seconds(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)
_LISTEN = """
window.heard = []
const video = document.querySelector('video')
for (const name of ['waiting', 'error', 'ended'])
    video.addEventListener(name, () => window.heard.push(`${name} at ${video.currentTime.toFixed(1)} s`))
return video.currentTime
"""
_POSITION = "return document.querySelector('video')?.currentTime ?? 0"


class Outcome(NamedTuple):
    """What became of one player."""

    player: str
    stalls: list[str]
    """What it said."""
    late_s: float
    """How much longer than the sound it took, its start included."""


def main() -> int:
    """Runs all, and prints a line for each. Returns 1 if a player has stalled where the node decides by itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    is_good = True
    for is_by_rule in (True, False):
        for burst in BURSTS:
            interval_s, outcomes = _with_node(burst, seconds, is_by_rule=is_by_rule)
            how = "as the node decides" if is_by_rule else "forced"
            print(f"burst {burst}, a pass each {interval_s:.2f} s ({how})", flush=True)
            for one in outcomes:
                stalls = f"{len(one.stalls)} stalls {one.stalls[:3]}" if one.stalls else "no stall"
                print(f"  {one.player:8} {stalls}, {one.late_s:+.2f} s", flush=True)
                is_good &= not is_by_rule or not one.stalls
    return 0 if is_good else 1


def _with_node(burst: str, seconds: float, *, is_by_rule: bool) -> tuple[float, list[Outcome]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        port = stack.enter_context(Ports()).take()
        interval = 0.5 if is_by_rule else 1.0
        file = folder / "pycast.toml"
        file.write_text(_CONFIG.format(port=port, burst=burst, interval=interval, password=PASSWORD))
        script = _SERVE.format(is_by_rule=is_by_rule)
        stack.enter_context(Program([sys.executable, "-c", script, str(file)]))
        _until(lambda: _get(port, "/livez") is not None, "the server")
        target = Target(port, PASSWORD)
        stack.enter_context(ffmpeg_source(target, MOUNT, ENCODINGS[0], seconds=seconds + 120))
        _until(lambda: b"/live.mp3" in (_get(port, "/status-json.xsl") or b""), "the source")
        time.sleep(BURST_S)
        url = target.url(MOUNT)
        with ThreadPoolExecutor(len(PLAYERS)) as pool:
            running = [pool.submit(play, url, seconds) for play in PLAYERS]
            time.sleep(seconds / 2)
            found = _ROUND.search(_get(port, "/metrics") or b"")
            return float(found[1]) if found else 0.0, [one.result() for one in running]


def _mpv(url: str, seconds: float) -> Outcome:
    options = ("--no-config", "--no-video", "--no-input-terminal", "--ao=null", "--msg-level=all=v")
    began = time.monotonic()
    with Program(["mpv", *options, f"--length={seconds:g}", url]) as program:
        program.wait(seconds + 60)
        took, log = time.monotonic() - began, program.output()
    # At its end it says so as well.
    played = log.partition("audio EOF reached")[0]
    stalls = [line for line in re.split(r"[\r\n]+", played) if "Enter buffering" in line or "underrun" in line]
    return Outcome("mpv", stalls, took - seconds)


def _vlc(url: str, seconds: float) -> Outcome:
    options = ("-vv", "--intf=dummy", "--aout=adummy", f"--run-time={seconds:g}", "--no-video")
    began = time.monotonic()
    with Program(["vlc", *options, url, "vlc://quit"], as_nobody=True) as program:
        program.wait(seconds + 60)
        took, log = time.monotonic() - began, program.output()
    stalls = re.findall(r"called too late|playback (?:way )?too late|underrun|buffering too late", log)
    return Outcome("VLC", stalls, took - seconds)


def _ffmpeg(url: str, seconds: float) -> Outcome:
    """Reads in real time, as players do, and says how far it is each half second."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-i", url, "-t", f"{seconds:g}", "-progress", "pipe:1"]
    command += ["-stats_period", "0.5", "-f", "null", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    at = []
    for line in process.stdout:
        name, _, value = line.strip().partition("=")
        if name == "out_time_us" and value.isdigit():
            at.append((time.monotonic(), int(value) / 1e6))
    process.wait(60)
    # The last line comes when all is closed.
    late = [now - heard_s for now, heard_s in at[:-1]]
    steps = zip(pairwise(late), at, strict=False)
    stalls = [
        f"{after - before:.2f} s at {at_s:.1f} s" for (before, after), (_, at_s) in steps if after - before > LATE_S
    ]
    return Outcome("ffmpeg", stalls, late[-1] - late[0])


def _chromium(url: str, seconds: float) -> Outcome:
    with Browser("--autoplay-policy=no-user-gesture-required") as browser:
        browser.open(url.removesuffix(MOUNT) + "/livez")
        browser.run(f"location.href = '{url}'")
        _until(lambda: browser.run(_POSITION) > 0, "Chromium to play")
        began, start = time.monotonic(), browser.run(_LISTEN)
        time.sleep(seconds)
        took, stalls = time.monotonic() - began, browser.run("return window.heard")
        return Outcome("Chromium", stalls, took - (browser.run(_POSITION) - start))


PLAYERS: tuple[Callable[[str, float], Outcome], ...] = (_mpv, _vlc, _ffmpeg, _chromium)


def _get(port: int, path: str) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    with suppress(OSError):
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().read()
    return None


def _until(is_done: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())

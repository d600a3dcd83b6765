"""Titles that an admin sets on Ogg streams reach real players, which play on without an error."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

from pycast.testing import Server
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.programs import (
    ENCODINGS,
    Target,
    curl_listener,
    ffmpeg_source,
    mpv_listener,
    require,
    vlc_listener,
)
from tests.e2e.wire import basic, get
from tests.formats.samples import decode_errors

ENCODERS = {one.name: one for one in ENCODINGS}
CODECS = ("vorbis", "opus", "flac")
POSITION = "return Math.min(...['vorbis', 'opus', 'flac'].map(name => window[name].currentTime))"
FAILED = "return ['vorbis', 'opus', 'flac'].filter(name => window[name].error)"


def set_title(server: Server, codec: str, artist: str, title: str) -> None:
    path = f"/admin/metadata?mode=updinfo&mount=/{codec}&artist={artist}&title={title}"
    reply = get(server.port, path, basic("admin", server.admin_password))
    assert b"Metadata update successful" in reply.body


def titles_of(file: Path) -> list[str]:
    """Returns the title of each link of the chain, as ffprobe reads it."""
    data, titles = file.read_bytes(), []
    links = data.split(b"OggS\0\x02")
    for link in links[1:]:
        command = [require("ffprobe"), "-v", "error", "-show_entries", "stream_tags=title", "-of", "json", "-"]
        found = subprocess.run(command, input=b"OggS\0\x02" + link, capture_output=True, timeout=30, check=False)
        (stream,) = json.loads(found.stdout)["streams"]
        titles.append(stream.get("tags", {}).get("title") or stream.get("tags", {}).get("TITLE", ""))
    return titles


def test_players_go_on_without_an_error_and_have_the_new_title(tmp_path: Path) -> None:
    # Two workers: half of the players hear a mirror.
    with Server(workers=2) as server, ExitStack() as stack:
        target = Target(server.port, server.source_password)
        for codec in CODECS:
            stack.enter_context(ffmpeg_source(target, f"/{codec}", ENCODERS[codec], seconds=300))
        for codec in CODECS:
            server.wait_for_source(f"/{codec}")
        # Each codec is heard by curl and a browser, and one by each of mpv and VLC.
        heard = {codec: tmp_path / f"{codec}.ogg" for codec in CODECS}
        for codec, file in heard.items():
            stack.enter_context(curl_listener(f"{server.url}/{codec}", file))
        mpv = stack.enter_context(mpv_listener(f"{server.url}/vorbis"))
        vlc = stack.enter_context(vlc_listener(f"{server.url}/flac"))
        browser = stack.enter_context(Browser("--autoplay-policy=no-user-gesture-required"))
        browser.open(f"{server.url}/status.xsl")
        for codec in CODECS:
            browser.run(f"window.{codec} = new Audio('/{codec}'); window.{codec}.play()")
        vlc.wait_for_output("Stream buffering done")
        mpv.wait_for_output("at 0.[5-9]|at [1-9]")
        until(lambda: browser.run(POSITION) > 0.5, "the browser to play", 20)
        for title in ("one", "two"):
            for codec in CODECS:
                set_title(server, codec, "Artist", title)
            for file in heard.values():
                until(lambda file=file, title=title: f"TITLE={title}".encode() in file.read_bytes(), "the title")  # type: ignore[misc]
        mpv.wait_for_output("Title: two")
        # VLC begins anew with each part; it says this if that part comes at a time at which it cannot be played.
        vlc.wait_for_output("(?s)(beginning of a group.*){3}")
        assert "Timestamp conversion failed" not in vlc.output()
        # What was in the players' buffers before is over by then.
        at, begun = browser.run(POSITION), mpv.output().count("at ")
        until(lambda: browser.run(POSITION) > at + 1, "the browser to play on", 20)
        assert browser.run(FAILED) == []
        assert mpv.output().count("at ") > begun
    for file in heard.values():
        assert titles_of(file)[-2:] == ["one", "two"]
        assert decode_errors(file.read_bytes()) == ""

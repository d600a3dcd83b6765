"""Real encoders and players, as a user would start them: one small function each.

Each works against any Icecast: it takes host, port and passwords from a `Target`. A missing program fails the test with
the command that installs it; nothing is skipped. Invariant: a Program that was entered is dead, and reaped, when its
`with` block ends.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

PACKAGES = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "icecast2": "icecast2",
    "mpv": "mpv",
    "liquidsoap": "liquidsoap",
    "ezstream": "ezstream",
    "shout": "libshout-tools",
    "gst-launch-1.0": "gstreamer1.0-tools gstreamer1.0-plugins-{base,good,ugly}",
    "curl": "curl",
    "vlc": "vlc-bin vlc-plugin-base",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "prlimit": "util-linux",
    "openssl": "openssl",
    "php": "php-cli",
    "haproxy": "haproxy",
    "nginx": "nginx libnginx-mod-stream",
    "node": "nodejs",
    "etcd": "etcd-server",
    "dnsmasq": "dnsmasq-base",
    "promtool": "prometheus",
    "ip": "iproute2",
}
NOBODY = 65534
STOP_S = 5.0


def require(program: str) -> str:
    """Returns the path of `program`. Fails the test if it is not installed."""
    # Debian keeps servers where a user's PATH does not look.
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        raise AssertionError(f"{program} is not installed: apt-get install {PACKAGES[program]}")
    return path


@dataclass(frozen=True, slots=True)
class Target:
    """A server to stream to or to play from."""

    port: int
    source_password: str
    host: str = "127.0.0.1"

    def source_url(self, mount: str, scheme: str = "http") -> str:
        return f"{scheme}://source:{self.source_password}@{self.host}:{self.port}{mount}"

    def url(self, mount: str) -> str:
        return f"http://{self.host}:{self.port}{mount}"


class Program:
    """A running program and what it has printed. A thread reads its output, so it never blocks on a full pipe."""

    def __init__(self, args: Sequence[str], *, stdin: bytes | None = None, as_nobody: bool = False) -> None:
        """`as_nobody` is for programs that refuse to run as root; it changes the user only for root."""
        self._home = tempfile.mkdtemp(prefix="pycast-program-")
        drop = as_nobody and os.geteuid() == 0
        if drop:
            os.chown(self._home, NOBODY, NOBODY)
        self._output = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self.name = args[0]
        self._process = subprocess.Popen(
            [require(args[0]), *args[1:]],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._home,
            env=os.environ | {"HOME": self._home, "XDG_RUNTIME_DIR": self._home},
            user=NOBODY if drop else None,
            group=NOBODY if drop else None,
            extra_groups=[] if drop else None,
            start_new_session=True,
        )
        self._threads = [threading.Thread(target=self._read_output, daemon=True)]
        if stdin is not None:
            self._threads.append(threading.Thread(target=self._write_input, args=(stdin,), daemon=True))
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"{self.name} printed:\n{self.output()[-4000:]}")
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        """Returns all that it has printed so far, on both streams."""
        with self._changed:
            return self._output.decode("utf-8", "replace")

    def wait_for_output(self, pattern: str, timeout: float = 30.0) -> str:
        """Waits until the output has `pattern` and returns the match. Fails when the program ends first."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self._output.decode("utf-8", "replace")
                if found := re.search(pattern, text):
                    return found[0]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    reason = "ended" if self._ended else f"ran for {timeout:g} s"
                    raise AssertionError(f"{self.name} {reason} without printing {pattern!r}:\n{text[-4000:]}")
                self._changed.wait(left)

    def wait(self, timeout: float = 20.0) -> int:
        """Waits for its end and returns its exit status."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {timeout:g} s:\n{self.output()[-4000:]}") from None

    def leave(self) -> None:
        """Asks it to end. Not by SIGINT: where the tests run in the background, programs inherit that it is ignored."""
        self._process.terminate()

    def stop(self) -> None:
        """Ends it, its children too, and removes its home."""
        self._signal_all(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._signal_all(signal.SIGKILL)
        self._process.wait()
        for thread in self._threads:
            thread.join(STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _signal_all(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while data := os.read(pipe, 65536):
            with self._changed:
                self._output += data
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _write_input(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(data)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How ffmpeg makes one kind of stream."""

    name: str
    content_type: str
    args: tuple[str, ...]


ENCODINGS = (
    Encoding("mp3", "audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3")),
    Encoding("aac", "audio/aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts")),
    Encoding("vorbis", "application/ogg", ("-c:a", "libvorbis", "-q:a", "6", "-page_duration", "200000", "-f", "ogg")),
    Encoding("opus", "audio/ogg", ("-c:a", "libopus", "-b:a", "96k", "-page_duration", "200000", "-f", "ogg")),
    Encoding(
        "flac", "application/ogg", ("-c:a", "flac", "-sample_fmt", "s16", "-page_duration", "200000", "-f", "ogg")
    ),
    Encoding("webm", "audio/webm", ("-c:a", "libopus", "-b:a", "96k", "-cluster_time_limit", "500", "-f", "webm")),
)


def noise(seconds: float) -> tuple[str, ...]:
    """ffmpeg's arguments for an endless variety of sound: no two seconds of it encode to the same bytes."""
    return (
        "-f",
        "lavfi",
        "-i",
        f"anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:duration={seconds:g}",
        "-ac",
        "2",
    )


def ffmpeg_source(
    target: Target,
    mount: str,
    encoding: Encoding,
    *,
    seconds: float = 60,
    legacy: bool = False,
    extra: Sequence[str] = (),
) -> Program:
    """ffmpeg's icecast protocol, in real time: PUT, or SOURCE if `legacy`. `extra` are further output options."""
    return Program(
        [
            "ffmpeg", "-nostdin", "-hide_banner", "-v", "warning", "-re", *noise(seconds), *encoding.args,
            "-content_type", encoding.content_type, "-legacy_icecast", "1" if legacy else "0",
            "-flush_packets", "1", *extra, target.source_url(mount, "icecast"),
        ]
    )  # fmt: skip


def shout_source(target: Target, mount: str, mp3: bytes, *, protocol: str = "http") -> Program:
    """libshout's own `shout`, fed by a pipe; it paces itself. `protocol`: http, or icy (which goes to port + 1)."""
    return Program(
        [
            "shout", "--host", target.host, "--port", str(target.port), "--mount", mount, "--pass",
            target.source_password, "--usage", "audio", "--format", "mp3", "--proto", protocol,
            "--station-name", "Shouted",
        ],
        stdin=mp3,
    )  # fmt: skip


def ezstream_source(target: Target, mount: str, mp3_file: Path, directory: Path) -> Program:
    """Returns ezstream (libshout) with a file that it repeats; the title is the file's name."""
    config = directory / "ezstream.xml"
    config.write_text(
        "<ezstream><servers><server><protocol>HTTP</protocol>"
        f"<hostname>{target.host}</hostname><port>{target.port}</port>"
        f"<user>source</user><password>{target.source_password}</password></server></servers>"
        f"<streams><stream><mountpoint>{mount}</mountpoint><format>MP3</format>"
        "<stream_name>Ez</stream_name></stream></streams>"
        f"<intakes><intake><type>file</type><filename>{mp3_file}</filename></intake></intakes></ezstream>"
    )
    config.chmod(0o600)  # it has a password in it; ezstream wants it private
    return Program(["ezstream", "-v", "-c", str(config)])


def liquidsoap_source(target: Target, outputs: Iterable[tuple[str, str]], directory: Path, *, title: str) -> Program:
    """liquidsoap's own client, one process for several mounts: for each the output (`icecast`, or `shoutcast`, which
    goes to port + 1) and its further options.
    """
    login = f'host="{target.host}", port={target.port}, password="{target.source_password}", name="Liquid"'
    script = directory / "radio.liq"
    script.write_text(
        "settings.init.allow_root.set(true)\nsettings.log.stdout.set(true)\nsettings.log.file.set(false)\n"
        "radio = insert_metadata(noise())\n"
        f'thread.run(delay=1., every=1., fun () -> radio.insert_metadata([("title", "{title}")]))\n'
        + "".join(
            f"output.{output}(%mp3(bitrate=128), {login}{options}, mksafe(radio))\n" for output, options in outputs
        )
    )
    return Program(["liquidsoap", str(script)])


def gstreamer_source(target: Target, mount: str, *, title: str) -> Program:
    """GStreamer's shout2send (libshout), with a title tag in its pipeline."""
    pipeline = (
        "audiotestsrc is-live=true wave=pink-noise ! audioconvert ! lamemp3enc target=bitrate cbr=true bitrate=128 ! "
        f'mpegaudioparse ! taginject tags=title="{title}" ! '
        f"shout2send ip={target.host} port={target.port} password={target.source_password} mount={mount} streamname=Gst"
    )
    return Program(["gst-launch-1.0", "-q", *pipeline.split()])


def curl_source(
    target: Target, mount: str, file: Path, content_type: str, *, rate: str = "64k", extra: Sequence[str] = ()
) -> Program:
    """Returns `curl -T`: a PUT with Content-Length of a file, at `rate` bytes a second."""
    return Program(
        [
            "curl", "-sS", "-i", "-T", str(file), "-H", f"Content-Type: {content_type}", "--limit-rate", rate,
            "-u", f"source:{target.source_password}", *extra, target.url(mount),
        ]
    )  # fmt: skip


def curl_listener(url: str, output: Path, *, extra: Sequence[str] = ()) -> Program:
    """Returns a curl that writes the stream to a file, at once, until the server ends it."""
    return Program(["curl", "-sS", "-N", "-o", str(output), *extra, url])


def ffmpeg_listener(url: str) -> Program:
    """Returns an ffmpeg that decodes and prints titles ("Metadata update for StreamTitle: …") and errors."""
    return Program(["ffmpeg", "-nostdin", "-hide_banner", "-v", "verbose", "-i", url, "-f", "null", "-"])


def mpv_listener(url: str) -> Program:
    """Returns an mpv that prints titles ("icy-title: …") and its position ("at 1.2")."""
    return Program(
        [
            "mpv", "--no-config", "--no-video", "--ao=null", "--no-input-terminal", "--msg-level=all=status",
            "--term-status-msg=at ${=time-pos}", url,
        ]
    )  # fmt: skip


def gstreamer_listener(url: str) -> Program:
    """GStreamer's souphttpsrc and icydemux, decoding; `-t` prints tags ("title: …")."""
    pipeline = (
        f"souphttpsrc iradio-mode=true location={url} ! icydemux ! mpegaudioparse ! mpg123audiodec ! fakesink sync=true"
    )
    return Program(["gst-launch-1.0", "-t", *pipeline.split()])


def vlc_listener(url: str) -> Program:
    """Returns VLC without a screen. It logs "New Icy-Title=…" and "Stream buffering done"."""
    return Program(["vlc", "-vv", "--no-color", "--intf", "dummy", "--aout", "dummy", url], as_nobody=True)


def probe_errors(file: Path) -> str:
    """Returns ffprobe's errors from decoding all of `file`; empty if there are none."""
    done = subprocess.run(
        [
            require("ffprobe"),
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv",
            str(file),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stderr if done.returncode == 0 else f"status {done.returncode}: {done.stderr}"


def decoded_frames(file: Path) -> int:
    """Returns how many audio frames ffprobe decodes from `file`."""
    done = subprocess.run(
        [
            require("ffprobe"), "-v", "quiet", "-count_frames", "-select_streams", "a:0",
            "-show_entries", "stream=nb_read_frames", "-of", "default=nk=1:nw=1", str(file),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )  # fmt: skip
    return int(done.stdout.split()[0])

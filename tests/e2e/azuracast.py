"""An AzuraCast station: its icecast.xml as its writer makes it (each element, in its order, no declaration), how it
runs its server, the requests that its nginx passes on, and what it reads of the statistics.
"""

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from pycast import launch
from pycast.testing.ports import Ports
from tests.e2e.deadline import until
from tests.e2e.programs import Program, require
from tests.e2e.test_tls import make_certificate
from tests.e2e.wire import basic, get

MOUNT = """    <mount type="normal">
        <mount-name>{name}</mount-name>
        <charset>UTF8</charset>
        <stream-name>Radio Exämple</stream-name>
        <listenurl>https://radio.example.com/listen/example{name}</listenurl>
{more}    </mount>
"""

FULL = """        <limit-rate>330180</limit-rate>
        <stream-description>A station &amp; more</stream-description>
        <stream-url>https://radio.example.com/</stream-url>
        <genre>Various</genre>
        <intro>../../config/intro.mp3</intro>
        <fallback-mount>/fallback-[128].mp3</fallback-mount>
        <fallback-override>1</fallback-override>
        <max-listener-duration>43200</max-listener-duration>
        <authentication type="url">
            <option name="listener_add" value="http://127.0.0.1:{auth}/api/internal/1/listener-auth/apikey123"/>
            <option name="auth_header" value="icecast-auth-user: 1"/>
        </authentication>
"""

SECOND = """        <hidden>1</hidden>
        <fallback-mount>/radio.mp3</fallback-mount>
        <fallback-override>1</fallback-override>
"""

OGG = """        <fallback-mount>/fallback-[192].ogg</fallback-mount>
        <fallback-override>1</fallback-override>
"""

STATION = """<icecast>
    <location>AzuraCast</location>
    <admin>icemaster@localhost</admin>
    <hostname>radio.example.com</hostname>
    <limits>
        <clients>2500</clients>
        <max-listeners>1000</max-listeners>
        <sources>4</sources>
        <queue-size>524288</queue-size>
        <client-timeout>30</client-timeout>
        <header-timeout>15</header-timeout>
        <source-timeout>10</source-timeout>
        <burst-size>65535</burst-size>
    </limits>
    <authentication>
        <source-password>srcpw12345</source-password>
        <relay-password>relpw12345</relay-password>
        <admin-user>admin</admin-user>
        <admin-password>admpw12345</admin-password>
    </authentication>
    <listen-socket>
        <port>{port}</port>
    </listen-socket>
{mounts}    <fileserve>1</fileserve>
    <paths>
        <basedir>{root}/share/icecast</basedir>
        <logdir>{root}/config</logdir>
        <webroot>{root}/share/web</webroot>
        <adminroot>{root}/share/admin</adminroot>
        <pidfile>{root}/config/icecast.pid</pidfile>
        <alias source="/" dest="/status.xsl"/>
        <ssl-private-key>{root}/acme/ssl.key</ssl-private-key>
        <ssl-certificate>{root}/acme/ssl.crt</ssl-certificate>
        <ssl-allowed-ciphers>ECDH+AESGCM:DH+AESGCM:RSA+AES:!aNULL:!MD5:!DSS</ssl-allowed-ciphers>
        <deny-ip>{root}/config/ip_bans.txt</deny-ip>
        <deny-agents>{root}/config/user_agent_bans.txt</deny-agents>
        <x-forwarded-for>127.0.0.1</x-forwarded-for>
    </paths>
    <logging>
        <accesslog>icecast_access.log</accesslog>
        <errorlog>/dev/stderr</errorlog>
        <loglevel>3</loglevel>
        <logsize>10000</logsize>
    </logging>
    <security>
        <chroot>0</chroot>
    </security>
{relay}</icecast>
"""

RELAY = """    <relay>
        <server>127.0.0.1</server>
        <port>{upstream}</port>
        <mount>/live.mp3</mount>
        <local-mount>/relayed.mp3</local-mount>
    </relay>
"""


def station_xml(root: Path, port: int, auth: int, upstream: int) -> str:
    """Returns the file of a station with all that AzuraCast can write. Its folders are below `root`."""
    mounts = (
        MOUNT.format(name="/radio.mp3", more=FULL.format(auth=auth)),
        MOUNT.format(name="/mobile.aac", more=SECOND),
        MOUNT.format(name="/radio.ogg", more=OGG),
        MOUNT.format(name="/relayed.mp3", more=""),
    )
    return STATION.format(root=root, port=port, mounts="".join(mounts), relay=RELAY.format(upstream=upstream))


def make_folders(root: Path) -> Path:
    """Makes the folders of a station, with empty ban files. Returns the folder of its configuration."""
    for name in ("config", "acme", "share/web", "share/admin", "share/icecast"):
        (root / name).mkdir(parents=True)
    for name in ("ip_bans.txt", "user_agent_bans.txt"):
        (root / "config" / name).write_text("")
    return root / "config"


class Station:
    """A station's folders and its server, run as AzuraCast's supervisor runs it: `icecast -c '<config>/icecast.xml'` in
    the folder of its configuration. `reload` rewrites the file and sends SIGHUP, as its adapter does.
    """

    def __init__(self, root: Path, auth: int, upstream: int) -> None:
        self.config = make_folders(root)
        self.web = root / "share" / "web"
        make_certificate(root / "acme", "radio.example.com")
        for name in ("key", "crt"):
            (root / "acme" / f"tls.{name}").rename(root / "acme" / f"ssl.{name}")
        self._ports = Ports()
        self.port = self._ports.take(("0.0.0.0", "::1"))
        self.xml = station_xml(root, self.port, auth, upstream)
        self._link = root / "icecast"
        self._link.symlink_to(Path(sys.executable).parent / "pycast")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (self.config / "icecast.xml").write_text(self.xml)
        with (self.config / "icecast.log").open("wb") as log:
            command = [str(self._link), "-c", str(self.config / "icecast.xml")]
            environment = launch.clean_environment()
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.config, env=environment)
        until(lambda: "listening on" in self.log() or (self._process and self._process.poll()), "the server", 20)
        assert self._process.poll() is None, self.log()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        is_tidy = launch.end([self._process], 10)
        self._ports.release()
        if error is not None:
            error.add_note(self.log()[-3000:])
        assert is_tidy

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def log(self) -> str:
        """Returns what its supervisor has of it: all that it wrote to stdout and stderr."""
        return (self.config / "icecast.log").read_text()

    def reload(self, xml: str) -> None:
        """Writes the file again, and has the server read it."""
        (self.config / "icecast.xml").write_text(xml)
        before = len(self.log())
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: "icecast.xml again" in self.log()[before:], "the reload")


LIQUIDSOAP = """settings.init.allow_root.set(true)
settings.log.stdout.set(true)
settings.log.file.set(false)
settings.encoder.metadata.export.set(["artist", "title", "album", "song"])
radio = insert_metadata(noise())
song = [("artist", "Sigur Rós"), ("title", "Hoppípolla"), ("album", "Takk…")]
thread.run(delay=1., every=1., fun () -> radio.insert_metadata(song))
radio = mksafe(radio)
{outputs}"""

OUTPUT = (
    'output.icecast({format}, id="local_{number}", host = "127.0.0.1", port = {port}, password = "srcpw12345", '
    'mount = "{mount}", name = "Radio Exämple", description = "A station & more", genre = "Various", '
    'url = "https://radio.example.com/", public = true, encoding = "UTF-8", radio)\n'
)

OUTPUTS = {
    "/radio.mp3": "%mp3(samplerate=44100, stereo=true, bitrate=128)",
    # AzuraCast has `%fdkaac` here, which Debian's liquidsoap cannot have.
    "/mobile.aac": '%ffmpeg(format="adts", %audio(codec="aac", samplerate=44100, channels=2, b="64k"))',
    "/radio.ogg": '%ffmpeg(format="ogg", %audio(codec="libvorbis", samplerate=48000, b="192k", channels=2))',
}
"""The station's mounts with the formats that its encoder sends."""


def auto_dj(port: int, folder: Path) -> Program:
    """Returns the station's encoder: liquidsoap with an output for each mount, and a song."""
    outputs = [
        OUTPUT.format(format=format, number=number, port=port, mount=mount)
        for number, (mount, format) in enumerate(OUTPUTS.items(), 1)
    ]
    script = folder / "liquidsoap.liq"
    script.write_text(LIQUIDSOAP.format(outputs="".join(outputs)))
    return Program([require("liquidsoap"), str(script)])


class ListenerAuth:
    """AzuraCast's own answer to a listener, by the country of its address: 198.51.100.0/24 is in a banned one."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                asked.append(form)
                self.send_response(200)
                is_banned = form["ip"].startswith("198.51.100.")
                self.send_header("icecast-auth-user", "0" if is_banned else "1")
                if is_banned:
                    self.send_header("icecast-auth-message", "geo-blocked")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def behind_nginx(path: str, ip: str = "203.0.113.5", agent: str = "Player/1") -> str:
    """Returns a request as the nginx rules of a station pass it on."""
    return (
        f"GET {path}?&_ic2=1 HTTP/1.1\r\nHost: radio.example.com//listen/example\r\nX-Forwarded-For: {ip}\r\n"
        f"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Ssl: on\r\nX-Real-IP: {ip}\r\n"
        f"User-Agent: {agent}\r\nConnection: close\r\n\r\n"
    )


class NowPlaying(NamedTuple):
    """What AzuraCast's library reads of a mount in /admin/stats and /admin/listclients."""

    artist: str
    title: str
    kbps: int
    format: str
    listeners: int
    clients: frozenset[tuple[str, str]]
    """The address and the User-Agent of each."""


def now_playing(port: int, mount: str) -> NowPlaying:
    """Reads as the library does: the texts of elements, and the larger of two bitrates as kbit/s."""
    login = basic("admin", "admpw12345")
    stats = ElementTree.fromstring(get(port, "/admin/stats", login).body)
    [source] = stats.findall(f"source[@mount='{mount}']")
    clients = ElementTree.fromstring(get(port, f"/admin/listclients?mount={mount}", login).body)
    return NowPlaying(
        source.findtext("artist", ""),
        source.findtext("title", ""),
        max(int(source.findtext("audio_bitrate", "0")), int(source.findtext("bitrate", "0"))),
        source.findtext("server_type", ""),
        int(source.findtext("listeners", "-1")),
        frozenset(
            (one.findtext("IP", ""), one.findtext("UserAgent", "")) for one in clients.findall("source/listener")
        ),
    )

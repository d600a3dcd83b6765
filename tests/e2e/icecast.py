"""Icecast 2.4.4, the original, on a free loopback port, to compare with.

Invariant: it runs as an unprivileged user, from a directory of its own, and is dead when the `with` block ends.
"""

import os
import shutil
import tempfile
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from pycast.testing.ports import Ports
from tests.e2e.deadline import until
from tests.e2e.programs import NOBODY, Program, Target

CONFIG = """<icecast>
<location>Earth</location><admin>webmaster@localhost</admin><hostname>localhost</hostname>
<limits><clients>100</clients><sources>{sources}</sources><queue-size>524288</queue-size><client-timeout>30</client-timeout>
<header-timeout>15</header-timeout><source-timeout>10</source-timeout><burst-size>65536</burst-size></limits>
<authentication><source-password>sourcepass</source-password><relay-password>relaypass</relay-password>
<admin-user>admin</admin-user><admin-password>adminpass</admin-password></authentication>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address><shoutcast-mount>/stream</shoutcast-mount></listen-socket>
<http-headers><header name="Access-Control-Allow-Origin" value="*"/></http-headers> {mounts} <fileserve>0</fileserve>
<paths><basedir>/usr/share/icecast2</basedir><logdir>{directory}</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot><alias source="/" destination="/status.xsl"/></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
<security><chroot>0</chroot></security> </icecast>
"""

MOST_STARTS = 3


class Icecast:
    """A running icecast2."""

    source_password = "sourcepass"
    admin_password = "adminpass"

    def __init__(self, *, sources: int = 20, mounts: str = "") -> None:
        self._ports = Ports()
        self.port = self._ports.take(row=2)  # SHOUTcast sources come to the next one
        self._directory = Path(tempfile.mkdtemp(prefix="icecast-"))
        config = self._directory / "icecast.xml"
        config.write_text(CONFIG.format(port=self.port, directory=self._directory, sources=sources, mounts=mounts))
        if os.geteuid() == 0:
            os.chown(self._directory, NOBODY, NOBODY)
        self._command = ["icecast2", "-c", str(config)]
        self._starts = 1
        self._program = Program(self._command, as_nobody=True)

    def __enter__(self) -> Self:
        try:
            until(self._answers, "icecast2 to answer")
        except BaseException as error:
            error.add_note(self._program.output())
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def target(self) -> Target:
        return Target(self.port, self.source_password)

    def stop(self) -> None:
        self._program.stop()
        self._ports.release()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _answers(self) -> bool:
        """Whether it has answered a whole request. 2.4.4 may crash when somebody connects while it starts: its port is
        open before all of it is there.
        """
        if not self._program.is_running:
            assert self._starts < MOST_STARTS, "icecast2 ended"
            self._starts += 1
            self._program.stop()
            self._program = Program(self._command, as_nobody=True)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/status-json.xsl")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

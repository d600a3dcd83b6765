"""Images that write icecast.xml at each start: what their entry scripts do, with pycast under Icecast's name.

The scripts here are our own; they do what those of well-known images do to Debian's icecast.xml: put variables of the
environment into elements, replace its end, become another user, give an option that Icecast ignores.
"""

import gzip
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import chown, rmtree
from tempfile import mkdtemp

import pytest

from pycast import launch
from pycast.testing.ports import Ports
from tests.e2e.as_icecast import modules, python_for
from tests.e2e.deadline import until
from tests.e2e.wire import basic, frames, get, source

USER = "nobody"
ENTRY = """#!/bin/sh -e
for element in source-password relay-password admin-password admin hostname clients; do
    value=$(printenv "ICECAST_$(echo "$element" | tr a-z- A-Z_)") || continue
    sed -i "s|<$element>[^<]*</$element>|<$element>$value</$element>|g" {file}
done
{more}
exec {command}
"""
AS_USER = f"setpriv --reuid={USER} --regid=nogroup --clear-groups "
OWN_END = (
    "sed -i '/^ *<chroot>/,$d' {file}\n"
    f"echo '<chroot>0</chroot><changeowner><user>{USER}</user><group>nogroup</group></changeowner>"
    "</security></icecast>' >> {file}"
)
OF_ITS_USER = "of the user of the image (LibreTime's)"
IMAGES = {
    OF_ITS_USER: ("", "{python} {folder}/icecast -c {file}"),
    "by way of sudo, with -n (moul's)": ("", AS_USER + "{python} {folder}/icecast2 -n -c {file}"),
    "of root, with an end of its own (infiniteproject's)": (OWN_END, "{python} {folder}/icecast2 -c {file}"),
}


def debians() -> str:
    """Debian's icecast.xml; only root can read the installed one, but it is among the documents, too."""
    try:
        return Path("/etc/icecast2/icecast.xml").read_text()
    except PermissionError:
        return gzip.decompress(Path("/usr/share/doc/icecast2/icecast.xml.dist.gz").read_bytes()).decode()


class Container:
    """A folder with what an image has, and its entry script."""

    def __init__(self, folder: Path, port: int, image: str) -> None:
        self.folder, self.port, self.logs = folder, port, folder / "log"
        self.logs.mkdir()
        file = folder / "icecast.xml"
        text = debians().replace("<port>8000</port>", f"<port>{port}</port>")
        file.write_text(text.replace("/var/log/icecast2", str(self.logs)))
        file.chmod(0o644)
        for name in ("icecast", "icecast2"):
            (folder / name).symlink_to(Path(sys.executable).parent / "pycast")
        more, command = IMAGES[image]
        is_root = os.geteuid() == 0
        places = {"file": file, "folder": folder, "python": python_for(USER) if is_root else sys.executable}
        if is_root:
            chown(self.logs, USER)
        entry = ENTRY.format(file=file, more=more.format(**places), command=command.format(**places))
        (folder / "entry").write_text(entry)

    @contextmanager
    def started(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Starts it as a container is started, and ends it as one is stopped: its first process gets SIGTERM."""
        environment = launch.clean_environment() | {"PYTHONPATH": modules()} | variables
        with (self.folder / "said").open("wb") as said:
            process = subprocess.Popen(
                ["/bin/sh", self.folder / "entry"], cwd=self.folder, env=environment, stdout=said, stderr=said
            )
        try:
            until(lambda: process.poll() is not None or self._accepts(), "the server", 20)
            assert process.poll() is None, (self.folder / "said").read_text()
            yield process
        finally:
            process.terminate()
            assert process.wait(10) == 0, (self.folder / "said").read_text()

    def _accepts(self) -> bool:
        try:
            return get(self.port, "/livez").status == 200
        except OSError:
            return False


@pytest.fixture
def container(request: pytest.FixtureRequest) -> Iterator[Container]:
    ports = Ports()
    folder = Path(mkdtemp(prefix="pycast-"))  # not one of pytest's, which only root can enter
    folder.chmod(0o755)
    yield Container(folder, ports.take(("0.0.0.0", "::1")), request.param)
    ports.release()
    rmtree(folder)


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize(
    ("container", "user"),
    [(image, "") if image == OF_ITS_USER else pytest.param(image, USER, marks=ROOT_ONLY) for image in IMAGES],
    indirect=["container"],
)
def test_image_that_writes_the_file_at_each_start_runs_with_it(container: Container, user: str) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    with container.started(ICECAST_SOURCE_PASSWORD="first-1", ICECAST_ADMIN_PASSWORD="adm-1") as process:
        assert Path(f"/proc/{process.pid}").owner() == (user or own)
        with source(container.port, "/live.mp3", "first-1") as feed:
            feed.send(frames(0, 50))
            assert get(container.port, "/admin/stats", basic("admin", "adm-1")).status == 200
        until(lambda: "/live.mp3" in (container.logs / "error.log").read_text(), "the line in the log")
        assert (container.logs / "access.log").exists()
    if not user:  # once is enough to know that a file which was written before is written again
        with container.started(ICECAST_SOURCE_PASSWORD="second-2", ICECAST_HOSTNAME="radio.example"):
            source(container.port, "/live.mp3", "second-2").close()
            assert b"http://radio.example:" in get(container.port, "/status-json.xsl").body

"""Whoever imports `ssl` or `subprocess` in the server's process gets gevent's, in whatever order they are loaded."""

import subprocess
import sys

import pytest

BEGIN = "import sys, pycast.__main__"

NOT_AT_THE_START = "assert not {'ssl', 'gevent.ssl', 'subprocess', 'gevent.subprocess'} & set(sys.modules)"

GEVENTS = """
import ssl, subprocess, sys, gevent.ssl, gevent.subprocess
from gevent import monkey

assert ssl.SSLContext is gevent.ssl.SSLContext and ssl.SSLSocket is gevent.ssl.SSLSocket
assert issubclass(ssl.create_default_context().sslsocket_class, gevent.ssl.SSLSocket)
assert subprocess.Popen is gevent.subprocess.Popen and subprocess.run is gevent.subprocess.run
assert monkey.get_original("ssl", "SSLContext") is not ssl.SSLContext
assert monkey.get_original("subprocess", "Popen") is not subprocess.Popen
assert ssl.__spec__.loader.get_source("ssl") and subprocess.__spec__.loader.get_source("subprocess")
"""

PACKAGES = """
import urllib3.util.ssl_, http.client, asyncio
from urllib3.util import ssl_
assert ssl_.SSLContext is sys.modules["gevent.ssl"].SSLContext
"""

SLEEPING_CHILD = """
import gevent, time
turns = []
gevent.spawn(lambda: (gevent.sleep(0), turns.append(1)))
assert subprocess.run(["sh", "-c", "read line"], stdin=subprocess.DEVNULL).returncode == 1 and turns
"""


@pytest.mark.parametrize(
    "before",
    [
        f"{BEGIN}\n{NOT_AT_THE_START}\nimport ssl, subprocess",
        f"{BEGIN}\nfrom gevent import ssl, subprocess",
        f"{BEGIN}\n{PACKAGES}",
        f"import ssl, subprocess\n{BEGIN}",
    ],
    ids=["python's first", "gevent's first", "a package first", "before the server's"],
)
def test_they_are_gevents_for_all(before: str) -> None:
    script = before + GEVENTS + SLEEPING_CHILD
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr

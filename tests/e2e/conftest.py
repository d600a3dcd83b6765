"""Sound files for the end-to-end tests, made once for each worker; and where a server is for the real programs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.media import encode
from tests.e2e.programs import ENCODINGS, Target


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`sound("mp3")` is a file of eight seconds in that encoding."""
    directory = tmp_path_factory.mktemp("sound")
    files: dict[str, Path] = {}

    def maybe_encoded(name: str) -> Path:
        if name not in files:
            encoding = next(one for one in ENCODINGS if one.name == name)
            files[name] = encode(encoding, directory / f"sound.{name}", 8)
        return files[name]

    return maybe_encoded


@pytest.fixture
def target(pycast_server: Server) -> Target:
    """The test's server, as a program finds it."""
    return Target(pycast_server.port, pycast_server.source_password)

"""A reload takes all of a new configuration, or nothing of it."""

from pathlib import Path

import pytest

from pycast.app.node import Node
from pycast.config.load import load

TOML = """
[server]
location = "Here"
[[listen]]
bind_address = "127.0.0.1"
port = 0
[logging]
access_log = "{0}/access.log"
playlist_log = "{0}/playlist.log"
"""


@pytest.mark.parametrize("name", ["access", "playlist"])
def test_a_log_that_cannot_be_opened_refuses_the_reload(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, old = tmp_path / "pycast.toml", TOML.format(tmp_path)
    path.write_text(old)
    node = Node(load(path, {}), path, None, 1000)
    node.start()
    path.write_text(old.replace("Here", "There").replace(f"/{name}.log", f"/none/{name}.log"))
    node.reload()
    assert "reload refused" in caplog.text
    assert f"none/{name}.log" in caplog.text
    assert node.parts.context.settings.now.server.location == "Here"
    path.write_text(old.replace("Here", "There").replace(f"/{name}.log", f"/other-{name}.log"))
    node.reload()
    assert node.parts.context.settings.now.server.location == "There"
    assert (tmp_path / f"other-{name}.log").exists()
    node.stop()

"""Authentication on a server of two workers, with real players and the real commands: files, a server that is asked,
signed addresses, and a reload.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from pycast.testing import Server, StreamRefused
from pycast.testing.numbered import frames_in
from tests.e2e.programs import Target, require, shout_source
from tests.e2e.wire import basic, get

# More connections than would ever be dealt to one of two workers by chance.
MANY = 12
KEY = "a key of 16 letters or more"
ANN = {"Authorization": basic("ann", "pw").partition(": ")[2].strip()}


class Asked(BaseHTTPRequestHandler):
    """Lets in who has the token, and all sources; "boss" takes over."""

    forms: list[dict[str, str]]

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.forms.append(form)
        self.send_response(200)
        if "token=good" in form.get("mount", "") or form["action"] != "listener_add":
            self.send_header("Icecast-Auth-User", "hijack" if form.get("user") == "boss" else "1")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


class House:
    """The server, its folder, and what the server that is asked was told."""

    def __init__(self, server: Server, folder: Path, url: str, forms: list[dict[str, str]]) -> None:
        self.server, self.folder, self.url, self.forms = server, folder, url, forms


def passwd(file: Path, user: str, password: str) -> None:
    command = [sys.executable, "-m", "pycast", "passwd", str(file), user, "--password", password]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("authentication")
    forms: list[dict[str, str]] = []
    asked = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Asked,), {"forms": forms}))
    threading.Thread(target=asked.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{asked.server_port}/"
    passwd(folder / "users", "ann", "pw")
    mounts = [
        {"mount_name": "/file.mp3", "authentication": {"type": "htpasswd", "filename": str(folder / "users")}},
        {"mount_name": "/asked.mp3", "authentication": {"type": "url", "listener_add": url, "listener_remove": url}},
        {"mount_name": "/taken.mp3", "authentication": {"type": "url", "stream_auth": url}},
        {"mount_name": "/free.mp3", "authentication": {"type": "url", "stream_auth": url}},
        {"mount_name": "/signed.mp3", "authentication": {"type": "signed", "keys": [KEY]}},
    ]
    with Server(workers=2, mount=mounts) as server:
        yield House(server, folder, url, forms)
    asked.shutdown()
    asked.server_close()


def test_every_worker_asks_for_the_password_and_a_player_that_has_it_plays(house: House) -> None:
    server = house.server
    with server.stream("/file.mp3", lead_s=10):
        assert {get(server.port, "/file.mp3").status for _ in range(MANY)} == {401}
        address = f"http://ann:pw@127.0.0.1:{server.port}/file.mp3"
        command = f"{require('curl')} -s -m 20 {address} | head -c 50000"  # it ends when it has heard so much
        heard = subprocess.run(command, shell=True, capture_output=True, timeout=30, check=True).stdout
        assert len(heard) == 50_000 and frames_in(heard).is_whole and len(frames_in(heard)) >= 50_000 // 418


def test_user_that_an_admin_adds_listens_on_every_worker_and_one_that_is_deleted_does_not(house: House) -> None:
    server = house.server
    admin, at = basic("admin", server.admin_password), "/admin/manageauth?mount=/file.mp3"
    with server.stream("/file.mp3", speed=0) as stream:
        stream.send(400)
        server.wait_for_source("/file.mp3")
        added = get(server.port, f"{at}&action=add&username=bob&password=b", admin)
        assert b"<message>User added</message>" in added.body and b"<username>bob</username>" in added.body

        def head() -> int:
            return get(server.port, "/file.mp3", basic("bob", "b"), method="HEAD").status

        time.sleep(1.1)  # a worker looks at the file again after a second: no wrong login before, they are counted
        assert {head() for _ in range(MANY)} == {200}
        assert b"User deleted" in get(server.port, f"{at}&action=delete&username=bob", admin).body
        server.wait_until(lambda: head() == 401, 10, "the file to be read again")


def test_user_listens_once_whichever_worker_it_comes_to(house: House) -> None:
    server = house.server
    with server.stream("/file.mp3", speed=0) as stream:
        stream.send(400)
        server.wait_for_source("/file.mp3")
        with server.listen("/file.mp3", headers=ANN) as heard:
            assert heard.status == 200
            refused = {get(server.port, "/file.mp3", basic("ann", "pw")).status for _ in range(MANY)}
        assert refused == {401}


def test_server_is_asked_by_every_worker_and_told_of_departures(house: House) -> None:
    server = house.server
    with server.stream("/asked.mp3", speed=0) as stream:
        stream.send(50)
        server.wait_for_source("/asked.mp3")
        house.forms.clear()
        assert {get(server.port, "/asked.mp3?token=bad").status for _ in range(MANY)} == {401}
        for _ in range(MANY):
            with server.listen("/asked.mp3?token=good") as heard:
                assert heard.status == 200
        left = [form for form in house.forms if form["action"] == "listener_remove"]
        server.wait_until(
            lambda: sum(form["action"] == "listener_remove" for form in house.forms) == MANY, 10, "the departures"
        )
    assert len({form["client"] for form in house.forms}) == 2 * MANY, "a number of its own for each, on all workers"
    assert all(form["ip"] == "127.0.0.1" for form in left)


def test_source_that_is_to_take_over_does_so_on_whichever_worker_it_comes_to(house: House) -> None:
    server = house.server
    with server.stream("/taken.mp3", speed=0) as first:
        first.send(50)
        server.wait_for_source("/taken.mp3")
        with pytest.raises(StreamRefused, match="Mountpoint in use"), server.stream("/taken.mp3", user="other"):
            pass
        with server.listen("/taken.mp3") as heard:
            heard.wait_for_frame(40)
            with server.stream("/taken.mp3", user="boss", speed=0, first=500) as second:
                second.send(100)
                heard.wait_for_frame(590)


def test_encoder_that_asks_without_its_login_first_streams_also_if_that_is_let_in(
    house: House, sound: Callable[[str], Path]
) -> None:
    """libshout begins with a request without login, closes its connection, and comes again with one."""
    server, sent = house.server, sound("mp3").read_bytes()
    del house.forms[:]
    with shout_source(Target(server.port, server.source_password), "/free.mp3", sent):
        server.wait_for_bytes("/free.mp3", 30_000)
    logins = [(form.get("user", ""), form.get("pass", "")) for form in house.forms if form["action"] == "stream_auth"]
    assert logins == [("", ""), ("source", server.source_password)]


def test_address_that_the_command_signs_is_good_until_the_key_is_taken_out(house: House) -> None:
    server = house.server
    command = [sys.executable, "-m", "pycast", "sign", "/signed.mp3", "--config", str(server.config_path)]
    signed = urlsplit(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip())
    target = f"{signed.path}?{signed.query}"
    with server.stream("/signed.mp3", speed=0) as stream:
        stream.send(50)
        server.wait_for_source("/signed.mp3")
        with server.listen(target) as heard:
            assert heard.status == 200
            refused = get(server.port, "/signed.mp3")
            assert (refused.status, b"signed address" in refused.body) == (403, True)
            text = server.config_path.read_text()
            server.config_path.write_text(text.replace(KEY, "another key of 16 or more"))
            os.kill(server.pid, signal.SIGHUP)

            def heads() -> set[int]:
                return {get(server.port, target, method="HEAD").status for _ in range(MANY)}

            server.wait_until(lambda: heads() == {403}, 10, "the reload of both workers")
            stream.send(50)
            heard.wait_for_frame(99)  # who listens goes on

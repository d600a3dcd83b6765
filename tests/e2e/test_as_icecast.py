"""A link that is called icecast, and an icecast.xml: what a script, a supervisor and a listener meet is Icecast's."""

import os
import pwd
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from tests.e2e.as_icecast import AsIcecast, modules, python_for
from tests.e2e.deadline import until
from tests.e2e.processes import children, is_alive
from tests.e2e.programs import curl_listener, require
from tests.e2e.steady import SteadyStream
from tests.e2e.test_tls import certificate_of, make_certificate
from tests.e2e.wire import Wire, assert_run_of, basic, frames, get, listen, source


def certificate_in(folder: Path, name: str) -> str:
    """Makes a certificate with its key in one file, as Icecast has it. Returns the file."""
    folder.mkdir()
    make_certificate(folder, name)
    file = folder / "icecast.pem"
    file.write_text((folder / "tls.crt").read_text() + (folder / "tls.key").read_text())
    return str(file)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsIcecast]:
    """Started in the background, with a certificate and a port for both."""
    folder = tmp_path_factory.mktemp("icecast")
    made = AsIcecast(folder, background=True)
    made.set(certificate=certificate_in(folder / "first", "first.example"))
    with made:
        yield made


def test_background_ends_the_call_when_it_accepts_and_runs_without_a_terminal(server: AsIcecast) -> None:
    assert server.said == "Starting icecast2\nDetaching from the console\n"
    assert get(server.port, "/status-json.xsl").status == 200
    assert os.getsid(server.pid) == server.pid
    assert Path(f"/proc/{server.pid}/comm").read_text() == "icecast\n", "scripts find it by this name"
    assert {os.readlink(f"/proc/{server.pid}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}


def test_tls_and_plain_clients_share_the_port(server: AsIcecast, tmp_path: Path) -> None:
    with source(server.port, "/tls.mp3", "sourcepass", tls=True) as feed:
        feed.send(frames(0, 200))
        plain, secure = tmp_path / "plain", tmp_path / "secure"
        url = f"://127.0.0.1:{server.port}/tls.mp3"
        with curl_listener(f"http{url}", plain), curl_listener(f"https{url}", secure, extra=["-k"]):
            wire, _ = listen(server.port, "/tls.mp3", tls=True)
            with wire:
                assert_run_of(wire.read(len(frames(0, 100))), frames(0, 200))
            feed.send(frames(200, 10))
            until(lambda: all(has_frame(file, 209) for file in (plain, secure)), "both to hear it")
        done = subprocess.run(
            [require("openssl"), "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}"],
            input=b"GET /livez HTTP/1.0\r\n\r\n", capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.stdout.endswith(b"alive\n")
    assert_run_of(plain.read_bytes(), frames(0, 210))
    assert_run_of(secure.read_bytes(), frames(0, 210))


def has_frame(file: Path, number: int) -> bool:
    return file.exists() and frames(number, 1) in file.read_bytes()


def test_sighup_takes_all_of_a_changed_file_and_costs_no_listener(server: AsIcecast, tmp_path: Path) -> None:
    old = certificate_of(server.port)
    with SteadyStream(server.port, "sourcepass") as stream:
        server.set(
            hostname="other.example",
            password="another",
            header="two",
            access_log="other.log",
            more="<mount><mount-name>/steady.mp3</mount-name><stream-name>Renamed</stream-name></mount>\n"
            "<mount><mount-name>/guest.mp3</mount-name><password>guestpass</password></mount>",
            certificate=certificate_in(server.folder / "second", "second.example"),
        )
        server.reload()
        page = get(server.port, "/status-json.xsl")
        assert b"http://other.example" in page.body
        assert b'"server_name":"Renamed"' in page.body
        assert page.header("X-Station") == "two"
        with Wire(server.port) as refused:
            assert b" 401 " in refused.send(f"SOURCE /a.mp3 HTTP/1.0\r\n{login('sourcepass')}\r\n\r\n").read_all()
        source(server.port, "/a.mp3", "another").close()
        source(server.port, "/guest.mp3", "guestpass").close()
        stream.verify()
    assert certificate_of(server.port) != old
    until(lambda: "/guest.mp3" in (server.folder / "other.log").read_text(), "the line in the new log")
    server.set(password="sourcepass")
    server.reload()


def login(password: str) -> str:
    from base64 import b64encode

    return f"Authorization: Basic {b64encode(f'source:{password}'.encode()).decode()}"


def test_who_asks_with_the_wrong_one_of_several_right_logins_is_told_so_and_never_made_to_wait(
    server: AsIcecast,
) -> None:
    """An installation's scripts do: they try the source's login, a listener's and the admin's, all from one machine."""
    program = server.folder / "on-air.sh"
    program.write_text('#!/bin/sh\necho "$1" > on-air.new && mv on-air.new on-air\n')
    program.chmod(0o755)
    guarded = '<authentication type="htpasswd"><option name="filename" value="listeners"/></authentication>'
    server.set(
        more="<mount><mount-name>/own.mp3</mount-name><username>dj</username><password>djpass</password></mount>\n"
        f"<mount><mount-name>/guests.mp3</mount-name>{guarded}<on-connect>on-air.sh</on-connect></mount>"
    )
    server.reload()
    admin, dj, encoder = basic("admin", "adminpass"), basic("dj", "djpass"), basic("source", "sourcepass")
    added = get(server.port, "/admin/manageauth?id=4&action=add&username=eve&password=evepass", admin)
    assert b"User added" in added.body, added
    assert get(server.port, "/admin/manageauth?id=9&action=add&username=eve&password=x", admin).status == 404
    with source(server.port, "/guests.mp3", "sourcepass") as feed:
        feed.send(frames(0, 50))
        listen(server.port, "/guests.mp3", basic("eve", "evepass"))[0].close()
        for command in ("stats", "listmounts", "killsource", "moveclients", "listclients") * 3:
            for login in (encoder, dj, basic("eve", "evepass")):
                assert get(server.port, f"/admin/{command}", login).status == 401
            assert get(server.port, "/guests.mp3", admin).status == 401
        assert get(server.port, "/admin/stats", admin).status == 200
        until(lambda: (server.folder / "on-air").exists(), "the program that is told of the source")
        assert (server.folder / "on-air").read_text() == "/guests.mp3\n"


def test_broken_file_at_sighup_keeps_the_old_one(server: AsIcecast) -> None:
    with SteadyStream(server.port, "sourcepass", "/broken.mp3") as stream:
        whole = server.file.read_text()
        server.file.write_text(whole.replace("</limits>", ""))
        server.reload()
        assert re.search(r"reload refused: .*icecast\.xml: not XML that pycast reads: line \d+", server.log())
        assert get(server.port, "/status-json.xsl").status == 200
        server.file.write_text(whole)
        server.reload()
        stream.verify()


def test_what_has_no_equivalent_is_logged_once_with_its_line(server: AsIcecast) -> None:
    server.set(more="<surprise>1</surprise>\n")
    server.reload()
    server.set(more="\n<!-- further down -->\n<surprise>1</surprise>\n")
    server.reload()
    found = re.findall(r"icecast\.xml:(\d+): left out: surprise = 1", server.log())
    assert len(found) == 1
    assert "<surprise>" in server.file.read_text()


def test_the_number_in_the_pidfile_ends_it_and_the_file_is_gone(tmp_path: Path) -> None:
    made = AsIcecast(tmp_path, background=True)
    with made:
        made.end()
        assert not is_alive(made.pid)
        assert not made.pidfile.exists()


def test_background_call_fails_if_the_server_cannot_start(tmp_path: Path) -> None:
    made = AsIcecast(tmp_path, background=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made.set(port=str(taken.getsockname()[1]))
        with pytest.raises(AssertionError, match="Address already in use"), made:
            pass
    assert not made.pidfile.exists()


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def users(pid: int) -> set[str]:
    found = re.search(r"^Uid:\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return {pwd.getpwuid(int(number)).pw_name for number in found[1].split()}


@ROOT_ONLY
@pytest.mark.parametrize("workers", ["1", "2"])
def test_root_opens_the_port_and_somebody_else_serves(workers: str, request: pytest.FixtureRequest) -> None:
    port = 830 + int(workers)
    address = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # of this process alone
    folder = Path(mkdtemp(prefix="pycast-"))  # not one of pytest's, which only root can enter
    request.addfinalizer(lambda: rmtree(folder))
    folder.chmod(0o755)
    certificate = certificate_in(folder / "tls", "first.example")
    Path(certificate).chmod(0o600 if workers == "1" else 0o644)
    environment = {"PYCAST_SERVER__WORKERS": workers, "PYTHONPATH": modules()}
    made = AsIcecast(folder, environment=environment, python=(python_for("nobody"),))
    logs = folder / "logs"
    logs.mkdir()
    os.chown(logs, pwd.getpwnam("nobody").pw_uid, -1)
    made.set(
        certificate=certificate, logs=str(logs), port=str(port),
        address=address,
        security="<changeowner><user>nobody</user><group>nogroup</group></changeowner>",
    )  # fmt: skip
    with made:
        processes = [made.pid, *children(made.pid)]
        assert len(processes) == (1 if workers == "1" else 3)
        assert [users(pid) for pid in processes] == [{"nobody"}] * len(processes)
        assert (logs / "error.log").owner() == "nobody"
        assert get(port, "/status-json.xsl", host=address).status == 200
        context = ssl._create_unverified_context()
        with socket.create_connection((address, port), 5) as raw, context.wrap_socket(raw) as secure:
            assert secure.getpeercert(binary_form=True)
        made.set(header="three")
        made.reload()
        assert get(port, "/status-json.xsl", host=address).header("X-Station") == "three"

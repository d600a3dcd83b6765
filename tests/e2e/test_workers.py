"""Several workers are one server: one address, one process to signal, and a worker that dies is replaced."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from pycast import launch
from pycast.testing import Server, ServerDied
from tests.e2e.deadline import until
from tests.e2e.processes import children, is_alive, listening_ports, sockets, suspend
from tests.e2e.wire import Wire, basic, get

MOUNT = "/live.mp3"

# The kernel deals connections out by chance: that so many all go to one of two workers does not happen.
MANY = 40

pytestmark = pytest.mark.pycast(workers=2)


def workers(server: Server) -> list[int]:
    found = children(server.pid)
    assert len(found) == 2, server.log()
    return found


def answers(server: Server, path: str, *headers: str) -> set[tuple[int, bytes]]:
    """Returns the answers to so many requests that every worker answers some."""
    return {(reply.status, reply.body) for reply in (get(server.port, path, *headers) for _ in range(MANY))}


def kill(server: Server, pid: int) -> int:
    """Kills a worker, and waits for the one that is started in its place."""
    others = set(workers(server)) - {pid}
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.log().count(" accepts (pid ") == 3, "a third start")
    (fresh,) = set(workers(server)) - others
    return fresh


def logs(server: Server, text: str) -> bool:
    return text in server.log()


def ends(server: Server, timeout: float = 5.0) -> None:
    with pytest.raises(ServerDied, match="status 0"):
        server.wait_until(lambda: False, timeout, "the end")


def test_every_worker_takes_connections_of_the_one_port(pycast_server: Server) -> None:
    before = {pid: len(sockets(pid)) for pid in workers(pycast_server)}
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(Wire(pycast_server.port))
        until(
            lambda: sum(len(sockets(pid)) - count for pid, count in before.items()) >= MANY, "all connections accepted"
        )
        assert all(len(sockets(pid)) > count for pid, count in before.items())


def test_the_ready_line_names_the_parent_and_the_ports_of_all(pycast_server: Server) -> None:
    assert pycast_server.ready["pid"] == pycast_server.pid
    for pid in (pycast_server.pid, *workers(pycast_server)):
        assert pycast_server.port in listening_ports(pid)


@pytest.mark.pycast(listen=[{"shoutcast_mount": "/sc"}, {}])
def test_every_worker_has_every_port(pycast_server: Server) -> None:
    public = {one["port"] for one in pycast_server.ready["ports"]}
    assert len(public) == 3
    for pid in workers(pycast_server):
        assert public < listening_ports(pid)


def test_each_worker_has_a_port_for_the_others(pycast_server: Server) -> None:
    first, second = (listening_ports(pid) - {pycast_server.port} for pid in workers(pycast_server))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_log_line_names_the_worker(pycast_server: Server) -> None:
    for tag in ("[0]", "[1]"):
        until(partial(logs, pycast_server, f"node/run {tag} listening"), tag)


def test_a_worker_that_is_killed_is_started_again_at_the_same_ports(pycast_server: Server) -> None:
    first, second = workers(pycast_server)
    ports = listening_ports(first)
    fresh = kill(pycast_server, first)
    assert listening_ports(fresh) == ports
    assert is_alive(second)
    assert "(SIGKILL); it starts again in 0.2 s" in pycast_server.log()
    assert answers(pycast_server, "/livez") == {(200, b"alive\n")}


@pytest.mark.pycast(relay=[{"server": "127.0.0.1", "port": 1, "mount": MOUNT}])
def test_a_relay_that_is_off_stays_off_in_a_worker_that_is_started_again_and_the_log_has_the_parents_lines(
    pycast_server: Server,
) -> None:
    admin = basic("admin", pycast_server.admin_password)

    def are_on() -> set[bool]:
        found = answers(pycast_server, "/admin/managerelays", admin)
        assert all(status == 200 and b"<enable>" in body for status, body in found)
        return {b"<enable>1</enable>" in body for _, body in found}

    def have_the_line() -> bool:
        found = answers(pycast_server, "/admin/showlog.txt?log=error", admin)
        return {shown.count(b"(SIGKILL); it starts again in 0.2 s") for _, shown in found} == {1}

    get(pycast_server.port, f"/admin/managerelays?relay={MOUNT}&enable=0", admin)
    until(lambda: are_on() == {False}, "both to be off")
    kill(pycast_server, workers(pycast_server)[0])
    until(have_the_line, "the parent's line, once")
    assert are_on() == {False}
    get(pycast_server.port, f"/admin/managerelays?relay={MOUNT}&enable=1", admin)
    until(lambda: are_on() == {True}, "both to be on")


def test_while_a_worker_is_away_the_others_take_every_connection(pycast_server: Server) -> None:
    first, _ = workers(pycast_server)
    os.kill(first, signal.SIGKILL)
    until(partial(logs, pycast_server, "starts again"), "its end")
    assert answers(pycast_server, "/livez") == {(200, b"alive\n")}


@pytest.mark.pycast(location="Here")
def test_sighup_reaches_every_worker(pycast_server: Server) -> None:
    text = pycast_server.config_path.read_text()
    pycast_server.config_path.write_text(text.replace('"Here"', '"There"'))
    os.kill(pycast_server.pid, signal.SIGHUP)
    pycast_server.wait_until(lambda: pycast_server.log().count("again") == 2, 5, "both to read it again")
    assert all(b'"location":"There"' in body for _, body in answers(pycast_server, "/status-json.xsl"))


@pytest.mark.pycast(location="Here")
def test_a_worker_that_starts_again_ignores_a_mistake_in_the_file(pycast_server: Server) -> None:
    pycast_server.config_path.write_text("no such thing")
    os.kill(pycast_server.pid, signal.SIGHUP)
    pycast_server.wait_until(lambda: pycast_server.log().count("reload refused") == 2, 5, "both to refuse")
    kill(pycast_server, workers(pycast_server)[0])
    assert all(b'"location":"Here"' in body for _, body in answers(pycast_server, "/status-json.xsl"))


@pytest.mark.pycast(location="Here")
def test_a_worker_that_starts_again_has_the_last_good_configuration(pycast_server: Server) -> None:
    text = pycast_server.config_path.read_text()
    pycast_server.config_path.write_text(text.replace('"Here"', '"There"'))
    os.kill(pycast_server.pid, signal.SIGHUP)
    pycast_server.wait_until(lambda: pycast_server.log().count("again") == 2, 5, "both to read it again")
    kill(pycast_server, workers(pycast_server)[1])
    assert all(b'"location":"There"' in body for _, body in answers(pycast_server, "/status-json.xsl"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_stops_all_in_time(number: signal.Signals, pycast_server: Server) -> None:
    pids = workers(pycast_server)
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(Wire(pycast_server.port))
        os.kill(pycast_server.pid, number)
        ends(pycast_server)
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 30})
def test_sigterm_drains_every_worker_and_a_second_one_stops_them(pycast_server: Server) -> None:
    workers(pycast_server)
    os.kill(pycast_server.pid, signal.SIGTERM)
    until(lambda: pycast_server.log().count("= drain: lead") == 2, "both to drain")
    assert answers(pycast_server, "/livez") == {(200, b"alive\n")}
    os.kill(pycast_server.pid, signal.SIGTERM)
    ends(pycast_server)


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 30})
def test_who_cancels_the_drain_of_a_sigterm_has_the_whole_server_back(pycast_server: Server) -> None:
    first, _ = workers(pycast_server)
    os.kill(pycast_server.pid, signal.SIGTERM)
    until(lambda: pycast_server.log().count("= drain: lead") == 2, "both to drain")
    login = basic(pycast_server.admin_user, pycast_server.admin_password)
    assert get(pycast_server.port, "/admin/drain?cancel=1", login, method="POST").status == 200
    until(partial(logs, pycast_server, "2 of 2 workers go on"), "the parent to go on")
    kill(pycast_server, first)
    os.kill(pycast_server.pid, signal.SIGTERM)
    until(lambda: pycast_server.log().count("= drain: lead") == 4, "both to drain again")
    os.kill(pycast_server.pid, signal.SIGTERM)
    ends(pycast_server)


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 0})
def test_a_server_ends_when_every_worker_has_drained(pycast_server: Server) -> None:
    os.kill(pycast_server.pid, signal.SIGTERM)
    ends(pycast_server)
    assert pycast_server.log().count("= drain: done") == 2


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 30})
def test_sigint_stops_without_a_drain(pycast_server: Server) -> None:
    os.kill(pycast_server.pid, signal.SIGINT)
    ends(pycast_server)
    assert "drain" not in pycast_server.log()


def test_lb_20_workers_refuse_none_of_2000_connections_at_once(pycast_server: Server) -> None:
    before = {pid: len(sockets(pid)) for pid in workers(pycast_server)}
    with ExitStack() as stack:
        for _ in range(2_000):
            stack.enter_context(Wire(pycast_server.port))
        until(lambda: sum(len(sockets(pid)) - count for pid, count in before.items()) >= 2_000, "all accepted")


def test_a_worker_that_does_not_stop_is_killed(pycast_server: Server) -> None:
    pids = workers(pycast_server)
    suspend(pids[0])
    os.kill(pycast_server.pid, signal.SIGTERM)
    ends(pycast_server, 8)
    assert not any(is_alive(pid) for pid in pids)
    assert "worker 0 did not stop in time" in pycast_server.log()


def test_a_stop_between_two_starts_of_a_worker_is_clean(pycast_server: Server) -> None:
    os.kill(workers(pycast_server)[0], signal.SIGKILL)
    until(partial(logs, pycast_server, "starts again"), "the parent to notice")
    os.kill(pycast_server.pid, signal.SIGTERM)
    ends(pycast_server)


def test_no_worker_outlives_its_parent(pycast_server: Server) -> None:
    pids = workers(pycast_server)
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(10)
        os.kill(pycast_server.pid, signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in pids), "their end", 5)


def test_a_second_server_does_not_join_the_port(pycast_server: Server) -> None:
    for count in (1, 2):
        second = Server(listen=[{"port": pycast_server.port}], workers=count)
        with pytest.raises(ServerDied, match="cannot listen on"), second:
            pass


def test_a_server_whose_workers_cannot_start_ends(tmp_path: Path) -> None:
    settings = {"tls": {"certificate": str(tmp_path / "none.pem")}, "listen": [{"tls": True}], "workers": 2}
    with pytest.raises(ServerDied, match=r"status 1(.|\n)*none\.pem"), Server(**settings):
        pass


def test_workers_of_a_server_without_a_file_have_the_passwords_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = launch.clean_environment() | {"PYCAST_SERVER__WORKERS": "2"}
    with launch.start("--port", "0", environment=environment, stderr=subprocess.PIPE) as server:
        try:
            shown = launch.wait_until_ready(server, 20)
            assert shown is not None
            login = basic("admin", shown["admin_password"])
            got = {get(shown["port"], "/admin/stats", login).status for _ in range(MANY)}
        finally:
            server.terminate()
            _, said = server.communicate(timeout=20)
    assert got == {200}
    assert shown["source_password"].encode() in said


LOG_SIZE = 3000


@pytest.mark.pycast(logging={"logsize": LOG_SIZE, "logarchive": True})
def test_workers_rotate_their_log_once_and_lose_no_line(pycast_server: Server) -> None:
    asked = {f"/page-{number}" for number in range(300)}
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda path: get(pycast_server.port, path).status, asked)) == {404}

    def files() -> list[Path]:
        return list(pycast_server.directory.glob("access.log*"))

    def logged() -> list[str]:
        lines = [line for file in files() for line in file.read_text().splitlines()]
        return sorted(line.split()[6] for line in lines if "/page-" in line)

    until(lambda: len(logged()) >= len(asked), "all lines")
    assert logged() == sorted(asked)
    rotated = [file.stat().st_size for file in files() if file.name != "access.log"]
    # Who came second has not renamed the new file as well: that would be small.
    assert rotated and min(rotated) >= LOG_SIZE


@pytest.mark.pycast(max_redirect_slaves=1, mount=[{"mount_name": MOUNT, "max_listeners": 0}])
def test_slave_that_one_worker_has_heard_from_gets_listeners_of_all(pycast_server: Server) -> None:
    relay = basic("admin", pycast_server.admin_password)
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(100)
        until(lambda: get(pycast_server.port, "/admin/streams", relay).body.endswith(b"\r\n"), "the mount")

        def places() -> set[str]:
            # As a slave does, again and again.
            asked = get(pycast_server.port, "/admin/streams?rserver=slave.example&rport=8001&interval=60", relay)
            assert asked.body == f"/admin/streams?mount={MOUNT}\r\n".encode()
            return {get(pycast_server.port, f"{MOUNT}?a=b").header("Location") for _ in range(MANY)}

        until(lambda: places() == {f"http://slave.example:8001{MOUNT}?a=b"}, "every worker to know the slave")

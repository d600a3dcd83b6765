"""The admin's commands: their effects, their targets, and who may use them."""

from xml.etree import ElementTree

import pytest

from pycast.testing import Server
from tests.e2e.wire import Reply, Wire, basic, get

MOUNT = "/live.mp3"


def admin(server: Server, command: str) -> Reply:
    return get(server.port, f"/admin/{command}", basic("admin", server.admin_password))


def message(reply: Reply) -> tuple[str | None, str | None]:
    tree = ElementTree.fromstring(reply.body)
    return tree.findtext("message"), tree.findtext("return")


def test_killclient_ends_that_listener_alone(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        first, second = (pycast_server.listen(MOUNT, headers={"User-Agent": name}) for name in ("first", "second"))
        with first, second:
            pycast_server.wait_for_listeners(MOUNT, 2)
            tree = ElementTree.fromstring(admin(pycast_server, f"listclients?mount={MOUNT}").body)
            found = {one.findtext("UserAgent"): one.findtext("ID") for one in tree.iter("listener")}
            assert set(found) == {"first", "second"}
            reply = admin(pycast_server, f"killclient?mount={MOUNT}&id={found['first']}")
            assert message(reply) == (f"Client {found['first']} removed", "1")
            first.wait_for_end()
            stream.send(10)
            second.wait_for_frames(10)
            assert second.frames.is_exactly(range(10)) and first.size == 0
            assert message(admin(pycast_server, f"killclient?mount={MOUNT}&id=999999")) == (
                "Client 999999 not found",
                "0",
            )


@pytest.mark.pycast(source_grace=0)
def test_killsource_ends_the_source_and_its_mount(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        pycast_server.wait_for_source(MOUNT)
        assert message(admin(pycast_server, f"killsource?mount={MOUNT}")) == ("Source Removed", "1")
        assert stream.wait_for_disconnect() == "the server closed the connection"
    pycast_server.wait_until(lambda: get(pycast_server.port, MOUNT).status == 404, 5, "the mount to end")


def test_listclients_gives_address_agent_time_and_id(pycast_server: Server) -> None:
    agent = {"User-Agent": "Radio <1> & more"}
    with pycast_server.stream(MOUNT, speed=0), pycast_server.listen(MOUNT, headers=agent):
        tree = ElementTree.fromstring(admin(pycast_server, f"listclients?mount={MOUNT}").body)
    assert tree.find("source") is not None
    assert (tree.findtext("source/Listeners"), tree.findtext("source/listeners")) == ("1", "1")
    one = tree.find("source/listener")
    assert one is not None
    assert (one.findtext("IP"), one.findtext("UserAgent")) == ("127.0.0.1", "Radio <1> & more")
    assert (one.findtext("Connected") or "").isdigit() and (one.findtext("ID") or "").isdigit()


@pytest.mark.parametrize(
    "command",
    [
        "stats",
        "stats.xml",
        "listmounts",
        f"listclients?mount={MOUNT}",
        f"killsource?mount={MOUNT}",
        f"killclient?mount={MOUNT}&id=1",
    ],
)
def test_commands_are_for_the_admin(command: str, pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        assert get(pycast_server.port, f"/admin/{command}").status == 401
        assert get(pycast_server.port, f"/admin/{command}", basic("admin", "wrong")).status == 401
        pycast_server.wait_for_source(MOUNT)


def test_titles_may_be_set_by_source_and_admin_alone(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        path = f"/admin/metadata?mode=updinfo&mount={MOUNT}&song="
        assert get(pycast_server.port, f"{path}A").status == 401
        assert get(pycast_server.port, f"{path}B", basic("source", pycast_server.source_password)).status == 200
        assert get(pycast_server.port, f"{path}C", basic("admin", pycast_server.admin_password)).status == 200
        pycast_server.wait_for_title(MOUNT, "C")
        assert pycast_server.titles(MOUNT) == ["B", "C"]


def test_commands_for_a_mount_that_is_not_there_say_so(pycast_server: Server) -> None:
    reply = admin(pycast_server, "listclients?mount=/none.mp3")
    assert reply.status == 400
    assert b"Source does not exist" in reply.body


def test_listmounts_and_stats_name_the_mount(pycast_server: Server) -> None:
    headers = {"Ice-Name": "N", "Ice-Genre": "G", "Ice-Audio-Info": "bitrate=128;channels=2"}
    with pycast_server.stream(MOUNT, headers=headers, speed=0) as stream:
        stream.send(100)
        mounts = ElementTree.fromstring(admin(pycast_server, "listmounts").body)
        assert [one.get("mount") for one in mounts.iter("source")] == [MOUNT]
        stats = ElementTree.fromstring(admin(pycast_server, "stats").body).find("source")
        assert stats is not None
        found = {element.tag: element.text for element in stats}
        assert (found["server_name"], found["genre"], found["bitrate"]) == ("N", "G", "128")
        assert found["listenurl"] == f"http://localhost:{pycast_server.port}{MOUNT}"


def test_title_of_an_ogg_mount_is_shown_though_its_audio_is_left_as_it_is(pycast_server: Server) -> None:
    with pycast_server.stream("/x.ogg", headers={"Content-Type": "application/ogg"}, speed=0):
        reply = admin(pycast_server, "metadata?mode=updinfo&mount=/x.ogg&artist=Nobody&title=Nothing")
        assert message(reply) == ("Metadata update successful", "1")
        status = get(pycast_server.port, "/status-json.xsl").body
        assert b'"artist":"Nobody"' in status
        assert b'"title":"Nothing"' in status


def test_webm_mount_takes_no_titles(pycast_server: Server) -> None:
    with pycast_server.stream("/x.webm", headers={"Content-Type": "video/webm"}, speed=0):
        reply = admin(pycast_server, "metadata?mode=updinfo&mount=/x.webm&song=Nothing")
        assert message(reply) == ("Mountpoint will not accept URL updates", "1")


def test_admin_cgi_takes_titles_with_the_sources_password(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        path = f"/admin.cgi?mode=updinfo&mount={MOUNT}&song=Old+way&pass="
        assert get(pycast_server.port, f"{path}wrong").status == 401
        reply = get(pycast_server.port, path + pycast_server.source_password)
        assert b"<p>Metadata update successful</p>" in reply.body
        pycast_server.wait_for_title(MOUNT, "Old way")


def test_changes_are_told_to_a_statistics_client_and_a_reload_can_be_asked_for(pycast_server: Server) -> None:
    login = basic("admin", pycast_server.admin_password)
    with Wire(pycast_server.port) as wire:
        wire.send(f"STATS / HTTP/1.0\r\n{login}\r\n")
        assert wire.read_head().status == 200
        assert b"EVENT global admin " in wire.read_to(b"EVENT global stats 1\n")
        with pycast_server.stream(MOUNT, speed=0):
            wire.read_to(f"EVENT {MOUNT} server_type audio/mpeg\n".encode())
        config = pycast_server.config_path
        config.write_text(f'{config.read_text()}\n[server]\nlocation = "Mars"\n')
        assert message(admin(pycast_server, "function?perform=updatecfg"))[1] == "1"
        wire.read_to(b"EVENT global location Mars\n")

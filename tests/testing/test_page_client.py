"""One request for one page, with a password or without, and an error that says what is wrong."""

import socket
import threading

import pytest

from pycast.testing import Server
from pycast.testing.page_client import get_page, mounts_in


def test_pages_are_asked_for_with_and_without_a_password(pycast_shared_server: Server) -> None:
    server = pycast_shared_server
    assert get_page(server.host, server.port, "/livez") == (200, b"alive\n")
    assert get_page(server.host, server.port, "/admin/listmounts")[0] == 401
    login = server.admin_user, server.admin_password
    status, page = get_page(server.host, server.port, "/admin/listmounts", login=login)
    assert status == 200 and mounts_in(page) == {}


def test_mounts_have_listeners_and_maybe_a_source() -> None:
    page = b"""<?xml version="1.0"?><icestats>
<source mount="/a"><listeners>3</listeners><content-type>audio/mpeg</content-type></source>
<source mount="/b"><listeners>0</listeners></source></icestats>"""
    assert mounts_in(page) == {"/a": (3, True), "/b": (0, False)}


def test_what_is_no_answer_is_a_connection_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.recv(1000)
                taken.sendall(b"ICY 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionError, match="none that is HTTP"):
            get_page("127.0.0.1", listening.getsockname()[1], "/")
        thread.join()

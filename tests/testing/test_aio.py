"""Coroutines wait for a server while their loop goes on, in which source and listener run too."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pycast.testing import Server, ServerRefused, ServerTimeout
from tests.e2e.wire import frames

MOUNT = "/live.mp3"


@asynccontextmanager
async def source(server: Server, password: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A source that lives in the loop of the test."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    login = base64.b64encode(f"source:{password}".encode()).decode()
    head = f"SOURCE {MOUNT} HTTP/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n"
    writer.write(head.encode() + frames(0, 50))
    try:
        yield writer
    finally:
        writer.close()


def test_source_listener_and_waits_live_in_one_loop() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def play() -> None:
        async with Server(burst_size="64k") as server, source(server, server.source_password):
            counting = asyncio.create_task(count())
            await server.aio.wait_for_source(MOUNT)
            async with server.aio.listen(MOUNT, icy=True) as listener:
                assert listener.status == 200 and "icy-metaint" in listener.headers
                await server.aio.wait_for_listeners(MOUNT, 1)
                assert await listener.read(1000) in frames(0, 50)
                title = f"/admin/metadata?mode=updinfo&mount={MOUNT}&song=One"
                assert (await server.aio.get(title, admin=True))[0] == 200
                await server.aio.wait_for_title(MOUNT, "One")
            await server.aio.wait_for_listeners(MOUNT, 0)
            assert await server.aio.call(server.titles, MOUNT) == ["One"]
            async with server.aio.listen("/none.mp3") as listener:
                assert listener.status == 404
                assert len(await listener.read(1_000_000)) < 1000
            counting.cancel()
            assert turns > 10

    asyncio.run(play())


@pytest.mark.parametrize("mount", ["/tea & cake.mp3", "/köln.mp3"])
def test_listener_asks_for_a_mount_of_any_name(mount: str) -> None:
    async def play() -> None:
        async with Server() as server:
            with server.stream(mount):
                async with server.aio.listen(mount) as listener:
                    assert (listener.status, len(await listener.read(1000))) == (200, 1000)

    asyncio.run(play())


def test_waits_fail_at_once_at_their_deadline_and_when_cancelled() -> None:
    asked = 0

    async def never() -> bool:
        nonlocal asked
        asked += 1
        return False

    async def fail() -> None:
        server = await Server().aio.start()
        try:
            async with source(server, "wrong"):
                with pytest.raises(ServerRefused, match="401 wrong source credentials"):
                    await server.aio.wait_for_source(MOUNT, timeout=60)
            with pytest.raises(ServerTimeout, match=r"waited 0.05 s for nothing"):
                await server.aio.wait_until(never, 0.05, "nothing")
            waiting = asyncio.create_task(server.aio.wait_until(never, 60, "nothing"))
            before = asked
            while asked < before + 3:
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await server.aio.restart()
            await server.aio.wait_until(lambda: server.exit_status is None, 5, "its life")
        finally:
            await server.aio.stop()

    asyncio.run(fail())


def test_an_error_beside_a_server_of_a_coroutine_has_its_log() -> None:
    async def fail() -> None:
        async with Server():
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(fail())
    assert "is ready at" in caught.value.__notes__[0]

"""A server under test for coroutines: `await server.aio.wait_for_source("/live.mp3")`, in the event loop of the test.

The methods of `Server` block, and with them an encoder or a player that runs in the same loop. These let the loop run;
what asks the server is done in a thread. The one invariant: whoever is cancelled leaves no wait behind that goes on.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol, TypeVar

from pycast.testing.failures import ServerTimeout
from pycast.testing.waits import POLL_S, Awaited, Watched, listeners_on, source_on, title_on
from pycast.testing.wire_heads import as_target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__tracebackhide__ = True

ResultT = TypeVar("ResultT")
ArgumentsT = ParamSpec("ArgumentsT")

_OVER = object()


class Blocking(Watched, Protocol):
    """A `Server`, with what is used of it here."""

    host: str
    port: int

    @property
    def url(self) -> str: ...
    def start(self) -> object: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...
    def ssl_context(self) -> "ssl.SSLContext": ...
    def get(self, path: str, *, admin: bool = False, timeout: float = 10.0) -> tuple[int, bytes]: ...
    def polls(self, awaited: Awaited, timeout: float, despite_refusals: bool = False) -> "Iterator[None]": ...


ServerT = TypeVar("ServerT", bound=Blocking)


class AsyncListener:
    """A listener in the loop: what the server has answered, and its bytes as they come."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader) -> None:
        """`headers` are by their names in lower case."""
        self.status = status
        self.headers = headers
        self._reader = reader

    async def read(self, size: int, timeout: float = 10.0) -> bytes:
        """Returns the next `size` bytes, fewer if the stream ends. Raises TimeoutError."""
        try:
            return await asyncio.wait_for(self._reader.readexactly(size), timeout)
        except asyncio.IncompleteReadError as end:
            return end.partial


class AsyncServer(Generic[ServerT]):
    """What coroutines do with a server. Each method is that of `Server`."""

    def __init__(self, server: ServerT) -> None:
        self._server = server

    async def start(self) -> ServerT:
        """Starts the server, and returns it."""
        await asyncio.to_thread(self._server.start)
        return self._server

    async def stop(self) -> None:
        """Stops the server."""
        await asyncio.to_thread(self._server.stop)

    async def restart(self) -> None:
        """Starts it again on the same port."""
        await asyncio.to_thread(self._server.restart)

    async def call(
        self, function: Callable[ArgumentsT, ResultT], *args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs
    ) -> ResultT:
        """Returns `function(*args)`, called in a thread: for whatever else blocks, of the server or not."""
        return await asyncio.to_thread(function, *args, **kwargs)

    async def get(self, path: str, *, admin: bool = False, timeout: float = 10.0) -> tuple[int, bytes]:
        """Returns status and body of a GET, which has the admin's credentials if `admin` is set."""
        return await asyncio.to_thread(self._server.get, path, admin=admin, timeout=timeout)

    async def wait_for_source(self, mount: str, timeout: float = 10.0, *, despite_refusals: bool = False) -> None:
        """Returns once a source feeds `mount`."""
        await self._wait(source_on(self._server, mount), timeout, despite_refusals)

    async def wait_for_listeners(
        self, mount: str, count: int, timeout: float = 10.0, *, despite_refusals: bool = False
    ) -> None:
        """Returns once `mount` has exactly `count` listeners."""
        await self._wait(listeners_on(self._server, mount, count), timeout, despite_refusals)

    async def wait_for_title(
        self, mount: str, title: str, timeout: float = 10.0, *, despite_refusals: bool = False
    ) -> None:
        """Returns once `mount` has had `title`."""
        await self._wait(title_on(self._server, mount, title), timeout, despite_refusals)

    async def wait_until(self, is_so: Callable[[], object | Awaitable[object]], timeout: float, what: str) -> None:
        """Returns once `is_so()`, a function or a coroutine function, is true. It is called in the loop."""
        latest = await _answer(is_so)
        polls = self._server.polls(Awaited(lambda: latest, what), timeout)
        while await asyncio.to_thread(next, polls, _OVER) is not _OVER:
            await asyncio.sleep(POLL_S)
            latest = await _answer(is_so)

    @asynccontextmanager
    async def listen(self, mount: str, *, icy: bool = False, timeout: float = 10.0) -> AsyncIterator[AsyncListener]:
        """Yields a listener of `mount`, or what was answered to it; `icy` asks for titles in the stream."""
        server = self._server
        context = server.ssl_context() if server.url.startswith("https:") else None
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
        try:
            host, titles = f"Host: {server.host}:{server.port}\r\n", "Icy-MetaData: 1\r\n" if icy else ""
            writer.write(f"GET {as_target(mount)} HTTP/1.0\r\n{host}{titles}\r\n".encode())
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout)
            except TimeoutError:
                raise ServerTimeout(f"no answer to a listener of {mount} within {timeout:g} s") from None
            first, *lines = head.decode("latin-1").splitlines()
            pairs = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            yield AsyncListener(int(first.split()[1]), headers, reader)
        finally:
            writer.close()

    async def _wait(self, awaited: Awaited, timeout: float, despite_refusals: bool) -> None:
        polls = self._server.polls(awaited, timeout, despite_refusals)
        while await asyncio.to_thread(next, polls, _OVER) is not _OVER:
            await asyncio.sleep(POLL_S)


async def _answer(is_so: Callable[[], object | Awaitable[object]]) -> object:
    answer = is_so()
    return await answer if inspect.isawaitable(answer) else answer

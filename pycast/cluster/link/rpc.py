"""Questions to other nodes and their answers, over one link to each.

A link is opened by who wants to ask, and questions go one way on it: from the caller to the answerer. Each question has
a number, so many may be under way, and a deadline. What a node answers is in `handlers`, one row a question.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import gevent
from gevent.event import AsyncResult

from pycast.cluster.link.frames import Kind, LinkError, read_json
from pycast.cluster.link.link import Connector, DialFailed, Link
from pycast.errors import ExternalError
from pycast.net.group import Group
from pycast.signals import Signal

log = logging.getLogger(__name__)

ASK_S = 1.0

Message = dict[str, Any]
Handler = Callable[[Message], Message | None]
"""Takes a question, gives the answer; None for what was only told. May switch. Raises ValueError for nonsense."""


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A link to another node has ended by itself."""

    address: str


class NoAnswer(ExternalError):
    """A node did not answer. `is_refused`: nothing listens at its address."""

    def __init__(self, text: str, *, is_refused: bool = False) -> None:
        super().__init__(text)
        self.is_refused = is_refused


class RpcClient:
    """Asks the nodes at their addresses. Links are opened when first needed and kept."""

    def __init__(self, connector: Connector, group: Group) -> None:
        self.link_lost: Signal[LinkLost] = Signal()
        self._connector = connector
        self._group = group
        self._calls: dict[str, _Caller] = {}

    def call(self, address: str, what: str, message: Message, timeout: float = ASK_S) -> Message:
        """The answer. Raises NoAnswer. May switch."""
        return self._caller(address).call(what, message, timeout)

    def call_all(self, addresses: list[str], what: str, message: Message, timeout: float = ASK_S) -> dict[str, Message]:
        """The answers of those who answer in time, by address. May switch."""
        found: dict[str, Message] = {}

        def one(address: str) -> None:
            try:
                found[address] = self.call(address, what, message, timeout)
            except NoAnswer as error:
                log.debug("! %s: %s", what, error)

        tasks = [self._group.spawn(f"ask {address}", one, address) for address in addresses]
        gevent.joinall(tasks, timeout=timeout + 0.1)
        return dict(found)

    def notify(self, address: str, what: str, message: Message) -> None:
        """Says something that needs no answer. Raises NoAnswer if it cannot be said. May switch."""
        self._caller(address).notify(what, message)

    def hang_up(self, address: str) -> None:
        """Closes the link to a node, if there is one."""
        caller = self._calls.pop(address, None)
        if caller is not None:
            caller.close()

    def stop(self) -> None:
        """Closes all links."""
        for address in list(self._calls):
            self.hang_up(address)

    def _caller(self, address: str) -> "_Caller":
        caller = self._calls.get(address)
        if caller is None or caller.is_closed:
            caller = self._calls[address] = _Caller(self._connector, self._group, address, self._lost)
        return caller

    def _lost(self, address: str) -> None:
        self.link_lost.emit(LinkLost(address))


class _Caller:
    """Our end of a link on which we ask."""

    def __init__(self, connector: Connector, group: Group, address: str, on_lost: Callable[[str], None]) -> None:
        self._connector = connector
        self._group = group
        self._address = address
        self._on_lost = on_lost
        self._link: AsyncResult[Any] | None = None
        self._waiting: dict[int, AsyncResult[Any]] = {}
        self._numbers = 0
        self.is_closed = False

    def call(self, what: str, message: Message, timeout: float) -> Message:
        answer: AsyncResult[Any] = AsyncResult()
        with gevent.Timeout(timeout, NoAnswer(f"{self._address} did not answer {what} within {timeout:g} s")):
            link = self._linked()
            self._numbers += 1
            number = self._numbers
            self._waiting[number] = answer
            try:
                self._write(link, Kind.CALL, {"n": number, "what": what, "with": message})
                return cast(Message, answer.get())
            finally:
                self._waiting.pop(number, None)

    def notify(self, what: str, message: Message) -> None:
        self._write(self._linked(), Kind.NOTIFY, {"what": what, "with": message})

    def close(self) -> None:
        self.is_closed = True
        link = self._link.get_nowait() if self._link is not None and self._link.successful() else None
        if link is not None:
            link.close()
        error = NoAnswer(f"the link to {self._address} was closed")
        for answer in self._waiting.values():
            answer.set_exception(error)

    def _linked(self) -> Link:
        """The open link; whoever comes first opens it, the others wait."""
        if self._link is not None:
            try:
                return cast(Link, self._link.get())
            except DialFailed as error:
                raise NoAnswer(str(error), is_refused=error.is_refused) from error
        self._link = AsyncResult()
        try:
            link = self._connector.dial(self._address)
            if self.is_closed:
                link.close()
                raise DialFailed(f"the link to {self._address} was closed while it was opened")
        except DialFailed as error:
            self.is_closed = True
            self._link.set_exception(error)
            raise NoAnswer(str(error), is_refused=error.is_refused) from error
        except BaseException:  # this greenlet's own deadline
            self.is_closed = True
            self._link.set_exception(DialFailed(f"{self._address} does not answer"))
            raise
        self._link.set(link)
        self._group.spawn(f"answers of {self._address}", self._read, link)
        return link

    def _write(self, link: Link, kind: Kind, value: Message) -> None:
        try:
            link.write_json(kind, value)
        except OSError as error:
            self.close()
            raise NoAnswer(f"the link to {self._address} broke: {error}") from error

    def _read(self, link: Link) -> None:
        try:
            while (frame := link.read(None)) is not None:
                kind, payload = frame
                if kind is not Kind.REPLY:
                    raise LinkError(f"{kind.name} where an answer was due")
                answer = read_json(payload)
                waiting = self._waiting.get(answer.get("n", 0))
                if waiting is not None:
                    waiting.set(answer.get("with") if isinstance(answer.get("with"), dict) else {})
        except (OSError, LinkError) as error:
            log.debug("! link to %s: %s", self._address, error)
        finally:
            if not self.is_closed:
                self.close()
                self._on_lost(self._address)


class RpcServer:
    """What this node answers."""

    def __init__(self, group: Group) -> None:
        self.handlers: dict[str, Handler] = {}
        self._group = group

    def serve(self, link: Link, first: tuple[Kind, bytes]) -> None:
        """Answers the questions that come on a link until it ends. What is told is taken in its order; a question is
        answered in a greenlet of its own. Raises OSError, LinkError. May switch.
        """
        frame: tuple[Kind, bytes] | None = first
        while frame is not None:
            kind, payload = frame
            message = read_json(payload)
            if kind is Kind.NOTIFY:
                self._handle(message)
            elif kind is Kind.CALL:
                self._group.spawn(f"answer to {message.get('what')}", self._answer, link, message)
            else:
                raise LinkError(f"{kind.name} where a question was due")
            frame = link.read(None)

    def _answer(self, link: Link, message: Message) -> None:
        answer = self._handle(message)
        try:
            link.write_json(Kind.REPLY, {"n": message.get("n"), "with": answer or {}})
        except OSError as error:
            log.debug("! an answer to %s could not be given: %s", message.get("what"), error)

    def _handle(self, message: Mapping[str, Any]) -> Message | None:
        what, body = message.get("what"), message.get("with")
        handler = self.handlers.get(what) if isinstance(what, str) else None
        if handler is None or not isinstance(body, dict):
            log.warning("another node asks what this one does not know: %.80r", what)
            return {"error": "unknown question"}
        try:
            return handler(body)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("another node asks %s in a way that makes no sense: %r", what, error)
            return {"error": str(error)}

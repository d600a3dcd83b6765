"""Questions to other nodes and their answers, over one link to each. What can be asked is in `questions.py`.

The node that asks opens the link, and on it questions go only from this caller to the answerer. Each question has a
number, so that many may be under way, and a deadline. As JSON:

    CALL    {"n": number, "what": name, "with": the question}
    NOTIFY  {"what": name, "with": the notification}
    REPLY   {"n": number, "with": the answer}, or {"n": number, "error": text}

The one invariant: a handler gets a whole question of its class, and a caller gets a whole answer or `NoAnswer`.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import gevent
from gevent.event import AsyncResult

from pycast.cluster.codec import encode
from pycast.cluster.link.frames import Kind, LinkError, Malformed, read_json
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.link import Connector, DialFailed, Link
from pycast.cluster.link.message_kinds import Notification, Question, answer_type
from pycast.cluster.link.peer_checks import PeerChecks
from pycast.cluster.link.questions import SHOWN_ONLY, WIRE_NAMES
from pycast.errors import ExternalError
from pycast.net.group import Group
from pycast.signals import Signal

log = logging.getLogger(__name__)

ASK_S = 1.0

# How many characters of another node's error text are shown.
_SHOWN = 200

AnswerT = TypeVar("AnswerT")
MessageT = TypeVar("MessageT", bound=Question[Any] | Notification)

_Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A link to another node has ended, but not because this node closed it."""

    address: str


class NoAnswer(ExternalError):
    """The error of a node that did not answer. `is_refused`: nothing listens at its address. `leads_to`: the node to
    which the address leads, which advertises another one.
    """

    def __init__(self, text: str, *, is_refused: bool = False, leads_to: NodeIdentity | None = None) -> None:
        super().__init__(text)
        self.is_refused = is_refused
        self.leads_to = leads_to


class BadAnswer(NoAnswer):
    """The error of a node that has answered with an error or with a malformed answer."""


class MalformedAnswer(BadAnswer):
    """The error of a node that has answered with nonsense."""


class RpcClient:
    """The caller of other nodes, by address. Links are opened when they are first needed, and kept."""

    def __init__(self, connector: Connector, group: Group) -> None:
        self.link_lost: Signal[LinkLost] = Signal()
        self._connector = connector
        self._group = group
        self._calls: dict[str, _Caller] = {}

    def call(self, address: str, question: Question[AnswerT], timeout: float = ASK_S) -> AnswerT:
        """Returns the answer. Raises NoAnswer. May switch."""
        name = WIRE_NAMES[type(question)]
        peer, answer = self._caller(address).call(name, encode(question), timeout)
        checks = self._connector.checks
        try:
            return checks.read(peer, answer_type(type(question)), answer)
        except Malformed as error:
            is_shown_only = type(question) in SHOWN_ONLY
            checks.blame(peer, f"its answer to {name}: {error}", blocks=not is_shown_only)
            if not is_shown_only:
                self.hang_up(address)
            raise MalformedAnswer(f"{address} gives a malformed answer to {name}: {error}") from error

    def call_all(
        self, addresses: Sequence[str], question: Question[AnswerT], timeout: float = ASK_S, *, follows: bool = False
    ) -> dict[str, AnswerT]:
        """Asks several nodes at once. Returns the answers that came in time, by address. `follows`: a node to which an
        address leads, and which advertises another one, is asked there. May switch.
        """
        found: dict[str, AnswerT] = {}

        def one(address: str, follows: bool) -> None:
            try:
                found[address] = self.call(address, question, timeout)
            except NoAnswer as error:
                # One that is malformed has been logged, once (`peer_checks.py`).
                is_news = isinstance(error, BadAnswer) and not isinstance(error, MalformedAnswer)
                log.log(logging.WARNING if is_news else logging.DEBUG, "! %s", error)
                if follows and error.leads_to is not None and error.leads_to.address not in addresses:
                    one(error.leads_to.address, follows=False)

        tasks = [self._group.spawn(f"ask {address}", one, address, follows) for address in addresses]
        gevent.joinall(tasks, timeout=timeout + 0.1)
        return dict(found)

    def notify(self, address: str, notification: Notification) -> None:
        """Sends a message that has no answer. Raises NoAnswer if it cannot be sent. May switch."""
        self._caller(address).notify(WIRE_NAMES[type(notification)], encode(notification))

    def notify_all(self, addresses: Iterable[str], notification: Notification, timeout: float) -> None:
        """Sends a message that has no answer to several nodes at once: one that cannot be reached takes no time from
        the others. May switch, for `timeout` at most.
        """

        def one(address: str) -> None:
            with suppress(NoAnswer):
                self.notify(address, notification)

        tasks = [self._group.spawn(f"tell {address}", one, address) for address in addresses]
        gevent.joinall(tasks, timeout=timeout)
        gevent.killall(tasks, block=False)

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
            # Nodes come and go, each with an address of its own.
            self._calls = {known: one for known, one in self._calls.items() if not one.is_closed}
            caller = self._calls[address] = _Caller(self._connector, self._group, address, self._lost)
        return caller

    def _lost(self, address: str) -> None:
        self.link_lost.emit(LinkLost(address))


class _Caller:
    """The caller's end of a link."""

    def __init__(self, connector: Connector, group: Group, address: str, on_lost: Callable[[str], None]) -> None:
        self._connector = connector
        self._group = group
        self._address = address
        self._on_lost = on_lost
        self._link: AsyncResult[Any] | None = None
        self._waiting: dict[int, AsyncResult[Any]] = {}
        self._numbers = 0
        self.is_closed = False

    def call(self, what: str, message: _Frame, timeout: float) -> tuple[NodeIdentity, object]:
        """Returns who answers, and the answer, not checked yet. Raises NoAnswer. May switch."""
        waiting: AsyncResult[Any] = AsyncResult()
        with gevent.Timeout(timeout, NoAnswer(f"{self._address} did not answer {what} within {timeout:g} s")):
            link = self._linked()
            self._numbers += 1
            number = self._numbers
            self._waiting[number] = waiting
            try:
                self._write(link, Kind.CALL, {"n": number, "what": what, "with": message})
                reply = cast(_Frame, waiting.get())
            finally:
                self._waiting.pop(number, None)
        if "error" in reply:
            error = reply["error"]
            text = error[:_SHOWN] if isinstance(error, str) else "an error"
            raise BadAnswer(f"{self._address} does not answer {what}: {text}")
        return link.peer, reply.get("with")

    def notify(self, what: str, message: _Frame) -> None:
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
        """Returns the open link. The first caller opens it, others wait for that. Raises NoAnswer. May switch."""
        if self._link is not None:
            try:
                return cast(Link, self._link.get())
            except DialFailed as error:
                raise _no_answer(error) from error
        self._link = AsyncResult()
        try:
            link = self._connector.dial(self._address)
            if self.is_closed:
                link.close()
                raise DialFailed(f"the link to {self._address} was closed while it was opened")
        except DialFailed as error:
            self.is_closed = True
            self._link.set_exception(error)
            raise _no_answer(error) from error
        except BaseException:  # this greenlet's own deadline
            self.is_closed = True
            self._link.set_exception(DialFailed(f"{self._address} does not answer"))
            raise
        self._link.set(link)
        self._group.spawn(f"answers of {self._address}", self._read, link)
        return link

    def _write(self, link: Link, kind: Kind, value: _Frame) -> None:
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
                    raise Malformed(f"a frame of kind {kind.name}, expected an answer")
                reply = read_json(payload)
                number = reply.get("n")
                waiting = self._waiting.get(number) if isinstance(number, int) else None
                if waiting is not None:
                    waiting.set(reply)
        except (OSError, LinkError) as error:
            log.debug("! link to %s: %s", self._address, error)
            if isinstance(error, Malformed):
                self._connector.checks.blame(link.peer, error)
        finally:
            if not self.is_closed:
                self.close()
                self._on_lost(self._address)


def _no_answer(error: DialFailed) -> NoAnswer:
    return NoAnswer(str(error), is_refused=error.is_refused, leads_to=error.leads_to)


class RpcServer:
    """The answerer of this node, with a handler for each class of messages."""

    def __init__(self, group: Group, checks: PeerChecks) -> None:
        self._checks = checks
        self._handlers: dict[str, _Handler] = {}
        self._group = group

    def on(
        self,
        kind: type[MessageT],
        handler: Callable[[MessageT], object],
        *,
        may: Callable[[NodeIdentity], bool] | None = None,
        is_in_order: bool = False,
    ) -> None:
        """Registers `handler` for the questions or notifications of a class. It returns the question's answer, and None
        for a notification. It may switch, unless `is_in_order`. `may` tells which nodes may ask; None: all.

        Notifications are handled in the order in which they arrive. Each question has a greenlet of its own, so what
        follows on the link may overtake it, unless `is_in_order`.
        """
        self._handlers[WIRE_NAMES[kind]] = _Handler(kind, handler, may, is_in_order)

    def serve(self, link: Link, first: tuple[Kind, bytes]) -> None:
        """Answers the questions on a link until it ends. Raises OSError, LinkError. May switch."""
        frame: tuple[Kind, bytes] | None = first
        complaints: set[str] = set()
        while frame is not None:
            kind, payload = frame
            message = read_json(payload)
            if kind is Kind.NOTIFY:
                self._handle(link.peer, message, complaints)
            elif kind is not Kind.CALL:
                raise Malformed(f"a frame of kind {kind.name}, expected a question")
            elif (row := self._handler(message)) is not None and row.is_in_order:
                # Only the answer is sent by another greenlet: a node that does not read must not hold the others up.
                reply = self._handle(link.peer, message, complaints)
                self._group.spawn("answer to another node", self._reply, link, message, reply)
            else:
                self._group.spawn("answer to another node", self._answer, link, message, complaints)
            frame = link.read(None)

    def _answer(self, link: Link, message: _Frame, complaints: set[str]) -> None:
        try:
            reply = self._handle(link.peer, message, complaints)
        except LinkError as error:
            if isinstance(error, Malformed):
                self._checks.blame(link.peer, error)
            log.debug("! a link of node %s ends: %s", link.peer.node, error)
            link.close()
            return
        self._reply(link, message, reply)

    def _reply(self, link: Link, message: _Frame, reply: _Frame) -> None:
        try:
            link.write_json(Kind.REPLY, {"n": message.get("n"), **reply})
        except OSError as error:
            log.debug("! an answer to %.80r could not be sent: %s", message.get("what"), error)
            link.close()  # a part of the frame may have gone out: nobody could read what follows

    def _handler(self, message: _Frame) -> "_Handler | None":
        what = message.get("what")
        return self._handlers.get(what) if isinstance(what, str) else None

    def _handle(self, peer: NodeIdentity, message: _Frame, complaints: set[str]) -> _Frame:
        """Returns the fields of the reply. Raises LinkError if the link has to end."""
        what, row = message.get("what"), self._handler(message)
        if row is None:
            _complain(complaints, "", "another node asks an unknown question: %.80r", what)
            return {"error": "unknown question"}
        try:
            question = self._checks.read(peer, row.kind, message.get("with"))
        except Malformed as error:
            raise Malformed(f"{what}: {error}") from error
        if row.may is not None and not row.may(peer):
            raise LinkError(f"node {peer.node} may not ask {what}")
        try:
            answer = row.handle(question)
            return {"with": {} if answer is None else encode(answer)}
        except LinkError:
            raise
        except Exception:  # a bug of this node: the other one gets an error at once, and the link stays open
            log.exception("%s could not be answered", what)
            return {"error": "failed"}


@dataclass(frozen=True, slots=True)
class _Handler:
    """The handler of a class of messages."""

    kind: type[Any]
    handle: Callable[[Any], object]
    may: Callable[[NodeIdentity], bool] | None
    is_in_order: bool


def _complain(complaints: set[str], about: str, text: str, *args: object) -> None:
    """Logs a warning once for each link and question, because a faulty peer may repeat it a thousand times a second."""
    if about not in complaints:
        complaints.add(about)
        log.warning(text, *args)

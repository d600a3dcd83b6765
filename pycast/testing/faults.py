"""Faults to order: `with server.fault("/live.mp3", Stall(after=20_000)): …`.

A fault acts on the connections of a mount while its block lasts. What is about the answer hits connections that begin
in the block; what is about bytes hits those that are there as well, with their next bytes, and counts from then on.
When the block ends, what was held goes on. docs/testing.md has the table.

The one invariant: a fault changes what its docstring says, and nothing else.
"""

import re
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from pycast.testing.failures import ServerTimeout

if TYPE_CHECKING:
    import ssl

Flow = Generator[None, bytes, None]
"""Gets the bytes of a body with `yield`, and does with them what the fault is."""

Side = Literal["both", "players", "encoders"]
CertificateFlaw = Literal["expired", "wrong-name", "self-signed"]


class Target(Protocol):
    """A connection, with what faults do to it. All of these may wait, and raise when the connection is over."""

    metaint: int
    """After how many bytes each there is a title; 0 if there are none."""

    def deliver(self, data: bytes) -> None:
        """Passes bytes of the body on."""

    def pause(self, seconds: float) -> None:
        """Waits, but not longer than the fault lasts."""

    def hold(self) -> None:
        """Reads and passes on nothing as long as the fault lasts."""

    def finish(self, answer: bytes = b"") -> None:
        """Sends an answer, and ends the connection as usual."""

    def reset(self) -> None:
        """Ends the connection with RST."""

    def kick(self) -> None:
        """Ends the mount's source, by the server's admin interface."""


class Patient(Target, Protocol):
    """A connection, with what says whether a fault is meant for it."""

    mount: str
    is_source: bool
    is_own_source: bool
    """Whether it is one of `Server.stream`."""


class FaultDoor(Protocol):
    """Where faults are ordered."""

    changed: threading.Condition

    def order(self, fault: "OrderedFault") -> None: ...
    def withdraw(self, fault: "OrderedFault") -> None: ...


class Fault:
    """What all faults have in common: that they do nothing."""

    def ask(self, target: Target) -> None:
        """Acts on a request that the server has not seen."""

    def answer(self, target: Target, head: bytes) -> bytes:
        """Returns the head of the server's answer as it is to be sent."""
        return head

    def flow(self, target: Target) -> Flow | None:
        """Returns what acts on the body; None if it passes."""
        return None


@dataclass(frozen=True, slots=True)
class Refuse(Fault):
    """The door answers with this status, and the server does not see the request."""

    status: int = 403
    reason: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, target: Target) -> None:
        from http import HTTPStatus

        reason = self.reason or next((one.phrase for one in HTTPStatus if one == self.status), "Refused")
        body = self.body.encode()
        fields = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), "Connection": "Close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **self.headers}.items())
        target.finish(f"HTTP/1.0 {self.status} {reason}\r\n{lines}\r\n".encode() + body)


@dataclass(frozen=True, slots=True)
class MountInUse(Fault):
    """The door answers an encoder as Icecast does when another source has the mount: 403 Mountpoint in use."""

    def ask(self, target: Target) -> None:
        Refuse(403, "Forbidden", "Mountpoint in use").ask(target)


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """The door answers that the stream is elsewhere."""

    location: str
    status: int = 302

    def ask(self, target: Target) -> None:
        Refuse(self.status, headers={"Location": self.location}).ask(target)


@dataclass(frozen=True, slots=True)
class HangUp(Fault):
    """The door ends the connection after the request, without an answer."""

    def ask(self, target: Target) -> None:
        target.finish()


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """The request waits before the server gets it, and so does the answer."""

    seconds: float

    def ask(self, target: Target) -> None:
        target.pause(self.seconds)


@dataclass(frozen=True, slots=True)
class WrongContentType(Fault):
    """The answer names another content type."""

    content_type: str = "text/html"

    def answer(self, target: Target, head: bytes) -> bytes:
        line = b"\r\nContent-Type: " + self.content_type.encode()
        return re.sub(rb"(?i)\r\ncontent-type:[^\r\n]*", lambda _: line, head)


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """The body passes in pieces of `size` bytes, `every_s` seconds apart."""

    size: int = 1
    every_s: float = 0.05

    def flow(self, target: Target) -> Flow:
        while True:
            data = yield
            for at in range(0, len(data), self.size):
                target.deliver(data[at : at + self.size])
                target.pause(self.every_s)


@dataclass(frozen=True, slots=True)
class Stall(Fault):
    """After `after` bytes of the body nothing passes any more, and the connection stays."""

    after: int = 0

    def flow(self, target: Target) -> Flow:
        rest = yield from _deliver_up_to(target, self.after)
        target.hold()
        target.deliver(rest)
        while True:
            target.deliver((yield))


@dataclass(frozen=True, slots=True)
class Cut(Fault):
    """After `after` bytes of the body the connection ends as usual, with FIN."""

    after: int = 0

    def flow(self, target: Target) -> Flow:
        yield from _deliver_up_to(target, self.after)
        target.finish()


_FRAME = re.compile(rb"\xff[\xe2-\xff]|OggS")
_INTO_FRAME = 20


@dataclass(frozen=True, slots=True)
class CutInFrame(Fault):
    """The connection ends in the first frame or page of MP3, AAC, FLAC or Ogg that begins after `after` bytes."""

    after: int = 0

    def flow(self, target: Target) -> Flow:
        held = yield from _deliver_up_to(target, self.after)
        while True:
            found = _FRAME.search(held)
            if found is not None and found.start() + _INTO_FRAME <= len(held):
                target.deliver(held[: found.start() + _INTO_FRAME])
                target.finish()
            held += yield


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """After `after` bytes of the body the connection ends with RST."""

    after: int = 0

    def flow(self, target: Target) -> Flow:
        yield from _deliver_up_to(target, self.after)
        target.reset()


@dataclass(frozen=True, slots=True)
class BadIcyLength(Fault):
    """The length of each title block is wrong: it says `units` times 16 bytes more than there are."""

    units: int = 4

    def flow(self, target: Target) -> Flow | None:
        return self._flow(target) if target.metaint else None

    def _flow(self, target: Target) -> Flow:
        audio, block = target.metaint, 0
        while True:
            data = yield
            out = bytearray(data)
            at = 0
            while at < len(data):
                if audio:
                    step = min(audio, len(data) - at)
                    audio -= step
                elif block:
                    step = min(block, len(data) - at)
                    block -= step
                    audio = 0 if block else target.metaint
                else:
                    step, block = 1, data[at] * 16
                    out[at] = min(data[at] + self.units, 255)
                    audio = 0 if block else target.metaint
                at += step
            target.deliver(bytes(out))


@dataclass(frozen=True, slots=True)
class Kick(Fault):
    """After `after` bytes the server itself ends the source, as an admin orders it."""

    after: int = 0

    def flow(self, target: Target) -> Flow:
        rest = yield from _deliver_up_to(target, self.after)
        target.kick()
        target.deliver(rest)
        while True:
            target.deliver((yield))


@dataclass(frozen=True, slots=True)
class FlawedCertificate(Fault):
    """The server has another certificate, whichever mount is asked for: expired, for another name, or self-signed.

    The first two are signed by an authority, whose certificate is in `server.fault(…)`'s `authority`: who trusts that
    has only the one thing to complain of.
    """

    flaw: CertificateFlaw = "self-signed"


def _deliver_up_to(target: Target, after: int) -> Generator[None, bytes, bytes]:
    """Delivers `after` bytes. Returns those that came with the last of them, as soon as there are any."""
    while True:
        data = yield
        target.deliver(data[:after])
        rest, after = data[after:], max(after - len(data), 0)
        if rest:
            return rest


class OrderedFault:
    """A fault in force. Made by `Server.fault`, which explains the arguments."""

    def __init__(
        self,
        door: FaultDoor,
        mount: str,
        fault: Fault,
        *,
        on: Side = "both",
        times: int | None = None,
    ) -> None:
        self.fault = fault
        self.authority: Path | None = None
        """For a bad certificate: the file with the certificate of the authority that signed it, or with itself."""
        self._door = door
        self._mount, self._on, self._times = mount, on, times
        self._hit: list[Patient] = []
        self._files: TemporaryDirectory[str] | None = None
        self._tls: ssl.SSLContext | None = None
        self._is_over = False

    def __enter__(self) -> Self:
        if isinstance(self.fault, FlawedCertificate):
            self._make_certificate(self.fault.flaw)
        self._door.order(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._door.withdraw(self)
        if self._files is not None:
            self._files.cleanup()

    def __repr__(self) -> str:
        return f"<{self.fault} on {self._mount}: {self.hits} hits>"

    @property
    def hits(self) -> int:
        """How many connections it has acted on."""
        return len(self._hit)

    @property
    def is_over(self) -> bool:
        """Whether its block has ended."""
        return self._is_over

    @property
    def is_about_bytes(self) -> bool:
        """Whether it acts on bodies, also those of connections that are there."""
        return type(self.fault).flow is not Fault.flow

    @property
    def tls(self) -> "ssl.SSLContext | None":
        """What a bad certificate is in."""
        return self._tls

    def wait_for_hits(self, count: int = 1, timeout: float = 10.0) -> None:
        """Returns once it has acted on `count` connections. Raises ServerTimeout."""
        with self._door.changed:
            if not self._door.changed.wait_for(lambda: self.hits >= count, timeout):
                raise ServerTimeout(f"waited {timeout:g} s for {count} hits of {self}")

    def reserve(self, passage: Patient) -> bool:
        """Returns whether it acts on this connection, and counts it then."""
        with self._door.changed:
            if any(one is passage for one in self._hit):
                return True
            is_meant = self._tls is not None or (passage.mount == self._mount and self._is_for(passage))
            if not is_meant or self._is_over or self.hits == self._times:
                return False
            self._hit.append(passage)
            self._door.changed.notify_all()
            return True

    def _is_for(self, passage: Patient) -> bool:
        if self._on == "both":  # what a player under test listens to is to go on
            return not passage.is_own_source
        return self._on == ("encoders" if passage.is_source else "players")

    def ask(self, passage: Target) -> None:
        """Acts on a request that the server has not seen."""
        self.fault.ask(passage)

    def answer(self, passage: Target, head: bytes) -> bytes:
        """Returns the head of the server's answer as it is to be sent."""
        return self.fault.answer(passage, head)

    def flow(self, passage: Target) -> Flow | None:
        """Returns what acts on the body; None if it passes."""
        return self.fault.flow(passage)

    def _make_certificate(self, flaw: CertificateFlaw) -> None:
        from pycast.testing.bad_certificates import make_bad_certificate

        self._files = TemporaryDirectory(prefix="pycast-certificate-")
        made = make_bad_certificate(Path(self._files.name), flaw)
        self.authority = made.authority
        self._tls = made.context()

"""What a server is asked and told about listeners, sources and mounts, and what its answers mean: Icecast's form.

Pure. The fields, their order and their escapes are Icecast 2.4.4's (auth_url.c). An answer is judged by its headers
only: one that equals `auth_header` lets in, whatever the status is. Further headers of icecast-kh and Icecast 2.5 are
understood as well; a server that does not know them does not send them.

Invariant: only an answer that says so lets anybody in.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pycast.config.mount_authentication import MountAuthentication

Field = tuple[str, str]

# Icecast 2.5's names, which it understands beside the configured ones.
RESULT, TIMELIMIT, MESSAGE = "x-icecast-auth-result", "x-icecast-auth-timelimit", "x-icecast-auth-message"

_ESCAPED = re.compile(rb"[^0-9A-Za-z]")
# icecast-kh: "403 not in your country" is the status of the answer too.
_STATUS = re.compile(r"(4\d\d|5\d\d)(?:\s+(.*))?\Z", re.DOTALL)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WEB = re.compile(r"https?://[!-~]{1,2000}\Z", re.IGNORECASE)


class AuthAnswer(NamedTuple):
    """An answer: its status and its headers, the names in lower case."""

    status: int
    headers: tuple[Field, ...]

    def get(self, name: str) -> str:
        """Returns the last value of a header, empty if it is not there."""
        return next((value for key, value in reversed(self.headers) if key == name.lower()), "")


class Judgement(NamedTuple):
    """What an answer says about somebody."""

    is_let_in: bool
    user: str = ""
    """The name that the answer gives to the listener."""
    limit_s: float = 0.0
    """The time after which it is disconnected; 0 if the answer sets none."""
    message: str = ""
    status: int = 401
    location: str = ""
    """Where one who is not let in is sent, with `status`."""


class About(NamedTuple):
    """A listener as the form has it."""

    server: str
    port: int
    id: int
    mount: str
    """As it was asked for, with the query."""
    user: str
    password: str
    ip: str
    agent: str


def listener_add(about: About, headers: Sequence[Field] = (), prefix: str = "") -> bytes:
    """Returns the form for a listener who wants to come in."""
    who = [("user", about.user), ("pass", about.password), ("ip", about.ip), ("agent", about.agent)]
    return form("listener_add", [*_begin(about), *who, *((f"{prefix}{name}", value) for name, value in headers)])


def listener_remove(about: About, duration_s: float) -> bytes:
    """Returns the form for one who has left."""
    who = [("user", about.user), ("pass", about.password), ("duration", str(int(duration_s)))]
    return form("listener_remove", [*_begin(about), *who, ("ip", about.ip), ("agent", about.agent)])


def stream_auth(mount: str, ip: str, server: str, port: int, login: Field, *, is_admin: bool) -> bytes:
    """Returns the form for a source, or with `is_admin` for a request about its mount below /admin/."""
    fields = [("mount", mount), ("ip", ip), ("server", server), ("port", str(port))]
    return form("stream_auth", [*fields, ("user", login[0]), ("pass", login[1]), *([("admin", "1")] * is_admin)])


def mount_changed(action: str, mount: str, server: str, port: int) -> bytes:
    """Returns the form for a mount that has got a source (`mount_add`) or lost it (`mount_remove`)."""
    return form(action, [("mount", mount), ("server", server), ("port", str(port))])


def form(action: str, fields: Iterable[Field]) -> bytes:
    """Returns the body. In values all but letters and digits is escaped, in lower case, as Icecast does it."""
    return b"&".join([f"action={action}".encode(), *(name.encode() + b"=" + _escape(value) for name, value in fields)])


def judge(answer: AuthAnswer, rules: MountAuthentication) -> Judgement:
    """Returns what an answer says."""
    message = answer.get(MESSAGE) or answer.get("icecast-auth-message")
    if _lets_in(answer, rules.auth_header):
        name, _, _ = rules.timelimit_header.partition(":")
        limit = answer.get(name) or answer.get(TIMELIMIT)
        return Judgement(True, answer.get("ice-username"), _seconds(limit), message)
    location = answer.get("location")
    if answer.status in _REDIRECTS and _WEB.match(location):
        return Judgement(False, message=message, status=answer.status, location=location)
    if found := _STATUS.match(message):
        return Judgement(False, message=found[2] or "", status=int(found[1]))
    is_forbidden = answer.get(RESULT).lower() == "forbidden"
    return Judgement(False, message=message, status=403 if is_forbidden else 401)


def _lets_in(answer: AuthAnswer, wanted: str) -> bool:
    name, _, content = wanted.lower().partition(":")
    content = content.strip()
    for key, value in answer.headers:
        given = value.strip().lower()
        # icecast-kh: the body would be played first. Without it the listener is let in all the same.
        if key == name and (given == content or (given == "withintro" and content == "1")):
            return True
        if key == RESULT and given == "ok":
            return True
    return False


def _seconds(text: str) -> float:
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _begin(about: About) -> list[Field]:
    return [("server", about.server), ("port", str(about.port)), ("client", str(about.id)), ("mount", about.mount)]


def _escape(text: str) -> bytes:
    return _ESCAPED.sub(lambda found: b"%%%02x" % found[0][0], text.encode("utf-8", "replace"))

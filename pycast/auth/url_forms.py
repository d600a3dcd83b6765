"""What a server is asked and told about listeners, sources and mounts, and what its answers mean: Icecast's form.

Pure. The fields, their order and their escapes are Icecast 2.4.4's (auth_url.c); what icecast-kh sends beyond them is
added behind. An answer is judged by its headers only: one that equals `auth_header` lets in, whatever the status is.
Further headers of icecast-kh and Icecast 2.5 are understood as well; a server that does not know them does not send
them.

Invariant: only an answer that says so lets anybody in.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pycast.config.mount_authentication import MountAuthentication
from pycast.http.mount_names import why_no_mount
from pycast.patterns import pattern

Field = tuple[str, str]

# Icecast 2.5's names, which it understands beside the configured ones.
RESULT, TIMELIMIT, MESSAGE = "x-icecast-auth-result", "x-icecast-auth-timelimit", "x-icecast-auth-message"
ACTION, ARGUMENT = "x-icecast-auth-alter-action", "x-icecast-auth-alter-argument"

# icecast-kh's values of `auth_header` that let in as "1" does. With the first one, the answer's body is heard first;
# with the second one a source takes the place of the one that the mount has.
WITH_INTRO, HIJACK = "withintro", "hijack"

_ESCAPED = pattern(rb"[^0-9A-Za-z]")
# icecast-kh: "403 not in your country" is the status of the answer too.
_STATUS = pattern(r"(4\d\d|5\d\d)(?:\s+(.*))?\Z", re.DOTALL)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Icecast 2.5's actions that send a listener elsewhere, and the errors that it names by numbers (errors.c), but those
# about its own insides.
_SENT_ON = {"redirect": 303, "redirect_see_other": 303, "redirect_temporary": 307, "redirect_permanent": 308}
_ERRORS = {
    "25387198-0643-4577-9139-7c4f24f59d4a": (401, "You need to authenticate"),
    "18c32b43-0d8e-469d-b434-10133cdd06ad": (404, "The file you requested could not be found"),
    "c883d55d-fb41-4f4c-8800-563f5542f51d": (404, "File not readable"),
    "5874cc51-770b-42b5-82d2-737b2b406b30": (416, "Request Range Not Satisfiable"),
    "88d06875-fcf2-4417-84af-05866c97745c": (404, "Mount unavailable"),
    "652548c6-2a7d-4c73-a1c5-e53759032bd1": (400, "Mountpoint is not available for direct access"),
    "df147168-baaa-4959-82a4-746a1232927d": (503, "Maximum listeners reached for this source"),
    "9c72c1ec-f638-4d33-a077-6acbbff25317": (429, "Reached limit of concurrent connections on those credentials"),
    "26708754-8f98-4191-81d1-7fb7246200d6": (503, "busy, please try again later"),
    "87fd3e61-6702-4473-b506-f616d27a142f": (503, "Icecast connection limit reached"),
    "18411e73-713e-4910-b7e4-52a2e324b4e0": (503, "memory exhausted"),
    "6f4c95e3-b446-4814-b4b8-0cb585dbe4bd": (405, "Safe HTTP method used on unsafe call"),
    "78f590cc-8812-40d5-a4ef-17344ab75b35": (405, "unknown request"),
    "58ce6cb4-72b4-49da-8ad2-feaf775bc61e": (501, "Unimplemented"),
    "f684ad3c-513b-4d87-9a66-424788bc6adb": (415, "Content-type not supported"),
    "2cd86778-ac30-49e7-a108-26d627a7923b": (400, "No Content-type given"),
    "c5724467-5f85-48c7-b45a-915c3150c292": (409, "Mountpoint in use"),
    "c770182d-c854-422a-a8e5-7142689234a3": (503, "too many sources connected"),
    "1ae45ead-40fc-4de2-b56f-e54d3247f2ee": (400, "source mountpoint not starting with /"),
    "2f51a026-02e4-4fe4-bf9d-cc16557b3b65": (404, "Source does not exist"),
    "00b9d977-f41d-455f-820f-6d457dffb246": (400, "Source is not available"),
    "cb11dc71-6149-454c-8d4e-47a3af26b03a": (400, "Missing parameter"),
    "b59c3a05-e2b1-4a14-8798-bbe1ae46603b": (400, "missing pass parameter"),
    "59fe9c81-8c34-49ff-800f-7ec42ea498be": (404, "Role not found"),
}
_WEB = pattern(r"https?://[!-~]{1,2000}\Z", re.IGNORECASE)


class AuthAnswer(NamedTuple):
    """An answer: its status and its headers, the names in lower case."""

    status: int
    headers: tuple[Field, ...]
    body: bytes = b""
    """Read only if it is to be heard."""

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
    mount: str = ""
    """The mount that the listener hears in place of the one that it asked for; empty if the answer names none."""
    intro: bytes = b""
    """What it hears first."""
    takes_over: bool = False
    """Whether a source replaces the one that the mount has."""


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


def listener_add(about: About, referer: str, listeners: int, headers: Sequence[Field] = (), prefix: str = "") -> bytes:
    """Returns the form for a listener who wants to come in, where there are `listeners` already."""
    who = [("user", about.user), ("pass", about.password), ("ip", about.ip), ("agent", about.agent or "-")]
    more = [("referer", referer), ("listeners", str(listeners))]
    more += [(f"{prefix}{name}", value) for name, value in headers]
    return form("listener_add", [*_begin(about), *who, *more])


def listener_remove(about: About, duration_s: float, sent: int) -> bytes:
    """Returns the form for one who has left, and has got `sent` bytes."""
    who = [("user", about.user), ("pass", about.password), ("duration", str(int(duration_s)))]
    who += [("ip", about.ip), ("agent", about.agent or "-"), ("sent", str(sent))]
    return form("listener_remove", [*_begin(about), *who])


def stream_auth(mount: str, ip: str, server: str, port: int, login: Field, *, is_admin: bool) -> bytes:
    """Returns the form for a source, or with `is_admin` for a request about its mount below /admin/."""
    fields = [("mount", mount), ("ip", ip), ("server", server), ("port", str(port))]
    return form("stream_auth", [*fields, ("user", login[0]), ("pass", login[1]), *([("admin", "1")] * is_admin)])


def mount_changed(action: str, mount: str, server: str, port: int, ip: str, agent: str) -> bytes:
    """Returns the form for a mount that has got a source (`mount_add`) or lost it (`mount_remove`), which has that
    address and agent.
    """
    fields = [("mount", mount), ("server", server), ("port", str(port)), ("ip", ip), ("agent", agent)]
    return form(action, fields)


def form(action: str, fields: Iterable[Field]) -> bytes:
    """Returns the body. In values all but letters and digits is escaped, in lower case, as Icecast does it."""
    return b"&".join([f"action={action}".encode(), *(name.encode() + b"=" + _escape(value) for name, value in fields)])


def judge(answer: AuthAnswer, rules: MountAuthentication) -> Judgement:
    """Returns what an answer says."""
    message = answer.get(MESSAGE) or answer.get("icecast-auth-message")
    action, argument = answer.get(ACTION).strip().lower(), answer.get(ARGUMENT).strip()
    if action in _SENT_ON and _WEB.match(argument):
        return Judgement(False, message=message, status=_SENT_ON[action], location=argument)
    if action == "send_error":
        status, text = _ERRORS.get(argument.lower(), (403, ""))
        return Judgement(False, message=message or text, status=status)
    if _lets_in(answer, rules.auth_header):
        header, _, _ = rules.auth_header.partition(":")
        name, _, _ = rules.timelimit_header.partition(":")
        limit = answer.get(name) or answer.get(TIMELIMIT)
        mount = argument if action == "rewrite" else answer.get("mountpoint").strip()
        return Judgement(
            True,
            answer.get("ice-username"),
            _seconds(limit),
            message,
            mount="" if why_no_mount(mount) else mount,
            intro=answer.body,
            takes_over=answer.get(header).strip().lower() == HIJACK,
        )
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
        if key == name and (given == content or (given in (WITH_INTRO, HIJACK) and content == "1")):
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

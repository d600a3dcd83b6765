"""One directory: adds, touches and removes the public mounts of this node, one request after the other.

It has a greenlet of its own, so one that is slow or dead delays nobody, and each request has `yp_url_timeout` for all.
Redirects are followed with the same form: a directory that has moved to https would else get none.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urljoin, urlsplit

import gevent
import urllib3
from urllib3.exceptions import HTTPError

from pycast.config.directory_section import DirectorySection
from pycast.directories.listing import YpEntry
from pycast.directories.yp_forms import (
    PublicStream,
    YpAnswer,
    add_form,
    is_reachable,
    read_answer,
    remove_form,
    touch_form,
)
from pycast.disk.calls import DiskStalled, off_hub
from pycast.errors import ExternalError
from pycast.http.charset import of_latin1
from pycast.http.headers import Headers
from pycast.net.final_answer import pool_manager
from pycast.net.ticks import sleep_until_tick

log = logging.getLogger(__name__)

STEP_S = 1.0

# For each address that a directory's name has: a dead one, such as one of IPv6 where that leads nowhere, must not take
# all the time.
CONNECT_S = 4.0

MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class DirectoryFailed(ExternalError):
    """A directory that did not answer, or not in time."""


class Reply(NamedTuple):
    """The status and the headers of one answer."""

    status: int
    headers: Headers


class Streams(Protocol):
    """The mounts that directories are told of."""

    def titles(self) -> Mapping[str, str]:
        """Returns what plays on each public mount whose source is on this node. Never switches."""

    def stream(self, name: str, base: str) -> PublicStream | None:
        """Returns a mount, whose address begins with `base` (empty: the usual one); None if it is over. May switch."""


class Directory:
    """The entries in one directory."""

    def __init__(
        self,
        section: DirectorySection,
        streams: Streams,
        agent: Callable[[], str],
        clock: Callable[[], float],
        post: "Callable[[str, bytes, str], Reply] | None" = None,
    ) -> None:
        self.section = section
        self._streams = streams
        self._agent = agent
        self._clock = clock
        self._post = post or YpPool().post
        self._listings: dict[str, YpEntry] = {}
        self._told: dict[str, str] = {}
        """The last trouble of each mount, which is logged once."""

    def run(self) -> None:
        """Tells the directory, for ever. May switch."""
        while True:
            self.step()
            sleep_until_tick(STEP_S)

    def step(self) -> None:
        """Does what is due. May switch."""
        titles = self._streams.titles()
        for name in [name for name in self._listings if name not in titles]:
            self._remove(name)
        for name, title in titles.items():
            listing = self._listings.get(name)
            if listing is None:
                listing = self._listings[name] = YpEntry(self._clock(), self.section.touch_interval)
            listing.on_title(title, self._clock())
            if listing.due <= self._clock():
                self._tell(name, listing)

    def remove_all(self) -> None:
        """Removes all entries. May switch."""
        for name in list(self._listings):
            self._remove(name)

    def _tell(self, name: str, listing: YpEntry) -> None:
        stream = self._streams.stream(name, self.section.listen_socket_url)
        if stream is None or not self._is_reachable(name, listing, stream):
            return
        try:
            if listing.sid:
                answer = self._ask(touch_form(listing.sid, stream))
                listing.on_touched(answer, stream.title, self._clock())
            else:
                answer = self._ask(add_form(stream))
                listing.on_added(answer, self._clock())
        except DirectoryFailed as error:
            self._say(name, f"it cannot be asked: {error}")
            listing.on_failure(self._clock())
            for other in self._listings.values():
                if other is not listing:
                    other.on_failure_of_another(self._clock())
        else:
            self._say(name, "" if answer.is_yes else f"it refuses: {answer.message}")

    def _is_reachable(self, name: str, listing: YpEntry, stream: PublicStream) -> bool:
        if is_reachable(stream.listenurl):
            return True
        self._say(name, f"nobody else can reach {stream.listenurl}: set server.hostname or server.public_url")
        listing.due = self._clock() + self.section.touch_interval
        return False

    def _remove(self, name: str) -> None:
        listing = self._listings.pop(name)
        self._told.pop(name, None)
        if listing.sid:
            try:
                self._ask(remove_form(listing.sid))
            except DirectoryFailed as error:
                log.info("directory %s: %s could not be removed: %s", self.section.yp_url, name, error)
            else:
                log.info("directory %s: %s is removed", self.section.yp_url, name)

    def _say(self, name: str, trouble: str) -> None:
        """Logs what has changed: a trouble, another one, or the end of it."""
        if trouble and trouble != self._told.get(name):
            log.warning("directory %s: %s: %s", self.section.yp_url, name, trouble)
        elif not trouble and self._told.get(name) != "":
            log.info("directory %s: %s is listed", self.section.yp_url, name)
        self._told[name] = trouble

    def _ask(self, form: bytes) -> YpAnswer:
        """Returns the answer to a form. Raises DirectoryFailed. May switch."""
        timeout, url = self.section.yp_url_timeout, self.section.yp_url
        try:
            with gevent.Timeout(timeout, DirectoryFailed(f"no answer within {timeout:g} s")):
                for _ in range(1 + MOST_REDIRECTS):
                    reply = self._post(url, form, self._agent())
                    location = reply.headers.get("location")
                    if reply.status not in _REDIRECTS or not location:
                        return read_answer(reply.headers)
                    url = urljoin(url, location)
                    if urlsplit(url).scheme not in ("http", "https"):
                        raise DirectoryFailed(f"it sends to {url[:100]}")
        except (HTTPError, OSError, ValueError, DiskStalled) as error:
            raise DirectoryFailed(str(error)) from error
        raise DirectoryFailed(f"more than {MOST_REDIRECTS} redirects")


class YpPool:
    """The connections to directories. Relies on sockets that gevent has patched."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None

    def post(self, url: str, form: bytes, agent: str) -> Reply:
        """Returns the head of the answer to a form. Raises urllib3's HTTPError, OSError, DiskStalled. May switch."""
        more: dict[str, Any] = {}
        if url.startswith("https:"):
            # Loading the authorities reads a file of some hundred kilobytes, and urllib3 would do it in the loop.
            self._tls = self._tls or off_hub(_trust)
            more["ssl_context"] = self._tls
        with pool_manager(retries=False, timeout=urllib3.Timeout(connect=CONNECT_S, read=None), **more) as pool:
            answer = pool.request(
                "POST",
                url,
                body=form,
                headers={"User-Agent": agent, "Content-Type": "application/x-www-form-urlencoded"},
                redirect=False,
                preload_content=False,
            )
            try:
                return Reply(answer.status, Headers((name, of_latin1(value)) for name, value in answer.headers.items()))
            finally:
                answer.close()  # its body is of no use


def _trust() -> ssl.SSLContext:
    context = urllib3.util.ssl_.create_urllib3_context()
    context.load_default_certs()
    return context

"""The files behind the bans: read in a thread, and again when they have changed.

A file that is gone or cannot be read keeps its last list, which is told once. Lines that cannot be read are left out
and told. The one invariant: a list is always a whole file as it was at one moment.
"""

import logging
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from pycast.config.ban_lists import AddressList, AgentList, BadLine, read_addresses, read_agents
from pycast.config.schema import Config
from pycast.disk.calls import DiskStalled, off_hub
from pycast.disk.watched_file import WatchedFile
from pycast.http.addresses import Networks

log = logging.getLogger(__name__)

# Two million addresses.
MOST_BYTES = 32 << 20

ListT = TypeVar("ListT", AddressList, AgentList)
Parse = Callable[[str], tuple[ListT, list[BadLine]]]


class BanFiles:
    """The lists of `paths.deny_ip`, `allow_ip` and `deny_agents`, and what follows from them together."""

    def __init__(self) -> None:
        self._denied = ListFile("deny_ip", read_addresses)
        self._allowed = ListFile("allow_ip", read_addresses)
        self._agents = ListFile("deny_agents", read_agents)
        self._trusted = Networks(())

    def refresh(self, config: Config, *, now: bool) -> bool:
        """Reads the files, `now` or those that have changed. Returns whether a list is another one. May switch."""
        self._trusted = Networks(network for listen in config.listen for network in listen.trusted_proxies)
        has_changed = self._denied.refresh(config.paths.deny_ip, now=now)
        has_changed |= self._allowed.refresh(config.paths.allow_ip, now=now)
        return self._agents.refresh(config.paths.deny_agents, now=now) or has_changed

    def why(self, ip: str, agent: str) -> str:
        """Returns the reason for which a client may not connect, empty if it may. Never switches."""
        if agent and self._agents.found is not None and self._agents.found.covers(agent):
            return "its player is in paths.deny_agents"
        why = ""
        if self._denied.found is not None and self._denied.found.covers(ip):
            why = "its address is in paths.deny_ip"
        elif self._allowed.name and (self._allowed.found is None or not self._allowed.found.covers(ip)):
            why = "its address is not in paths.allow_ip"
        return "" if why and self._trusted.cover(ip) else why


class _ListLook(NamedTuple, Generic[ListT]):
    """What a look at a file has found: nothing new, a list, or an error."""

    found: ListT | None = None
    bad: tuple[BadLine, ...] = ()
    error: str = ""


class ListFile(Generic[ListT]):
    """The list of one key. `found` is None as long as there was none, or no file is named."""

    def __init__(self, key: str, parse: Parse[ListT]) -> None:
        self.key = key
        self.found: ListT | None = None
        self.name = ""
        self._parse: Parse[ListT] = parse
        self._file: WatchedFile | None = None
        self._told = ""

    def refresh(self, name: str, *, now: bool) -> bool:
        """Reads the file `name` (empty: there is none), `now` or if it has changed. Returns whether the list is
        another one. May switch.
        """
        if not name:
            had, self.found, self.name, self._file = self.found is not None, None, "", None
            return had
        is_new = name != self.name
        if self._file is None or is_new:
            self._file = WatchedFile(name, MOST_BYTES)
        self.name = name
        loaded = self._load(partial(_load, self._file, self._parse, now or is_new))
        self._tell(loaded)
        if loaded.found is None:
            return is_new
        self.found = loaded.found
        log.info("paths.%s: %d entries in %s", self.key, len(self.found), name)
        return True

    def _load(self, load: Callable[[], _ListLook[ListT]]) -> _ListLook[ListT]:
        try:
            return off_hub(load)
        except DiskStalled as error:
            return _ListLook(error=str(error))

    def _tell(self, loaded: _ListLook[ListT]) -> None:
        """Logs an error once, until there is another one or the file can be read."""
        if loaded.error and loaded.error != self._told:
            kept = "the list that was read last stays" if self.found is not None else "there is no list"
            log.error("paths.%s: %s cannot be read, %s: %s", self.key, self.name, kept, loaded.error)
        if loaded.error or loaded.found is not None:
            self._told = loaded.error
        if loaded.bad:
            log.error(
                "paths.%s: %d lines of %s cannot be read and are left out, the first is line %d: %.60r",
                self.key,
                len(loaded.bad),
                self.name,
                *loaded.bad[0],
            )


def _load(file: WatchedFile, parse: Parse[ListT], now: bool) -> _ListLook[ListT]:
    """Looks at a file. Blocks."""
    try:
        content = file.read() if now else file.look()
    except OSError as error:
        return _ListLook(error=error.strerror or str(error))
    if content is None:
        return _ListLook()
    # Windows calls it Unicode.
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    found, bad = parse(content.decode(encoding, "replace"))
    return _ListLook(found, tuple(bad))

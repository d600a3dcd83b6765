"""The traffic between nodes, counted by the kernel, so that the measurement does not slow it down.

Reads TCP's own counters from `ss` (iproute2), for each connection that has a node's port at one end. The one invariant:
a connection that was open at both readings counts with exactly what both its ends sent between them.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# IP and TCP with time stamps, as nearly every host sends them.
HEADER_BYTES = 52

_COUNTER = re.compile(r"\b(bytes_sent|segs_out|data_segs_out):(\d+)")
_NAMES = ("bytes_sent", "data_segs_out", "segs_out")


class NoCounters(Exception):
    """`ss` is not installed, or lacks the option."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of payload, segments that carry some (a message each, while there are few), and all segments."""

    payload_bytes: int = 0
    messages: int = 0
    segments: int = 0

    @property
    def wire_bytes(self) -> int:
        """The bytes with the headers of IP and TCP."""
        return self.payload_bytes + HEADER_BYTES * self.segments


def read(ports: Iterable[int]) -> dict[tuple[str, str], Traffic]:
    """Returns what each end of a connection with one of these ports has sent so far. Raises NoCounters."""
    ends = " or ".join(f"sport = :{port} or dport = :{port}" for port in ports)
    try:
        asked = ["ss", "--tcp", "--info", "--numeric", "--no-header", "--oneline", "state", "established", ends]
        output = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NoCounters(f"ss does not answer (apt-get install iproute2): {error}") from error
    return parse(output)


def parse(output: str) -> dict[tuple[str, str], Traffic]:
    """Parses the output of `ss --oneline`: receive queue, send queue, own address, the other's, counters."""
    found = {}
    for line in output.splitlines():
        fields = line.split(maxsplit=4)
        if len(fields) == 5:
            counters = {name: int(value) for name, value in _COUNTER.findall(fields[4])}
            found[fields[2], fields[3]] = Traffic(*(counters.get(name, 0) for name in _NAMES))
    return found


def between(before: Mapping[tuple[str, str], Traffic], after: Mapping[tuple[str, str], Traffic]) -> Traffic:
    """Returns what was sent between two readings, without connections that ended meanwhile."""
    payload_bytes = messages = segments = 0
    for end, now in after.items():
        was = before.get(end, Traffic())
        payload_bytes += now.payload_bytes - was.payload_bytes
        messages += now.messages - was.messages
        segments += now.segments - was.segments
    return Traffic(payload_bytes, messages, segments)

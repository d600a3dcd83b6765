"""A listener of the benchmarks and its counts, and the figures of a whole crowd.

Does no I/O of its own: `load.Crowd` moves the bytes. The invariant: `audio` of a playing player is the number of audio
bytes since `first_offset`, ICY blocks not counted.
"""

import socket
from dataclasses import dataclass

from benchmarks.frames import FrameReader, IcySplitter


class Player:
    """One listener: its socket and its counts. All moments are `time.monotonic()` seconds."""

    __slots__ = (
        "audio", "began", "checker", "enough_at", "error", "first_offset", "gaps", "head", "last_read",
        "metaint", "mount", "request", "sock", "splitter", "worst_lag",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        path: str,
        mount: int,
        *,
        is_icy: bool,
        is_sample: bool,
        head: str = "",
        agent: str = "pycast-bench",
    ) -> None:
        """`head` are more lines of its request."""
        self.sock = sock
        self.mount = mount
        icy = head + ("Icy-MetaData: 1\r\n" if is_icy else "")
        self.request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: {agent}\r\n{icy}\r\n".encode()
        self.checker = FrameReader(mount) if is_sample else None
        self.splitter: IcySplitter | None = None
        self.metaint = 0
        self.head: bytearray | None = bytearray()
        self.first_offset = -1
        self.audio = 0
        self.worst_lag = 0
        self.began = 0.0
        self.enough_at = 0.0
        self.last_read = 0.0
        self.gaps = 0
        self.error = ""

    @property
    def is_playing(self) -> bool:
        """Whether it is connected and had a correct head and enough audio."""
        return self.enough_at > 0 and not self.error

    def seen_by(self, position: int) -> int:
        """Returns how many bytes it is behind a source that has sent `position` bytes."""
        return position - self.first_offset - self.audio


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of a crowd. Lags are seconds of audio; a share is received / sent since the player joined."""

    players: int
    playing: int
    errors: dict[str, int]
    least_share: float
    worst_lag_s: float
    sample: int
    frames: int
    frame_errors: int
    titles: int
    flush_s: float
    latencies_s: tuple[float, ...]
    """The latency of every frame that the sample received in the measured span, sorted."""

    def latency_s(self, quantile: float) -> float:
        """Returns the latency that `quantile` of the frames did not exceed; nan without a sample."""
        if not self.latencies_s:
            return float("nan")
        return self.latencies_s[min(len(self.latencies_s) - 1, int(quantile * len(self.latencies_s)))]

    def late(self, limit_s: float) -> int:
        """Returns how many frames had a longer latency."""
        return sum(latency > limit_s for latency in self.latencies_s)

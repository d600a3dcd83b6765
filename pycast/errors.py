"""Every error pycast raises on purpose, in one tree.

PycastError
├── PeerError                 the peer erred: answered with its status, logged once
│   ├── RequestError          a request head that cannot be understood
│   │   ├── HeadTooLarge      more bytes or lines than a head may have
│   │   └── BadPath           NUL, bad escape, `..`, an empty part
│   ├── BodyError             broken chunk sizes, a body that ends too early
│   ├── FormatError           audio that is not what its content type says
│   ├── HandshakeError        a SHOUTcast source that does not speak its protocol
│   └── Refused               understood, and not allowed (401, 403, 404, 503 …)
├── ExternalError              a file, a program or another server failed us
└── ConfigError               the operator's configuration is wrong

A PeerError carries the status the peer gets and a short public text; the cause stays in our log.
A bug is an AssertionError (or any other exception) and is never caught as one of these.
"""


class PycastError(Exception):
    """Root of the tree."""


class PeerError(PycastError):
    """The peer erred. `status` is the HTTP status for it, `public` the text it may see."""

    default_status = 400

    def __init__(self, public: str, *, status: int | None = None, cause: str = "") -> None:
        super().__init__(cause or public)
        self.public = public
        self.status = self.default_status if status is None else status


class RequestError(PeerError):
    """A request head that cannot be understood."""


class HeadTooLarge(RequestError):
    """The head has more bytes or more lines than allowed."""

    default_status = 431


class BadPath(RequestError):
    """The path has a NUL, a bad escape, an empty part or a part made of dots."""


class BodyError(PeerError):
    """The body's framing is broken."""


class FormatError(PeerError):
    """The audio is not what its content type says."""


class HandshakeError(PeerError):
    """A SHOUTcast source does not speak its protocol."""


class Refused(PeerError):
    """The request was understood and is not allowed."""

    default_status = 403

    def __init__(
        self,
        public: str,
        *,
        status: int | None = None,
        cause: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(public, status=status, cause=cause)
        self.headers = headers


class ExternalError(PycastError):
    """A file, a program or another server failed us."""


class ConfigError(PycastError):
    """The configuration is wrong. `problems` has one line for each error found."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

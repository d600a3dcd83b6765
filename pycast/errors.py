"""The tree of the errors that pycast raises on purpose. Packages derive their own from these.

PycastError
├── PeerError                 the peer made an error: answered with its status, logged once
│   ├── RequestError          a request head that cannot be understood
│   │   ├── HeadTooLarge      more bytes or lines than a head may have
│   │   └── BadPath           a control character, bad escape, `..`, an empty part
│   ├── BodyError             broken chunk sizes, a body that ends too early
│   ├── FormatError           audio that is not what its content type says
│   ├── HandshakeError        a SHOUTcast source that does not follow its protocol
│   └── Refused               a request that is understood and refused (401, 403, 404, 503 …)
├── ExternalError             a file, a program or another server failed
└── ConfigError               the operator's configuration is wrong

A PeerError carries the status the peer gets and a short public text; the cause stays in our log.
A bug is an AssertionError (or any other exception) and is never caught as one of these.
"""


class PycastError(Exception):
    """The root of the tree."""


class PeerError(PycastError):
    """An error of the peer. `status` is the HTTP status of the answer, `public` its text."""

    default_status = 400

    def __init__(self, public: str, *, status: int | None = None, cause: str = "") -> None:
        super().__init__(cause or public)
        self.public = public
        self.status = self.default_status if status is None else status


class RequestError(PeerError):
    """A request head that cannot be understood."""


class HeadTooLarge(RequestError):
    """A request head with more bytes or more lines than allowed."""

    default_status = 431


class BadPath(RequestError):
    """A path with a control character, a bad escape, an empty part or a part made of dots."""


class BodyError(PeerError):
    """A body with broken framing."""


class FormatError(PeerError):
    """Audio that is not what its content type says."""

    default_status = 415


class HandshakeError(PeerError):
    """A SHOUTcast source that does not follow its protocol."""


class Refused(PeerError):
    """A request that is understood and refused."""

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
        self.page = b""
        """The answer's page, where a browser asks; otherwise the answer is Icecast's."""


class ExternalError(PycastError):
    """The failure of a file, a program or another server."""


class ConfigError(PycastError):
    """A wrong configuration. `problems` has one line for each error found, `hint` what to do about them, if there is
    more to say than what was expected.
    """

    def __init__(self, problems: list[str], hint: str = "") -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hint = hint

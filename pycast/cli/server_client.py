"""The HTTP client of the commands that talk to a running server: `pycast status`, `drain` and `cluster up`.

Fetches bodies and turns every failure into an error whose text says what to try. The caller parses the body. The one
invariant: only the body of a 200 is ever returned.
"""

from urllib.parse import urlsplit

import click
import urllib3

from pycast.errors import ExternalError

_MAX_BODY = 32 << 20
"""10,000 mounts at 3 kB each; a status is never larger."""


class Unreachable(ExternalError):
    """No server answers at the address, or not in time."""


class UnexpectedAnswer(ExternalError):
    """An answer that refuses the password, or that the caller does not understand."""


class ServerClient:
    """A client of one server, over one kept connection; without a password it sends no credentials."""

    def __init__(self, url: str, user: str, password: str | None, *, insecure: bool, timeout_s: float) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        try:
            scheme = urlsplit(self.url).scheme
        except ValueError as error:
            raise click.BadParameter(f"not a URL: {error}", param_hint="URL") from error
        if scheme not in ("http", "https"):
            raise click.BadParameter("a URL begins with http:// or https://", param_hint="URL")
        self.has_password = password is not None
        self._timeout_s = timeout_s
        if insecure:
            urllib3.disable_warnings()
        self._pool = urllib3.PoolManager(
            headers=urllib3.make_headers(basic_auth=f"{user}:{password}") if self.has_password else {},
            timeout=timeout_s,
            retries=False,
            cert_reqs="CERT_NONE" if insecure else "CERT_REQUIRED",
        )

    def get(self, path: str, *, expected: str = "pycast of this version") -> bytes:
        """Returns the body at `path`. Raises Unreachable, or UnexpectedAnswer whose text names what was `expected`."""
        return self._ask("GET", path, expected)

    def post(self, path: str, *, expected: str = "pycast of this version") -> bytes:
        """Does the same as `get`, with a POST."""
        return self._ask("POST", path, expected)

    def close(self) -> None:
        """Closes the connection. May be called twice."""
        self._pool.clear()

    def _ask(self, method: str, path: str, expected: str) -> bytes:
        try:
            answer = self._pool.request(method, self.url + path, preload_content=False)
            body = answer.read(_MAX_BODY)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"no answer from {self.url}: {self._reason(error)}") from error
        if answer.status == 401:
            raise UnexpectedAnswer(f"{self.url} refused the user name or the password; see [authentication]")
        if answer.status == 404 and "/admin/" in path:
            raise UnexpectedAnswer(
                f"{self.url}{path.partition('?')[0]} answered 404: is that a {expected}, and a port with "
                '"admin" in listen.serves?'
            )
        if answer.status != 200:
            where = self.url + path.partition("?")[0]
            raise UnexpectedAnswer(f"{where} answered {answer.status}: is that a {expected}?")
        return body

    def _reason(self, error: Exception) -> str:
        if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
            error, urllib3.exceptions.NewConnectionError
        ):
            return f"timed out after {self._timeout_s:g} s"
        # urllib3 says "<object …>: Failed to establish a new connection: [Errno 111] Connection refused"
        return str(error).rsplit("] ", 1)[-1].rsplit(": ", 1)[-1]

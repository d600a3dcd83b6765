"""The HTTP client of the commands that talk to a running server: `pycast status`, `drain` and `cluster up`.

Fetches bodies and turns every failure into an error whose text says what to try. The caller parses the body. The one
invariant: only the body of a 200 is ever returned.
"""

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

import click
import urllib3

from pycast.config.secret_files import read_secret
from pycast.errors import ExternalError
from pycast.net.final_answer import pool_manager
from pycast.net.tls_words import distrust, is_of_plain_port, is_of_tls_port, plain_words

_MAX_BODY = 32 << 20
"""10,000 mounts at 3 kB each; a status is never larger."""


_PORTS = {"http": 80, "https": 443}

_NOBODY = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.TimeoutError)


class Unreachable(ExternalError):
    """No server answers at the address, or not in time."""


class NobodyAnswers(Unreachable):
    """Nobody took the connection, or said a word in time: the server may not run, or be elsewhere."""


class UnexpectedAnswer(ExternalError):
    """An answer that refuses the password, or that the caller does not understand."""


class ServerClient:
    """A client of one server, over one kept connection; without a password it sends no credentials."""

    def __init__(self, url: str, user: str, password: str | None, *, insecure: bool, timeout_s: float) -> None:
        address = _address(url)
        if address.password is not None:  # it must not be in the text of an error
            user, password = unquote(address.username or user), unquote(address.password)
        self.url = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl().rstrip("/")
        self.has_password = password is not None
        self._timeout_s = timeout_s
        if insecure:
            urllib3.disable_warnings()
        self._pool = pool_manager(
            headers={"Authorization": _basic(user, password)} if password is not None else {},
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
            kind = NobodyAnswers if isinstance(error, _NOBODY) else Unreachable
            raise kind(f"no answer from {self.url}: {self._reason(error)}") from error
        if answer.status == 401:
            raise UnexpectedAnswer(f"{self.url} refused the user name or the password; see [authentication]")
        if (
            answer.status == 403 and body
        ):  # such as for an admin password that everybody knows: the text says what to do
            raise UnexpectedAnswer(f"{self.url} answered 403: {body[:500].decode('utf-8', 'replace').strip()}")
        if answer.status == 429:
            raise UnexpectedAnswer(
                f"{self.url} refuses logins from this address for a minute: too many have failed; see [authentication]"
            )
        if answer.status == 404 and "/admin/" in path:
            raise UnexpectedAnswer(
                f"{self.url}{path.partition('?')[0]} answered 404: is that a {expected}, and a port with "
                '"admin" in listen.serves?'
            )
        if self.url.startswith("http:") and is_of_tls_port(answer.status, body):
            raise UnexpectedAnswer(f"{self.url} takes TLS only: try {_other_scheme(self.url)}")
        if answer.status != 200:
            where = self.url + path.partition("?")[0]
            raise UnexpectedAnswer(f"{where} answered {answer.status}: is that a {expected}?")
        return body

    def _reason(self, error: Exception) -> str:
        if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
            error, urllib3.exceptions.NewConnectionError
        ):
            return f"timed out after {self._timeout_s:g} s"
        if isinstance(error, urllib3.exceptions.SSLError):
            return self._tls_reason(str(error))
        if isinstance(error, urllib3.exceptions.ProtocolError) and self.url.startswith("http:"):
            return f"it closed the connection without an answer; if that port takes TLS, try {_other_scheme(self.url)}"
        if isinstance(error, urllib3.exceptions.NameResolutionError):
            return f"there is no host of the name {urlsplit(self.url).hostname}"
        # urllib3 says "<object …>: Failed to establish a new connection: [Errno 111] Connection refused"
        reason = str(error).rsplit("] ", 1)[-1].rsplit(": ", 1)[-1]
        address = urlsplit(self.url)
        return reason if address.port else f"{reason} on port {_PORTS[address.scheme]}, as the URL names none"

    def _tls_reason(self, text: str) -> str:
        """Returns what an error of TLS means. OpenSSL's own words say it to those who know TLS."""
        if is_of_plain_port(text):
            return f"that port does not use TLS; try {_other_scheme(self.url)}"
        if reason := distrust(text):
            return f"its certificate cannot be trusted ({reason}); --insecure accepts any"
        return plain_words(text)


def given_password(password: str | None, file: str | None) -> str | None:
    """Returns the password of --password or --password-file. Raises BadParameter."""
    if password is not None or not file:
        return password
    try:
        return read_secret(file)
    except ValueError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--password-file") from error


def _address(url: str) -> SplitResult:
    """Returns the parts of a URL, with or without its scheme. Raises BadParameter."""
    try:
        address = urlsplit(url if "://" in url else f"http://{url}")
        host = address.netloc.rpartition("@")[2]
        if host.count(":") > 1 and "[" not in host:
            raise ValueError("an IPv6 address needs brackets, as in http://[::1]:8000")
        if not address.port and not address.hostname:
            raise ValueError("there is no host in it")
    except ValueError as error:
        raise click.BadParameter(f"not a URL: {error}", param_hint="URL") from error
    if address.scheme not in _PORTS:
        raise click.BadParameter("a URL begins with http:// or https://", param_hint="URL")
    return address


def _basic(user: str, password: str) -> str:
    """Returns credentials as the server reads them: in UTF-8, where urllib3's own way has Latin-1 only."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _other_scheme(url: str) -> str:
    return f"http{url.removeprefix('https')}" if url.startswith("https:") else f"https{url.removeprefix('http')}"

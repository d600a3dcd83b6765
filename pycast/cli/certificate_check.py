"""What `pycast check` says about the certificate: whether it works, and until when.

A certificate that cannot be used keeps the server from starting: that is an error. One whose time is over is a warning.
The server starts with it, and `check` runs before each start of the service (conf/pycast.service): it must not keep the
other ports silent.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address

from pycast.config.schema import Config
from pycast.net.certificate_files import BadCertificate, Validity, load_chain, validity

DAY_S = 86_400

# Those who renew certificates by a program do so 30 days before the end: with less than this it has failed for weeks.
SOON_S = 14 * DAY_S

# Of the hosts that a certificate is for, so many are shown.
_SHOWN = 5


def certificate_problems(config: Config) -> Iterator[str]:
    """Yields a line if the certificate cannot be used."""
    if config.tls.private_key and not config.tls.certificate:
        yield 'tls.certificate = "": expected the file of the certificate, as tls.private_key is set'
    elif config.tls.certificate:
        try:
            _loaded(config)
        except BadCertificate as error:
            yield f'tls.{error.key} = "{getattr(config.tls, error.key)}": {error}'


def certificate_advice(config: Config, now: float) -> Iterator[str]:
    """Yields a line for each reason for which clients refuse the certificate, or will soon. It can be used."""
    if not config.tls.certificate:
        return
    try:
        own, *authorities = validity(_loaded(config), config.tls.certificate)
    except ssl.SSLError as error:
        yield f"tls.certificate: clients refuse it: {getattr(error, 'verify_message', '') or error.reason or error}"
        return
    yield from _about("tls.certificate", own, now)
    for key, host in _hosts(config):
        if not own.covers(host):
            named = ", ".join(own.hosts[:_SHOWN]) or "no host at all (its subjectAltName is missing)"
            yield f'tls.certificate: clients that connect to {key} = "{host}" refuse it: it is for {named}'
    for one in authorities:
        yield from _about(f'tls.certificate: that of the authority "{one.name}" in its file', one, now)


def end_of_certificate(config: Config) -> str:
    """Returns the day on which the certificate ends; empty without one, or if that cannot be told."""
    try:
        return _day(next(validity(_loaded(config), config.tls.certificate)).ends) if config.tls.certificate else ""
    except (ssl.SSLError, BadCertificate):
        return ""


def _hosts(config: Config) -> Iterator[tuple[str, str]]:
    """Yields the hosts to which clients connect by TLS, as far as the configuration names them, and the settings that
    do. What bears a public_url has a proxy before it, with a certificate of its own.
    """
    ports = [(index, listen) for index, listen in enumerate(config.listen) if listen.tls]
    if ports and not config.server.public_url and config.server.hostname != "localhost":
        yield "server.hostname", config.server.hostname
    for index, listen in ports:
        if not _is_address(listen.bind_address) and listen.bind_address != "localhost":
            yield f"listen[{index}].bind_address", listen.bind_address
    cluster = config.cluster
    if cluster.secret and cluster.tls and cluster.advertise:
        yield "cluster.advertise", cluster.advertise.rpartition(":")[0].strip("[]")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _loaded(config: Config) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, config.tls.certificate, config.tls.private_key)
    return context


def _about(what: str, valid: Validity, now: float) -> Iterator[str]:
    if now >= valid.ends:
        yield f"{what} ended on {_day(valid.ends)}: clients refuse it; renew it"
    elif now < valid.begins:
        yield f"{what} begins on {_day(valid.begins)} only: clients refuse it until then; is the clock right?"
    elif valid.ends - now < SOON_S:
        yield f"{what} ends on {_day(valid.ends)}, in {_days(valid.ends - now)}: renew it"


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


def _days(seconds: float) -> str:
    days = int(seconds // DAY_S)
    return "less than a day" if not days else f"{days} day{'s' * (days != 1)}"

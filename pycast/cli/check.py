"""`pycast check FILE`: reports the errors of a configuration, and what in it is probably not meant.

Checks more than `load` does: the files and folders that the configuration names must be usable for this user. What
keeps the server from starting is an error; what works, but is probably not meant, is a warning.
"""

import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import click

from pycast.app.process_owner import missing_owner, owner_advice
from pycast.auth.known_passwords import password_advice
from pycast.characters import escaped
from pycast.cli.certificate_check import certificate_advice, certificate_problems, end_of_certificate
from pycast.config.ban_lists import read_addresses
from pycast.config.load import is_xml, loads_from, read_text
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.rules import advice
from pycast.config.schema import Config
from pycast.config.secret_files import file_advice
from pycast.config.values import SILENCE
from pycast.control.intros import MOST_INTRO
from pycast.control.local_streams import below
from pycast.disk.appending import is_pipe
from pycast.disk.looped_file import LoopedFile
from pycast.errors import ConfigError, ExternalError
from pycast.formats.file_audio import EXPECTED, EXPECTED_BEFORE_STREAM, detect, detect_before_stream
from pycast.http.mount_names import why_no_mount
from pycast.patterns import pattern

# icecast-kh's way to name a file with its rate: /fallback-[128].mp3
_RATE_IN_NAME = pattern(r"\[[0-9]+\]")


@click.command(short_help="Check a configuration.")
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Check the configuration FILE and print every error in it.

    Also prints warnings: settings that work but are probably not meant. The exit status is 1 if there is an error.
    """
    text = read_text(file)
    config, origin = loads_from(text, os.environ, str(file))
    for note in config.notes:
        click.echo(f"{click.style('warning:', fg='yellow')} {escaped(note)}", err=True)
    tls = list(missing_certificate(config)) or list(certificate_problems(config))
    needed = [] if is_plain_enough(config) else tls
    unknown = list(unknown_fallbacks(config))
    # In Icecast's file a mount needs no section: what is not known here may be one, when its source comes.
    unknown_errors, unknown_warnings = ([], unknown) if is_xml(text) else (unknown, [])
    problems = [
        *unusable_mounts(config), *needed, *missing_owner(config), *missing_files(config), *unknown_errors,
    ]  # fmt: skip
    if problems:
        raise ConfigError([origin.located(problem) for problem in problems])
    warnings = (
        *unknown_warnings,
        *(f"{problem}; plain connections are taken without it" for problem in tls),
        *owner_advice(config),
        *password_advice(config),
        *file_advice(config),
        *pipes(config),
        *style_sheets(config),
        *bad_addresses(config),
        *([] if tls else certificate_advice(config, time.time())),
        *advice(config),
    )
    for line in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {escaped(origin.located(line))}", err=True)
    click.echo(f"{click.style('ok', fg='green', bold=True)}  {file}: {', '.join(_facts(config))}")


def _facts(config: Config) -> Iterator[str]:
    yield f"port {', '.join(str(listen.port) for listen in config.listen)}"
    named = sum(mount.type != "default" for mount in config.mount)
    yield f"{named} mount{'s' * (named != 1)}"
    end = end_of_certificate(config)
    if end:
        yield f"certificate until {end}"


def unusable_mounts(config: Config) -> Iterator[str]:
    """Yields a line for each name in the configuration that no mount can have."""
    named = [(f"listen[{index}].shoutcast_mount", one.shoutcast_mount) for index, one in enumerate(config.listen)]
    for index, mount in enumerate(config.mount):
        named += [(f"mount[{index}].{key}", getattr(mount, key)) for key in ("mount_name", "fallback_mount")]
    named += [(f"relay[{index}].local_mount", relay.local_name) for index, relay in enumerate(config.relay)]
    for key, name in named:
        if name and name != SILENCE and (why := why_no_mount(name)):
            yield f'{key} = "{name}": this name cannot be a mount: {why}'


def missing_certificate(config: Config) -> Iterator[str]:
    """Yields a line for each file of the certificate that this user cannot use."""
    for key in ("certificate", "private_key"):
        yield from _unreadable(f"tls.{key}", getattr(config.tls, key))


def is_plain_enough(config: Config) -> bool:
    """Whether the server starts without its certificate: the ports that take TLS take plain connections as well."""
    ports = [listen for listen in config.listen if listen.tls]
    return bool(ports) and not any(listen.is_tls_only for listen in ports) and not config.cluster.tls


def missing_files(config: Config) -> Iterator[str]:
    """Yields a line for each file that the configuration names and that this user cannot use."""
    yield from _no_authorities("cluster.tls_ca", config.cluster.tls_ca)
    yield from _no_authorities("master.tls_ca", config.master.tls_ca)
    for index, relay in enumerate(config.relay):
        yield from _no_authorities(f"relay[{index}].tls_ca", relay.tls_ca)
    if config.paths.webroot and not os.access(Path(config.paths.webroot), os.R_OK | os.X_OK):
        yield f'paths.webroot = "{config.paths.webroot}": expected a folder that this user can read'
    if config.paths.adminroot and not os.access(Path(config.paths.adminroot), os.R_OK | os.X_OK):
        yield f'paths.adminroot = "{config.paths.adminroot}": expected a folder that this user can read'
    for key in ("deny_ip", "allow_ip", "deny_agents"):
        yield from _unreadable(f"paths.{key}", getattr(config.paths, key))
    for key in ("access_log", "error_log", "playlist_log"):
        yield from _unwritable(f"logging.{key}", getattr(config.logging, key))
    yield from _unplayable_files(config)
    for index, mount in enumerate(config.mount):
        yield from _unwritable(f"mount[{index}].dump_file", mount.dump_file or "")
        yield from _unwritable(f"mount[{index}].access_log", mount.access_log or "")
        yield from _no_users(f"mount[{index}].authentication.filename", mount.authentication)
        yield from _not_a_program(f"mount[{index}].on_connect", mount.on_connect or "")
        yield from _not_a_program(f"mount[{index}].on_disconnect", mount.on_disconnect or "")


def _unplayable_files(config: Config) -> Iterator[str]:
    """Yields a line for each fallback and intro that is a file and cannot be played."""
    for index, mount in enumerate(config.mount):
        name, intro = mount.fallback_mount or "", mount.intro or ""
        if why := _why_no_fallback(config, name):
            yield f'mount[{index}].fallback_mount = "{name}": {why}'
        if intro and (why := _why_unplayable(config, intro, MOST_INTRO)):
            yield f'mount[{index}].intro = "{intro}": {why}'


def unknown_fallbacks(config: Config) -> Iterator[str]:
    """Yields a line for each fallback that is neither a file nor a mount that the configuration names."""
    if not config.paths.webroot or config.master.server:  # whose mounts are not known here
        return
    for index, mount in enumerate(config.mount):
        name = mount.fallback_mount or ""
        if not _is_known_mount(config, name) and not _is_file(config, name):
            why = "expected a file below paths.webroot, or a mount that has a [[mount]] section"
            yield f'mount[{index}].fallback_mount = "{name}": {why}'


def _is_known_mount(config: Config, name: str) -> bool:
    return name in ("", SILENCE) or config.describes_mount(name) or config.names_mount(name)


def _is_file(config: Config, name: str) -> bool:
    is_there = bool(config.paths.webroot) and Path(below(config.paths.webroot, name)).exists()
    return is_there or bool(_RATE_IN_NAME.search(name))


def _why_no_fallback(config: Config, name: str) -> str:
    """Returns why a fallback that is a file cannot be played."""
    is_file = not _is_known_mount(config, name) and _is_file(config, name)
    return _why_unplayable(config, name) if is_file else ""


def _why_unplayable(config: Config, name: str, most: int | None = None) -> str:
    if not config.paths.webroot:
        return "expected paths.webroot, the folder that has this file"
    path = below(config.paths.webroot, name)
    try:
        found = (detect, EXPECTED) if most is None else (detect_before_stream, EXPECTED_BEFORE_STREAM)
        LoopedFile(path, *found).close()
        return f"{path} has more than {most >> 20} MiB" if most and Path(path).stat().st_size > most else ""
    except (ExternalError, OSError) as error:
        return f"{path}: {error}"


def pipes(config: Config) -> Iterator[str]:
    """Yields a line for each log and dump that is a named pipe. Whether something reads it cannot be told: opening it
    would end a reader that waits.
    """
    named = [(f"logging.{key}", getattr(config.logging, key)) for key in ("access_log", "error_log", "playlist_log")]
    for index, mount in enumerate(config.mount):
        named += [(f"mount[{index}].{key}", getattr(mount, key) or "") for key in ("dump_file", "access_log")]
    for key, name in named:
        if name and is_pipe(name):
            yield f'{key} = "{name}" is a named pipe: it is used only if a program reads it when it is opened'


def style_sheets(config: Config) -> Iterator[str]:
    """Yields a line if there are style sheets that cannot be applied."""
    from pycast.web.routes import ROUTES
    from pycast.web.xsl import missing_lxml

    pages = {route.path for route in ROUTES}
    for key in ("webroot", "adminroot"):
        folder = getattr(config.paths, key)
        names = {f"/{path.name}" for path in Path(folder).glob("*.xsl")} if folder else set()
        own = sorted(names - pages if key == "webroot" else names)
        if own and (why := missing_lxml()):
            yield f'paths.{key} = "{folder}" has {own[0][1:]}: {why}'


def bad_addresses(config: Config) -> Iterator[str]:
    """Yields a line for each list of addresses that has lines which cannot be read. They are left out."""
    for key in ("deny_ip", "allow_ip"):
        name = getattr(config.paths, key)
        if name:
            _, bad = read_addresses(Path(name).read_text("utf-8", "replace"))
            for number, line in bad[:1]:
                more = f", and {len(bad) - 1} more lines" if len(bad) > 1 else ""
                yield f'paths.{key} = "{name}": line {number} is no address: {line[:60]!r}{more}'


def _unreadable(key: str, name: str) -> Iterator[str]:
    if name and not (Path(name).is_file() and os.access(name, os.R_OK)):
        yield f'{key} = "{name}": expected a readable file'


def _no_authorities(key: str, name: str) -> Iterator[str]:
    unreadable = list(_unreadable(key, name))
    yield from unreadable
    if name and not unreadable:
        try:
            ssl.create_default_context(cafile=name)
        except ssl.SSLError:
            yield f'{key} = "{name}": expected a PEM file with certificates'


def _no_users(key: str, given: MountAuthentication | None) -> Iterator[str]:
    name = given.filename if given is not None and given.type == "htpasswd" else ""
    if name and not (Path(name).is_file() and os.access(name, os.R_OK)):
        yield f'{key} = "{name}": expected a readable file; `pycast passwd {name} USER` makes one'


def unwritable(name: str) -> bool:
    """Whether this user cannot write the file `name`, or make it."""
    file = Path(name)
    # A folder whose name has strftime fields may not exist yet.
    if name in ("", "-") or "%" in str(file.parent):
        return False
    if file.exists():
        return file.is_dir() or not os.access(file, os.W_OK)
    return not os.access(file.parent, os.W_OK | os.X_OK)


def _unwritable(key: str, name: str) -> Iterator[str]:
    if unwritable(name):
        yield f'{key} = "{name}": expected a file that this user can write, in a folder that exists'


def _not_a_program(key: str, name: str) -> Iterator[str]:
    if name and not (Path(name).is_file() and os.access(name, os.X_OK)):
        yield f'{key} = "{name}": expected an executable file'

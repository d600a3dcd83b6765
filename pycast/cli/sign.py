"""`pycast sign MOUNT`: prints a signed address of a mount with `type = "signed"`, to try it out or for a script.

Web sites make such addresses themselves: docs/authentication.md has the few lines.
"""

import os
import time
from ipaddress import ip_network
from pathlib import Path

import click

from pycast.auth.signed_address import signed_path
from pycast.config.load import SEARCH_PATH, load
from pycast.config.serving import first_serving
from pycast.config.units import parse_time
from pycast.http.mount_names import why_no_mount
from pycast.stats.icestats import stream_url


@click.command(short_help="Print a signed address of a mount.")
@click.argument("mount")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file. Default: as for serve.")
@click.option("--valid", default="1h", show_default=True, help="How long a player may begin to listen.")
@click.option("--address", default="", help="The only IP address, or network, that may listen.")
def command(mount: str, config: Path | None, valid: str, address: str) -> None:
    """Print an address of MOUNT that is signed with the first of its keys."""
    if why := why_no_mount(mount):
        raise click.BadParameter(f"this name cannot be a mount: {why}", param_hint="MOUNT")
    path = config or next((one for one in SEARCH_PATH if one.is_file()), None)
    found = load(path, os.environ)
    settings = found.for_mount(mount)
    if settings.authentication.type != "signed":
        raise click.ClickException(f'mount {mount} has no authentication of type = "signed"')
    try:
        seconds = parse_time(valid)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--valid") from error
    try:
        ip_network(address or "::", strict=False)
    except ValueError as error:
        raise click.BadParameter("expected an IP address or a network", param_hint="--address") from error
    signed = signed_path(settings.authentication.keys[0], mount, int(time.time() + seconds), address)
    first = found.listen[first_serving(found, "listeners")]
    base = found.server.public_url or f"http{'s' if first.is_tls_only else ''}://{found.server.hostname}:{first.port}"
    click.echo(stream_url(base, mount, settings.listenurl) + "?" + signed.partition("?")[2])

"""Checks that need more than one key: conflicts, which are errors, and advice, which is not.

Both expect a `Config` whose values are right one by one. Pure: whether files exist is checked in cli/check.py, and
passwords in auth/known_passwords.py.
"""

from collections import Counter
from collections.abc import Iterator
from posixpath import normpath

from pycast.config.address_values import is_reached
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.problems import Path, Problem
from pycast.config.schema import Config

_LOCAL = ("::1", "localhost")
"""Addresses of this machine alone, beside those of 127.0.0.0/8."""


def conflicts(config: Config) -> list[Problem]:
    """Returns the problems that make the configuration unusable although each value alone is right."""
    return [
        *_listen_conflicts(config),
        *_mount_conflicts(config),
        *_relay_conflicts(config),
        *_alias_conflicts(config),
        *_cluster_conflicts(config),
        *_security_conflicts(config),
        *_directory_conflicts(config),
    ]


def advice(config: Config) -> list[str]:
    """Returns a line for each setting that works but is probably not meant."""
    return [
        *_hostname_advice(config),
        *_other_server_advice(config),
        *_port_advice(config),
        *_fallback_advice(config),
        *_size_advice(config),
        *_patience_advice(config),
        *_proxy_advice(config),
        *_drain_advice(config),
        *_worker_advice(config),
        *_directory_advice(config),
    ]


def _listen_conflicts(config: Config) -> Iterator[Problem]:
    if not config.listen:
        yield ("listen",), None, "expected at least one [[listen]] section"
    taken: dict[tuple[str, int], str] = {}
    for index, listen in enumerate(config.listen):
        if listen.tls and not config.tls.certificate:
            yield ("listen", index, "tls"), True, "expected false, or a certificate in [tls]"
        ports = [listen.port, listen.port + 1] if listen.shoutcast_mount else [listen.port]
        for port in ports if listen.port else []:
            owner = taken.setdefault((listen.bind_address, port), f"listen[{index}]")
            if owner != f"listen[{index}]":
                what = (
                    "a port"
                    if port == listen.port
                    else f"the next port {port}, which is for SHOUTcast sources, to be one"
                )
                yield ("listen", index, "port"), listen.port, f"expected {what} that {owner} does not use already"
        if listen.shoutcast_mount and "sources" not in listen.serves:
            yield ("listen", index, "serves"), None, 'expected "sources" too, as shoutcast_mount is set'
        if listen.shoutcast_mount and listen.port == 65535:
            yield ("listen", index, "port"), listen.port, "expected a port below 65535, as SHOUTcast takes the next one"


def _mount_conflicts(config: Config) -> Iterator[Problem]:
    names = Counter(mount.mount_name for mount in config.mount if mount.type != "default")
    seen: set[str] = set()
    for index, mount in enumerate(config.mount):
        if mount.authentication is not None:
            yield from _authentication_conflicts(("mount", index, "authentication"), mount.authentication)
        if mount.type == "default":
            continue
        if mount.mount_name is None:
            yield ("mount", index, "mount_name"), None, 'expected a name such as "/live.mp3" (or type = "default")'
        elif names[mount.mount_name] > 1 and mount.mount_name in seen:
            yield ("mount", index, "mount_name"), mount.mount_name, "expected each mount to have one section only"
        seen.add(mount.mount_name or "")


def _relay_conflicts(config: Config) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, relay in enumerate(config.relay):
        if not relay.server and not relay.upstreams:
            yield ("relay", index, "server"), "", "expected the name of the server to relay from, or upstreams"
        elif relay.local_name in seen:
            yield ("relay", index, "local_mount"), relay.local_name, "expected each mount to have one relay only"
        elif relay.local_name == relay.mount and _is_own(config, relay.server, relay.port):
            yield ("relay", index, "server"), relay.server, "expected another server: this is the mount itself"
        seen.add(relay.local_name)
    for index, other in enumerate(config.redirect):
        if not other.host:
            yield ("redirect", index, "host"), "", "expected the name of the server to which listeners are sent"
        elif _is_own(config, other.host, other.port):
            yield ("redirect", index, "host"), other.host, "expected another server: this is this one itself"
    master = config.master
    if master.server and not master.password:
        yield ("master", "password"), "", "expected the master's password for relays, as master.server is set"
    if _is_own(config, master.server, master.port):
        yield ("master", "server"), master.server, "expected another server: this is this one itself"


def _is_own(config: Config, server: str, port: int) -> bool:
    """Whether it is certain that this server listens there. What is not found here is found by its first answer."""
    return any(listen.port == port and is_reached(listen.bind_address, server) for listen in config.listen)


def _authentication_conflicts(path: Path, given: MountAuthentication) -> Iterator[Problem]:
    if given.type == "htpasswd" and not given.filename:
        yield (*path, "filename"), None, 'expected the file with the users, as type is "htpasswd"'
    if given.type == "signed" and not given.keys:
        yield (*path, "keys"), None, 'expected a list of keys, as type is "signed"'
    actions = ("listener_add", "listener_remove", "stream_auth", "mount_add", "mount_remove")
    if given.type == "url" and not any(given.url_of(action) for action in actions):
        yield (*path, "listener_add"), None, f'expected one of {", ".join(actions)}, as type is "url"'
    if given.type == "none" and any(name != "type" for name in given.given):
        yield (*path, "type"), None, 'expected type = "htpasswd", "url" or "signed": without it everybody may listen'


def _alias_conflicts(config: Config) -> Iterator[Problem]:
    for index, alias in enumerate(config.alias):
        for key in ("source", "destination"):
            if not getattr(alias, key):
                yield ("alias", index, key), None, 'expected a path, such as "/listen"'
        if alias.source and alias.source == alias.destination:
            yield ("alias", index, "destination"), alias.destination, "expected another path than source"


def _cluster_conflicts(config: Config) -> Iterator[Problem]:
    cluster = config.cluster
    for key in ("peers", "dns", "etcd"):
        if getattr(cluster, key) and not cluster.secret:
            yield ("cluster", "secret"), "", f"expected the secret that all nodes share, as cluster.{key} is set"
            break
    if cluster.registry == "etcd" and cluster.secret and not cluster.etcd:
        yield ("cluster", "etcd"), [], 'expected the addresses of etcd\'s members, as cluster.registry is "etcd"'
    for index, listen in enumerate(config.listen):
        if config.balancer.agent_port and listen.port == config.balancer.agent_port:
            yield ("balancer", "agent_port"), listen.port, f"expected a port that listen[{index}] does not use already"


def _security_conflicts(config: Config) -> Iterator[Problem]:
    for key in ("webroot", "adminroot"):
        root = getattr(config.paths, key)
        if root and normpath(root) in ("/", "//"):
            yield ("paths", key), root, "expected a folder of its own: whatever is below it is served"
    if config.security.group and not config.security.user:
        yield ("security", "group"), config.security.group, "expected security.user too: a group alone is not changed"


def _directory_conflicts(config: Config) -> Iterator[Problem]:
    for index, directory in enumerate(config.directory):
        if not directory.yp_url:
            yield (
                ("directory", index, "yp_url"),
                None,
                'expected its address, such as "https://dir.xiph.org/cgi-bin/yp-cgi"',
            )


def _directory_advice(config: Config) -> Iterator[str]:
    is_local = config.server.hostname == "localhost" and not config.server.public_url
    for index, directory in enumerate(config.directory):
        if is_local and not directory.listen_socket_url:
            yield f"directory[{index}]: it lists no stream of server.hostname localhost: nobody else can reach it"


def _hostname_advice(config: Config) -> Iterator[str]:
    name = config.server.hostname
    if _is_more_than_host(name) and not config.server.public_url:
        yield (
            f'server.hostname is "{name}": expected a name or an address alone, without http:// and port; what '
            "listeners get leads nowhere"
        )
    is_local = all(one.bind_address.startswith("127.") or one.bind_address in _LOCAL for one in config.listen)
    if name == "localhost" and not config.server.public_url and not is_local:
        yield 'server.hostname is "localhost": playlists will send listeners to their own machine'


def _other_server_advice(config: Config) -> Iterator[str]:
    named = [(f"relay[{index}].server", relay.server) for index, relay in enumerate(config.relay)]
    named += [(f"redirect[{index}].host", redirect.host) for index, redirect in enumerate(config.redirect)]
    for where, name in [*named, ("master.server", config.master.server)]:
        if _is_more_than_host(name):
            yield f'{where} is "{name}": expected a name or an address alone, without http://, port and path'


def _is_more_than_host(name: str) -> bool:
    return any(letter in name for letter in "/@?# ") or name.count(":") == 1


def _port_advice(config: Config) -> Iterator[str]:
    served = {kind for listen in config.listen for kind in listen.serves}
    for kind in ("listeners", "sources"):
        if kind not in served:
            yield f'no [[listen]] section has "{kind}" in serves: this server takes no {kind}'


def _fallback_advice(config: Config) -> Iterator[str]:
    for index, mount in enumerate(config.mount):
        name, fallback = mount.mount_name, mount.fallback_mount
        if name and fallback and not config.lets_on(name, fallback):
            yield (
                f"mount[{index}].fallback_mount: {fallback} asks its listeners for something else than {name}: nobody "
                "is moved there"
            )


def _proxy_advice(config: Config) -> Iterator[str]:
    for index, listen in enumerate(config.listen):
        for network in listen.trusted_proxies:
            if network.prefixlen == 0:
                yield f"listen[{index}].trusted_proxies has {network}: every client can claim any address"


def _drain_advice(config: Config) -> Iterator[str]:
    drain = config.drain
    if drain.lead >= drain.deadline:
        yield f"drain.lead ({drain.lead:g} s) leaves no time before drain.deadline ({drain.deadline:g} s)"
    elif drain.lead + 1 / drain.rate > drain.deadline:
        yield f"drain.deadline ({drain.deadline:g} s) is too short: at drain.rate some listeners are still there"


def _worker_advice(config: Config) -> Iterator[str]:
    cluster = config.cluster
    far = [peer for peer in cluster.peers if not peer.startswith(("127.", "localhost:", "[::1]:"))]
    has_others = bool(far or cluster.dns or cluster.registry == "etcd")
    if config.is_clustered and has_others and config.server.workers != 1 and not cluster.link_port:
        yield "cluster.link_port is 0: nodes on other machines cannot reach the workers of this one"


def _patience_advice(config: Config) -> Iterator[str]:
    own = [one.mount_name for one in config.mount if not {"listener_patience", "source_timeout"}.isdisjoint(one.given)]
    for name in ("", *filter(None, own)):
        mount = config.for_mount(name)
        if 0 < mount.listener_patience < mount.source_timeout:
            where = f"mount {name}" if name else "limits"
            yield f"{where}: listener_patience is shorter than source_timeout: listeners leave a source that may go on"


def _size_advice(config: Config) -> Iterator[str]:
    queue, burst = config.limits.queue_size.bytes, config.limits.burst_size.bytes
    if queue is not None and burst is not None and queue < burst:
        yield f"limits.queue_size ({queue}) is smaller than burst_size ({burst}): new listeners start too far behind"

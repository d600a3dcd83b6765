"""Totals since the start. Each counter is declared here once, with its name and meaning for `/metrics`; the snapshot
and the sum over the nodes of a cluster follow from that. The code that does what is counted adds to it.
"""

from dataclasses import dataclass, field

from pycast.stats.metric import metric


@dataclass(slots=True, repr=False)
class Counters:
    """The totals of a node, over all its mounts and connections."""

    connections: int = field(
        default=0, metadata=metric("pycast_connections_total", "TCP connections accepted.", is_summed=True)
    )
    client_connections: int = field(
        default=0, metadata=metric("pycast_requests_total", "GET requests.", is_summed=True)
    )
    listener_connections: int = field(
        default=0,
        metadata=metric("pycast_listener_connections_total", "Listeners accepted, on all mounts.", is_summed=True),
    )
    source_client_connections: int = field(
        default=0, metadata=metric("pycast_source_connections_total", "Sources accepted.", is_summed=True)
    )
    source_relay_connections: int = field(
        default=0,
        metadata=metric(
            "pycast_relay_connections_total", "Streams of other servers that came on the air.", is_summed=True
        ),
    )
    relay_failures: int = field(
        default=0,
        metadata=metric(
            "pycast_relay_failures_total",
            "Streams of other servers that could not be had, or broke off. The log says why.",
            is_summed=True,
        ),
    )
    relay_retries: int = field(
        default=0,
        metadata=metric(
            "pycast_relay_retries_total", "Tries to get a stream of another server after a failure.", is_summed=True
        ),
    )
    broken_sources: int = field(
        default=0,
        metadata=metric(
            "pycast_broken_sources_total",
            "Sources ended because their stream cannot be played or breaks its framing. The log says why.",
            is_summed=True,
        ),
    )
    file_connections: int = field(
        default=0,
        metadata=metric("pycast_file_requests_total", "Requests of public pages, playlists and files.", is_summed=True),
    )
    stats_connections: int = field(
        default=0,
        metadata=metric("pycast_stats_connections_total", "Streams of statistics and events begun.", is_summed=True),
    )
    stats_disconnections: int = field(
        default=0,
        metadata=metric(
            "pycast_stats_disconnections_total", "Streams of statistics and events that are over.", is_summed=True
        ),
    )
    slow_listeners: int = field(
        default=0,
        metadata=metric(
            "pycast_slow_listeners_total", "Listeners dropped because they fell too far behind.", is_summed=True
        ),
    )
    refused_connections: int = field(
        default=0,
        metadata=metric(
            "pycast_refused_connections_total", "Connections refused because the server was full.", is_summed=True
        ),
    )
    banned: int = field(
        default=0,
        metadata=metric(
            "pycast_banned_total",
            "Connections refused, and listeners disconnected, by deny_ip, allow_ip or deny_agents.",
            is_summed=True,
        ),
    )
    listeners_redirected: int = field(
        default=0,
        metadata=metric(
            "pycast_listeners_redirected_total",
            "Listeners without room here who were sent to another server.",
            is_summed=True,
        ),
    )
    listeners_over_limit: int = field(
        default=0,
        metadata=metric(
            "pycast_listeners_over_limit_total",
            "Listeners refused because a limit of listeners or bandwidth was reached.",
            is_summed=True,
        ),
    )
    listeners_of_other_format: int = field(
        default=0,
        metadata=metric(
            "pycast_listeners_of_other_format_total",
            "Listeners disconnected because a new source of their mount sends another format.",
            is_summed=True,
        ),
    )
    slowed_sources: int = field(
        default=0,
        metadata=metric(
            "pycast_slowed_sources_total", "Sources slowed down because they sent more than limit_rate.", is_summed=True
        ),
    )
    bad_requests: int = field(
        default=0,
        metadata=metric("pycast_bad_requests_total", "Requests and sources answered with an error.", is_summed=True),
    )
    failed_logins: int = field(
        default=0,
        metadata=metric(
            "pycast_failed_logins_total", "Logins with a wrong user or password, of any kind.", is_summed=True
        ),
    )
    refused_logins: int = field(
        default=0,
        metadata=metric(
            "pycast_refused_logins_total",
            "Logins refused with 429 because too many from their address had failed.",
            is_summed=True,
        ),
    )
    refused_listeners: int = field(
        default=0,
        metadata=metric(
            "pycast_refused_listeners_total", "Listeners that the authentication of a mount refused.", is_summed=True
        ),
    )
    busy_logins: int = field(
        default=0,
        metadata=metric(
            "pycast_busy_logins_total",
            "Listeners and sources refused because too many waited for an answer, or a password's check.",
            is_summed=True,
        ),
    )
    failed_auth_calls: int = field(
        default=0,
        metadata=metric(
            "pycast_failed_auth_calls_total",
            "Calls of a server that is asked about listeners and sources that failed. The log says why.",
            is_summed=True,
        ),
    )
    auth_notices_lost: int = field(
        default=0,
        metadata=metric(
            "pycast_lost_auth_notices_total",
            "Departures of listeners, and mounts that came or went, of which the server could not be told.",
            is_summed=True,
        ),
    )
    log_lines_lost: int = field(
        default=0,
        metadata=metric(
            "pycast_log_lines_lost_total", "Log lines that a disk or a reader did not take.", is_summed=True
        ),
    )
    dump_bytes_lost: int = field(
        default=0,
        metadata=metric(
            "pycast_dump_lost_bytes_total",
            "Audio bytes that a disk or a reader did not take for a dump.",
            is_summed=True,
        ),
    )
    refused_pages: int = field(
        default=0,
        metadata=metric(
            "pycast_refused_pages_total",
            "Pages refused because too many were waited for, or not read by their clients.",
            is_summed=True,
        ),
    )
    cut_answers: int = field(
        default=0,
        metadata=metric(
            "pycast_cut_answers_total", "Answers cut short because their clients read too slowly.", is_summed=True
        ),
    )
    cross_site_requests: int = field(
        default=0,
        metadata=metric(
            "pycast_cross_site_requests_total",
            "Requests for admins or sources that were refused because a browser sent them for another site's page.",
            is_summed=True,
        ),
    )
    bytes_read: int = field(
        default=0, metadata=metric("pycast_received_bytes_total", "Audio bytes read from sources.", is_summed=True)
    )
    bytes_dropped: int = field(
        default=0,
        metadata=metric(
            "pycast_dropped_bytes_total",
            "Bytes of sources that were not passed on: junk, broken or incomplete parts, large pictures.",
            is_summed=True,
        ),
    )
    marks_dropped: int = field(
        default=0,
        metadata=metric(
            "pycast_dropped_marks_total",
            "Titles, codec headers, join points and splices that were forgotten early, as a mount had too many.",
            is_summed=True,
        ),
    )
    bytes_sent: int = field(
        default=0, metadata=metric("pycast_sent_bytes_total", "Bytes sent to clients of every kind.", is_summed=True)
    )
    worker_restarts: int = field(
        default=0,
        metadata=metric(
            "pycast_worker_restarts_total", "Times a worker of this machine ended unexpectedly and was replaced."
        ),
    )
    worker_hangs: int = field(
        default=0,
        metadata=metric(
            "pycast_worker_hangs_total", "Times a worker of this machine stood still, and was killed and replaced."
        ),
    )


@dataclass(slots=True, repr=False)
class MirrorCounters:
    """The totals of a node's mirrors."""

    bytes: int = field(default=0, metadata=metric("pycast_mirror_bytes_total", "Bytes that came from other nodes."))
    connections: int = field(
        default=0, metadata=metric("pycast_mirror_reconnects_total", "Connections that mirrors opened to other nodes.")
    )
    gaps: int = field(
        default=0, metadata=metric("pycast_mirror_gaps_total", "Times a mirror had to jump to other audio.")
    )
    gap_bytes: int = field(
        default=0,
        metadata=metric(
            "pycast_mirror_gap_bytes_total",
            "Bytes of audio that mirrors missed because no other node had them any more.",
        ),
    )
    refused_epochs: int = field(
        default=0,
        metadata=metric(
            "pycast_mirror_refused_epochs_total", "Times a mirror refused an owner with an outdated epoch."
        ),
    )


@dataclass(slots=True, repr=False)
class LinkCounters:
    """The totals of a node's links with other nodes."""

    faults: int = field(
        default=0,
        metadata=metric("pycast_link_faults_total", "Messages of other nodes that made no sense, and were not used."),
    )


_CLAIMS = "pycast_claims_total", "Claims of mounts, by result."


@dataclass(slots=True, repr=False)
class OwnershipCounters:
    """The results of a node's claims."""

    won: int = field(default=0, metadata=metric(*_CLAIMS, labels={"result": "won"}))
    held: int = field(default=0, metadata=metric(*_CLAIMS, labels={"result": "held"}))
    provisional: int = field(default=0, metadata=metric(*_CLAIMS, labels={"result": "provisional"}))
    stepped_down: int = field(
        default=0,
        metadata=metric("pycast_stepdowns_total", "Mounts given up because another node had claimed them."),
    )

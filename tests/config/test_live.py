"""Tests of pycast.config.live: the settings in force, and what a reload cannot change."""

import pytest

from pycast.config.live import Live, restart_needed
from pycast.config.load import loads
from pycast.config.schema import Config


def needed(before: str, after: str) -> list[str]:
    return restart_needed(loads(before, {}, "before"), loads(after, {}, "after"))


def test_who_holds_it_sees_what_was_put_in_force() -> None:
    one, two = Config(), loads("[limits]\nclients = 7\n", {}, "two")
    live = Live(one)
    assert live.now is one
    live.replace(two)
    assert live.now is two


def test_same_configuration_needs_no_restart() -> None:
    assert needed("[server]\nworkers = 1\n", "") == []


def test_change_of_what_is_read_each_time_needs_no_restart() -> None:
    after = """
        [server]
        hostname = "other"
        drain = true
        [limits]
        clients = 7
        [authentication]
        admin_password = "new"
        [[mount]]
        mount_name = "/a"
        [http_headers]
        [logging]
        access_log = ""
        [cluster]
        mirror = "always"
        on_conflict = "reject"
        [drain]
        lead = 1
        [balancer]
        egress = "1G"
    """
    assert needed("", after) == []


@pytest.mark.parametrize(
    ("after", "keys"),
    [
        ("[server]\nworkers = 2", ["server.workers"]),
        ('[tls]\ncertificate = "a"\nprivate_key = "b"', []),
        ('[security]\nuser = "nobody"', ["security.user"]),
        ('[cluster]\nsecret = "s"\nnode = "a"\nmirror = "always"', ["cluster.node", "cluster.secret"]),
        ("[balancer]\nagent_port = 7000", ["balancer.agent_port"]),
        ("[[listen]]\nport = 8001", ["listen[0].port"]),
        ("[[listen]]\n[[listen]]\nport = 9000", ["listen"]),
    ],
)
def test_keys_that_need_a_restart_are_named(after: str, keys: list[str]) -> None:
    assert needed("", after) == keys


def test_second_port_is_named_by_its_number() -> None:
    text = "[[listen]]\n[[listen]]\nport = 9000\nshoutcast_mount = '{}'"
    assert needed(text.format("/a"), text.format("/b")) == ["listen[1].shoutcast_mount"]

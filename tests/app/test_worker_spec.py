"""What each worker makes of the machine's configuration."""

from pathlib import Path

import pytest

from pycast.app.worker_spec import WorkerPlace, WorkerSpec
from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.config.secret_files import with_secrets
from pycast.errors import ConfigError

LINKS = ("127.0.0.1:5000", "127.0.0.1:5001", "127.0.0.1:5002")


def worker(index: int, *, secret: str = "made up") -> WorkerPlace:
    return WorkerPlace(index, 3, "host:8000", (8000, 9000), LINKS, "127.0.0.1", secret)


def adapted(text: str, index: int = 1) -> Config:
    return worker(index).adapt(loads(text, {}, "test"))


def test_each_worker_is_a_node_of_its_own_that_knows_the_others() -> None:
    cluster = adapted("").cluster
    assert (cluster.node, cluster.advertise, cluster.secret) == ("host:8000.1", LINKS[1], "made up")
    assert cluster.peers == (LINKS[0], LINKS[2])
    assert worker(2).link_port == 5002


def test_port_0_becomes_the_port_that_all_share_and_others_stay() -> None:
    listen = adapted("[[listen]]\nport = 0\n[[listen]]\nport = 9100\n[[listen]]\nport = 9200\n").listen
    assert [one.port for one in listen] == [8000, 9100, 9200]


def test_clients_are_divided_with_some_slack() -> None:
    assert adapted("[limits]\nclients = 3000\n").limits.clients == 1100
    assert adapted("[limits]\nclients = 1\n").limits.clients == 1


def test_alone_on_its_machine_a_second_source_is_refused_unless_the_file_says_otherwise() -> None:
    assert adapted("").for_mount("/x").on_conflict == "reject"
    assert adapted('[cluster]\non_conflict = "standby"\n').for_mount("/x").on_conflict == "standby"
    assert adapted('[cluster]\nsecret = "s"\n').for_mount("/x").on_conflict == "standby"


def test_alone_on_its_machine_the_workers_speak_plainly_over_loopback() -> None:
    assert adapted("[cluster]\ntls = true\n").cluster.tls is False
    assert adapted('[cluster]\ntls = true\nsecret = "s"\n').cluster.tls is True


def test_in_a_cluster_the_other_machines_are_kept_and_files_are_each_workers_own() -> None:
    cluster = adapted('[cluster]\nsecret = "s"\npeers = ["10.0.0.2:8000"]\nstate_file = "/var/state"\n').cluster
    assert cluster.peers == (LINKS[0], LINKS[2], "10.0.0.2:8000")
    assert cluster.state_file == "/var/state.1"


@pytest.mark.parametrize(("index", "port"), [(0, 7000), (1, 0), (2, 0)])
def test_the_balancer_asks_the_first_worker(index: int, port: int) -> None:
    balancer = adapted('[balancer]\nagent_port = 7000\negress = "900M"\n', index).balancer
    assert (balancer.agent_port, balancer.egress) == (port, 300_000_000)


def test_adapting_the_same_file_again_changes_nothing() -> None:
    text = "[limits]\nclients = 100\n[[listen]]\nport = 0\n"
    assert adapted(text) == adapted(text)


def test_a_specification_arrives_as_it_was_sent() -> None:
    spec = WorkerSpec(worker(1), '[server]\nlocation = "Zürich \\"HB\\""\n', "/etc/pycast.toml", 0)
    line = spec.to_json()
    assert line.count(b"\n") == 1
    assert WorkerSpec.from_json(line) == spec
    assert WorkerSpec.from_json(line).config({}).server.location == 'Zürich "HB"'


def test_a_workers_settings_win_over_the_file_and_the_environment_over_both() -> None:
    text = "[[listen]]\nport = 8100\n"
    config = WorkerSpec(worker(0), text, None, 8200).config({"PYCAST_SERVER__LOCATION": "here"})
    assert (config.listen[0].port, config.server.location) == (8200, "here")
    with pytest.raises(ConfigError, match=r"my\.toml"):
        WorkerSpec(worker(0), "[server]\nx = 1\n", "my.toml", None).config({})


def test_a_worker_has_the_secrets_that_the_others_have_though_the_file_has_changed(tmp_path: Path) -> None:
    text = f'[authentication]\nadmin_password_file = "{tmp_path}/gone"\n'
    spec = WorkerSpec(worker(0), text, None, None, {f"{tmp_path}/gone": "as it was"})
    config = WorkerSpec.from_json(spec.to_json()).config({})
    assert config.authentication.admin_password == "as it was"
    with pytest.raises(ConfigError, match="admin_password_file"):
        WorkerSpec(worker(0), text, None, None).config({})


def test_a_reload_does_not_change_the_secret_of_the_workers_links(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the file's")
    config = WorkerSpec(worker(0), f'[cluster]\nsecret_file = "{file}"\n', None, None).config({})
    again, _ = with_secrets(config)
    assert again.cluster.secret == config.cluster.secret != "the file's"

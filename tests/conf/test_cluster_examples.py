"""conf/cluster/: `pycast check` has nothing to say about the examples, and they are what their comments say."""

from pathlib import Path

import pytest

from pycast.config.load import load
from pycast.config.schema import Config
from tests.conf.examples import CLUSTER_ENVIRONMENT, CONF, environment_in, pycast_check

FILES = sorted((CONF / "cluster").glob("*.toml"))
MESH = CONF / "cluster" / "pycast.toml"


def loaded(file: Path) -> Config:
    return load(file, CLUSTER_ENVIRONMENT)


def test_both_registries_have_an_example() -> None:
    assert {loaded(file).cluster.registry for file in FILES} == {"mesh", "etcd"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_check_has_nothing_to_say(file: Path) -> None:
    result = pycast_check(file, CLUSTER_ENVIRONMENT)
    assert (result.exit_code, result.stderr) == (0, ""), result.output


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_secret_is_in_the_file(file: Path) -> None:
    without = load(file, {"PYCAST_CLUSTER__SECRET": "made up"})
    assert without.authentication.source_password == "hackme"
    assert pycast_check(file, {}).exit_code == 1


def test_the_environment_that_the_comments_show_is_one_node_of_the_list() -> None:
    environment = environment_in(MESH.read_text())
    assert environment.keys() >= CLUSTER_ENVIRONMENT.keys()
    assert pycast_check(MESH, environment).stderr == ""
    config = load(MESH, environment)
    assert config.is_clustered and config.cluster.node == "a"
    assert config.cluster.advertise in config.cluster.peers
    assert len(config.cluster.peers) == 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nodes_talk_on_a_port_without_proxy_headers(file: Path) -> None:
    config = loaded(file)
    first = config.listen[0]
    assert not first.proxy_protocol
    assert all(peer.endswith(f":{first.port}") for peer in config.cluster.peers)
    assert any(listen.proxy_protocol and listen.trusted_proxies for listen in config.listen)


EXAMPLES = [*FILES, CONF / "minimal.toml", CONF / "station.toml"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_what_the_internet_reaches_serves_no_admin_and_no_metrics(file: Path) -> None:
    config = loaded(file)
    inner = [listen for listen in config.listen if {"admin", "metrics"} & set(listen.serves)]
    assert [listen.bind_address for listen in inner] == ["127.0.0.1"]
    served = {kind for listen in config.listen for kind in listen.serves}
    assert served == {"listeners", "sources", "admin", "metrics", "health"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_drain_ends_before_its_deadline(file: Path) -> None:
    config = loaded(file)
    assert config.server.drain
    assert config.drain.lead + 1 / config.drain.rate < config.drain.deadline

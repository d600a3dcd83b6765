"""conf/kubernetes/: right by Kubernetes' own schemas, and the files fit each other and the settings of the node."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pycast.app.node import STOP_S
from pycast.config.load import loads
from pycast.config.schema import Config
from tests.conf.examples import CONF, pycast_check

FOLDER = CONF / "kubernetes"
Manifest = dict[str, Any]

MANIFESTS: list[Manifest] = [
    one for file in sorted(FOLDER.rglob("*.yaml")) for one in yaml.safe_load_all(file.read_text())
]
# The oldest that knows every field of the examples, and the newest that the schemas are there for.
VERSIONS = ("1.27", kubernetes_validate.latest_version())


def the(kind: str, name: str = "pycast") -> Manifest:
    (found,) = (one for one in MANIFESTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pod() -> Manifest:
    template: Manifest = the("Deployment")["spec"]["template"]
    return template


def container() -> Manifest:
    (one,) = pod()["spec"]["containers"]
    return dict(one)


def config() -> Config:
    """What a pod runs with: the ConfigMap's file, and the files of the Secret."""
    return loads(the("ConfigMap")["data"]["pycast.toml"], {}, "pycast.toml", secret_in_the_pod)


def secret_in_the_pod(path: str) -> str:
    folder, _, name = path.rpartition("/")
    (volume,) = (one["name"] for one in container()["volumeMounts"] if one["mountPath"] == folder)
    (source,) = (one["secret"] for one in pod()["spec"]["volumes"] if one["name"] == volume)
    return str(the("Secret", source["secretName"])["stringData"][name])


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_kubernetes_knows_every_field(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_would_show_a_mistake() -> None:
    wrong = the("PodDisruptionBudget") | {"spec": {"maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_check_has_nothing_to_say_about_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "pycast.toml"
    file.write_text(the("ConfigMap")["data"]["pycast.toml"].replace("/run/secrets/pycast", str(tmp_path)))
    secrets = the("Secret")["stringData"]
    for number, name in enumerate(secrets):
        (tmp_path / name).write_text(f"only this test knows {number}\n")
        (tmp_path / name).chmod(0o440)
    result = pycast_check(file, {})
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert config().is_clustered
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    unchanged = pycast_check(file, {})
    assert unchanged.stderr.count("publicly known") == len(secrets), "of each password in the example"


def test_secrets_are_files_that_only_the_servers_group_can_read() -> None:
    login = config().authentication
    passwords = [login.source_password, login.relay_password, login.admin_password, config().cluster.secret]
    assert sorted(passwords) == sorted(the("Secret")["stringData"].values())
    (volume,) = (one["secret"] for one in pod()["spec"]["volumes"] if "secret" in one)
    assert volume["defaultMode"] == 0o440
    assert pod()["spec"]["securityContext"]["fsGroup"] == pod()["spec"]["securityContext"]["runAsGroup"]


def test_selectors_match_the_pods() -> None:
    labels = pod()["metadata"]["labels"].items()
    spec = the("Deployment")["spec"]
    selectors = [
        spec["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        the("Service", "pycast-nodes")["spec"]["selector"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod()["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)
    target = the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", the("Deployment")["metadata"]["name"])


def test_ports_are_those_of_the_settings() -> None:
    stream, admin = config().listen
    port = stream.port
    assert (stream.serves, admin.serves) == (("listeners", "sources", "health"), ("admin", "metrics"))
    assert container()["ports"] == [
        {"name": "stream", "containerPort": port},
        {"name": "admin", "containerPort": admin.port},
    ]
    for service in (the("Service"), the("Service", "pycast-nodes")):
        assert service["spec"]["ports"] == [{"name": "stream", "port": port, "targetPort": "stream"}]
    assert {container()[probe]["httpGet"]["port"] for probe in container() if probe.endswith("Probe")} == {"stream"}
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == str(admin.port)
    advertise = next(one["value"] for one in container()["env"] if one["name"] == "PYCAST_CLUSTER__ADVERTISE")
    assert advertise == f"$(POD_IP):{port}"


def test_nodes_find_each_other_by_the_headless_service_ready_or_not() -> None:
    nodes = the("Service", "pycast-nodes")
    assert config().cluster.dns == f"{nodes['metadata']['name']}:{nodes['spec']['ports'][0]['port']}"
    assert nodes["spec"]["clusterIP"] == "None"
    assert nodes["spec"]["publishNotReadyAddresses"] is True


def test_listeners_keep_their_address() -> None:
    assert the("Service")["spec"]["externalTrafficPolicy"] == "Local"
    # With it no proxy is between, so nobody's word for an address is taken.
    assert not any(listen.proxy_protocol or listen.trusted_proxies for listen in config().listen)


def test_variables_of_the_pod_are_settings_of_pycast() -> None:
    names = {one["name"] for one in container()["env"]} - {"POD_IP"}
    pod_values = {name: "10.0.0.1:8000" if name.endswith("ADVERTISE") else "x" for name in names}
    made = loads("", pod_values, "environment")
    assert (made.cluster.node, made.cluster.zone, made.cluster.advertise) == ("x", "x", "10.0.0.1:8000")
    assert "envFrom" not in container()


def test_liveness_and_readiness_do_not_share_a_cause() -> None:
    paths = {probe: container()[probe]["httpGet"]["path"] for probe in container() if probe.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_a_pod_drains_before_it_is_cut_off() -> None:
    drain = config().drain
    assert config().server.drain and drain.readiness == "fail"
    assert container()["lifecycle"]["preStop"]["exec"]["command"] == ["pycast", "drain"]
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= drain.deadline + STOP_S + 10
    readiness = container()["readinessProbe"]
    assert drain.lead > readiness["periodSeconds"] * readiness["failureThreshold"]


def test_a_roll_moves_one_node_at_a_time_without_a_loss_of_capacity() -> None:
    spec = the("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["minReadySeconds"] >= config().drain.deadline
    assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"]
    assert "replicas" not in spec
    assert the("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_a_lost_zone_takes_no_more_than_its_share() -> None:
    zone = pod()["spec"]["topologySpreadConstraints"][0]
    assert (zone["topologyKey"], zone["maxSkew"]) == ("topology.kubernetes.io/zone", 1)
    assert zone["nodeTaintsPolicy"] == "Honor"
    assert the("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 3


def test_the_fleet_grows_with_its_load_and_shrinks_slower_than_a_drain() -> None:
    spec = the("HorizontalPodAutoscaler")["spec"]
    (metric,) = spec["metrics"]
    (rule,) = yaml.safe_load(the("ConfigMap", "prometheus-adapter")["data"]["config.yaml"])["rules"]
    assert rule["name"]["as"] == metric["pods"]["metric"]["name"]
    assert rule["seriesQuery"].startswith("pycast_headroom_percent{") and rule["metricsQuery"].startswith("100 - ")
    assert int(metric["pods"]["target"]["averageValue"]) * 3 <= 200
    (step,) = spec["behavior"]["scaleDown"]["policies"]
    assert step["value"] == 1 and step["periodSeconds"] > pod()["spec"]["terminationGracePeriodSeconds"]


def test_the_container_has_no_rights_that_it_does_not_need() -> None:
    assert pod()["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "cpu" not in container()["resources"]["limits"]

"""conf/aws/pycast.yaml: clean by cfn-lint, created in moto, and the nodes' scripts run against stand-ins for AWS."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pycast.app.node import STOP_S
from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.config.units import parse_time
from tests.conf.examples import CLUSTER_ENVIRONMENT, pycast_check
from tests.conf.stack import FILE, ZONES, Stack, cfn_lint, created, files_of_a_node, properties, template, user_data

# One program under the name of each that the scripts call: it notes how it was called and answers as AWS would.
STAND_IN = """#!/bin/bash
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in
    curl*token-ttl*) echo token ;;
    curl*target-lifecycle-state) if grep -q put-metric-data "$CALLS"; then echo Terminated; else echo InService; fi ;;
    curl*instance-id) echo i-1 ;;
    curl*local-ipv4) echo 10.0.0.1 ;;
    curl*availability-zone) echo eu-west-1a ;;
    curl*/metrics) printf '# TYPE pycast_headroom_percent gauge\\npycast_headroom_percent 42.5\\n' ;;
    aws*describe-instances*) printf '10.0.0.1\\t10.0.1.2\\n10.0.2.3\\n' ;;
    aws*get-secret-value*) echo "$SECRET" ;;
esac
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with created() as one:
        yield one


def attributes(answer: dict[str, Any]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in answer["Attributes"]}


def node_config(environment: dict[str, str] | None = None) -> Config:
    return loads(files_of_a_node()["/etc/pycast/pycast.toml"], environment or CLUSTER_ENVIRONMENT, "pycast.toml")


def unit() -> dict[str, str]:
    text = files_of_a_node()["/etc/systemd/system/pycast.service"]
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def run_script(path: str, folder: Path, environment: dict[str, str], *, fails: bool = False) -> list[str]:
    """Runs a script of the node, its programs replaced by the stand-in; what it called."""
    for name in ("aws", "curl", "sleep", "systemctl"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    script = files_of_a_node()[path].replace("/etc/pycast", str(folder))
    calls = folder / "calls"
    calls.touch()
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | environment | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert bool(done.returncode) == fails, done.stderr
    return calls.read_text().splitlines()


def environment_of_a_node(folder: Path) -> dict[str, str]:
    secret = json.dumps(CLUSTER_ENVIRONMENT)
    run_script("/usr/local/bin/pycast-environment", folder, {"SECRET": secret})
    lines = (folder / "pycast.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_cfn_lint_has_nothing_to_say() -> None:
    assert cfn_lint(FILE) == ""


def test_every_resource_is_created(stack: Stack) -> None:
    assert stack.resources.keys() == template()["Resources"].keys()


def test_the_balancer_is_a_network_balancer_over_all_zones(stack: Stack) -> None:
    elb = stack.ask("elbv2")
    (balancer,) = elb.describe_load_balancers(LoadBalancerArns=[stack.resources["Balancer"]])["LoadBalancers"]
    assert balancer["Type"] == "network" and balancer["SecurityGroups"] == [stack.resources["BalancerSecurityGroup"]]
    assert {zone["ZoneName"] for zone in balancer["AvailabilityZones"]} == set(ZONES)
    of_balancer = elb.describe_load_balancer_attributes(LoadBalancerArn=stack.resources["Balancer"])
    assert attributes(of_balancer)["load_balancing.cross_zone.enabled"] == "true"
    (listener,) = elb.describe_listeners(LoadBalancerArn=stack.resources["Balancer"])["Listeners"]
    assert (listener["Protocol"], listener["Port"]) == ("TCP", 8000)
    assert listener["DefaultActions"][0]["TargetGroupArn"] == stack.resources["Nodes"]
    assert stack.outputs["Address"] == balancer["DNSName"]


def test_a_node_that_turns_unhealthy_keeps_its_listeners(stack: Stack) -> None:
    found = attributes(stack.ask("elbv2").describe_target_group_attributes(TargetGroupArn=stack.resources["Nodes"]))
    assert found["target_health_state.unhealthy.connection_termination.enabled"] == "false"
    assert int(found["target_health_state.unhealthy.draining_interval_seconds"]) >= node_config().drain.deadline


def test_listeners_are_known_by_proxy_headers_of_the_balancer_alone(stack: Stack) -> None:
    elb = stack.ask("elbv2")
    found = attributes(elb.describe_target_group_attributes(TargetGroupArn=stack.resources["Nodes"]))
    assert found["proxy_protocol_v2.enabled"] == "true" and found["preserve_client_ip.enabled"] == "false"
    (group,) = elb.describe_target_groups(TargetGroupArns=[stack.resources["Nodes"]])["TargetGroups"]
    listen = {one.port: one for one in node_config().listen}
    assert listen[group["Port"]].proxy_protocol and listen[group["Port"]].trusted_proxies
    assert (group["HealthCheckPath"], group["HealthCheckPort"]) == ("/readyz", "traffic-port")


def test_nodes_are_reached_by_the_balancer_and_by_each_other_only(stack: Stack) -> None:
    ec2 = stack.ask("ec2")
    balancer, node = stack.resources["BalancerSecurityGroup"], stack.resources["NodeSecurityGroup"]
    (group,) = ec2.describe_security_groups(GroupIds=[node])["SecurityGroups"]
    allowed = {
        (rule["FromPort"], rule["ToPort"], pair["GroupId"])
        for rule in group["IpPermissions"]
        for pair in rule["UserIdGroupPairs"]
    }
    assert allowed == {(8001, 8001, balancer), (8000, 8000, node)}
    assert not any(rule["IpRanges"] for rule in group["IpPermissions"])
    serves = {listen.port: listen.serves for listen in node_config().listen}
    assert serves == {8000: (), 8001: ("listeners", "sources", "health"), 8003: ("admin", "metrics")}
    assert {one.bind_address for one in node_config().listen if "admin" in one.serves} == {"127.0.0.1"}


def test_the_group_runs_nodes_and_registers_them_with_the_balancer(stack: Stack) -> None:
    (group,) = stack.ask("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"]) == (3, 20)
    assert set(group["AvailabilityZones"]) == set(ZONES)
    assert group["TargetGroupARNs"] == [stack.resources["Nodes"]]
    # Full or draining is no reason to be terminated.
    assert group["HealthCheckType"] == "EC2"
    targets = stack.ask("elbv2").describe_target_health(TargetGroupArn=stack.resources["Nodes"])
    assert {(one["Target"]["Id"], one["Target"]["Port"]) for one in targets["TargetHealthDescriptions"]} == {
        (instance["InstanceId"], 8001) for instance in group["Instances"]
    }


def test_the_group_grows_when_headroom_falls(stack: Stack) -> None:
    (policy,) = stack.ask("autoscaling").describe_policies()["ScalingPolicies"]
    tracking = policy["TargetTrackingConfiguration"]
    headroom, load = tracking["CustomizedMetricSpecification"]["Metrics"]
    assert load["Expression"] == "100 - headroom" and load["ReturnData"]
    # A third of the nodes lost: the others take their listeners.
    assert tracking["TargetValue"] * 3 <= 200
    (alarm,) = stack.ask("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) == (
        headroom["MetricStat"]["Metric"]["Namespace"],
        headroom["MetricStat"]["Metric"]["MetricName"],
        headroom["MetricStat"]["Metric"]["Dimensions"],
    )


def test_whoever_waits_for_a_drain_waits_longer_than_it_takes(stack: Stack) -> None:
    (hook,) = stack.ask("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName="radio-nodes")["LifecycleHooks"]
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["DefaultResult"] == "CONTINUE"
    found = attributes(stack.ask("elbv2").describe_target_group_attributes(TargetGroupArn=stack.resources["Nodes"]))
    drain, stop_s = node_config().drain, parse_time(unit()["TimeoutStopSec"])
    assert hook["HeartbeatTimeout"] > stop_s >= drain.deadline + STOP_S + 10
    assert int(found["deregistration_delay.timeout_seconds"]) > drain.deadline
    assert found["deregistration_delay.connection_termination.enabled"] == "false"


def test_lb_16_the_drain_is_the_one_for_a_network_balancer() -> None:
    config = node_config()
    assert config.server.drain
    assert (config.drain.readiness, config.drain.lead) == ("hold", 150)


def test_the_secret_holds_variables_that_pycast_reads(stack: Stack) -> None:
    secret = stack.ask("secretsmanager").get_secret_value(SecretId=stack.resources["Secret"])["SecretString"]
    environment = json.loads(secret)
    assert environment.keys() == CLUSTER_ENVIRONMENT.keys()
    assert environment["PYCAST_CLUSTER__SECRET"].isalnum() and len(environment["PYCAST_CLUSTER__SECRET"]) == 48
    assert node_config(environment).is_clustered


def test_nodes_may_do_what_their_scripts_do_and_no_more() -> None:
    (policy,) = properties("NodeRole")["Policies"]
    allowed = {one["Action"] for one in policy["PolicyDocument"]["Statement"]}
    assert allowed == {
        "secretsmanager:GetSecretValue",
        "s3:GetObject",
        "ec2:DescribeInstances",
        "cloudwatch:PutMetricData",
        "autoscaling:CompleteLifecycleAction",
    }


def test_the_start_script_is_one_that_bash_and_ec2_take() -> None:
    assert len(user_data().encode()) < 16_384
    checked = subprocess.run(["bash", "-n"], input=user_data(), capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert unit()["Type"] == "notify" and int(unit()["LimitNOFILE"]) > 2 * node_config().limits.clients


def test_a_node_installs_the_wheel_that_the_operator_put_into_a_bucket() -> None:
    script = user_data()
    assert "wheel=/root/$(basename 'radio/pycast_server-0.1.0-py3-none-any.whl')" in script
    copied = script.index("aws s3 cp --quiet 's3://wheels/radio/pycast_server-0.1.0-py3-none-any.whl' \"$wheel\"")
    assert copied < script.index('/opt/pycast/bin/pip install -q "$wheel"')
    key = re.compile(template()["Parameters"]["WheelKey"]["AllowedPattern"])
    assert key.fullmatch("pycast_server-0.1.0-py3-none-any.whl")
    # Another library has the name pycast.
    assert not key.fullmatch("pycast-0.1.0-py3-none-any.whl")


def test_a_node_knows_itself_its_zone_and_the_others(tmp_path: Path) -> None:
    environment = environment_of_a_node(tmp_path)
    cluster = node_config(environment).cluster
    assert (cluster.node, cluster.advertise, cluster.zone) == ("i-1", "10.0.0.1:8000", "eu-west-1a")
    assert (cluster.registry, cluster.peers) == ("mesh", ("10.0.1.2:8000", "10.0.2.3:8000"))
    assert (tmp_path / "pycast.env").stat().st_mode & 0o777 == 0o600


def test_a_node_starts_with_what_it_knew_when_aws_does_not_answer(tmp_path: Path) -> None:
    known = environment_of_a_node(tmp_path)
    run_script("/usr/local/bin/pycast-environment", tmp_path, {"SECRET": ""}, fails=True)
    assert dict(line.split("=", 1) for line in (tmp_path / "pycast.env").read_text().splitlines()) == known
    assert unit()["ExecStartPre"].endswith('pycast-environment || test -s /etc/pycast/pycast.env"')


def test_check_has_nothing_to_say_about_the_settings_of_a_node(tmp_path: Path) -> None:
    file = tmp_path / "pycast.toml"
    file.write_text(files_of_a_node()["/etc/pycast/pycast.toml"])
    result = pycast_check(file, environment_of_a_node(tmp_path))
    assert (result.exit_code, result.stderr) == (0, ""), result.output


def test_the_agent_reports_headroom_then_drains_and_says_when_it_is_done(tmp_path: Path) -> None:
    calls = run_script("/usr/local/bin/pycast-agent", tmp_path, {})
    done = [call for call in calls if call.startswith(("aws", "systemctl"))]
    assert len(done) == 3
    assert "put-metric-data" in done[0] and "--value 42.5" in done[0]
    assert "--namespace pycast --metric-name HeadroomPercent" in done[0]
    assert "--dimensions AutoScalingGroupName=radio-nodes" in done[0]
    assert done[1] == "systemctl stop pycast"
    assert "complete-lifecycle-action" in done[2] and "--lifecycle-hook-name drain --instance-id i-1" in done[2]
    assert properties("DrainHook")["LifecycleHookName"] == "drain"

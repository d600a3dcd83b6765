"""conf/prometheus and conf/grafana: right by Prometheus' own promtool, and they speak of metrics that pycast has."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conf.examples import CONF, ROOT
from tests.conf.metric_names import EXPORTED, metrics_in
from tests.e2e.programs import require

FOLDER = CONF / "prometheus"
DASHBOARD = CONF / "grafana" / "pycast.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

Document = dict[str, Any]

ALERTS: list[Document] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
# What Grafana puts for its variables.
VARIABLES = {"$job": "pycast", "$instance": ".*", "$__rate_interval": "1m"}


def promtool(*args: str | Path) -> str:
    """What it prints. Fails the test if it finds anything wrong."""
    done = subprocess.run(
        [require("promtool"), *map(str, args)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dashboard() -> Document:
    found: Document = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[Document]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Each of the dashboard's, with values for its variables."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    found += [annotation["expr"] for annotation in dashboard()["annotations"]["list"]]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def alert_id(alert: Document) -> str:
    return str(alert["alert"])


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "config", FOLDER / "prometheus.yml")


def test_promtool_takes_the_configuration_for_kubernetes(tmp_path: Path) -> None:
    """Debian's promtool is built without Kubernetes: fixed targets stand for what it would find."""
    config = yaml.safe_load((FOLDER / "prometheus-kubernetes.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs")[0]["role"] == "pod"
    job["static_configs"] = [{"targets": ["10.0.0.1:8000"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    promtool("check", "config", tmp_path / "prometheus.yml")
    assert {"namespace", "pod"} <= {rule.get("target_label") for rule in job["relabel_configs"]}


def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", FOLDER / "alerts_test.yml")


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    assert fired == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_alerts_speak_of_metrics_that_pycast_has(alert: Document) -> None:
    assert metrics_in(alert["expr"]) <= EXPORTED
    assert metrics_in(alert["expr"]) or alert["expr"].startswith("up{")
    assert alert["labels"]["severity"] in {"page", "warning"}


@pytest.mark.parametrize("alert", ALERTS, ids=alert_id)
def test_every_alert_has_its_section_in_the_runbook(alert: Document) -> None:
    path, anchor = alert["annotations"]["runbook"].split("#")
    assert ROOT / path == RUNBOOK and anchor == alert["alert"].lower()
    section = re.search(rf"^## {alert['alert']}\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None
    for question in ("**Means**", "**Listeners**", "**Look at**", "**Do**"):
        assert question in section[1], question
    assert metrics_in(section[1]) <= EXPORTED


def test_the_runbook_has_no_section_without_an_alert() -> None:
    sections = re.findall(r"^## (Pycast\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    board = dashboard()
    assert board["uid"] == "pycast" and board["schemaVersion"] >= 36
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job", "instance"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["title"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_two_panels_of_the_dashboard_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_speaks_of_metrics_that_pycast_has() -> None:
    spoken_of = set().union(*map(metrics_in, expressions()))
    assert spoken_of <= EXPORTED
    assert len(spoken_of) > 20
    named = re.findall(r"\bPycast[A-Z]\w+", DASHBOARD.read_text())
    assert set(named) <= {alert["alert"] for alert in ALERTS}


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    assert all("$" not in one for one in expressions())
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)

"""The dashboard is one that Grafana reads, over metrics that the gateway counts; Prometheus asks where they are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from docker_files import DOCKER, compose
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from gateway.config.loading import Admin
from gateway.core.reasons import Reason

GRAFANA = DOCKER / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "gateway.json").read_text())
PANELS = {panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]}
METRICS = (DOCKER.parent / "gateway" / "metrics.py").read_text()


def provisioned(name: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / name).read_text())


def counted() -> set[str]:
    """The names as Prometheus has them: a counter's ends in `_total`."""
    made = re.findall(r'(Counter|Gauge|Histogram)\(\s*"(\w+)"', METRICS)
    endings = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_count", "_sum"]}
    return {name + ending for kind, name in made for ending in endings[kind]}


def missing(ours: Any, theirs: Any, at: str = "") -> Iterator[str]:
    """What stands in ``ours`` and not, or not so, in ``theirs``."""
    if isinstance(ours, dict):
        for name, value in ours.items():
            known = isinstance(theirs, dict) and name in theirs
            yield from missing(value, theirs[name], f"{at}/{name}") if known else [f"{at}/{name}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from missing(one, other, f"{at}/{index}")
    elif ours != theirs:
        yield at


def test_grafana_s_own_model_reads_all_of_the_dashboard() -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(DASHBOARD)))))
    assert list(missing(DASHBOARD, read)) == []


@pytest.mark.parametrize("title", sorted(PANELS))
def test_what_a_panel_asks_for_is_counted(title: str) -> None:
    asked = set(re.findall(r"gateway_\w+", PANELS[title]))
    assert asked <= counted() and (asked or PANELS[title].startswith("sum(up"))


@pytest.mark.parametrize("title", sorted(PANELS))
def test_the_reasons_that_a_panel_names_exist(title: str) -> None:
    named = [word for words in re.findall(r'reason=~"([^"]+)"', PANELS[title]) for word in words.split("|")]
    assert [word for word in named if not any(re.fullmatch(word, reason) for reason in Reason)] == []


def test_every_panel_asks_the_provisioned_source() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())["datasources"][
        0
    ]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose()["services"]


def test_the_dashboards_stand_where_grafana_looks() -> None:
    provider = provisioned("dashboards/gateway.yaml")["providers"][0]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose()["services"]["grafana"]["volumes"]


def test_prometheus_asks_every_gateway_on_its_admin_listener() -> None:
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]
    gateways = [name for name, one in compose()["services"].items() if one["image"] == "gateway"]
    assert scraped["targets"] == [f"{name}:{Admin().port}" for name in gateways]

"""The manifests are valid by the published schemas, and say of the gateway what is true of it. No cluster is asked."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from docker_files import DOCKER
from kubernetes_validate import ValidationError

from gateway import serve
from gateway.config.loading import NODE_VARIABLE, Admin, Listen

TEXT = (DOCKER / "kubernetes" / "gateway.yaml").read_text()
MANIFESTS: dict[str, dict[str, Any]] = {
    f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(TEXT)
}
POD: dict[str, Any] = MANIFESTS["StatefulSet/gateway"]["spec"]["template"]["spec"]
GATEWAY: dict[str, Any] = POD["containers"][0]
VERSIONS = ("1.29", kubernetes_validate.latest_version())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_is_valid(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_a_misspelled_setting_would_be_found() -> None:
    wrong = {**MANIFESTS["PodDisruptionBudget/gateway"], "spec": {"minAvailible": 1}}
    with pytest.raises(ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_only_the_gateway_reaches_the_application() -> None:
    policy = MANIFESTS["NetworkPolicy/application-only-from-gateway"]["spec"]
    ours = MANIFESTS["StatefulSet/gateway"]["spec"]["selector"]
    assert policy["ingress"] == [{"from": [{"podSelector": ours}]}]
    assert policy["podSelector"] == {"matchLabels": {"app": "application"}}


def test_every_selector_finds_the_gateway_s_pods() -> None:
    labels = MANIFESTS["StatefulSet/gateway"]["spec"]["template"]["metadata"]["labels"]
    chosen = [MANIFESTS[f"Service/{name}"]["spec"]["selector"] for name in ("gateway", "gateway-nodes")]
    chosen += [MANIFESTS["PodDisruptionBudget/gateway"]["spec"]["selector"]["matchLabels"]]
    chosen += [MANIFESTS["NetworkPolicy/gateway"]["spec"]["podSelector"]["matchLabels"]]
    assert all(one == labels for one in chosen)


def test_the_admin_s_port_is_for_who_watches_and_the_other_for_the_ingress() -> None:
    ports = {port["name"]: port["containerPort"] for port in GATEWAY["ports"]}
    assert ports == {"http": Listen().port, "admin": Admin().port}
    rules = MANIFESTS["NetworkPolicy/gateway"]["spec"]["ingress"]
    assert [[port["port"] for port in rule["ports"]] for rule in rules] == [["http"], ["admin"]]
    assert [port["targetPort"] for port in MANIFESTS["Service/gateway"]["spec"]["ports"]] == ["http"]


def test_no_container_is_root_writes_its_image_or_gains_privileges() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    context = POD["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user[1]), int(user[2]))
    for container in (*POD["initContainers"], *POD["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_each_node_s_ledger_is_named_by_its_pod_and_kept() -> None:
    assert GATEWAY["env"] == [{"name": NODE_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    claims = MANIFESTS["StatefulSet/gateway"]["spec"]["volumeClaimTemplates"]
    mounted = {one["name"]: one["mountPath"] for one in GATEWAY["volumeMounts"]}
    assert [claim["metadata"]["name"] for claim in claims] == ["ledger"]
    assert f'ledger.directory = "{mounted["ledger"]}/ledger"' in TEXT


def test_keys_are_files_that_only_the_gateway_may_read() -> None:
    mounted = {one["name"]: one["mountPath"] for one in GATEWAY["volumeMounts"]}
    assert "secrets" not in mounted and f'keys = "{mounted["keys"]}"' in TEXT
    assert f"install -m 0600 -t {mounted['keys']} /secrets/*" in POD["initContainers"][0]["command"][-1]
    assert "env" not in POD["initContainers"][0]


def test_stopping_waits_longer_than_the_answers_under_way() -> None:
    assert POD["terminationGracePeriodSeconds"] > serve.DRAIN_S

"""The compose file holds together: files, networks, volumes, privileges, timeouts. No engine is asked."""

import ipaddress
import re
from typing import Any

import pytest
from docker_files import DOCKER, compose

from gateway import serve
from gateway.config.loading import NODE, NODE_VARIABLE, Admin, Listen
from gateway.demo import containers
from gateway.initialise import PARTNER_IDS

COMPOSE = compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = ("gateway-1", "gateway-2")
HAPROXY = (DOCKER / "haproxy.cfg").read_text()


def networks(service: str) -> set[str]:
    return set(SERVICES[service].get("networks", ()))


def mounts(service: str) -> dict[str, list[str]]:
    """Each source, and where and how it is mounted."""
    return {one.split(":")[0]: one.split(":")[1:] for one in SERVICES[service].get("volumes", ())}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_cannot_write_its_image_nor_gain_privileges(service: str) -> None:
    one = SERVICES[service]
    assert one["read_only"] is True and one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_a_service_mounts_and_joins_is_declared_or_a_file_of_ours(service: str) -> None:
    for source in mounts(service):
        assert (DOCKER / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], source
    assert networks(service) <= set(COMPOSE["networks"])


def test_only_the_gateways_share_a_network_with_the_application() -> None:
    beside = {name for name in SERVICES if networks(name) & networks("application")}
    assert beside == {"application", *GATEWAYS}


def test_only_the_gateways_and_who_enrols_share_a_network_with_the_store() -> None:
    beside = {name for name in SERVICES if networks(name) & networks("redis")}
    assert beside == {"redis", "cast", *GATEWAYS}


def test_the_networks_between_services_lead_nowhere() -> None:
    outward = {name for name, one in COMPOSE["networks"].items() if not one.get("internal")}
    assert outward == {"outside"}
    assert {name for name in SERVICES if "outside" in networks(name)} == {"proxy", "prometheus", "grafana"}


def test_what_is_published_is_for_this_machine_alone() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", ())]
    assert published and all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_are_files_that_no_other_service_is_given() -> None:
    held = {volume: {name for name in SERVICES if volume in mounts(name)} for volume in ("config", "proxy", "partners")}
    assert held["config"] == {"setup", "cast", *GATEWAYS}
    assert held["proxy"] == {"setup", "proxy"}
    assert held["partners"] == {"setup", *PARTNER_IDS}
    words = re.compile("password|secret|token", re.IGNORECASE)
    assert not [name for one in SERVICES.values() for name in one.get("environment", ()) if words.search(name)]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cluster.yaml", "compose.sentinel.yaml"])
def test_no_other_image_fills_what_setup_is_to_fill(name: str) -> None:
    others = [one for one in compose(name)["services"].values() if ":" in one.get("image", "")]
    given = [mount for one in others for mount in one.get("volumes", ()) if mount.split(":")[0] in mounts("setup")]
    assert given and all(mount.endswith(":ro,nocopy") for mount in given)


@pytest.mark.parametrize("service", GATEWAYS)
def test_a_gateway_reads_its_configuration_and_writes_its_ledger(service: str) -> None:
    assert mounts(service) == {"config": ["/etc/gateway", "ro"], "ledger": ["/var/lib/gateway"]}


def test_each_gateway_has_a_name_of_its_own() -> None:
    named = [SERVICES[name]["environment"][NODE_VARIABLE] for name in (*GATEWAYS, "cast")]
    assert len(set(named)) == len(named) and all(re.fullmatch(NODE, name) for name in named)


@pytest.mark.parametrize("service", GATEWAYS)
def test_stopping_a_gateway_waits_longer_than_the_answers_under_way(service: str) -> None:
    assert int(SERVICES[service]["stop_grace_period"].removesuffix("s")) > serve.DRAIN_S


def test_the_proxy_knows_every_gateway_where_it_listens_and_is_asked() -> None:
    servers = re.findall(r"server (\S+) (\S+):(\d+) port (\d+)", HAPROXY)
    assert servers == [(name, name, str(Listen().port), str(Admin().port)) for name in GATEWAYS]
    assert {"front"} == networks("proxy") & networks("gateway-1") - {"partners"}


def test_what_may_have_been_executed_is_not_sent_again() -> None:
    assert "retry-on conn-failure empty-response\n" in HAPROXY
    assert "http-request disable-l7-retry unless { method GET HEAD OPTIONS }\n" in HAPROXY


def test_clients_cannot_say_where_they_come_from() -> None:
    front = HAPROXY[HAPROXY.index("frontend gateway") : HAPROXY.index("backend gateways")]
    assert "http-request set-header X-Forwarded-For %[src]" in front
    subnet = COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert SERVICES["setup"]["environment"]["PROXIES"] == subnet


def test_the_partners_are_where_the_configuration_says() -> None:
    for name in PARTNER_IDS:
        command = SERVICES[name]["command"]
        assert command[command.index("--port") + 1] == str(containers.PORTS[name])
        assert command[command.index("--issuer") + 1] == f"http://localhost:{containers.PORTS[name]}"
        front = HAPROXY[HAPROXY.index(f"frontend {name}") :]
        assert re.findall(r"bind :(\d+)", front)[:2] == [str(containers.PORTS[name]), str(containers.INNER_PORTS[name])]
    assert SERVICES["proxy"]["networks"]["partners"]["aliases"] == [containers.INNER]


def test_the_store_forgets_and_evicts_nothing() -> None:
    said = dict(line.split(None, 1) for line in (DOCKER / "redis.conf").read_text().splitlines() if line[:1].isalpha())
    assert said["appendonly"] == "yes" and said["maxmemory-policy"] == "noeviction"
    assert said["aclfile"].startswith(mounts("redis")["store-accounts"][0])


def test_images_are_named_with_their_versions() -> None:
    ours = {"gateway", "gateway-demo"}
    assert all(re.search(r":v?\d", one["image"]) for one in SERVICES.values() if one["image"] not in ours)


def test_the_readme_s_lines_name_services_and_profiles_that_exist() -> None:
    readme = (DOCKER.parent / "README.md").read_text()
    named = re.findall(r"^docker compose -f docker/compose\.yaml (?:exec|logs) (\S+)", readme, re.MULTILINE)
    profiles = {profile for one in SERVICES.values() for profile in one.get("profiles", ())}
    assert named and set(named) <= set(SERVICES)
    assert set(re.findall(r"--profile (\S+)", readme)) == profiles


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cluster.yaml", "compose.sentinel.yaml"])
def test_fixed_networks_are_of_no_pool_from_which_docker_gives_networks_theirs(name: str) -> None:
    pools = [ipaddress.ip_network(one) for one in ("172.17.0.0/16", "172.18.0.0/15", "172.20.0.0/14", "172.24.0.0/13",
                                                   "192.168.0.0/16")]  # fmt: skip
    fixed = re.findall(r"subnet: \"?(?:\$\{\w+:-)?([\d./]+)", (DOCKER / name).read_text())
    assert fixed
    assert not [one for one in fixed for pool in pools if ipaddress.ip_network(one).overlaps(pool)]

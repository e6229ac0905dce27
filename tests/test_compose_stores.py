"""The store's other shapes: what two files put in the place of compose.yaml's one Redis. No engine is asked."""

import re
from typing import Any

import pytest
from docker_files import compose

from gateway.config.store import address_of
from gateway.demo import containers

FILES = ("compose.cluster.yaml", "compose.sentinel.yaml")
BASE = compose()


def stores(name: str) -> dict[str, dict[str, Any]]:
    """The store's services as one of the files has them: those that it adds, and compose.yaml's Redis as changed."""
    services = compose(name)["services"]
    changed = {"redis": BASE["services"]["redis"] | services["redis"]}
    return {at: one for at, one in services.items() if "image" in one} | changed


def addresses(name: str) -> dict[str, str]:
    """The fixed address of each."""
    found = {at: one["networks"] for at, one in stores(name).items() if isinstance(one["networks"], dict)}
    return {at: networks["store"]["ipv4_address"] for at, networks in found.items()}


@pytest.mark.parametrize("name", FILES)
def test_the_servers_are_hardened_as_all_others_are(name: str) -> None:
    for one in stores(name).values():
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"]
        assert one["user"] == BASE["services"]["redis"]["user"] and one["image"] == BASE["services"]["redis"]["image"]


@pytest.mark.parametrize("name", FILES)
def test_the_store_s_address_names_services_that_exist(name: str) -> None:
    address = address_of(compose(name)["services"]["setup"]["environment"]["STORE"])
    assert {host for host, _ in address.nodes} <= set(stores(name))
    assert address.topology == name.split(".")[1]


@pytest.mark.parametrize("name", FILES)
def test_every_server_keeps_what_it_knows_in_a_volume_of_its_own(name: str) -> None:
    volumes = [
        one.split(":")[0] for at in stores(name).values() for one in at.get("volumes", ()) if one.endswith(":/data")
    ]
    assert len(set(volumes)) == len(volumes) and set(volumes) == {"store", *compose(name)["volumes"]}


@pytest.mark.parametrize("name", FILES)
def test_no_list_of_a_service_is_said_twice(name: str) -> None:
    """Compose 2 joins them, and refuses ``security_opt`` where one part is in both."""
    for at, one in compose(name)["services"].items():
        twice = {key for key in one.keys() & BASE["services"].get(at, {}).keys() if isinstance(one[key], list)}
        assert twice <= {"command"}


def test_the_cluster_is_made_of_all_six_servers_with_a_replica_for_each_primary() -> None:
    made = stores("compose.cluster.yaml")["joined"]["command"][0]
    named = re.findall(r"(172\.16\.251\.\d+):6379", made)
    assert sorted(named) == sorted(addresses("compose.cluster.yaml").values()) and len(named) == 6
    assert "--cluster-replicas 1" in made


def test_replica_and_sentinels_begin_with_the_one_primary() -> None:
    servers = {name: one for name, one in stores("compose.sentinel.yaml").items() if name.startswith("redis")}
    given = addresses("compose.sentinel.yaml")
    primary = given["redis"]
    for name, one in servers.items():
        assert one["environment"]["OWN"] == given[name]
        assert f"primary={primary};" in one["command"][0]
        assert re.findall(r"for at in (.*);", one["command"][0])[0].split() == [
            given[at] for at in given if at.startswith("sentinel")
        ]
    assert f"sentinel monitor gateway {primary} 6379 2\n" in containers.SENTINEL
    assert (
        address_of(compose("compose.sentinel.yaml")["services"]["setup"]["environment"]["STORE"]).service == "gateway"
    )


@pytest.mark.parametrize("name", FILES)
def test_people_are_enrolled_once_the_servers_have_found_each_other(name: str) -> None:
    services = compose(name)["services"]
    waited = set(services["cast"]["depends_on"])
    assert waited and waited <= set(stores(name)) - {"redis"}
    assert services["gateway-1"]["depends_on"] == services["gateway-2"]["depends_on"] == services["cast"]["depends_on"]

"""Where a session is used from: a provider's network, a browser's family, and what is at home."""

from ipaddress import ip_network

import pytest

from gateway.core.assurance import Caller
from gateway.core.places import browser_family, network_of, places_of

EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"
CALLER = Caller("u", "p", "i", "s", "n", "person", "session", "s_1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("nowhere", ""),
        ("", ""),
    ],
)
def test_a_network_is_what_a_provider_gives_one_site(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (EDGE, "Edge"),
        (EDGE.partition(" Edg")[0], "Chrome"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/18.0 Safari/605", "Safari"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox"),
        ("curl/8.0", "other"),
    ],
)
def test_a_browser_is_known_by_its_family(agent: str, family: str) -> None:
    assert browser_family(agent) == family


def test_the_houses_own_networks_are_no_places() -> None:
    house = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    assert places_of("10.9.9.9", EDGE, house) == {"Edge"}
    assert places_of("fd00::1", EDGE, house) == {"Edge"}
    assert places_of("192.0.2.1", EDGE, house) == {"Edge", "192.0.2.0/24"}


def test_a_session_of_which_no_place_is_known_is_nowhere_else() -> None:
    assert not CALLER.elsewhere(frozenset({"Edge"}))

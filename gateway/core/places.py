"""Where a session is used from: a network and a browser's family. A signal that costs one touch, never a factor.

A stolen cookie is used from somewhere else. People move too, so what is new is asked about once and then known.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

MOST_KNOWN = 8
"""Places that one session knows; beyond, the one that was confirmed longest ago is forgotten."""
_PREFIX_BITS = {4: 24, 6: 48}
"""What one provider gives one site: moving inside it is not moving (RFC 6177 for IPv6)."""
_FAMILIES = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""In this order: most browsers also call themselves what they are not."""

Networks = Iterable[IPv4Network | IPv6Network]


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The network of an address, such as ``192.0.2.0/24``; empty where it is none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network((mapped, _PREFIX_BITS[mapped.version]), strict=False))


@lru_cache(maxsize=1024)
def browser_family(user_agent: str) -> str:
    """The family of a browser by its own word (``User-Agent``), such as ``Firefox``."""
    return next((name for mark, name in _FAMILIES if mark in user_agent), "other")


def places_of(address: str, user_agent: str, house: Networks = ()) -> frozenset[str]:
    """What to know a session's use by; ``house``: networks that are at home everywhere in them."""
    network = network_of(address)
    at_home = bool(network) and any(
        one.version == ip_address(address).version and ip_address(address) in one for one in house
    )
    return frozenset({browser_family(user_agent)} | (set() if at_home or not network else {network}))

"""Which partner a person belongs to: by an e-mail address, a hint, or the address of the partner's own entry. Pure.

Only what stands after the @ is looked at, and nothing but the domain is kept; who somebody is, their partner says.
"""

from collections.abc import Iterable

from gateway.edge.partner import Partner

LONGEST_ADDRESS = 320
LONGEST_DOMAIN = 253


def domain_of(given: str) -> str:
    """The domain of an e-mail address, or a domain by itself, as ``partners.toml`` writes it; empty: there is none."""
    domain = given.strip().rpartition("@")[2].rstrip(".").lower()
    if not domain or len(given) > LONGEST_ADDRESS:
        return ""
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return ascii_domain if len(ascii_domain) <= LONGEST_DOMAIN else ""


def of_domain(partners: Iterable[Partner], domain: str) -> str | None:
    """The id of the partner whose people have addresses of this domain."""
    return next((one.id for one in partners if domain and domain in one.domains), None)

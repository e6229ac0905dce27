"""Addresses of the files: URLs, hosts, networks, domains; and which of them the gateway calls."""

import re
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def url_of(text: str) -> SplitResult:
    """A URL in its parts; nothing at all where it is none, as with any character that does not print."""
    if not text.isprintable():  # urlsplit leaves some of them out, and takes others for letters
        return SplitResult("", "", "", "", "")
    try:
        url = urlsplit(text)
        url.port  # noqa: B018  (raises where it is no port)
    except ValueError:
        return SplitResult("", "", "", "", "")
    return url


def is_network(text: str) -> bool:
    """Whether this is an address or a network, such as ``10.0.0.0/8``."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether a host, with its port or without, is this machine."""
    return host.rsplit(":", 1)[0] in ("localhost", "127.0.0.1", "[::1]")


def is_callable(address: str) -> bool:
    """Whether the gateway calls this address: ``https:``, or ``http:`` on this machine."""
    url = url_of(address)
    return bool(url.hostname) and (url.scheme == "https" or (url.scheme == "http" and is_local(url.netloc)))

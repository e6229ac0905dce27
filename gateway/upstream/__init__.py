"""The connector to the legacy application behind: byte-exact, streaming, and distrustful of answers."""

from gateway.upstream.connector import (
    Answer,
    Deadlines,
    Origin,
    Request,
    ShareTaken,
    Upstream,
    UpstreamFault,
    UpstreamRefusedUpgrade,
    UpstreamWebSocket,
)

__all__ = [
    "Answer",
    "Deadlines",
    "Origin",
    "Request",
    "ShareTaken",
    "Upstream",
    "UpstreamFault",
    "UpstreamRefusedUpgrade",
    "UpstreamWebSocket",
]

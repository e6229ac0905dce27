"""One table of what the store's errors mean. Whatever it says, classified content is answered 503, and nothing waits.

Rules of this file:

1. ``StoreRefused`` is raised only where the server surely did nothing. Everything else may have been done: what was
   to be counted is taken for counted, and nobody takes it back.
2. Nothing is sent a second time. The one exception is a script that the server does not know (NOSCRIPT): it has not
   run, and is sent whole.
"""

from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError, ResponseError

from gateway.ports import StoreUnavailable


class StoreLost(StoreUnavailable):
    """The store answers, but not with what was acknowledged: emptied, swapped or rolled back."""


class StoreRefused(StoreUnavailable):
    """The server said that it did nothing of the one call that this fault ends."""


class NotAcknowledged(StoreUnavailable):
    """The primary did it, and too few replicas have it: spent, and refused."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """``refused``: the server did nothing."""

    refused: bool
    what_to_do: str


_MOVING = "the cluster is moving keys between its nodes: wait until it has ended"
_FAILING_OVER = "a failover is under way, or the address names a replica: name the primary, or the sentinels"
_ACCESS = "look at store.user and store.password_file, and at the server's ACL"

ERRORS: Final[dict[str, Meaning]] = {
    "MOVED": Meaning(True, "another node of the cluster serves it: name the cluster as redis+cluster://"),
    "ASK": Meaning(True, _MOVING),
    "TRYAGAIN": Meaning(True, _MOVING),
    "CROSSSLOT": Meaning(True, "one call named two slots of a cluster: name the cluster as redis+cluster://"),
    "CLUSTERDOWN": Meaning(True, "a part of the cluster has no primary: see CLUSTER INFO"),
    "READONLY": Meaning(True, _FAILING_OVER),
    "MASTERDOWN": Meaning(True, _FAILING_OVER),
    "LOADING": Meaning(True, "the server is reading its data: wait"),
    "NOREPLICAS": Meaning(True, "fewer replicas than min-replicas-to-write asks for: start them"),
    "BUSY": Meaning(True, "a script holds the server up: end it with SCRIPT KILL"),
    "OOM": Meaning(True, "the server has no memory left: raise maxmemory"),
    "MISCONF": Meaning(True, "the server cannot write to its disk: make room there"),
    "NOAUTH": Meaning(True, _ACCESS),
    "WRONGPASS": Meaning(True, _ACCESS),
    # A script may meet these where it has written already.
    "NOPERM": Meaning(False, f"{_ACCESS}: a right is missing"),
    "EXECABORT": Meaning(False, "see the server's log"),
}
UNKNOWN: Final = Meaning(False, "see the server's log")
NO_ANSWER: Final = Meaning(False, "whether it was done is not known: taken as done")


def word_of(fault: RedisError) -> str:
    """The word that an error begins with, as the server sent it; empty where it is no answer of the server's."""
    word = getattr(fault, "status_code", None)
    if isinstance(fault, ResponseError) and not word:
        word = str(fault).partition(" ")[0]
    return str(word or "")


def meaning_of(fault: BaseException) -> Meaning:
    """What a fault of the client library means."""
    word = word_of(fault) if isinstance(fault, RedisError) else ""
    if word in ERRORS:
        return ERRORS[word]
    return UNKNOWN if word else NO_ANSWER


def translated(fault: BaseException, *, alone: bool = True) -> StoreUnavailable:
    """The fault that everybody else sees. ``alone``: no other command was sent with the one that it answers."""
    said = str(fault) or type(fault).__name__
    word = word_of(fault) if isinstance(fault, RedisError) else ""
    if "STORELOST" in said:
        return StoreLost(said)
    meaning = meaning_of(fault)
    text = said if said.startswith(word) else f"{word} {said}"
    kind = StoreRefused if meaning.refused and alone else StoreUnavailable
    return kind(f"{text} ({meaning.what_to_do})")

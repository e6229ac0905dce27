"""Proofs, mandates and grants as they stand in the store: JSON of their fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.assurance import Act, Grant, Mandate, Proof
from gateway.core.extraction import Class


def proof_text(proof: Proof) -> bytes:
    """A proof as JSON."""
    return orjson.dumps(
        {
            "id": proof.id,
            "kind": proof.kind,
            "verified_at": proof.verified_at,
            "user": proof.user,
            "credential_id": proof.credential_id,
            "factor_id": proof.factor_id,
            "bound": proof.bound,
            "bound_at": proof.bound_at,
            "act": act_fields(proof.act),
        }
    )


def act_fields(act: Act | None) -> dict[str, object] | None:
    """An act as JSON says it."""
    return None if act is None else {"request": act.request, "class": act.klass.word, "most": act.most}


def act_of(said: Mapping[str, Any] | None) -> Act | None:
    """The act that ``act_fields`` gave."""
    return None if said is None else Act(said["request"], Class.of(said["class"]), said["most"])


def proof_of(text: bytes) -> Proof:
    """The proof that ``proof_text`` wrote."""
    said = orjson.loads(text)
    return Proof(**{**said, "act": act_of(said.get("act"))})


def mandate_text(mandate: Mandate) -> bytes:
    """A mandate as JSON."""
    return orjson.dumps(
        {
            "class": mandate.klass.word,
            "persons": mandate.persons,
            "window_s": mandate.window_s,
            "until": mandate.until,
            "by": mandate.by,
        }
    )


def mandate_of(text: bytes) -> Mandate | None:
    """The mandate that ``mandate_text`` wrote; ``None`` for nothing."""
    if not text:
        return None
    said = orjson.loads(text)
    return Mandate(Class.of(said["class"]), said["persons"], said["window_s"], said["until"], said["by"])


def grant_of(text: bytes) -> Grant:
    """The grant that ``stores/grants.py`` wrote."""
    said = orjson.loads(text)
    return Grant(Class.of(said["class"]), said["persons"], said["until"])


def texts(fields: Mapping[bytes, bytes] | Sequence[bytes]) -> dict[str, str]:
    """The fields of a hash: as the client returns HGETALL, or flat as a script does."""
    if isinstance(fields, Mapping):
        return {name.decode(): value.decode() for name, value in fields.items()}
    words = [part.decode() for part in fields]
    return dict(zip(words[::2], words[1::2], strict=True))

"""What the ledger keeps of a passage: never a number, a path or a code, always who, whose, how much and why."""

from collections.abc import Mapping, Sequence

from gateway.core.assurance import Caller, Mandate, Proof
from gateway.core.extraction import Class
from gateway.core.reasons import Reason, Refusal
from gateway.core.values import frozen
from gateway.passage import Passage


@frozen
class PersonTaken:
    """One person of a released piece: canonical hash (``None``: not identifiable), class, categories, newly charged,
    whether charged as outside, and the limits in whose floor it stands."""

    hash: bytes | None
    klass: Class
    clear: tuple[str, ...]
    masked: tuple[str, ...]
    new: bool
    outside: bool = False
    floors: tuple[str, ...] = ()


def caller_fields(caller: Caller | None, client: str) -> dict[str, object]:
    """The ledger's ``caller``."""
    if caller is None:
        return {"client": client}
    said: dict[str, object] = {
        "user": caller.user,
        "partner": caller.partner,
        "credential": caller.credential_id,
        "credential_kind": caller.credential,
        "client": client,
    }
    return said | {"lineage": caller.lineage} if caller.lineage else said


def proof_fields(proof: Proof | None, now: float) -> dict[str, object] | None:
    """The ledger's ``proof``: kind, age, factor and id."""
    if proof is None:
        return None
    return {
        "kind": proof.kind,
        "age_s": max(0, int(now - proof.verified_at)),
        "id": proof.id,
        "credential": proof.factor_id,
    }


def common(passage: Passage, kind: str) -> dict[str, object]:
    """The fields that every record of a passage has; ``picked_up``: the reference of the request that was executed."""
    classified = passage.classified
    application = passage.application
    picked_up = {"picked_up": passage.notes["picked_up"]} if "picked_up" in passage.notes else {}
    return {
        "kind": kind,
        "app": application.name if application else None,
        "ref": passage.reference,
        "request_id": passage.request_id,
        "caller": caller_fields(passage.caller, passage.client),
        "method": passage.method.decode("latin-1"),
        "route": classified.rule if classified else None,
        "request_class": classified.klass.word if classified else None,
        "mode": application.mode if application else "enforce",
        "policy": application.policy.digest if application else None,
        **picked_up,
    }


def released(
    passage: Passage,
    kind: str,
    persons: Sequence[PersonTaken],
    *,
    unnamed: Mapping[Class, int],
    size_bytes: int,
    proof: Proof | None,
    mandate: Mandate | None = None,
    verdict: str,
    reason: str | None,
    hash_kid: str,
    sequence: int,
    now: float,
    why: str | None = None,
    unnamed_floors: Mapping[str, int] | None = None,
) -> dict[str, object]:
    """The record of one released piece (``answer``), or of whom a request names that is about to be executed.

    Whose data, which categories, under which proof or mandate.

    ``unnamed``: persons who cannot be told apart, by their class; ``unnamed_floors``: how many of them stand in floors;
    ``why``: the caller's reason, where one was asked.
    """
    record = common(passage, kind)
    record |= {
        "status": passage.status,
        "persons": [_person(one) for one in persons if one.hash is not None],
        "unnamed": sum(unnamed.values()),
        "bytes": size_bytes,
        "proof": proof_fields(proof, now),
        "verdict": verdict,
        "reason": reason,
        "hash_kid": hash_kid,
        "charge_seq": sequence,
    }
    if any(unnamed.values()):
        record["unnamed_classes"] = {klass.word: count for klass, count in unnamed.items() if count}
        application = passage.application
        if application is not None and application.policy.inside is not None:
            record["unnamed_out"] = 1  # nobody knows whose agency's they are
    if unnamed_floors:
        record["unnamed_floors"] = dict(unnamed_floors)
    if mandate is not None:
        record["mandate"] = {"class": mandate.klass.word, "window_s": mandate.window_s}
    if why is not None:
        record["why"] = why
    if passage.executed:
        record["executed"] = True
    return record


def missed(passage: Passage, *, hash_kid: str, sequence: int) -> dict[str, object]:
    """The record of a lookup that found nobody: the budgets of misses are rebuilt from it."""
    record = common(passage, "miss")
    record |= {"status": passage.status, "persons": [], "unnamed": 1, "hash_kid": hash_kid, "charge_seq": sequence}
    return record


def _person(one: PersonTaken) -> dict[str, object]:
    assert one.hash is not None  # noqa: S101  (the caller has filtered)
    person: dict[str, object] = {
        "h": one.hash.hex(),
        "c": one.klass.word,
        "clear": list(one.clear),
        "masked": list(one.masked),
        "n": int(one.new),
    }
    if one.outside:
        person["out"] = 1
    if one.floors:
        person["f"] = list(one.floors)
    return person


def refused(passage: Passage, refusal: Refusal) -> dict[str, object]:
    """The record of a challenge or refusal."""
    kind = "challenge" if refusal.reason is Reason.PROOF_REQUIRED else "refusal"
    record = common(passage, kind)
    figures = {"asked": refusal.asked, "limit": refusal.limit, "window_s": refusal.window_s, "retry_s": refusal.retry_s}
    record |= {
        "verdict": kind,
        "reason": str(refusal.reason),
        "rule": refusal.budget or refusal.rule,
        "class": refusal.klass.word if refusal.klass is not None else None,
        "detail": refusal.detail,
    }
    record |= {name: value for name, value in figures.items() if value is not None}
    if passage.executed:
        record |= {"executed": True, "status": passage.status}
    if refusal.pick_up is not None:
        record["sealed"] = True
    return record

"""Who asks, and how freshly they proved it."""

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace

from gateway.core.cooling import Binding, Cooling, cooling_of
from gateway.core.extraction import Class
from gateway.core.policy import BY_PARTNER, AssertedRule, ClassRule
from gateway.core.values import frozen

ACT_LIVES_S = 120
"""How long a proof for one answer waits for it, where its class gives it no age: time to send a request again."""


@frozen
class Act:
    """The one answer that a proof was made for.

    ``request``: keyed hash of method, host and target; ``klass``: the class that was asked to be confirmed; ``most``:
    persons that the answer may take, or ``None`` where nothing limits it.
    """

    request: str
    klass: Class
    most: int | None = None


@frozen
class Proof:
    """One verified factor. ``verified_at``: Unix seconds of the verification itself, never of a session or token.

    ``bound``: how its factor was bound (``core.cooling.Binding``), ``bound_at``: when, in Unix seconds; ``act``: the
    one answer it was made for; ``held``: the request at hand has claimed it, and no other can. Of kind ``partner`` it
    has no factor: ``factor_id`` then says what counted (``AssertedRule.names``).
    """

    id: str
    kind: str
    verified_at: float
    user: str
    credential_id: str
    factor_id: str = ""
    bound: str = "own"
    bound_at: float = 0.0
    act: Act | None = None
    held: bool = False

    def suits(self, rule: ClassRule, asserted: AssertedRule | None) -> bool:
        """Whether ``rule`` takes such a proof, whatever its age; ``asserted``: when the word of its partner is one."""
        if self.kind == BY_PARTNER:
            return asserted is not None and self.factor_id in asserted.names and asserted.serves_rule(rule)
        return rule.accepts(self.kind)

    def opens(self, rule: ClassRule, now: float, asserted: AssertedRule | None = None) -> bool:
        """Whether ``rule`` takes it, and it is young enough, and not another answer's.

        What serves one answer opens that whole answer, its lower classes too, however long it takes.
        """
        if not self.suits(rule, asserted):
            return False
        if self.kind == BY_PARTNER and (asserted is None or now - self.verified_at > asserted.max_age_s):
            return False
        if self.act is not None:
            return self.held and rule.klass <= self.act.klass
        if rule.bind:
            return False
        if self.held and rule.once:
            return True
        return -2.0 <= now - self.verified_at <= (rule.max_age_s or ACT_LIVES_S)

    def cooling(self, now: float) -> Cooling | None:
        """What its factor is limited to while it is young; ``None`` for a ripe one."""
        return cooling_of(self.bound, self.bound_at, now)

    def cooled(self, since: float, now: float) -> "Proof":
        """What it is worth to somebody of whom nothing is ripe for a day from ``since`` (Unix seconds)."""
        if self.cooling(now) is not None:
            return self
        return replace(self, bound=str(Binding.VOUCHED), bound_at=since)

    def preference(self, now: float) -> tuple[bool, float]:
        """Of several that would do, the greatest is used: a ripe factor's before a young one's, then the newest."""
        return self.cooling(now) is None, self.verified_at


LEAD_S = 60
"""By how much a partner's clock may be before ours."""


@frozen
class Word:
    """What a partner has signed of how its person signed in. ``auth_time``: Unix seconds; ``None``: it does not say."""

    acr: str = ""
    amr: tuple[str, ...] = ()
    auth_time: float | None = None


NO_WORD = Word()


def proof_by_word(
    rule: AssertedRule, word: Word, user: str, credential_id: str, now: float, ended_at: float | None = None
) -> Proof | str:
    """The proof that a partner's word is, else why it is none (for the operator, no value of it).

    One sign-in at the partner is one proof, however many sessions and tokens come of it: all share its persons.
    ``ended_at``: when everything of theirs was ended last (Unix seconds); what was confirmed before has ended with it.
    """
    said = {*(f"acr:{one}" for one in (word.acr,) if one), *(f"amr:{one}" for one in word.amr if one)}
    name = next((one for one in rule.names if one in said), None)
    if name is None:
        return "it has neither an acr nor an amr that the policy names"
    if word.auth_time is None:
        return "it has no auth_time"
    if word.auth_time > now + LEAD_S:
        return "its auth_time is to come"
    if now - word.auth_time > rule.max_age_s:
        return "its auth_time is too long ago"
    if ended_at is not None and word.auth_time <= ended_at:
        return "its auth_time is before everything of this person was ended"
    once = hashlib.sha256(f"{user} {word.auth_time!r}".encode()).hexdigest()[:16]
    return Proof(once, BY_PARTNER, min(word.auth_time, now), user, credential_id, name)


@frozen
class Challenge:
    """What is asked to be confirmed: by which user, for which credential (``token`` or ``session``), and what for.

    ``holder``: whose or what credential it is, in words; ``klass``: the word of the class; ``label``: what is asked, by
    language; ``act``: the one answer that the proof will be for, or ``None``: any of this class; ``kinds``: what may
    confirm it, where that is not the class's own.
    """

    user: str
    credential_id: str
    credential: str
    holder: str
    klass: str
    application: str
    route: str
    label: Mapping[str, str] = field(default_factory=dict)
    act: Act | None = None
    kinds: tuple[str, ...] = ()


@frozen
class Mandate:
    """A machine token's leave to reach a class without a proof: ``persons`` distinct persons per ``window_s``."""

    klass: Class
    persons: int
    window_s: int
    until: float
    by: str


@frozen
class Grant:
    """A raise of one user's limits of ``klass`` by ``persons`` until a time."""

    klass: Class
    persons: int
    until: float


@frozen
class Caller:
    """Who asks. ``user``: stable short id of (issuer, sub); ``credential_id``: the token or session family.

    ``closed_from``: the class from which all is closed, since they said that somebody else was at it; ``places``: the
    networks and browsers that a session is known to be used from (none: nobody looks); ``agency``: as their partner
    says, or the token's issuer; empty: of none; ``organisation``, ``roles``: as their partner says; ``sees``: the
    number of the last confirmation that this very cookie of a session sees; ``key``: the thumbprint of the key that
    signs each request of a token; ``lineage``: whose token's budgets a token draws on, where one client shows many for
    one user (empty: its own); ``worded``: what its token says of a sign-in may be a proof; ``young_since``: since when
    (Unix seconds) nothing that they confirm is ripe; ``ended_at``: when everything of theirs was last ended (Unix
    seconds), as far back as a partner's token goes; ``shares``: the partner whose people's limits its own are counted
    with (empty: itself); ``unconfirmed``: the identity that they signed in by, where it took another's place and nobody
    has confirmed it yet.
    """

    user: str
    partner: str
    issuer: str
    sub: str
    name: str
    kind: str  # "person" | "machine"
    credential: str  # "token" | "session" | "anonymous"
    credential_id: str
    proofs: tuple[Proof, ...] = ()
    max_persons: int | None = None
    mandate: Mandate | None = None
    grants: tuple[Grant, ...] = ()
    expires_at: float | None = None
    closed_from: Class | None = None
    places: frozenset[str] = frozenset()
    sees: int = 0
    agency: str = ""
    organisation: str = ""
    roles: tuple[str, ...] = ()
    key: str = ""
    lineage: str = ""
    worded: bool = False
    young_since: float | None = None
    ended_at: float | None = None
    shares: str = ""
    unconfirmed: str = ""

    def elsewhere(self, places: frozenset[str]) -> bool:
        """Whether a session opens nothing before a confirmation: it is used from a new place, by a new identity."""
        return bool(self.unconfirmed) or (bool(self.places) and not places <= self.places)

    @property
    def invited_as(self) -> str:
        """Whom an invitation must be made for: what waits for somebody is not a new identity's of theirs."""
        return self.unconfirmed or self.user

    def with_word(self, rule: AssertedRule, word: Word, now: float) -> "Caller":
        """With the proof that the word in their own token is, if it is one."""
        if self.is_machine:
            return self
        proof = proof_by_word(rule, word, self.user, self.credential_id, now, self.ended_at)
        if not isinstance(proof, Proof):
            return replace(self, worded=True)
        ripened = proof if self.young_since is None else proof.cooled(self.young_since, now)
        return replace(self, worded=True, proofs=(*self.proofs, ripened))

    @property
    def is_machine(self) -> bool:
        """Whether this caller can hold no human proof."""
        return self.kind == "machine"


def fresh(rule: ClassRule, caller: Caller, now: float, asserted: AssertedRule | None = None) -> Proof | None:
    """The proof of ``caller`` to use for ``rule``: young enough and of one of its kinds; ``None`` when there is none.

    Age only: how many persons were first charged under a proof is a budget of scope ``proof``, checked while charging.
    A proof from the future (a clock set back) is not fresh. ``asserted``: when the word of the caller's partner is one.
    """
    usable = [proof for proof in caller.proofs if proof.opens(rule, now, asserted)]
    return max(usable, key=lambda proof: proof.preference(now), default=None)


SETTLED_AFTER_S = 48 * 3600
"""A factor changes no factors while it is younger: whoever slipped one in cannot at once lock its person out."""


def _adds(proof: Proof, now: float) -> bool:
    """Whether it may add while it is young: that is how its person gets back to work."""
    cooling = proof.cooling(now)
    return cooling is not None and not cooling.as_code


def settled(proof: Proof, now: float) -> bool:
    """Whether its factor is ripe, and has been there for long enough to change anything."""
    return proof.cooling(now) is None and now - proof.bound_at >= SETTLED_AFTER_S


def changing(caller: Caller, now: float, max_age_s: float, *, removing: bool) -> Proof | None:
    """The proof under which ``caller`` may change what they confirm with; ``None``: they must confirm first, or wait.

    A ripe factor younger than 48 h changes nothing. One that still cools (a recovery code, a vouched one) may add, for
    that is how its person gets back to work, and what it adds cools as it does; it never removes. A partner's word
    changes nothing: it would let whoever administers the partner have its people's factors.
    """
    usable = [
        proof
        for proof in caller.proofs
        if proof.act is None
        and proof.kind != BY_PARTNER
        and -2.0 <= now - proof.verified_at <= max_age_s
        and (settled(proof, now) or (not removing and _adds(proof, now)))
    ]
    return max(usable, key=lambda proof: proof.preference(now), default=None)


def mandated(caller: Caller, klass: Class, now: float) -> Mandate | None:
    """The mandate under which a machine caller may reach ``klass`` at ``now``, if any."""
    mandate = caller.mandate
    if mandate is None or not caller.is_machine or klass > mandate.klass or now >= mandate.until:
        return None
    return mandate

"""Budgets as values: which limits apply to a caller, and what one charge asks of the store."""

from dataclasses import replace

from gateway.core.assurance import ACT_LIVES_S, Caller, Mandate, Proof
from gateway.core.extraction import Class
from gateway.core.policy import WEBAUTHN, BudgetRule, Policy, Scope, Then
from gateway.core.values import frozen

MOST_KNOWN = 10_000
RECORDED_WITHIN_S = 1.0
"""A charge whose record takes longer is asked about again before anything leaves: budgets may be counted anew."""

ONE_ANSWER = "answer"
"""The name of the limit of what one answer may take."""


@frozen
class Floor:
    """What stays one user's own where a limit that they share is used up: ``size`` persons more in its window.

    While it is shut (not ``open``) nobody new is counted in it. Whoever is counted in it is not in what is shared.
    ``among``: the key of the limit's floors in use, of all users: those in which somebody is counted. They are at most
    as many as there are ``seats``: for anybody else there is then what all share, and nothing more.
    """

    key: str
    size: int
    among: str
    seats: int
    open: bool = True

    @property
    def persons(self) -> int:
        """Persons that it takes now."""
        return self.size if self.open else 0


@frozen
class Limit:
    """One budget applied to one scope. ``key`` holds scope, class and window, never the limit: it survives a reload.

    ``outside``: only persons charged as outside count. ``owner``: what is counted for one owner is counted together.
    """

    name: str
    key: str
    scope: Scope
    klass: Class
    limit: int
    window_s: int
    then: Then
    outside: bool = False
    floor: Floor | None = None
    owner: str = ""

    @property
    def shut(self) -> bool:
        """Whether a passkey would open a floor."""
        return self.floor is not None and not self.floor.open

    def opened(self) -> "Limit":
        """The same with its floor open."""
        return self if self.floor is None else replace(self, floor=replace(self.floor, open=True))

    @property
    def mark(self) -> str:
        """By what the ledger knows this limit's floor."""
        return f"{self.klass.word}:{self.window_s}"


@frozen
class PersonCharge:
    """One person of a charge: 16-byte keyed hashes of linked identifiers (the first is the anchor) with their kinds.

    ``aliases`` are hashes of minted tokens that from now on stand for this person (many to one). ``outside``: limits
    of outside persons count this one too.
    """

    hashes: tuple[bytes, ...]
    kinds: tuple[str, ...]
    klass: Class
    aliases: tuple[bytes, ...] = ()
    outside: bool = False


@frozen
class Charge:
    """Records in order, each with its persons: the longest prefix of whole records that fits every limit is charged.

    All or none is a charge of one record. With ``commit`` false nothing is written (a look ahead). ``passing``: of a
    stream, whose persons hardly come again soon.
    """

    limits: tuple[Limit, ...]
    records: tuple[tuple[PersonCharge, ...], ...]
    commit: bool = True
    passing: bool = False


@frozen
class Violation:
    """A limit that the first record not granted would pass: persons counted, newly asked, and when there is room.

    ``retry_s`` is ``None`` where waiting would not open it (``asked`` alone exceeds the limit).
    """

    limit: Limit
    used: int
    asked: int
    retry_s: int | None


@frozen
class Counted:
    """One person as the store resolved it: its canonical hash, and in how many limits it was newly counted.

    ``floors``: the marks of the limits in whose floor it stands.
    """

    person: bytes
    new: int
    floors: tuple[str, ...] = ()


@frozen
class Charged:
    """The outcome: ``granted`` records, their persons, what stood in the way, and alarms raised by this charge."""

    granted: int
    persons: tuple[tuple[Counted, ...], ...]
    violations: tuple[Violation, ...]
    alarms: tuple[Limit, ...]
    sequence: int


@frozen
class Usage:
    """How much of a limit is used; in how many seconds the next person leaves its window (``None``: empty).

    ``floor_used``: how much of its floor; ``floors_in_use``: how many users' floors are.
    """

    limit: Limit
    used: int
    next_free_s: int | None
    floor_used: int = 0
    floors_in_use: int = 0

    @property
    def floor(self) -> int:
        """Persons that the floor takes: none where it is shut, or empty while as many as may be are in use."""
        floor = self.limit.floor
        return floor.persons if floor and (self.floor_used or self.floors_in_use < floor.seats) else 0

    @property
    def left(self) -> int:
        """Persons for whom there is room."""
        return max(0, self.limit.limit - self.used) + max(0, self.floor - self.floor_used)


def _raised(rule: BudgetRule, caller: Caller, now: float) -> int:
    if rule.scope is not Scope.USER or rule.misses or rule.outside:
        return rule.limit
    return rule.limit + sum(grant.persons for grant in caller.grants if grant.klass == rule.klass and now < grant.until)


def _owner(scope: Scope, caller: Caller) -> str:
    """Who owns a budget: a partner, everyone, or the caller's user."""
    match scope:
        case Scope.PARTNER:
            return f"partner:{caller.shares or caller.partner}"
        case Scope.EVERYONE:
            return "everyone"
        case _:
            return caller.user


def _scope_id(scope: Scope, caller: Caller) -> str:
    match scope:
        case Scope.TOKEN:
            return caller.lineage or caller.credential_id
        case Scope.USER:
            return caller.user
        case Scope.PARTNER:
            return caller.shares or caller.partner
        case _:
            return "-"


def limits_of(
    policy: Policy,
    caller: Caller,
    now: float,
    *,
    proof: Proof | None = None,
    mandate: Mandate | None = None,
    observe: bool = False,
    misses: bool = False,
) -> tuple[Limit, ...]:
    """Every limit that a charge by ``caller`` must pass.

    Under a mandate the budgets of the user are replaced by the mandate's own for the classes it covers. Observing
    (rule 16) uses keys of its own and only alarms. ``misses`` selects the budgets of lookups that found nobody.
    """
    prefix = "o:" if observe else ""
    partner, passkey = policy.of(caller.partner), _with_passkey(policy, caller, now)
    chosen: list[Limit] = []
    for rule in partner.budgets:
        if rule.misses is not misses:
            continue
        if mandate is not None and rule.scope is Scope.USER and rule.klass <= mandate.klass:
            continue
        kind = "miss" if rule.misses else rule.klass.word + (":out" if rule.outside else "")
        key = f"{prefix}{rule.scope}:{_scope_id(rule.scope, caller)}:{kind}:{rule.window_s}"
        then = Then.ALARM if observe else rule.then
        most, floor = _raised(rule, caller, now), None
        if rule.floor and not observe:
            seats, whose = partner.seats or 0, caller.shares or caller.partner
            most -= rule.floor * seats
            name = f"floor:{whose}:{caller.user}:{rule.klass.word}:{rule.window_s}"
            floor = Floor(name, rule.floor, f"floors:{whose}:{rule.klass.word}:{rule.window_s}", seats, passkey)
        owner = _owner(rule.scope, caller)
        what = (rule.name, key, rule.scope, rule.klass, most, rule.window_s, then, rule.outside, floor, owner)
        chosen.append(Limit(*what))
    if not misses and not observe:
        chosen.extend(_proof_limits(policy, caller, proof))
        chosen.extend(_cooling_limits(policy, caller, proof, now))
        if mandate is not None:
            key = f"mandate:{caller.credential_id}:{mandate.klass.word}:{mandate.window_s}"
            chosen.append(
                Limit(
                    "mandate",
                    key,
                    Scope.MANDATE,
                    Class.INTERNAL,
                    mandate.persons,
                    mandate.window_s,
                    Then.REFUSE,
                    owner=caller.user,
                )
            )
    return tuple(chosen)


def _with_passkey(policy: Policy, caller: Caller, now: float) -> bool:
    """Whether somebody has just shown what no thief of a code, a cookie or a token has: their floor is theirs."""
    shown = [proof for proof in caller.proofs if proof.kind == WEBAUTHN]
    return any(proof.opens(rule, now) for proof in shown for rule in policy.classes.values())


_Asked = tuple[int, int, int]
"""The identities of a caller, a proof and a mandate."""


class KnownLimits:
    """``limits_of`` under one policy, remembered by everything of a caller that it looks at."""

    def __init__(self, policy: Policy, *, observe: bool = False) -> None:
        self._policy = policy
        self._observe = observe
        self._known: dict[tuple[object, ...], tuple[Limit, ...]] = {}
        self._second = 0
        self._lately: dict[_Asked, tuple[Caller, Proof | None, Mandate | None, tuple[Limit, ...]]] = {}

    def of(
        self, caller: Caller, now: float, proof: Proof | None = None, mandate: Mandate | None = None
    ) -> tuple[Limit, ...]:
        """The same tuple for the same caller and proof, while no grant begins or ends (looked at each second)."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._lately.clear()
        asked = (id(caller), id(proof), id(mandate))
        lately = self._lately.get(asked)
        if lately is not None and lately[0] is caller and lately[1] is proof and lately[2] is mandate:
            return lately[3]
        limits = self._anew(caller, now, proof, mandate)
        self._lately[asked] = (caller, proof, mandate, limits)
        return limits

    def _anew(self, caller: Caller, now: float, proof: Proof | None, mandate: Mandate | None) -> tuple[Limit, ...]:
        grants = tuple([grant for grant in caller.grants if now < grant.until]) if caller.grants else ()
        under = (proof.id, proof.kind, proof.factor_id, proof.cooling(now)) if proof is not None else None
        passkey = _with_passkey(self._policy, caller, now)
        who = (caller.user, caller.partner, caller.shares, caller.credential_id, caller.max_persons)
        key = (*who, grants, under, mandate, passkey)
        limits = self._known.get(key)
        if limits is None:
            limits = limits_of(self._policy, caller, now, proof=proof, mandate=mandate, observe=self._observe)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = limits
        return limits


def _cooling_limits(policy: Policy, caller: Caller, proof: Proof | None, now: float) -> list[Limit]:
    """What a young factor may take of the classes that its proofs open; all of a user's young factors share it.

    Beyond it a page comes masked, and its person goes on with their work; what cannot be masked is refused.
    """
    cooling = proof.cooling(now) if proof is not None else None
    if proof is None or cooling is None:
        return []
    asserted = policy.of(caller.partner).asserted
    opened = min((rule.klass for rule in policy.classes.values() if proof.suits(rule, asserted)), default=None)
    if opened is None:
        return []
    return [
        Limit(
            f"cooling-{proof.bound}",
            f"cooling:{caller.user}:{proof.bound}:{opened.word}:{window_s}",
            Scope.USER,
            opened,
            persons,
            window_s,
            Then.MASK,
            owner=caller.user,
        )
        for persons, window_s in cooling.persons_per_window_s
    ]


def limit_of_answer(request_id: str, most: int, user: str = "") -> Limit:
    """At most so many persons in one answer to ``user``, whether they were counted before or not."""
    key = f"{ONE_ANSWER}:{request_id}"
    return Limit(ONE_ANSWER, key, Scope.PROOF, Class.INTERNAL, most, 3_600, Then.REFUSE, owner=user)


def _proof_limits(policy: Policy, caller: Caller, proof: Proof | None) -> list[Limit]:
    """What one proof may take of each class; a proof for one answer has that answer's limit instead."""
    if proof is None or proof.act is not None:
        return []
    limits: list[Limit] = []
    asserted = policy.of(caller.partner).asserted
    for rule in policy.classes.values():
        if rule.max_persons is None or rule.bind or not proof.suits(rule, asserted):
            continue
        window_s = rule.max_age_s or ACT_LIVES_S
        most = caller.max_persons if caller.max_persons is not None else rule.max_persons
        limits.append(
            Limit(
                f"proof-{rule.klass.word}",
                f"proof:{proof.id}:{rule.klass.word}:{window_s}",
                Scope.PROOF,
                rule.klass,
                most,
                window_s,
                Then.PROVE,
                owner=caller.user,
            )
        )
    return limits

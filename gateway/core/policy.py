"""The policy as frozen values: what the officer's ``policy.toml`` says, compiled once and asked by pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.core.extraction import Class, Tells

TOTP, WEBAUTHN, RECOVERY, BY_PARTNER = "totp", "webauthn", "recovery", "partner"
"""Kinds of proof; ``partner``: the word of who signs the person in (``AssertedRule``), which is nobody's factor."""


class Without(StrEnum):
    """What happens to a class's content when the caller holds no fresh proof."""

    CHALLENGE = "challenge"
    MASK = "mask"


class Then(StrEnum):
    """What happens beyond a budget: a new proof opens it, the content is masked, refused, or only an alarm is made."""

    PROVE = "prove"
    MASK = "mask"
    REFUSE = "refuse"
    ALARM = "alarm"


class Scope(StrEnum):
    """Whose persons a budget counts."""

    PROOF = "proof"
    TOKEN = "token"  # noqa: S105  (a scope's name, no secret)
    USER = "user"
    PARTNER = "partner"
    EVERYONE = "everyone"
    MANDATE = "mandate"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """The proof that a class asks for. ``kinds`` empty: none. ``max_age_s`` counts from the factor's verification.

    ``bind``: a proof is made for one answer and opens no other; ``max_age_s`` 0: any proof, but for one answer only.
    """

    klass: Class
    kinds: tuple[str, ...] = ()
    max_age_s: int = 0
    max_persons: int | None = None
    without: Without = Without.CHALLENGE
    bind: bool = False

    @property
    def once(self) -> bool:
        """Whether a proof opens one answer of this class, and not two."""
        return self.bind or self.max_age_s == 0

    def accepts(self, kind: str) -> bool:
        """Whether a proof of ``kind`` may open this class. A recovery code stands in for a TOTP code, and no other."""
        return kind in self.kinds or (kind == RECOVERY and TOTP in self.kinds)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Names (globs over normalised names) of a category of personal data, and its class."""

    category: str
    klass: Class
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniqueKind:
    """A kind of identifier that names one person.

    ``names``: globs over normalised field names; ``pattern``: ``"nir"`` (built in, checked by its key) or a regular
    expression that the whole value matches; ``klass``: the class of the identifier itself, seen in clear;
    ``in_text``: whether values are also looked for in free text (NIR only, by default).
    """

    kind: str
    klass: Class
    names: tuple[str, ...] = ()
    pattern: str = ".+"
    in_text: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One rule over requests. ``template``: a path whose ``{name}`` matches one segment, ``{name:*}`` the rest.

    ``persons``: where the request names whom it asks about (``path:id``, ``query:nir``, ``header:x``, ``body:/a/b``),
    each with the identifier's kind; ``query``: covers only requests whose query has one of these parameters;
    ``mask``: categories masked always; ``at_most``: persons of one answer; ``label``: what it is, for people, by
    language; timeouts: ``None`` = the application's.
    """

    name: str
    methods: frozenset[bytes]
    template: str
    klass: Class
    persons: tuple[tuple[str, str], ...] = ()
    read: bool = False
    lookup: bool = False
    inspect: bool = True
    deny: bool = False
    query: tuple[str, ...] = ()
    mints: str | None = None
    mask: frozenset[str] = frozenset()
    at_most: int | None = None
    label: Mapping[str, str] = field(default_factory=dict)
    max_body_bytes: int | None = None
    without: Without | None = None
    header_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None

    @property
    def own_deadlines(self) -> bool:
        """Whether it sets any."""
        return not (self.header_timeout_s is self.idle_timeout_s is self.total_timeout_s is None)


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """At most ``limit`` distinct persons of ``klass`` or above in ``window_s`` seconds, for each ``scope``.

    ``outside``: it counts only persons who are outside for the caller (``core.inside``). ``floor``: of the limit of a
    partner, so many persons for each of its seats are kept for that user alone, once what is left to all is used up.
    """

    name: str
    scope: Scope
    klass: Class
    limit: int
    window_s: int
    then: Then = Then.REFUSE
    misses: bool = False
    outside: bool = False
    floor: int = 0

    @property
    def counts(self) -> tuple[Scope, Class, int, bool, bool]:
        """What it counts: rules that count the same share one count."""
        return self.scope, self.klass, self.window_s, self.misses, self.outside


@dataclass(frozen=True, slots=True)
class Inside:
    """Whose record has a field ``answers`` that equals the caller's agency is inside; everybody else is outside."""

    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dormant:
    """A record whose field ``answers`` is a date more than ``months`` ago is restricted."""

    answers: tuple[str, ...]
    months: int


IDLE_S, ABSOLUTE_S = 30 * 60, 10 * 3600
"""How long a session lives: since its last use, and since its beginning."""

_STRICTNESS = (Then.ALARM, Then.MASK, Then.PROVE, Then.REFUSE)


def stricter(house: tuple[BudgetRule, ...], own: tuple[BudgetRule, ...]) -> tuple[BudgetRule, ...]:
    """The budgets of the house and a partner's own together, without those of which another is at least as strict.

    The greater floor of those that count the same holds; what only alarms has none.
    """
    floors: dict[object, int] = {}
    for rule in (*house, *own):
        floors[rule.counts] = max(rule.floor, floors.get(rule.counts, 0))
    kept: list[BudgetRule] = []
    for rule in (*house, *own):
        if not any(_covers(other, rule) for other in kept):
            kept = [*(other for other in kept if not _covers(rule, other)), rule]
    return tuple(replace(one, floor=0 if one.then is Then.ALARM else floors[one.counts]) for one in kept)


def _covers(one: BudgetRule, other: BudgetRule) -> bool:
    """Whether ``one`` lets nothing through that ``other`` would stop."""
    stricter = _STRICTNESS.index(one.then) >= _STRICTNESS.index(other.then)
    return one.counts == other.counts and one.limit <= other.limit and stricter


@dataclass(frozen=True, slots=True)
class AssertedRule:
    """When a partner's word that its person confirmed is a proof: one of ``acr`` or ``amr``, signed, and so young.

    It opens no class above ``serves``: whoever administers the partner can have it say anything.
    """

    acr: tuple[str, ...]
    amr: tuple[str, ...]
    max_age_s: int
    serves: Class

    @property
    def names(self) -> tuple[str, ...]:
        """What counts, as proofs and the ledger call it: ``acr:eidas2``, ``amr:hwk``."""
        return (*(f"acr:{one}" for one in self.acr), *(f"amr:{one}" for one in self.amr))

    def serves_rule(self, rule: ClassRule) -> bool:
        """Whether the partner's word may open a class; never one where a proof opens one answer."""
        return bool(rule.kinds) and not rule.once and rule.klass <= self.serves


def taken_in_a_day(rule: "PartnerRule", klass: Class) -> int | None:
    """Persons of ``klass`` that all of a partner's people together may take in a day; ``None``: nothing bounds it."""
    most = []
    for one in rule.budgets:
        people = 1 if one.scope is Scope.PARTNER else rule.seats if one.scope is Scope.USER else None
        stops = one.then in (Then.REFUSE, Then.MASK) and not one.misses and not one.outside
        if people is not None and stops and one.klass <= klass:
            most.append(one.limit * people * -(-86_400 // one.window_s))
    return min(most, default=None)


@dataclass(frozen=True, slots=True)
class PartnerRule:
    """What one partner's people may have: ``highest``: no class above it; ``budgets``: all that apply to them.

    ``idle_s``, ``absolute_s``: how long a session of theirs lives; ``seats``: how many of them there may be;
    ``asserted``: when the partner's word is a proof, ``None``: never.
    """

    budgets: tuple[BudgetRule, ...] = ()
    highest: Class = Class.RESTRICTED
    idle_s: int = IDLE_S
    absolute_s: int = ABSOLUTE_S
    seats: int | None = None
    asserted: AssertedRule | None = None


@dataclass(frozen=True, slots=True)
class RoleRule:
    """Who (a subject of a partner's issuer) has a ``role``, and the partners whose people they ``serve``."""

    role: str
    partner: str
    sub: str
    serves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides. ``routes`` are per application name, in the order of the file."""

    digest: str
    classes: Mapping[Class, ClassRule]
    unreadable: Class
    unsafe_default: Class
    media: Mapping[str, Class]
    fields: tuple[FieldRule, ...]
    unique: tuple[UniqueKind, ...]
    routes: Mapping[str, tuple[Route, ...]]
    budgets: tuple[BudgetRule, ...]
    disclose: bool = False
    roles: tuple[RoleRule, ...] = ()
    partners: Mapping[str, PartnerRule] = field(default_factory=dict)
    inside: Inside | None = None
    dormant: Dormant | None = None
    text: bytes = field(default=b"", repr=False)
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def tells(self) -> Mapping[str, Tells]:
        """The fields that say something of a whole record: name to what."""
        rules = {Tells.INSIDE: self.inside, Tells.DORMANT: self.dormant}
        return {name: what for what, rule in rules.items() if rule is not None for name in rule.answers}

    def of(self, partner: str) -> PartnerRule:
        """What holds for a partner's people; one of whom the policy says nothing has what the house has."""
        return self.partners.get(partner) or PartnerRule(self.budgets)

    @property
    def every_budget(self) -> tuple[BudgetRule, ...]:
        """The budgets of the house and of each partner."""
        return (*self.budgets, *(rule for one in self.partners.values() for rule in one.budgets))

"""The decision: who may have what, before forwarding and again before release.

Rules of this file:

1. Only ``permit`` makes a ``Permit``, and nothing is forwarded without one.
2. A route's class asks for its proof before forwarding; a field above it is masked or challenged after reading.
3. What is masked costs nothing; the rest of the record costs at its own class, never below the route's.
4. A challenge is given only where a fresh proof would open this very answer, ``Retry-After`` only where waiting would.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from gateway.core.assurance import Caller, Mandate, Proof, fresh, mandated
from gateway.core.charging import ONE_ANSWER, Limit, Usage, Violation
from gateway.core.classify import Classified
from gateway.core.cooling import Cooling
from gateway.core.extraction import Class, Found, PersonFound
from gateway.core.policy import TOTP, WEBAUTHN, ClassRule, Policy, Then, Without
from gateway.core.reasons import Reason, Refusal
from gateway.core.values import frozen

MAX_PERSONS_PER_ANSWER = 1_000
"""A one-slice answer is charged in one store call; more would hold the store for longer than 11 ms (measured)."""

_ONLY_HERE = object()


class Permit:
    """Leave to forward one request with exactly this target. Made by ``permit`` only."""

    __slots__ = ("method", "target")

    def __init__(self, method: bytes, target: bytes, made_by: object) -> None:
        if made_by is not _ONLY_HERE:
            raise TypeError("a Permit is made by gateway.core.decide.permit")
        self.method = method
        self.target = target


def permit(method: bytes, target: bytes, standing: "Standing | Refusal") -> Permit:
    """Turn a standing into leave to forward. ``TypeError`` for a refusal: it must have been answered before."""
    if not isinstance(standing, Standing):
        raise TypeError("a refused request is never forwarded")
    return Permit(method, target, _ONLY_HERE)


@frozen
class Standing:
    """On what a caller may reach a class: a fresh proof, a mandate, or nothing where the class asks for nothing.

    ``claim``: the proof serves one answer, and must be claimed for this one first.
    """

    proof: Proof | None = None
    mandate: Mandate | None = None
    claim: bool = False


Reach = Callable[[Caller, Class, float], Standing | Refusal]
"""Whether a caller may reach a class at a time: ``standing`` under one policy."""


def standing(policy: Policy, caller: Caller, klass: Class, now: float) -> Standing | Refusal:
    """Whether ``caller`` may reach ``klass`` at ``now``; the refusal names the proof that would open it.

    A higher class's proof is asked for a lower one only if the lower class asks for one itself.
    """
    if caller.closed_from is not None and klass >= caller.closed_from:
        return Refusal(Reason.CLOSED_BY_PERSON, klass=klass)
    partner = policy.of(caller.partner)
    if klass > partner.highest:
        return Refusal(Reason.PARTNER_NOT_TRUSTED, klass=klass)
    rule = policy.classes[klass]
    if not rule.kinds:
        return Standing(newest(policy, caller, now), _any_mandate(caller, now))
    if caller.is_machine:
        mandate = mandated(caller, klass, now)
        if mandate is None:
            return Refusal(Reason.MANDATE_REQUIRED, klass=klass)
        return Standing(mandate=mandate)
    proof = fresh(rule, caller, now, partner.asserted)
    if proof is None:
        return _proof_required(policy, rule, caller)
    cooling = proof.cooling(now)
    if cooling is not None and _closes(cooling, rule):
        return Refusal(Reason.FACTOR_COOLING, klass=klass, detail=f"bound {proof.bound}")
    return Standing(proof, claim=rule.once and not proof.held)


def _closes(cooling: Cooling, rule: ClassRule) -> bool:
    above = cooling.closed_from is not None and rule.klass >= cooling.closed_from
    return above or (cooling.as_code and not rule.accepts(TOTP))


def _proof_required(policy: Policy, rule: ClassRule, caller: Caller) -> Refusal:
    asserted = policy.of(caller.partner).asserted
    most = rule.max_persons if rule.max_persons is None or caller.max_persons is None else caller.max_persons
    refusal = Refusal(
        Reason.PROOF_REQUIRED,
        klass=rule.klass,
        kinds=rule.kinds,
        max_age_s=rule.max_age_s,
        limit=most,
        bound=rule.bind,
    )
    if asserted is None or not asserted.serves_rule(rule):
        return refusal
    if caller.worded and asserted.acr:
        return replace(refusal, levels=asserted.acr, max_age_s=min(rule.max_age_s, asserted.max_age_s))
    return replace(refusal, by_partner=caller.credential == "session")


def most_of_act(
    policy: Policy, classified: Classified, caller: Caller, klass: Class, usages: Iterable[Usage]
) -> int | None:
    """The most persons that one answer of ``klass`` may take: what is left of every budget that refuses, the class's
    ``max_persons`` and the route's ``at_most``; ``None``: nothing limits it.

    At least one: somebody who is counted already is free where nothing is left.
    """
    rule = policy.classes[klass]
    limits = [usage.left for usage in usages if _refuses(usage.limit, klass)]
    if rule.max_persons is not None:
        limits.append(rule.max_persons if caller.max_persons is None else caller.max_persons)
    if classified.route is not None and classified.route.at_most is not None:
        limits.append(classified.route.at_most)
    return max(1, min(limits)) if limits else None


def _refuses(limit: Limit, klass: Class) -> bool:
    """Whether a limit refuses whoever is of ``klass``; who is outside is not known beforehand."""
    return limit.klass <= klass and limit.then is Then.REFUSE and not limit.outside


def newest(policy: Policy, caller: Caller, now: float) -> Proof | None:
    """The proof of ``caller`` to use where none is asked for; ``None``: none opens anything."""
    asserted = policy.of(caller.partner).asserted
    found = (fresh(rule, caller, now, asserted) for rule in policy.classes.values())
    return max((one for one in found if one is not None), key=lambda proof: proof.preference(now), default=None)


def _any_mandate(caller: Caller, now: float) -> Mandate | None:
    return mandated(caller, caller.mandate.klass, now) if caller.mandate else None


def exhausted(usages: Iterable[Usage], klass: Class) -> Refusal | None:
    """The budget of ``klass`` that is used up, if any: an unsafe request would be executed for nothing."""
    for usage in usages:
        limit = usage.limit
        if _refuses(limit, klass) and klass > Class.PUBLIC and not usage.left:
            return Refusal(
                Reason.BUDGET_EXHAUSTED,
                klass=limit.klass,
                retry_s=usage.next_free_s,
                limit=limit.limit,
                window_s=limit.window_s,
                budget=limit.name,
            )
    return None


@frozen
class Costed:
    """One person of an answer as released: the class of what leaves in clear, and the categories."""

    person: PersonFound
    klass: Class
    clear: tuple[str, ...]
    masked: tuple[str, ...]


@frozen
class Plan:
    """How an answer would leave: the categories to mask, what each person then costs, and the standing it needs."""

    hide: frozenset[str]
    persons: tuple[Costed, ...]
    needs: Class
    standing: Standing | Refusal

    @property
    def count(self) -> int:
        """Persons that the answer would charge."""
        return sum(one.person.weight for one in self.persons if one.klass > Class.PUBLIC)


def plan(
    policy: Policy,
    classified: Classified,
    caller: Caller,
    persons: Sequence[PersonFound],
    now: float,
    *,
    also_hide: frozenset[str] = frozenset(),
    masks: bool = True,
    reach: Reach | None = None,
) -> Plan:
    """Decide what of an answer is masked and what the rest asks for.

    ``also_hide``: categories that an exhausted budget masks; ``masks`` false: this content cannot be masked;
    ``reach``: ``standing`` under this policy, where it is known better than anew.
    """
    reach = reach or partial(standing, policy)
    route = classified.route
    hide = (route.mask if route else frozenset()) | also_hide
    if masks:
        hide |= _hidden_for_want_of_proof(policy, classified, caller, persons, now, hide, reach)
    else:
        hide = frozenset()
    costed = tuple(_cost(person, hide) for person in persons)
    needs = max((one.klass for one in costed), default=Class.PUBLIC)
    return Plan(hide, costed, needs, reach(caller, needs, now))


def _hidden_for_want_of_proof(
    policy: Policy,
    classified: Classified,
    caller: Caller,
    persons: Sequence[PersonFound],
    now: float,
    hide: frozenset[str],
    reach: Reach,
) -> frozenset[str]:
    by_class: dict[Class, list[Found]] = {}
    for person in persons:
        for found in person.found:
            if found.category not in hide:
                by_class.setdefault(found.klass, []).append(found)
    hidden: set[str] = set()
    for klass, found_of_class in by_class.items():
        rule = policy.classes[klass]
        without = (classified.route.without if classified.route else None) or rule.without
        if without is not Without.MASK or not isinstance(reach(caller, klass, now), Refusal):
            continue
        if all(found.maskable for found in found_of_class):
            hidden.update(found.category for found in found_of_class)
    return frozenset(hidden)


def _cost(person: PersonFound, hide: frozenset[str]) -> Costed:
    clear: Sequence[Found] = person.found
    masked: set[str] = set()
    if hide:
        clear = [one for one in person.found if one.category not in hide or not one.maskable]
        masked = {one.category for one in person.found if one.category in hide and one.maskable}
    klass = max((one.klass for one in clear), default=Class.PUBLIC)
    categories = sorted({one.category for one in clear})
    return Costed(person, max(klass, person.floor), tuple(categories), tuple(sorted(masked)))


def masking_for(
    policy: Policy, classified: Classified, violations: Iterable[Violation], persons: Iterable[PersonFound]
) -> frozenset[str]:
    """The categories to hide once a budget with ``then = mask`` is exhausted, or a proof whose class may be masked."""
    own = classified.route.without if classified.route else None
    masking = (
        one.limit.klass
        for one in violations
        if one.limit.then is Then.MASK
        or (one.limit.then is Then.PROVE and (own or policy.classes[one.limit.klass].without) is Without.MASK)
    )
    least = min(masking, default=None)
    if least is None:
        return frozenset()
    return frozenset(found.category for person in persons for found in person.found if found.klass >= least)


def too_many(count: int, klass: Class) -> Refusal | None:
    """An answer with more persons than one slice may carry."""
    if count <= MAX_PERSONS_PER_ANSWER:
        return None
    return Refusal(Reason.TOO_MANY_PERSONS, klass=klass, asked=count, limit=MAX_PERSONS_PER_ANSWER)


def refused(policy: Policy, violations: Sequence[Violation], answer: Plan, caller: Caller) -> Refusal | None:
    """Why an answer does not leave: the budgets it would pass, the proof it lacks; ``None``: nothing is in the way.

    ``violations`` come from the charge (or a look ahead where the proof is missing). Refusing budgets speak first:
    no proof opens those.
    """
    hard = [one for one in violations if one.limit.then in (Then.REFUSE, Then.MASK)]
    if hard:
        return over_budget(hard)
    lacking = answer.standing if isinstance(answer.standing, Refusal) else None
    if lacking is not None and lacking.reason is not Reason.PROOF_REQUIRED:
        return lacking
    proving = [one for one in violations if one.limit.then is Then.PROVE]
    if lacking is None and not proving:
        return None
    klass = max([one.limit.klass for one in proving], default=answer.needs) if lacking is None else answer.needs
    return _challenge(policy, klass, answer, caller)


def over_budget(hard: Sequence[Violation]) -> Refusal:
    """The refusal of budgets that are passed: the one that is open again last, or never for this answer."""
    worst = max(hard, key=lambda one: (_never(one), one.retry_s or 0))
    limit = worst.limit
    never = Reason.ANSWER_EXCEEDS_PROOF if limit.name == ONE_ANSWER else Reason.TOO_MANY_PERSONS
    return Refusal(
        never if _never(worst) else Reason.BUDGET_EXHAUSTED,
        klass=limit.klass,
        retry_s=None if _never(worst) else worst.retry_s,
        asked=worst.asked,
        limit=limit.limit,
        window_s=limit.window_s,
        budget=limit.name,
    )


def passkey_required(policy: Policy, caller: Caller) -> Refusal | None:
    """What asks for the passkey that opens a caller's floors; ``None``: no class takes one for more than one answer."""
    for rule in policy.classes.values():
        if WEBAUTHN in rule.kinds and not rule.once and not caller.is_machine:
            return replace(_proof_required(policy, rule, caller), kinds=(WEBAUTHN,), by_partner=False, levels=())
    return None


def _never(one: Violation) -> bool:
    """Whether waiting would not open it: what one answer may take is the same tomorrow."""
    return one.retry_s is None or one.limit.name == ONE_ANSWER


def _challenge(policy: Policy, klass: Class, answer: Plan, caller: Caller) -> Refusal:
    for rule in policy.classes.values():
        if rule.max_persons is None or rule.klass > answer.needs:
            continue
        most = caller.max_persons if caller.max_persons is not None else rule.max_persons
        asked = sum(one.person.weight for one in answer.persons if one.klass >= rule.klass)
        if asked > most:
            return Refusal(Reason.ANSWER_EXCEEDS_PROOF, klass=rule.klass, asked=asked, limit=most)
    return _proof_required(policy, policy.classes[klass], caller)

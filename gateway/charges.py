"""From persons found to a charge, and from the answer of the store to the decision: the loop of every release.

Rules of this file:

1. Every charge asks who the caller is again (cached for less than a second): a revoked one gets nothing more.
2. A look ahead without commit comes before a challenge: it is given only where a proof would open the answer.
3. What an exhausted budget masks is planned again; the set of hidden categories only grows, so the loop ends.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b

from gateway.application import Application
from gateway.claiming import Claims, claim
from gateway.core import decide
from gateway.core.assurance import Caller, Proof
from gateway.core.charging import (
    RECORDED_WITHIN_S,
    Charge,
    Charged,
    Counted,
    Limit,
    PersonCharge,
    limit_of_answer,
    limits_of,
)
from gateway.core.classify import Classified
from gateway.core.extraction import Class, Identifier, PersonFound
from gateway.core.inside import DORMANT, judged
from gateway.core.policy import WEBAUTHN, Policy, Then
from gateway.core.reasons import Reason, Refusal
from gateway.edge.credentials import refusal_of
from gateway.explaining import Explaining
from gateway.incoming import CallerEnded
from gateway.looking_up import look_up
from gateway.outcomes import NOTHING_CHARGED, Missed, Outcome
from gateway.passage import Passage
from gateway.ports import Budgets, Callers, Clock, Factors, NoCaller, StoreUnavailable
from gateway.reading.rules import Rules
from gateway.recording import PersonTaken

log = logging.getLogger(__name__)
Hash = Callable[[Identifier], bytes]
InForce = Callable[[], tuple[Application, Callers]]
"""The application with the policy in force now, and who knows its callers: a long answer outlives a policy."""


class Charger:
    """Plans and charges the pieces of one answer."""

    def __init__(
        self,
        passage: Passage,
        in_force: InForce,
        budgets: Budgets,
        clock: Clock,
        claims: Claims,
        explaining: Explaining,
        person_hash: Hash,
        factors: Factors,
    ) -> None:
        classified = passage.classified
        if classified is None:
            raise TypeError("a passage is charged only after it was classified")
        self._passage = passage
        self._budgets = budgets
        self._clock = clock
        self._claims = claims
        self._explaining = explaining
        self.hash_of = self._hash = person_hash
        self._factors = factors
        self._unnamed = 0
        self._charged = 0.0, b""
        self._in_force = in_force
        self.classified: Classified = classified
        self.executing: Outcome | None = None
        self._decide_by(*in_force())

    def _decide_by(self, application: Application, callers: Callers) -> None:
        self._application, self._callers = application, callers
        self._limits = application.limits
        self.reach = application.standings.of
        self.observing = application.observing
        self.policy: Policy = application.policy
        self._ranks = application.ranks

    @property
    def now(self) -> float:
        """The store's time."""
        return self._clock.now()

    @property
    def caller(self) -> Caller:
        """Who asks, as last looked up."""
        caller = self._passage.caller
        if caller is None:
            raise TypeError("a passage is charged only after its caller is known")
        return caller

    @property
    def rules(self) -> Rules:
        """By what an answer is read."""
        return self._application.rules_for(self.classified.route)

    def follow(self) -> Refusal | None:
        """Decide by the policy in force from here on; gives why it lets nobody have what this is the answer to, if so.

        A route's new class holds where it is higher: what was asked for may have raised it.
        """
        application, callers = self._in_force()
        if application is self._application:
            return None
        self._decide_by(application, callers)
        if self.observing or self._passage.target is None:
            return None
        placed = application.routes.classify(self._passage.method, self._passage.target)
        if isinstance(placed, Refusal):
            return placed
        klass = max(placed.klass, self.classified.klass)
        self._passage.classified = self.classified = replace(placed, klass=klass, reads=self.classified.reads)
        return None

    async def still_allowed(self, *, anew: bool = False) -> Refusal | None:
        """Look the caller up again: revoked, frozen and ended ones get nothing more. A new policy holds from here on.

        ``anew``: what is kept will not do, since a proof may just have been made at another worker.
        """
        if closed := self.follow():
            return closed
        credential = self._passage.credential
        if self.caller.credential == "anonymous":
            return None
        asked_at = time.monotonic()
        found = await look_up(self._passage, self._callers, anew=anew)
        if isinstance(found, NoCaller):
            return refusal_of(found, credential.kind)
        if self._passage.started and credential.kind == "token" and found.ended_at != self.caller.ended_at:
            # a token of ours may come again, and what it has open ends with all else of theirs
            return Refusal(Reason.TOKEN_REVOKED, detail="everything of theirs was ended")
        self._passage.know(found, asked_at)
        return None

    async def ended(self) -> Refusal | None:
        """``still_allowed`` before what cannot be taken back, where the caller was not looked up just now."""
        return None if self.observing or self._passage.lately_seen else await self.still_allowed()

    async def watch(self) -> None:
        """``ended`` for who can only be broken off: raises ``CallerEnded``."""
        if refusal := await self.ended():
            raise CallerEnded(refusal)

    async def claimed(self, standings: Iterable[decide.Standing | Refusal]) -> bool:
        """Whether proofs for one answer had to be claimed for this one: then what was planned is planned again."""
        if self.observing:
            return False
        reached = [one for one in standings if isinstance(one, decide.Standing) and one.claim]
        wanted = {one.proof.id: one.proof for one in reached if one.proof}
        for proof in wanted.values():
            await claim(self._passage, proof, self._claims)
        return bool(wanted)

    async def document(
        self, persons: Sequence[PersonFound], *, masks: bool, aliases: tuple[bytes, ...] = ()
    ) -> Outcome | Refusal:
        """Charge one whole answer: all of its persons or none."""
        if not self.observing and (gone := await self.still_allowed()):
            return gone
        (persons,) = await self.judged([persons])
        hidden: frozenset[str] = frozenset()
        asked_anew = self.observing
        while True:
            now = self.now
            plan = decide.plan(
                self.policy, self.classified, self.caller, persons, now, also_hide=hidden, masks=masks, reach=self.reach
            )
            if not asked_anew and self._wants_proof(plan, hidden):
                asked_anew = True
                if gone := await self.still_allowed(anew=True):
                    return gone
                continue
            if await self.claimed([plan.standing]):
                continue
            too_many = decide.too_many(plan.count, plan.needs)
            if too_many and not self.observing:
                return too_many
            unexplained = await self.unexplained([plan])
            charge = self.charge_of((plan,), now, aliases, explained=unexplained is None)
            charged = await self.charge(charge) if charge.records[0] else NOTHING_CHARGED
            if not asked_anew and any(one.limit.then is Then.PROVE or one.limit.shut for one in charged.violations):
                asked_anew = True  # the proof known here is used up, or opens no floor; there may be another
                if gone := await self.still_allowed(anew=True):
                    return gone
                continue
            more = decide.masking_for(self.policy, self.classified, charged.violations, persons)
            if masks and more - plan.hide and not self.observing:
                hidden = plan.hide | more
                continue
            refusal = decide.refused(self.policy, charged.violations, plan, self.caller) or unexplained
            if refusal and not self.observing:
                return await self._with_floor(charge, charged) or refusal
            would_be = too_many or refusal or await self.passed(charge, charged)
            return self.outcome_of((plan,), charged, would_be)

    async def _with_floor(self, charge: Charge, charged: Charged) -> Refusal | None:
        """The question for a passkey, where only the shared part of a limit is in the way and its floor has room."""
        asked = decide.passkey_required(self.policy, self.caller)
        hard = [one for one in charged.violations if one.limit.then in (Then.REFUSE, Then.MASK)]
        if asked is None or not hard or not all(one.limit.shut for one in hard):
            return None
        if WEBAUTHN not in await self._factors.kinds(self.caller.user):
            return None  # who has no passkey is not asked for one: it is waiting that opens it
        limits = tuple(limit.opened() for limit in charge.limits if limit.then is not Then.PROVE)
        ahead = await self.charge(Charge(limits, charge.records, commit=False))
        return asked if ahead.granted == len(charge.records) else None

    async def judged(self, groups: Sequence[Sequence[PersonFound]]) -> list[tuple[PersonFound, ...]]:
        """Records' persons as the policy sees them for this caller: inside or outside, dormant or not."""
        return await self._explaining.judged(self.policy, self.caller, groups, self.now)

    async def unexplained(self, plans: Sequence[decide.Plan]) -> Refusal | None:
        """Why these do not leave though nothing else is in the way: nobody has said what persons outside are for."""
        if any(isinstance(plan.standing, Refusal) for plan in plans):
            return None
        return await self._explaining.asked(self.caller, [one for plan in plans for one in plan.persons])

    async def remember(self, outcome: Outcome) -> None:
        """What was released is on disk: remember who of it is inside, and of whom it was said why."""
        await self._explaining.remember(self.caller, outcome.persons)

    def charge_of(
        self,
        plans: Sequence[decide.Plan],
        now: float,
        aliases: tuple[bytes, ...] = (),
        *,
        explained: bool = True,
        passing: bool = False,
    ) -> Charge:
        """One charge: a record for each plan. Without a standing, or unless ``explained``, nothing is committed.

        ``passing``: of a stream.
        """
        needy = max(plans, key=lambda one: one.needs)
        standing = needy.standing
        lacking = isinstance(standing, Refusal)
        known = decide.Standing() if isinstance(standing, Refusal) else standing
        limits = self._limits.of(self.caller, now, known.proof, known.mandate) + self._of_this_answer(known.proof)
        records = tuple(self._persons(plan, aliases) for plan in plans)
        commit = self.observing or not (lacking or not explained)
        return Charge(limits, records, commit=commit, passing=passing)

    def _of_this_answer(self, proof: Proof | None) -> tuple[Limit, ...]:
        """The limit of what this one answer may take: its route's, and that of a proof made for it."""
        route = self.classified.route
        limits = (route.at_most if route else None, proof.act.most if proof and proof.act else None)
        most = min((one for one in limits if one is not None), default=None)
        if most is None or self.observing:
            return ()
        return (limit_of_answer(self._passage.request_id, most, self.caller.user),)

    def _persons(self, plan: decide.Plan, aliases: tuple[bytes, ...]) -> tuple[PersonCharge, ...]:
        charges: list[PersonCharge] = []
        for one in plan.persons:
            if not _entries(one, True):
                continue
            if one.person.identifiers:
                ordered = one.person.identifiers
                if len(ordered) > 1:
                    ordered = tuple(sorted(ordered, key=lambda identifier: self._ranks.get(identifier.kind, 99)))
                hashes = tuple([self._hash(identifier) for identifier in ordered])
                kinds = tuple([identifier.kind for identifier in ordered])
                charges.append(PersonCharge(hashes, kinds, one.klass, aliases, one.person.outside))
            else:
                charges.extend(
                    PersonCharge((self._nobody(),), ("unnamed",), one.klass, outside=one.person.outside)
                    for _ in range(one.person.weight)
                )
        return tuple(charges)

    def _nobody(self) -> bytes:
        """A hash that nobody else has: whoever cannot be told apart is counted each time."""
        self._unnamed += 1
        return blake2b(f"{self._passage.request_id}:{self._unnamed}".encode(), digest_size=16).digest()

    def outcome_of(
        self, plans: Sequence[decide.Plan], charged: Charged | None, would_be: Refusal | None = None
    ) -> Outcome:
        """What granted records took together; ``charged`` is ``None`` where nobody was."""
        known = charged or NOTHING_CHARGED
        taken: list[PersonTaken] = []
        unnamed: dict[Class, int] = {}
        floors: dict[str, int] = {}
        for index, plan in enumerate(plans):
            counted = known.persons[index] if index < len(known.persons) else ()
            position = 0
            for one in plan.persons:
                entries = _entries(one, known is not NOTHING_CHARGED)
                mine = counted[position : position + entries]
                position += entries
                if one.person.identifiers:
                    if mine or one.masked:
                        taken.append(self._taken(one, mine))
                else:
                    unnamed[one.klass] = unnamed.get(one.klass, 0) + len(mine)
                    for mark in [mark for nobody in mine for mark in nobody.floors]:
                        floors[mark] = floors.get(mark, 0) + 1
            if position < len(counted):
                taken.extend(_besides(plan, counted[position:]))
        needy = max(plans, key=lambda one: one.needs)
        persons = plans[0].persons if len(plans) == 1 else tuple([one for plan in plans for one in plan.persons])
        told = (needy, tuple(taken), unnamed, known.sequence, known.alarms, would_be, persons)
        return Outcome(*told, why=self._explaining.why_of(persons), unnamed_floors=floors)

    def _taken(self, one: decide.Costed, counted: Sequence[Counted]) -> PersonTaken:
        """What was taken of a person with identifiers, as the store resolved it; of a masked one nobody was counted."""
        canonical = counted[0] if counted else Counted(self._hash(self._anchor(one.person.identifiers)), 0)
        kept = (canonical.person, one.klass, one.clear, one.masked, canonical.new > 0)
        return PersonTaken(*kept, one.person.outside, canonical.floors)

    def _anchor(self, identifiers: Sequence[Identifier]) -> Identifier:
        return min(identifiers, key=lambda identifier: self._ranks.get(identifier.kind, len(self._ranks)))

    async def charge(self, charge: Charge) -> Charged:
        """Charge records. While observing nothing stands in the way: not a dead store, nor a record of many persons."""
        if not self.observing:
            self._charged = time.monotonic(), self._budgets.epoch
            return await self._budgets.charge(charge)
        parts = tuple(
            record[start : start + decide.MAX_PERSONS_PER_ANSWER]
            for record in charge.records
            for start in range(0, max(len(record), 1), decide.MAX_PERSONS_PER_ANSWER)
        )
        try:
            charged = await self._budgets.charge(replace(charge, records=parts))
        except StoreUnavailable as fault:
            log.warning("observing, not charged: %s", fault)
            return replace(NOTHING_CHARGED, granted=len(charge.records), persons=((),) * len(charge.records))
        if len(parts) == len(charge.records):
            return charged
        everybody = tuple(one for part in charged.persons for one in part)
        return replace(charged, granted=len(charge.records), persons=(everybody,) * len(charge.records))

    async def still_counted(self) -> None:
        """Once the record is on disk: whoever counts budgets anew has read it, or the store is asked whether they did.

        Raises ``StoreUnavailable`` where what was charged is not counted any more.
        """
        charged_at, epoch = self._charged
        if not self.observing and epoch and time.monotonic() - charged_at > RECORDED_WITHIN_S:
            await self._budgets.stand(epoch)

    async def passed(self, charge: Charge, charged: Charged) -> Refusal | None:
        """While observing: the refusal that a budget would have been, had it not only been watched."""
        if not self.observing or not any(one.new for persons in charged.persons for one in persons):
            return None
        then = {rule.name: rule.then for rule in self.policy.of(self.caller.partner).budgets}
        try:
            usages = await self._budgets.usage(charge.limits)
        except StoreUnavailable:
            return None
        over = [one.limit for one in usages if one.used > one.limit.limit and then[one.limit.name] is not Then.ALARM]
        if not over:
            return None
        first = over[0]
        return Refusal(
            Reason.BUDGET_EXHAUSTED, klass=first.klass, limit=first.limit, window_s=first.window_s, budget=first.name
        )

    def _wants_proof(self, plan: decide.Plan, hidden: frozenset[str]) -> bool:
        """Whether a proof would show more of this answer."""
        route = self.classified.route
        return isinstance(plan.standing, Refusal) or bool(plan.hide - hidden - (route.mask if route else frozenset()))

    def shows(self, plan: decide.Plan) -> bool:
        """Whether a confirmation for no answer in particular would show something of what a plan hides."""
        route = self.classified.route
        hidden = plan.hide - (route.mask if route else frozenset())
        classes = {found.klass for one in plan.persons for found in one.person.found if found.category in hidden}
        rules = (self.policy.classes[klass] for klass in classes)
        refusals = (self.reach(self.caller, one.klass, self.now) for one in rules if not one.once)
        return any(isinstance(one, Refusal) and one.reason is Reason.PROOF_REQUIRED for one in refusals)

    async def standing_for(self, klass: Class) -> Refusal | None:
        """Why the caller may not reach ``klass`` now, if so."""
        standing = self.reach(self.caller, klass, self.now)
        while await self.claimed([standing]):
            standing = self.reach(self.caller, klass, self.now)
        return standing if isinstance(standing, Refusal) else None

    def wholly_masked(self, persons: Sequence[PersonFound], hide: frozenset[str]) -> Outcome:
        """The outcome of an answer of which nothing leaves in clear: nobody is charged."""
        known = judged(self.policy, self.caller, persons, self.now)
        plan = decide.plan(
            self.policy, self.classified, self.caller, known, self.now, also_hide=hide | {DORMANT.category}
        )
        return self.outcome_of((plan,), None)

    async def before(self) -> Missed | Refusal | None:
        """Charge what must be charged before anything is forwarded.

        Whom an executed request names: he counts even if its answer says nothing. A lookup counts as a miss until it
        has found somebody (``found``): else guessing would go on once the misses are used up.
        """
        route = self.classified.route
        klass = self.classified.klass
        persons = [PersonFound((identifier,), (), klass) for identifier in self._passage.persons or ()]
        if not persons and (self._passage.unclear or self._passage.writes_identifier):
            persons = [PersonFound((), (), klass)]  # somebody, and nobody knows who
        if not self.classified.reads and persons and klass > Class.PUBLIC:
            executed = await self.document(persons, masks=False)
            if isinstance(executed, Refusal):
                return executed
            self.executing = executed
        return await self._miss() if route is not None and route.lookup else None

    async def _miss(self) -> Missed | Refusal | None:
        member = self._nobody()
        limits = limits_of(self.policy, self.caller, self.now, observe=self.observing, misses=True)
        if not limits:
            return None
        charged = await self.charge(Charge(limits, ((PersonCharge((member,), ("miss",), Class.RESTRICTED),),)))
        if charged.violations:
            return decide.over_budget(charged.violations)
        return Missed(limits, member, charged.sequence)

    async def found(self, miss: Missed) -> None:
        """Take back the miss of a lookup that has found somebody."""
        try:
            await self._budgets.withdraw(miss.limits, miss.member)
        except StoreUnavailable as fault:
            log.warning("a miss stays counted: %s", fault)


def _besides(plan: decide.Plan, more: Sequence[Counted]) -> Iterator[PersonTaken]:
    """Whom identifiers of a record turned out to be besides."""
    outside = any(one.person.outside for one in plan.persons)
    for one in more:
        yield PersonTaken(one.person, plan.needs, (), (), one.new > 0, outside, one.floors)


def _entries(one: decide.Costed, charged: bool) -> int:
    """How many entries of a charge a person of an answer makes: what is public or wholly masked makes none."""
    if not charged or one.klass == Class.PUBLIC:
        return 0
    return 1 if one.person.identifiers else one.person.weight

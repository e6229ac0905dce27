"""What the policy makes of one request, and of a sample of its answer: plain values, for people and for scripts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.application import link_templates
from gateway.config import ApplicationTable, Settings
from gateway.core import decide
from gateway.core.assurance import Act, Caller, Mandate, Proof
from gateway.core.canonical import Headers, Target, canonicalise
from gateway.core.charging import limits_of
from gateway.core.classify import Classified, Routes, Unclear, request_persons
from gateway.core.extraction import Class, Identifier, PersonFound, attribute, by_size
from gateway.core.inside import DORMANT, judged
from gateway.core.policy import Policy
from gateway.core.reasons import Refusal
from gateway.incoming import parsed
from gateway.reading.body import Family, Media, open_headers
from gateway.reading.identifiers import identify
from gateway.reading.media import is_inert
from gateway.reading.ports import Unreadable
from gateway.reading.read import read_document, stream_for
from gateway.reading.rules import Rules

NOW = 1_000_000.0
"""Any time will do: nothing here has a past."""

Facts = dict[str, object]


@dataclass(frozen=True, slots=True)
class Asked:
    """The request to explain. ``host``: ``None`` for the first application; ``proved``: with a fresh proof."""

    method: str
    host: str | None
    raw_path: bytes
    query: bytes
    headers: Headers = ()
    body: bytes = b""
    proved: bool = False
    machine: bool = False
    mandated: Class | None = None
    as_class: Class | None = None
    agency: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer's body as the application would send it."""

    content_type: str
    body: bytes
    status: int = 200


@dataclass(slots=True)
class Explained:
    """Everything found out, and the values that the sample's explanation goes on with."""

    facts: Facts = field(default_factory=dict)
    application: str | None = None
    classified: Classified | None = None
    persons: tuple[Identifier, ...] | None = None
    unclear: bool = False
    caller: Caller | None = None


def split_url(url: str) -> tuple[str | None, bytes, bytes]:
    """Host, path and query of a URL as bytes on the wire: nothing is decoded or tidied. A URL may be a bare path."""
    raw = url.encode()
    host: str | None = None
    if b"://" in raw.split(b"?", 1)[0]:
        authority, slash, rest = raw.split(b"://", 1)[1].partition(b"/")
        host, raw = authority.decode().lower(), slash + rest
    path, _, query = raw.partition(b"#")[0].partition(b"?")
    return host, path or b"/", query


def explain(settings: Settings, asked: Asked, sample: Sample | None) -> Explained:
    """Follow a request along the path, as far as the configuration alone decides."""
    result = Explained()
    facts = result.facts
    found = _application(settings, asked.host)
    facts["method"] = asked.method
    facts["application"] = found[0] if found else None
    if found is None:
        hosts = sorted(host for table in settings.gateway.applications.values() for host in table.hosts)
        facts["verdict"] = "unknown_host"
        facts["why"] = f"no application has the host {asked.host!r}; there are: {', '.join(hosts)}"
        return result
    name, table = found
    result.application = name
    facts["mode"] = table.mode
    target = canonicalise(asked.raw_path, asked.query, frozenset[str](table.target_allow))
    if isinstance(target, Refusal):
        facts |= {"verdict": str(target.reason), "why": target.detail}
        return result
    facts["readings"] = [reading.decode("utf-8", "backslashreplace") for reading in target.readings]
    _classify(settings.policy, name, asked, target, result)
    if result.classified is not None:
        _decide(settings.policy, asked, result)
        if sample is not None:
            facts["answer"] = _answer(settings.policy, name, result, sample)
    return result


def _application(settings: Settings, host: str | None) -> tuple[str, ApplicationTable] | None:
    tables = settings.gateway.applications.items()
    if host is None:
        return next(iter(tables))
    return next(((name, table) for name, table in tables if host in table.hosts), None)


def _classify(policy: Policy, name: str, asked: Asked, target: Target, result: Explained) -> None:
    facts = result.facts
    classified = Routes(policy.routes.get(name, ()), policy.unsafe_default).classify(asked.method.encode(), target)
    if isinstance(classified, Refusal):
        facts |= {"rule": classified.rule, "verdict": str(classified.reason), "why": classified.detail}
        if classified.methods:
            facts["methods"] = list(classified.methods)
        return
    result.classified = classified
    route = classified.route
    facts |= {"rule": classified.rule, "class": classified.klass.word, "reads": classified.reads}
    if route is not None:
        facts |= {
            "path": route.template,
            "inspect": route.inspect,
            "masked_always": sorted(route.mask),
            "lookup": route.lookup,
            "mints": route.mints,
        }
    _whom(policy, asked, target, classified, result)


def _whom(policy: Policy, asked: Asked, target: Target, classified: Classified, result: Explained) -> None:
    kinds = {kind.kind: kind for kind in policy.unique}
    content_type = next((value for key, value in asked.headers if key.lower() == b"content-type"), b"")
    value, form = parsed(content_type.lower(), asked.body) if asked.body else (None, [])

    def one(kind: str, text: str) -> Identifier | None:
        return identify(kinds[kind], text)

    persons = request_persons(classified, target.query, asked.headers, value, form, one)
    result.unclear = isinstance(persons, Unclear)
    result.persons = None if isinstance(persons, Unclear) else persons
    declared = [{"at": where, "kind": kind} for where, kind in (classified.route.persons if classified.route else ())]
    result.facts["person"] = {
        "declared": declared,
        "found": "unclear" if result.unclear else "nobody" if not persons else "one",
    }


def _caller(policy: Policy, asked: Asked) -> Caller:
    kinds = {kind for rule in policy.classes.values() for kind in rule.kinds} if asked.proved else set()
    act = Act("", Class.RESTRICTED)
    proofs = tuple(
        Proof(f"p-{kind}-{bound is None}", kind, NOW, "u", "c", act=bound, held=bound is not None)
        for kind in sorted(kinds)
        for bound in (None, act)
    )
    mandate = Mandate(asked.mandated, 1, 86_400, NOW + 1, "") if asked.mandated is not None else None
    kind = "machine" if asked.machine or mandate else "person"
    caller = Caller("u", "p", "", "", "", kind, "token", "c", () if kind == "machine" else proofs, mandate=mandate)
    return replace(caller, agency=asked.agency)


def _decide(policy: Policy, asked: Asked, result: Explained) -> None:
    facts, classified = result.facts, result.classified
    assert classified is not None  # noqa: S101  (the caller has looked)
    klass = classified.klass if asked.as_class is None else asked.as_class
    caller = result.caller = _caller(policy, asked)
    rule = policy.classes[klass]
    if asked.as_class is not None:
        facts["as_class"] = klass.word
    facts["proof"] = {
        "kinds": list(rule.kinds),
        "max_age_s": rule.max_age_s or None,
        "max_persons": rule.max_persons,
        "bind": rule.bind,
        "once": bool(rule.kinds) and rule.once,
        "without": str(rule.without),
    }
    standing = decide.standing(policy, caller, klass, NOW)
    known = decide.Standing() if isinstance(standing, Refusal) else standing
    limits = limits_of(policy, caller, NOW, proof=known.proof, mandate=known.mandate)
    misses = limits_of(policy, caller, NOW, misses=True) if classified.route and classified.route.lookup else ()
    facts["budgets"] = [
        {
            "name": limit.name,
            "scope": str(limit.scope),
            "class": limit.klass.word,
            "limit": limit.limit,
            "window_s": limit.window_s,
            "then": str(limit.then),
        }
        for limit in (*limits, *misses)
    ]
    refusal = standing if isinstance(standing, Refusal) else None
    facts["verdict"] = str(refusal.reason) if refusal else "forward"
    if facts["mode"] == "observe":
        facts |= {"verdict": "forward", "would_be": str(refusal.reason) if refusal else "forward"}


def _answer(policy: Policy, name: str, result: Explained, sample: Sample) -> Facts:
    classified, caller = result.classified, result.caller
    assert classified is not None and caller is not None  # noqa: S101  (the caller has looked)
    route = classified.route
    if route is not None and not route.inspect:
        return {"read": "passed through unread: the route says inspect = false", "persons": 0}
    routes = policy.routes.get(name, ())
    links, mints = link_templates(routes, policy.unique), route.mints if route else None
    rules = Rules(policy.fields, policy.unique, links, mints, policy.tells)
    headers = [(b"content-type", sample.content_type.encode())]
    media = open_headers(headers, sample.status)
    read = _persons(policy, media, sample.body, rules, result)
    if isinstance(read, str):
        return {"read": read, "persons": 0}
    persons, masks, words = read
    persons = judged(policy, caller, persons, time.time())
    plan = decide.plan(policy, classified, caller, persons, NOW, masks=masks)
    by_class: dict[str, int] = {}
    for one in plan.persons:
        by_class[one.klass.word] = by_class.get(one.klass.word, 0) + one.person.weight
    fields = {found.category: found.klass.word for person in persons for found in person.found}
    refusal = plan.standing if isinstance(plan.standing, Refusal) else decide.too_many(plan.count, plan.needs)
    told: Facts = {}
    if policy.inside is not None:
        told["outside"] = sum(one.person.weight for one in plan.persons if one.person.outside)
    if policy.dormant is not None:
        told["dormant"] = sum(1 for one in plan.persons if DORMANT in one.person.found)
    return {
        "read": words,
        "persons": plan.count,
        "persons_by_class": by_class,
        **told,
        "fields": dict(sorted(fields.items())),
        "masked": sorted({category for one in plan.persons for category in one.masked}),
        "needs": plan.needs.word,
        "verdict": str(refusal.reason) if refusal else "release",
    }


def _persons(
    policy: Policy, media: Media | Unreadable, body: bytes, rules: Rules, result: Explained
) -> tuple[Sequence[PersonFound], bool, str] | str:
    """Whose data a body carries, whether it can be masked, and how it was read; words alone where nobody is charged."""
    classified = result.classified
    assert classified is not None  # noqa: S101  (the caller has looked)
    floor = classified.klass
    if isinstance(media, Unreadable):
        return _unreadable(policy, media.reason, body, result)
    if media.family is Family.INERT and is_inert(media.media_type, body) and floor < Class.INTERNAL:
        return f"inert media ({media.media_type}): it names nobody"
    if media.family in (Family.INERT, Family.OTHER, Family.UNTYPED) and body:
        return _unreadable(policy, f"{media.media_type or 'content without a type'} is not read", body, result)
    stream = stream_for(media, body[:4096], rules)
    if stream is None:
        reading = read_document(media, body, rules)
        if isinstance(reading, Unreadable):
            return _unreadable(policy, reading.reason, body, result)
        above = (
            max(floor, policy.unreadable) if result.unclear and not any(r.persons for r in reading.records) else floor
        )
        return attribute(reading.records, result.persons, above), True, f"{media.family}: one document"
    pieces = stream.feed(body)
    last = pieces if isinstance(pieces, Unreadable) else stream.end()
    if isinstance(pieces, Unreadable) or isinstance(last, Unreadable):
        reason = (
            pieces.reason if isinstance(pieces, Unreadable) else last.reason if isinstance(last, Unreadable) else ""
        )
        return _unreadable(policy, reason, body, result)
    found: list[PersonFound] = []
    for piece in (*pieces, *last):
        if any(record.persons or record.found or record.text_bytes for record in piece.records):
            found.extend(attribute(piece.records, result.persons, floor))
    return found, True, f"{media.family}: a stream of records"


def _unreadable(policy: Policy, reason: str, body: bytes, result: Explained) -> tuple[list[PersonFound], bool, str]:
    classified = result.classified
    assert classified is not None  # noqa: S101  (the caller has looked)
    floor = max(policy.unreadable, classified.klass)
    words = f"unreadable ({reason}): taken for class {floor.word}"
    if result.persons:
        return [PersonFound((identifier,), (), floor) for identifier in result.persons], False, words
    return [PersonFound((), (), floor, by_size(len(body)))], False, words

"""``policy.toml``: its tables, and their compilation into the frozen ``Policy`` that decides."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.config.budgets import BudgetTable, budget_problems, budget_rule
from gateway.config.partner_policy import PartnerPolicyTable, partner_rules
from gateway.config.tables import ClassWord, Duration, Problem, Table
from gateway.core.classify import compile_template
from gateway.core.extraction import Class
from gateway.core.policy import (
    BudgetRule,
    ClassRule,
    Dormant,
    FieldRule,
    Inside,
    Policy,
    RoleRule,
    Route,
    UniqueKind,
    Without,
)
from gateway.reading.rules import Rules, normalised

PROOF_KINDS = frozenset({"totp", "webauthn"})


class ClassTable(Table):
    """The proof a class asks for, and what happens without it."""

    proof: list[str] = []
    max_age: Duration | None = None
    max_persons: int | None = Field(None, ge=1)
    without: Literal["challenge", "mask"] = "challenge"
    bind: bool = False


class FieldTable(Table):
    """A category of personal data: the names of its fields."""

    klass: ClassWord = Field(alias="class")
    names: list[str] = Field(min_length=1)


class UniqueTable(Table):
    """A kind of identifier."""

    klass: ClassWord = Field(alias="class")
    names: list[str] = []
    pattern: str = ".+"
    in_text: bool = False


class PersonTable(Table):
    """Where a request names a person, with the kind of that identifier."""

    at: str
    kind: str


def _listed(value: object) -> object:
    """One person or several, as a list; one message where it is neither."""
    people = value if isinstance(value, list) else [value]
    tables = (set(one) == {"at", "kind"} and all(isinstance(said, str) for said in one.values())
              for one in people if isinstance(one, dict))  # fmt: skip
    if not all(isinstance(one, str | dict) for one in people) or not all(tables):
        raise ValueError('write "SOURCE:NAME", {at = "SOURCE:NAME", kind = "KIND"}, or a list of these')
    return people


class RouteTable(Table):
    """One rule over requests."""

    name: str
    application: str
    path: str
    klass: ClassWord = Field("public", alias="class")
    methods: list[str] = Field(["GET"], min_length=1)
    person: Annotated[list[str | PersonTable], BeforeValidator(_listed)] = []
    read: bool = False
    lookup: bool = False
    inspect: bool = True
    deny: bool = False
    query: list[str] = []
    mints: str | None = None
    mask: list[str] = []
    at_most: int | None = Field(None, ge=1)
    label: dict[Literal["fr", "en"], str] = {}
    max_body: int | None = Field(None, ge=0)
    without: Literal["challenge", "mask"] | None = None
    header_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    total_timeout: Duration | None = None


class RoleTable(Table):
    """Who looks after others. A person is (issuer, sub): a partner has one issuer."""

    role: Literal["operator", "officer", "referent", "help_desk", "dpo", "auditor"]
    partner: str
    sub: str
    serves: list[str] = []


Names = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""A name, or several."""


class InsideTable(Table):
    """Whose records are the caller's own agency's: the answer's field, and what of the caller it must equal."""

    answer: Names = Field(min_length=1)
    caller: Literal["agency"]


class DormantTable(Table):
    """Which records have long been of no use: a date in the answer, and how many months ago."""

    answer: Names = Field(min_length=1)
    months: int = Field(ge=1, le=1200)


class PolicyFile(Table):
    """``policy.toml``."""

    unreadable: ClassWord = "restricted"
    unsafe_default: ClassWord = "personal"
    disclose: bool = False
    classes: dict[ClassWord, ClassTable] = {}
    media: dict[Literal["image", "font", "audio", "video", "css", "javascript"], ClassWord] = {}
    fields: dict[str, FieldTable] = {}
    unique: dict[str, UniqueTable] = {}
    routes: list[RouteTable] = []
    budgets: list[BudgetTable] = []
    roles: list[RoleTable] = []
    partners: dict[str, PartnerPolicyTable] = {}
    inside: InsideTable | None = None
    dormant: DormantTable | None = None


def compile_policy(
    file: PolicyFile, text: bytes, applications: frozenset[str] | None
) -> tuple[Policy | None, list[Problem]]:
    """The policy of a file, or every problem in it. ``applications``: the names that ``gateway.toml`` declares."""
    problems: list[Problem] = []
    classes = _classes(file, problems)
    unique = _unique(file, problems)
    fields = tuple(FieldRule(name, Class.of(one.klass), tuple(one.names)) for name, one in file.fields.items())
    routes = _routes(file, Rules(fields, unique), applications, problems)
    budgets = _budgets(file, problems)
    partners = partner_rules(file.partners, file.budgets, problems, inside=file.inside is not None)
    inside, dormant = _told(file, problems)
    if problems:
        return None, problems
    policy = Policy(
        digest=hashlib.sha256(text).hexdigest(),
        classes=classes,
        unreadable=Class.of(file.unreadable),
        unsafe_default=Class.of(file.unsafe_default),
        media={kind: Class.of(word) for kind, word in file.media.items()},
        fields=fields,
        unique=unique,
        routes=routes,
        budgets=budgets,
        disclose=file.disclose,
        roles=tuple(RoleRule(one.role, one.partner, one.sub, tuple(one.serves or [one.partner])) for one in file.roles),
        partners=partners,
        inside=inside,
        dormant=dormant,
        text=text,
    )
    return policy, []


def _told(file: PolicyFile, problems: list[Problem]) -> tuple[Inside | None, Dormant | None]:
    inside, dormant = file.inside, file.dormant
    known: set[str] = set()
    for what, names in (("inside", inside.answer if inside else ()), ("dormant", dormant.answer if dormant else ())):
        plain = {normalised(name) for name in names}
        if "" in plain:
            problems.append(((what, "answer"), f"{what}.answer", "write the name of a field, such as agence"))
        elif plain & known:
            problems.append(((what, "answer"), f"{what}.answer", "this field says already who is inside"))
        known |= plain
    return (
        Inside(tuple(inside.answer)) if inside else None,
        Dormant(tuple(dormant.answer), dormant.months) if dormant else None,
    )


def _classes(file: PolicyFile, problems: list[Problem]) -> dict[Class, ClassRule]:
    rules = {klass: ClassRule(klass) for klass in Class}
    for word, table in file.classes.items():
        klass = Class.of(word)
        path = ("classes", word)
        unknown = sorted(set(table.proof) - PROOF_KINDS)
        if unknown:
            known = ", ".join(sorted(PROOF_KINDS))
            problems.append(((*path, "proof"), f"classes.{word}.proof", f"no such proof {unknown}; there is: {known}"))
        age_s = table.max_age
        if (table.proof and age_s is None and not table.bind) or (age_s is not None and 0 < age_s < 1):
            words = "a class that asks for a proof says how old it may be, 1 s or more; 0: one proof, one answer"
            problems.append(((*path, "max_age"), f"classes.{word}.max_age", words))
        if table.bind and not table.proof:
            problems.append(((*path, "bind"), f"classes.{word}.bind", "binds a proof, but no proof is asked for"))
        if table.max_persons and not table.proof:
            problems.append((path, f"classes.{word}.max_persons", "counts under a proof, but no proof is asked for"))
        rules[klass] = ClassRule(
            klass,
            tuple(table.proof),
            int(table.max_age or 0),
            table.max_persons,
            Without(table.without),
            table.bind,
        )
    return rules


def _unique(file: PolicyFile, problems: list[Problem]) -> tuple[UniqueKind, ...]:
    kinds = []
    for name, table in file.unique.items():
        if table.pattern != "nir":
            try:
                re.compile(table.pattern)
            except re.error as fault:
                problems.append(
                    (("unique", name, "pattern"), f"unique.{name}.pattern", f"no regular expression: {fault}")
                )
        kinds.append(UniqueKind(name, Class.of(table.klass), tuple(table.names), table.pattern, table.in_text))
    return tuple(kinds)


def _routes(
    file: PolicyFile, rules: Rules, applications: frozenset[str] | None, problems: list[Problem]
) -> Mapping[str, tuple[Route, ...]]:
    by_application: dict[str, list[Route]] = {}
    names: set[str] = set()
    for index, table in enumerate(file.routes):
        path = ("routes", str(index))
        rule = f"routes.{table.name}"
        if table.name in names:
            problems.append(((*path, "name"), rule, "another route has this name; references would be ambiguous"))
        names.add(table.name)
        if applications is not None and table.application not in applications:
            known = ", ".join(sorted(applications))
            problems.append(
                ((*path, "application"), rule, f"no application {table.application!r} in gateway.toml ({known})")
            )
        try:
            compile_template(table.path)
        except ValueError as fault:
            problems.append(((*path, "path"), rule, str(fault)))
        if not table.inspect and table.klass not in ("public", "internal"):
            problems.append(((*path, "inspect"), rule, "inspect = false is only for class public or internal"))
        categories = {*file.fields, *file.unique}
        if unknown := sorted(set(table.mask) - categories):
            problems.append(((*path, "mask"), rule, f"no [fields.NAME] or [unique.NAME] is called {unknown}"))
        by_application.setdefault(table.application, []).append(_route(table, path, rule, rules, problems))
    return {name: tuple(routes) for name, routes in by_application.items()}


def _route(table: RouteTable, path: tuple[str, ...], rule: str, rules: Rules, problems: list[Problem]) -> Route:
    persons: list[tuple[str, str]] = []
    kinds = {kind.kind for kind in rules.unique}
    for one in table.person:
        at = one if isinstance(one, str) else one.at
        source, _, name = at.partition(":")
        if source not in ("path", "query", "header", "body") or not name:
            words = "write path:NAME, query:NAME, header:NAME or body:/POINTER"
            problems.append(((*path, "person"), rule, f"{at!r}: {words}"))
            continue
        if source == "path" and f"{{{name}}}" not in table.path:
            problems.append(((*path, "person"), rule, f"the path has no {{{name}}}"))
        named = rules.named(name.rsplit("/", 1)[-1])
        kind = one.kind if not isinstance(one, str) else named.unique.kind if named and named.unique else None
        if kind not in kinds:
            words = f"{name!r} is no name of a [unique.KIND]; add it there or write {{at = {at!r}, kind = KIND}}"
            problems.append(((*path, "person"), rule, words))
        else:
            persons.append((at, str(kind)))
    minted = rules.named(table.mints) if table.mints else None
    if table.mints and (minted is None or minted.unique is None):
        problems.append(((*path, "mints"), rule, f"{table.mints!r} is no name of a [unique.KIND]; add it there"))
    return Route(
        name=table.name,
        methods=frozenset(method.upper().encode() for method in table.methods),
        template=table.path,
        klass=Class.of(table.klass),
        persons=tuple(persons),
        read=table.read,
        lookup=table.lookup,
        inspect=table.inspect,
        deny=table.deny,
        query=tuple(name.casefold() for name in table.query),
        mints=table.mints,
        mask=frozenset(table.mask),
        at_most=table.at_most,
        label=dict(table.label.items()),
        max_body_bytes=table.max_body,
        without=Without(table.without) if table.without else None,
        header_timeout_s=table.header_timeout,
        idle_timeout_s=table.idle_timeout,
        total_timeout_s=table.total_timeout,
    )


def _budgets(file: PolicyFile, problems: list[Problem]) -> tuple[BudgetRule, ...]:
    names: set[str] = set()
    for index, table in enumerate(file.budgets):
        problems += budget_problems(table, ("budgets", str(index)), names, inside=file.inside is not None)
    return tuple(map(budget_rule, file.budgets))

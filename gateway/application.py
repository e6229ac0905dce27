"""One application behind, ready to serve: its table of the configuration compiled together with the policy."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.config import ApplicationTable, Settings
from gateway.core.charging import KnownLimits
from gateway.core.classify import Routes
from gateway.core.policy import Policy, Route, UniqueKind
from gateway.core.standings import KnownStandings
from gateway.edge.answers import Site
from gateway.reading.rules import LinkTemplate, Rules
from gateway.upstream import Deadlines, Origin, Upstream

_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(:\*)?\}")


@dataclass(frozen=True, slots=True)
class Application:
    """An application with everything the path asks of it. ``observing``: nothing is asked, masked or refused
    (rule 16 of the design).

    ``kinds``, ``ranks``: the policy's kinds of identifiers by name, and their order.
    """

    name: str
    table: ApplicationTable
    policy: Policy
    routes: Routes
    rules: Rules
    minting: dict[str, Rules]
    kinds: dict[str, UniqueKind]
    ranks: dict[str, int]
    limits: KnownLimits
    standings: KnownStandings
    site: Site
    upstream: Upstream
    deadlines: Deadlines
    observing: bool
    target_allow: frozenset[str]

    @property
    def mode(self) -> str:
        """``observe`` or ``enforce``, as the ledger writes it."""
        return self.table.mode

    def rules_for(self, route: Route | None) -> Rules:
        """The readers' rules for an answer of ``route``: where it mints a token, that field is no identifier.

        ``route`` may be of an earlier policy.
        """
        return self.minting.get(route.mints, self.rules) if route and route.mints else self.rules

    def deadlines_for(self, route: Route | None) -> Deadlines:
        """The deadlines of one exchange: the route's where it sets them."""
        own = self.deadlines
        if route is None or not route.own_deadlines:
            return own
        return Deadlines(
            own.connect_s,
            own.header_s if route.header_timeout_s is None else route.header_timeout_s,
            own.idle_s if route.idle_timeout_s is None else route.idle_timeout_s,
            own.total_s if route.total_timeout_s is None else route.total_timeout_s,
        )


def link_templates(routes: tuple[Route, ...], unique: tuple[UniqueKind, ...]) -> tuple[LinkTemplate, ...]:
    """Route templates that name a person in the path, as patterns over links (rule 4 of the design)."""
    kinds = {kind.kind: kind for kind in unique}
    found: dict[str, LinkTemplate] = {}
    for route in routes:
        for where, kind_name in route.persons:
            source, _, name = where.partition(":")
            if source == "path" and kind_name in kinds:
                kind = kinds[kind_name]
                pattern = _link_pattern(route.template, name, kind)
                found.setdefault(pattern.pattern, LinkTemplate(kind.kind, kind.klass, pattern))
    return tuple(found.values())


def _link_pattern(template: str, name: str, kind: UniqueKind) -> re.Pattern[str]:
    value = kind.pattern if kind.pattern not in ("nir", ".+") else r"[^/?#]+"
    pattern, position = "", 0
    for match in _PARAMETER.finditer(template):
        pattern += re.escape(template[position : match.start()])
        pattern += f"(?P<id>{value})" if match[1] == name else ".*" if match[2] else r"[^/?#]+"
        position = match.end()
    return re.compile(f"^{pattern}{re.escape(template[position:])}(?:[?#].*)?$", re.DOTALL)


def origin_of(settings: Settings, table: ApplicationTable) -> Origin:
    """The connector's address of an application."""
    url = urlsplit(table.upstream)
    port = url.port or (443 if url.scheme == "https" else 80)

    return Origin(
        url.scheme,
        url.hostname or "",
        port,
        ca_file=settings.path(table.ca_file) if table.ca_file else None,
        client_cert=settings.path(table.client_certificate) if table.client_certificate else None,
        client_key=settings.path(table.client_key) if table.client_key else None,
        server_name=table.server_name,
        max_connections=table.max_connections,
    )


def build(settings: Settings, policy: Policy, name: str, upstream: Upstream) -> Application:
    """Compile one application of the configuration."""
    table = settings.gateway.applications[name]
    routes = policy.routes.get(name, ())
    links = link_templates(routes, policy.unique)
    minted = {route.mints for route in routes if route.mints}
    site = Site(
        pages_url=settings.pages_url,
        help_desk=settings.gateway.help_desk,
        cors_origins=frozenset(table.cors_origins),
        disclose=policy.disclose,
    )
    return Application(
        name=name,
        table=table,
        policy=policy,
        routes=Routes(routes, policy.unsafe_default),
        rules=Rules(policy.fields, policy.unique, links, tells=policy.tells),
        minting={mints: Rules(policy.fields, policy.unique, links, mints, policy.tells) for mints in minted},
        kinds={kind.kind: kind for kind in policy.unique},
        ranks={kind.kind: rank for rank, kind in enumerate(policy.unique)},
        limits=KnownLimits(policy, observe=table.mode == "observe"),
        standings=KnownStandings(policy),
        site=site,
        upstream=upstream,
        deadlines=Deadlines(table.connect_timeout, table.header_timeout, table.idle_timeout, table.total_timeout),
        observing=table.mode == "observe",
        target_allow=frozenset(table.target_allow),
    )

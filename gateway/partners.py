"""The partners of the configuration, as pages and tokens use them: their secrets read from their files."""

from pathlib import Path

from gateway.config import Settings
from gateway.config.partners import AllowTable, ApiTable, EventsTable, PartnerTable
from gateway.edge.partner import Allowed, Api, ClaimNames, Endpoints, Events, Partner


def partners_of(settings: Settings) -> dict[str, Partner]:
    """Every partner by its id. :raises OSError: where a secret's file cannot be read."""
    return {name: partner_of(settings, name, table) for name, table in settings.partners.items()}


def partner_of(settings: Settings, name: str, table: PartnerTable) -> Partner:
    """One partner, with its secret or key."""
    kept = _content(settings, table.client_secret_file)
    secret = table.client_secret if kept is None else kept.decode().strip()
    return Partner(
        id=name,
        name=table.name,
        issuer=table.issuer,
        client_id=table.client_id,
        client_secret=secret,
        algorithms=tuple(table.algorithms),
        scope=table.scope,
        client_auth=table.client_auth,
        client_key=_content(settings, table.client_key_file),
        assertion_audience=table.assertion_audience,
        endpoints=_endpoints(table),
        names_itself=table.names_itself,
        par=table.par,
        userinfo=table.userinfo,
        acr=tuple(table.acr),
        asks=tuple(table.asks),
        claims=ClaimNames(**dict(table.claims)),
        allow=_allowed(table.allow),
        domains=tuple(table.domains),
        api=None if table.api is None else _api(settings, table.api, table.client_id, secret or ""),
        events=None if table.events is None else _events(settings, table.events),
    )


def _content(settings: Settings, path: Path | None) -> bytes | None:
    return None if path is None else settings.path(path).read_bytes()


def _endpoints(table: PartnerTable) -> Endpoints | None:
    return None if table.endpoints is None else Endpoints(**dict(table.endpoints))


def _allowed(table: AllowTable | None) -> Allowed:
    lists = {} if table is None else dict(table)
    return Allowed(**{name: None if values is None else frozenset(values) for name, values in lists.items()})


def _api(settings: Settings, table: ApiTable, client_id: str, client_secret: str) -> Api:
    own = _content(settings, table.client_secret_file)
    return Api(
        audience=table.audience,
        introspects=table.tokens == "introspect",
        dpop=table.dpop,
        prefix=table.prefix,
        client_id=table.client_id or client_id,
        client_secret=client_secret if own is None else own.decode().strip(),
    )


def _events(settings: Settings, table: EventsTable) -> Events:
    token = _content(settings, table.token_file)
    return Events(table.endpoint, table.audience, "" if token is None else token.decode().strip())

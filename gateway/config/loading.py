"""Configuration: three TOML files with three owners, read into frozen values, all mistakes at once.

``gateway.toml`` belongs to the operator, ``partners.toml`` to who signs contracts, ``policy.toml`` to the officer.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from gateway.config.addresses import DOMAIN, is_callable, is_local, is_network, url_of
from gateway.config.lines import line_of
from gateway.config.partners import PartnersFile, PartnerTable, partner_problems
from gateway.config.policy import PolicyFile, compile_policy
from gateway.config.store import StoreAddress, StoreSettings, store_problems
from gateway.config.tables import Duration, Problem, Table
from gateway.core.policy import WEBAUTHN, Policy

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
GATEWAY, PARTNERS, POLICY = "gateway.toml", "partners.toml", "policy.toml"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the configuration: where, under which rule, and what to do."""

    file: str
    line: int | None
    rule: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.rule}: {self.message}"


class ConfigurationError(Exception):
    """The configuration cannot be used; ``mistakes`` names every one of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


_File = TypeVar("_File", bound=BaseModel)


class Listen(Table):
    """Where the gateway listens. ``certificate`` and ``key``: TLS; ``backpressure``: connections at once a worker.

    ``max_websockets``: how many of those may be WebSockets; by default the half.
    """

    address: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    workers: int = Field(2, ge=1, le=64)
    certificate: Path | None = None
    key: Path | None = None
    backpressure: int = Field(8_192, ge=16)
    max_websockets: int | None = Field(None, ge=0)
    header_timeout: Duration = 10.0
    body_idle_timeout: Duration = 10.0
    write_idle_timeout: Duration = 30.0
    silent_timeout: Duration = 10.0
    kept_alive_timeout: Duration = 30.0

    @property
    def most_websockets(self) -> int:
        """WebSockets at once a worker."""
        return self.backpressure // 2 if self.max_websockets is None else self.max_websockets


class Admin(Table):
    """The listener for health and metrics: never reachable from outside."""

    address: str = "127.0.0.1"
    port: int = Field(9090, ge=0, le=65_535)


class LedgerSettings(Table):
    """Where the ledger is written, how much disk is kept back for refusals, and the command for closed files."""

    directory: Path
    ship: list[str] | None = Field(None, min_length=1)
    reserve_bytes: int = Field(16 * 1024 * 1024, ge=0)


class Reading(Table):
    """How much is read whole: one document, and all documents of one worker together."""

    document_bytes: int = Field(8 * 1024 * 1024, ge=1)
    worker_bytes: int = Field(256 * 1024 * 1024, ge=1)
    request_bytes: int = Field(1024 * 1024, ge=1)


class ApplicationTable(Table):
    """One application behind. ``max_connections``: of each worker, for requests; WebSockets are counted apart."""

    hosts: list[str] = Field(min_length=1)
    upstream: str
    mode: Literal["observe", "enforce"] = "enforce"
    host: str | None = None
    cors_origins: list[str] = []
    websocket_origins: list[str] = []
    target_allow: list[Literal["double-slash", "semicolon", "encoded-slash", "backslash"]] = []
    identity_headers: dict[str, Literal["user", "name", "partner", "login", "drop"]] = {}
    assist: bool = False
    pin_connections: bool = False
    max_connections: int = Field(256, ge=1)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    connect_timeout: Duration = 5.0
    header_timeout: Duration = 60.0
    idle_timeout: Duration = 60.0
    total_timeout: Duration | None = None


class Notify(Table):
    """Where changes of people's ways to confirm are told to; ``secret_file``: what messages are signed with."""

    url: str
    secret_file: Path


class SignIn(Table):
    """How people find their partner. ``chooser``: from the list of all; else by e-mail address or entry alone."""

    chooser: bool = True


NODE_VARIABLE = "GATEWAY_NODE"
"""In the environment: this node's name, where several share one configuration."""

NODE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Names of nodes that can stand in a ledger file's name."""


class GatewayFile(Table):
    """``gateway.toml``."""

    pages_url: str | None = None
    help_desk: str = ""
    node: str = Field("gateway", pattern=NODE)
    keys: Path = Path("keys")
    trusted_proxies: list[str] = []
    house_networks: list[str] = []
    listen: Listen = Listen()
    admin: Admin = Admin()
    store: StoreSettings
    ledger: LedgerSettings
    reading: Reading = Reading()
    sign_in: SignIn = SignIn()
    notify: Notify | None = None
    applications: dict[str, ApplicationTable] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked. Paths are absolute."""

    directory: Path
    gateway: GatewayFile
    partners: Mapping[str, PartnerTable]
    policy: Policy
    pages_url: str

    @property
    def observing(self) -> bool:
        """Whether every application only observes: nothing is enforced anywhere yet."""
        return all(one.mode == "observe" for one in self.gateway.applications.values())

    @property
    def store(self) -> StoreAddress:
        """All it takes to reach the store."""
        return self.gateway.store.address(self.path)

    @property
    def told(self) -> frozenset[str]:
        """The partners that are told when one of their people is frozen."""
        return frozenset(name for name, partner in self.partners.items() if partner.events is not None)

    def path(self, path: Path) -> Path:
        """A path of the files, relative to their folder."""
        return path if path.is_absolute() else self.directory / path


def load(directory: Path, *, files: Path | None = None) -> Settings:
    """Read and check the three files of ``directory``, or the copies of them in ``files``.

    :raises ConfigurationError: with every mistake found, each with file, line and rule.
    """
    files = files or directory
    mistakes: list[Mistake] = []
    gateway = _named(_read(files, GATEWAY, GatewayFile, mistakes), mistakes)
    partners = _read(files, PARTNERS, PartnersFile, mistakes)
    policy_file = _read(files, POLICY, PolicyFile, mistakes)
    policy: Policy | None = None
    if gateway is not None:
        mistakes.extend(_cross_checks(files, gateway))
    if partners is not None:
        text = (files / PARTNERS).read_text()
        mistakes.extend(
            Mistake(PARTNERS, line_of(text, path), rule, words) for path, rule, words in partner_problems(partners)
        )
    if policy_file is not None:
        content = (files / POLICY).read_bytes()
        applications = frozenset(gateway.applications) if gateway else None
        policy, problems = compile_policy(policy_file, content, applications)
        problems = [*problems, *_of_partners(policy_file, partners)]
        mistakes.extend(Mistake(POLICY, line_of(content.decode(), path), rule, words) for path, rule, words in problems)
    pages_url = _pages_url(gateway) if gateway else ""
    if policy and (mistake := _no_relying_party(pages_url, policy)):
        mistakes.append(mistake)
    if mistakes or gateway is None or partners is None or policy is None:
        raise ConfigurationError(mistakes)
    return Settings(directory.resolve(), gateway, partners.partners, policy, pages_url)


def _named(gateway: GatewayFile | None, mistakes: list[Mistake]) -> GatewayFile | None:
    """With the node's name of the environment, where it says one."""
    name = os.environ.get(NODE_VARIABLE)
    if gateway is None or not name:
        return gateway
    if not re.fullmatch(NODE, name):
        words = f"{name!r}: at most 64 letters, digits, '.', '_' and '-', the first a letter or digit"
        mistakes.append(Mistake("environment", None, NODE_VARIABLE, words))
    return gateway.model_copy(update={"node": name})


def _pages_url(gateway: GatewayFile) -> str:
    first_host = next(iter(gateway.applications.values())).hosts[0]
    scheme = "https" if gateway.listen.certificate or not is_local(first_host) else "http"
    return (gateway.pages_url or f"{scheme}://{first_host}").rstrip("/")


def _no_relying_party(pages_url: str, policy: Policy) -> Mistake | None:
    """Passkeys belong to a domain (W3C WebAuthn Level 3, section 5.1.3): an address has none."""
    asks = any(WEBAUTHN in rule.kinds for rule in policy.classes.values())
    host = url_of(pages_url).hostname or ""
    if not asks or not host or (DOMAIN.fullmatch(host) and not is_network(host)):
        return None
    words = f"{host!r} is no domain name, and passkeys belong to one; give the pages a host of their own"
    return Mistake(GATEWAY, None, "pages_url", words)


def _of_partners(policy: PolicyFile, partners: PartnersFile | None) -> list[Problem]:
    if partners is None:
        return []
    named: list[Problem] = [
        (("roles", str(index), "partner"), "roles", name)
        for index, role in enumerate(policy.roles)
        for name in dict.fromkeys([role.partner, *role.serves])
    ]
    named += [(("partners", name), f"partners.{name}", name) for name in policy.partners]
    known = partners.partners
    unknown = [(path, rule, f"no partner {name!r} in {PARTNERS}") for path, rule, name in named if name not in known]
    return [*unknown, *_timeless_words(policy, partners)]


def _timeless_words(policy: PolicyFile, partners: PartnersFile) -> list[Problem]:
    """A word that says nothing of when its person confirmed can be no proof."""
    words = "is ProConnect, to which every sign-in is one of now: its word shows nothing fresh; remove this"
    return [
        (("partners", name, "acr"), f"partners.{name}.acr", words)
        for name, table in policy.partners.items()
        if table.acr is not None and name in partners.partners and partners.partners[name].preset == "proconnect"
    ]


def _read(files: Path, name: str, model: type[_File], mistakes: list[Mistake]) -> _File | None:
    try:
        text = (files / name).read_text()
    except (OSError, UnicodeDecodeError) as fault:
        mistakes.append(Mistake(name, None, "readable", f"cannot be read: {fault}; `gateway init` writes an example"))
        return None
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as fault:
        line = re.search(r"line (\d+)", str(fault))
        mistakes.append(Mistake(name, int(line[1]) if line else None, "toml", str(fault)))
    except ValidationError as fault:
        for error in fault.errors():
            path = tuple(str(part) for part in error["loc"] if part != "[key]")
            mistakes.append(Mistake(name, line_of(text, path), ".".join(path), _words(error)))
    return None


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "no such setting; remove it or correct its name"
    if error["type"] == "missing":
        return "is missing"
    given = error.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(error["msg"]).removeprefix("Value error, ") + shown


def _cross_checks(files: Path, gateway: GatewayFile) -> Iterable[Mistake]:
    text = (files / GATEWAY).read_text()

    def mistake(path: tuple[str, ...], message: str) -> Mistake:
        return Mistake(GATEWAY, line_of(text, path), ".".join(path), message)

    owners: dict[str, str] = {}
    for name, application in gateway.applications.items():
        at = ("applications", name)
        for host in application.hosts:
            if host != host.lower() or "/" in host:
                yield mistake(
                    (*at, "hosts"), f"{host!r}: write a lower-case host, with its port if it is not the usual"
                )
            if host in owners:
                yield mistake((*at, "hosts"), f"{host!r} already belongs to the application {owners[host]!r}")
            owners[host] = name
        url = url_of(application.upstream)
        if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
            yield mistake((*at, "upstream"), "write http://HOST:PORT or https://HOST:PORT, without a path")
        for header in application.identity_headers:
            if not _HEADER_NAME.fullmatch(header):
                yield mistake((*at, "identity_headers"), f"{header!r} is no name of a header")
        if (application.client_certificate is None) != (application.client_key is None):
            yield mistake((*at, "client_key"), "a client certificate needs its key, and a key its certificate")
    if gateway.pages_url:
        url = url_of(gateway.pages_url)
        if url.scheme == "http" and url.hostname != "localhost":
            yield mistake(("pages_url",), "http: is only for localhost; use https:")
        if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/"):
            yield mistake(("pages_url",), "write the origin alone, such as https://gate.example.org")
    if (gateway.listen.certificate is None) != (gateway.listen.key is None):
        yield mistake(("listen", "key"), "TLS needs certificate and key together")
    if gateway.listen.most_websockets >= gateway.listen.backpressure:
        words = "WebSockets stay open: fewer of them than backpressure, or nothing is left for requests"
        yield mistake(("listen", "max_websockets"), words)
    for setting in ("trusted_proxies", "house_networks"):
        for network in getattr(gateway, setting):
            if not is_network(network):
                yield mistake((setting,), f"{network!r}: write an address or a network, such as 10.0.0.0/8")
    if gateway.ledger.ship is not None and not any("{file}" in part for part in gateway.ledger.ship):
        yield mistake(("ledger", "ship"), 'say with {file} where the file\'s path goes: ["put-away", "{file}"]')
    if gateway.notify is not None and not is_callable(gateway.notify.url):
        yield mistake(("notify", "url"), "write https://HOST/PATH; http: is only for this machine")
    for path, _, words in store_problems(gateway.store):
        yield mistake(path, words)


def _in_windows(settings: Settings, name: str, application: ApplicationTable) -> Iterable[Mistake]:
    """Hosts that are not below that of the pages: their people confirm with a passkey in a window."""
    party = urlsplit(settings.pages_url).hostname or ""
    if not any(WEBAUTHN in rule.kinds for rule in settings.policy.classes.values()):
        return
    for host in application.hosts:
        bare = host.rpartition(":")[0] or host
        if bare != party and not bare.endswith(f".{party}"):
            words = f"{host!r} is not below {party!r}: passkeys are asked for in a window of {settings.pages_url} there"
            yield Mistake(GATEWAY, None, f"applications.{name}.hosts", words)


def warnings(settings: Settings) -> list[Mistake]:
    """What is allowed but should be known: shared origins, observing applications."""
    found: list[Mistake] = []
    host = urlsplit(settings.pages_url).netloc
    for name, application in settings.gateway.applications.items():
        if application.mode == "observe":
            found.append(
                Mistake(GATEWAY, None, f"applications.{name}.mode", "OBSERVE: nothing is asked, masked or refused here")
            )
        found.extend(_in_windows(settings, name, application))
        if host in application.hosts:
            found.append(
                Mistake(
                    GATEWAY,
                    None,
                    "pages_url",
                    f"shares its origin with the application {name!r}: a script of that application could drive a"
                    " step-up in the person's name; give the pages a host of their own",
                )
            )
    return found

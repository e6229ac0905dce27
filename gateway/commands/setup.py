"""``gateway init``, ``check`` and ``serve``: from an empty folder to a running gateway."""

import asyncio
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.commands.terminal import (
    DEFAULT_CONFIG,
    NO,
    ConfigOption,
    JsonOption,
    emit,
    escaped,
    fail,
    say,
)
from gateway.config import GATEWAY, PARTNERS, ConfigurationError, Mistake, Settings, load, warnings
from gateway.config.partners import PartnerTable


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""
    app.command("init")(init)
    app.command("check")(check)
    app.command("serve")(serve)


def init(
    directory: Annotated[Path, typer.Argument(help="The folder to make; nothing in it is overwritten.")],
    json: JsonOption = False,
) -> None:
    """Write a commented example configuration and the key files.

    Three files with three owners: gateway.toml (the operator's), partners.toml (whoever signs the contracts),
    policy.toml (the officer's). The keys, one file for each purpose, are readable by you alone: back them up, share
    them between nodes, put them in no repository.

    [bold]Examples[/bold]

      gateway init config
      gateway init /etc/gateway && gateway check --config /etc/gateway
    """
    from gateway.initialise import AlreadyThere, write_configuration
    from gateway.keyring import KeyRingError

    try:
        made = write_configuration(directory)
    except (AlreadyThere, KeyRingError, OSError) as fault:
        fail(str(fault), NO)
    if json:
        emit({"directory": str(directory), "files": [str(path) for path in made]})
        return
    for path in made:
        say(f"  {path}")
    say(f"\nNext: edit the three files, then  gateway check --config {directory}")


def settings_of(config: Path) -> Settings:
    """The configuration, or the end of the command with all its mistakes."""
    try:
        return load(config)
    except ConfigurationError as fault:
        lines = "\n".join(f"  {mistake}" for mistake in fault.mistakes)
        fail(f"{config} cannot be used ({len(fault.mistakes)} mistakes):\n{lines}", NO)


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    live: Annotated[bool, typer.Option("--live", help="Also call the store, the applications, the partners.")] = False,
    acl: Annotated[bool, typer.Option("--acl", help="Print the least accounts of the store, as its ACL file.")] = False,
    json: JsonOption = False,
) -> None:
    """Name every mistake in the configuration at once, each with file, line and rule.

    Exit status 1 when there is one. Warnings (an application that only observes, pages that share an origin) do not
    change the status.

    [bold]Examples[/bold]

      gateway check
      gateway check --live --config /etc/gateway
      gateway check --acl
      gateway check --json | jq .mistakes
    """
    if acl:
        tell_rights(json)
        return
    mistakes: list[Mistake] = []
    warned: list[Mistake] = []
    try:
        settings = load(config)
        warned = warnings(settings)
        mistakes.extend(key_mistakes(settings))
        if live and not mistakes:
            mistakes.extend(asyncio.run(unreachable(settings)))
    except ConfigurationError as fault:
        mistakes.extend(fault.mistakes)
    if json:
        emit({"mistakes": list(map(_plain, mistakes)), "warnings": list(map(_plain, warned))})
    else:
        for one in mistakes:
            say(f"[red]mistake[/red]  {escaped(str(one))}")
        for one in warned:
            say(f"[yellow]warning[/yellow]  {escaped(str(one))}")
        if not mistakes:
            say(f"[green]{config} can be served[/green]" + (f", {len(warned)} warnings" if warned else ""))
    if mistakes:
        raise typer.Exit(NO)


def tell_rights(json: bool) -> None:
    """The least that an account at the store must be allowed, and what its user ``default`` needs, as an ACL file."""
    from gateway.stores.acl import CLOSED_DEFAULT, rights

    if json:
        emit({"rights": rights(), "default": CLOSED_DEFAULT})
    else:
        say(escaped(f"user default {CLOSED_DEFAULT}"))
        say(escaped(f"user gateway on >PASSWORD {rights()}"))


def _plain(mistake: Mistake) -> dict[str, object]:
    return {"file": mistake.file, "line": mistake.line, "rule": mistake.rule, "message": mistake.message}


def key_mistakes(settings: Settings) -> list[Mistake]:
    """What is wrong with the key files and the files that the configuration names."""
    from gateway.keyring import KeyRing, KeyRingError

    found: list[Mistake] = []
    directory = settings.path(settings.gateway.keys)
    try:
        KeyRing.load(directory)
    except KeyRingError as fault:
        found.append(Mistake(GATEWAY, None, "keys", str(fault)))
    for name, partner in settings.partners.items():
        for rule, path in (
            ("client_secret_file", partner.client_secret_file),
            ("client_key_file", partner.client_key_file),
            ("api.client_secret_file", partner.api.client_secret_file if partner.api else None),
            ("events.token_file", partner.events.token_file if partner.events else None),
        ):
            if path and not settings.path(path).is_file():
                found.append(Mistake(PARTNERS, None, f"partners.{name}.{rule}", f"there is no file {path}"))
        if (unusable := client_key_fault(settings, partner)) is not None:
            found.append(Mistake(PARTNERS, None, f"partners.{name}.client_key_file", unusable))
    if (unusable := notify_fault(settings)) is not None:
        found.append(Mistake(GATEWAY, None, "notify.secret_file", unusable))
    for rule, path in _named_files(settings):
        if path is not None and not settings.path(path).is_file():
            found.append(Mistake(GATEWAY, None, rule, f"there is no file {path}"))
    return found


def client_key_fault(settings: Settings, partner: PartnerTable) -> str | None:
    """Why the key that stands for our secret at a partner cannot sign."""
    from gateway.edge.client_auth import UnusableKey, signing_key

    path = partner.client_key_file and settings.path(partner.client_key_file)
    if not path or not path.is_file():
        return None
    try:
        signing_key(path.read_bytes())
    except UnusableKey as fault:
        return f"{partner.client_key_file}: {fault}"
    return None


def notify_fault(settings: Settings) -> str | None:
    """What is wrong with the secret that notices are signed with."""
    from gateway.edge.webhook import SHORTEST_SECRET

    notify = settings.gateway.notify
    if notify is None:
        return None
    path = settings.path(notify.secret_file)
    if not path.is_file():
        return f"there is no file {notify.secret_file}"
    if len(path.read_bytes().strip()) < SHORTEST_SECRET:
        return f"{notify.secret_file} has fewer than {SHORTEST_SECRET} characters: write random ones"
    return None


def _named_files(settings: Settings) -> Iterable[tuple[str, Path | None]]:
    listen = settings.gateway.listen
    yield from (("listen.certificate", listen.certificate), ("listen.key", listen.key))
    yield from ((f"store.{setting}", path) for setting, path in settings.gateway.store.files())
    for name, application in settings.gateway.applications.items():
        yield f"applications.{name}.ca_file", application.ca_file
        yield f"applications.{name}.client_certificate", application.client_certificate
        yield f"applications.{name}.client_key", application.client_key


async def unreachable(settings: Settings) -> list[Mistake]:
    """What the configuration names and nobody answers at: store, applications, partners."""
    found: list[Mistake] = []
    from gateway.ports import StoreUnavailable
    from gateway.stores.connection import Store

    try:
        store = await Store.connect(settings.store)
        try:
            found += [Mistake(GATEWAY, None, "store", complaint) for complaint in await store.complaints()]
        finally:
            await store.close()
    except StoreUnavailable as fault:
        found.append(Mistake(GATEWAY, None, "store.url", f"cannot be asked: {fault}"))
    for name, application in settings.gateway.applications.items():
        words = _cannot_connect(application.upstream)
        if words:
            found.append(Mistake(GATEWAY, None, f"applications.{name}.upstream", words))
    for name, partner in settings.partners.items():
        words = None if partner.endpoints else await _metadata_fault(partner.issuer)
        if words:
            found.append(Mistake(PARTNERS, None, f"partners.{name}.issuer", words))
    return found


def _cannot_connect(url: str) -> str | None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as fault:
        return f"nobody answers at {parts.hostname}:{port}: {fault.strerror or fault}"
    return None


async def _metadata_fault(issuer: str) -> str | None:
    from gateway.edge.jwks import NotFetched
    from gateway.edge.partner_http import fetch
    from gateway.edge.provider import DISCOVERY, endpoints_of

    try:
        endpoints_of(await fetch(f"{issuer.rstrip('/')}{DISCOVERY}"), issuer)
    except NotFetched as fault:
        return f"no usable metadata: {fault}"
    return None


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
    bound: Annotated[bool, typer.Option("--die-with-parent", hidden=True)] = False,
) -> None:
    """Serve: the gateway in the foreground, until SIGTERM or Ctrl-C.

    Everything is checked first; with a mistake nothing starts. Health and metrics are on the admin listener.

    [bold]Examples[/bold]

      gateway serve
      gateway serve --config /etc/gateway
      curl http://127.0.0.1:9090/readyz
    """
    settings = settings_of(config)
    mistakes = key_mistakes(settings)
    if mistakes:
        fail("\n  ".join(["the gateway does not start:", *map(str, mistakes)]), NO)
    if bound:
        from gateway.parentdeath import die_with_parent

        die_with_parent()
    from gateway.serve import serve as run

    def announce(line: object) -> None:
        if json:
            emit({"event": str(line)})
        else:
            say(escaped(str(line)))

    try:
        run(settings, check=key_mistakes, announce=announce)
    except OSError as fault:
        fail(f"cannot serve: {fault}")

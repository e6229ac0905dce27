"""One application compiled from a small configuration, and requests on their way to it, without any server."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway import application
from gateway.application import Application
from gateway.config import GATEWAY, PARTNERS, POLICY, Settings, load
from gateway.core.assurance import Caller
from gateway.core.classify import Classified
from gateway.core.policy import Route
from gateway.passage import Credential, Passage, begin
from gateway.upstream import Upstream

CORPUS = Path(__file__).parent / "config"
CALLER = Caller("u_1", "north", "https://sso.example", "camille", "Camille Été", "person", "token", "t_1")

Fields = list[tuple[bytes, bytes]]


def settings_with(gateway: str = "", policy: str = "", replaced: Mapping[str, str] | None = None) -> Settings:
    """The small configuration with lines added to its application, to its policy, and texts of the policy replaced."""
    texts = {name: (CORPUS / name).read_text() for name in (GATEWAY, PARTNERS, POLICY)}
    texts[GATEWAY] += gateway
    for old, new in (replaced or {}).items():
        assert old in texts[POLICY]
        texts[POLICY] = texts[POLICY].replace(old, new)
    texts[POLICY] += policy
    with TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text)
        return load(Path(folder))


def small_application(gateway: str = "", policy: str = "", replaced: Mapping[str, str] | None = None) -> Application:
    """The application ``jobs``; it is never asked."""
    settings = settings_with(gateway, policy, replaced)
    upstream = Upstream(application.origin_of(settings, settings.gateway.applications["jobs"]))
    return application.build(settings, settings.policy, "jobs", upstream)


def small_passage(
    fields: Fields,
    app: Application,
    *,
    caller: Caller | None = CALLER,
    route: Route | None = None,
    credential: Credential | None = None,
    **scope: Any,
) -> Passage:
    """A request with these header fields (Host is added), its caller known and its route found."""

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is read or sent here")

    headers = [(b"host", b"jobs.example"), *fields]
    passage = begin({"headers": headers, "path": "/records", **scope}, nothing, nothing, ())
    passage.application, passage.caller = app, caller
    passage.credential = credential or Credential("token", "gwt_x")
    klass = route.klass if route else app.policy.unreadable
    passage.classified = Classified(route, klass, True, {})
    return passage


def with_caller(**changes: Any) -> Caller:
    """The caller, a little different."""
    return replace(CALLER, **changes)
